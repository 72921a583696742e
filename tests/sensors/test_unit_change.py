"""A jump is weighed by the rows around it, and rows that were lost neither make one nor take one away."""

import numpy as np
import pytest

from edge_agent.sensors.checks import ChannelHistory, consecutive, reference
from edge_agent.sensors.unit_change import UnitMonitor

LOST = np.float32(np.nan)


def ramp(count: int, *, seed: int) -> np.ndarray:
    """A channel that moves by about 1 a row, up and down again: [R, 1]."""
    rng = np.random.default_rng(seed)
    slope = np.where(np.arange(count) // 20 % 2, -1.0, 1.0)
    return (100 + np.cumsum(slope) + rng.normal(0, 0.02, count)).astype(np.float32)[:, np.newaxis]


def doubted(rows: np.ndarray) -> list[int]:
    """Rows at which the channel's unit is in doubt, where the rows are looked at one by one."""
    history, units = ChannelHistory(1), UnitMonitor(reference(ramp(400, seed=0)))
    return [at for at, row in enumerate(rows) if units.check(history.check(row[np.newaxis]))[1].any()]


def test_a_step_across_lost_rows_is_measured_against_as_many_normal_steps() -> None:
    rows = ramp(200, seed=1)
    assert doubted(rows) == []
    rows[50] = LOST
    rows[90:93] = LOST
    assert doubted(rows) == []


def test_a_jump_is_doubted_whether_or_not_a_row_before_it_was_lost() -> None:
    rows = ramp(200, seed=1)
    rows[50:] += 3.0
    tidy = doubted(rows)
    rows[45] = LOST
    assert doubted(rows) == tidy == [*range(50, 59)]


def test_a_jump_across_a_long_pause_is_still_a_jump() -> None:
    rows = ramp(400, seed=1)
    rows[50:250] = LOST
    rows[250:] += 60.0
    assert doubted(rows) == []  # nobody knows what it was before
    rows[239:250] = ramp(400, seed=1)[239:250]
    assert doubted(rows) == [*range(250, 259)]


@pytest.mark.parametrize(("lost", "known"), [(5, True), (6, False)])
def test_most_of_the_rows_before_a_jump_must_be_known(lost: int, known: bool) -> None:  # noqa: FBT001
    rows = ramp(200, seed=1)
    rows[50:] += 3.0
    rows[40 : 40 + lost] = LOST
    assert bool(doubted(rows)) is known


def test_a_stop_that_normal_rows_had_too_is_no_change_of_unit() -> None:
    normal = {
        "step": 69.362,
        "drift": 69.937,
        "low": 0.0,
        "high": 81.367,
    }  # SE of the hydraulic rig, and its rows 1,429 on
    units = UnitMonitor({f"quality/{name}": np.array([value], np.float32) for name, value in normal.items()})
    rows = [69.32, 69.32, 76.31, 76.31, 69.23, 69.23, 69.16, 69.16, 69.69, 69.69, 69.52, 69.52, 69.51, 69.51]
    rows += [0.0] * 8 + [63.1, 63.1, 69.66, 69.66, 69.09, 69.09, 69.12, 69.12, 68.98, 68.98, 55.79, 55.79]
    history = ChannelHistory(1)
    seen = [units.check(history.check(np.array([[value]], np.float32))) for value in rows]
    assert any(doubt.any() for _, doubt in seen), "a step beyond the calm ones"
    assert [at for at, (changed, _) in enumerate(seen) if changed.any()] == []


@pytest.mark.parametrize(("factor", "least", "most"), [(2.5, 0, 0), (10.0, 19, 20), (0.01, 19, 20)])
def test_a_machine_that_stops_at_night_may_be_louder_in_the_same_unit(
    factor: float, least: int, most: int
) -> None:
    normal = {"step": 0.7, "drift": 1.6, "low": 0.1, "high": 2.3}  # at a stand .15, running 1.75
    told = 0
    for seed in range(20):
        units = UnitMonitor(
            {f"quality/{name}": np.array([value], np.float32) for name, value in normal.items()}
        )
        rows = 1.75 * np.exp(np.random.default_rng(seed).normal(0, 0.08, 120))
        rows[60:] *= factor
        history = ChannelHistory(1)
        seen = [units.check(history.check(np.array([[value]], np.float32)))[0] for value in rows]
        told += any(changed.any() for changed in seen)
    assert least <= told <= most


def test_what_is_not_known_neither_goes_on_nor_ends_a_count() -> None:
    flags = np.array([[1], [0], [1], [0], [1]], np.bool_)
    unknown = np.array([[0], [1], [0], [0], [0]], np.bool_)
    assert consecutive(flags, np.array([2]), unknown=unknown).ravel().tolist() == [3, 3, 4, 0, 1]
