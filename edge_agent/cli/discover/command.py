"""The command `discover`."""

import json
import sys
from typing import Annotated

import typer

from edge_agent.cli.options import AsJson, BrokerAddress, ConfigFile, client_id, configuration


def discover(
    *,
    seconds: Annotated[float, typer.Option(help="How long to listen.", min=0.5, max=86_400)] = 30.0,
    broker: BrokerAddress = None,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Listen at the broker for a while and propose a configuration for what was heard."""
    from edge_agent.cli.discover.propose import propose

    proposed = propose(configuration(config, broker=broker), seconds=seconds, client_id=client_id("discover"))
    sys.stdout.write(json.dumps(proposed, indent=2) + "\n" if as_json else proposed["config"])
