"""The command line `edge-agent`: parses, reports, exits. What the commands do lives elsewhere."""

import json
import sys
import uuid
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from typer._completion_classes import completion_init
from typer._completion_shared import get_completion_script

from edge_agent import __version__
from edge_agent.cli import alarms
from edge_agent.errors import EdgeAgentError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Watches machines from a factory gateway: learns what is normal, alerts over MQTT.",
)
app.add_typer(alarms.app, name="alarms")
_PROGRAM = "edge-agent"
"""Also as `python -m edge_agent`: completion goes by this name."""

ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help="TOML file; without it, the defaults.")
]


class Shell(StrEnum):
    """The shells that a script can be printed for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def main() -> None:
    """Entry point: an expected error ends with its findings and its exit code."""
    completion_init()  # a shell that asks what could come next is answered before anything runs
    try:
        app(prog_name=_PROGRAM)
    except EdgeAgentError as error:
        from rich.console import Console  # noqa: PLC0415 - 2 MB that an agent which runs does without

        console = Console(stderr=True)
        console.print(f"[bold red]error:[/] {error}", highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - the form that typer calls
    if wanted:
        sys.stdout.write(f"edge-agent {__version__}\n")
        raise typer.Exit


@app.callback()
def root(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Watches machines from a factory gateway: learns what is normal, alerts over MQTT."""


@app.command()
def run(config: ConfigFile = None) -> None:
    """Connect to the broker and watch, until SIGTERM or Ctrl-C."""
    from edge_agent import logs  # noqa: PLC0415 - `--help` need not load onnxruntime
    from edge_agent.config.file import Config, defaults, load  # noqa: PLC0415
    from edge_agent.service import process  # noqa: PLC0415 - `--help` need not load onnxruntime

    def read() -> Config:
        return load(config) if config else defaults()

    settings = read()
    logs.set_up_logs(level=settings.log.level, form=settings.log.format)
    process.run(settings, reread=read)


@app.command()
def record(
    config: ConfigFile = None,
    *,
    to: Annotated[Path | None, typer.Option(help="Folder; without it, the configuration's.")] = None,
) -> None:
    """Write what is heard to Parquet, by machine and day, until SIGTERM or Ctrl-C."""
    from edge_agent import logs  # noqa: PLC0415
    from edge_agent.config.file import defaults, load  # noqa: PLC0415
    from edge_agent.service import process  # noqa: PLC0415

    settings = load(config) if config else defaults()
    logs.set_up_logs(level=settings.log.level, form=settings.log.format)
    process.record(settings, folder=to or settings.record.dir)


@app.command()
def check(
    config: ConfigFile = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is wrong with a configuration and its model, or what they would do."""
    from edge_agent.cli import check as verdict  # noqa: PLC0415

    if as_json:
        told, code = verdict.judge(config, now=datetime.now(UTC))
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
        raise typer.Exit(code)
    for name, value in verdict.summary(config, now=datetime.now(UTC)).items():
        for line in value if isinstance(value, list) else [value]:
            sys.stdout.write(f"{name:>14}  {line}\n")


@app.command()
def doctor(
    config: ConfigFile = None,
    *,
    seconds: Annotated[
        float, typer.Option(help="How long to listen to the sensors.", min=0.5, max=3600)
    ] = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Examine broker, TLS, login, clock, disk, model and permissions, and say what to do; ends with 10 on a failure."""
    from edge_agent.cli import doctor as room  # noqa: PLC0415
    from edge_agent.cli import findings  # noqa: PLC0415
    from edge_agent.logs import set_up_logs  # noqa: PLC0415

    set_up_logs(level="error", form="auto")
    found = []
    client_id = f"edge-agent-doctor-{uuid.uuid4().hex[:12]}"
    for finding in room.examine(config, client_id=client_id, listen_s=seconds, now=datetime.now(UTC)):
        found.append(finding)
        if not as_json:
            sys.stdout.write("".join(f"{line}\n" for line in findings.lines([finding])))
            sys.stdout.flush()
    if as_json:
        sys.stdout.write(json.dumps(findings.table(found), indent=2) + "\n")
    if findings.worst(found) == "fail":
        raise typer.Exit(findings.AILING)


@app.command()
def status(
    config: ConfigFile = None,
    *,
    broker: Annotated[str | None, typer.Option(help="HOST or HOST:PORT; beats the configuration.")] = None,
    agent: Annotated[str | None, typer.Option(help="The agent's name; beats the configuration.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the broker.", min=0.1)] = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how the running agent is: machines, open alarms, losses; ends with 10 where it is not well."""
    from edge_agent.cli import status as glance  # noqa: PLC0415
    from edge_agent.cli.findings import AILING  # noqa: PLC0415
    from edge_agent.config.file import defaults, load  # noqa: PLC0415

    known = load(config) if config else defaults()
    settings = alarms.at_broker(known, broker=broker, agent=agent)
    seen = glance.look(settings, client_id=f"edge-agent-status-{uuid.uuid4().hex[:12]}", timeout_s=timeout)
    if as_json:
        sys.stdout.write(json.dumps(glance.table(seen), indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in glance.lines(seen)))
    if not seen.well:
        raise typer.Exit(AILING)


@app.command()
def replay(  # noqa: PLR0913 - each is an option of the command
    files: Annotated[list[Path], typer.Argument(help="Recordings, .parquet or .csv.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("replay-out"),
    bundle: Annotated[Path | None, typer.Option(help="Model to use; without it, the shipped one.")] = None,
    commission_rows: Annotated[
        int | None, typer.Option(help="First rows to learn each machine from.", min=1)
    ] = None,
    config: ConfigFile = None,
    channels: Annotated[str | None, typer.Option(help="Columns to read, comma separated.")] = None,
    exclude: Annotated[str, typer.Option(help="Columns that are no channels, comma separated.")] = "",
    labels: Annotated[
        Path | None, typer.Option(help="CSV of machine, start, end, fault: alarms are named after it.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="Another .toml or bundle: print which alarms differ, and write nothing."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --against: print JSON.")] = False,
) -> None:
    """Run recordings through the agent: scores and alarms row by row, and the alerts it would have sent."""
    from edge_agent.cli import compare  # noqa: PLC0415
    from edge_agent.cli import replay as backtest  # noqa: PLC0415
    from edge_agent.config.file import defaults, load  # noqa: PLC0415
    from edge_agent.errors import UsageError  # noqa: PLC0415

    settings = load(config) if config else defaults()
    if bundle is not None:
        settings = compare.with_bundle(settings, bundle)
    if against is not None:
        if labels is not None:
            raise UsageError("--labels names alarms as they end; --against compares what is said without")
        told = compare.run(
            settings,
            compare.other(settings, against),
            files=files,
            commission_rows=commission_rows,
            channels=_listed(channels) or None,
            exclude=_listed(exclude),
            as_json=as_json,
        )
        sys.stdout.write(told)
        return
    if as_json:
        raise UsageError("--json goes with --against; without it, the results are files below --out")
    backtest.run(
        settings,
        files=files,
        commission_rows=commission_rows,
        out=out,
        channels=_listed(channels) or None,
        exclude=_listed(exclude),
        labels=labels,
    )


@app.command()
def discover(
    *,
    seconds: Annotated[float, typer.Option(help="How long to listen.", min=0.5, max=86_400)] = 30.0,
    broker: Annotated[str | None, typer.Option(help="HOST or HOST:PORT; beats the configuration.")] = None,
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Listen at the broker for a while and propose a configuration for what was heard."""
    from edge_agent.cli import discover as room  # noqa: PLC0415
    from edge_agent.config.file import defaults, load  # noqa: PLC0415

    settings = load(config) if config else defaults()
    if broker is not None:
        settings = alarms.at_broker(settings, broker=broker)
    client_id = f"edge-agent-discover-{uuid.uuid4().hex[:12]}"
    sys.stdout.write(room.run(settings, seconds=seconds, client_id=client_id, as_json=as_json))


@app.command()
def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Stay up after the faults, until Ctrl-C.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for what the demo writes.")] = Path("demo-out"),
) -> None:
    """Three simulated machines, an embedded broker, faults, and alerts: all on this computer."""
    from edge_agent.cli.demo import run as show  # noqa: PLC0415

    sys.exit(show.run(out=out, keep=keep))


@app.command("completion")
def complete(
    shell: Annotated[Shell, typer.Argument(help="Whose script.")],
) -> None:
    """Print the script that lets a shell complete commands and options."""
    sys.stdout.write(
        get_completion_script(prog_name=_PROGRAM, complete_var="_EDGE_AGENT_COMPLETE", shell=shell.value)
        + "\n"
    )


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


if __name__ == "__main__":
    main()
