"""A Sparkplug namespace as a source of the running agent: connection, queue and host joined. Turned by one thread.

The connection: clean session, STATE as will and birth, messages into an inbox of its own. What the messages mean is
`formats.sparkplug.host`'s business; the callbacks run on paho's network thread.

Births and data are QoS 0, so nothing is acknowledged and nothing comes twice; what a lost message may have changed is
not guessed: the host asks for the births again, and no window bridges the hole.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from edge_agent.config.file import Config
from edge_agent.formats.sparkplug.host import Host, HostMessage, HostOutput, HostSettings
from edge_agent.metrics.snapshot import Snapshot
from edge_agent.mqtt.connection import BrokerAddress, Connection, Report
from edge_agent.mqtt.inbox import Arrival, Inbox, Receipt
from edge_agent.records import Delivery, Frame, SourceEvents, Stale
from edge_agent.service.parts import AgentPart
from edge_agent.service.turn import Turn, TurnProcessor
from edge_agent.service.wiring import sparkplug_settings

_BATCH_MESSAGES = 1000
_FAREWELL_S = 2.0
"""How long a leaving host waits until the broker has its death certificate."""


class SparkplugConnection(Connection):
    """One connection; every new one has a will, subscriptions and a birth of the same time."""

    def __init__(
        self,
        address: BrokerAddress,
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

    def publish(self, message: HostMessage) -> None:
        """Send now or never: what a host says is worth nothing later."""
        if self._client is None or not self.connected:
            self.counts["unsent"] += 1
            return
        self._client.publish(message.topic, message.payload, qos=message.qos, retain=message.retain)

    def leave(self, death: HostMessage) -> None:
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
            if message.retain and not self._host.is_state_topic(topic):
                self.counts["retained"] += (
                    1  # of another time; no birth and no data may be kept by the broker
                )
                return
            delivery = Delivery(topic, bytes(message.payload[: self._keep_bytes]), self._wall_clock_ns())
            self._inbox.put(Arrival(delivery, Receipt(message.mid, self.session), self._monotonic()))

        self._guard(work)


class SparkplugSource:
    """Drives a host over a connection; `drain` gives what the pipeline is to take in."""

    def __init__(
        self, settings: HostSettings, address: BrokerAddress, *, client_id: str, inbox: Inbox, report: Report
    ) -> None:
        self.shed = 0
        """Messages that the last call found dropped from the queue."""
        self._host = Host(settings, jitter=random.random)
        self._inbox = inbox
        self._session = 0  # of the connection whose messages the host has heard; 0: none
        self._running: set[str] = set()  # machines whose values have begun and not ended
        self.connection = SparkplugConnection(
            address,
            client_id=client_id,
            host=self._host,
            inbox=inbox,
            payload_limit_bytes=settings.payload_limit_bytes,
            wall_clock_ns=time.time_ns,
            monotonic=time.monotonic,
            report=report,
        )

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self.connection.start()

    def stop(self) -> None:
        """Say good-bye to the broker."""
        self._inbox.close()
        self.connection.leave(self._host.end(time.time_ns()))

    def counts(self) -> Mapping[str, int]:
        """What became of messages and values, by words of a fixed list."""
        return Counter(self._host.counts) + self.connection.counts

    def living(self) -> frozenset[str]:
        """Machines that count as heard though they say nothing, see `Host.living`; none without a connection."""
        return self._host.living() if self.connection.connected else frozenset()

    def drain(self) -> list[SourceEvents]:
        """What came since the last call, one of each message, and what passing time brought."""
        batch = self._inbox.drain(limit=_BATCH_MESSAGES, timeout_s=0.0)
        told: list[SourceEvents] = []
        self.shed = batch.shed
        if batch.shed:
            told += self._lost()
        for arrival in batch.arrivals:
            if arrival.receipt is not None and arrival.receipt.session != self._session:
                told += self._lost()
                self._session = arrival.receipt.session
            step = self._host.receive(arrival.delivery, now_ns=time.monotonic_ns())
            told.append(self._source_events(step))
        gone = not self.connection.connected or self.connection.session != self._session
        if self._session and gone and not batch.arrivals:
            told += self._lost()
            self._session = 0
        told.append(self._source_events(self._host.tick(now_ns=time.monotonic_ns(), wall_ns=time.time_ns())))
        return [one for one in told if one.events or one.outcome is not None]

    def end(self) -> list[SourceEvents]:
        """All values end, as this source is not heard any more."""
        return self._lost()

    def _lost(self) -> list[SourceEvents]:
        """Something may have been missed: nothing that was said before counts."""
        return [self._source_events(self._host.disconnected(time.time_ns()))]

    def _source_events(self, step: HostOutput) -> SourceEvents:
        for message in step.publishes:
            self.connection.publish(message)
        return SourceEvents(tuple(self._begun(step.events)), step.outcome)

    def _begun(self, events: Iterable[Frame | Stale]) -> Iterable[Frame | Stale]:
        """The events, with an end before each machine's first row: its rows from before a restart lie across a hole."""
        for event in events:
            if isinstance(event, Stale):
                self._running.discard(event.machine)
            elif event.machine not in self._running:
                self._running.add(event.machine)
                yield Stale(event.machine, event.times_ns[0], "new_session")
            yield event


class SparkplugPart(AgentPart):
    """Listens to the Sparkplug namespace of the present configuration, where there is one, and to no other."""

    name = "sparkplug"

    def __init__(self, config: Config, address: BrokerAddress, *, report: Report) -> None:
        self._config = config
        self._address = address
        self._report = report
        self._source: SparkplugSource | None = None
        self._ended: list[SourceEvents] = []  # of a namespace that is not heard any more

    @property
    def connections(self) -> Sequence[Connection]:
        """The host's, while there is one."""
        return () if self._source is None else (self._source.connection,)

    def start(self) -> None:
        """Begin to connect, where a namespace is configured."""
        self._source = self._configured()
        if self._source is not None:
            self._source.start()

    def adopt(self, config: Config) -> None:
        """Leave the namespace that was, and listen to another, where the configuration says so."""
        before, self._config = self._config, config
        if before.sparkplug == config.sparkplug:
            return
        if self._source is not None:
            self._source.stop()
            self._ended += self._source.end()
        self.start()

    def poll(self, turn: Turn, processor: TurnProcessor) -> None:
        """Add what was heard: decoded messages, those dropped from the queue, and who lives without saying so."""
        del processor
        turn.source_events += self._ended
        self._ended.clear()
        if self._source is not None:
            turn.source_events += self._source.drain()
            turn.batch = replace(turn.batch, shed=turn.batch.shed + self._source.shed)
            turn.living |= self._source.living()

    def stop(self) -> None:
        """Say that the host ends."""
        if self._source is not None:
            self._source.stop()

    def add_figures(self, snapshot: Snapshot) -> Snapshot:
        """What the host counts."""
        return snapshot if self._source is None else replace(snapshot, sparkplug=self._source.counts())

    def _configured(self) -> SparkplugSource | None:
        settings, broker = sparkplug_settings(self._config), self._config.broker
        if settings is None:
            return None
        inbox = Inbox(
            messages_limit=broker.queue_messages,
            bytes_limit=broker.queue_bytes,
            shed_after_s=broker.shed_after_s,
            monotonic=time.monotonic,
        )
        return SparkplugSource(
            settings,
            self._address,
            client_id=f"{self._config.client_id}-sparkplug",
            inbox=inbox,
            report=self._report,
        )
