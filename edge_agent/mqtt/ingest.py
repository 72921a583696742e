"""The two MQTT clients, one for what comes in and one for what goes out; with `link` the only rooms that import paho.

Callbacks run on paho's network thread: they copy, take no lock that is held around a paho call, and let nothing escape.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.mqtt.bulk_client import BulkClient
from edge_agent.mqtt.connection import QOS, Address, Link, Report
from edge_agent.mqtt.inbox import Arrival, Inbox, Receipt
from edge_agent.mqtt.outbox import Message, Outbox
from edge_agent.mqtt.packets import Publish
from edge_agent.records import Delivery, ReceivedMessage

_FLYING_LIMIT = 50
"""Publishes without an acknowledgement at a time."""
_HEARD_LIMIT = 200
"""Commands that wait; people and pages send few, and a flood of them is dropped and counted."""
_HEARD_BYTES = 65_536


class Ingest(Link):
    """Receives sensor data into the inbox. The broker keeps what we have not acknowledged."""

    def __init__(
        self,
        address: Address,
        *,
        client_id: str,
        filters: Sequence[str],
        inbox: Inbox,
        payload_limit_bytes: int,
        wall_clock_ns: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
        report: Report,
    ) -> None:
        # One byte more than is allowed says enough: the decoder turns it away as too large.
        keep_bytes = payload_limit_bytes + 1
        super().__init__(
            "ingest",
            address,
            client_id=client_id,
            clean_session=False,
            keep_bytes=keep_bytes,
            report=report,
        )
        self.refused: tuple[str, ...] = ()
        """Topic filters that the broker did not grant."""
        self._echo_topic = ""
        self._echoes: deque[tuple[bytes, float]] = deque()
        self._filters = tuple(filters)
        self._dropped: tuple[str, ...] = ()
        self._inbox = inbox
        self._wall_clock_ns = wall_clock_ns
        self._monotonic = monotonic

    def acknowledge(self, receipts: Sequence[Receipt]) -> None:
        """Tell the broker that these messages are done with, in this order.

        A receipt of an earlier connection is void: the broker sends that message again.
        """
        client = self._client
        if client is None or not self.connected:
            return
        session = self.session
        client.ack_all(receipt.mid for receipt in receipts if receipt.session == session)

    def hear_echoes(self, topic: str) -> None:
        """Listen to what `echo` says; a broker may refuse that. Call it before the start."""
        self._echo_topic = topic
        self._filters += (topic,)

    def echo(self, payload: bytes) -> None:
        """Say something that comes back behind all the messages that wait at the broker."""
        if self._client is not None and self.connected:
            self._client.publish(self._echo_topic, payload, qos=QOS)

    def echoes(self) -> list[tuple[bytes, float]]:
        """The echoes that came in since the last call, and when; they wait in the inbox as well."""
        return [self._echoes.popleft() for _ in range(len(self._echoes))]

    def exchange(self, *, drop: Sequence[str], add: Sequence[str]) -> None:
        """Listen to other topics from now on, also at a broker that still keeps the old ones for us."""
        if set(drop) == set(add):
            return
        kept = [topic for topic in self._filters if topic not in drop]
        self._filters = tuple(dict.fromkeys([*kept, *add]))
        self._dropped = tuple((set(self._dropped) | set(drop)) - set(self._filters))
        self.refused = ()
        if self._client is not None and self.connected:
            self._entered(self._client)

    def limit_payloads(self, limit_bytes: int) -> None:
        """Keep no more of a payload than is needed to see that it is too long."""
        self._keep_bytes = limit_bytes + 1
        if self._client is not None:
            self._client.keep_bytes = self._keep_bytes

    def _prepare(self, client: BulkClient) -> None:
        client.on_messages = self._on_messages
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe

    def _entered(self, client: mqtt.Client) -> None:
        # Also where the broker still knows our session: the configuration may have changed since.
        if self._filters:
            client.subscribe([(topic, QOS) for topic in self._filters])
        if self._dropped:
            client.unsubscribe(list(self._dropped))

    def _on_subscribe(
        self,
        _client: mqtt.Client,
        _userdata: Any,
        _mid: int,
        codes: Sequence[ReasonCode],
        _p: Properties | None,
    ) -> None:
        def work() -> None:
            pairs = zip(self._filters, codes, strict=False)
            refused = [topic for topic, code in pairs if code.is_failure]
            self.refused = tuple(topic for topic in refused if topic != self._echo_topic)
            if refused:
                self._report("subscription_refused", client=self.name, topics=refused)

        self._guard(work)

    def _on_messages(self, messages: Sequence[Publish]) -> None:
        def work() -> None:
            session, at_s, clock = self.session, self._monotonic(), self._wall_clock_ns
            arrivals = [
                Arrival(
                    Delivery(message.topic, message.payload, clock()),
                    Receipt(message.mid, session, again=message.again) if message.mid else None,
                    at_s,
                )
                for message in messages
            ]
            if self._echo_topic:
                echoes = [one.payload for one in messages if one.topic == self._echo_topic]
                self._echoes.extend((payload, at_s) for payload in echoes)
            self._inbox.put_all(arrivals)

        self._guard(work)

    def _on_message(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        """A message that was too long to be read with others."""

        def work() -> None:
            try:
                topic = message.topic
            except UnicodeDecodeError as error:
                topic = bytes(error.object).decode("utf-8", "surrogateescape")
            payload = bytes(message.payload[: self._keep_bytes])
            self._on_messages([Publish(topic, payload, message.mid, message.dup)])

        self._guard(work)


class Egress(Link):
    """Publishes what the outbox holds and keeps it until the broker has acknowledged it; hears commands.

    All methods but the callbacks are called from one thread. Its session is clean: a command that came while the
    agent was away has no reply, so whoever sent it knows, and it is not obeyed hours later.
    """

    def __init__(
        self,
        address: Address,
        *,
        client_id: str,
        will: Message | None,
        outbox: Outbox,
        report: Report,
        filters: Sequence[str] = (),
    ) -> None:
        """`filters` name the topics whose messages are to be collected by `heard`."""
        super().__init__(
            "egress",
            address,
            client_id=client_id,
            clean_session=True,
            keep_bytes=_HEARD_BYTES,
            report=report,
        )
        self.listening = False
        """Whether the broker has granted every topic filter."""
        self.overheard = 0
        """Messages dropped because too many waited to be taken by `heard`."""
        self._filters = tuple(filters)
        self._heard: deque[ReceivedMessage] = deque()
        self.alerts_sent = 0
        """Alerts handed to the network, repetitions included."""
        self.alerts_acknowledged = 0
        """Alerts that the broker has acknowledged."""
        self._will = will
        self._outbox = outbox
        self._mids: deque[int] = deque()

    def _prepare(self, client: BulkClient) -> None:
        if self._will is not None:
            client.will_set(self._will.topic, self._will.payload, qos=QOS, retain=self._will.retain)
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe

    def _entered(self, client: mqtt.Client) -> None:
        self.listening = False
        if self._filters:
            client.subscribe([(topic, QOS) for topic in self._filters])

    def _on_subscribe(
        self,
        _client: mqtt.Client,
        _userdata: Any,
        _mid: int,
        codes: Sequence[ReasonCode],
        _p: Properties | None,
    ) -> None:
        def work() -> None:
            refused = [t for t, code in zip(self._filters, codes, strict=False) if code.is_failure]
            self.listening = not refused
            if refused:
                self._report("subscription_refused", client=self.name, topics=refused)

        self._guard(work)

    def _on_message(self, client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        def work() -> None:
            if message.qos:
                client.ack(message.mid, message.qos)
            if len(self._heard) >= _HEARD_LIMIT:
                self.overheard += 1
                return
            try:
                topic = message.topic
            except UnicodeDecodeError:
                self.overheard += 1
                return
            self._heard.append(
                ReceivedMessage(topic, bytes(message.payload[: self._keep_bytes]), bool(message.retain))
            )

        self._guard(work)

    def heard(self) -> list[ReceivedMessage]:
        """The messages that came in since the last call."""
        return [self._heard.popleft() for _ in range(len(self._heard))]

    def _on_publish(
        self, _client: mqtt.Client, _userdata: Any, mid: int, _code: ReasonCode, _p: Properties | None
    ) -> None:
        self._mids.append(mid)  # paho holds its outgoing lock here: only note it down

    def revive(self, now_s: float) -> bool:
        """As for any link; what the dead client had taken is sent again."""
        if not super().revive(now_s):
            return False
        self._mids.clear()
        self._outbox.landed()
        return True

    def pump(self) -> None:
        """Book what the broker has acknowledged and hand over what waits."""
        while self._mids:
            message = self._outbox.acknowledged(self._mids.popleft())
            self.alerts_acknowledged += message is not None and message.alert
        client = self._client
        while client is not None and self.connected and self._outbox.flying < _FLYING_LIMIT:
            message = self._outbox.next()
            if message is None:
                return
            info = client.publish(message.topic, message.payload, qos=QOS, retain=message.retain)
            # paho keeps a message that it could not write, and sends it when it is connected again.
            self._outbox.sent(message, info.mid)
            self.alerts_sent += message.alert
