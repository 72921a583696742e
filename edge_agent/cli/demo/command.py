"""The command `demo`."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Stay up after the faults, until Ctrl-C.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for what the demo writes.")] = Path("demo-out"),
) -> None:
    """Three simulated machines, an embedded broker, faults, and alerts: all on this computer."""
    from edge_agent.cli.demo.play import run

    sys.exit(run(out=out, keep=keep))
