"""A machine's memory of which some arrays are only made or read when they are asked for. Knows no file; not a copy.

What a gateway holds of hundreds of machines is nearly all remembered windows that are looked at once a second, or
less. Where such an array can be had again, it is not held: whoever asks gets a new one, and should ask once.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Late = Callable[[], NDArray[Any]]
"""Gives the same numbers each time; may raise OSError where they come from a file."""


class LateMemory(Mapping[str, NDArray[Any]]):
    """Arrays by name, as a memory is: some at hand, some late."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Begin with all that the arrays hold; what is late there stays late."""
        self._entries: dict[str, NDArray[Any] | Late] = (
            arrays.entries() if isinstance(arrays, LateMemory) else dict(arrays)
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

    def entries(self) -> dict[str, NDArray[Any] | Late]:
        """All arrays as they are here, the late ones late."""
        return dict(self._entries)

    def joined(self, more: Mapping[str, NDArray[Any] | Late]) -> "LateMemory":
        """Another memory: this one with some arrays added or replaced."""
        found = LateMemory(self)
        found.put(more)
        return found

    def put(self, more: Mapping[str, NDArray[Any] | Late]) -> None:
        """Add or replace arrays for all who have this memory; one that is late from now on is held no longer."""
        self._entries.update(more)

    def held_bytes(self) -> int:
        """What the arrays at hand take."""
        return sum(entry.nbytes for entry in self._entries.values() if isinstance(entry, np.ndarray))
