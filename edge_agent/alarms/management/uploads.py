"""A recording on its way over commands: packed into parts that a message holds, joined, unpacked, bounded. Pure.

Rows are trusted no further than a sensor's: times must rise, names must be names, and all of it must fit into the
memory that learning has. One recording is on its way at a time.
"""

import base64
import binascii
import zlib
from collections.abc import Sequence

import msgspec
import numpy as np

from edge_agent.alarms.outcomes import CommandOutcome, refuse
from edge_agent.alarms.requests import PARTS_LIMIT, Learn
from edge_agent.records import Frame
from edge_agent.topics import is_name

PART_BYTES = 48_000
_UNPACKED_LIMIT_BYTES = 256_000_000
_STALE_NS = 60_000_000_000
"""So long after its last part a recording that is not whole makes room for another."""


class _Packed(msgspec.Struct, frozen=True):
    """What is packed: times [R] int64 and values [R, C] float32 as little-endian bytes."""

    channels: tuple[str, ...]
    times: bytes
    values: bytes


def packed(frame: Frame) -> Sequence[str]:
    """A recording as texts, in order, none longer than a command may hold.

    Raises:
        ValueError: it needs more parts than an agent takes.
    """
    values = np.asarray(frame.rows, np.dtype("<f4"))
    times = np.asarray(frame.times_ns, np.dtype("<i8"))
    raw = zlib.compress(msgspec.msgpack.encode(_Packed(frame.channels, times.tobytes(), values.tobytes())), 6)
    parts = [base64.b64encode(raw[at : at + PART_BYTES]).decode() for at in range(0, len(raw), PART_BYTES)]
    if len(parts) > PARTS_LIMIT:
        raise ValueError(
            f"{len(values)} rows of {len(frame.channels)} channels are too much to send: fewer (--rows)"
        )
    return parts


class Uploads:
    """Joins the parts of the recording that is on its way."""

    def __init__(self) -> None:
        self._upload = ""
        self._count = 0
        self._parts: dict[int, bytes] = {}
        self._latest_ns = 0

    def take(self, request: Learn, *, now_ns: int, cells_limit: int) -> Frame | CommandOutcome:
        """The whole recording with its last part; else what is answered to this one.

        Args:
            request: the part.
            now_ns: its arrival.
            cells_limit: rows times channels that can be learnt from.
        """
        if request.part > request.parts:
            return refuse("malformed", f"part {request.part} of {request.parts}")
        if self._upload not in ("", request.upload) and 0 <= now_ns - self._latest_ns < _STALE_NS:
            return refuse("busy", "another recording is being sent: try again in a minute")
        if self._upload != request.upload or self._count != request.parts:
            self._begin(request)
        self._latest_ns = now_ns
        try:
            self._parts[request.part] = base64.b64decode(request.data, validate=True)
        except (binascii.Error, ValueError) as error:
            return refuse("malformed", f"data: {error}")
        if len(self._parts) < self._count:
            return CommandOutcome(
                "unchanged", detail=f"part {request.part} of {self._count} is here", in_part=True
            )
        raw = b"".join(self._parts[at] for at in range(1, self._count + 1))
        self._upload, self._parts = "", {}
        return _frame(request.machine, raw, cells_limit=cells_limit)

    def _begin(self, request: Learn) -> None:
        self._upload, self._count, self._parts = request.upload, request.parts, {}


def _frame(machine: str, raw: bytes, *, cells_limit: int) -> Frame | CommandOutcome:
    """What the parts hold together, or why it is refused."""
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(raw, _UNPACKED_LIMIT_BYTES)
        if unpacker.unconsumed_tail:
            return refuse("too_large", f"more than {_UNPACKED_LIMIT_BYTES} bytes unpacked")
        found = msgspec.msgpack.decode(plain, type=_Packed)
        times = np.frombuffer(found.times, np.dtype("<i8"))
        values = np.frombuffer(found.values, np.dtype("<f4")).reshape(len(times), len(found.channels))
    except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        return refuse("malformed", f"data: {error}"[:200])
    if not all(map(is_name, found.channels)) or len(set(found.channels)) < len(found.channels):
        return refuse("malformed", "channels must be names, each once, printable and without / + #")
    if not values.size or bool(np.any(np.diff(times) <= 0)) or int(times[0]) < 0:
        return refuse("malformed", "times must rise, from 1970 on")
    if values.size > cells_limit:
        return refuse(
            "too_large",
            f"{len(values)} rows of {len(found.channels)} channels: limits.learning_bytes allows {cells_limit} values",
        )
    cells = values.astype(np.float32)
    cells[~np.isfinite(cells)] = np.nan
    return Frame(machine, found.channels, times.tolist(), cells)
