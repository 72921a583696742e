"""What a check found: one line of a report, with what to do about it. Checks nothing itself."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from edge_agent.cli.tables import grid

Level = Literal["ok", "warn", "fail"]
LEVELS: tuple[Level, ...] = ("ok", "warn", "fail")
"""From good to bad."""
_LEVEL_COLUMNS = 4
_AREA_COLUMNS = 9
_STYLES: dict[Level, str] = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        area: what: broker, tls, login, clock, disk ...
        level: `fail` keeps the agent from its work; `warn` may do so one day.
        what: what was seen.
        remedy: what to do; empty where nothing is to be done.
    """

    area: str
    level: Level
    what: str
    remedy: str = ""


def worst(findings: Sequence[Finding]) -> Level:
    """The worst level among the findings."""
    return max((finding.level for finding in findings), key=LEVELS.index, default="ok")


def row(finding: Finding) -> Table:
    """The finding for a terminal, with what to do below it."""
    shown = grid()
    shown.add_column(width=_LEVEL_COLUMNS)
    shown.add_column(width=_AREA_COLUMNS, no_wrap=True)
    shown.add_column(overflow="fold")
    shown.add_row(Text(finding.level, _STYLES[finding.level]), finding.area, Text(finding.what))
    if finding.remedy and finding.level != "ok":
        shown.add_row("", "", Text(f"-> {finding.remedy}"))
    return shown


def table(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings as plain values."""
    counts: dict[str, int] = {str(level): sum(one.level == level for one in findings) for level in LEVELS}
    told = [asdict(finding) for finding in findings]
    return {"worst": worst(findings), **counts, "findings": told}
