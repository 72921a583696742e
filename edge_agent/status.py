"""The agent's own status message: who it is, what it runs, and how far each machine is. Sends nothing."""

from collections.abc import Mapping
from typing import Any

import msgspec

from edge_agent.pipeline import MachineStatus

SCHEMA_VERSION = 1
MACHINES_LIMIT = 500
"""A message stays small enough for brokers that bound it; /metrics counts the rest."""


def status_payload(
    *,
    agent: str,
    version: str,
    online: bool,
    model: str,
    provider: str,
    machines: Mapping[str, MachineStatus],
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
            "machines": {name: _machine(status) for name, status in listed},
        }
    )


def _machine(status: MachineStatus) -> dict[str, Any]:
    told: dict[str, Any] = {"state": status.state}
    if status.state != "ready":
        told["rows"] = status.rows_heard
        told["rows_wanted"] = status.rows_wanted
    if status.reason:
        told["reason"] = status.reason
    if status.threshold_ratio is not None and round(status.threshold_ratio, 1) != 1.0:
        told["threshold_ratio"] = round(status.threshold_ratio, 1)
    if status.open_alarm is not None:
        told["alarm"] = status.open_alarm
    return told
