"""Incidents as plain values and as CSV, for scripts and spreadsheets: one form for the page and the command line."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from edge_agent.alarms.incident_log import earlier
from edge_agent.alarms.payload import rfc3339
from edge_agent.alarms.state import ClosedAlarm
from edge_agent.store.history.incident import Incident

_FORMULA = "=+-@\t\r"
"""What a spreadsheet takes a cell for a formula by: names and comments come from outside."""


def row(one: Incident) -> Mapping[str, Any]:
    """An incident as plain values, times in UTC."""
    people = [action for action in one.actions if action.by]
    seen = next((action.by for action in reversed(people) if action.what in ("ack", "accept")), "")
    return {
        "id": one.id,
        "machine": one.alarm.machine,
        "kind": one.alarm.kind,
        "severity": one.alarm.severity,
        "onset": rfc3339(one.alarm.onset_ns),
        "closed": rfc3339(one.closed_ns),
        "lasted_s": round((one.closed_ns - one.alarm.onset_ns) / 1e9),
        "peak_score": None if one.partial else float(f"{one.peak_score:.5g}"),
        "fault": one.fault,
        "acknowledged_by": seen,
        "comments": "; ".join(f"{action.by}: {action.comment}" for action in people if action.comment),
        "ended": one.ended,
        "channels": ", ".join(f"{channel.name} {channel.symptom}" for channel in one.worst.channels),
        "summary": one.summary,
    }


def csv_text(found: Sequence[Incident]) -> str:
    """A line an incident, in their order, below the names of the columns."""
    rows = [row(one) for one in found]
    columns = list(rows[0] if rows else row(earlier(ClosedAlarm("", "", "warning", 0, 0, told=False), "")))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for line in rows:
        writer.writerow({name: _harmless(value) for name, value in line.items()})
    return text.getvalue()


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(tuple(_FORMULA)) else value
