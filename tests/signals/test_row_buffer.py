"""Rows are gathered and windows cut as the module's rules say."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.records import Frame
from edge_agent.signals.alignment import Aligner
from edge_agent.signals.row_buffer import BufferState, RowBuffer
from edge_agent.signals.settings import WindowSettings

SECOND = 1_000_000_000
T = 8


def buffer(*, hold_rows: int = 2, keep_rows: int = 64) -> RowBuffer:
    rows = RowBuffer("m", WindowSettings(hold_rows=hold_rows), window_rows=T, keep_rows=keep_rows)
    rows.add_channels(["a", "b"])
    return rows


def frame(second: float, *values: float, channels: tuple[str, ...] = ("a", "b"), **kwargs: bool) -> Frame:
    return Frame("m", channels, [int(second * SECOND)], [values], **kwargs)


def test_whole_rows_are_kept_in_order() -> None:
    rows = buffer()
    assert [rows.accept(frame(t, t, -t)) for t in range(3)] == ["accepted"] * 3
    np.testing.assert_array_equal(rows.latest(), [[0, 0], [1, -1], [2, -2]])


def test_the_same_time_again_is_a_duplicate_and_an_earlier_one_late() -> None:
    rows = buffer()
    rows.accept(frame(5, 1, 2))
    assert rows.accept(frame(5, 1, 2)) == "duplicate"
    assert rows.accept(frame(4, 1, 2)) == "late"
    assert rows.store.row_count == 1


def test_halves_of_a_row_meet_by_their_time() -> None:
    rows = buffer()
    rows.accept(frame(0, 1, channels=("a",)))
    assert rows.store.row_count == 0
    rows.accept(frame(0, 2, channels=("b",)))
    np.testing.assert_array_equal(rows.latest(), [[1, 2]])


def test_bare_numbers_meet_on_the_grid_and_the_first_one_in_a_cell_wins() -> None:
    rows = buffer()
    bare = {"stamped": False, "partial": True}
    assert rows.accept(frame(10.1, 1, channels=("a",), **bare)) == "accepted"
    assert rows.accept(frame(10.4, 9, channels=("a",), **bare)) == "surplus"
    assert rows.accept(frame(10.9, 2, channels=("b",), **bare)) == "accepted"
    np.testing.assert_array_equal(rows.latest(), [[1, 2]])
    assert rows.store.last_time_ns == 10 * SECOND


def told_bare(rows: RowBuffer, *sets: tuple[float, float]) -> list[str]:
    """Both channels' bare numbers at each (arrival, value); what became of them."""
    bare = {"stamped": False, "partial": True}
    return [
        rows.accept(frame(t + at * 1e-6, value + at, channels=(channel,), **bare))
        for t, value in sets
        for at, channel in enumerate(("a", "b"))
    ]


def test_bare_numbers_of_a_sender_that_was_held_up_are_rows_and_no_duplicates() -> None:
    rows = buffer(hold_rows=5)
    normal = [(t + 0.2, 10.0 * t) for t in range(5)]
    late = [(7.1, 50.0), (7.2, 60.0), (7.3, 70.0)]  # the rows of 5.2 and 6.2 come with that of 7.2
    assert set(told_bare(rows, *normal, *late, (8.2, 80.0))) == {"accepted"}
    assert rows.latest()[:, 0].tolist() == [0, 10, 20, 30, 40, 50, 60, 70, 80]
    np.testing.assert_array_equal(rows.latest()[:, 1], rows.latest()[:, 0] + 1)
    assert told_bare(rows, (8.3, 90.0)) == ["surplus", "surplus"], "every cell has had its row by now"


def test_bare_numbers_of_a_row_astride_two_cells_stay_together() -> None:
    rows, bare = buffer(), {"stamped": False, "partial": True}
    for t in range(5):
        assert rows.accept(frame(t + 0.9, t, channels=("a",), **bare)) == "accepted"
        assert rows.accept(frame(t + 1.3, -t, channels=("b",), **bare)) == "accepted"
    np.testing.assert_array_equal(rows.latest(), [[t, -t] for t in range(5)])
    assert rows.accept(frame(5.9, 5, channels=("a",), **bare)) == "accepted"
    assert rows.accept(frame(6.5, 6, channels=("b",), **bare)) == "accepted"  # too long after: the row of 6
    assert rows.accept(frame(6.9, 6, channels=("a",), **bare)) == "accepted"
    np.testing.assert_array_equal(rows.latest()[-1], [6, 6])


def test_a_bare_row_that_waits_goes_on_after_a_restart() -> None:
    first, bare = buffer(), {"stamped": False, "partial": True}
    first.accept(frame(0.9, 1, channels=("a",), **bare))
    second = buffer()
    second.restore(first.save())
    second.accept(frame(1.3, 2, channels=("b",), **bare))
    np.testing.assert_array_equal(second.latest(), [[1, 2]])


def test_bare_numbers_that_arrive_in_the_same_nanosecond_are_rows_of_their_own() -> None:
    rows = buffer()
    assert set(told_bare(rows, (1.2, 1.0), (4.2, 2.0), (4.2, 3.0))) == {"accepted"}
    assert rows.latest()[:, 0].tolist() == [1, 2, 3]


def test_a_channel_faster_than_the_grid_is_thinned_to_it_and_its_row_is_not_parted() -> None:
    rows = buffer()
    bare = {"stamped": False, "partial": True}
    became = []
    for t in [*range(10), *range(40, 50)]:  # with a long pause, behind which nothing is to be caught up
        became += [rows.accept(frame(t + at / 10, at, channels=("a",), **bare)) for at in range(5)]
        became.append(rows.accept(frame(t + 0.9, 7, channels=("b",), **bare)))
    assert became == (["accepted"] + ["surplus"] * 4 + ["accepted"]) * 20
    assert rows.store.row_count == 20


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_bare_rows_never_outnumber_the_cells(seed: int, hold_rows: int) -> None:
    rng = np.random.default_rng(seed)
    rows = buffer(hold_rows=hold_rows)
    arrivals = np.cumsum(rng.exponential(0.7, 60))
    became = told_bare(rows, *((float(t), 1.0) for t in arrivals))
    times_ns = np.frombuffer(rows.save().times, np.int64)
    assert became.count("accepted") == 2 * rows.store.row_count == 2 * len(times_ns)
    assert (np.diff(times_ns) > 0).all()
    cells = times_ns // SECOND
    assert (np.arange(len(cells)) <= cells - cells[0]).all()
    assert set(cells) == {int(t) for t in arrivals}, "whatever comes into an empty cell is taken"


def test_a_row_that_stays_incomplete_is_closed_by_the_next_time() -> None:
    rows = buffer(hold_rows=0)
    rows.accept(frame(0, 1, channels=("a",)))
    rows.accept(frame(1, 2, 3))
    np.testing.assert_array_equal(rows.latest(), [[1, np.nan], [2, 3]])


def test_a_missing_value_is_held_for_hold_rows_and_then_hidden() -> None:
    rows = buffer(hold_rows=2)
    rows.accept(frame(0, 1, 7))
    for t in range(1, 5):
        rows.accept(frame(t, t, np.nan))
    rows.flush()
    np.testing.assert_array_equal(rows.latest()[:, 1], [7, 7, 7, np.nan, np.nan])


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
    np.testing.assert_array_equal(block.latest(), single.latest())


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
        if (given_out := rows.take_due().windows) is not None:
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
    given_out = rows.take_due().windows
    assert given_out is not None
    assert given_out.end_rows.tolist() == [7, 8, 9, 17, 18, 19]


def test_rows_before_commissioning_are_bounded() -> None:
    rows = buffer(keep_rows=64)
    for t in range(5000):
        rows.accept(frame(t, t, t))
    assert 64 <= len(rows.latest()) <= 64 * 3 + 512
    assert rows.latest()[-1, 0] == 4999


@pytest.mark.parametrize(("period_s", "hop"), [(1.0, 1), (0.05, 20), (180.0, 1), (0.4, 3)])
def test_a_machine_is_scored_at_most_about_once_a_second(period_s: float, hop: int) -> None:
    assert buffer().hop_rows(int(period_s * SECOND)) == hop


def test_with_a_grid_a_gateway_clock_that_is_set_back_begins_afresh() -> None:
    second = 1_000_000_000
    aligner = Aligner(period_ns=second, lateness_ns=2 * second, bridge_rows=64, rule=lambda _: "mean")
    rows = RowBuffer("m", WindowSettings(), window_rows=4, keep_rows=100, aligner=aligner)
    rows.add_channels(["a"])
    for start in (5000, 1000):
        for t in range(10):
            frame = Frame("m", ("a",), [(start + t) * second], [[float(t)]], stamped=False)
            assert rows.accept(frame) == "accepted"
    assert rows.store.row_count == 10 + 8  # all of the first, and what the lateness lets out of the second
    assert rows.store.last_time_ns == 1007 * second


WRITTEN = (
    "de0011a86368616e6e656c7392a161a162a9726f775f636f756e7405ac6c6173745f74696d655f6e73ceee6b2800a4726f7773c42000"
    "00c03f000080bf00002040000000c000006040000000c000009040000080c0a574696d6573c42000ca9a3b0000000000943577000000"
    "00005ed0b20000000000286bee00000000a6737461727473c42000000000000000000000000000000000000000000000000000000000"
    "00000000a3616765c41000000000000000000000000000000000a46c617374c40800009040000080c0a770656e64696e67c4080000b0"
    "400000c07faa70656e64696e675f6e73cf000000012a05f200ab7365676d656e745f726f7700aa73636f7265645f726f7700a7737061"
    "6e5f6e73ceee6b2800a8686f705f726f777302a47365656ec4080101010101000101a5616c69676ec0a96f70656e65645f6e7300"
)
"""A buffer of two channels as agents in the field have written it down: four rows, a held cell, half a row that waits,
nothing scored yet."""


def test_what_older_agents_wrote_goes_on_and_is_written_the_same() -> None:
    raw = bytes.fromhex(WRITTEN)
    rows = RowBuffer("m", WindowSettings(hold_rows=2), window_rows=4, keep_rows=4)
    rows.restore(msgspec.msgpack.decode(raw, type=BufferState))
    assert msgspec.msgpack.encode(rows.save()) == raw
    assert rows.accept(frame(5, -5.0, channels=("b",), partial=True)) == "accepted"
    windows = rows.take_due().windows
    assert windows is not None
    assert windows.end_rows.tolist() == [5]
    np.testing.assert_array_equal(windows.values[-1], [[2.5, 3.5, 4.5, 5.5], [-2, -2, -4, -5]])


def test_where_only_changes_are_told_values_stand_and_windows_bridge_pauses() -> None:
    rows = buffer(hold_rows=2)
    for t in range(T):
        rows.accept(frame(t, t, 1, by_exception=True))
    rows.arrange(["a", "b"], period_ns=SECOND, hop_rows=1)
    for t in range(4 * T, 4 * T + T):
        rows.accept(frame(t, t, channels=("a",), by_exception=True))
    rows.flush()
    due = rows.take_due()
    assert due.windows is not None
    np.testing.assert_array_equal(due.windows.values[0][:, -2:], [[T - 1, 4 * T], [1, 1]])
    np.testing.assert_array_equal(due.windows.values[-1][1], [1] * T)
    assert np.isnan(due.rows[:, 1]).all()  # nobody has said it again


def test_values_that_stand_end_with_the_device() -> None:
    rows = buffer()
    rows.accept(frame(0, 1, 2, by_exception=True))
    rows.interrupt()
    rows.accept(frame(1, 5, channels=("a",), by_exception=True))
    rows.flush()
    np.testing.assert_array_equal(rows.latest(), [[1, 2], [5, np.nan]])
