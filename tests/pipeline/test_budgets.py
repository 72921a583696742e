"""Through the pipeline: another budget counts from the next window on, and a machine may have one of its own."""

import numpy as np

from edge_agent.commissioning.normal_scores import Look, NormalScores
from edge_agent.commissioning.settings import BudgetSettings
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Profile
from edge_agent.service.health import machine_series
from edge_agent.signals.machine_rules import MachineRule
from tests.support.ramp_machine import Ramp, drifting_rows, feed_rows, ramp_pipeline, ramp_profile

ROWS = drifting_rows(1)[:600]


def learnt() -> Profile:
    """Half a year of normal rows, learnt for one false alarm a week."""
    rng = np.random.default_rng(0)
    peaks = rng.gumbel(2.0, 0.2, (24, 3))
    kept = NormalScores(peaks, np.empty(0), Look(288_000.0, 1.0, 10_080.0, 24.0, 1.0, 1.0))
    limits = kept.thresholds(1.0)
    return ramp_profile(**kept.arrays(), threshold=limits[:2], recent_threshold=np.array(limits[2]))


def by(pipeline: Pipeline, budget: float, *rules: MachineRule) -> None:
    settings = PipelineSettings(
        window=pipeline._settings.window,
        budget=BudgetSettings(false_alarms_per_week=budget),
        machine_rules=rules,
    )
    pipeline.adopt(decode=pipeline._decode, scorer=Ramp(), settings=settings, template=None)  # type: ignore[arg-type]


def latest(pipeline: Pipeline, start: int) -> float:
    _, scores, _ = feed_rows(pipeline, ROWS, start=start)
    return float(scores[-1])


def test_a_changed_budget_counts_from_the_next_window_on_and_is_told() -> None:
    pipeline = ramp_pipeline(learnt())
    one = latest(pipeline, 0)
    by(pipeline, 50.0)
    many = latest(pipeline, 600)
    by(pipeline, 0.1)
    few = latest(pipeline, 1200)
    by(pipeline, 1.0)
    assert many > one > few
    assert latest(pipeline, 1800) == one
    told = machine_series(pipeline.statuses(), (), spent={"press": 3})["press"]
    assert (told.budget_per_week, told.budget_spent) == (1.0, 3)
    assert told.budget_expected is not None
    assert pipeline.statuses()["press"].threshold_ratio == 1.0


def test_what_is_said_of_a_machine_comes_before_what_holds_for_all() -> None:
    pipeline = ramp_pipeline(learnt())
    by(pipeline, 1.0, MachineRule("press", budget_per_week=0.1))
    assert budget_of(pipeline) == 0.1
    before = latest(pipeline, 0)
    pipeline.hear_of_machines([MachineRule("press", budget_per_week=50.0)])
    assert budget_of(pipeline) == 50.0
    assert latest(pipeline, 600) > before
    pipeline.hear_of_machines([])
    assert budget_of(pipeline) == 1.0


def budget_of(pipeline: Pipeline) -> float:
    promise = pipeline.statuses()["press"].promise
    assert promise is not None
    return promise.budget_per_week
