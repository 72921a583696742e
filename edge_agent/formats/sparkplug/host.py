"""A Sparkplug B host application for many edge nodes: messages in; frames, stale machines and requests out. No I/O.

Whoever drives it owns the connection and its clock: `begin` says what a new connection needs, `receive` takes every
message, `tick` lets time pass, and what they return is published and passed on. Time and chance are arguments.

The state chart of one edge node (Eclipse Sparkplug 3.0.0, chapters 5.4 to 5.9 and 6.4; `edge_node` keeps it):

    offline --NBIRTH--> online       metrics and aliases are learnt, the next sequence number is awaited
    online  --NBIRTH--> online       same bdSeq: a rebirth, devices wait for theirs; another: a new session
    online  --NDEATH--> offline      of the same bdSeq only: all values of node and devices become stale
    online  --gap-----> waiting      messages that came early are held back until the missing one comes
    waiting --timeout-> online       those held back are taken in their order, and a rebirth is asked for
    any     --disconnected--> offline    the host heard nothing for a while: nothing said before counts

and of a device below it: DBIRTH brings it online, DDEATH takes it offline, data before a birth asks for a rebirth.

Rules of the specification that are kept here:

- "STATE": the will and the birth of a host carry the same timestamp; who says that this host is offline is corrected.
- Births are asked for by "Node Control/Rebirth", by name, at most once in an interval a node, put off by chance.
- A host listens before it says that it is online.

What is left to others: socket and will (`service.sparkplug`), bytes (`payload`), one node's values (`edge_node`).
docs/sparkplug.md lists what is tested of the specification. A short session:

    host = Host(HostSettings("scada"), jitter=random.random)
    session = host.begin(wall_ns)                  # connect with session.will, subscribe, publish session.birth
    output = host.receive(delivery, now_ns=now)    # output.events: Frame or Stale, in order; publish output.publishes
    output = host.tick(now_ns=now, wall_ns=wall)   # gives up waiting, asks for births that are due
    output = host.disconnected(wall_ns)            # every machine is stale
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from edge_agent.formats.samples import SECOND_NS
from edge_agent.formats.sparkplug.edge_node import EdgeNode, MachineName, NodeEvents
from edge_agent.formats.sparkplug.payload import (
    MILLISECOND_NS,
    NAMESPACE,
    Address,
    SparkplugPayload,
    decode,
    read_address,
    rebirth_command,
    says_offline,
    state_payload,
)
from edge_agent.records import Delivery, Frame, Reject, Stale

MachinePart = Literal["group", "node", "device"]
_FATES: Mapping[str, Literal["late"] | Reject] = {
    "before_birth": Reject("before_birth", "no birth was heard"),
    "too_many_devices": Reject("too_many_machines", "too many devices of an edge node"),
    "late_or_repeated": "late",
}
"""What a message counts as when it, or one that it released, met such an end."""


@dataclass(frozen=True, slots=True)
class HostSettings:
    """How a host behaves.

    Attributes:
        host_id: unique among the hosts of a broker.
        groups: those that are listened to; empty for all.
        machine_parts: which parts of a device's address make its machine's name, joined by points. A node's own
            metrics are a machine too, named without the device. A device left out goes before its channels' names.
        reorder_timeout_s: how long a missing message is waited for.
        may_request_rebirth: whether this host may publish commands at all.
        rebirth_interval_s: a node is asked at most once in this time.
        rebirth_jitter_s: requests are put off by up to this time, so that a thousand nodes do not answer at once.
        future_tolerance_s: how far ahead of its arrival an event time may be.
        payload_limit_bytes: longer payloads are turned away unread; births are long.
        nodes_limit, devices_limit: bounds against floods of names; devices are those of one node.
    """

    host_id: str
    groups: tuple[str, ...] = ()
    machine_parts: tuple[MachinePart, ...] = ("group", "node", "device")
    reorder_timeout_s: float = 5.0
    may_request_rebirth: bool = True
    rebirth_interval_s: float = 30.0
    rebirth_jitter_s: float = 5.0
    future_tolerance_s: float = 60.0
    payload_limit_bytes: int = 1_048_576
    nodes_limit: int = 1000
    devices_limit: int = 256


@dataclass(frozen=True, slots=True)
class HostMessage:
    """A message to be sent."""

    topic: str
    payload: bytes
    qos: Literal[0, 1]
    retain: bool


@dataclass(frozen=True, slots=True)
class Session:
    """What a new connection needs, in this order: the will, the subscriptions (filter, QoS), the birth."""

    will: HostMessage
    subscriptions: tuple[tuple[str, int], ...]
    birth: HostMessage


@dataclass(frozen=True, slots=True)
class HostOutput:
    """What one call brought to light."""

    events: tuple[Frame | Stale, ...] = ()
    publishes: tuple[HostMessage, ...] = ()
    outcome: Literal["accepted", "late"] | Reject | None = None
    """What became of the message; None for those that are not about values, and for the passing of time."""

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The rows alone."""
        return tuple(event for event in self.events if isinstance(event, Frame))

    @property
    def stale(self) -> tuple[Stale, ...]:
        """The ends alone."""
        return tuple(event for event in self.events if isinstance(event, Stale))


class Host:
    """Holds every edge node's state, and counts what became of messages and values."""

    def __init__(self, settings: HostSettings, *, jitter: Callable[[], float]) -> None:
        """Begin without nodes; `jitter` gives a number from 0 to 1 at each call."""
        self.counts: Counter[str] = Counter()
        self._settings = settings
        self._jitter = jitter
        self._state_topic = f"{NAMESPACE}/STATE/{settings.host_id}"
        self._session_ms = 0
        self._nodes: dict[tuple[str, str], EdgeNode] = {}

    def begin(self, wall_ns: int) -> Session:
        """A new connection: will and birth carry the same time, by which nodes tell sessions apart."""
        self._session_ms = wall_ns // MILLISECOND_NS
        return self.session()

    def session(self) -> Session:
        """What the connection begun last needs."""
        return Session(
            will=self._state(online=False),
            subscriptions=(*((f, 1) for f in self._filters()), (self._state_topic, 1)),
            birth=self._state(online=True),
        )

    def is_state_topic(self, topic: str) -> bool:
        """Whether a topic tells of a host: the only ones whose messages brokers keep."""
        return topic.startswith(f"{NAMESPACE}/STATE/")

    def _filters(self) -> tuple[str, ...]:
        groups = self._settings.groups
        return tuple(f"{NAMESPACE}/{group}/#" for group in groups) or (f"{NAMESPACE}/#",)

    def end(self, wall_ns: int) -> HostMessage:
        """The death certificate to be sent before a wanted disconnect."""
        return HostMessage(
            self._state_topic,
            state_payload(online=False, time_ms=wall_ns // MILLISECOND_NS),
            qos=1,
            retain=True,
        )

    def _state(self, *, online: bool) -> HostMessage:
        payload = state_payload(online=online, time_ms=self._session_ms)
        return HostMessage(self._state_topic, payload, qos=1, retain=True)

    def disconnected(self, wall_ns: int) -> HostOutput:
        """The connection is lost: all values end, and every birth must be heard anew."""
        events = NodeEvents(self.counts)
        for node in self._nodes.values():
            node.disconnect(wall_ns, events)
        return HostOutput(tuple(events.events))

    def living(self) -> frozenset[str]:
        """Machines that were born and have not died: what they do not report has not changed."""
        return frozenset(machine for node in self._nodes.values() for machine in node.living())

    def receive(self, delivery: Delivery, *, now_ns: int) -> HostOutput:
        """Take a message in.

        Args:
            delivery: the message with the wall clock at its arrival.
            now_ns: a clock that never goes back.
        """
        if self.is_state_topic(delivery.topic):
            return self._take_state(delivery)
        address = read_address(delivery.topic)
        if isinstance(address, Reject):
            return self._refuse(address)
        if address.kind in {"NCMD", "DCMD"}:
            return self._count("commands")
        if len(delivery.payload) > self._settings.payload_limit_bytes:
            return self._refuse(Reject("too_large", f"more than {self._settings.payload_limit_bytes} bytes"))
        payload = decode(delivery.payload, limit_bytes=self._settings.payload_limit_bytes)
        if isinstance(payload, Reject):
            return self._refuse(payload)
        node = self._node(address)
        if node is None:
            self.counts["too_many_nodes"] += 1
            return HostOutput(outcome=Reject("too_many_machines", "too many edge nodes"))
        self.counts[address.kind] += 1
        return self._take_node_message(
            node, address, payload, received_ns=delivery.received_ns, now_ns=now_ns
        )

    def _take_node_message(
        self, node: EdgeNode, address: Address, payload: SparkplugPayload, *, received_ns: int, now_ns: int
    ) -> HostOutput:
        events = NodeEvents(self.counts)
        before = {key: self.counts[key] for key in _FATES}
        if address.kind == "NBIRTH":
            node.be_born(payload, received_ns, events)
        elif address.kind == "NDEATH":
            node.die(payload, received_ns, events)
        elif not node.receive(
            address,
            payload,
            received_ns=received_ns,
            now_ns=now_ns,
            events=events,
            named=self._named(address),
        ):
            self._want_rebirth(node, now_ns)
        named = ((address.group, address.node), node)
        publishes = self._advance([named], now_ns=now_ns, wall_ns=received_ns, events=events)
        fate = next((key for key in _FATES if self.counts[key] > before[key]), "")
        return HostOutput(tuple(events.events), publishes, _FATES.get(fate, "accepted"))

    def tick(self, *, now_ns: int, wall_ns: int) -> HostOutput:
        """Let time pass: missing messages are given up, requests that were put off fall due."""
        events = NodeEvents(self.counts)
        publishes = self._advance(self._nodes.items(), now_ns=now_ns, wall_ns=wall_ns, events=events)
        return HostOutput(tuple(events.events), publishes)

    def _count(self, what: str) -> HostOutput:
        self.counts[what] += 1
        return HostOutput()

    def _refuse(self, reject: Reject) -> HostOutput:
        self.counts[reject.reason] += 1
        return HostOutput(outcome=reject)

    def _take_state(self, delivery: Delivery) -> HostOutput:
        """Somebody says that this host is offline, its own late will perhaps: say again that it is not."""
        self.counts["states"] += 1
        if delivery.topic == self._state_topic and self._session_ms and says_offline(delivery.payload):
            return HostOutput(publishes=(self._state(online=True),))
        return HostOutput()

    def _node(self, address: Address) -> EdgeNode | None:
        """The state of a message's node; None where there are too many."""
        name = (address.group, address.node)
        if name not in self._nodes and len(self._nodes) < self._settings.nodes_limit:
            self._nodes[name] = EdgeNode(
                named=self._named(Address("NDATA", address.group, address.node, None)),
                future_tolerance_ns=round(self._settings.future_tolerance_s * SECOND_NS),
                devices_limit=self._settings.devices_limit,
            )
        return self._nodes.get(name)

    def _named(self, address: Address) -> MachineName:
        parts: Mapping[MachinePart, str | None] = {
            "group": address.group,
            "node": address.node,
            "device": address.device,
        }
        named = [parts[part] for part in self._settings.machine_parts]
        machine = ".".join(part for part in named if part is not None) or address.node
        shared = address.device is not None and "device" not in self._settings.machine_parts
        return MachineName(machine, f"{address.device}/" if shared else "")

    def _advance(
        self,
        nodes: Iterable[tuple[tuple[str, str], EdgeNode]],
        *,
        now_ns: int,
        wall_ns: int,
        events: NodeEvents,
    ) -> tuple[HostMessage, ...]:
        timeout_ns = round(self._settings.reorder_timeout_s * SECOND_NS)
        publishes: list[HostMessage] = []
        for (group, name), node in nodes:
            if node.is_overdue(now_ns, timeout_ns):
                self.counts["reorder_timeouts"] += 1
                node.give_up_waiting(events)
                self._want_rebirth(node, now_ns)
            if node.rebirth_due_ns is not None and now_ns >= node.rebirth_due_ns:
                node.rebirth_due_ns = None
                node.rebirth_after_ns = now_ns + round(self._settings.rebirth_interval_s * SECOND_NS)
                self.counts["rebirths_requested"] += 1
                command = rebirth_command(wall_ns // MILLISECOND_NS)
                publishes.append(
                    HostMessage(f"{NAMESPACE}/{group}/NCMD/{name}", command, qos=0, retain=False)
                )
        return tuple(publishes)

    def _want_rebirth(self, node: EdgeNode, now_ns: int) -> None:
        """Ask this node for its births as soon as the limits allow."""
        if not self._settings.may_request_rebirth:
            self.counts["rebirths_withheld"] += 1
        elif node.rebirth_due_ns is None:
            delay_ns = round(self._jitter() * self._settings.rebirth_jitter_s * SECOND_NS)
            node.rebirth_due_ns = max(now_ns, node.rebirth_after_ns) + delay_ns
