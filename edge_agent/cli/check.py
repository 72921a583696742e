"""The command `check`: whether a configuration and its model could run, and what they would do. Asks no broker."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edge_agent.cli.options import AsJson, ConfigFile
from edge_agent.errors import ConfigError, EdgeAgentError

if TYPE_CHECKING:
    from edge_agent.config.file import Config
    from edge_agent.service.wiring import TimedScorer


def check(config: ConfigFile = None, *, as_json: AsJson = False) -> None:
    """Say what is wrong with a configuration and its model, or what they would do."""
    now = datetime.now(UTC)
    if as_json:
        told, code = report(config, now=now)
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
        raise typer.Exit(code)
    from rich.text import Text

    from edge_agent.cli.tables import grid, show

    table = grid()
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in summary(config, now=now).items():
        for line in value if isinstance(value, list) else [value]:
            table.add_row(name, Text(line))
    show(table)


def summary(file: Path | None, *, now: datetime) -> Mapping[str, Any]:
    """What would run, for people; `now` tells whether the bundle is too old.

    Raises:
        EdgeAgentError: it could not run; a `ConfigError` has every finding.
    """
    from edge_agent.config import file as config
    from edge_agent.model.rollback import Counters
    from edge_agent.service import wiring

    settings = config.load(file) if file else config.defaults()
    scorer = wiring.load_scorer(settings, counters=Counters(settings.agent.state_dir))
    require_match(file, settings, scorer)
    wiring.broker_address(settings)
    return {**config.summary(settings), **wiring.summary(scorer, now=now)}


def require_match(file: Path | None, settings: "Config", scorer: "TimedScorer") -> None:
    """Refuse a configuration and a model that are each in order and cannot work together; `doctor` asks it, too.

    Raises:
        EdgeAgentError: no machine could be learnt, the bundle's profile cannot be read, or a library is missing.
    """
    from edge_agent.config.file import place
    from edge_agent.service import wiring

    if file and (why_not := wiring.too_few_rows(settings, window_rows=scorer.window_rows)):
        raise ConfigError(file, ((place(file, "commission", "rows"), why_not),))
    wiring.bundle_profile(scorer.bundle)
    if file and (lacking := wiring.missing_libraries(settings)):
        raise ConfigError(file, ((place(file, "source"), lacking),))


def report(file: Path | None, *, now: datetime) -> tuple[dict[str, Any], int]:
    """The same for programs, with the exit code: either `runs`, or `findings` of where and what."""
    try:
        return {"ok": True, "findings": [], "runs": dict(summary(file, now=now))}, 0
    except EdgeAgentError as error:
        places = error.findings if isinstance(error, ConfigError) else (("", str(error)),)
        findings = [{"where": where, "what": what} for where, what in places]
        return {"ok": False, "findings": findings, "runs": {}}, error.exit_code
