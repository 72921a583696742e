"""PUBLISH packets of MQTT 3.1.1 out of a run of bytes (OASIS MQTT 3.1.1, section 3.3). Pure; knows no socket.

paho reads a packet in three calls and a dozen objects. A gateway hears thousands of small ones a second, so those are
cut out of the run here; every other packet, and every long one, is left to paho.
"""

from functools import lru_cache
from typing import NamedTuple

_PUBLISH, _RETAIN, _QOS, _DUP = 0x30, 0x01, 0x06, 0x08
_TOPICS = 4096
"""Decoded topics that are remembered."""


class MalformedPacketError(ValueError):
    """A packet that MQTT forbids; the connection must be closed (MQTT-4.8.0-1)."""


class Publish(NamedTuple):
    """One PUBLISH.

    Attributes:
        topic: bytes that are no UTF-8 as surrogates. mid: the message number, 0 for QoS 0.
        again: the broker says that it has sent the message before.
    """

    topic: str
    payload: bytes
    mid: int
    again: bool


class Run(NamedTuple):
    """What was taken.

    Attributes:
        end: where the last packet taken ends. torn: whether a PUBLISH begins there that is not whole yet.
    """

    found: list[Publish]
    end: int
    torn: bool


def take(data: bytes, at: int, *, keep_bytes: int) -> Run:
    """The PUBLISH packets of QoS 0 and 1 that stand whole and unbroken in `data` from `at` on.

    Of a payload `keep_bytes` are kept at most.

    Raises:
        MalformedPacketError: as it says; what came before in `data` is lost with the connection.
    """
    found: list[Publish] = []
    have = len(data)
    while at < have and data[at] & 0xF4 == _PUBLISH:
        body, length = _length(data, at + 1, have)
        end = body + length
        if body == 0 or end > have:
            return Run(found, at, torn=True)
        head = data[at]
        topic_at = body + 2
        start = topic_at + (data[body] << 8 | data[body + 1]) if length >= 2 else end + 1
        topic_end, mid = start, 0
        if head & _QOS:
            start += 2
            mid = data[start - 2] << 8 | data[start - 1] if start <= end else 0
            if mid == 0 and start <= end:
                raise MalformedPacketError("message number 0")
        elif head & _DUP:
            raise MalformedPacketError("QoS 0 sent again")
        if start > end:
            raise MalformedPacketError("a topic beyond the packet")
        topic = _topic(data[topic_at:topic_end])
        found.append(Publish(topic, data[start : min(end, start + keep_bytes)], mid, head & _DUP != 0))
        at = end
    return Run(found, at, torn=False)


def _length(data: bytes, at: int, have: int) -> tuple[int, int]:
    """Where the body begins, 0 where that cannot be said yet, and how long it is."""
    length = shift = 0
    while at < have and shift < 28:
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return at, length
        shift += 7
    if shift == 28:
        raise MalformedPacketError("a length of more than four bytes")
    return 0, 0


@lru_cache(maxsize=_TOPICS)
def _topic(raw: bytes) -> str:
    if not raw or b"\0" in raw or b"+" in raw or b"#" in raw:
        raise MalformedPacketError("a topic that nobody may publish to")
    return raw.decode("utf-8", "surrogateescape")
