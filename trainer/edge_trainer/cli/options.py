"""Options that the commands share, and how settings come together from file and flags."""

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_trainer import config

ConfigFile = Annotated[Path | None, typer.Option("--config", "-c", help="TOML file with the run's settings.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Directory of the run.")]
Data = Annotated[Path | None, typer.Option(help="Directory that recordings are named from.")]
Seed = Annotated[int | None, typer.Option(help="Of all chance in the run.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any setting, as section.key=value in TOML; may be repeated."),
]


def common(out: Path | None, data: Path | None, seed: int | None) -> dict[str, Any]:
    """The flags of all stages, by the settings that they stand for."""
    return {"run.out": out, "run.data": data, "run.seed": seed}


def settings_of(file: Path | None, flags: dict[str, Any], settings: list[str] | None) -> config.Config:
    """File, then `--set`, then the named flags; later ones win."""
    given = [(key, value) for key, value in flags.items() if value is not None]
    loaded = config.load(file, [*map(config.parse_override, settings or ()), *given])
    run = loaded.run.model_copy(
        update={
            "created": loaded.run.created or datetime.now(UTC).isoformat(timespec="seconds"),
            "command": loaded.run.command or shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        }
    )
    return loaded.model_copy(update={"run": run})
