"""The commands `notify`: send a test message to those who would be called, and read what became of earlier ones.

`test` sends by itself, past any running agent, and writes nothing down. `list` reads the state that the agent keeps.
"""

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.options import NOT_WELL, AsJson, ConfigFile, configuration

if TYPE_CHECKING:
    from edge_agent.notify.book import PeopleCall

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
_STATES = {"waiting": "waits", "sending": "is being sent", "confirmed": "confirmed", "given_up": "given up"}


@app.callback()
def group() -> None:
    """Who is called when something is wrong: send a test message, see what became of the last ones."""


@app.command("test")
def send_test(
    name: Annotated[str, typer.Argument(help="The [[notify]] to try; without it, all of them.")] = "",
    *,
    config: ConfigFile = None,
) -> None:
    """Send a test message and say what came back; ends with 10 where one did not arrive."""
    from edge_agent.errors import UsageError
    from edge_agent.notify.book import PeopleCall
    from edge_agent.notify.sender import send
    from edge_agent.service.notify.part import words

    settings = configuration(config)
    known = [section.name for section in settings.notify]
    if not known:
        raise UsageError("the configuration has no [[notify]]: nobody is called")
    if name and name not in known:
        raise UsageError(f"the configuration has no [[notify]] named '{name}'; it has {', '.join(known)}")
    failed = False
    for section in settings.notify:
        if name in ("", section.name):
            call = PeopleCall(0, section.name, "test", (), time.time_ns())
            outcome = send(section.target, call, words(settings))
            failed |= outcome.state != "confirmed"
            said = {"confirmed": "arrived", "refused": "did not arrive", "unknown": "may have arrived"}
            sys.stdout.write(f"{section.name} ({section.kind}): {said[outcome.state]}: {outcome.said}\n")
    if failed:
        raise typer.Exit(NOT_WELL)


@app.command(name="list")
def list_calls(
    config: ConfigFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the latest messages to people: when, to whom, about what, and what became of each."""
    from edge_agent.alarms.payload import rfc3339
    from edge_agent.cli.tables import grid, local, show
    from edge_agent.notify.book import kept_calls
    from edge_agent.service.notify.part import words
    from edge_agent.store.database import Database
    from edge_agent.store.state_dir import DATABASE
    from edge_agent.store.state_writer import room_values

    settings = configuration(config)
    states = Database(settings.agent.state_dir / DATABASE).read().states
    calls = kept_calls(room_values(states))
    if as_json:
        sys.stdout.write(json.dumps([_plain(call) for call in calls], indent=2) + "\n")
        return
    from rich.text import Text

    speaker = words(settings)
    table = grid("made", "rule", "message", "attempts", "state", "said")
    for call in calls:
        made = local(rfc3339(call.made_ns), settings.site.zone)
        cells = (made, call.rule, speaker.title(call), str(call.attempts), _STATES[call.state], call.said)
        table.add_row(*(Text(cell) for cell in cells))
    show(table if calls else "no message was made yet")


def _plain(call: "PeopleCall") -> dict[str, str | int | list[str] | None]:
    from edge_agent.alarms.payload import rfc3339

    return {
        "number": call.number,
        "rule": call.rule,
        "event": call.event,
        "alarms": [subject.alarm for subject in call.subjects],
        "made": rfc3339(call.made_ns),
        "state": call.state,
        "attempts": call.attempts,
        "ended": rfc3339(call.ended_ns) if call.ended_ns else None,
        "said": call.said,
    }
