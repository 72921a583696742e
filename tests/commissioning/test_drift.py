"""Drift is told where rows or scores have moved, and not where a machine wanders as it did when it was learnt."""

import numpy as np
import pytest

from edge_agent.commissioning import drift
from edge_agent.commissioning.drift import DriftStatistics
from edge_agent.records import WindowBlock

PERIOD_NS = 60 * 1_000_000_000
WINDOW_ROWS = 4
CHANNELS = 3


def block(rows: np.ndarray, *, start: int, hidden: tuple[int, ...] = ()) -> WindowBlock:
    """A window for each row, its newest."""
    values = np.repeat(rows[:, :, np.newaxis], WINDOW_ROWS, axis=2).astype(np.float32)
    ends = start + np.arange(len(rows))
    return WindowBlock("m", values, ends, ends * PERIOD_NS, hidden)


def feed(
    statistics: DriftStatistics, rows: np.ndarray, scores: np.ndarray, *, start: int = 0, normal: bool = True
) -> None:
    for at in range(0, len(rows), 50):
        part = rows[at : at + 50]
        statistics.observe_scores(
            block(part, start=start + at),
            scores[at : at + 50].astype(np.float32),
            normal=np.full(len(part), normal),
        )


def normal_life(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(5.0, 1.0, (n, CHANNELS)), rng.gamma(4.0, 0.1, n)


def learnt(n: int = 4000) -> dict[str, np.ndarray]:
    rows, scores = normal_life(n, 0)
    return drift.reference(rows.astype(np.float32), scores.astype(np.float32))


def statistics(memory: dict[str, np.ndarray]) -> DriftStatistics:
    return DriftStatistics(memory, hop_rows=1, period_ns=PERIOD_NS)


def test_the_index_is_the_textbooks() -> None:
    then, now = np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.3, 0.4])
    by_hand = (0.3 - 0.5) * np.log(0.3 / 0.5) + (0.4 - 0.2) * np.log(0.4 / 0.2)
    assert drift.stability_index(now * 70, then) == pytest.approx(by_hand)


def test_more_of_the_same_is_no_drift() -> None:
    counted = statistics(learnt())
    feed(counted, *normal_life(3000, 1))
    told = counted.drift()
    assert told.inputs is not None
    assert told.scores is not None
    assert max(told.inputs, told.scores) < 0.05


def test_a_channel_that_has_moved_is_named() -> None:
    counted = statistics(learnt())
    rows, scores = normal_life(3000, 1)
    rows[:, 1] += 1.0
    feed(counted, rows, scores)
    told = counted.drift()
    assert told.channel == 1
    assert told.inputs is not None
    # Two normal distributions one spread apart: the index of fine classes is (difference / spread) squared.
    assert 0.5 < told.inputs < 1.1
    assert told.scores == pytest.approx(0.0, abs=0.05)


def test_scores_that_have_moved_are_told_apart_from_rows() -> None:
    counted = statistics(learnt())
    rows, scores = normal_life(3000, 1)
    feed(counted, rows, scores * 1.6)
    told = counted.drift()
    assert told.scores is not None
    assert told.scores > 0.5
    assert told.inputs is not None
    assert told.inputs < 0.05


def test_a_machine_that_wandered_while_it_was_learnt_may_wander_on() -> None:
    rng = np.random.default_rng(3)
    days = np.sin(np.arange(12 * 1440) * 2 * np.pi / (4 * 1440))[:, np.newaxis]  # a wave of four days
    rows = 5.0 + days + rng.normal(0, 0.3, (len(days), CHANNELS))
    scores = rng.gamma(4.0, 0.1, len(rows))
    memory = drift.reference(rows[: 4 * 1440].astype(np.float32), scores[: 4 * 1440].astype(np.float32))
    counted, worst, plain = statistics(memory), 0.0, 0.0
    for at in range(4 * 1440, len(rows), 720):
        feed(counted, rows[at : at + 720], scores[at : at + 720], start=at)
        worst = max(worst, counted.drift().inputs or 0.0)
        now = drift._counts(rows[at - 1440 : at].astype(np.float32), memory["drift/edges"][:-1])
        plain = max(plain, float(drift.stability_index(now, memory["drift/shares"][:-1]).max()))
    assert plain > 0.5  # what the bare index says of an ordinary day
    assert worst < 0.25


def test_constants_and_switches_are_seen_to_change() -> None:
    rows = np.zeros((1000, 2))
    rows[::5, 1] = 1.0  # a switch, on for a fifth of the time
    scores = np.linspace(0.1, 0.5, 1000)
    memory = drift.reference(rows.astype(np.float32), scores.astype(np.float32))
    for channel, value in ((0, -3.0), (0, 3.0), (1, 1.0)):
        counted, now = statistics(memory), rows.copy()
        now[:, channel] = value
        feed(counted, now, scores)
        told = counted.drift()
        assert told.channel == channel
        assert told.inputs is not None
        assert told.inputs > 0.5


def test_rows_in_alarm_and_hidden_channels_do_not_count() -> None:
    counted = statistics(learnt())
    feed(counted, *normal_life(3000, 1))
    rows, scores = normal_life(3000, 2)
    feed(counted, rows + 5.0, scores, start=3000, normal=False)
    for at in range(0, 3000, 100):
        part = rows[at : at + 100].copy()
        part[:, 2] = 99.0
        counted.observe_scores(
            block(part, start=6000 + at, hidden=(2,)),
            scores[at : at + 100].astype(np.float32),
            normal=np.ones(100, bool),
        )
    told = counted.drift()
    assert told.inputs is not None
    assert told.inputs < 0.05


def test_nothing_is_told_from_few_rows_nor_by_an_older_memory() -> None:
    counted = statistics(learnt())
    rows, scores = normal_life(640, 1)
    feed(counted, rows + 3.0, scores)
    assert counted.drift().inputs is None
    older = statistics({"location": np.zeros(3)})
    feed(older, rows, scores)
    told = older.drift()
    assert (told.inputs, told.channel, told.scores) == (None, None, None)
    assert told.scored_share == pytest.approx(1.0)
    assert older.arrays() == {}


def test_old_rows_are_forgotten() -> None:
    counted = statistics(learnt())
    rows, scores = normal_life(1440, 1)
    feed(counted, rows + 1.0, scores)
    moved = counted.drift().inputs
    for day in range(1, 11):
        feed(counted, *normal_life(1440, 10 + day), start=1440 * day)
    assert moved is not None
    assert moved > 0.5
    assert (counted.drift().inputs or 0.0) < 0.05


def test_counts_survive_a_restart() -> None:
    memory = learnt()
    first = statistics(memory)
    rows, scores = normal_life(3200, 1)
    feed(first, rows + 1.0, scores)
    again = statistics({**memory, **first.arrays()})
    assert again.drift().inputs == pytest.approx(first.drift().inputs, rel=1e-3)


def test_a_gap_lowers_the_share_of_time_scored() -> None:
    counted = statistics(learnt())
    rows, scores = normal_life(600, 1)
    feed(counted, rows, scores)
    assert counted.drift().scored_share == pytest.approx(1.0)
    feed(counted, rows, scores, start=1200)  # ten hours of twenty
    share = counted.drift().scored_share
    assert share is not None
    assert 0.6 < share < 0.72
