"""The kept rows of one machine as arrays that grow at one end and slide at the other. Knows no rule. Pure.

Axes: R rows, C channels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32

_FIRST_ROWS = 16
"""Room to begin with: a flood of machines that are heard once must cost little."""
_SPARE_ROWS = 128
"""Room behind the rows that are kept, so that the arrays are shifted once in so many rows only."""

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class RowArrays:
    """Values, whether they were observed and not held, times, and the row after the pause before each row."""

    def __init__(self) -> None:
        self._values: Float32 = np.empty((_FIRST_ROWS, 0), np.float32)
        self._observed: Bools = np.empty((_FIRST_ROWS, 0), np.bool_)
        self._times: Ints = np.empty(_FIRST_ROWS, np.int64)
        self._starts: Ints = np.empty(_FIRST_ROWS, np.int64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def values(self) -> Float32:
        """[R, C]; not a copy."""
        return self._values[: self._count]

    @property
    def observed(self) -> Bools:
        """[R, C] cells that were observed and not held; not a copy."""
        return self._observed[: self._count]

    @property
    def times(self) -> Ints:
        """[R] ns; not a copy."""
        return self._times[: self._count]

    @property
    def starts(self) -> Ints:
        """[R] the row after the last long pause before each row; not a copy."""
        return self._starts[: self._count]

    def widen(self, count: int) -> None:
        """Add channels, hidden in the past."""
        hidden = np.full((len(self._values), count), np.nan, np.float32)
        self._values = np.concatenate([self._values, hidden], axis=1)
        self._observed = np.concatenate([self._observed, np.zeros(hidden.shape, np.bool_)], axis=1)

    def arrange(self, order: list[int]) -> None:
        """Keep these channels alone, in this order."""
        self._values, self._observed = self._values[:, order], self._observed[:, order]

    def extend(
        self, values: Float32, *, observed: Bools | bool, times: Ints, starts: Ints, keep: int, double: bool
    ) -> None:
        """Add rows; where there is no room, the newest `keep` of the older ones stay, in twice the room if `double`."""
        self._make_room(len(values), keep, double=double)
        new = slice(self._count, self._count + len(values))
        self._values[new], self._times[new], self._starts[new] = values, times, starts
        self._observed[new] = observed
        self._count = new.stop

    def _make_room(self, count: int, keep: int, *, double: bool) -> None:
        if self._count + count <= len(self._values):
            return
        keep = min(self._count, keep)
        size = keep + max(count, (keep if double else 0) + _SPARE_ROWS)
        kept = slice(self._count - keep, self._count)
        if size <= len(self._values) <= 2 * size:
            for array in (self._values, self._observed, self._times, self._starts):
                array[:keep] = array[kept]
            self._count = keep
            return
        self._values, self._observed = _moved(self._values, kept, size), _moved(self._observed, kept, size)
        self._times, self._starts = _moved(self._times, kept, size), _moved(self._starts, kept, size)
        self._count = keep

    def restore(self, values: Float32, *, observed: Bools, times: Ints, starts: Ints) -> None:
        """Begin with these rows instead."""
        every, size = slice(0, len(values)), len(values) + _SPARE_ROWS
        self._values, self._observed = _moved(values, every, size), _moved(observed, every, size)
        self._times, self._starts = _moved(times, every, size), _moved(starts, every, size)
        self._count = len(values)


def _moved(array: NDArray[Any], kept: slice, size: int) -> NDArray[Any]:
    """These rows at the beginning of a larger array."""
    found = np.zeros((size, *array.shape[1:]), array.dtype)
    found[: kept.stop - kept.start] = array[kept]
    return found
