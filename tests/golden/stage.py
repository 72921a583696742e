"""What stands around the agent while the corpus is played: a clock that is set, and a broker without sockets.

Nothing of the agent is imported here. The agent's clients think that they are paho's: `Client` answers at once, on the
calling thread, what a broker would answer some milliseconds later, so that a run depends on its messages alone.
"""

import itertools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage, topic_matches_sub
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Sent:
    """A message to the agent.

    Attributes:
        payload: may hold `$alarm:pump-1`, which stands for the id of that machine's latest alert, and
            `$revision:pump-1` for its revision.
        retain: the broker has kept it. again: the broker sends it a second time, under the same number.
    """

    topic: str
    payload: bytes
    retain: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """What reaches the agent together: one turn.

    Attributes:
        network: before the messages "lost" ends the agent's connections, "mute" the one that publishes, and "back"
            begins them anew; from "deaf" on the broker acknowledges nothing.
    """

    at_ns: int
    messages: tuple[Sent, ...] = ()
    network: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A message of the agent."""

    topic: str
    payload: bytes
    retain: bool


class Clock:
    """All clocks of the process but those that measure how long something takes."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns
        self._began_ns = now_ns - 1000 * SECOND_NS

    def set(self, now_ns: int) -> None:
        """It is so late; never earlier than before."""
        self.now_ns = max(self.now_ns, now_ns)

    def wall_ns(self) -> int:
        """Since 1970."""
        return self.now_ns

    def monotonic_s(self) -> float:
        """Since some time before the run."""
        return (self.now_ns - self._began_ns) / 1e9

    @contextmanager
    def rule(self) -> Iterator[None]:
        """Be everybody's clock; whoever sleeps makes the time pass."""
        with ExitStack() as stack:
            for name, read in (
                ("time_ns", self.wall_ns),
                ("time", lambda: self.now_ns / 1e9),
                ("monotonic_ns", lambda: self.now_ns - self._began_ns),
                ("monotonic", self.monotonic_s),
                ("sleep", self._sleep),
            ):
                stack.enter_context(mock.patch.object(time, name, read))
            yield

    def _sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * SECOND_NS)


@dataclass(slots=True)
class Broker:
    """Takes what the agent's clients publish, and brings them what is sent."""

    told: list[Told] = field(default_factory=list)
    clients: list["Client"] = field(default_factory=list)
    acknowledges: bool = True
    acknowledged: int = 0
    """Messages that the agent has acknowledged."""
    _alerts: dict[str, tuple[str, int]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _last: int = 0

    def client(self, *_: Any, client_id: str, **__: Any) -> "Client":
        """What the agent gets in place of paho's client."""
        self.clients.append(Client(self, client_id))
        return self.clients[-1]

    def turn(self, moment: Moment) -> None:
        """Do what happens at this moment."""
        if moment.network == "deaf":
            self.acknowledges = False
        for client in self.clients:
            if moment.network == "lost" or (moment.network == "mute" and client.name.endswith("-out")):
                client.lose()
            elif moment.network == "back" and client.looping and not client.connected:
                client.enter()
        for message in moment.messages:
            self._deliver(message)

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """A client has published this."""
        self.told.append(Told(topic, payload, retain))
        if topic.startswith("alerts/") and payload:
            alert = json.loads(payload)
            self._alerts[alert["machine"]] = (alert["id"], alert["revision"])

    def _deliver(self, message: Sent) -> None:
        if not message.again:
            self._last = next(self._numbers)
        payload = message.payload
        for machine, (name, revision) in self._alerts.items():
            payload = payload.replace(f"$alarm:{machine}".encode(), name.encode())
            payload = payload.replace(f"$revision:{machine}".encode(), str(revision).encode())
        hearers = [client for client in self.clients if client.hears(message.topic)]
        for client in (
            hearers or self.clients[:1]
        ):  # brokers also bring what an earlier configuration asked for
            if client.connected:
                client.receive(message, payload, number=self._last)


class Client:
    """One connection of the agent, by the part of paho's interface that the agent uses."""

    def __init__(self, broker: Broker, name: str) -> None:
        self.name = name
        self.connected = self.looping = False
        self.on_messages: Any = None
        self._broker = broker
        self._filters: list[str] = []
        self._numbers = itertools.count(1)

    def __getattr__(self, name: str) -> Any:
        """Settings of paho's that change nothing here, and callbacks that nobody has set."""
        if name.startswith("on_"):
            return None
        if name in _SETTINGS:
            return lambda *_, **__: None
        raise AttributeError(name)

    def loop_start(self) -> None:
        self.looping = True
        self.enter()

    def enter(self) -> None:
        """Connect, as the network thread would."""
        self.connected = True
        if self.on_pre_connect:
            self.on_pre_connect(self, None)
        success = ReasonCode(PacketTypes.CONNACK, "Success")
        self.on_connect(self, None, ConnectFlags(session_present=False), success, None)

    def lose(self) -> None:
        """The connection breaks."""
        if self.connected:
            self.connected = False
            broken = ReasonCode(PacketTypes.DISCONNECT, "Server shutting down")
            self.on_disconnect(
                self, None, DisconnectFlags(is_disconnect_packet_from_server=True), broken, None
            )

    def loop_stop(self) -> None:
        self.looping = False

    def disconnect(self) -> None:
        self.connected = False

    def subscribe(self, filters: Sequence[tuple[str, int]]) -> None:
        self._filters += [name for name, _ in filters]
        granted = [ReasonCode(PacketTypes.SUBACK, "Granted QoS 1")] * len(filters)
        if self.on_subscribe:
            self.on_subscribe(self, None, next(self._numbers), granted, None)

    def hears(self, topic: str) -> bool:
        return any(topic_matches_sub(name, topic) for name in self._filters)

    def receive(self, message: Sent, payload: bytes, *, number: int) -> None:
        found = MQTTMessage(number, message.topic.encode())
        found.payload, found.qos, found.retain, found.dup = payload, 1, message.retain, message.again
        self.on_message(self, None, found)

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> Any:
        self._broker.publish(topic, payload, retain=retain)
        number = next(self._numbers)
        if self.on_publish and self._broker.acknowledges:
            self.on_publish(self, None, number, ReasonCode(PacketTypes.PUBACK, "Success"), None)
        return mock.Mock(mid=number, qos=qos)

    def ack(self, *_: Any) -> None:
        self._broker.acknowledged += 1

    def ack_all(self, numbers: Iterator[int]) -> None:
        self._broker.acknowledged += len([*numbers])


_SETTINGS: Mapping[str, None] = dict.fromkeys(
    (
        "connect_async",
        "enable_logger",
        "max_queued_messages_set",
        "reconnect_delay_set",
        "unsubscribe",
        "username_pw_set",
        "will_set",
    )
)
