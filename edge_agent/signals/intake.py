"""The three ways of a frame into rows: as they come, as a block, or onto a grid. Pure; each closes rows in the store.

- `RowIntake`: rows one by one as they come, whole or in parts. A row of parts is closed when every channel has a value
  for its time, or when a later time arrives. Parts that carry no time are gathered on a grid of their arrivals.
- `BlockIntake`: whole rows of one frame whose times rise, closed together.
- `GridIntake`: samples of any rate, brought onto a grid by `alignment`.

Times must rise: an older sample is late; a sample for a cell that is filled already is a duplicate.
"""

import math

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32, Frame, Taken
from edge_agent.signals.alignment import Aligner
from edge_agent.signals.row_arrays import Ints
from edge_agent.signals.row_store import Row, RowStore


class RowIntake:
    """Rows as they come, and the one that is being gathered.

    Attributes:
        pending: [C] the row being gathered, if any.
        pending_ns, opened_ns: its time, and when the first bare number of it came.
    """

    def __init__(self, store: RowStore, *, hold_rows: int, grid_ns: int) -> None:
        self.pending: Float32 | None = None
        self.pending_ns = self.opened_ns = 0
        self._store = store
        self._hold_rows, self._grid_ns = hold_rows, grid_ns

    def take(self, frame: Frame, columns: list[int], *, whole: bool) -> Taken:
        """Take a frame's rows, whose values belong into these columns; `whole`: into all there are.

        Returns:
            "accepted" if any row brought something new, else "late", "duplicate" or "surplus".
        """
        best: Taken = "late"
        for time_ns, row in zip(frame.times_ns, frame.rows, strict=True):
            outcome = self._take_row(frame, time_ns, row, columns=columns, whole=whole)
            if outcome == "accepted" or best == "late":
                best = outcome
        return best

    def flush(self) -> None:
        """Close the row being gathered, if any."""
        pending, self.pending = self.pending, None
        if pending is not None:
            self._store.append_row(self.pending_ns, pending)

    def widen(self, count: int) -> None:
        """The machine has so many more channels."""
        if self.pending is not None:
            self.pending = np.concatenate([self.pending, np.full(count, np.nan, np.float32)])

    def _take_row(self, frame: Frame, time_ns: int, row: Row, *, columns: list[int], whole: bool) -> Taken:
        store = self._store
        if frame.partial and not frame.stamped:
            if (placed := self._place(time_ns, columns)) is None:
                return "surplus"
            time_ns = placed
        if self.pending is not None and time_ns > self.pending_ns:
            self.flush()
        if store.last_time_ns is not None and time_ns <= store.last_time_ns:
            return self._patch_last(row, columns) if time_ns == store.last_time_ns else "late"
        if self.pending is not None and time_ns < self.pending_ns:
            return "late"
        if self.pending is None and whole:
            store.append_row(time_ns, row if columns == store.order else _ordered(row, columns))
            return "accepted"
        return self._gather(time_ns, row, columns)

    def _place(self, arrival_ns: int, columns: list[int]) -> int | None:
        """The time of the row that a bare number belongs to; None where it is surplus."""
        waiting, kept = self.pending, self._store.kept
        latest = kept.values[-1:] if waiting is None else waiting[np.newaxis]
        newest_ns = self._store.last_time_ns if waiting is None else self.pending_ns
        placed = place(
            arrival_ns,
            grid_ns=self._grid_ns,
            newest_ns=newest_ns,
            opened_ns=None if waiting is None else self.opened_ns,
            free=bool(np.isnan(latest[:, columns]).any()),
            closed_ns=kept.times[-max(1, self._hold_rows) :],
        )
        self.opened_ns = self.opened_ns if placed in (newest_ns, None) else arrival_ns
        return placed

    def _gather(self, time_ns: int, row: Row, columns: list[int]) -> Taken:
        if self.pending is None:
            self.pending = np.full(len(self._store.channels), np.nan, np.float32)
            self.pending_ns = time_ns
        fresh = _fill_hidden(self.pending, row, columns)
        if not np.isnan(self.pending).any():
            self.flush()
        return "accepted" if fresh else "duplicate"

    def _patch_last(self, row: Row, columns: list[int]) -> Taken:
        """Samples for a row that is closed already: fill its hidden cells, refuse the rest as duplicates."""
        kept = self._store.kept
        fresh = len(kept) > 0 and _fill_hidden(kept.values[-1], row, columns)
        return "accepted" if fresh else "duplicate"


class BlockIntake:
    """Whole rows together."""

    def __init__(self, store: RowStore) -> None:
        self._store = store

    def take(self, frame: Frame, columns: list[int]) -> bool:
        """Take a frame's whole rows, where their times rise; whether it did: else they come one by one."""
        store, times = self._store, np.asarray(frame.times_ns, np.int64)
        start = -1 if store.last_time_ns is None else store.last_time_ns
        if not (bool(times[0] > start) and bool(np.all(times[1:] > times[:-1]))):
            return False
        rows = np.empty((len(frame.rows), len(columns)), np.float32)
        rows[:, slice(None) if columns == store.order else columns] = frame.rows
        store.append_rows(times, rows)
        return True


class GridIntake:
    """Samples that an aligner brings onto a grid."""

    def __init__(self, store: RowStore, aligner: Aligner) -> None:
        self.aligner = aligner
        self._store = store

    def take(self, frame: Frame) -> Taken:
        """Take a frame's samples, and close the rows that no timely sample can change any more."""
        outcome = self.aligner.add(frame)
        self._close(*self.aligner.take(self._store.channels))
        return outcome

    def begin_afresh(self) -> None:
        """Close all rows that wait; from now on any time is taken."""
        self._close(*self.aligner.begin_afresh(self._store.channels))

    def _close(self, times: Ints, rows: Float32) -> None:
        if len(times):
            self._store.append_rows(times, rows)


def place(
    arrival_ns: int,
    *,
    grid_ns: int,
    newest_ns: int | None,
    opened_ns: int | None,
    free: bool,
    closed_ns: NDArray[np.int64],
) -> int | None:
    """The time of the row that a bare number belongs to, which has no time but its arrival; None where it is surplus.

    Bare numbers that arrive in one cell of the grid are one row. Two things that happen on the way must not cost any:

    - A row may arrive astride the end of a cell: what comes within half a cell of its first number still belongs to it.
    - A sender that is held up puts two rows into one cell and leaves another empty: a channel that comes again once its
      row is complete begins a row of its own, as long as the newest rows are fewer than their cells. Beyond that it
      comes more often than the grid asks for: it is surplus.

    Args:
        arrival_ns: when it came.
        grid_ns: length of a cell.
        newest_ns: time of the newest row, if any.
        opened_ns: when the first number of that row came; None where it is complete.
        free: whether that row has no value of its channel.
        closed_ns: times of the newest complete rows [R], oldest first.
    """
    cell = arrival_ns // grid_ns
    if newest_ns is None:
        return cell * grid_ns
    if free and opened_ns is not None and 2 * (arrival_ns - opened_ns) < grid_ns:
        return newest_ns
    if cell != newest_ns // grid_ns:
        return cell * grid_ns
    if free:
        return newest_ns
    all_taken = len(closed_ns) == 0 or cell - int(closed_ns[0]) // grid_ns < len(closed_ns)
    return None if opened_ns is not None or all_taken else max(arrival_ns, newest_ns + 1)


def _fill_hidden(target: Float32, row: Row, columns: list[int]) -> bool:
    """Write the values whose cells are still hidden; whether any was."""
    fresh = False
    for column, value in zip(columns, row, strict=True):
        if math.isnan(target[column]) and not math.isnan(value):
            target[column] = value
            fresh = True
    return fresh


def _ordered(row: Row, columns: list[int]) -> list[float]:
    """The row with each value in its column."""
    found = [0.0] * len(columns)
    for column, value in zip(columns, row, strict=True):
        found[column] = value
    return found
