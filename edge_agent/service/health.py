"""What others see of the running agent: the figures behind its metrics, its health, and its status message over MQTT.

Reads, changes nothing, sends nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from edge_agent.alarms import payload
from edge_agent.alarms.state import AlarmState, MachineCalls
from edge_agent.metrics.snapshot import (
    AlarmSeries,
    ConnectionSeries,
    Health,
    MachineSeries,
    OutboxSeries,
    StateSeries,
)
from edge_agent.mqtt.connection import Connection
from edge_agent.mqtt.inbox import Inbox
from edge_agent.mqtt.outbox import Outbox
from edge_agent.pipeline.results import MachineStatus
from edge_agent.records import Alarm
from edge_agent.signals.machine_rules import MachineFacts
from edge_agent.store.state_writer import StateWriter

STUCK_AFTER_S = 30.0
SCHEMA_VERSION = 1
_KINDS_LIMIT = 32
"""Channels of a machine that are not analog, as the status tells them."""
_STRETCHES_LIMIT = 5
"""Stretches of a machine that were seen once, the latest, as the status tells them."""
_MINUTE_NS = 60_000_000_000
MACHINES_LIMIT = 500
"""A message stays small enough for brokers that bound it; /metrics counts the rest."""
_CALLED = MachineCalls()
_NOTHING_SAID = MachineFacts()


def connection_series(*connections: Connection) -> dict[str, ConnectionSeries]:
    """Each MQTT client by name."""
    return {
        connection.name: ConnectionSeries(
            connection.connected, connection.session, connection.replaced, connection.hung_up
        )
        for connection in connections
    }


def machine_series(
    machines: Mapping[str, MachineStatus],
    findings: Sequence[Alarm],
    *,
    spent: Mapping[str, int] = MappingProxyType({}),
    alarms: Mapping[str, AlarmState] = MappingProxyType({}),
) -> dict[str, MachineSeries]:
    """Each machine by name; `findings` about their sensors, and notices, are those that hold.

    `spent` are the alarms of its last week that count against its budget; `alarms` those that are there, by their
    subject.
    """
    open_findings = Counter(finding.machine for finding in findings if finding.told_kind == "sensor")
    return {
        name: MachineSeries(
            state=status.state,
            rows=status.rows_heard,
            score=status.last_score,
            threshold=status.threshold,
            alarm_open=status.open_alarm is not None,
            threshold_ratio=status.threshold_ratio,
            findings_open=open_findings[name],
            notices_open=len(status.notices),
            data_s=None if status.last_time_ns is None else status.last_time_ns / 1e9,
            input_drift=status.drift.inputs,
            score_drift=status.drift.scores,
            scored_share=status.drift.scored_share,
            unwatched=status.unwatched,
            turned_away=status.turned_away,
            by_exception=status.by_exception,
            unsettled=status.unsettled,
            learnt_s=status.learnt_ns / 1e9 if status.learnt_ns else None,
            budget_per_week=None if status.promise is None else status.promise.budget_per_week,
            budget_expected=None if status.promise is None else status.promise.expected_per_week,
            budget_spent=None if status.promise is None else spent.get(name, 0),
            alarm=_alarm_series(alarms[name]) if name in alarms else None,
        )
        for name, status in machines.items()
    }


def _alarm_series(record: AlarmState) -> AlarmSeries:
    """A machine's alarm in words that may be labels: few at a time, each bounded in length where it came in."""
    alarm = record.alarm
    carriers = sorted(alarm.channels, key=lambda channel: -channel.contribution)
    return AlarmSeries(
        fault=alarm.fault,
        severity=alarm.severity,
        acknowledged=record.acknowledgement is not None,
        shelved=record.masked,
        channels=tuple((channel.name, channel.contribution) for channel in carriers),
    )


def outbox_series(outbox: Outbox) -> OutboxSeries:
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


def state_series(state_writer: StateWriter) -> StateSeries:
    """How keeping fares."""
    figures = state_writer.counts
    return StateSeries(
        degraded=bool(state_writer.failure),
        commits=figures.commits,
        failures=figures.failures,
        set_aside=figures.set_aside,
        bytes=state_writer.size_bytes(),
        free_bytes=state_writer.free_bytes(),
    )


def judge(
    *,
    alive: bool,
    connections: tuple[Connection, ...],
    refused: tuple[str, ...],
    state_writer: StateWriter,
    inbox: Inbox,
    heard_share: float,
    parts: Sequence[str] = (),
) -> Health:
    """Whether the agent lives, and what keeps it from its full work; `parts`: what those say of themselves."""
    amiss = [
        f"broker: {connection.name} is not connected"
        for connection in connections
        if not connection.connected
    ]
    amiss += [f"broker: {connection.trouble}" for connection in connections if connection.trouble]
    amiss += [f"broker: refuses the subscription {topic}" for topic in refused]
    if state_writer.failure:
        amiss.append(f"degraded, works from memory: {state_writer.failure}")
    if inbox.full:
        amiss.append("overload: the queue is full")
    if heard_share < 1.0:
        amiss.append(f"overload: {heard_share:.0%} of the machines are heard at a time, in turn")
    return Health(alive=alive, amiss=(*amiss, *parts))


def status_payload(  # noqa: PLR0913 - what the message says
    *,
    agent: str,
    version: str,
    online: bool,
    model: str,
    provider: str,
    machines: Mapping[str, MachineStatus],
    calls: Mapping[str, MachineCalls] | None = None,
    silent_since_ns: Mapping[str, int] | None = None,
    timezone: str = "UTC",
    spent: Mapping[str, int] | None = None,
    facts: Mapping[str, MachineFacts] | None = None,
) -> bytes:
    """The retained status message. Says nothing that changes by itself, so that equal states are equal bytes."""
    listed, silent = _listed(machines), silent_since_ns or {}
    return msgspec.json.encode(
        {
            "schema_version": SCHEMA_VERSION,
            "agent": agent,
            "state": "online" if online else "offline",
            "version": version,
            "model": model,
            "provider": provider,
            "machine_count": len(machines),
            "machines": {
                name: _machine(
                    status,
                    (calls or {}).get(name, _CALLED),
                    silent_ns=silent.get(name),
                    spent=(spent or {}).get(name, 0),
                )
                | _said((facts or {}).get(name, _NOTHING_SAID))
                | _next_profile(status)
                for name, status in listed
            },
        }
        | ({} if timezone == "UTC" else {"timezone": timezone})
    )


def _listed(machines: Mapping[str, MachineStatus]) -> list[tuple[str, MachineStatus]]:
    """As many as a message has room for; those that are not learnt come last, lest invented ones hide the others."""
    if len(machines) <= MACHINES_LIMIT:
        return [*machines.items()]
    return sorted(machines.items(), key=lambda one: one[1].state in ("commissioning", "learning"))[
        :MACHINES_LIMIT
    ]


def _said(facts: MachineFacts) -> dict[str, Any]:
    """What people say of the machine, where they do."""
    told: dict[str, Any] = {
        "display_name": facts.display_name,
        "location": facts.location,
        "type": facts.type,
        "budget_per_week": facts.budget_per_week,
    }
    return {name: value for name, value in told.items() if value not in ("", None)}


def _next_profile(status: MachineStatus) -> dict[str, Any]:
    """How far the machine's next profile is, and whether there is a way back to the last one."""
    told: dict[str, Any] = {"previous": True} if status.previous else {}
    if (following := status.successor) is not None:
        told["relearning"] = {
            "stage": following.stage,
            "why": following.why,
            "by": following.by,
            "new_channels": list(following.new[:_KINDS_LIMIT]),
            "rows": following.rows,
            "rows_wanted": following.rows_wanted,
            "paused": following.paused,
            "told": following.told,
        }
    return told


def _since_learnt(status: MachineStatus, *, spent: int) -> dict[str, Any]:
    """How far the machine has moved from what was learnt, and what its budget is worth."""
    told: dict[str, Any] = {}
    if status.threshold_ratio is not None and round(status.threshold_ratio, 1) != 1.0:
        told["threshold_ratio"] = round(status.threshold_ratio, 1)
    if status.drifted:
        told["drifted"] = True
    if status.promise is not None:
        told["budget"] = status.promise.plain(spent=spent)
    return told


def _flapping(status: MachineStatus) -> dict[str, Any]:
    """Whether the open alarm is quiet and not over, and how often it has come back."""
    return {"unsettled": status.unsettled, "reopened": status.reopened}


def _watched(status: MachineStatus, *, silent_ns: int | None) -> dict[str, Any]:
    """Whether the machine is watched, and if not, why and until when."""
    told: dict[str, Any] = {"state": status.state}
    if status.state != "ready":
        told["rows"] = status.rows_heard
        told["rows_wanted"] = status.rows_wanted
    if status.ready_ns is not None:  # to the minute: it is a guess, and is not to change with every row
        told["learnt_about"] = payload.rfc3339(-(-status.ready_ns // _MINUTE_NS) * _MINUTE_NS)
    if silent_ns is not None:
        told["silent_since"] = payload.rfc3339(silent_ns)
    if status.reason:
        told["reason"] = status.reason
    return told


def _machine(
    status: MachineStatus, calls: MachineCalls, *, silent_ns: int | None, spent: int
) -> dict[str, Any]:
    told = _watched(status, silent_ns=silent_ns) | _since_learnt(status, spent=spent)
    if status.kinds:
        told["kinds"] = dict(status.kinds[:_KINDS_LIMIT])
    if status.seen_once:
        told["seen_once"] = [
            {"from": payload.rfc3339(one.start_ns), "to": payload.rfc3339(one.end_ns), "channel": one.channel}
            for one in status.seen_once[-_STRETCHES_LIMIT:]
        ]
    if status.open_alarm is not None:
        told["alarm"] = status.open_alarm
        told |= {name: value for name, value in _flapping(status).items() if value}
    if status.notices:
        told["notices"] = list(status.notices)
    if calls.record is not None:
        told["alarm"] = calls.record.alarm.id
        told["lifecycle"] = payload.marks(calls.record)
    if calls.shelving is not None:
        told["shelved"] = payload.masking(calls.shelving)
    if calls.suppression is not None:
        told["suppressed"] = payload.masking(calls.suppression)
    return told
