"""The commands `alarms ...`: what an operator asks of a running agent, over MQTT."""

import getpass
import json
import socket
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent.cli import alarm_history
from edge_agent.cli.options import AgentName, AsJson, BrokerAddress, client_id, configuration

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edge_agent.cli.operator_client import AgentView
    from edge_agent.config.file import Config

app = typer.Typer(no_args_is_help=True, help="List, acknowledge, shelve and name alarms over MQTT.")

AgentFile = Annotated[Path | None, typer.Option("--config", "-c", help="The agent's TOML file.")]
Asker = Annotated[str | None, typer.Option(help="Who asks; user@host without it.")]
Patience = Annotated[float, typer.Option(help="Seconds to wait for an answer.", min=0.1)]
AlarmId = Annotated[str, typer.Argument(help="The alarm's id, as `list` shows it.")]
Comment = Annotated[str, typer.Option(help="Kept with the alarm and in the agent's audit log.")]


@dataclass(frozen=True, slots=True)
class Choice:
    """What all of the commands are told: which agent, where, and how to print."""

    config: "Config"
    by: str
    timeout_s: float
    as_json: bool


@app.callback()
def alarms(
    context: typer.Context,
    *,
    broker: BrokerAddress = None,
    agent: AgentName = None,
    config: AgentFile = None,
    by: Asker = None,
    timeout: Patience = 10.0,
    as_json: AsJson = False,
) -> None:
    """List, acknowledge, shelve and name alarms over MQTT."""
    choose(context, broker=broker, agent=agent, config=config, by=by, timeout=timeout, as_json=as_json)


def choose(
    context: typer.Context,
    *,
    broker: str | None,
    agent: str | None,
    config: Path | None,
    by: str | None,
    timeout: float,
    as_json: bool,
) -> None:
    """Keep what the commands of a group are all told."""
    settings = configuration(config, broker=broker, agent=agent)
    context.obj = Choice(settings, by or f"{getpass.getuser()}@{socket.gethostname()}", timeout, as_json)


@app.command("list")
def show(context: typer.Context) -> None:
    """Show the open alarms and what is shelved or suppressed."""
    from edge_agent.cli import tables
    from edge_agent.cli.operator_client import OperatorClient

    choice: Choice = context.obj
    with OperatorClient(choice.config, client_id=client_id("cli"), timeout_s=choice.timeout_s) as client:
        view = client.view()
    if choice.as_json:
        table = {"status": view.status, "alarms": list(view.alarms.values())}
        sys.stdout.write(json.dumps(table, indent=2) + "\n")
        return
    tables.show(*_parts(view))


app.command("history")(alarm_history.history)


@app.command()
def ack(context: typer.Context, alarm: AlarmId, *, comment: Comment = "") -> None:
    """Acknowledge an alarm."""
    send(context, "ack", {"alarm": alarm, "comment": comment})


@app.command()
def shelve(
    context: typer.Context,
    machine: Annotated[str, typer.Argument(help="The machine's name.")],
    *,
    minutes: Annotated[float | None, typer.Option("--for", help="Minutes.", min=0.1)] = None,
    once: Annotated[bool, typer.Option("--once", help="While its present alarm is active.")] = False,
    comment: Comment = "",
) -> None:
    """Call nobody for a machine for a while: an hour without --for or --once."""
    span: dict[str, Any] = {"once": True} if once else {"for_s": 3600}
    if minutes is not None:
        span["for_s"] = round(minutes * 60)
    send(context, "shelve", {"machine": machine, "comment": comment, **span})


@app.command()
def unshelve(
    context: typer.Context, machine: Annotated[str, typer.Argument(help="The machine's name.")]
) -> None:
    """Call for a machine again."""
    send(context, "unshelve", {"machine": machine})


@app.command()
def label(
    context: typer.Context,
    alarm: AlarmId,
    fault: Annotated[str, typer.Argument(help="What it was: bearing wear.")],
    *,
    comment: Comment = "",
) -> None:
    """Name the fault that an alarm was."""
    send(context, "label", {"alarm": alarm, "fault": fault, "comment": comment})


@app.command()
def accept(
    context: typer.Context,
    alarm: AlarmId,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="It is not normal after all.")] = False,
    comment: Comment = "",
) -> None:
    """Say that what a notice, or an alarm, tells of is normal: it is known from then on."""
    send(context, "accept", {"alarm": alarm, "undo": undo, "comment": comment})


def send(context: typer.Context, name: str, fields: Mapping[str, Any]) -> None:
    """Send a command and print what became of it."""
    from edge_agent.cli.operator_client import OperatorClient
    from edge_agent.logs import printable

    choice: Choice = context.obj
    sent = {"id": uuid.uuid4().hex, "by": choice.by, "sent": datetime.now(UTC).isoformat()}
    with OperatorClient(choice.config, client_id=client_id("cli"), timeout_s=choice.timeout_s) as client:
        reply = client.send(name, {**sent, **fields})
    detail = f": {reply['detail']}" if reply.get("detail") else ""
    sys.stdout.write(
        (json.dumps(reply) if choice.as_json else printable(f"{reply['result']}{detail}")) + "\n"
    )


def _parts(view: "AgentView") -> "Iterator[RenderableType]":
    """The view for people: an alarm a row, oldest first, then the machines that nobody is called for."""
    from rich.text import Text

    from edge_agent.cli.tables import grid, local

    found = sorted(view.alarms.values(), key=lambda alarm: str(alarm["onset"]))
    silenced = [
        (word, name, str(why["by"]), local(why["until"], view.zone) if why["until"] else "it is lifted")
        for name, machine in view.status.get("machines", {}).items()
        for word in ("shelved", "suppressed")
        if (why := machine.get(word))
    ]
    if found:
        table = grid("severity", "alarm", "state", "what")
        table.columns[1].no_wrap = True  # people copy it
        for alarm in found:
            cells = (str(alarm["severity"]), str(alarm["id"]), _state(alarm), str(alarm["summary"]))
            table.add_row(*map(Text, cells))
        yield table
    if found and silenced:
        yield ""
    if silenced:
        table = grid("nobody is called", "machine", "by", "until")
        for row in silenced:
            table.add_row(*map(Text, row))
        yield table
    if view.status.get("state") != "online":
        yield "the agent is offline: this is what it said last"
    elif not found and not silenced:
        yield "no open alarms"


def _state(alarm: Mapping[str, Any]) -> str:
    lifecycle = alarm.get("lifecycle", {})
    seen = lifecycle.get("acknowledged")
    words = [f"acknowledged by {seen['by']}" if seen else "not acknowledged"]
    words += [word for word in ("shelved", "suppressed", "held") if lifecycle.get(word)]
    return ", ".join(words if lifecycle.get("active", True) else [*words, "back to normal"])
