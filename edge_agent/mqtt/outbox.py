"""What has yet to reach the broker, retained messages too, and what is said again after a reconnect. Bounded; no file.

A message leaves only when the broker has acknowledged it or, where subscribers give receipts, when one of them has it.
Because an acknowledgement is no durability, the latest word on every open alarm, and the last word on those that closed
a short while ago, are kept and said again at each new connection; readers drop (id, revision) already seen.

Every alert message ends in one of four ways: made = delivered + merged + dropped + waiting. When too many wait, the
oldest verdicts on parts go first, then updates (merged: a later word replaces them), then openings whose closing waits
as well, and only then the oldest.
What must outlive the process is handed out by `take_changes` and given back to `restore`.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import msgspec

VERDICT = "inspection"
"""First part of the key of a verdict on a part: there are many of them, and no alarm may wait behind them for ever."""
_ROW, _OPEN, _CLOSED = "outbox/", "open/", "closed/"
"""Names under which rows, open and closed alarms are written down."""
_REPEAT_CLOSED_S = 1800.0
"""How long a closing is said again: a broker killed with mosquitto's defaults may have forgotten the last half hour."""
_CLOSED_LIMIT = 1000
_RECEIPT_PATIENCE_S = 60.0
"""An alert without a receipt is said again after this time."""
_OVERHEAD_BYTES = 300


@dataclass(frozen=True, slots=True)
class Message:
    """A message to publish.

    Attributes:
        key: a waiting message is replaced by a later one with the same key.
        alert: whether it counts as a published alert.
        durable: whether it must outlive the process.
        revision: of the alert; with the alarm's id, the last part of the key, it names the message in a receipt.
    """

    key: tuple[str, ...]
    topic: str
    payload: bytes
    retain: bool = False
    alert: bool = False
    durable: bool = False
    revision: int = 0


@dataclass(frozen=True, slots=True)
class OpenAlarm:
    """The latest revision of an alarm, ready to be said again.

    Attributes:
        live: say it to all; otherwise only its retained message is kept up to date.
    """

    id: str
    topic: str
    payload: bytes
    revision: int = 0
    live: bool = True


@dataclass(frozen=True, slots=True)
class _QueuedMessage:
    number: int
    message: Message

    @property
    def name(self) -> str:
        return f"{_ROW}{self.number:020d}"

    @property
    def size(self) -> int:
        return len(self.message.payload) + len(self.message.topic) + _OVERHEAD_BYTES


class Outbox:
    """Messages in the order they are to be sent. Belongs to one thread."""

    def __init__(
        self,
        *,
        limit: int,
        bytes_limit: int = 10_000_000,
        receipts: bool = False,
        monotonic: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """Empty; `receipts` keeps alerts until `mark_confirmed`, `monotonic` only tells how old closings are."""
        self.made = 0
        """Alert messages to deliver: new ones, repeats, and those restored."""
        self.delivered = 0
        """Alert messages that reached the broker or, with receipts, a subscriber."""
        self.merged = 0
        """Alert messages that a later word on the same alarm replaced."""
        self.dropped = 0
        """Messages given up because too many waited."""
        self.alerts_dropped = 0
        """Alert messages among them."""
        self.bytes = 0
        """What all messages cost in memory, roughly."""
        self._limit, self._bytes_limit = limit, bytes_limit
        self._receipts = receipts
        self._monotonic = monotonic
        self._next_number = 1
        self._waiting: OrderedDict[tuple[str, ...], _QueuedMessage] = OrderedDict()
        self._verdicts: OrderedDict[tuple[str, ...], None] = OrderedDict()  # waiting keys that may be dropped
        self._updates: OrderedDict[tuple[str, ...], None] = OrderedDict()  # waiting keys that may be merged
        self._in_flight: dict[int, _QueuedMessage] = {}
        self._unconfirmed: OrderedDict[tuple[str, int], tuple[_QueuedMessage, float]] = (
            OrderedDict()
        )  # with the time
        self._open: dict[str, OpenAlarm] = {}
        self._closed: OrderedDict[str, tuple[OpenAlarm, float]] = OrderedDict()
        self._changes: dict[str, bytes | None] = {}

    def __len__(self) -> int:
        return len(self._waiting) + len(self._in_flight) + len(self._unconfirmed)

    @property
    def in_flight(self) -> int:
        """Messages handed to the network and not acknowledged yet."""
        return len(self._in_flight)

    @property
    def alerts_waiting(self) -> int:
        """Alert messages that are not delivered yet."""
        return self.made - self.delivered - self.merged - self.alerts_dropped

    # -- what is to be said ---------------------------------------------------------------------------------

    def put(self, message: Message) -> None:
        """Add a message, last in line, in place of a waiting one with its key."""
        self.made += message.alert
        self._forget_waiting(message.key, merged=True)
        row = _QueuedMessage(self._next_number, message)
        self._next_number += 1
        self._line_up(row)
        if message.durable:
            self._changes[row.name] = msgspec.msgpack.encode(message)
        while len(self) > self._limit or self.bytes > self._bytes_limit:
            if not self._make_room():
                return

    def raise_alarm(self, alarm: OpenAlarm, *, first: bool) -> None:
        """Say that an alarm is open: to all, and retained for those who come later.

        The `first` word to all is the one that is never merged with a later one.
        """
        self._open[alarm.id] = alarm
        self._changes[_OPEN + alarm.id] = msgspec.msgpack.encode(alarm)
        if self._closed.pop(alarm.id, None) is not None:  # it has been reopened
            self._changes[_CLOSED + alarm.id] = None
        self._tell("opened" if first else "updated", alarm)
        self.put(_retained(alarm))

    def close_alarm(self, alarm: OpenAlarm) -> None:
        """Say that an alarm is closed: first the closing revision, then the retained message goes."""
        self._open.pop(alarm.id, None)
        self._changes[_OPEN + alarm.id] = None
        self._closed[alarm.id] = (alarm, self._monotonic())
        self._changes[_CLOSED + alarm.id] = msgspec.msgpack.encode(alarm)
        if len(self._closed) > _CLOSED_LIMIT:
            self._changes[_CLOSED + self._closed.popitem(last=False)[0]] = None
        self._tell("closed", alarm)
        self.put(replace(_retained(alarm), payload=b""))

    def forget_alarm(self, alarm_id: str) -> None:
        """Say no more of an alarm."""
        if self._open.pop(alarm_id, None) is not None:
            self._changes[_OPEN + alarm_id] = None

    def open_alarms(self) -> Iterable[OpenAlarm]:
        """The latest revision of every open alarm."""
        return self._open.values()

    def repeat_alarms(self) -> None:
        """At a new connection: the broker may have forgotten, so repeat the last word on every alarm of late."""
        self.repeat_unconfirmed(patience_s=-1.0)
        for alarm in self._open.values():
            if ("opened", alarm.id) not in self._waiting:
                self._tell("updated", alarm)
            self.put(_retained(alarm))
        self._forget_old_closings()
        for alarm, _ in self._closed.values():
            self._tell("closed", alarm)
            self.put(replace(_retained(alarm), payload=b""))

    def repeat_unconfirmed(self, *, patience_s: float = _RECEIPT_PATIENCE_S) -> None:
        """Say again what no subscriber has given a receipt for in this time; the repeat stands for both."""
        latest_s = self._monotonic() - patience_s
        while self._unconfirmed:
            name, (row, since_s) = next(iter(self._unconfirmed.items()))
            if since_s > latest_s:
                return
            del self._unconfirmed[name]
            self._end_row(row, merged=True)
            if row.message.key not in self._waiting:
                self.put(row.message)

    def _tell(self, kind: str, alarm: OpenAlarm) -> None:
        if not alarm.live:
            return
        key = (kind, alarm.id)
        self.put(Message(key, alarm.topic, alarm.payload, alert=True, durable=True, revision=alarm.revision))

    def _forget_old_closings(self) -> None:
        oldest = self._monotonic() - _REPEAT_CLOSED_S
        for alarm_id in [name for name, (_, since_s) in self._closed.items() if since_s < oldest]:
            del self._closed[alarm_id]
            self._changes[_CLOSED + alarm_id] = None

    # -- what became of it ----------------------------------------------------------------------------------

    def next_message(self) -> Message | None:
        """The message to send next; it stays until `mark_sent` says that the network has it."""
        row = next(iter(self._waiting.values()), None)
        return None if row is None else row.message

    def mark_sent(self, message: Message, mid: int) -> None:
        """The network has taken `message` under this number."""
        self._updates.pop(message.key, None)
        self._verdicts.pop(message.key, None)
        self._in_flight[mid] = self._waiting.pop(message.key)

    def on_its_way(self) -> Message | None:
        """The only message that the network has and the broker has not acknowledged; None where there are others."""
        rows = [*self._in_flight.values()]
        return rows[0].message if len(rows) == 1 else None

    def defer(self, message: Message) -> None:
        """Send a waiting message after all others."""
        if message.key in self._waiting:
            self._waiting.move_to_end(message.key)

    def set_aside(self, message: Message) -> None:
        """Give up a waiting message that the broker does not take; it counts as dropped."""
        self._forget_waiting(message.key, merged=False)

    def mark_acknowledged(self, mid: int) -> Message | None:
        """The broker has the message; None for a number that is not known."""
        row = self._in_flight.pop(mid, None)
        if row is None:
            return None
        message = row.message
        name = (message.key[-1], message.revision)
        if self._receipts and message.alert and name not in self._unconfirmed:
            self._unconfirmed[name] = (row, self._monotonic())
        else:
            self._end_row(row, delivered=True)
        return message

    def mark_confirmed(self, alarm_id: str, revision: int) -> bool:
        """A subscriber has this revision; whether it was waited for."""
        held = self._unconfirmed.pop((alarm_id, revision), None)
        if held is None:
            return False
        self._end_row(held[0], delivered=True)
        return True

    def requeue_sent(self) -> None:
        """The network lost everything it had taken: all of it waits again, first in line."""
        again = list(self._in_flight.values())
        self._in_flight.clear()
        for row in reversed(again):
            if row.message.key in self._waiting:
                self._end_row(row, merged=True)
            else:
                self.bytes -= row.size
                self._line_up(row)
                self._waiting.move_to_end(row.message.key, last=False)

    # -- across restarts ------------------------------------------------------------------------------------

    def take_changes(self) -> dict[str, bytes | None]:
        """What to write down since the last call, by name; None where a name is to be forgotten."""
        changes, self._changes = self._changes, {}
        return changes

    @property
    def urgent(self) -> bool:
        """Whether there is something to write down, not only to forget."""
        return any(value is not None for value in self._changes.values())

    def everything(self) -> dict[str, bytes]:
        """All that must outlive the process, by name."""
        self._changes = {}
        unconfirmed = [row for row, _ in self._unconfirmed.values()]
        rows = [*unconfirmed, *self._in_flight.values(), *self._waiting.values()]
        encode = msgspec.msgpack.encode
        return {
            **{row.name: encode(row.message) for row in rows if row.message.durable},
            **{_OPEN + alarm.id: encode(alarm) for alarm in self._open.values()},
            **{_CLOSED + alarm.id: encode(alarm) for alarm, _ in self._closed.values()},
        }

    def restore(self, written: Mapping[str, bytes]) -> None:
        """Take up what an earlier process wrote down; names that are not the outbox's are passed over.

        Raises:
            ValueError: something of it is not what `take_changes` gave.
        """
        decode = msgspec.msgpack.decode
        for name in sorted(written):
            if name.startswith(_ROW):
                row = _QueuedMessage(int(name.removeprefix(_ROW)), decode(written[name], type=Message))
                self.made += row.message.alert
                self._forget_waiting(row.message.key, merged=True)
                self._line_up(row)
                self._next_number = max(self._next_number, row.number + 1)
            elif name.startswith(_OPEN):
                alarm = decode(written[name], type=OpenAlarm)
                self._open[alarm.id] = alarm
            elif name.startswith(_CLOSED):
                alarm = decode(written[name], type=OpenAlarm)
                self._closed[alarm.id] = (alarm, self._monotonic())

    # -- rows -----------------------------------------------------------------------------------------------

    def _line_up(self, row: _QueuedMessage) -> None:
        self._waiting[row.message.key] = row
        self.bytes += row.size
        if row.message.key[0] == "updated":
            self._updates[row.message.key] = None
        if row.message.key[0] == VERDICT:
            self._verdicts[row.message.key] = None

    def _forget_waiting(self, key: tuple[str, ...], *, merged: bool) -> None:
        row = self._waiting.pop(key, None)
        self._updates.pop(key, None)
        self._verdicts.pop(key, None)
        if row is not None:
            self._end_row(row, merged=merged, dropped=not merged)

    def _end_row(
        self, row: _QueuedMessage, *, delivered: bool = False, merged: bool = False, dropped: bool = False
    ) -> None:
        """A row has come to its end, and is taken off every list already."""
        alert = row.message.alert
        self.delivered += delivered and alert
        self.merged += merged and alert
        self.dropped += dropped
        self.alerts_dropped += dropped and alert
        self.bytes -= row.size
        if row.message.durable:
            self._changes[row.name] = None

    def _make_room(self) -> bool:
        """Give up a verdict, an update, an opening whose closing waits, or the oldest; False where nothing can go."""
        if self._verdicts:
            self._forget_waiting(next(iter(self._verdicts)), merged=False)
            return True
        if self._updates:
            self._forget_waiting(next(iter(self._updates)), merged=True)
            return True
        for key in self._waiting:
            if key[0] == "opened" and ("closed", key[-1]) in self._waiting:
                self._forget_waiting(key, merged=True)
                return True
        if self._unconfirmed:
            self._end_row(self._unconfirmed.popitem(last=False)[1][0], dropped=True)
        elif len(self._waiting) > 1:
            self._forget_waiting(next(iter(self._waiting)), merged=False)
        else:
            return False  # what is in flight comes to its end by itself
        return True


def _retained(alarm: OpenAlarm) -> Message:
    return Message(
        key=("retained", alarm.id),
        topic=f"{alarm.topic}/{alarm.id}",
        payload=alarm.payload,
        retain=True,
        durable=True,
    )
