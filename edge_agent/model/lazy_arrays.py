"""Arrays by name of which some are only made or read when they are asked for. Knows no file; not a copy.

What a gateway holds of hundreds of machines is nearly all remembered windows that are looked at once a second, or
less. Where such an array can be had again, it is not held: whoever asks gets a new one, and should ask once.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Lazy = Callable[[], NDArray[Any]]
"""Gives the same numbers each time; may raise OSError where they come from a file."""


class LazyArrays(Mapping[str, NDArray[Any]]):
    """Arrays by name, as a profile's memory is: some at hand, some lazy."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Begin with all that the arrays hold; what is lazy there stays lazy."""
        self._entries: dict[str, NDArray[Any] | Lazy] = dict(
            arrays.entries if isinstance(arrays, LazyArrays) else arrays
        )

    def __getitem__(self, name: str) -> NDArray[Any]:
        entry = self._entries[name]
        return entry if isinstance(entry, np.ndarray) else entry()

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> Mapping[str, NDArray[Any] | Lazy]:
        """All arrays as they are here, the lazy ones lazy; to look at, not to change."""
        return self._entries

    def joined(self, more: Mapping[str, NDArray[Any] | Lazy]) -> "LazyArrays":
        """Other arrays: these with some added or replaced."""
        found = LazyArrays(self)
        found.put(more)
        return found

    def put(self, more: Mapping[str, NDArray[Any] | Lazy]) -> None:
        """Add or replace arrays for all who have these; one that is lazy from now on is held no longer."""
        self._entries.update(more)

    def held_bytes(self) -> int:
        """What the arrays at hand take."""
        return sum(entry.nbytes for entry in self._entries.values() if isinstance(entry, np.ndarray))


def entries(arrays: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any] | Lazy]:
    """All arrays as they are there, the lazy ones lazy, as quick to look up as can be."""
    return arrays.entries if isinstance(arrays, LazyArrays) else arrays


def held(array: NDArray[Any] | Lazy) -> NDArray[Any]:
    """The array; a lazy one is asked for, so ask once."""
    return array if isinstance(array, np.ndarray) else array()
