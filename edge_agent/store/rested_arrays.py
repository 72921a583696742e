"""A profile's large arrays, left in its files and read when they are asked for: believed by checksum alone.

Whatever becomes of a file while it is in use (a new time, another place, other bytes, nothing left of it), what counts
is whether the very numbers are still somewhere: in the file that is held open, in the one that has its name by now, or
in the second generation.
"""

import contextlib
import errno
import zipfile
import zlib
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from edge_agent.model.arrays import Place, places
from edge_agent.model.lazy_arrays import Lazy, LazyArrays
from edge_agent.store.atomic_file import HeldFile, Stamp

_REST_BYTES = 8192
"""Smaller arrays are held: together they are a twentieth of a profile, and each read from a file takes some µs."""
_READS_BELIEVED = 16
"""A file that nobody has written to may rot all the same: so often its bytes are believed without their checksum."""
_UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile)


class RestedArrays:
    """The large arrays of one profile in its files, the first of which is held open."""

    def __init__(self, files: Sequence[Path], raw: bytes) -> None:
        """`files`: the generations of the profile; the first one holds `raw`."""
        self._files = tuple(files)
        self._raw: bytes | None = raw
        self._file: HeldFile | None = None
        self._places: dict[str, Place] = {}
        self._sums: dict[str, int] = {}
        self._seen: dict[str, tuple[Stamp, int]] = {}
        """By array: the file's stamp when its checksum was right, and how often it was believed since."""

    def rest(self, memory: LazyArrays, *, but: Container[str] = ()) -> None:
        """Have the arrays from the file from now on, but those that are others there, in `but`.

        All stay held where the file cannot be held open or does not hold what was written.
        """
        raw, self._raw = self._raw, None
        if raw is None:
            return
        try:
            file = HeldFile(self._files[0])
            if file.stamp()[1] != len(raw):
                return
        except OSError:
            return
        found = places(raw, least_bytes=_REST_BYTES)
        self._file = file
        self._places = {name: place for name, place in found.items() if name in memory and name not in but}
        for name, place in self._places.items():
            self._sums[name] = zlib.crc32(raw[place.offset_bytes : place.offset_bytes + place.size_bytes])
        memory.put({name: self._lazy(name) for name in self._places})

    def _lazy(self, name: str) -> Lazy:
        def read() -> NDArray[Any]:
            return self._read(name)

        return read

    def _read(self, name: str) -> NDArray[Any]:
        """An array of the very numbers that were written.

        Raises:
            OSError: no generation holds them any more.
        """
        place = self._places[name]
        body = self._held_body(name, place)
        if body is None:
            place, body = self._found_again(name)
        return place.array(body)

    def _held_body(self, name: str, place: Place) -> bytes | None:
        """The bytes in the file that is held open; None where they are not those that were written."""
        if self._file is None:
            return None
        try:
            stamp = self._file.stamp()
            body = self._file.read(place.size_bytes, at=place.offset_bytes)
        except OSError:
            return None
        seen, believed = self._seen.get(name, (None, 0))
        if len(body) == place.size_bytes and stamp == seen and believed < _READS_BELIEVED:
            self._seen[name] = stamp, believed + 1
            return body
        if len(body) != place.size_bytes or zlib.crc32(body) != self._sums[name]:
            self._seen.pop(name, None)
            return None
        self._seen[name] = stamp, 0
        return body

    def _found_again(self, name: str) -> tuple[Place, bytes]:
        """The array in the first generation that still holds it; that one is held open from now on."""
        for path in self._files:
            with contextlib.suppress(*_UNREADABLE):
                raw = path.read_bytes()
                found = places(raw, least_bytes=_REST_BYTES)
                place = found[name]
                body = raw[place.offset_bytes : place.offset_bytes + place.size_bytes]
                if zlib.crc32(body) == self._sums[name]:
                    self._take_over(path, found, raw)
                    return place, body
        raise OSError(errno.ESTALE, "was altered while it was in use, and no other copy holds what it held")

    def _take_over(self, path: Path, found: dict[str, Place], raw: bytes) -> None:
        """Read from `path` in future, where it holds everything that was written."""
        for name, known in self._sums.items():
            place = found.get(name)
            if place is None or zlib.crc32(raw[place.offset_bytes :][: place.size_bytes]) != known:
                return
        self._file = HeldFile(path)
        self._places = {name: found[name] for name in self._sums}
        self._seen.clear()
