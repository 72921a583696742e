"""The command `discover`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_agent.cli.options import AsJson, BrokerAddress, ConfigFile, client_id, configuration

if TYPE_CHECKING:
    from edge_agent.config.file import Config


def discover(
    *,
    seconds: Annotated[float, typer.Option(help="How long to listen.", min=0.5, max=86_400)] = 30.0,
    broker: BrokerAddress = None,
    config: ConfigFile = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show what --apply would add to the file of -c.")
    ] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="Add sources to the file of -c for what none of its own hears.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Listen at the broker for a while and propose a configuration for what was heard."""
    from edge_agent.cli.discover.propose import propose
    from edge_agent.errors import UsageError

    settings = configuration(config, broker=broker)
    if not diff and not apply:
        proposed = propose(settings, seconds=seconds, client_id=client_id("discover"))
        sys.stdout.write(json.dumps(proposed, indent=2) + "\n" if as_json else proposed["config"])
        return
    if config is None:
        raise UsageError("--diff and --apply need the file: -c agent.toml")
    _add(config, settings, seconds=seconds, write=apply)


def _add(path: Path, settings: "Config", *, seconds: float, write: bool) -> None:
    """Show what would be added to a file, or add it; the file as it was stays beside it."""
    import tomllib

    from edge_agent.cli.discover.additions import difference, heard_already, with_additions
    from edge_agent.cli.discover.propose import propose
    from edge_agent.config.file import Config
    from edge_agent.store import atomic_file

    text = path.read_text(encoding="utf-8")
    # The sources that hold where a file has none do not hold any more once it has one.
    beside = heard_already(settings) if "source" in tomllib.loads(text) else lambda _topic: False
    proposed = propose(settings, seconds=seconds, client_id=client_id("discover"), beside=beside)
    after = with_additions(text, proposed["config"], limits=proposed["limits"])
    Config.model_validate(tomllib.loads(after))
    sys.stdout.write(difference(text, after, name=path.name))
    if write:
        atomic_file.write(path.with_name(f"{path.name}.before"), text.encode())
        atomic_file.write(path, after.encode())
