"""The bounded queue between the network thread and the pipeline thread. Knows no MQTT library.

When it is full the network thread is held back in short slices, so that the broker waits instead of this machine
swelling; when it stays full for `shed_after_s` the oldest messages are dropped and counted.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from edge_agent.mqtt.duplicates import UsedMarks, digest
from edge_agent.records import Delivery

SLICE_S = 0.5
"""Longest time that one call may hold the network thread: pings must still go out in time."""
_OVERHEAD_BYTES = 200
"""What a queued message costs beside its topic and payload, roughly."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What must be acknowledged to the broker, and in which connection it came.

    Attributes:
        mid: the broker's message number. session: the connection's number; a later one has other message numbers.
        again: the broker says that it has sent the message before.
    """

    mid: int
    session: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class Arrival:
    """A delivery and its receipt, none for QoS 0; `at_s` is the monotonic time of its arrival."""

    delivery: Delivery
    receipt: Receipt | None
    at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Batch:
    """What the pipeline takes out at once.

    Attributes:
        arrivals: in the order they were received.
        receipts: to acknowledge once the deliveries are done with, in the order received; shed ones included.
        shed: messages that were dropped since the last batch.
        passed_over: machines that lost some of these: what comes later does not follow on what came before.
    """

    arrivals: tuple[Arrival, ...]
    receipts: tuple[Receipt, ...]
    shed: int
    passed_over: frozenset[str] = frozenset()

    def unused(self, marks: UsedMarks) -> tuple[list[Delivery], int]:
        """(the messages without those that the broker sends again and that were used, how many these are).

        What is given back counts as used from now on.
        """
        new, again = [], 0
        for arrival in self.arrivals:
            if (receipt := arrival.receipt) is not None:
                content = digest(arrival.delivery)
                if receipt.again and marks.was_used(receipt.mid, content):
                    again += 1
                    continue
                marks.mark_used(receipt.mid, content)
            new.append(arrival.delivery)
        return new, again

    def without(self, left_out: Callable[[str], bool]) -> "Batch":
        """The same without the messages of such topics; their receipts stay."""
        if not any(left_out(one.delivery.topic) for one in self.arrivals):
            return self
        return replace(self, arrivals=tuple(one for one in self.arrivals if not left_out(one.delivery.topic)))

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """The messages alone."""
        return tuple(arrival.delivery for arrival in self.arrivals)


class Inbox:
    """Many messages wait here at most; one thread puts, one thread drains."""

    def __init__(
        self, *, messages_limit: int, bytes_limit: int, shed_after_s: float, monotonic: Callable[[], float]
    ) -> None:
        self._messages_limit = messages_limit
        self._bytes_limit = bytes_limit
        self._shed_after_s = shed_after_s
        self._monotonic = monotonic
        self._waiting: deque[Arrival] = deque()
        self._bytes = 0
        self._shed_receipts: list[Receipt] = []
        self._shed = 0
        self._full_since: float | None = None
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether a put would have to wait."""
        return len(self._waiting) >= self._messages_limit or self._bytes >= self._bytes_limit

    def put(self, arrival: Arrival) -> None:
        """Queue an arrival; holds the caller for at most `SLICE_S` when full, and never refuses."""
        self.put_all((arrival,))

    def put_all(self, arrivals: Iterable[Arrival]) -> None:
        """The same for several in their order, all of them together held for at most `SLICE_S`.

        Each held call adds what it brings beyond the limit, so the excess is bounded by shed_after_s / SLICE_S calls.
        """
        until_s = self._monotonic() + SLICE_S
        with self._changed:
            for arrival in arrivals:
                if self.full:
                    self._make_room(until_s)
                self._waiting.append(arrival)
                self._bytes += _size(arrival)
                if len(self._waiting) == 1:
                    self._changed.notify_all()

    def _make_room(self, until_s: float) -> None:
        now = self._monotonic()
        self._full_since = now if self._full_since is None else self._full_since
        if now - self._full_since < self._shed_after_s:
            self._changed.wait_for(lambda: not self.full or self._closed, timeout=max(0.0, until_s - now))
        else:
            while self.full and self._waiting:
                self._shed_oldest()

    def _shed_oldest(self) -> None:
        oldest = self._waiting.popleft()
        self._bytes -= _size(oldest)
        self._shed += 1
        if oldest.receipt is not None:
            self._shed_receipts.append(oldest.receipt)

    def drain(self, *, limit: int, timeout_s: float) -> Batch:
        """Up to `limit` of the oldest messages; waits for the first one for at most `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout=timeout_s)
            taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
            self._bytes -= sum(map(_size, taken))
            receipts, self._shed_receipts = self._shed_receipts, []
            shed, self._shed = self._shed, 0
            if not self.full:
                self._full_since = None
            self._changed.notify_all()
        receipts += [arrival.receipt for arrival in taken if arrival.receipt is not None]
        return Batch(tuple(taken), tuple(receipts), shed)

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def _size(arrival: Arrival) -> int:
    return len(arrival.delivery.payload) + len(arrival.delivery.topic) + _OVERHEAD_BYTES
