"""The commands `edge-trainer picture ...`: the network that looks at pictures, from its package to a bundle."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from edge_agent.config.sections import SHIPPED_PICTURES
from edge_agent.errors import EdgeAgentError
from edge_trainer.pictures import backbone, export

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Bring the network for pictures into a bundle."
)
_console = Console(stderr=True, markup=False, emoji=False)


@app.callback()
def _main() -> None:
    """More commands will follow; without this one the only command would need no name."""


@app.command("export")
def export_command(
    *, to: Annotated[Path, typer.Option(help="Folder of the bundle, written anew.")] = SHIPPED_PICTURES
) -> None:
    """Cut the pre-trained network and write it with a golden picture, as the agent ships it."""
    try:
        folder = export.write(backbone.pretrained(), to)
    except EdgeAgentError as error:
        _console.print(f"error: {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(error.exit_code) from error
    _console.print(f"wrote {folder}", highlight=False)
