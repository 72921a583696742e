"""What still has to reach the broker, and what must be said again after a reconnect. In memory, bounded; no MQTT.

A message leaves only when the broker has acknowledged it. Because an acknowledgement is no durability, the latest
word on every open alarm is kept and said again at each new connection; readers drop (id, revision) already seen.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Message:
    """A message to publish.

    Attributes:
        key: a waiting message is replaced by a later one with the same key.
        alert: whether it counts as a published alert.
    """

    key: tuple[str, ...]
    topic: str
    payload: bytes
    retain: bool = False
    alert: bool = False


@dataclass(frozen=True, slots=True)
class OpenAlarm:
    """The latest revision of an open alarm, ready to be said again.

    Attributes:
        live: say it to all; otherwise only its retained message is kept up to date.
    """

    id: str
    topic: str
    payload: bytes
    live: bool = True


class Outbox:
    """Messages in the order they are to be sent. Belongs to one thread."""

    def __init__(self, *, limit: int) -> None:
        self.dropped = 0
        """Messages given up because too many waited."""
        self._limit = limit
        self._waiting: OrderedDict[tuple[str, ...], Message] = OrderedDict()
        self._flying: dict[int, Message] = {}
        self._open: dict[str, OpenAlarm] = {}

    def __len__(self) -> int:
        return len(self._waiting) + len(self._flying)

    @property
    def flying(self) -> int:
        """Messages handed to the network and not acknowledged yet."""
        return len(self._flying)

    def put(self, message: Message) -> None:
        """Add a message, last in line, in place of a waiting one with its key; too many: the oldest goes."""
        self._waiting.pop(message.key, None)
        self._waiting[message.key] = message
        if len(self._waiting) > self._limit:
            self._waiting.popitem(last=False)
            self.dropped += 1

    def raise_alarm(self, alarm: OpenAlarm, *, revision: int) -> None:
        """Say that an alarm is open: to all, and retained for those who come later."""
        self._open[alarm.id] = alarm
        kind = "opened" if revision == 1 else "updated"
        if alarm.live:
            self.put(Message(key=(kind, alarm.id), topic=alarm.topic, payload=alarm.payload, alert=True))
        self.put(_retained(alarm))

    def close_alarm(self, alarm: OpenAlarm) -> None:
        """Say that an alarm is closed: first the closing revision, then the retained message goes."""
        self._open.pop(alarm.id, None)
        if alarm.live:
            self.put(Message(key=("closed", alarm.id), topic=alarm.topic, payload=alarm.payload, alert=True))
        self.put(replace(_retained(alarm), payload=b""))

    def open_alarms(self) -> Iterable[OpenAlarm]:
        """The latest revision of every open alarm."""
        return self._open.values()

    def say_again(self) -> None:
        """At a new connection: the broker may have forgotten, so repeat the latest word on every open alarm."""
        for alarm in self._open.values():
            if alarm.live and ("opened", alarm.id) not in self._waiting:
                self.put(
                    Message(key=("updated", alarm.id), topic=alarm.topic, payload=alarm.payload, alert=True)
                )
            self.put(_retained(alarm))

    def next(self) -> Message | None:
        """The message to send next; it stays until `sent` says that the network has it."""
        return next(iter(self._waiting.values()), None)

    def sent(self, message: Message, mid: int) -> None:
        """The network has taken `message` under this number."""
        del self._waiting[message.key]
        self._flying[mid] = message

    def acknowledged(self, mid: int) -> Message | None:
        """The broker has the message; None for a number that is not known."""
        return self._flying.pop(mid, None)

    def landed(self) -> None:
        """The network lost everything it had taken: all of it waits again, first in line."""
        again = list(self._flying.values())
        self._flying.clear()
        for message in reversed(again):
            if message.key not in self._waiting:
                self._waiting[message.key] = message
                self._waiting.move_to_end(message.key, last=False)


def _retained(alarm: OpenAlarm) -> Message:
    return Message(
        key=("retained", alarm.id), topic=f"{alarm.topic}/{alarm.id}", payload=alarm.payload, retain=True
    )
