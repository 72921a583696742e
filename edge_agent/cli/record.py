"""The command `record`: what is heard, written to Parquet."""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.cli.options import ConfigFile, configuration


def record(
    config: ConfigFile = None,
    *,
    to: Annotated[Path | None, typer.Option(help="Folder; without it, the configuration's.")] = None,
) -> None:
    """Write what is heard to Parquet, by machine and day, until SIGTERM or Ctrl-C."""
    from edge_agent import logs
    from edge_agent.service import process

    settings = configuration(config)
    logs.set_up_logs(level=settings.log.level, form=settings.log.format)
    process.record(settings, folder=to or settings.record.dir)
