"""The command `demo`."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def demo(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Play the scripted faults once and judge, as without a terminal.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="As --once, and stay up afterwards, until Ctrl-C.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder for what the demo writes.")] = Path("demo-out"),
) -> None:
    """Three simulated machines, a broker, faults and alerts on this computer: until q on a terminal, else once."""
    from edge_agent.cli.demo.living import is_interactive
    from edge_agent.cli.demo.play import go_on, run

    if once or keep or not is_interactive():
        sys.exit(run(out=out, keep=keep))
    sys.exit(go_on(out=out))
