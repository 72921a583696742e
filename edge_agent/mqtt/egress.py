"""The MQTT connection for what goes out: the outbox to the broker, its acknowledgements back, commands on the side.

Its callbacks run on paho's network thread and keep the rules of `connection`.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.mqtt.bulk_client import BulkClient
from edge_agent.mqtt.connection import QOS, BrokerAddress, Connection, Report
from edge_agent.mqtt.outbox import Message, Outbox
from edge_agent.mqtt.packet_bounds import PacketBounds, size
from edge_agent.records import ReceivedMessage

_IN_FLIGHT_LIMIT = 50
"""Publishes without an acknowledgement at a time."""
_WAITING_LIMIT = 200
"""Commands that wait; people and pages send few, and a flood of them is dropped and counted."""
_MESSAGE_BYTES = 65_536


class Egress(Connection):
    """Publishes what the outbox holds and keeps it until the broker has acknowledged it; receives commands.

    All methods but the callbacks are called from one thread. Its session is clean: a command that came while the
    agent was away has no reply, so whoever sent it knows, and it is not obeyed hours later.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        client_id: str,
        will: Message | None,
        outbox: Outbox,
        report: Report,
        filters: Sequence[str] = (),
    ) -> None:
        """`filters` name the topics whose messages are to be collected by `drain_messages`."""
        super().__init__(
            "egress",
            address,
            client_id=client_id,
            clean_session=True,
            keep_bytes=_MESSAGE_BYTES,
            report=report,
        )
        self.listening = False
        """Whether the broker has granted every topic filter."""
        self.messages_dropped = 0
        """Messages dropped because too many waited to be taken by `drain_messages`."""
        self._filters = tuple(filters)
        self._received: deque[ReceivedMessage] = deque()
        self.alerts_sent = 0
        """Alerts handed to the network, repetitions included."""
        self.alerts_acknowledged = 0
        """Alerts that the broker has acknowledged."""
        self.longest_bytes = 0
        """Of a payload that the broker has acknowledged; it may have dropped it all the same."""
        self._will = will
        self._outbox = outbox
        self._mids: deque[int] = deque()
        self.bounds = PacketBounds()
        """What the broker takes."""
        self._sizes: dict[int, tuple[tuple[str, ...], int]] = {}
        """Key and bytes of each message on its way, by number."""
        self._losses = self._losses_seen = 0
        self._single = 0
        """So many messages are still sent one at a time, to see which of them the broker hangs up on."""

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

    def _lost(self, client: BulkClient) -> None:
        client.forget()  # what the broker hung up on would be sent again for ever, before all else
        self._losses += 1

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
            if len(self._received) >= _WAITING_LIMIT:
                self.messages_dropped += 1
                return
            try:
                topic = message.topic
            except UnicodeDecodeError:
                self.messages_dropped += 1
                return
            self._received.append(
                ReceivedMessage(topic, bytes(message.payload[: self._keep_bytes]), bool(message.retain))
            )

        self._guard(work)

    def drain_messages(self) -> list[ReceivedMessage]:
        """The messages that came in since the last call."""
        return [self._received.popleft() for _ in range(len(self._received))]

    def _on_publish(
        self, _client: mqtt.Client, _userdata: Any, mid: int, _code: ReasonCode, _p: Properties | None
    ) -> None:
        self._mids.append(mid)  # paho holds its outgoing lock here: only note it down

    def revive(self, now_s: float) -> bool:
        """As for any connection; what the dead client had taken is sent again."""
        if not super().revive(now_s):
            return False
        self._mids.clear()
        self._sizes.clear()
        self._outbox.requeue_sent()
        return True

    def publish_waiting(self) -> None:
        """Book what the broker has acknowledged and hand over what waits."""
        losses = self._losses  # before what was acknowledged until then is booked
        while self._mids:
            mid = self._mids.popleft()
            message = self._outbox.mark_acknowledged(mid)
            self.alerts_acknowledged += message is not None and message.alert
            if (sent := self._sizes.pop(mid, None)) is not None:
                self.bounds.taken(*sent)
                taken = sent[1] if message is None else min(sent[1], len(message.payload))
                self.longest_bytes = max(self.longest_bytes, taken)
                self._single = max(0, self._single - 1)
        if losses != self._losses_seen:
            self._losses_seen = losses
            self._take_back()
        client = self._client
        while client is not None and self.connected and self._losses == self._losses_seen:
            if self._outbox.in_flight >= (1 if self._single else _IN_FLIGHT_LIMIT):
                return
            message = self._outbox.next_message()
            if message is None:
                return
            payload = self.bounds.fitted(message)
            if payload is None:
                self._outbox.set_aside(message)
                self._report_refused(message, size(message, message.payload), verdict="aside")
                continue
            info = client.publish(message.topic, payload, qos=QOS, retain=message.retain)
            # paho keeps a message that it could not write; `_lost` lets it forget, and `_take_back` sends it again.
            self._sizes[info.mid] = message.key, size(message, payload)
            self._outbox.mark_sent(message, info.mid)
            self.alerts_sent += message.alert

    def _take_back(self) -> None:
        """The connection has ended: all that was on its way waits again, and who was alone on it is to blame."""
        alone = self._outbox.on_its_way()
        size_bytes = next((sent for key, sent in self._sizes.values() if alone and key == alone.key), 0)
        self._single = max(self._single, self._outbox.in_flight)
        self._sizes.clear()
        self._outbox.requeue_sent()
        if alone is None or not size_bytes:
            return
        verdict = self.bounds.blame(alone, size_bytes)
        if verdict == "again":
            return
        if verdict == "later":
            self._outbox.defer(alone)
        elif verdict == "aside":
            self._outbox.set_aside(alone)
        self._report_refused(alone, size_bytes, verdict=verdict)

    def _report_refused(self, message: Message, size_bytes: int, *, verdict: str) -> None:
        self._report(
            "message_refused",
            topic=ascii(message.topic[:120]),
            bytes=size_bytes,
            sent={"shorter": "shorter", "later": "after all others"}.get(verdict, "no more"),
        )
