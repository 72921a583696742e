"""One JSON or CBOR item out of untrusted bytes, or why there is none. Knows no message's meaning.

CBOR's tags become plain numbers, text and arrays, or stay tags for the caller to turn away: no payload makes the
library build regular expressions, mail messages, dates or numbers of a million digits.
"""

import json
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import cbor2
import msgspec
import numpy as np

from edge_agent.records import Reject

_DEPTH_LIMIT = 32
"""Containers in containers; no sensor message needs a quarter of it."""
_ARRAY_TYPES: Mapping[int, str] = {
    64: "u1", 65: ">u2", 66: ">u4", 67: ">u8", 68: "u1", 69: "<u2", 70: "<u4", 71: "<u8",
    72: "i1", 73: ">i2", 74: ">i4", 75: ">i8", 77: "<i2", 78: "<i4", 79: "<i8",
    80: ">f2", 81: ">f4", 82: ">f8", 84: "<f2", 85: "<f4", 86: "<f8",
}  # fmt: skip
"""Typed arrays, RFC 8746 section 2.1; quadruple precision (83, 87) has no counterpart in numpy."""
_TRANSPARENT_TAGS = (0, 1, 55799)
"""Time as text, time as seconds and "this is CBOR": what they wrap says enough."""
_DECIMAL_TAG = 4
_CLOSED_TAGS = (2, 3, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000)
"""Tags that the library knows how to decode, to objects of which no measurement is made."""
_MANTISSA_LIMIT = 2**64
_EXPONENT_LIMIT = 400


def read_json(payload: bytes) -> Any:
    """The item, or a Reject. Where a name stands twice the last counts; NaN and Infinity are let through."""
    try:
        return msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return json.loads(payload.decode())
    except UnicodeDecodeError:
        return Reject("not_utf8")
    except (ValueError, RecursionError) as error:
        return Reject("not_json", str(error)[:80])


def read_cbor(payload: bytes, *, text_keys: bool) -> Any:
    """The item, or a Reject; typed arrays come as numpy arrays of one axis.

    Args:
        payload: one item and nothing behind it.
        text_keys: whether maps may have text keys only, which shuts out numbers that were made to collide.
    """
    source = BytesIO(payload)
    decoder = cbor2.CBORDecoder(
        source,
        tag_hook=_array,
        semantic_decoders=_PLAIN,
        max_depth=_DEPTH_LIMIT,
        strict_hashable_types=text_keys,
    )
    try:
        item = decoder.decode()
    except (cbor2.CBORDecodeError, RecursionError) as error:
        return Reject("malformed", f"CBOR: {error}"[:100])
    if source.tell() != len(payload):
        return Reject("malformed", f"CBOR: {len(payload) - source.tell()} bytes behind the item")
    return item


def _array(tag: cbor2.CBORTag, _immutable: bool) -> object:  # noqa: FBT001 -- the library's signature
    """A typed array as numpy's; every other tag as it is."""
    dtype = _ARRAY_TYPES.get(tag.tag)
    raw = tag.value
    if dtype is None or not isinstance(raw, bytes) or len(raw) % np.dtype(dtype).itemsize:
        return tag
    return np.frombuffer(raw, dtype)


def _decimal(value: object, _immutable: bool) -> object:  # noqa: FBT001
    """Mantissa times a power of ten, as far as a double reaches."""
    match value:
        case [int(exponent), int(mantissa)] if (
            abs(exponent) <= _EXPONENT_LIMIT and abs(mantissa) < _MANTISSA_LIMIT
        ):
            return float(f"{mantissa}e{exponent}")
    return cbor2.CBORTag(_DECIMAL_TAG, value)


def _inner(value: object, _immutable: bool) -> object:  # noqa: FBT001
    return value


def _closed(number: int) -> Callable[[object, bool], object]:
    def keep(value: object, _immutable: bool) -> object:  # noqa: FBT001
        return cbor2.CBORTag(number, value)

    return keep


_PLAIN: Mapping[int, Callable[[Any, bool], Any]] = {
    **dict.fromkeys(_TRANSPARENT_TAGS, _inner),
    **{number: _closed(number) for number in _CLOSED_TAGS},
    _DECIMAL_TAG: _decimal,
}
