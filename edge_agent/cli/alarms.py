"""The command line's `alarms`: parses, prints, and has `terminal` do the talking."""

import getpass
import json
import socket
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from edge_agent.cli.operator_client import View
    from edge_agent.config.file import Config

app = typer.Typer(no_args_is_help=True, help="List, acknowledge, shelve and name alarms over MQTT.")

AlarmId = Annotated[str, typer.Argument(help="The alarm's id, as `list` shows it.")]
Comment = Annotated[str, typer.Option(help="Kept with the alarm and in the agent's audit log.")]


@dataclass(frozen=True, slots=True)
class _Choice:
    """What all of the commands are told: which agent, where, and how to print."""

    config: "Config"
    by: str
    timeout_s: float
    as_json: bool


@app.callback()
def alarms(
    context: typer.Context,
    *,
    broker: Annotated[str | None, typer.Option(help="HOST or HOST:PORT; beats the configuration.")] = None,
    agent: Annotated[str | None, typer.Option(help="The agent's name; beats the configuration.")] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="The agent's TOML file.")] = None,
    by: Annotated[str | None, typer.Option(help="Who asks; user@host without it.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.", min=0.1)] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List, acknowledge, shelve and name alarms over MQTT."""
    from edge_agent.config.file import defaults, load  # noqa: PLC0415 - `--help` need not load pydantic

    known = load(config) if config else defaults()
    settings = at_broker(known, broker=broker, agent=agent)
    context.obj = _Choice(settings, by or f"{getpass.getuser()}@{socket.gethostname()}", timeout, as_json)


def at_broker(known: "Config", *, broker: str | None, agent: str | None = None) -> "Config":
    """The configuration with another broker or agent, where they are given.

    Raises:
        UsageError: they make no sense.
    """
    from edge_agent.config.file import Config  # noqa: PLC0415
    from edge_agent.errors import UsageError  # noqa: PLC0415

    told = known.model_dump()
    if agent is not None:
        told["agent"]["name"] = agent
    if broker is not None:
        host, _, port = broker.rpartition(":") if ":" in broker else (broker, "", str(told["broker"]["port"]))
        told["broker"] |= {"host": host, "port": port}
    try:
        return Config.model_validate(told)
    except ValueError as error:
        raise UsageError(f"--broker {broker} or --agent {agent} makes no sense") from error


@app.command("list")
def show(context: typer.Context) -> None:
    """Show the open alarms and what is shelved or suppressed."""
    from edge_agent.cli.operator_client import Terminal  # noqa: PLC0415

    choice: _Choice = context.obj
    with Terminal(choice.config, client_id=_client_id(), timeout_s=choice.timeout_s) as terminal:
        view = terminal.view()
    if choice.as_json:
        table = {"status": view.status, "alarms": list(view.alarms.values())}
        sys.stdout.write(json.dumps(table, indent=2) + "\n")
        return
    sys.stdout.write("".join(f"{line}\n" for line in _lines(view)))


@app.command()
def ack(context: typer.Context, alarm: AlarmId, *, comment: Comment = "") -> None:
    """Acknowledge an alarm."""
    _send(context, "ack", {"alarm": alarm, "comment": comment})


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
    _send(context, "shelve", {"machine": machine, "comment": comment, **span})


@app.command()
def unshelve(
    context: typer.Context, machine: Annotated[str, typer.Argument(help="The machine's name.")]
) -> None:
    """Call for a machine again."""
    _send(context, "unshelve", {"machine": machine})


@app.command()
def label(
    context: typer.Context,
    alarm: AlarmId,
    fault: Annotated[str, typer.Argument(help="What it was: bearing wear.")],
    *,
    comment: Comment = "",
) -> None:
    """Name the fault that an alarm was."""
    _send(context, "label", {"alarm": alarm, "fault": fault, "comment": comment})


def _send(context: typer.Context, name: str, fields: Mapping[str, Any]) -> None:
    from edge_agent.cli.operator_client import Terminal  # noqa: PLC0415

    choice: _Choice = context.obj
    sent = {"id": uuid.uuid4().hex, "by": choice.by, "sent": datetime.now(UTC).isoformat()}
    with Terminal(choice.config, client_id=_client_id(), timeout_s=choice.timeout_s) as terminal:
        reply = terminal.send(name, {**sent, **fields})
    detail = f": {reply['detail']}" if reply.get("detail") else ""
    sys.stdout.write((json.dumps(reply) if choice.as_json else f"{reply['result']}{detail}") + "\n")


def _client_id() -> str:
    return f"edge-agent-cli-{uuid.uuid4().hex[:12]}"


def _lines(view: "View") -> list[str]:
    """The view for a terminal: a line an alarm, oldest first, then the machines that nobody is called for."""
    found = sorted(view.alarms.values(), key=lambda alarm: str(alarm["onset"]))
    lines = [f"{alarm['severity']:9} {alarm['id']}  {_state(alarm)}\n  {alarm['summary']}" for alarm in found]
    lines += [
        f"{word:9} {name} by {why['by']} until {why['until'] or 'it is lifted'}"
        for name, machine in view.status.get("machines", {}).items()
        for word in ("shelved", "suppressed")
        if (why := machine.get(word))
    ]
    if view.status.get("state") != "online":
        lines.append("the agent is offline: this is what it said last")
    return lines or ["no open alarms"]


def _state(alarm: Mapping[str, Any]) -> str:
    stands = alarm.get("lifecycle", {})
    seen = stands.get("acknowledged")
    words = [f"acknowledged by {seen['by']}" if seen else "not acknowledged"]
    words += [word for word in ("shelved", "suppressed", "held") if stands.get(word)]
    return ", ".join(words if stands.get("active", True) else [*words, "calm again"])
