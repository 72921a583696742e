"""The command `replay`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from edge_agent.cli.replay.compare import Difference
    from edge_agent.cli.replay.play import Setup
    from edge_agent.config.file import Config
    from edge_agent.formats.mapping.times import TimeRule

Against = Annotated[
    Path | None, typer.Option(help="Another .toml or bundle: print which alarms differ, and write nothing.")
]


def replay(  # noqa: PLR0913 - each is an option of the command
    files: Annotated[
        list[Path],
        typer.Argument(help="Recordings: CSV, Parquet, .xlsx, JSON; packed or not. Or folders of pictures."),
    ],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("replay-out"),
    bundle: Annotated[Path | None, typer.Option(help="Model to use; without it, the shipped one.")] = None,
    commission_rows: Annotated[
        int | None, typer.Option(help="First rows, or pictures, to learn each machine from.", min=1)
    ] = None,
    config: ConfigFile = None,
    channels: Columns = None,
    exclude: NoColumns = "",
    labels: Annotated[
        Path | None, typer.Option(help="CSV of machine, start, end, fault: alarms are named after it.")
    ] = None,
    against: Against = None,
    timezone: TimeZone = "",
    time_format: TimeForm = "",
    as_json: Annotated[bool, typer.Option("--json", help="With --against: print JSON.")] = False,
) -> None:
    """Run recordings through the agent: scores and alarms row by row, and the alerts it would have sent."""
    from edge_agent.cli.replay import compare, play
    from edge_agent.errors import UsageError

    settings, times = configuration(config), time_rule(timezone, time_format)
    if bundle is not None:
        settings = compare.with_bundle(settings, bundle)
    if any(file.is_dir() for file in files):
        _pictures(
            settings, files, frames=commission_rows, out=out, times=times, alone=not (against or labels)
        )
        return
    if against is not None:
        if labels is not None:
            raise UsageError("--labels names alarms as they end; --against compares what is said without")
        found = compare.run(
            settings,
            compare.other(settings, against),
            files=files,
            commission_rows=commission_rows,
            channels=listed(channels) or None,
            exclude=listed(exclude),
            times=times,
        )
        _tell(*found, as_json=as_json)
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


def _tell(found: "Difference", sides: "tuple[Setup, Setup]", *, as_json: bool) -> None:
    """How two sides differ."""
    from edge_agent.cli.replay import compare
    from edge_agent.cli.tables import show

    if as_json:
        sys.stdout.write(json.dumps(compare.plain(found, sides), indent=2) + "\n")
    else:
        show(*compare.parts(found, sides))


def _pictures(
    settings: "Config", files: list[Path], *, frames: int | None, out: Path, times: "TimeRule", alone: bool
) -> None:
    """Folders of pictures.

    Raises:
        UsageError: something else is asked for beside them.
    """
    from edge_agent.cli.replay import pictures
    from edge_agent.errors import UsageError

    if not (alone and all(file.is_dir() for file in files)):
        raise UsageError("folders of pictures are replayed by themselves, without --against and --labels")
    pictures.run(settings, folders=files, frames=frames, out=out, times=times)
