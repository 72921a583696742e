"""The common block of the `json` format, checked by msgspec and numpy in one go; any other is left to `json_row`.

A block of 100 rows of 8 channels has 800 numbers: looked at one by one in Python they cost more than their scores.
"""

from array import array

import msgspec
import numpy as np

from edge_agent.formats.origin import EARLIEST_NS, LARGEST, Origin
from edge_agent.records import Frame
from edge_agent.topics import is_name

_LATEST_S = 1e11
"""Beyond it microseconds in double precision would overflow; no clock is there."""


class _Block(msgspec.Struct):
    """Times in seconds, and as many numbers of each channel."""

    ts: list[float]
    values: dict[str, list[float]]


_BLOCKS = msgspec.json.Decoder(_Block)


def plain_block(payload: bytes, origin: Origin) -> Frame | None:
    """The frame of a block in which all is well, as the patient decoder would give it; None where anything is not."""
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
    )
