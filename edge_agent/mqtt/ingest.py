"""The MQTT connection for what comes in: sensor data to the inbox, acknowledgements back to the broker.

Its callbacks run on paho's network thread and keep the rules of `connection`.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.mqtt.bulk_client import BulkClient
from edge_agent.mqtt.connection import QOS, BrokerAddress, Connection, Report
from edge_agent.mqtt.inbox import Arrival, Inbox, Receipt
from edge_agent.mqtt.packets import PublishPacket
from edge_agent.records import Delivery


class Ingest(Connection):
    """Receives sensor data into the inbox. The broker keeps what we have not acknowledged."""

    def __init__(
        self,
        address: BrokerAddress,
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

    def subscribe_to_echoes(self, topic: str) -> None:
        """Listen to what `send_echo` sends; a broker may refuse that. Call it before the start."""
        self._echo_topic = topic
        self._filters += (topic,)

    def send_echo(self, payload: bytes) -> None:
        """Say something that comes back behind all the messages that wait at the broker."""
        if self._client is not None and self.connected:
            self._client.publish(self._echo_topic, payload, qos=QOS)

    def send_long_echo(self, payload: bytes) -> None:
        """The same once: a broker that hangs up on its length must not get it again."""
        if self._client is not None and self.connected:
            self._client.publish(self._echo_topic, payload, qos=0)

    def drain_echoes(self) -> list[tuple[bytes, float]]:
        """The echoes that came in since the last call, and when; they wait in the inbox as well."""
        return [self._echoes.popleft() for _ in range(len(self._echoes))]

    def change_filters(self, *, drop: Sequence[str], add: Sequence[str]) -> None:
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

    def _on_messages(self, messages: Sequence[PublishPacket]) -> None:
        def work() -> None:
            session, at_s, clock = self.session, self._monotonic(), self._wall_clock_ns
            arrivals = [
                Arrival(
                    Delivery(message.topic, message.payload, clock(), message.retain),
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
            self._on_messages([PublishPacket(topic, payload, message.mid, message.dup, message.retain)])

        self._guard(work)
