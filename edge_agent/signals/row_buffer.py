"""Frames to windows: gathers rows of one machine and cuts overlapping windows of T rows. Pure; knows no model.

Rules:
- A row is closed when every known channel has a value for its time, or when a later time arrives.
- Times must rise: an older sample is late; a sample for a cell that is filled already is a duplicate.
- Messages that carry one channel and no time are put on a grid of `grid_ns`, so that channels meet in a row: `cells`.
- A missing value is held for `hold_rows` rows, then hidden (NaN).
- A pause longer than a window's span starts afresh: no window bridges it.
- Arrival times that go back by more than `_CLOCK_STEP_NS` mean that the gateway's clock was set: afresh, too.
"""

import math
from collections.abc import Sequence

import numpy as np

from edge_agent.records import Float32, Frame, Taken, WindowBlock
from edge_agent.signals.alignment import Aligner
from edge_agent.signals.arrival_grid import place
from edge_agent.signals.buffer_state import RingState
from edge_agent.signals.gaps import fill_hidden, hold, segment_starts
from edge_agent.signals.row_arrays import Bools, Ints, Rows, cut_windows, ordered
from edge_agent.signals.settings import WindowSettings

__all__ = ["RingState", "RowBuffer"]

_Values = Sequence[float] | Float32

_FRESH_ROWS = 64
"""Rows that are turned into arrays together, at the latest."""
_LAYOUTS_LIMIT = 64
"""Different sets of channels in a machine's messages that are remembered."""
_CLOCK_STEP_NS = 5_000_000_000
"""Messages are taken in the order of their arrival: only a clock that was set makes an arrival so much earlier."""


class RowBuffer:
    """The rows of one machine, growing while it is commissioned and sliding afterwards."""

    def __init__(
        self,
        machine: str,
        settings: WindowSettings,
        *,
        window_rows: int,
        keep_rows: int,
        aligner: Aligner | None = None,
    ) -> None:
        """Begin; with an aligner samples of any rate become rows on its grid.

        Args:
            machine: its name.
            settings: what the file says of rows and windows.
            window_rows: T, rows of a window, as the model says.
            keep_rows: rows that are kept while it is commissioned.
            aligner: see `alignment`.
        """
        self.aligner = aligner
        self.machine = machine
        self.channels: list[str] = []
        self.row_count = 0
        """Rows closed since the machine was first heard."""
        self.last_time_ns: int | None = None
        self._settings = settings
        self._window_rows = window_rows
        self._index: dict[str, int] = {}
        self._order: list[int] = []
        self._columns_of: dict[tuple[str, ...], list[int]] = {}
        self._arrays = Rows()
        self._fresh: list[tuple[int, int, _Values]] = []  # time, start and values of rows to be added
        self._age: Ints = np.empty(0, np.int64)  # C rows since the channel was last observed
        self._last: Float32 = np.empty(0, np.float32)  # C last observed values
        self._pending: Float32 | None = None  # C
        self._pending_ns = self._opened_ns = 0  # its time, and when the first bare number of it came
        self._segment_row = 0  # first row after the last long pause
        self._scored_row = 0
        self._span_ns = 0  # time that a window spans; 0: not known yet
        self._hop_rows = 0  # 0: no windows are given out yet
        self._inspected_row = 0
        self._keep_rows = keep_rows

    # -- taking rows in -------------------------------------------------------------------------------------

    def add_channels(self, names: Sequence[str]) -> None:
        """Widen every row by new channels, hidden in the past."""
        new = [name for name in names if name not in self._index]
        if not new:
            return
        self._kept.widen(len(new))
        for name in new:
            self._index[name] = len(self.channels)
            self.channels.append(name)
        self._order = [*range(len(self.channels))]
        self._age = np.concatenate([self._age, np.full(len(new), np.iinfo(np.int64).max // 2)])
        self._last = np.concatenate([self._last, np.full(len(new), np.nan, np.float32)])
        if self._pending is not None:
            self._pending = np.concatenate([self._pending, np.full(len(new), np.nan, np.float32)])

    def known(self, channel: str) -> bool:
        """Whether the machine has this channel."""
        return channel in self._index

    def knows(self, channels: tuple[str, ...]) -> bool:
        """Whether the machine has all of them."""
        return channels in self._columns_of or all(name in self._index for name in channels)

    def accept(self, frame: Frame) -> Taken:
        """Take a frame whose channels are known.

        Returns:
            "accepted" if any of its rows brought something new, else "late", "duplicate" or "surplus".
        """
        if not frame.stamped and self._set_back(frame.times_ns[0]):
            self._begin_afresh()
        if self.aligner is not None:
            return self._accept_aligned(self.aligner, frame)
        columns = self._columns(frame.channels)
        whole = len(columns) == len(self.channels) and not frame.partial
        if whole and len(frame.rows) > 1:
            times = np.asarray(frame.times_ns, np.int64)
            if self._rises(times):
                self._append(times, self._arranged(frame.rows, columns))
                return "accepted"
        best: Taken = "late"
        for time_ns, row in zip(frame.times_ns, frame.rows, strict=True):
            outcome = self._accept_row(frame, time_ns, row, columns=columns, whole=whole)
            if outcome == "accepted" or best == "late":
                best = outcome
        return best

    def _accept_aligned(self, aligner: Aligner, frame: Frame) -> Taken:
        outcome = aligner.add(frame)
        times, rows = aligner.take(self.channels)
        if len(times):
            self._append(times, rows)
        return outcome

    def _columns(self, names: tuple[str, ...]) -> list[int]:
        """Where each name's value goes; remembered, because a machine sends the same names again and again."""
        columns = self._columns_of.get(names)
        if columns is None:
            if len(self._columns_of) >= _LAYOUTS_LIMIT:
                self._columns_of.clear()
            columns = self._columns_of[names] = [self._index[name] for name in names]
        return columns

    def _set_back(self, arrival_ns: int) -> bool:
        """Whether the clock that stamps arrivals was set back."""
        newest = self._pending_ns if self._pending is not None else self.last_time_ns
        if self.aligner is not None:
            newest = self.aligner.newest_ns
        step = max(_CLOCK_STEP_NS, 2 * self._settings.grid_ns)
        return newest is not None and arrival_ns < newest - step

    def _begin_afresh(self) -> None:
        """Take any time for the next row's; no window bridges this point."""
        self.flush()
        if self.aligner is not None:
            times, rows = self.aligner.begin_afresh(self.channels)
            if len(times):
                self._append(times, rows)
        self.last_time_ns = None
        self._segment_row = self.row_count

    def interrupt(self) -> None:
        """All values have ended: nothing is held, and no window bridges this point. Times still rise."""
        self.flush()
        if self._fresh:
            self._add_fresh()
        self._segment_row = self.row_count
        self._age[:] = np.iinfo(np.int64).max // 2
        self._last[:] = np.nan

    def _rises(self, times: Ints) -> bool:
        start = -1 if self.last_time_ns is None else self.last_time_ns
        return self._pending is None and bool(times[0] > start) and bool(np.all(times[1:] > times[:-1]))

    def _arranged(self, rows: Sequence[_Values] | Float32, columns: list[int]) -> Float32:
        """A copy [R, C] with each value in its column."""
        found = np.empty((len(rows), len(columns)), np.float32)
        found[:, slice(None) if columns == self._order else columns] = rows
        return found

    def _accept_row(
        self, frame: Frame, time_ns: int, row: _Values, *, columns: list[int], whole: bool
    ) -> Taken:
        if frame.partial and not frame.stamped:
            if (placed := self._place(time_ns, columns)) is None:
                return "surplus"
            time_ns = placed
        if self._pending is not None and time_ns > self._pending_ns:
            self.flush()
        if self.last_time_ns is not None and time_ns <= self.last_time_ns:
            return self._patch_last(row, columns) if time_ns == self.last_time_ns else "late"
        if self._pending is not None and time_ns < self._pending_ns:
            return "late"
        if self._pending is None and whole:
            self._append_one(time_ns, row if columns == self._order else ordered(row, columns))
            return "accepted"
        return self._gather(time_ns, row, columns)

    def _place(self, arrival_ns: int, columns: list[int]) -> int | None:
        """The time of the row that a bare number belongs to; None where it is surplus."""
        settings, waiting, kept = self._settings, self._pending, self._kept
        latest = kept.values[-1:] if waiting is None else waiting[np.newaxis]
        newest_ns = self.last_time_ns if waiting is None else self._pending_ns
        placed = place(
            arrival_ns,
            grid_ns=settings.grid_ns,
            newest_ns=newest_ns,
            opened_ns=None if waiting is None else self._opened_ns,
            free=bool(np.isnan(latest[:, columns]).any()),
            closed_ns=kept.times[-max(1, settings.hold_rows) :],
        )
        self._opened_ns = self._opened_ns if placed in (newest_ns, None) else arrival_ns
        return placed

    def _gather(self, time_ns: int, row: _Values, columns: list[int]) -> Taken:
        if self._pending is None:
            self._pending = np.full(len(self.channels), np.nan, np.float32)
            self._pending_ns = time_ns
        fresh = fill_hidden(self._pending, row, columns)
        if not np.isnan(self._pending).any():
            self.flush()
        return "accepted" if fresh else "duplicate"

    def _patch_last(self, row: _Values, columns: list[int]) -> Taken:
        """Samples for a row that is closed already: fill its hidden cells, refuse the rest as duplicates."""
        fresh = len(self._kept) > 0 and fill_hidden(self._kept.values[-1], row, columns)
        return "accepted" if fresh else "duplicate"

    def flush(self) -> None:
        """Close the row being gathered, if any."""
        pending, self._pending = self._pending, None
        if pending is not None:
            self._append_one(self._pending_ns, pending)

    def _append_one(self, time_ns: int, row: _Values) -> None:
        """Close one row [C], the commonest case by far, without the block's array work."""
        if math.isnan(sum(row)):
            self._append(np.array([time_ns], np.int64), np.array([row], np.float32))
            return
        if self.last_time_ns is not None and 0 < self._span_ns < time_ns - self.last_time_ns:
            self._segment_row = self.row_count
        self._fresh.append((time_ns, self._segment_row, row))
        self.row_count += 1
        self.last_time_ns = time_ns
        if len(self._fresh) >= _FRESH_ROWS:
            self._add_fresh()

    @property
    def _kept(self) -> Rows:
        if self._fresh:
            self._add_fresh()
        return self._arrays

    def _add_fresh(self) -> None:
        times, starts, rows = zip(*self._fresh, strict=True)
        self._fresh.clear()
        values = np.array(rows, np.float32)
        self._last[:], self._age[:] = values[-1], 0
        self._extend(values, seen=True, times=np.array(times, np.int64), starts=np.array(starts, np.int64))

    def _append(self, times: Ints, rows: Float32) -> None:
        """Close rows: rising times [R] later than the last, values [R, C]."""
        if self._fresh:
            self._add_fresh()
        seen = ~np.isnan(rows)
        self._age, self._last = hold(rows, age=self._age, last=self._last, limit=self._settings.hold_rows)
        last = (self.last_time_ns, self._segment_row)
        starts = segment_starts(times, last=last, span_ns=self._span_ns, row=self.row_count)
        self._segment_row = int(starts[-1])
        self._extend(rows, seen=seen, times=times, starts=starts)
        self.row_count += len(rows)
        self.last_time_ns = int(times[-1])

    def _extend(self, values: Float32, *, seen: Bools | bool, times: Ints, starts: Ints) -> None:
        unscored = self.row_count - self._scored_row + self._window_rows if self._hop_rows else 0
        keep = max(self._keep_rows, unscored)
        self._arrays.extend(
            values, seen=seen, times=times, starts=starts, keep=keep, double=not self._hop_rows
        )

    # -- across restarts ------------------------------------------------------------------------------------

    def save(self) -> RingState:
        """What to give to `restore` so that the next windows are the same."""
        rows, kept = self._kept, slice(-max(self._keep_rows, self._window_rows), None)
        return RingState(
            channels=tuple(self.channels),
            row_count=self.row_count,
            last_time_ns=self.last_time_ns,
            rows=rows.values[kept].tobytes(),
            times=rows.times[kept].tobytes(),
            seen=rows.seen[kept].tobytes(),
            starts=rows.starts[kept].tobytes(),
            age=self._age.tobytes(),
            last=self._last.tobytes(),
            pending=None if self._pending is None else self._pending.tobytes(),
            pending_ns=self._pending_ns,
            opened_ns=self._opened_ns,
            segment_row=self._segment_row,
            scored_row=self._scored_row,
            span_ns=self._span_ns,
            hop_rows=self._hop_rows,
            align=None if self.aligner is None else self.aligner.save(),
        )

    def restore(self, state: RingState) -> None:
        """Go on where another buffer stood.

        Raises:
            ValueError: the arrays do not fit each other.
        """
        C = len(state.channels)
        times, starts = np.frombuffer(state.times, np.int64), np.frombuffer(state.starts, np.int64)
        rows = np.frombuffer(state.rows, np.float32).reshape(len(times), C)
        age, last = np.frombuffer(state.age, np.int64), np.frombuffer(state.last, np.float32)
        pending = None if state.pending is None else np.frombuffer(state.pending, np.float32).copy()
        if len(starts) != len(times) or {len(age), len(last), C if pending is None else len(pending)} != {C}:
            raise ValueError("arrays of different lengths")
        self.channels = list(state.channels)
        self._index = {name: at for at, name in enumerate(self.channels)}
        self._columns_of.clear()
        self._order = [*range(C)]
        seen = np.frombuffer(state.seen, np.bool_).reshape(rows.shape) if state.seen else ~np.isnan(rows)
        self._fresh.clear()
        self._arrays.restore(rows, seen=seen, times=times, starts=starts)
        self._age, self._last, self._pending = age.copy(), last.copy(), pending
        self.row_count, self.last_time_ns = state.row_count, state.last_time_ns
        self._pending_ns, self._opened_ns = state.pending_ns, state.opened_ns
        if self.aligner is not None and state.align is not None:
            self.aligner.restore(state.align)
        self._segment_row, self._scored_row = state.segment_row, state.scored_row
        self._span_ns, self._hop_rows = state.span_ns, state.hop_rows
        if self._hop_rows:
            self._keep_rows = self._window_rows

    def settle(self) -> None:
        """Give out no windows that end in the rows at hand: they were scored before."""
        self._scored_row = self._inspected_row = self.row_count
        if self.aligner is not None:
            self.aligner.lost.clear()

    # -- giving rows and windows out ------------------------------------------------------------------------

    def history(self, latest_rows: int | None = None) -> Float32:
        """A copy of the kept rows, [R, C], or of the latest of them."""
        return self._kept.values[0 if latest_rows is None else max(0, len(self._kept) - latest_rows) :].copy()

    def observed(self) -> Bools:
        """Which cells of `history` were observed and not held, [R, C]."""
        return self._kept.seen.copy()

    def take_rows(self) -> tuple[Float32, Ints]:
        """(rows as they were observed, NaN elsewhere [R, C], their times [R]) closed since the last call."""
        kept = self._kept
        new = slice(max(0, len(kept) - (self.row_count - self._inspected_row)), None)
        self._inspected_row = self.row_count
        rows, seen = kept.values[new], kept.seen[new]
        observed = rows.copy() if seen.all() else np.where(seen, rows, np.float32(np.nan))
        return observed, kept.times[new].copy()

    def inspected_rows(self) -> tuple[Float32, int]:
        """(the kept ones of the rows that `take_rows` gave out, [R, C], how many it gave out so far)."""
        kept = self._kept
        old = slice(max(0, len(kept) - (self.row_count - self._inspected_row)))
        return np.where(kept.seen[old], kept.values[old], np.float32(np.nan)), self._inspected_row

    def period_ns(self) -> int:
        """Median step between the kept rows; 0 with fewer than two."""
        return int(np.median(np.diff(self._kept.times))) if len(self._kept) > 1 else 0

    def hop_rows(self, period_ns: int) -> int:
        """Rows between windows so that a machine is scored at most once in `hop_s`."""
        return max(1, math.floor(self._settings.hop_s * 1e9 / period_ns + 0.5)) if period_ns > 0 else 1

    def arrange(self, channels: Sequence[str], *, period_ns: int, hop_rows: int) -> None:
        """Fix the channels and their order, and begin to give windows out, from the next row on."""
        self.add_channels(channels)
        self.flush()
        order = [self._index[name] for name in channels]
        self._kept.arrange(order)
        self._age, self._last = self._age[order], self._last[order]
        self.channels, self._order = list(channels), [*range(len(channels))]
        self._index = {name: at for at, name in enumerate(channels)}
        self._columns_of.clear()
        self._span_ns, self._hop_rows = self._window_rows * period_ns, hop_rows
        self._keep_rows = self._window_rows
        self._scored_row = self._inspected_row = self.row_count

    def take_windows(self) -> WindowBlock | None:
        """The windows that fell due since the last call; None where there is none."""
        if self._hop_rows == 0:
            return None
        span, step = self._window_rows, self._hop_rows
        first_row = self.row_count - len(self._arrays) - len(self._fresh)
        earliest = max(self._scored_row + 1, first_row + span)
        first_end = -(-earliest // step) * step
        if first_end > self.row_count:
            self._scored_row = self.row_count
            return None
        kept = self._kept
        first_row = self.row_count - len(kept)
        ends = np.arange(first_end, self.row_count + 1, step)
        ends = ends[ends - span >= kept.starts[ends - 1 - first_row]]
        self._scored_row = self.row_count
        if len(ends) == 0:
            return None
        return WindowBlock(
            machine=self.machine,
            values=cut_windows(kept.values, (ends - span - first_row).tolist(), span),
            end_rows=ends - 1,
            times_ns=kept.times[ends - 1 - first_row],
        )
