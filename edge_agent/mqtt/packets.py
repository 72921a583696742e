"""PUBLISH packets of MQTT 3.1.1 out of a run of bytes (OASIS MQTT 3.1.1, section 3.3). Pure; knows no socket.

paho reads a packet in three calls and a dozen objects. A gateway hears thousands of small ones a second, so those are
cut out of the run here; every other packet, and any that looks odd, is left to paho and to `packet_rules`.
"""

from functools import lru_cache
from typing import NamedTuple

_PUBLISH, _RETAIN, _QOS_1, _DUP = 0x30, 0x01, 0x02, 0x08
_LONGEST_HEAD = 5
"""The first byte and up to four of the length."""
_TOPICS = 4096
"""Decoded topics that are remembered."""


class PublishPacket(NamedTuple):
    """One PUBLISH.

    Attributes:
        topic: as it is; only paho's way lets one through that is no UTF-8, with surrogates.
        mid: the message number, 0 for QoS 0.
        again: the broker says that it has sent the message before.
        retain: the broker kept it, and says it because we have subscribed.
    """

    topic: str
    payload: bytes
    mid: int
    again: bool
    retain: bool = False


class PublishRun(NamedTuple):
    """What was taken.

    Attributes:
        end: where the last packet taken ends. torn: whether a PUBLISH begins there that is not whole yet.
    """

    found: list[PublishPacket]
    end: int
    torn: bool


def cut_publishes(data: bytes, at: int, *, keep_bytes: int) -> PublishRun:
    """The PUBLISH packets of QoS 0 and 1 that stand whole and unbroken in `data` from `at` on.

    Of a payload `keep_bytes` are kept at most.
    """
    found: list[PublishPacket] = []
    have = len(data)
    while at < have and data[at] & 0xF4 == _PUBLISH:
        head = data[at]
        body, length = _length(data, at + 1, have)
        end = body + length
        if body == 0 or end > have:
            return PublishRun(found, at, torn=body > 0 or have - at < _LONGEST_HEAD)
        topic_end = start = body + 2 + (data[body] << 8 | data[body + 1]) if length >= 2 else end + 1
        mid = 0
        if head & _QOS_1:
            start += 2
            mid = data[topic_end] << 8 | data[topic_end + 1] if start <= end else 0
        if start > end or not (topic := _topic(data[body + 2 : topic_end])) or (head & _QOS_1 and not mid):
            break
        payload = data[start : min(end, start + keep_bytes)]
        found.append(PublishPacket(topic, payload, mid, head & _DUP != 0, head & _RETAIN != 0))
        at = end
    return PublishRun(found, at, torn=False)


def _length(data: bytes, at: int, have: int) -> tuple[int, int]:
    """Where the body begins, 0 where that cannot be said, and how long it is."""
    length = shift = 0
    while at < have and shift < 28:
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return at, length
        shift += 7
    return 0, 0


@lru_cache(maxsize=_TOPICS)
def _topic(raw: bytes) -> str:
    """The topic, "" for what is none."""
    if b"\0" in raw or b"+" in raw or b"#" in raw:
        return ""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return ""
