"""Which row a bare number belongs to: it has no time but its arrival, and its row is gathered from many messages. Pure.

Bare numbers that arrive in one cell of the grid are one row. Two things that happen on the way must not cost any:

- A row may arrive astride the end of a cell: what comes within half a cell of its first number still belongs to it.
- A sender that is held up puts two rows into one cell and leaves another empty: a channel that comes again once its
  row is complete begins a row of its own, as long as the newest rows are fewer than their cells. Beyond that it comes
  more often than the grid asks for: it is surplus.
"""

import numpy as np
from numpy.typing import NDArray


def place(
    arrival_ns: int,
    *,
    grid_ns: int,
    newest_ns: int | None,
    opened_ns: int | None,
    free: bool,
    closed_ns: NDArray[np.int64],
) -> int | None:
    """The time of the row that a bare number belongs to; None where it is surplus.

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
