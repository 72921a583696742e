"""Options that several commands have, and what is made of them: the configuration, a name at the broker."""

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edge_agent.config.file import Config
    from edge_agent.formats.mapping.times import TimeRule

NOT_WELL = 10
"""Exit code: the question was answered, and the answer is bad."""

ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help="TOML file; without it, the defaults.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
BrokerAddress = Annotated[str | None, typer.Option(help="HOST or HOST:PORT; beats the configuration.")]
AgentName = Annotated[str | None, typer.Option(help="The agent's name; beats the configuration.")]
Columns = Annotated[str | None, typer.Option(help="Columns to read, comma separated.")]
NoColumns = Annotated[str, typer.Option(help="Columns that are no channels, comma separated.")]
TimeZone = Annotated[
    str, typer.Option(help="Zone of times that say none, such as Europe/Berlin; without it, UTC.")
]
TimeForm = Annotated[str, typer.Option(help="Form of times, such as '%d/%m/%Y %H:%M'.")]


def configuration(file: Path | None, *, broker: str | None = None, agent: str | None = None) -> "Config":
    """The file's configuration or the defaults, with another broker or agent where they are given.

    Raises:
        ConfigError: the file has faults.
        UsageError: broker or agent make no sense.
    """
    from edge_agent.config.file import Config, defaults, load
    from edge_agent.errors import UsageError

    config = load(file) if file else defaults()
    if broker is None and agent is None:
        return config
    table = config.model_dump()
    if agent is not None:
        table["agent"]["name"] = agent
    if broker is not None:
        host, _, port = (
            broker.rpartition(":") if ":" in broker else (broker, "", str(table["broker"]["port"]))
        )
        table["broker"] |= {"host": host, "port": port}
    try:
        return Config.model_validate(table)
    except ValueError as error:
        raise UsageError(f"--broker {broker} or --agent {agent} makes no sense") from error


def client_id(command: str) -> str:
    """A name at the broker that nobody else has."""
    return f"edge-agent-{command}-{uuid.uuid4().hex[:12]}"


def time_rule(timezone: str, time_format: str) -> "TimeRule":
    """How times are written.

    Raises:
        UsageError: the zone or the form cannot be.
    """
    from edge_agent.errors import UsageError
    from edge_agent.formats.mapping.times import TimeRule

    try:
        return TimeRule(timezone=timezone, format=time_format)
    except ValueError as error:
        raise UsageError(str(error)) from error


def listed(text: str | None) -> tuple[str, ...]:
    """What stands between commas."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())
