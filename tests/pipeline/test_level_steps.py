"""A lasting step of one channel alone is told beside its alarm; accepted, the machine is watched at the new level."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import msgspec
import numpy as np
import pytest

from edge_agent.alarms import payload as alert
from edge_agent.detect.scorer import Scorer
from edge_agent.pipeline.acceptance import Accepted
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.machine import Memento
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import StepResults
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Alarm, Profile
from tests.support import statistics
from tests.support.frames import SECOND, frames_of, undecoded
from tests.support.shift_machine import CHANNELS, PERIOD_S, shift_rows

SETTINGS = PipelineSettings(commission_rows=1500)
FIRST, STEP, OFFSET = 5000, 200, 0.5
PRESSURE, VIBRATION = CHANNELS.index("pressure"), CHANNELS.index("vibration")
LEVEL = "level never learnt"
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/alert.schema.json").read_text())


def ready(scorer: Scorer, *profiles: Profile) -> Pipeline:
    return Pipeline(decode=undecoded, scorer=scorer, settings=SETTINGS, profiles=profiles)


@pytest.fixture(scope="module")
def scorer(scorer: Scorer) -> Scorer:  # what is told of alarms that last does not depend on the network
    return statistics.alone(scorer)


@pytest.fixture(scope="module")
def profile(scorer: Scorer) -> Profile:
    pipeline = ready(scorer)
    rows = shift_rows(np.ones(1500), seed=0)
    frames = frames_of(rows, channels=CHANNELS, block=100, period_ns=PERIOD_S * SECOND)
    (request,) = [one for frame in frames for one in pipeline.feed([frame]).commissions]
    return learn(request, scorer=scorer, settings=SETTINGS)


def values() -> np.ndarray:
    rows = shift_rows(np.ones(2000), seed=3)
    rows[STEP:, PRESSURE] += OFFSET
    return rows


def watch(pipeline: Pipeline, rows: np.ndarray, *, start: int = 0, block: int = 32) -> list[StepResults]:
    frames = frames_of(rows, channels=CHANNELS, block=block, start=FIRST + start, period_ns=PERIOD_S * SECOND)
    return [pipeline.feed([frame]) for frame in frames]


def revisions(steps: list[StepResults]) -> list[Alarm]:
    return [one for step in steps for one in (*step.findings, *step.alarms)]


def told(steps: list[StepResults]) -> list[tuple[str, str, int]]:
    """(what, state, row) of what began and ended."""
    return [
        (one.fault if one.kind == "state" else one.kind, one.state, one.time_ns // SECOND // PERIOD_S - FIRST)
        for one in revisions(steps)
        if one.revision == 1 or one.state == "closed"
    ]


def restarted(pipeline: Pipeline, scorer: Scorer, profile: Profile) -> Pipeline:
    after = ready(scorer, profile)
    memento = msgspec.msgpack.decode(msgspec.msgpack.encode(pipeline.memento("m")), type=Memento)
    assert after.restore(memento, pipeline.buffer_state("m"))
    after.recall([])
    return after


def accepted(pipeline: Pipeline) -> Accepted:
    (notice,) = pipeline.machines.open_findings()
    found = pipeline.machines.accept("m", alarm=notice.id, by="Anna", time_ns=7)
    assert isinstance(found, Accepted)
    return found


@pytest.mark.parametrize("block", [8, 64])
def test_it_is_told_once_while_its_alarm_lasts(scorer: Scorer, profile: Profile, block: int) -> None:
    pipeline = ready(scorer, profile)
    steps = watch(pipeline, values()[:600], block=block)
    (_, _, raised), (fault, state, row) = told(steps)
    assert STEP <= raised <= STEP + 20
    assert (fault, state) == (LEVEL, "open")
    assert row - raised in range(120, 128 + block)  # twenty minutes, and a window's length
    (notice,) = pipeline.machines.open_findings()
    jsonschema.validate(alert.to_payload(notice, agent="a"), SCHEMA)
    assert (notice.kind, notice.severity) == ("state", "notice")
    (seen,) = notice.channels
    assert seen.name == "pressure"
    assert seen.observed is not None
    assert seen.observed - (seen.normal_low + seen.normal_high) / 2 == pytest.approx(OFFSET, abs=0.05)
    assert "pressure has read 0.5" in alert.to_payload(notice, agent="a")["summary"]
    assert "more than the other channels let expect" in alert.to_payload(notice, agent="a")["summary"]


def test_an_accepted_step_ends_the_alarm_and_hides_no_second_fault(scorer: Scorer, profile: Profile) -> None:
    pipeline = ready(scorer, profile)
    rows = values()
    rows[1200:, VIBRATION] *= 2.5
    watch(pipeline, rows[:600])
    kept = accepted(pipeline).profile
    after = told(watch(pipeline, rows[600:1200], start=600))
    assert [one[:2] for one in after] == [("machine", "closed")]
    assert after[0][2] <= 660
    again = restarted(pipeline, scorer, kept)
    found = told(watch(again, rows[1200:1400], start=1200))
    assert found[0][:2] == ("machine", "open")
    assert found[0][2] <= 1240
    (alarm,) = again.machines.open_alarms()
    assert alarm.channels[0].name == "vibration"


def test_evidence_and_usual_range_are_of_the_new_level(scorer: Scorer, profile: Profile) -> None:
    pipeline = ready(scorer, profile)
    low, high = pipeline.machines["m"].view(1).low, pipeline.machines["m"].view(1).high
    watch(pipeline, values()[:600])
    accepted(pipeline)
    view = pipeline.machines["m"].view(1)
    assert low is not None
    assert high is not None
    assert view.low is not None
    assert view.high is not None
    expected = OFFSET * (np.array(CHANNELS) == "pressure")
    np.testing.assert_allclose(view.low - low, expected, atol=0.05)
    np.testing.assert_allclose(view.high - high, expected, atol=0.05)
    np.testing.assert_allclose(view.rows[-1, PRESSURE], values()[599, PRESSURE], rtol=1e-6)


def test_a_step_that_goes_back_after_it_was_accepted_is_told_again(scorer: Scorer, profile: Profile) -> None:
    pipeline = ready(scorer, profile)
    rows = values()
    rows[1000:, PRESSURE] -= OFFSET
    watch(pipeline, rows[:600])
    accepted(pipeline)
    found = told(watch(pipeline, rows[600:1400], start=600))
    assert [one[:2] for one in found] == [("machine", "closed"), ("machine", "open"), (LEVEL, "open")]
    memory = accepted(pipeline).profile.memory
    assert abs(float(memory["level_offset"][PRESSURE])) < 0.05
    assert [one[:2] for one in told(watch(pipeline, rows[1400:1900], start=1400))] == [("machine", "closed")]


def test_a_notice_is_over_when_the_step_is(scorer: Scorer, profile: Profile) -> None:
    pipeline = ready(scorer, profile)
    rows = values()
    rows[700:, PRESSURE] -= OFFSET
    found = told(watch(pipeline, rows[:1200]))
    assert [one[0:2] for one in found if one[0] == LEVEL] == [(LEVEL, "open"), (LEVEL, "closed")]
    assert pipeline.machines.open_findings() == ()


def test_undone_it_is_told_again(scorer: Scorer, profile: Profile) -> None:
    pipeline = ready(scorer, profile)
    watch(pipeline, values()[:600])
    (notice,) = pipeline.machines.open_findings()
    accepted(pipeline)
    watch(pipeline, values()[600:800], start=600)
    back = pipeline.machines.take_back(notice.id)
    assert isinstance(back, Accepted)
    for name in ("location", "evidence/low", "kind_high", "quality/low", "drift/edges"):
        np.testing.assert_allclose(back.profile.memory[name], profile.memory[name], rtol=1e-5, atol=1e-5)
    found = told(watch(pipeline, values()[800:1200], start=800))
    assert [one[:2] for one in found] == [("machine", "open"), (LEVEL, "open")]


@pytest.mark.parametrize("fault", ["two channels", "restless", "on its way"])
def test_other_faults_are_no_step(scorer: Scorer, profile: Profile, fault: str) -> None:
    rows = shift_rows(np.ones(900), seed=4)
    if fault == "two channels":
        rows[STEP:, PRESSURE] += OFFSET
        rows[STEP:, 1] += 2.0
    elif fault == "restless":
        rows[STEP:, PRESSURE] += OFFSET + 0.3 * np.random.default_rng(1).normal(size=900 - STEP)
    else:
        rows[STEP:, PRESSURE] += 0.01 * np.arange(900 - STEP)
    found = {one[0] for one in told(watch(ready(scorer, profile), rows))}
    assert "machine" in found
    assert LEVEL not in found


def test_a_profile_of_an_older_agent_is_told_nothing_of(scorer: Scorer, profile: Profile) -> None:
    memory = {name: array for name, array in profile.memory.items() if not name.startswith("step_")}
    pipeline = ready(scorer, replace(profile, memory=memory))
    assert {one[0] for one in told(watch(pipeline, values()[:600]))} == {"machine"}
