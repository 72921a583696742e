"""What others see of the running agent: the snapshot behind its metrics, and its health. Reads, changes nothing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from edge_agent.metrics.snapshot import Health, LinkSeries, MachineSeries, OutboxSeries, StateSeries
from edge_agent.mqtt.inbox import Inbox
from edge_agent.mqtt.outbox import Outbox
from edge_agent.pipeline.machine import MachineStatus
from edge_agent.records import Alarm
from edge_agent.store.state_writer import Keeper

STUCK_AFTER_S = 30.0


class Link(Protocol):
    """What is told of an MQTT client."""

    name: str
    session: int
    replaced: int
    hung_up: int

    @property
    def connected(self) -> bool:
        """Whether it is connected."""


def links_seen(*links: Link) -> dict[str, LinkSeries]:
    """Each MQTT client by name."""
    return {
        link.name: LinkSeries(link.connected, link.session, link.replaced, link.hung_up) for link in links
    }


def machines_seen(
    machines: Mapping[str, MachineStatus], findings: Sequence[Alarm]
) -> dict[str, MachineSeries]:
    """Each machine by name; `findings` about their sensors are those that hold."""
    open_findings = Counter(finding.machine for finding in findings)
    return {
        name: MachineSeries(
            state=status.state,
            rows=status.rows_heard,
            score=status.last_score,
            threshold=status.threshold,
            alarm_open=status.open_alarm is not None,
            threshold_ratio=status.threshold_ratio,
            findings_open=open_findings[name],
            data_s=None if status.last_time_ns is None else status.last_time_ns / 1e9,
            input_drift=status.drift.inputs,
            score_drift=status.drift.scores,
            scored_share=status.drift.scored_share,
            learnt_s=status.learnt_ns / 1e9 if status.learnt_ns else None,
        )
        for name, status in machines.items()
    }


def outbox_seen(outbox: Outbox) -> OutboxSeries:
    """What became of the alert messages."""
    return OutboxSeries(
        made=outbox.made,
        delivered=outbox.delivered,
        merged=outbox.merged,
        dropped=outbox.alerts_dropped,
        waiting=outbox.alerts_waiting,
        all_dropped=outbox.dropped,
        messages=len(outbox),
        bytes=outbox.bytes,
    )


def state_seen(keeper: Keeper) -> StateSeries:
    """How keeping fares."""
    figures = keeper.figures
    return StateSeries(
        degraded=bool(keeper.fault),
        commits=figures.commits,
        failures=figures.failures,
        set_aside=figures.set_aside,
        bytes=keeper.size_bytes(),
        free_bytes=keeper.free_bytes(),
    )


def health(
    *,
    alive: bool,
    links: tuple[Link, ...],
    refused: tuple[str, ...],
    keeper: Keeper,
    inbox: Inbox,
    heard_share: float,
) -> Health:
    """Whether the agent lives, and everything that keeps it from its full work."""
    amiss = [f"broker: {link.name} is not connected" for link in links if not link.connected]
    amiss += [f"broker: refuses the subscription {topic}" for topic in refused]
    if keeper.fault:
        amiss.append(f"degraded, works from memory: {keeper.fault}")
    if inbox.full:
        amiss.append("overload: the queue is full")
    if heard_share < 1.0:
        amiss.append(f"overload: {heard_share:.0%} of the machines are heard at a time, in turn")
    return Health(alive=alive, amiss=tuple(amiss))
