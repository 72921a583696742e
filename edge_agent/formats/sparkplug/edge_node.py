"""One Sparkplug edge node as its host sees it: births, what aliases mean, order, the latest values. Speaks to nobody.

Specification: Eclipse Sparkplug 3.0.0, chapters 5.4 to 5.9 and 6.4. Rules that it leaves to the host:

- A metric that a message leaves out has not changed: every row repeats the latest value of each. Null, bad quality
  and death make it missing.
- A message is one row, stamped with its latest metric; where a metric stands in it several times, several rows.
- Messages held back behind one that never came are taken in their order when the reorder timeout ends.
- A new NBIRTH of the same session (same bdSeq) is a rebirth: nothing was interrupted, but nothing said before counts.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from edge_agent.formats.origin import Origin
from edge_agent.formats.samples import channel_name, stamp_ns
from edge_agent.formats.sparkplug.payload import BD_SEQ, Address, SparkplugMetric, SparkplugPayload, reading
from edge_agent.records import Frame, Reject, Stale, StaleCause
from edge_agent.topics import is_name

_CONTROL = ("Node Control/", "Device Control/")
_SEQ_RANGE = 256
_LATE_SPAN = 16
"""So many numbers behind the awaited one a message counts as late or repeated, else as early."""
_MEASURED = frozenset({"number", "null", "not_finite", "wrong_type"})


@dataclass(slots=True)
class NodeEvents:
    """What a step brought to light, gathered while it runs; the order of rows and ends matters."""

    counts: Counter[str]
    events: list[Frame | Stale] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MachineName:
    """Whose values a device's are.

    Attributes:
        prefix: what its channels' names begin with, where several devices make one machine.
    """

    machine: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class _Definition:
    """A metric as its birth declared it; `channel` is None for what is not measured."""

    channel: str | None
    datatype: int


@dataclass(frozen=True, slots=True)
class _Held:
    """A message that waits for its predecessors."""

    address: Address
    payload: SparkplugPayload
    received_ns: int
    named: MachineName


class _Owner:
    """A device, or the node's own metrics: one machine."""

    def __init__(self, named: MachineName, future_tolerance_ns: int) -> None:
        self.machine = named.machine
        self._prefix = named.prefix
        self.online = False
        """Whether its values are worth anything: from a birth to a death."""
        self.born = False
        """Whether the last birth of its node included it."""
        self._told = False  # whether its latest values became a row
        self._tolerance_ns = future_tolerance_ns
        self._by_name: dict[str, _Definition] = {}
        self._by_alias: dict[int, _Definition] = {}
        self._latest: dict[str, float] = {}

    @property
    def lives(self) -> bool:
        """Whether it is born and not dead, and its latest values were good for a row: its silence is no news."""
        return self.born and self._told

    def forget(self) -> None:
        """What names and aliases mean is no longer known."""
        self.born = False
        self._by_name, self._by_alias = {}, {}

    def die(self, time_ns: int, cause: StaleCause, events: NodeEvents) -> None:
        """End all values."""
        self.forget()
        self._latest = {}
        if self.online:
            self.online = False
            events.counts[f"stale_{cause}"] += 1
            events.events.append(Stale(self.machine, time_ns, cause))

    def be_born(self, payload: SparkplugPayload, received_ns: int, events: NodeEvents) -> None:
        """Learn what there is, and take the values of now, whenever they were acquired."""
        self.forget()
        self.born = self.online = True
        self._latest = {}
        for metric in payload.metrics:
            if metric.name is not None and metric.name != BD_SEQ and not metric.name.startswith(_CONTROL):
                self._define(metric, metric.name, events)
        self._put(payload.time_ns or received_ns, received_ns, events)

    def _define(self, metric: SparkplugMetric, name: str, events: NodeEvents) -> None:
        kind, value = reading(metric, metric.datatype)
        channel: str | None = channel_name(self._prefix + name)
        if kind not in _MEASURED:
            events.counts[f"ignored_{kind}"] += 1
            channel = None
        elif channel is None or not is_name(channel) or channel in self._latest:
            events.counts["bad_name"] += 1
            channel = None
        else:
            self._latest[channel] = math.nan if value is None else value
        definition = _Definition(channel, metric.datatype)
        self._by_name[name] = definition
        if metric.alias is not None:
            self._by_alias[metric.alias] = definition

    def take_values(self, payload: SparkplugPayload, received_ns: int, events: NodeEvents) -> bool:
        """Take a message's values in; whether every metric of it was known."""
        known = True
        changed: set[str] = set()
        row_ns = 0
        for metric in payload.metrics:
            definition = self._defined(metric)
            if definition is None:
                events.counts["unknown_metric"] += 1
                known = False
                continue
            if metric.historical:
                events.counts["historical"] += 1
                continue
            kind, value = reading(metric, metric.datatype or definition.datatype)
            if definition.channel is None or kind not in _MEASURED:
                events.counts[f"ignored_{kind}"] += 1
                continue
            if kind in {"not_finite", "wrong_type"}:
                events.counts[f"value_{kind}"] += 1
            if definition.channel in changed:
                self._put(row_ns, received_ns, events)
                changed, row_ns = set(), 0
            changed.add(definition.channel)
            self._latest[definition.channel] = math.nan if value is None else value
            row_ns = max(row_ns, metric.time_ns or payload.time_ns or received_ns)
        if changed:
            self._put(row_ns, received_ns, events)
        return known

    def _defined(self, metric: SparkplugMetric) -> _Definition | None:
        """What the last birth said of a metric; the name decides where both are given."""
        if metric.name is not None:
            return self._by_name.get(metric.name)
        return None if metric.alias is None else self._by_alias.get(metric.alias)

    def _put(self, time_ns: int, received_ns: int, events: NodeEvents) -> None:
        self._told = False
        if all(math.isnan(value) for value in self._latest.values()):
            return
        origin = Origin(self.machine, None, received_ns, self._tolerance_ns)
        checked = stamp_ns(time_ns, origin, "ns")
        if isinstance(checked, Reject):
            events.counts[checked.reason] += 1
            return
        self._told = True
        events.events.append(
            Frame(
                machine=self.machine,
                channels=tuple(self._latest),
                times_ns=(checked,),
                rows=(tuple(self._latest.values()),),
            )
        )


class EdgeNode:
    """The state of one edge node and its devices."""

    def __init__(self, *, named: MachineName, future_tolerance_ns: int, devices_limit: int) -> None:
        self.rebirth_due_ns: int | None = None
        self.rebirth_after_ns = 0
        self._future_tolerance_ns = future_tolerance_ns
        self._devices_limit = devices_limit
        self._own = _Owner(named, future_tolerance_ns)
        self._devices: dict[str, _Owner] = {}
        self._bd_seq: int | None = None
        self._awaited: int | None = None  # None: not born
        self._held: dict[int, _Held] = {}
        self._gap_since_ns = 0

    def be_born(self, payload: SparkplugPayload, received_ns: int, events: NodeEvents) -> None:
        """NBIRTH: a session or a rebirth begins; devices count again once they are born again."""
        bd_seq = payload.number_of(BD_SEQ)
        if bd_seq != self._bd_seq:
            self._end(received_ns, "new_session", events)
        for device in self._devices.values():
            device.forget()
        self._bd_seq, self._awaited, self._held = bd_seq, (payload.seq + 1) % _SEQ_RANGE, {}
        self.rebirth_due_ns = None
        self._own.be_born(payload, received_ns, events)

    def die(self, payload: SparkplugPayload, received_ns: int, events: NodeEvents) -> None:
        """NDEATH: ends the session that it belongs to, by the clock of the host; no other."""
        if self._awaited is None or payload.number_of(BD_SEQ) != self._bd_seq:
            events.counts["deaths_of_other_sessions"] += 1
            return
        self._end(received_ns, "ndeath", events)

    def disconnect(self, received_ns: int, events: NodeEvents) -> None:
        """The host itself heard nothing for a while: whatever was born may have changed."""
        self._end(received_ns, "disconnected", events)

    def _end(self, time_ns: int, cause: StaleCause, events: NodeEvents) -> None:
        for owner in (self._own, *self._devices.values()):
            owner.die(time_ns, cause, events)
        self._awaited, self._held, self._devices = None, {}, {}

    def living(self) -> Iterator[str]:
        """The machines behind it that live, see `_Owner.lives`."""
        for owner in (self._own, *self._devices.values()):
            if owner.lives:
                yield owner.machine

    # -- order ------------------------------------------------------------------------------------------------------

    def receive(
        self,
        address: Address,
        payload: SparkplugPayload,
        *,
        received_ns: int,
        now_ns: int,
        events: NodeEvents,
        named: MachineName,
    ) -> bool:
        """Take or hold back a message that has its place in the sequence; whether all of it was understood."""
        if self._awaited is None:
            events.counts["before_birth"] += 1
            return False
        ahead = (payload.seq - self._awaited) % _SEQ_RANGE
        if ahead >= _SEQ_RANGE - _LATE_SPAN or payload.seq in self._held:
            events.counts["late_or_repeated"] += 1
            return True
        if ahead and not self._held:
            self._gap_since_ns = now_ns
        self._held[payload.seq] = _Held(address, payload, received_ns, named)
        if ahead:
            events.counts["early"] += 1
            return True
        return self._release(events, until_gap=True)

    def is_overdue(self, now_ns: int, timeout_ns: int) -> bool:
        """Whether a message has been missing for longer than the reorder timeout."""
        return bool(self._held) and now_ns - self._gap_since_ns >= timeout_ns

    def give_up_waiting(self, events: NodeEvents) -> None:
        """Take what was held back behind a message that is lost."""
        self._release(events, until_gap=False)

    def _release(self, events: NodeEvents, *, until_gap: bool) -> bool:
        understood = True
        awaited = self._awaited or 0
        for seq in sorted(self._held, key=lambda seq: (seq - awaited) % _SEQ_RANGE):
            if until_gap and seq != self._awaited:
                break
            held = self._held.pop(seq)
            self._awaited = (seq + 1) % _SEQ_RANGE
            understood = self._process(held, events) and understood
        return understood

    def _process(self, held: _Held, events: NodeEvents) -> bool:
        address, payload = held.address, held.payload
        owner = self._owner(held)
        if owner is None:
            events.counts["too_many_devices"] += 1
            return True
        if address.kind == "DBIRTH":
            owner.be_born(payload, held.received_ns, events)
            return True
        if address.kind == "DDEATH":
            owner.die(payload.time_ns or held.received_ns, "ddeath", events)
            return True
        if not owner.born:
            events.counts["before_birth"] += 1
            return False
        return owner.take_values(payload, held.received_ns, events)

    def _owner(self, held: _Held) -> _Owner | None:
        """Whose values a message carries; None where there are too many devices."""
        device = held.address.device
        if device is None:
            return self._own
        if device not in self._devices and len(self._devices) < self._devices_limit:
            self._devices[device] = _Owner(held.named, self._future_tolerance_ns)
        return self._devices.get(device)
