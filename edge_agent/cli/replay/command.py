"""The command `replay`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import (
    Columns,
    ConfigFile,
    NoColumns,
    TimeForm,
    TimeZone,
    configuration,
    listed,
    time_rule,
)


def replay(  # noqa: PLR0913 - each is an option of the command
    files: Annotated[
        list[Path], typer.Argument(help="Recordings: CSV, Parquet, .xlsx, JSON; packed or not.")
    ],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("replay-out"),
    bundle: Annotated[Path | None, typer.Option(help="Model to use; without it, the shipped one.")] = None,
    commission_rows: Annotated[
        int | None, typer.Option(help="First rows to learn each machine from.", min=1)
    ] = None,
    config: ConfigFile = None,
    channels: Columns = None,
    exclude: NoColumns = "",
    labels: Annotated[
        Path | None, typer.Option(help="CSV of machine, start, end, fault: alarms are named after it.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="Another .toml or bundle: print which alarms differ, and write nothing."),
    ] = None,
    timezone: TimeZone = "",
    time_format: TimeForm = "",
    as_json: Annotated[bool, typer.Option("--json", help="With --against: print JSON.")] = False,
) -> None:
    """Run recordings through the agent: scores and alarms row by row, and the alerts it would have sent."""
    from edge_agent.cli.replay import compare, play
    from edge_agent.cli.tables import show
    from edge_agent.errors import UsageError

    settings, times = configuration(config), time_rule(timezone, time_format)
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
            channels=listed(channels) or None,
            exclude=listed(exclude),
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
        channels=listed(channels) or None,
        exclude=listed(exclude),
        times=times,
        labels=labels,
    )
