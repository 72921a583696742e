"""Tells messages that the broker sends again from new ones: by number and content, never by content alone. Pure.

A broker that has not seen our acknowledgement sends the message again in the next connection, with the same number and
the duplicate flag. Times tell such a message too, but not every payload has one. So for each number the digest of
the last message that was used is kept; only a flagged message that agrees with it is a duplicate.
"""

import zlib
from array import array
from collections import deque
from collections.abc import Iterable

import numpy as np

from edge_agent.records import Delivery

_NUMBERS = 65_536
"""MQTT's message numbers have 16 bits."""
_REMEMBERED = 8192
"""Newest marks that survive a restart: more than any broker sends without having our acknowledgements."""
_MARK = np.dtype([("mid", "<u2"), ("digest", "<u4")])


def digest(delivery: Delivery) -> int:
    """32 bits of topic and payload."""
    return zlib.crc32(delivery.payload, zlib.crc32(delivery.topic.encode("utf-8", "surrogateescape")))


class UsedMarks:
    """What was used of the messages of late."""

    def __init__(self) -> None:
        self._digests = array("Q", bytes(8 * _NUMBERS))  # digest + 1; 0: none
        self._recent: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self._fresh: list[tuple[int, int]] = []

    def was_used(self, mid: int, content: int) -> bool:
        """Whether a message flagged as a duplicate was used already."""
        return self._digests[mid] == content + 1

    def mark_used(self, mid: int, content: int) -> None:
        """A message has been used."""
        self._digests[mid] = content + 1
        self._fresh.append((mid, content))

    def take_new_marks(self) -> bytes:
        """The marks since the last call, to be written down."""
        fresh, self._fresh = self._fresh, []
        self._recent.extend(fresh)
        return encode(fresh)

    def all_marks(self) -> bytes:
        """All marks that a restart should know."""
        self.take_new_marks()
        return encode(self._recent)

    def restore(self, written: Iterable[bytes]) -> None:
        """Take up what was written down, oldest first."""
        for raw in written:
            marks = np.frombuffer(raw[: len(raw) - len(raw) % _MARK.itemsize], _MARK)
            for mid, content in marks.tolist():
                self.mark_used(mid, content)
        self.take_new_marks()


def encode(marks: Iterable[tuple[int, int]]) -> bytes:
    """Marks as bytes, six each."""
    return np.array(list(marks), _MARK).tobytes()
