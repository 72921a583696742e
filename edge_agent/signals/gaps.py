"""What stands in a row's cells where nothing was observed: held for a while, then hidden (NaN). Pure."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32


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


def fill_hidden(target: Float32, row: Sequence[float] | Float32, columns: list[int]) -> bool:
    """Write the values whose cells are still hidden; whether any was."""
    fresh = False
    for column, value in zip(columns, row, strict=True):
        if math.isnan(target[column]) and not math.isnan(value):
            target[column] = value
            fresh = True
    return fresh
