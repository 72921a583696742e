"""One time decides nothing for those that follow; a clock that has leapt, or was set back for good, is followed."""

import pytest

from edge_agent.records import Frame
from edge_agent.signals.alignment import Aligner
from edge_agent.signals.row_buffer import RowBuffer
from edge_agent.signals.settings import WindowSettings

START_NS = 1_700_000_000 * 10**9
SECOND_NS = 10**9


class Source:
    """A machine that sends a row at each step of its own clock, which may be wrong."""

    def __init__(self, *, period_s: float = 0.25, grid: bool = False) -> None:
        self.period_ns = round(period_s * 1e9)
        self.now_ns = START_NS
        aligner = Aligner(
            period_ns=self.period_ns, lateness_ns=0, bridge_rows=3, rule=lambda _channel: "mean"
        )
        self.buffer = RowBuffer(
            "m", WindowSettings(), window_rows=8, keep_rows=10_000, aligner=aligner if grid else None
        )
        self.buffer.add_channels(["a"])

    def send(self, count: int = 1, *, ahead_s: float = 0.0, arrive: bool = True) -> list[str]:
        """So many rows; without `arrive` all at once."""
        found = []
        arrival_ns = self.now_ns
        for _ in range(count):
            self.now_ns += self.period_ns
            arrival_ns = self.now_ns if arrive else arrival_ns
            time_ns = self.now_ns + round(ahead_s * 1e9)
            frame = Frame("m", ("a",), (time_ns,), ((1.0,),), received_ns=arrival_ns)
            found.append(str(self.buffer.accept(frame)))
        return found

    @property
    def rows(self) -> int:
        return self.buffer.store.row_count


@pytest.mark.parametrize("grid", [False, True])
def test_one_row_from_the_future_makes_no_other_late(*, grid: bool) -> None:
    source = Source(grid=grid)
    source.send(20)
    source.send(1, ahead_s=290.0)
    assert set(source.send(20)) == {"accepted"}
    assert source.buffer.lost["late"] == 1, "the outlier, and nothing else"


def test_a_leap_that_a_second_row_confirms_is_followed_and_costs_no_row() -> None:
    source = Source()
    source.send(20)
    assert set(source.send(20, ahead_s=60.0)) == {"accepted"}
    assert source.rows == 40
    assert source.buffer.lost["late"] == 0


def test_two_outliers_that_do_not_agree_are_both_dropped() -> None:
    source = Source()
    source.send(20)
    source.send(1, ahead_s=290.0)
    source.send(1, ahead_s=120.0)
    assert set(source.send(5)) == {"accepted"}
    assert source.buffer.lost["late"] == 2


@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("period_s", [0.01, 0.25, 1.0, 60.0])
def test_a_clock_that_was_set_back_for_good_is_followed(period_s: float, *, grid: bool) -> None:
    source = Source(period_s=period_s, grid=grid)
    source.send(50)
    outcomes = source.send(1000, ahead_s=-3600.0)
    first = outcomes.index("accepted")
    assert first >= 9
    assert first * period_s <= max(10 * period_s, 4.0)
    assert set(outcomes[first:]) == {"accepted"}


def test_a_first_row_from_the_future_is_outlived() -> None:
    source = Source()
    source.send(1, ahead_s=200.0)
    assert source.send(40)[-1] == "accepted"


def test_history_that_is_sent_again_is_late_and_no_clock_was_set() -> None:
    source = Source()
    source.send(400)
    for second in range(75):  # as fast as the network is
        time_ns = source.now_ns - (75 - second) * SECOND_NS
        frame = Frame("m", ("a",), (time_ns,), ((1.0,),), received_ns=source.now_ns)
        assert source.buffer.accept(frame) == "late"
    assert set(source.send(5)) == {"accepted"}


def test_single_late_rows_among_right_ones_are_late() -> None:
    source = Source()
    source.send(20)
    for _ in range(40):
        assert source.send(1) == ["accepted"]
        source.now_ns -= source.period_ns
        assert source.send(1, ahead_s=-30.0) == ["late"]


def test_a_pause_and_a_queue_that_is_worked_off_are_no_leap() -> None:
    source = Source()
    source.send(20)
    source.now_ns += 3600 * SECOND_NS
    assert source.send(1) == ["accepted"]
    assert source.rows == 21, "not held back"
    source.send(200, arrive=False)
    assert source.rows == 221


def test_a_recording_knows_no_arrival_and_is_read_as_it_is() -> None:
    source = Source()
    for second in (0, 1, 500, 2, 3):
        source.buffer.accept(Frame("m", ("a",), (START_NS + second * SECOND_NS,), ((1.0,),)))
    assert source.rows == 3
