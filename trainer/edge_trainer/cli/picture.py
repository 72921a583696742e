"""The commands `edge-trainer picture ...`: the network that looks at pictures, from its package to a bundle."""

from pathlib import Path
from typing import Annotated

import typer

from edge_agent.config.sections import SHIPPED_PICTURES

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Bring the network for pictures into a bundle."
)


@app.callback()
def _main() -> None:
    """More commands will follow; without this one the only command would need no name."""


@app.command("export")
def export_command(
    *, to: Annotated[Path, typer.Option(help="Folder of the bundle, written anew.")] = SHIPPED_PICTURES
) -> None:
    """Cut the pre-trained network and write it with a golden picture, as the agent ships it."""
    from edge_trainer.pictures import backbone, export

    print(export.write(backbone.pretrained(), to))  # noqa: T201  the bundle's path, for scripts
