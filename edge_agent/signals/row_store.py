"""The closed rows of one machine: added at one end, held where nothing was observed, forgotten at the other. Pure.

Rules:
- Times rise from row to row; whoever adds rows sees to that.
- A missing value is held for `hold_rows` rows, then hidden (NaN).
- A pause longer than `span_ns` begins a new segment: no window bridges it.
- Where values stand until they are said to have changed, both last for ever: `let_values_stand`.

Axes: R rows, C channels.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32
from edge_agent.signals.row_arrays import Bools, Ints, RowArrays

Row = Sequence[float] | Float32

_FRESH_ROWS = 64
"""Rows that are turned into arrays together, at the latest."""
_LONG_AGO = np.iinfo(np.int64).max // 2


class RowStore:
    """Rows that grow while a machine is commissioned and slide afterwards.

    Attributes:
        channels: C names, in the order of every row.
        index: where each stands.
        order: 0 to C - 1.
        row_count: rows closed since the machine was first heard.
        last_time_ns: of the newest row; None: any time may come next.
        segment_row: first row after the last long pause.
        span_ns: time that a window spans; 0: not known yet.
        keep_rows: older rows are forgotten, unless they are wanted.
        wanted_row: rows from this one on are still wanted; None while rows are only gathered.
    """

    def __init__(self, *, hold_rows: int, keep_rows: int) -> None:
        self.channels: list[str] = []
        self.index: dict[str, int] = {}
        self.order: list[int] = []
        self.row_count = 0
        self.last_time_ns: int | None = None
        self.segment_row = 0
        self.span_ns = 0
        self.keep_rows = keep_rows
        self.wanted_row: int | None = None
        self.values_stand = False
        self._hold_rows = hold_rows
        self._arrays = RowArrays()
        self._fresh: list[
            tuple[int, int, Row]
        ] = []  # time, segment's first row and values of rows to be added
        self.age: Ints = np.empty(0, np.int64)
        """[C] rows since the channel was last observed."""
        self.last: Float32 = np.empty(0, np.float32)
        """[C] last observed values."""

    @property
    def kept(self) -> RowArrays:
        """The rows that are kept."""
        if self._fresh:
            self._add_fresh()
        return self._arrays

    def let_values_stand(self) -> None:
        """From now on what is not said has not changed: values are held, and pauses bridged, until they end."""
        self.values_stand = True
        self._hold_rows = _LONG_AGO - 1

    @property
    def _pause_ns(self) -> int:
        """A longer pause begins a new segment; 0: none does."""
        return 0 if self.values_stand else self.span_ns

    def add_channels(self, names: Sequence[str]) -> None:
        """Widen every row by new channels, hidden in the past."""
        self.kept.widen(len(names))
        for name in names:
            self.index[name] = len(self.channels)
            self.channels.append(name)
        self.order = [*range(len(self.channels))]
        self.age = np.concatenate([self.age, np.full(len(names), _LONG_AGO)])
        self.last = np.concatenate([self.last, np.full(len(names), np.nan, np.float32)])

    def arrange(self, channels: Sequence[str]) -> None:
        """Keep these channels alone, in this order."""
        order = [self.index[name] for name in channels]
        self.kept.arrange(order)
        self.age, self.last = self.age[order], self.last[order]
        self._name(channels)

    def _name(self, channels: Sequence[str]) -> None:
        self.channels = list(channels)
        self.order = [*range(len(channels))]
        self.index = {name: at for at, name in enumerate(channels)}

    def append_row(self, time_ns: int, row: Row) -> None:
        """Close one row [C], the commonest case by far, without the block's array work."""
        if math.isnan(sum(row)):
            self.append_rows(np.array([time_ns], np.int64), np.array([row], np.float32))
            return
        if self.last_time_ns is not None and 0 < self._pause_ns < time_ns - self.last_time_ns:
            self.segment_row = self.row_count
        self._fresh.append((time_ns, self.segment_row, row))
        self.row_count += 1
        self.last_time_ns = time_ns
        if len(self._fresh) >= _FRESH_ROWS:
            self._add_fresh()

    def append_rows(self, times: Ints, rows: Float32) -> None:
        """Close rows: rising times [R] later than the last, values [R, C], which are overwritten."""
        if self._fresh:
            self._add_fresh()
        observed = ~np.isnan(rows)
        self.age, self.last = hold(rows, age=self.age, last=self.last, limit=self._hold_rows)
        last = (self.last_time_ns, self.segment_row)
        starts = segment_starts(times, last=last, span_ns=self._pause_ns, row=self.row_count)
        self.segment_row = int(starts[-1])
        self._extend(rows, observed=observed, times=times, starts=starts)
        self.row_count += len(rows)
        self.last_time_ns = int(times[-1])

    def begin_segment(self) -> None:
        """No window bridges this point."""
        self.segment_row = self.row_count

    def end_values(self) -> None:
        """Nothing that was observed is held any longer."""
        if self._fresh:
            self._add_fresh()
        self.age[:] = _LONG_AGO
        self.last[:] = np.nan

    def _add_fresh(self) -> None:
        times, starts, rows = zip(*self._fresh, strict=True)
        self._fresh.clear()
        values = np.array(rows, np.float32)
        self.last[:], self.age[:] = values[-1], 0
        self._extend(
            values, observed=True, times=np.array(times, np.int64), starts=np.array(starts, np.int64)
        )

    def _extend(self, values: Float32, *, observed: Bools | bool, times: Ints, starts: Ints) -> None:
        wanted = 0 if self.wanted_row is None else self.row_count - self.wanted_row
        keep = max(self.keep_rows, wanted)
        double = self.wanted_row is None
        self._arrays.extend(values, observed=observed, times=times, starts=starts, keep=keep, double=double)

    def restore(self, channels: Sequence[str], *, age: Ints, last: Float32) -> None:
        """Go on with these channels; the rows follow by `kept.restore`."""
        self._name(channels)
        self._fresh.clear()
        self.age, self.last = age.copy(), last.copy()


def hold(
    rows: Float32, *, age: NDArray[np.int64], last: Float32, limit: int
) -> tuple[NDArray[np.int64], Float32]:
    """Fill hidden cells of rows [R, C] in place by the last observed value while it is young enough.

    Args:
        rows: at least one row.
        age: rows since each channel was last observed, [C].
        last: the last observed values, [C].
        limit: rows for which a value is held.

    Returns:
        age and last after the rows.
    """
    hidden = np.isnan(rows)
    if not hidden.any():
        return np.zeros_like(age), rows[-1].copy()
    steps = np.arange(1, len(rows) + 1)[:, np.newaxis]
    newest = np.maximum.accumulate(np.where(hidden, 0, steps), axis=0)  # 0: not seen in this block
    grown = np.where(newest > 0, steps - newest, age + steps)
    held = np.take_along_axis(np.concatenate([last[np.newaxis], rows]), newest, axis=0)
    rows[:] = np.where(grown <= limit, held, np.nan)
    return grown[-1], held[-1]


def segment_starts(
    times_ns: NDArray[np.int64], *, last: tuple[int | None, int], span_ns: int, row: int
) -> NDArray[np.int64]:
    """For each new row, the first row after the last long pause before it, [R].

    Args:
        times_ns: of the new rows, rising, [R].
        last: time of the row before them, if any, and the row with which its segment began.
        span_ns: a longer pause begins a new segment; 0: none does.
        row: number of the first of them.
    """
    before_ns, start_row = last
    starts = np.full(len(times_ns), start_row, np.int64)
    if span_ns and before_ns is not None and times_ns[-1] - before_ns > span_ns:
        for at in np.flatnonzero(np.diff(times_ns, prepend=before_ns) > span_ns):
            starts[at:] = row + at
    return starts
