"""What a broker takes: how long a message may be before it hangs up, and what to do with one that it does not take.

MQTT 3.1.1 has no word for it: a broker that finds a packet too long closes the connection, and so do some for a topic
that they do not allow. What was alone on its way when that happened, twice, is to blame. Longer ones than any that were
acknowledged are sent shorter from then on; what cannot be made shorter, or is to blame without being long, is set aside
so that everything behind it goes out. Pure: bytes and counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from edge_agent.mqtt.outbox import Message

_HEAD_BYTES = 9
"""Around topic and payload in a PUBLISH of QoS 1: head, length of up to four bytes, topic's length, number."""
_TRIES = 2
_TRIES_IF_SHORT = 4
"""A short message may be alone on its way by chance when the network fails."""
_TEXT_CHARACTERS = 40
"""Longer texts may be cut."""
_WHOLE = frozenset({"id", "machine", "agent", "model"})
"""Texts that name something are not cut."""
SHORTENED = "shortened"
"""Field of a message that lacks parts: true."""

Verdict = Literal["again", "shorter", "later", "aside"]


@dataclass(frozen=True, slots=True)
class RefusedMessage:
    """The latest message that the broker did not take."""

    topic: str
    size_bytes: int


class PacketBounds:
    """What one broker has taken and not taken, of one connection's messages."""

    def __init__(self) -> None:
        self.limit_bytes: int | None = None
        """Packets of so many bytes are sent at most; None while any length is taken."""
        self.shortened = 0
        """Messages that were sent shorter."""
        self.set_aside = 0
        """Messages that were given up."""
        self._largest = 0
        self._refused = 1 << 28
        """The shortest that was refused for its length."""
        self._tries: dict[tuple[str, ...], int] = {}
        self._cut: set[tuple[str, ...]] = set()
        """Keys of messages that were sent shorter and are not acknowledged."""
        self._latest: RefusedMessage | None = None

    def fitted(self, message: Message) -> bytes | None:
        """The payload as it may be sent; None where it cannot be made short enough."""
        limit = self.limit_bytes
        if limit is None or size(message, message.payload) <= limit:
            return message.payload
        self._latest = RefusedMessage(message.topic, size(message, message.payload))
        around = size(message, b"")
        shorter = shorten(message.payload, limit - around)
        if shorter is None or around + len(shorter) >= self._refused:
            shorter = None
            self.set_aside += 1
        else:
            self._cut.add(message.key)
        return shorter

    def taken(self, key: tuple[str, ...], size_bytes: int) -> None:
        """The broker has acknowledged a message of so many bytes."""
        self._tries.pop(key, None)
        self.shortened += key in self._cut
        self._cut.discard(key)
        self._largest = max(self._largest, size_bytes)
        if self.limit_bytes is not None:
            self.limit_bytes = max(self.limit_bytes, size_bytes)

    def blame(self, message: Message, size_bytes: int) -> Verdict:
        """The connection ended while nothing but this message was on its way, so many bytes long."""
        tries = self._tries[message.key] = self._tries.get(message.key, 0) + 1
        self._latest = RefusedMessage(message.topic, size_bytes)
        if size_bytes > self._largest:
            if tries < _TRIES:
                return "again"
            del self._tries[message.key]
            self._refused = min(self._refused, size_bytes)
            self.limit_bytes = max(self._largest, size_bytes * 3 // 4)
            return "shorter"
        if tries < _TRIES_IF_SHORT:
            return "again" if tries < _TRIES else "later"
        self._tries.pop(message.key, None)
        self.set_aside += 1
        return "aside"

    def amiss(self) -> list[str]:
        """What the broker does not take, for health; empty where it takes everything."""
        if self._latest is None or not (self._cut or self.shortened or self.set_aside):
            return []
        which = f"the latest of {self._latest.size_bytes} bytes to {self._latest.topic}"
        became = f"{self.shortened} were sent shorter, {self.set_aside} set aside"
        return [f"broker: hangs up on some messages, {which}: {became}"]


def size(message: Message, payload: bytes) -> int:
    """Bytes of the packet that the payload makes with the message's topic, about."""
    return _HEAD_BYTES + len(message.topic.encode(errors="replace")) + len(payload)


def shorten(payload: bytes, limit_bytes: int) -> bytes | None:
    """A JSON object with its longest lists, texts, and its table of machines cut until it fits, or as short as it gets.

    None where nothing can be cut.
    """
    try:
        told = msgspec.json.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if not isinstance(told, dict):
        return None
    told[SHORTENED] = True
    while len(shorter := msgspec.json.encode(told)) > limit_bytes:
        longest = max(_parts(told), key=lambda part: len(msgspec.json.encode(part[0][part[1]])), default=None)
        if longest is None:
            return shorter if len(shorter) < len(payload) else None
        holder, name = longest
        part = holder[name]
        rest = len(part) // 2
        if isinstance(part, str):
            holder[name] = part[: max(rest, _TEXT_CHARACTERS - 1)] + "…"
        else:
            holder[name] = part[:rest] if isinstance(part, list) else dict([*part.items()][:rest])
    return shorter


def _parts(told: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """(object, name) of what may be cut: lists that hold anything, tables whose keys are names of things, texts."""
    for name, value in told.items():
        if (isinstance(value, list) or name in {"machines", "kinds"}) and value:
            yield told, name
        if isinstance(value, str) and name not in _WHOLE and len(value) > _TEXT_CHARACTERS:
            yield told, name
        if isinstance(value, dict):
            for part in [*value.values()] if name == "machines" else [value]:
                if isinstance(part, dict):
                    yield from _parts(part)
