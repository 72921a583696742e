"""The command line `edge-agent`: the table of its commands, and how they end."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from edge_agent import __version__
from edge_agent.cli import alarms, machines, notify
from edge_agent.cli.check import check
from edge_agent.cli.completion import PROGRAM, answer_shells, completion
from edge_agent.cli.demo.command import demo
from edge_agent.cli.discover.command import discover
from edge_agent.cli.doctor.command import doctor
from edge_agent.cli.learn import learn
from edge_agent.cli.record import record
from edge_agent.cli.replay.command import replay
from edge_agent.cli.run import run
from edge_agent.cli.status import status
from edge_agent.errors import EdgeAgentError

COMMANDS: dict[str, Callable[..., None]] = {
    "run": run,
    "record": record,
    "check": check,
    "doctor": doctor,
    "status": status,
    "learn": learn,
    "replay": replay,
    "discover": discover,
    "demo": demo,
    "completion": completion,
}
"""What is typed -> what it does; its docstring is its help."""
GROUPS: dict[str, typer.Typer] = {"alarms": alarms.app, "machines": machines.app, "notify": notify.app}
"""Commands that have commands of their own."""


def main() -> None:
    """Entry point: an expected error ends with its findings and its exit code."""
    answer_shells()
    try:
        app(prog_name=PROGRAM)
    except EdgeAgentError as error:
        from edge_agent.cli.tables import tell_error  # 2 MB that an agent which runs does without

        tell_error(error)
        sys.exit(error.exit_code)


def assemble() -> typer.Typer:
    """The command line with all commands of the tables."""
    assembled = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # square brackets in a help or an error are square brackets
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
        help="Watches machines from a factory gateway: learns what is normal, alerts over MQTT.",
    )
    assembled.callback()(root)
    for name, command in COMMANDS.items():
        assembled.command(name)(command)
    for name, group in GROUPS.items():
        assembled.add_typer(group, name=name)
    return assembled


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - the form that typer calls
    if wanted:
        sys.stdout.write(f"edge-agent {__version__}\n")
        raise typer.Exit


def root(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Watches machines from a factory gateway: learns what is normal, alerts over MQTT."""


app = assemble()

if __name__ == "__main__":
    main()
