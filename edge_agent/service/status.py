"""The agent's own status message: who it is, what it runs, and how far each machine is. Sends nothing."""

from collections.abc import Mapping
from typing import Any

import msgspec

from edge_agent.alarms import payload
from edge_agent.alarms.state import Calls
from edge_agent.pipeline.machine import MachineStatus

SCHEMA_VERSION = 1
MACHINES_LIMIT = 500
"""A message stays small enough for brokers that bound it; /metrics counts the rest."""


_CALLED = Calls()


def status_payload(
    *,
    agent: str,
    version: str,
    online: bool,
    model: str,
    provider: str,
    machines: Mapping[str, MachineStatus],
    calls: Mapping[str, Calls] | None = None,
) -> bytes:
    """The retained status message. Says nothing that changes by itself, so that equal states are equal bytes."""
    listed = list(machines.items())[:MACHINES_LIMIT]
    return msgspec.json.encode(
        {
            "schema_version": SCHEMA_VERSION,
            "agent": agent,
            "state": "online" if online else "offline",
            "version": version,
            "model": model,
            "provider": provider,
            "machine_count": len(machines),
            "machines": {name: _machine(status, (calls or {}).get(name, _CALLED)) for name, status in listed},
        }
    )


def _since_learnt(status: MachineStatus) -> dict[str, Any]:
    """How far the machine has moved from what was learnt."""
    told: dict[str, Any] = {}
    if status.threshold_ratio is not None and round(status.threshold_ratio, 1) != 1.0:
        told["threshold_ratio"] = round(status.threshold_ratio, 1)
    if status.drifted:
        told["drifted"] = True
    return told


def _machine(status: MachineStatus, calls: Calls) -> dict[str, Any]:
    told: dict[str, Any] = {"state": status.state}
    if status.state != "ready":
        told["rows"] = status.rows_heard
        told["rows_wanted"] = status.rows_wanted
    if status.reason:
        told["reason"] = status.reason
    told |= _since_learnt(status)
    if status.open_alarm is not None:
        told["alarm"] = status.open_alarm
    if calls.record is not None:
        told["alarm"] = calls.record.alarm.id
        told["lifecycle"] = payload.marks(calls.record)
    if calls.shelf is not None:
        told["shelved"] = payload.quiet(calls.shelf)
    if calls.suppression is not None:
        told["suppressed"] = payload.quiet(calls.suppression)
    return told
