"""The command `replay`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.options import ConfigFile, configuration

if TYPE_CHECKING:
    from edge_agent.formats.mapping.times import TimeRule


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
    timezone: Annotated[
        str, typer.Option(help="Zone of times that say none, such as Europe/Berlin; without it, UTC.")
    ] = "",
    time_format: Annotated[str, typer.Option(help="Form of times, such as '%d/%m/%Y %H:%M'.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="With --against: print JSON.")] = False,
) -> None:
    """Run recordings through the agent: scores and alarms row by row, and the alerts it would have sent."""
    from edge_agent.cli.replay import compare, play
    from edge_agent.cli.tables import show
    from edge_agent.errors import UsageError

    settings, times = configuration(config), _times(timezone, time_format)
    if bundle is not None:
        settings = compare.with_bundle(settings, bundle)
    if against is not None:
        if labels is not None:
            raise UsageError("--labels names alarms as they end; --against compares what is said without")
        found, sides = compare.run(
            settings,
            compare.other(settings, against),
            files=files,
            commission_rows=commission_rows,
            channels=_listed(channels) or None,
            exclude=_listed(exclude),
            times=times,
        )
        if as_json:
            sys.stdout.write(json.dumps(compare.plain(found, sides), indent=2) + "\n")
        else:
            show(*compare.parts(found, sides))
        return
    if as_json:
        raise UsageError("--json goes with --against; without it, the results are files below --out")
    play.run(
        settings,
        files=files,
        commission_rows=commission_rows,
        out=out,
        channels=_listed(channels) or None,
        exclude=_listed(exclude),
        times=times,
        labels=labels,
    )


def _times(timezone: str, time_format: str) -> "TimeRule":
    """How times are written.

    Raises:
        UsageError: the zone or the form cannot be.
    """
    from edge_agent.errors import UsageError
    from edge_agent.formats.mapping.times import TimeRule

    try:
        return TimeRule(timezone=timezone, format=time_format)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
