"""The command `alarms history`: what closed, read from the history on this computer's disk. Asks no agent."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.errors import StateError, UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edge_agent.store.history.incident import Incident

_SPANS_S = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_EVERY = 1_000_000


def history(
    context: typer.Context,
    *,
    machine: Annotated[str | None, typer.Option(help="Of this machine only.")] = None,
    since: Annotated[
        str | None, typer.Option(help="What closed since then: 2026-11-01, 2026-11-01T06:00, 12h, 7d.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, for spreadsheets.")] = False,
) -> None:
    """Show what closed, from the history on this computer: the state directory is the configuration's."""
    from edge_agent.cli import tables
    from edge_agent.store.history.database import HISTORY
    from edge_agent.store.history.reader import HistoryReader
    from edge_agent.web.incident_table import csv_text, row

    config = context.obj.config
    reader = HistoryReader(config.agent.state_dir / HISTORY)
    try:
        there = reader.path.is_file()
    except OSError as error:
        raise StateError(reader.path, error.strerror or "cannot be read") from error
    if not there:
        raise StateError(
            reader.path, "no history is kept there; name the agent's configuration with --config"
        )
    zone = config.site.zone
    since_ns = 0 if since is None else moment_ns(since, zone=zone, now=datetime.now(UTC))
    found = reader.incidents(machine, since_ns=since_ns, limit=_EVERY)[::-1]
    if as_csv:
        sys.stdout.write(csv_text(found))
    elif context.obj.as_json:
        sys.stdout.write(json.dumps([row(one) for one in found], indent=2) + "\n")
    else:
        tables.show(*_parts(found, zone))


def moment_ns(text: str, *, zone: tzinfo, now: datetime) -> int:
    """A date, a date with a time, or how long ago, as nanoseconds since 1970.

    Raises:
        UsageError: it is none of these.
    """
    if ago := re.fullmatch(r"(\d{1,6})([mhdw])", text):
        return int((now.timestamp() - int(ago[1]) * _SPANS_S[ago[2]]) * 1e9)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--since {text}: a date, a date with a time, or 90m, 12h, 7d, 2w") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1e9)


def _parts(found: Sequence["Incident"], zone: tzinfo) -> "Iterator[RenderableType]":
    from rich.text import Text

    from edge_agent.alarms.local_time import span, zone_name
    from edge_agent.cli.tables import grid

    if not found:
        yield "nothing that closed is kept"
        return
    table = grid("since", "lasted", "severity", "alarm", "it was", "what was seen")
    table.columns[3].no_wrap = True  # people copy it
    for one in found:
        at = datetime.fromtimestamp(one.alarm.onset_ns / 1e9, zone)
        cells = (
            f"{at:%Y-%m-%d %H:%M} {zone_name(at)}",
            span(one.closed_ns - one.alarm.onset_ns),
            one.alarm.severity,
            one.id,
            one.fault or "not named",
            one.summary,
        )
        table.add_row(*map(Text, cells))
    yield table
