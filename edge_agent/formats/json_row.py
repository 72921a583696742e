"""The `json` format: `{"ts": time, "values": {"channel": number}}`, one row or a block of R rows.

`ts` is seconds since 1970 or RFC 3339 text; without it the arrival counts. A block gives a list of R times and for
each channel a list of R numbers. One bad value does not spoil its neighbours: it is named, the rest is kept.

The common row and the common block are checked by msgspec and numpy in one go, any other value by value: a block of
100 rows of 8 channels has 800 numbers, which looked at one by one in Python cost more than their scores.
"""

import json
import math
from array import array
from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec
import numpy as np

from edge_agent.formats.items import read_json
from edge_agent.formats.mapping.values import LARGEST, ValueReader
from edge_agent.formats.origin import EARLIEST_NS, Origin, event_time_ns, told
from edge_agent.formats.wire_format import WireFormat
from edge_agent.records import Frame, Reject, RejectReason
from edge_agent.topics import is_name

_NAN = math.nan
_REMEMBERED_BYTES = 4096
"""Of a message whose names are remembered: bounds what a flood of names can make us keep."""

_LATEST_S = 1e11
"""Beyond it microseconds in double precision would overflow; no clock is there."""


class _JsonRow(msgspec.Struct):
    """The common message, decoded and checked by msgspec in one go."""

    values: dict[str, float]
    ts: float | str | None = None


class _JsonBlock(msgspec.Struct):
    """Times in seconds, and as many numbers of each channel."""

    ts: list[float]
    values: dict[str, list[float]]


_ROWS = msgspec.json.Decoder(_JsonRow)
_BLOCKS = msgspec.json.Decoder(_JsonBlock)


def decode(payload: bytes, origin: Origin) -> Frame | Reject:
    """A frame of one row or of a block's R rows.

    A value may be a number or a truth value (1 or 0); `null` says that there is none. NaN, Infinity, numbers beyond
    float32, other types and impossible names are turned away one by one.
    """
    try:
        row = _ROWS.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _plain_block(payload, origin) or _decode_patiently(payload, origin)
    simple = len(payload) <= _REMEMBERED_BYTES and not origin.reading.values.sentinels
    if simple and (frame := _plain_row(row, origin)) is not None:
        return frame
    return _one_row(row.ts, row.values, origin)


def _plain_row(row: _JsonRow, origin: Origin) -> Frame | None:
    """The frame of a message in which all is well, with less work a value; None where anything is not."""
    numbers = [*row.values.values()]
    channels = tuple(row.values)
    if not numbers or not (min(numbers) >= -LARGEST and max(numbers) <= LARGEST) or not _are_names(channels):
        return None
    time_ns = origin.received_ns if row.ts is None else event_time_ns(row.ts, origin)
    if isinstance(time_ns, Reject):
        return None
    return Frame(
        machine=origin.machine,
        channels=channels,
        times_ns=(time_ns,),
        rows=(numbers,),
        stamped=row.ts is not None,
        received_ns=origin.received_ns if row.ts is not None and origin.received_ns >= EARLIEST_NS else 0,
    )


def _plain_block(payload: bytes, origin: Origin) -> Frame | None:
    """The frame of a block in which all is well, as `_decode_patiently` would give it; None where anything is not."""
    if origin.reading.values.sentinels:
        return None
    try:
        block = _BLOCKS.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    length = len(block.ts)
    if not length or not block.values or any(len(column) != length for column in block.values.values()):
        return None
    if not all(map(is_name, block.values)):
        return None
    numbers = array("d")
    for column in block.values.values():
        numbers.fromlist(column)
    columns = np.frombuffer(numbers).reshape(-1, length)  # C R
    if not (columns.min() >= -LARGEST and columns.max() <= LARGEST):
        return None
    # Before 1970 is turned away in any case; far before it the product below would wrap into the present.
    if not (min(block.ts) >= 0 and max(block.ts) < _LATEST_S):
        return None
    times_ns = np.rint(np.asarray(block.ts) * 1e6).astype(np.int64) * 1000
    ahead = (
        origin.received_ns >= EARLIEST_NS and times_ns.max() > origin.received_ns + origin.future_tolerance_ns
    )
    if ahead or times_ns.min() < EARLIEST_NS:
        return None
    return Frame(
        machine=origin.machine,
        channels=tuple(block.values),
        times_ns=tuple(times_ns.tolist()),
        rows=columns.T.astype(np.float32, order="C"),
        received_ns=origin.received_ns if origin.received_ns >= EARLIEST_NS else 0,
    )


@lru_cache(maxsize=1024)
def _are_names(channels: tuple[str, ...]) -> bool:
    """Whether each is a name; remembered, because a machine sends the same ones again and again."""
    return all(map(is_name, channels))


def _decode_patiently(payload: bytes, origin: Origin) -> Frame | Reject:
    """The uncommon message: blocks, odd types and the NaN and Infinity that Python's own encoder writes."""
    try:
        message = json.loads(payload.decode())
    except UnicodeDecodeError:
        return Reject("not_utf8")
    except (ValueError, RecursionError) as error:
        return Reject("not_json", str(error)[:80])
    if not isinstance(message, dict):
        return Reject("wrong_type", f"an object was expected, not {type(message).__name__}")
    values = message.get("values")
    if not isinstance(values, dict):
        return Reject("wrong_type", "'values' is not an object")
    stamp = message.get("ts")
    if isinstance(stamp, list):
        return _block(stamp, values, origin)
    return _one_row(stamp, values, origin)


def _one_row(stamp: object, values: Mapping[str, object], origin: Origin) -> Frame | Reject:
    time_ns = origin.received_ns if stamp is None else event_time_ns(stamp, origin)
    if isinstance(time_ns, Reject):
        return time_ns
    names: list[str] = []
    row: list[float] = []
    bad: list[tuple[str, RejectReason]] = []
    read = origin.reading.values.read
    for name, value in values.items():
        if value is None:
            continue
        checked = read(value) if is_name(name) else "unknown_channel"
        if isinstance(checked, float):
            names.append(name)
            row.append(checked)
        elif checked is not None:
            bad.append((name, checked))
    if not names:
        return _none_good(bad, values)
    return Frame(
        machine=origin.machine,
        channels=tuple(names),
        times_ns=(time_ns,),
        rows=(row,),
        stamped=stamp is not None,
        bad_values=tuple(bad),
    )


def _block(stamps: Sequence[object], values: Mapping[str, object], origin: Origin) -> Frame | Reject:
    times_ns: list[int] = []
    for stamp in stamps:
        time_ns = event_time_ns(stamp, origin)
        if isinstance(time_ns, Reject):
            return time_ns
        times_ns.append(time_ns)
    columns: dict[str, list[float]] = {}
    bad: list[tuple[str, RejectReason]] = []
    for name, cells in values.items():
        if not is_name(name):
            bad.append((name, "unknown_channel"))
        elif not isinstance(cells, list) or len(cells) != len(times_ns):
            bad.append((name, "wrong_type"))
        else:
            column, faults = _column(cells, origin.reading.values)
            bad.extend((name, reason) for reason in faults)
            if any(not math.isnan(cell) for cell in column):
                columns[name] = column
    if not columns:
        return _none_good(bad, {})
    return Frame(
        machine=origin.machine,
        channels=tuple(columns),
        times_ns=tuple(times_ns),
        rows=tuple(zip(*columns.values(), strict=True)),
        bad_values=tuple(bad),
    )


def _column(cells: Sequence[object], reader: ValueReader) -> tuple[list[float], list[RejectReason]]:
    """A block's column with NaN for what is missing, and the reason for each value turned away."""
    column: list[float] = []
    faults: list[RejectReason] = []
    for cell in cells:
        checked = None if cell is None else reader.read(cell)
        column.append(checked if isinstance(checked, float) else _NAN)
        if isinstance(checked, str):
            faults.append(checked)
    return column, faults


def _none_good(bad: Sequence[tuple[str, RejectReason]], values: Mapping[str, object]) -> Reject:
    if not bad:
        return Reject("no_values")
    name, reason = bad[0]
    detail = told(values.get(name), reason) or "no good value beside it"
    return Reject(reason, f"channel {name[:40]!r}: {detail}")


FORMAT = WireFormat.plain("json", decode, document=read_json)
