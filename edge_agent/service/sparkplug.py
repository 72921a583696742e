"""A Sparkplug namespace as a source of the running agent: connection, queue and host joined. Turned by one thread.

Births and data are QoS 0, so nothing is acknowledged and nothing comes twice; what a lost message may have changed is
not guessed: the host asks for the births again, and no window bridges the hole.
"""

import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping

from edge_agent.config.file import Config
from edge_agent.formats.sparkplug.host import Host, HostSettings, HostStep
from edge_agent.mqtt.connection import Address, Report
from edge_agent.mqtt.inbox import Inbox
from edge_agent.records import Frame, Stale, Tidings
from edge_agent.service.sparkplug_link import SparkplugLink
from edge_agent.service.wiring import broker_address, sparkplug_settings

_BATCH_MESSAGES = 1000


class SparkplugSource:
    """Drives a host over a connection; `turn` gives what the pipeline is to take in."""

    def __init__(
        self, settings: HostSettings, address: Address, *, client_id: str, inbox: Inbox, report: Report
    ) -> None:
        self.shed = 0
        """Messages that the last turn found dropped from the queue."""
        self._host = Host(settings, jitter=random.random)
        self._inbox = inbox
        self._session = 0  # of the connection whose messages the host has heard; 0: none
        self._running: set[str] = set()  # machines whose values have begun and not ended
        self.link = SparkplugLink(
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
        self.link.start()

    def stop(self) -> None:
        """Say good-bye to the broker."""
        self._inbox.close()
        self.link.leave(self._host.end(time.time_ns()))

    def counts(self) -> Mapping[str, int]:
        """What became of messages and values, by words of a fixed list."""
        return Counter(self._host.counts) + self.link.counts

    def living(self) -> frozenset[str]:
        """Machines that count as heard though they say nothing, see `Host.living`; none without a connection."""
        return self._host.living() if self.link.connected else frozenset()

    def turn(self) -> list[Tidings]:
        """What came since the last turn, one of each message, and what passing time brought."""
        batch = self._inbox.drain(limit=_BATCH_MESSAGES, timeout_s=0.0)
        told: list[Tidings] = []
        self.shed = batch.shed
        if batch.shed:
            told += self._lost()
        for arrival in batch.arrivals:
            if arrival.receipt is not None and arrival.receipt.session != self._session:
                told += self._lost()
                self._session = arrival.receipt.session
            step = self._host.receive(arrival.delivery, now_ns=time.monotonic_ns())
            told.append(self._tidings(step))
        gone = not self.link.connected or self.link.session != self._session
        if self._session and gone and not batch.arrivals:
            told += self._lost()
            self._session = 0
        told.append(self._tidings(self._host.tick(now_ns=time.monotonic_ns(), wall_ns=time.time_ns())))
        return [tidings for tidings in told if tidings.events or tidings.outcome is not None]

    def end(self) -> list[Tidings]:
        """All values end, as this source is not heard any more."""
        return self._lost()

    def _lost(self) -> list[Tidings]:
        """Something may have been missed: nothing that was said before counts."""
        return [self._tidings(self._host.disconnected(time.time_ns()))]

    def _tidings(self, step: HostStep) -> Tidings:
        for message in step.publishes:
            self.link.publish(message)
        return Tidings(tuple(self._begun(step.events)), step.outcome)

    def _begun(self, events: Iterable[Frame | Stale]) -> Iterable[Frame | Stale]:
        """The events, with an end before each machine's first row: its rows from before a restart lie across a hole."""
        for event in events:
            if isinstance(event, Stale):
                self._running.discard(event.machine)
            elif event.machine not in self._running:
                self._running.add(event.machine)
                yield Stale(event.machine, event.times_ns[0], "new_session")
            yield event


def sparkplug_source(config: Config, *, report: Report) -> SparkplugSource | None:
    """The source as the configuration asks for it; None where it asks for none.

    Raises:
        UsageError: a file with a password, certificate or key cannot be used.
    """
    settings = sparkplug_settings(config)
    if settings is None:
        return None
    broker = config.broker
    return SparkplugSource(
        settings,
        broker_address(config),
        client_id=f"{config.client_id}-sparkplug",
        inbox=Inbox(
            messages_limit=broker.queue_messages,
            bytes_limit=broker.queue_bytes,
            shed_after_s=broker.shed_after_s,
            monotonic=time.monotonic,
        ),
        report=report,
    )
