"""Through the pipeline: a moved threshold is told, kept and taken up again."""

import json
from dataclasses import replace

import numpy as np
import pytest

from edge_agent.commissioning.settings import BudgetSettings
from edge_agent.pipeline.pipeline import Pipeline, Settings
from edge_agent.records import Frame, Profile, Reject, ScoreBlock, WindowBlock
from edge_agent.service.health import status_payload
from edge_agent.signals.settings import WindowSettings

PERIOD_NS = 60 * 1_000_000_000
DAY_ROWS = 24 * 60


class Digest:
    digest = "0" * 64


class Ramp:
    """A scorer whose score is the newest value of the first channel, beside a part that stays at 0.1."""

    window_rows = 8
    bundle = Digest()

    def score(self, blocks: list[WindowBlock], _profiles: list[Profile]) -> list[ScoreBlock]:
        return [self._one(block) for block in blocks]

    def _one(self, block: WindowBlock) -> ScoreBlock:
        value = block.values[:, 0, -1]
        rest = np.full_like(value, 0.1)
        return ScoreBlock(
            windows=block,
            channels=("a",),
            value=value,
            recent=value,
            rank=value,
            contributions=np.ones((len(value), 1), np.float32),
            expected=block.values[:, :, -1],
            classes=np.empty((len(value), 0), np.float32),
            parts=np.stack([value, rest], axis=1),
        )


def pipeline(profile: Profile, **settings: bool) -> Pipeline:
    return Pipeline(
        decode=lambda _: Reject("no_source"),
        scorer=Ramp(),  # type: ignore[arg-type]
        settings=Settings(window=WindowSettings(hop_s=60.0), budget=BudgetSettings(**settings)),
        profiles=[profile],
    )


@pytest.fixture
def profile() -> Profile:
    memory = {
        "location": np.zeros(1, np.float32),
        "scale": np.ones(1, np.float32),
        "threshold": np.ones(2, np.float32),
    }
    return Profile("press", ("a",), memory, 100, PERIOD_NS, 1, "0" * 64, 0)


def drifting(days: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0.75, 0.02, days * DAY_ROWS)
    return (noise * (1.0 + 0.25 * np.arange(days * DAY_ROWS) / (days * DAY_ROWS))).astype(np.float32)


def feed(line: Pipeline, rows: np.ndarray, *, start: int = 0) -> tuple[list[Profile], np.ndarray, int]:
    """(profiles told of, scores by the thresholds in use, alarms opened)."""
    told: list[Profile] = []
    scores, alarms = [], 0
    for at in range(0, len(rows), 512):
        part = rows[at : at + 512, np.newaxis]
        times = ((start + at + np.arange(len(part))) * PERIOD_NS).tolist()
        step = line.feed([Frame("press", ("a",), times, part)])
        told += step.moved
        scores += [block.value for block in step.scores]
        alarms += sum(alarm.revision == 1 for alarm in step.alarms)
    return told, np.concatenate(scores), alarms


def test_scores_are_told_by_the_threshold_in_use(profile: Profile) -> None:
    line = pipeline(profile)
    rows = drifting(20)
    _, scores, alarms = feed(line, rows)
    ratio = line.machines()["press"].threshold_ratio
    assert ratio is not None
    assert ratio > 1.0
    assert scores[-1] == pytest.approx(rows[-1] / ratio, rel=0.01)
    assert alarms <= 1


def test_a_machine_whose_threshold_has_moved_far_is_told_to_have_drifted(profile: Profile) -> None:
    line = pipeline(profile)
    noise = np.random.default_rng(3).normal(0.75, 0.02, 30 * DAY_ROWS)
    rows = (noise * (1.0 + 1.5 * np.arange(len(noise)) / len(noise))).astype(np.float32)
    drifted = []
    for at in range(0, len(rows), DAY_ROWS):
        feed(line, rows[at : at + DAY_ROWS], start=at)
        status = line.machines()["press"]
        told = json.loads(
            status_payload(
                agent="a", version="1", online=True, model="m", provider="cpu", machines={"press": status}
            )
        )
        drifted.append((status.threshold_ratio, told["machines"]["press"].get("drifted", False)))
    assert drifted[-1][0] > 1.5
    assert [said for _, said in drifted] == [ratio > 1.5 for ratio, _ in drifted]
    assert not drifted[5][1]


def test_switched_off_the_threshold_stays_where_it_was_learnt(profile: Profile) -> None:
    line = pipeline(profile, follow_drift=False)
    rows = drifting(20)
    told, scores, _ = feed(line, rows)
    assert line.machines()["press"].threshold_ratio == 1.0
    assert scores[-1] == rows[-1]
    assert not told


def test_a_kept_profile_goes_on_with_the_moved_threshold(profile: Profile) -> None:
    rows = drifting(20)
    told, _, _ = feed(pipeline(profile), rows)
    again = pipeline(told[-1])
    _, scores, _ = feed(again, rows[-600:], start=len(rows))
    kept = float(told[-1].memory["followed_ratio"][0])
    assert kept > 1.0
    assert scores[0] == pytest.approx(rows[-600:][len(rows[-600:]) - len(scores)] / kept, rel=0.01)


def test_a_machine_learnt_afresh_begins_at_its_new_threshold(profile: Profile) -> None:
    line = pipeline(profile)
    feed(line, drifting(20))
    line.install(replace(profile, learnt_ns=1))
    _, scores, _ = feed(line, np.full(20, 0.5, np.float32), start=30 * DAY_ROWS)
    assert scores[-1] == pytest.approx(0.5)
