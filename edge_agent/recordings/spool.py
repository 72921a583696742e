"""What was heard and is not in a table yet: frames, appended to a file and flushed to disk. Knows no Parquet.

A file is a row of entries, each with its length and checksum. What a crash tears off its end was never acknowledged:
reading stops there, and the broker sends the messages again.
"""

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from edge_agent.errors import StateError
from edge_agent.records import Frame

_HEAD = struct.Struct("<II")
_PREFIX, _SUFFIX, _ASIDE = "spool-", ".log", ".aside"


class _Entry(msgspec.Struct, frozen=True, array_like=True):
    """A frame; rows as the bytes of float32 [R, C]."""

    machine: str
    channels: tuple[str, ...]
    times_ns: tuple[int, ...]
    rows: bytes
    stamped: bool
    partial: bool


class Spool:
    """One file at a time is open for appending; the finished ones wait to be turned into tables."""

    def __init__(self, folder: Path) -> None:
        self.number = 0
        """Of the open file."""
        self.bytes = 0
        """In the open file."""
        self._folder = folder
        self._file: BinaryIO | None = None

    def finished(self) -> tuple[tuple[int, Path], ...]:
        """(number, file) of every file but the open one, oldest first.

        Raises:
            StateError: the folder cannot be read.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            paths = sorted(self._folder.glob(f"{_PREFIX}*{_SUFFIX}"))
        except OSError as error:
            raise StateError(self._folder, error.strerror or "cannot be read") from error
        numbered = ((int(path.stem.removeprefix(_PREFIX)), path) for path in paths)
        return tuple(
            (number, path) for number, path in numbered if self._file is None or number < self.number
        )

    def begin(self, number: int) -> None:
        """Close the open file and append to a new one from now on.

        Raises:
            StateError: it cannot be made.
        """
        self.close()
        path = self._folder / f"{_PREFIX}{number:010d}{_SUFFIX}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
        except OSError as error:
            raise StateError(path, error.strerror or "cannot be made") from error
        self.number, self.bytes = number, 0

    def set_aside(self, name: str, frames: Sequence[Frame], *, limit_bytes: int) -> bool:
        """Keep what makes no table beside the spool, as far as there is room; whether it is kept.

        Raises:
            StateError: it cannot be written.
        """
        raw = b"".join(map(_encoded, frames))
        try:
            held = sum(path.stat().st_size for path in self._folder.glob(f"*{_ASIDE}"))
            if held + len(raw) > limit_bytes:
                return False
            (self._folder / f"{name}{_ASIDE}").write_bytes(raw)
        except OSError as error:
            raise StateError(self._folder, error.strerror or "cannot be written") from error
        return True

    def append(self, frames: Sequence[Frame]) -> None:
        """Add frames; when this returns they are on disk.

        Raises:
            StateError: they are not; what was written of them is taken back.
        """
        assert self._file is not None  # noqa: S101 - `begin` comes first
        raw = b"".join(map(_encoded, frames))
        try:
            self._file.seek(self.bytes)
            self._file.truncate()
            self._file.write(raw)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise StateError(Path(self._file.name), error.strerror or "cannot be written") from error
        self.bytes += len(raw)

    def close(self) -> None:
        """Append no more."""
        if self._file is not None:
            self._file.close()
            self._file = None


def read(path: Path) -> Iterator[Frame]:
    """The frames of a file, up to its end or to where it is torn or damaged.

    Raises:
        StateError: it cannot be read.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise StateError(path, error.strerror or "cannot be read") from error
    at = 0
    while at + _HEAD.size <= len(raw):
        size, checksum = _HEAD.unpack_from(raw, at)
        body = raw[at + _HEAD.size : at + _HEAD.size + size]
        if len(body) < size or zlib.crc32(body) != checksum:
            return
        try:
            entry = msgspec.msgpack.decode(body, type=_Entry)
            rows = np.frombuffer(entry.rows, np.float32).reshape(len(entry.times_ns), len(entry.channels))
        except (msgspec.MsgspecError, ValueError):  # of another version: the others are no worse for it
            at += _HEAD.size + size
            continue
        yield Frame(
            machine=entry.machine,
            channels=entry.channels,
            times_ns=entry.times_ns,
            rows=rows,
            stamped=entry.stamped,
            partial=entry.partial,
        )
        at += _HEAD.size + size


def _encoded(frame: Frame) -> bytes:
    rows = np.ascontiguousarray(frame.rows, np.float32)
    times_ns = tuple(map(int, frame.times_ns))
    entry = _Entry(frame.machine, frame.channels, times_ns, rows.tobytes(), frame.stamped, frame.partial)
    body = msgspec.msgpack.encode(entry)
    return _HEAD.pack(len(body), zlib.crc32(body)) + body
