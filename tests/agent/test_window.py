"""Rows are gathered and windows cut as the module's rules say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.align import Aligner
from edge_agent.contract.records import Frame
from edge_agent.window import RowBuffer, WindowSettings

SECOND = 1_000_000_000
T = 8


def buffer(*, hold_rows: int = 2, keep_rows: int = 64) -> RowBuffer:
    rows = RowBuffer("m", WindowSettings(window_rows=T, hold_rows=hold_rows), keep_rows=keep_rows)
    rows.add_channels(["a", "b"])
    return rows


def frame(second: float, *values: float, channels: tuple[str, ...] = ("a", "b"), **kwargs: bool) -> Frame:
    return Frame("m", channels, [int(second * SECOND)], [values], **kwargs)


def test_whole_rows_are_kept_in_order() -> None:
    rows = buffer()
    assert [rows.accept(frame(t, t, -t)) for t in range(3)] == ["accepted"] * 3
    np.testing.assert_array_equal(rows.history(), [[0, 0], [1, -1], [2, -2]])


def test_the_same_time_again_is_a_duplicate_and_an_earlier_one_late() -> None:
    rows = buffer()
    rows.accept(frame(5, 1, 2))
    assert rows.accept(frame(5, 1, 2)) == "duplicate"
    assert rows.accept(frame(4, 1, 2)) == "late"
    assert rows.row_count == 1


def test_halves_of_a_row_meet_by_their_time() -> None:
    rows = buffer()
    rows.accept(frame(0, 1, channels=("a",)))
    assert rows.row_count == 0
    rows.accept(frame(0, 2, channels=("b",)))
    np.testing.assert_array_equal(rows.history(), [[1, 2]])


def test_bare_numbers_meet_on_the_grid_and_the_first_one_in_a_cell_wins() -> None:
    rows = buffer()
    bare = {"stamped": False, "partial": True}
    assert rows.accept(frame(10.1, 1, channels=("a",), **bare)) == "accepted"
    assert rows.accept(frame(10.4, 9, channels=("a",), **bare)) == "duplicate"
    assert rows.accept(frame(10.9, 2, channels=("b",), **bare)) == "accepted"
    np.testing.assert_array_equal(rows.history(), [[1, 2]])
    assert rows.last_time_ns == 10 * SECOND


def test_a_row_that_stays_incomplete_is_closed_by_the_next_time() -> None:
    rows = buffer(hold_rows=0)
    rows.accept(frame(0, 1, channels=("a",)))
    rows.accept(frame(1, 2, 3))
    np.testing.assert_array_equal(rows.history(), [[1, np.nan], [2, 3]])


def test_a_missing_value_is_held_for_hold_rows_and_then_hidden() -> None:
    rows = buffer(hold_rows=2)
    rows.accept(frame(0, 1, 7))
    for t in range(1, 5):
        rows.accept(frame(t, t, np.nan))
    rows.flush()
    np.testing.assert_array_equal(rows.history()[:, 1], [7, 7, 7, np.nan, np.nan])


@given(st.integers(0, 2**32 - 1), st.integers(0, 4))
def test_a_block_leaves_the_same_rows_as_its_rows_one_by_one(seed: int, hold_rows: int) -> None:
    values = np.random.default_rng(seed).normal(size=(40, 2)).astype(np.float32)
    values[np.random.default_rng(seed + 1).random(values.shape) < 0.4] = np.nan
    times = [t * SECOND for t in range(40)]
    block, single = buffer(hold_rows=hold_rows), buffer(hold_rows=hold_rows)
    block.accept(Frame("m", ("a", "b"), times, values))
    for time_ns, row in zip(times, values, strict=True):
        single.accept(Frame("m", ("a", "b"), [time_ns], [row]))
    single.flush()
    np.testing.assert_array_equal(block.history(), single.history())


@given(st.lists(st.integers(1, 700), min_size=1, max_size=6), st.integers(1, 9))
def test_windows_are_the_last_rows_at_every_hop_however_the_rows_arrive(counts: list[int], hop: int) -> None:
    rows = buffer()
    rows.arrange(["b", "a"], period_ns=SECOND, hop_rows=hop)
    total = sum(counts)
    values = np.arange(2 * total, dtype=np.float32).reshape(total, 2)
    ends, windows, start = [], [], 0
    for count in counts:
        part = slice(start, start + count)
        rows.accept(Frame("m", ("a", "b"), [t * SECOND for t in range(*part.indices(total))], values[part]))
        start += count
        if (given_out := rows.take_windows()) is not None:
            ends += given_out.end_rows.tolist()
            windows += list(given_out.values)
    expected = [end for end in range(total) if (end + 1) % hop == 0 and end + 1 >= T]
    assert ends == expected
    for end, window in zip(ends, windows, strict=True):
        np.testing.assert_array_equal(window, values[end - T + 1 : end + 1, ::-1].T)


def test_no_window_bridges_a_long_pause() -> None:
    rows = buffer()
    rows.arrange(["a", "b"], period_ns=SECOND, hop_rows=1)
    for t in [*range(10), *range(100, 110)]:
        rows.accept(frame(t, t, t))
    given_out = rows.take_windows()
    assert given_out is not None
    assert given_out.end_rows.tolist() == [7, 8, 9, 17, 18, 19]


def test_rows_before_commissioning_are_bounded() -> None:
    rows = buffer(keep_rows=64)
    for t in range(5000):
        rows.accept(frame(t, t, t))
    assert 64 <= len(rows.history()) <= 64 * 3 + 512
    assert rows.history()[-1, 0] == 4999


@pytest.mark.parametrize(("period_s", "hop"), [(1.0, 1), (0.05, 20), (180.0, 1), (0.4, 3)])
def test_a_machine_is_scored_at_most_about_once_a_second(period_s: float, hop: int) -> None:
    assert buffer().hop_rows(int(period_s * SECOND)) == hop


def test_with_a_grid_a_gateway_clock_that_is_set_back_begins_afresh() -> None:
    second = 1_000_000_000
    aligner = Aligner(period_ns=second, lateness_ns=2 * second, bridge_rows=64, rule=lambda _: "mean")
    rows = RowBuffer("m", WindowSettings(window_rows=4), keep_rows=100, aligner=aligner)
    rows.add_channels(["a"])
    for start in (5000, 1000):
        for t in range(10):
            frame = Frame("m", ("a",), [(start + t) * second], [[float(t)]], stamped=False)
            assert rows.accept(frame) == "accepted"
    assert rows.row_count == 10 + 8  # all of the first, and what the lateness lets out of the second
    assert rows.last_time_ns == 1007 * second
