"""Cuts the windows that fall due from a machine's closed rows: overlapping, one every hop, T rows each. Pure.

Axes: B windows, C channels, T rows of a window, R rows.
"""

import numpy as np

from edge_agent.records import Float32, WindowBlock
from edge_agent.signals.row_store import RowStore

_FEW_WINDOWS = 4
"""Cut one by one that is cheaper than a view of all."""


class WindowCutter:
    """Knows up to which row a machine's windows have been given out.

    Attributes:
        hop_rows: rows from one window to the next; 0: no windows are given out yet.
        scored_row: windows that end before this row have been given out.
    """

    def __init__(self, machine: str, store: RowStore, *, window_rows: int) -> None:
        self.hop_rows = 0
        self.scored_row = 0
        self._machine, self._store, self._window_rows = machine, store, window_rows

    def begin(self, hop_rows: int, *, scored_row: int) -> None:
        """Give windows out, those that end behind the first `scored_row` rows."""
        self.hop_rows = hop_rows
        self._pass(scored_row)

    def _pass(self, scored_row: int) -> None:
        self.scored_row = scored_row
        self._store.wanted_row = scored_row - self._window_rows if self.hop_rows else None

    def skip(self) -> None:
        """Give out no windows that end in the rows at hand."""
        self._pass(self._store.row_count)

    def cut(self) -> WindowBlock | None:
        """The windows that fell due since the last call; None where there is none."""
        if self.hop_rows == 0:
            return None
        store, span, step = self._store, self._window_rows, self.hop_rows
        if (
            -(-(self.scored_row + 1) // step) * step > store.row_count
        ):  # most calls: the rows stay as they came
            self._pass(store.row_count)
            return None
        kept = store.kept
        first_row = store.row_count - len(kept)
        earliest = max(self.scored_row + 1, first_row + span)
        self._pass(store.row_count)
        first_end = -(-earliest // step) * step
        if first_end > store.row_count:
            return None
        ends = np.arange(first_end, store.row_count + 1, step)
        ends = ends[ends - span >= kept.starts[ends - 1 - first_row]]
        if len(ends) == 0:
            return None
        return WindowBlock(
            machine=self._machine,
            values=_windows(kept.values, (ends - span - first_row).tolist(), span),
            end_rows=ends - 1,
            times_ns=kept.times[ends - 1 - first_row],
        )


def _windows(rows: Float32, starts: list[int], span: int) -> Float32:
    """[B, C, T] the windows of [R, C] that begin at these rows, copied."""
    if len(starts) <= _FEW_WINDOWS:
        return np.stack([rows[start : start + span].T for start in starts])
    view = np.lib.stride_tricks.sliding_window_view(rows, span, axis=0)  # B C T
    return np.ascontiguousarray(view[starts])
