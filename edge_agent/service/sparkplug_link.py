"""The MQTT connection of a Sparkplug host: clean session, STATE as will and birth, messages into an inbox of its own.

What the messages mean is `sparkplug_host`'s business. The callbacks run on paho's network thread.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from edge_agent.formats.sparkplug.host import Host, Publish
from edge_agent.mqtt.connection import Address, Link, Report
from edge_agent.mqtt.inbox import Arrival, Inbox, Receipt
from edge_agent.records import Delivery

_FAREWELL_S = 2.0
"""How long a leaving host waits until the broker has its death certificate."""


class SparkplugLink(Link):
    """One connection; every new one has a will, subscriptions and a birth of the same time."""

    def __init__(
        self,
        address: Address,
        *,
        client_id: str,
        host: Host,
        inbox: Inbox,
        payload_limit_bytes: int,
        wall_clock_ns: Callable[[], int],
        monotonic: Callable[[], float],
        report: Report,
    ) -> None:
        super().__init__(
            "sparkplug",
            address,
            client_id=client_id,
            clean_session=True,
            keep_bytes=payload_limit_bytes + 1,
            report=report,
        )
        self.counts: Counter[str] = Counter()
        """Messages that went no further, by why."""
        self._host = host
        self._inbox = inbox
        self._wall_clock_ns = wall_clock_ns
        self._monotonic = monotonic

    def publish(self, message: Publish) -> None:
        """Send now or never: what a host says is worth nothing later."""
        if self._client is None or not self.connected:
            self.counts["unsent"] += 1
            return
        self._client.publish(message.topic, message.payload, qos=message.qos, retain=message.retain)

    def leave(self, death: Publish) -> None:
        """Say that the host ends, and disconnect; the broker drops the will."""
        if self._client is not None and self.connected:
            info = self._client.publish(death.topic, death.payload, qos=death.qos, retain=death.retain)
            info.wait_for_publish(_FAREWELL_S)
        self.stop()

    def _prepare(self, client: Any) -> None:
        client.on_message = self._on_message

    def _on_pre_connect(self, client: Any, userdata: Any) -> None:
        super()._on_pre_connect(client, userdata)

        def work() -> None:
            will = self._host.begin(self._wall_clock_ns()).will
            client.will_set(will.topic, will.payload, qos=will.qos, retain=will.retain)

        self._guard(work)

    def _entered(self, client: Any) -> None:
        session = self._host.session()
        client.subscribe(list(session.subscriptions))
        birth = session.birth
        client.publish(birth.topic, birth.payload, qos=birth.qos, retain=birth.retain)

    def _on_message(self, client: Any, _userdata: Any, message: Any) -> None:
        def work() -> None:
            if message.qos:
                client.ack(message.mid, message.qos)
            try:
                topic = message.topic
            except UnicodeDecodeError:
                self.counts["bad_topic"] += 1
                return
            if message.retain and not self._host.hears_state(topic):
                self.counts["retained"] += (
                    1  # of another time; no birth and no data may be kept by the broker
                )
                return
            delivery = Delivery(topic, bytes(message.payload[: self._keep_bytes]), self._wall_clock_ns())
            self._inbox.put(Arrival(delivery, Receipt(message.mid, self.session), self._monotonic()))

        self._guard(work)
