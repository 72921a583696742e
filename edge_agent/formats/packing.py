"""What stands around a payload: gzip, zlib, zstd, byte order marks, zero bytes. Bounded: no payload swells memory."""

import zlib
from typing import Literal

from edge_agent.records import Reject

_GZIP, _ZSTD, _ZLIB = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x78"
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_ANY_HEADER, _RAW = 47, -15
"""zlib's window bits: gzip or zlib by the header; deflate without one."""


def unwrapped(payload: bytes, *, limit_bytes: int) -> bytes | Reject | None:
    """The payload without what stands around it, or why that cannot be had; None where nothing does."""
    if payload[:2] == _GZIP:
        return inflate(payload, limit_bytes=limit_bytes)
    if payload[:4] == _ZSTD:
        return _zstd(payload, limit_bytes=limit_bytes)
    if payload[:1] == _ZLIB and len(payload) > 2 and int.from_bytes(payload[:2]) % 31 == 0:
        found = inflate(payload, limit_bytes=limit_bytes)
        # Text may begin so, too: then it is the text's own fault that it could not be read.
        return found if isinstance(found, bytes) or found.reason == "too_large" else None
    for mark, encoding in _BOMS:
        if payload.startswith(mark):
            text = payload[len(mark) :].decode(encoding, "ignore").rstrip("\0")
            return text.encode("utf-8", "ignore") or None
    return payload.rstrip(b"\0") if payload.endswith(b"\0") else None


def inflate(payload: bytes, *, limit_bytes: int, form: Literal["header", "raw"] = "header") -> bytes | Reject:
    """What gzip or deflate has packed, or why it cannot be had."""
    unpacker = zlib.decompressobj(_ANY_HEADER if form == "header" else _RAW)
    try:
        found = unpacker.decompress(payload, limit_bytes + 1)
    except zlib.error as error:
        return Reject("malformed", f"packed payload: {error}"[:100])
    if len(found) > limit_bytes:
        return Reject("too_large", f"more than {limit_bytes} bytes unpacked")
    if not unpacker.eof:
        return Reject("malformed", "packed payload: it ends too early")
    return found


def _zstd(payload: bytes, *, limit_bytes: int) -> bytes | Reject:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an optional dependency: few gateways need it
    except ImportError:
        return Reject("unsupported", "zstd: install edge-agent[recordings]")
    try:
        with pa.input_stream(pa.BufferReader(payload), compression="zstd") as stream:
            found = bytes(stream.read(limit_bytes + 1))
    except (pa.ArrowException, OSError) as error:
        return Reject("malformed", f"packed payload: {error}"[:100])
    if len(found) > limit_bytes:
        return Reject("too_large", f"more than {limit_bytes} bytes unpacked")
    return found
