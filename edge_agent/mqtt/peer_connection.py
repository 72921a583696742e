"""The MQTT connection of a group's member: clean session, the beats of all, and retained profiles when asked for.

What the messages mean is not known here. The callbacks run on paho's network thread.
"""

from collections import deque
from typing import Any

from edge_agent.mqtt.bulk_client import BulkClient
from edge_agent.mqtt.connection import QOS, BrokerAddress, Connection, Report
from edge_agent.records import ReceivedMessage

_WAITING_LIMIT = 4000
"""Messages that wait to be taken; beats are small, and profiles come only when asked for."""
_FAREWELL_S = 2.0


class PeerConnection(Connection):
    """One connection; `subscribed` is its number once the broker has granted the beats."""

    def __init__(
        self, address: BrokerAddress, *, client_id: str, beats: str, payload_limit_bytes: int, report: Report
    ) -> None:
        super().__init__(
            "sharing",
            address,
            client_id=client_id,
            clean_session=True,
            keep_bytes=payload_limit_bytes + 1,
            report=report,
        )
        self.subscribed = 0
        self._beats = beats
        self._received: deque[ReceivedMessage] = deque(maxlen=_WAITING_LIMIT)
        self._asked: int | None = None

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> bool:
        """Send over this connection or never; whether it was handed to the network."""
        if self._client is None or not self.connected:
            return False
        self._client.publish(topic, payload, qos=QOS, retain=retain)
        return True

    def subscribe(self, topic: str) -> None:
        """Have the broker send what it keeps under a topic."""
        if self._client is not None and self.connected:
            self._client.subscribe(topic, QOS)

    def unsubscribe(self, topic: str) -> None:
        """Hear a topic no more."""
        if self._client is not None and self.connected:
            self._client.unsubscribe(topic)

    def drain_messages(self) -> list[ReceivedMessage]:
        """The messages that came in since the last call."""
        return [self._received.popleft() for _ in range(len(self._received))]

    def leave_group(self, topic: str) -> None:
        """Say good-bye with an empty retained message, and disconnect."""
        if self._client is not None and self.connected:
            self._client.publish(topic, b"", qos=QOS, retain=True).wait_for_publish(_FAREWELL_S)
        self.stop()

    def _prepare(self, client: Any) -> None:
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe

    def _entered(self, client: Any) -> None:
        _, self._asked = client.subscribe(self._beats, QOS)

    def _lost(self, client: BulkClient) -> None:
        client.forget()  # a beat would be stale, and what the broker hung up on would be sent again for ever

    def _on_subscribe(self, _client: Any, _userdata: Any, mid: int, codes: Any, _p: Any) -> None:
        def work() -> None:
            if any(code.is_failure for code in codes):
                self._report("subscription_refused", client=self.name, topics=[self._beats])
            elif mid == self._asked:
                self.subscribed = self.session

        self._guard(work)

    def _on_message(self, client: Any, _userdata: Any, message: Any) -> None:
        def work() -> None:
            if message.qos:
                client.ack(message.mid, message.qos)
            try:
                topic = message.topic
            except UnicodeDecodeError:
                return
            self._received.append(
                ReceivedMessage(topic, bytes(message.payload[: self._keep_bytes]), bool(message.retain))
            )

        self._guard(work)
