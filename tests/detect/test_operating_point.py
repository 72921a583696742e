"""Operating points of an incident: which channels tell them, what is left out, and how many are kept."""

import math
from dataclasses import replace

import numpy as np
import pytest

from edge_agent.detect.operating_point import POINTS_LIMIT, is_elsewhere, level_of, with_level
from edge_agent.records import WindowBlock
from edge_agent.signals.channel_kinds import ANALOG, STATE

LOUD = (4.0, 1.0, 1.0, 1.0)
FIRST_BEARS = (1.0, 0.0, 0.0, 0.0)


def block(rows: np.ndarray, *, kinds: np.ndarray | None = None, hidden: tuple[int, ...] = ()) -> WindowBlock:
    """One window of these rows [C, T]."""
    none = np.zeros(1, np.int64)
    return WindowBlock("pump", rows[np.newaxis].astype(np.float32), none, none, hidden=hidden, kinds=kinds)


def test_a_level_is_the_mean_of_the_newest_rows_in_normal_scales_and_knows_no_hidden_channel() -> None:
    rows = np.zeros((3, 128))
    rows[:, -32:] = np.array([[12.0], [7.0], [7.0]])
    arrays = {"location": np.array([10.0, 5.0, 5.0]), "scale": np.array([2.0, 1.0, 1.0])}
    level = level_of(block(rows, hidden=(2,)), 0, arrays)
    assert level[:2] == (1.0, 2.0)
    assert math.isnan(level[2])


def test_a_level_is_that_of_a_counters_rate_and_not_of_its_count() -> None:
    counted = replace(block(np.full((1, 128), 1e6)), shown=np.full((1, 1, 128), 3.0, np.float32))
    assert level_of(counted, 0, {"location": np.ones(1), "scale": np.ones(1)}) == (2.0,)


def test_a_channel_whose_values_have_no_order_has_no_level() -> None:
    arrays = {"location": np.zeros(2), "scale": np.ones(2)}
    level = level_of(block(np.ones((2, 128)), kinds=np.array([ANALOG, STATE], np.uint8)), 0, arrays)
    assert level[0] == 1.0
    assert math.isnan(level[1])


@pytest.mark.parametrize(
    ("level", "elsewhere"),
    [
        (LOUD, False),
        ((-4.0, 1.0, 1.0, 1.0), False),  # the channel that bears the incident
        ((4.0, 1.0, 1.0, 9.0), False),  # one of three that drifts
        ((4.0, -1.0, 1.0, -1.0), True),
        ((4.0, 0.4, 0.4, 0.4), True),
        ((4.0, 0.8, 0.8, 0.8), False),
        ((4.0, math.nan, 1.0, -1.0), True),
    ],
)
def test_a_window_is_elsewhere_where_the_channels_that_bear_nothing_have_moved(
    level: tuple[float, ...], *, elsewhere: bool
) -> None:
    assert is_elsewhere(level, [LOUD], bearers=FIRST_BEARS) is elsewhere


def test_where_nothing_tells_an_operating_point_calm_is_believed() -> None:
    assert not is_elsewhere(LOUD, [], bearers=FIRST_BEARS)
    assert not is_elsewhere((), [LOUD], bearers=FIRST_BEARS)
    assert not is_elsewhere((9.0,), [(1.0,)], bearers=(1.0,))
    assert not is_elsewhere((math.nan,) * 4, [LOUD], bearers=FIRST_BEARS)
    assert not is_elsewhere(
        (-4.0,) * 4, [LOUD], bearers=(0.25,) * 4
    )  # all have come back from where a fault took them


def test_points_nearby_are_one_and_the_latest_few_are_kept() -> None:
    points = with_level((), LOUD, bearers=FIRST_BEARS, weight=0.5)
    points = with_level(points, (4.0, 1.1, 1.1, 1.1), bearers=FIRST_BEARS, weight=0.5)
    assert points == (pytest.approx((4.0, 1.05, 1.05, 1.05)),)
    for load in range(2, 2 * POINTS_LIMIT, 2):
        points = with_level(points, (4.0, *(3 * [float(load)])), bearers=FIRST_BEARS, weight=0.5)
    assert len(points) == POINTS_LIMIT
    points = with_level(points, LOUD, bearers=FIRST_BEARS, weight=0.0)
    assert points[-1] == pytest.approx((4.0, 1.05, 1.05, 1.05))
    points = with_level(points, (9.0,) * 4, bearers=FIRST_BEARS, weight=0.5)
    assert [point[1] for point in points] == pytest.approx([4.0, 6.0, 1.05, 9.0])


def test_points_of_other_channels_are_given_up() -> None:
    assert with_level([(1.0,)], LOUD, bearers=FIRST_BEARS, weight=1.0) == (LOUD,)
    assert with_level([LOUD], (), bearers=FIRST_BEARS, weight=1.0) == (LOUD,)


def test_a_channel_that_was_hidden_joins_a_point_and_one_that_is_now_stays_as_it_was() -> None:
    points = with_level(
        [(4.0, math.nan, 1.0, 1.0)], (4.0, 1.0, math.nan, 1.0), bearers=FIRST_BEARS, weight=0.5
    )
    assert points == (LOUD,)
