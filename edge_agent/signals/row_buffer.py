"""One machine's samples from frame to window: what goes in by one of three intakes comes out once it falls due. Pure.

`row_store` keeps the rows, frames come in by `intake`, `windows` cuts; here these are put together, and written down
and restored as one. Knows no model.

A pause longer than a window's span starts afresh: no window bridges it. Arrival times that go back by more than
`_CLOCK_STEP_NS` mean that the gateway's clock was set: afresh, too.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edge_agent.records import Float32, Frame, Taken, WindowBlock
from edge_agent.signals.alignment import Aligner, AlignState, Loss
from edge_agent.signals.clock_guard import ClockGuard
from edge_agent.signals.intake import BlockIntake, GridIntake, RowIntake
from edge_agent.signals.row_arrays import Bools, Ints
from edge_agent.signals.row_store import RowStore
from edge_agent.signals.settings import WindowSettings
from edge_agent.signals.windows import WindowCutter

_LAYOUTS_LIMIT = 64
"""Different sets of channels in a machine's messages that are remembered."""
_CLOCK_STEP_NS = 5_000_000_000
"""Messages are taken in the order of their arrival: only a clock that was set makes an arrival so much earlier."""

_LATE_CELLS = 2_000_000
"""Readings in the windows that are given out late, all at once: 8 MB, 1,950 windows of a machine of 8 channels."""


@dataclass(frozen=True, slots=True)
class BufferState:
    """All that a row buffer remembers; arrays as their bytes, so that it can be written down as it is.

    Attributes:
        rows: [R, C] float32, the kept rows. times, starts: [R] int64.
        seen: [R, C] bool, the cells that were observed and not held.
        age: [C] int64. last: [C] float32. pending: [C] float32, the row being gathered.
    """

    channels: tuple[str, ...]
    row_count: int
    last_time_ns: int | None
    rows: bytes
    times: bytes
    starts: bytes
    age: bytes
    last: bytes
    pending: bytes | None
    pending_ns: int
    segment_row: int
    scored_row: int
    span_ns: int
    hop_rows: int
    seen: bytes = b""
    align: AlignState | None = None
    opened_ns: int = 0


class Due(NamedTuple):  # a dataclass takes twice as long, and every row of every machine comes out in one
    """What a machine's rows give out at a time.

    Attributes:
        rows: [R, C] the new rows as they were observed, NaN elsewhere.
        times_ns: [R] of them.
        windows: that end in them, if any.
        row_count: rows of the machine so far.
    """

    rows: Float32
    times_ns: Ints
    windows: WindowBlock | None
    row_count: int


@dataclass(frozen=True, slots=True)
class History:
    """Rows to learn from.

    Attributes:
        rows: [R, C] in physical units, NaN where hidden.
        observed: [R, C] cells that were observed; the others are hidden or hold an older value.
        period_ns: median step between rows; 0 with fewer than two.
        hop_rows: rows between windows so that a machine is scored at most once in `hop_s`.
    """

    rows: Float32
    observed: Bools
    period_ns: int
    hop_rows: int


class RowBuffer:
    """The rows of one machine.

    Attributes:
        store: the closed rows; others read it.
        lost: samples of accepted frames that came too late for their row, or twice; who counts them clears it.
    """

    def __init__(
        self,
        machine: str,
        settings: WindowSettings,
        *,
        window_rows: int,
        keep_rows: int,
        aligner: Aligner | None = None,
        shown_rows: int = 0,
    ) -> None:
        """Begin; with an aligner samples of any rate become rows on its grid.

        Args:
            machine: its name.
            settings: what the file says of rows and windows.
            window_rows: T, rows of a window, as the model says.
            keep_rows: rows that are kept while it is commissioned.
            aligner: see `alignment`.
            shown_rows: that are kept for people to look at, where a window has fewer.
        """
        self.store = RowStore(hold_rows=settings.hold_rows, keep_rows=keep_rows)
        self._rows = RowIntake(self.store, hold_rows=settings.hold_rows, grid_ns=settings.grid_ns)
        self._blocks = BlockIntake(self.store)
        self._grid = None if aligner is None else GridIntake(self.store, aligner)
        self._cutter = WindowCutter(machine, self.store, window_rows=window_rows)
        self.lost: Counter[Loss] = Counter() if aligner is None else aligner.lost
        self._settings = settings
        self._window_rows = window_rows
        self._shown_rows = max(window_rows, shown_rows)
        self._columns_of: dict[tuple[str, ...], list[int]] = {}
        self._inspected_row = 0
        self._guard = ClockGuard()

    @property
    def window_rows(self) -> int:
        """T, rows of a window."""
        return self._window_rows

    # -- in ---------------------------------------------------------------------------------------------------

    def add_channels(self, names: Sequence[str]) -> None:
        """Widen every row by new channels, hidden in the past."""
        if new := self.unknown(names):
            self.store.add_channels(new)
            self._rows.widen(len(new))

    def unknown(self, names: Sequence[str]) -> list[str]:
        """Those of the channels that the machine does not have."""
        return [name for name in names if name not in self.store.index]

    def accept(self, frame: Frame) -> Taken | None:
        """Take a frame.

        Returns:
            "accepted" if any of its rows brought something new, else "late", "duplicate" or "surplus"; None where it
            has a channel that the machine does not have, and nothing of it was taken.
        """
        columns = self._columns_of.get(frame.channels)
        if columns is None and (columns := self._columns(frame.channels)) is None:
            return None
        if frame.by_exception and not self.store.values_stand:
            self.store.let_values_stand()
        if frame.received_ns and frame.stamped:
            return self._accept_by_clock(frame, columns)
        if not frame.stamped and self._set_back(frame.times_ns[0]):
            self._begin_afresh()
        return self._take(frame, columns)

    def _accept_by_clock(self, frame: Frame, columns: list[int]) -> Taken:
        """Take a frame with a time of its own, which may be held back, and the one that was held back before it."""
        guard = self._guard
        outcome: Taken = "accepted"  # what is held back may be
        for one in guard.admit(frame):
            known = columns if one is frame else self._columns(one.channels)
            outcome = "late" if known is None else self._take(one, known)
            if outcome == "accepted":
                guard.was_taken(one)
        if outcome == "late" and guard.was_late(frame):
            self._begin_afresh()
            outcome = self._take(frame, columns)
            guard.was_taken(frame)
        if guard.lost:
            self.lost["late"] += guard.lost
            guard.lost = 0
        return outcome

    def _take(self, frame: Frame, columns: list[int]) -> Taken:
        """Take a frame's rows by the way that is theirs."""
        if self._grid is not None:
            return self._grid.take(frame)
        whole = len(columns) == len(self.store.order) and not frame.partial
        block = whole and len(frame.rows) > 1 and self._rows.pending is None
        if block and self._blocks.take(frame, columns):
            return "accepted"
        return self._rows.take(frame, columns, whole=whole)

    def _columns(self, names: tuple[str, ...]) -> list[int] | None:
        """Where each name's value goes; remembered, because a machine sends the same names again and again."""
        index = self.store.index
        if not all(name in index for name in names):
            return None
        if len(self._columns_of) >= _LAYOUTS_LIMIT:
            self._columns_of.clear()
        columns = self._columns_of[names] = [index[name] for name in names]
        return columns

    def _set_back(self, arrival_ns: int) -> bool:
        """Whether the clock that stamps arrivals was set back."""
        if self._grid is not None:
            newest = self._grid.aligner.newest_ns
        else:
            newest = self._rows.pending_ns if self._rows.pending is not None else self.store.last_time_ns
        step = max(_CLOCK_STEP_NS, 2 * self._settings.grid_ns)
        return newest is not None and arrival_ns < newest - step

    def _begin_afresh(self) -> None:
        """Take any time for the next row's; no window bridges this point."""
        self._rows.flush()
        if self._grid is not None:
            self._grid.begin_afresh()
        self.store.last_time_ns = None
        self.store.begin_segment()

    def interrupt(self) -> None:
        """All values have ended: nothing is held, and no window bridges this point. Times still rise."""
        self._rows.flush()
        self.store.begin_segment()
        self.store.end_values()

    def flush(self) -> None:
        """Close the row being gathered, if any."""
        self._rows.flush()

    # -- out --------------------------------------------------------------------------------------------------

    def arrange(
        self, channels: Sequence[str], *, period_ns: int, hop_rows: int, since_row: int | None = None
    ) -> None:
        """Fix the channels and their order, and begin to give windows out, from the next row on.

        Where `since_row` says so, from that row on: the rows since then, as far as they are kept and as their windows
        find room, were gathered while the machine was learnt, and nobody has judged them.
        """
        self.add_channels(channels)
        self._rows.flush()
        self.store.arrange(channels)
        self._columns_of.clear()
        self.store.span_ns = self._window_rows * period_ns
        self.store.keep_rows = self._shown_rows
        first_row = self.store.row_count
        if since_row is not None:
            room = _LATE_CELLS // (max(len(channels), 1) * self._window_rows)
            first_row = max(since_row, first_row - max(hop_rows, 1) * room)
        self._cutter.begin(hop_rows, scored_row=first_row)
        self._inspected_row = first_row

    def take_due(self) -> Due:
        """The rows closed, and the windows that fell due, since the last call."""
        store = self.store
        kept = store.kept
        new = slice(max(0, len(kept) - (store.row_count - self._inspected_row)), None)
        self._inspected_row = store.row_count
        rows, observed = kept.values[new], kept.observed[new]
        return Due(
            rows=rows.copy() if observed.all() else np.where(observed, rows, np.float32(np.nan)),
            times_ns=kept.times[new].copy(),
            windows=self._cutter.cut(),
            row_count=store.row_count,
        )

    def skip_due(self) -> None:
        """Give out none of the rows at hand, and no windows that end in them: they were scored before."""
        self._cutter.skip()
        self._inspected_row = self.store.row_count
        self.lost.clear()

    def inspected_rows(self) -> tuple[Float32, int]:
        """(the kept ones of the rows that `take_due` gave out, [R, C], how many it gave out so far)."""
        kept = self.store.kept
        old = slice(max(0, len(kept) - (self.store.row_count - self._inspected_row)))
        return np.where(kept.observed[old], kept.values[old], np.float32(np.nan)), self._inspected_row

    def latest(self, rows: int | None = None) -> Float32:
        """A copy of the kept rows, [R, C], or of the latest of them."""
        kept = self.store.kept
        return kept.values[0 if rows is None else max(0, len(kept) - rows) :].copy()

    def period_ns(self) -> int:
        """Median step between the kept rows; 0 with fewer than two."""
        kept = self.store.kept
        return int(np.median(np.diff(kept.times))) if len(kept) > 1 else 0

    def pace_ns(self) -> int:
        """Mean step between the kept rows, pauses and all; 0 with fewer than two. As cheap for many rows as for few."""
        times = self.store.kept.times
        return int(times[-1] - times[0]) // (len(times) - 1) if len(times) > 1 else 0

    def hop_rows(self, period_ns: int) -> int:
        """Rows between windows so that a machine is scored at most once in `hop_s`."""
        return max(1, math.floor(self._settings.hop_s * 1e9 / period_ns + 0.5)) if period_ns > 0 else 1

    def history(self, rows: int) -> History:
        """The latest of the kept rows, to learn from."""
        kept, period_ns = self.store.kept, self.period_ns()
        return History(
            rows=kept.values.copy()[-rows:],
            observed=kept.observed.copy()[-rows:],
            period_ns=period_ns,
            hop_rows=self.hop_rows(period_ns),
        )

    # -- across restarts ------------------------------------------------------------------------------------

    def save(self) -> BufferState:
        """What to give to `restore` so that the next windows are the same."""
        store, waiting, cutter = self.store, self._rows, self._cutter
        rows, kept = store.kept, slice(-max(store.keep_rows, self._window_rows), None)
        return BufferState(
            channels=tuple(store.channels),
            row_count=store.row_count,
            last_time_ns=store.last_time_ns,
            rows=rows.values[kept].tobytes(),
            times=rows.times[kept].tobytes(),
            seen=rows.observed[kept].tobytes(),
            starts=rows.starts[kept].tobytes(),
            age=store.age.tobytes(),
            last=store.last.tobytes(),
            pending=None if waiting.pending is None else waiting.pending.tobytes(),
            pending_ns=waiting.pending_ns,
            opened_ns=waiting.opened_ns,
            segment_row=store.segment_row,
            scored_row=cutter.scored_row,
            span_ns=store.span_ns,
            hop_rows=cutter.hop_rows,
            align=None if self._grid is None else self._grid.aligner.save(),
        )

    def restore(self, state: BufferState) -> None:
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
        observed = np.frombuffer(state.seen, np.bool_).reshape(rows.shape) if state.seen else ~np.isnan(rows)
        store, waiting = self.store, self._rows
        self._columns_of.clear()
        store.restore(state.channels, age=age, last=last)
        store.kept.restore(rows, observed=observed, times=times, starts=starts)
        store.row_count, store.last_time_ns = state.row_count, state.last_time_ns
        store.segment_row, store.span_ns = state.segment_row, state.span_ns
        waiting.pending, waiting.pending_ns, waiting.opened_ns = pending, state.pending_ns, state.opened_ns
        if self._grid is not None and state.align is not None:
            self._grid.aligner.restore(state.align)
        self._cutter.begin(state.hop_rows, scored_row=state.scored_row)
        if state.hop_rows:
            store.keep_rows = self._shown_rows
