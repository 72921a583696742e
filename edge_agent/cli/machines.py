"""The commands `machines ...`: what people ask of machines as things to manage, one or all that a pattern means."""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_agent.cli.alarms import AgentFile, Asker, Choice, Comment, Patience, choose, send
from edge_agent.cli.options import AgentName, AsJson, BrokerAddress, client_id
from edge_agent.errors import CommandError

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer(no_args_is_help=True, help="List, learn anew, shelve, name and forget machines over MQTT.")

Which = Annotated[
    str, typer.Argument(help="A name, or a pattern of names (press-*), after a place and a slash (line1/*).")
]
Force = Annotated[bool, typer.Option("--force", help="The machine is fine, whatever its alarms say.")]
Minutes = Annotated[float | None, typer.Option("--for", help="Minutes.", min=0.1)]


@app.callback()
def machines(
    context: typer.Context,
    *,
    broker: BrokerAddress = None,
    agent: AgentName = None,
    config: AgentFile = None,
    by: Asker = None,
    timeout: Patience = 10.0,
    as_json: AsJson = False,
) -> None:
    """List, learn anew, shelve, name and forget machines over MQTT."""
    choose(context, broker=broker, agent=agent, config=config, by=by, timeout=timeout, as_json=as_json)


@app.command("list")
def show_all(context: typer.Context, which: Which = "*") -> None:
    """Show machines, a row each."""
    from edge_agent.cli import tables

    found = _found(context, which)
    if _as_json(context):
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return
    tables.show(_table(found))


@app.command()
def show(context: typer.Context, which: Which) -> None:
    """Show all that the agent says of machines."""
    from edge_agent.cli import tables

    found = _found(context, which)
    if _as_json(context):
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return
    tables.show(*_details(found))


@app.command()
def relearn(
    context: typer.Context,
    which: Which,
    *,
    take_new: Annotated[bool, typer.Option("--take-new", help="Watch with the new profile.")] = False,
    keep_old: Annotated[bool, typer.Option("--keep-old", help="Keep, or take back, the old one.")] = False,
    force: Force = False,
    comment: Comment = "",
) -> None:
    """Learn a machine anew beside its old profile, which watches until both were compared."""
    if take_new and keep_old:
        raise typer.BadParameter("say --take-new or --keep-old, not both")
    decision = "take_new" if take_new else "keep_old" if keep_old else "begin"
    send(context, "relearn", {"machine": which, "decision": decision, "force": force, "comment": comment})


@app.command()
def budget(
    context: typer.Context,
    which: Which,
    per_week: Annotated[
        float | None, typer.Argument(help="False alarms a week; none: as configured.")
    ] = None,
    *,
    comment: Comment = "",
) -> None:
    """Say how many false alarms of a machine are accepted."""
    send(context, "budget", {"machine": which, "per_week": per_week, "comment": comment})


@app.command()
def suppress(
    context: typer.Context,
    which: Which,
    *,
    minutes: Minutes = None,
    off: Annotated[bool, typer.Option("--off", help="The work is done.")] = False,
    comment: Comment = "",
) -> None:
    """A machine is worked on: call nobody, until --off without --for."""
    if off:
        send(context, "unsuppress", {"machine": which, "comment": comment})
        return
    span = {} if minutes is None else {"for_s": round(minutes * 60)}
    send(context, "suppress", {"machine": which, "comment": comment, **span})


@app.command()
def shelve(
    context: typer.Context,
    which: Which,
    *,
    minutes: Minutes = 60.0,
    off: Annotated[bool, typer.Option("--off", help="Call for it again.")] = False,
    comment: Comment = "",
) -> None:
    """Call nobody for a machine for a while: an hour without --for."""
    if off:
        send(context, "unshelve", {"machine": which, "comment": comment})
        return
    send(context, "shelve", {"machine": which, "for_s": round((minutes or 60.0) * 60), "comment": comment})


@app.command()
def rename(
    context: typer.Context,
    which: Which,
    name: Annotated[str, typer.Argument(help='What people call it; "": as configured.')],
    *,
    comment: Comment = "",
) -> None:
    """Say what people call a machine; topics and files go by its own name."""
    send(context, "rename", {"machine": which, "name": name, "comment": comment})


@app.command()
def forget(
    context: typer.Context,
    which: Which,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
    comment: Comment = "",
) -> None:
    """Remove a machine's profile, named faults, alarms and history for good."""
    found = _found(context, which)
    if not yes:
        names = ", ".join(found)
        sys.stderr.write(f"Profile, named faults, alarms and history go for good of: {names}\n")
        typer.confirm("Forget them?" if len(found) > 1 else "Forget it?", abort=True, err=True)
    send(context, "forget", {"machine": which, "confirm": True, "comment": comment})


def _as_json(context: typer.Context) -> bool:
    choice: Choice = context.obj
    return choice.as_json


def _found(context: typer.Context, which: str) -> Mapping[str, Mapping[str, Any]]:
    """What the agent says of the machines that are meant.

    Raises:
        CommandError: there is none.
    """
    from edge_agent.alarms.management.patterns import matching
    from edge_agent.cli.operator_client import OperatorClient
    from edge_agent.signals.machine_rules import MachineFacts

    choice: Choice = context.obj
    with OperatorClient(choice.config, client_id=client_id("cli"), timeout_s=choice.timeout_s) as client:
        told: Mapping[str, Mapping[str, Any]] = client.view().status.get("machines", {})
    facts = {
        name: MachineFacts(
            display_name=str(one.get("display_name", "")), location=str(one.get("location", ""))
        )
        for name, one in told.items()
    }
    if not (names := matching(which, facts)):
        raise CommandError(
            f"no machine is called {which} or matches it: the agent knows {len(told)}", "unknown_machine"
        )
    return {name: told[name] for name in names}


def _table(found: Mapping[str, Mapping[str, Any]]) -> "RenderableType":
    from rich.text import Text

    from edge_agent.cli.tables import grid

    table = grid("machine", "called", "place", "state", "of note")
    table.columns[0].no_wrap = True
    for name, one in found.items():
        called, place = str(one.get("display_name", "")), str(one.get("location", ""))
        table.add_row(*map(Text, (name, called, place, str(one["state"]), "; ".join(_notes(one)))))
    return table


def _notes(one: Mapping[str, Any]) -> Iterator[str]:
    """What is out of the ordinary, in few words."""
    if "rows" in one:
        yield f"{one['rows']} of {one['rows_wanted']} rows"
    if "alarm" in one:
        yield f"alarm {one['alarm']}"
    for word in ("shelved", "suppressed"):
        if word in one:
            yield f"{word} by {one[word]['by']}"
    if "relearning" in one:
        yield _next(one["relearning"])


def _next(following: Mapping[str, Any]) -> str:
    """How far the next profile is."""
    new = ", ".join(following["new_channels"])
    words = {
        "gathering": f"learnt anew: {following['rows']} of {following['rows_wanted']} rows",
        "learning": "learnt anew: all rows are here",
        "comparing": f"new profile compared: {following['rows']} of {following['rows_wanted']} windows",
        "waiting": f"new profile waits for --take-new or --keep-old: {following['told']}",
        "failed": str(following["told"]),
    }
    said = words[following["stage"]]
    if following["paused"]:
        said += ", an alarm is open: its rows are left out"
    return f"{said} (new channels: {new})" if new else said


def _details(found: Mapping[str, Mapping[str, Any]]) -> "Iterator[RenderableType]":
    from rich.text import Text

    from edge_agent.cli.tables import grid

    for name, one in found.items():
        table = grid()
        table.add_row("machine", Text(name))
        for key, value in one.items():
            if key == "relearning":
                table.add_row("next profile", Text(_next(value)))
            elif key == "previous":
                table.add_row("last profile", "kept: relearn --keep-old takes it back")
            else:
                table.add_row(key.replace("_", " "), Text(_words(value)))
        yield table


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_words(one)}" for key, one in value.items() if one not in (None, ""))
    if isinstance(value, list):
        return "; ".join(map(_words, value))
    return str(value)
