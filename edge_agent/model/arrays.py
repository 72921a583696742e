"""Arrays as npz bytes: written the same for the same input, read with every claim checked before memory is asked for.

Not numpy's own reader: that one believes a header and allocates what it claims. Nothing is unpickled.
"""

import io
import math
import struct
import sys
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import BundleError

LIMIT_BYTES = 256 * 1024 * 1024
"""Of all arrays of an archive together, unpacked."""
_ENTRIES_LIMIT = 256
_AXES_LIMIT = 8
_KINDS = "biufU"
"""Truth values, integers, floats and text: no Python objects, no records."""
_SUFFIX = ".npy"
_ENCRYPTED = 0x1
_LENGTHS_AT, _LOCAL_HEADER_BYTES = 26, 30
"""In the zip entry's own header: the lengths of its name and of what follows the name (APPNOTE.TXT 4.3.7)."""
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    IndexError,
    TypeError,
    RuntimeError,
    MemoryError,
    OverflowError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)
"""What numpy and zipfile raise at damaged archives; a flipped byte can claim encryption or a huge array."""


def decode_arrays(path: Path, raw: bytes, *, limit_bytes: int = LIMIT_BYTES) -> dict[str, NDArray[Any]]:
    """Arrays of an npz held in memory; `path` only names it in errors.

    Raises:
        BundleError: the bytes are no npz of plain arrays, or claim more than they hold or than is allowed.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            entries = archive.infolist()
            _check_entries(entries, limit_bytes)
            # One name for all machines' arrays of a kind.
            return {
                sys.intern(entry.filename.removesuffix(_SUFFIX)): _read(archive, entry) for entry in entries
            }
    except _UNREADABLE as error:
        raise BundleError(path, f"not an array archive: {error}") from error


def _check_entries(entries: list[zipfile.ZipInfo], limit_bytes: int) -> None:
    names = [entry.filename for entry in entries]
    if len(entries) > _ENTRIES_LIMIT or len(set(names)) < len(names):
        raise ValueError("more entries than make sense, or one of them twice")
    for entry in entries:
        if not entry.filename.endswith(_SUFFIX) or entry.flag_bits & _ENCRYPTED:
            raise ValueError(f"{entry.filename[:40]!r} is no plain array")
    if (total := sum(entry.file_size for entry in entries)) > limit_bytes:
        raise ValueError(f"claims {total} bytes unpacked, the limit is {limit_bytes}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in an npz an array's numbers lie, in C order and as they are."""

    offset_bytes: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size_bytes(self) -> int:
        """Of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize

    def array(self, body: bytes) -> NDArray[Any]:
        """The array [*shape], read-only, of the bytes that lie there."""
        return np.frombuffer(body, self.dtype).reshape(self.shape)


def places(raw: bytes, *, least_bytes: int) -> dict[str, Place]:
    """Where the arrays of so many bytes or more lie in an npz that `decode_arrays` has read."""
    found = {}
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        for entry in archive.infolist():
            if entry.file_size < least_bytes or entry.compress_type != zipfile.ZIP_STORED:
                continue
            name_bytes, extra_bytes = struct.unpack_from("<HH", raw, entry.header_offset + _LENGTHS_AT)
            start = entry.header_offset + _LOCAL_HEADER_BYTES + name_bytes + extra_bytes
            with archive.open(entry) as file:
                shape, in_fortran_order, dtype = _header(file)
                header_bytes = file.tell()
            if not in_fortran_order:
                found[entry.filename.removesuffix(_SUFFIX)] = Place(start + header_bytes, shape, dtype)
    return found


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """(shape, whether in Fortran order, type) of an array whose numbers follow."""
    version = np.lib.format.read_magic(file)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    found: tuple[tuple[int, ...], bool, np.dtype[Any]] = read_header(file)
    return found


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    """One array whose header claims exactly the bytes that follow it."""
    with archive.open(entry) as file:
        shape, in_fortran_order, dtype = _header(file)
        if (
            dtype.kind not in _KINDS
            or dtype.itemsize == 0
            or len(shape) > _AXES_LIMIT
            or any(n < 0 for n in shape)
        ):
            raise ValueError(f"{entry.filename!r} holds no plain numbers or has an impossible shape")
        claimed, held = math.prod(shape) * dtype.itemsize, entry.file_size - file.tell()
        if claimed != held:
            raise ValueError(f"{entry.filename!r} claims {claimed} bytes and holds {held}")
        body = file.read()
    if len(body) != claimed:
        raise ValueError(f"{entry.filename!r} is cut off")
    order: Literal["F", "C"] = "F" if in_fortran_order else "C"
    found = np.empty(
        shape, dtype, order=order
    )  # owns its numbers: a view of other objects takes 200 bytes more
    found.ravel(order="K")[:] = np.frombuffer(body, dtype)
    return found


def encode_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """An npz of the arrays, byte for byte the same for the same input (zip entries carry a fixed date)."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
