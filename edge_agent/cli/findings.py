"""What an examination found: one line of a report, with what to do about it. Examines nothing itself."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["ok", "warn", "fail"]
LEVELS: tuple[Level, ...] = ("ok", "warn", "fail")
"""From good to bad."""
AILING = 10
"""Exit code: the question was answered, and the answer is bad."""


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


def lines(findings: Sequence[Finding]) -> list[str]:
    """The findings for a terminal."""
    told: list[str] = []
    for finding in findings:
        told.append(f"{finding.level:4}  {finding.area:9} {finding.what}")
        if finding.remedy and finding.level != "ok":
            told.append(f"{'':6}{'':9} -> {finding.remedy}")
    return told


def table(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings as plain values."""
    counts: dict[str, int] = {str(level): sum(one.level == level for one in findings) for level in LEVELS}
    told = [asdict(finding) for finding in findings]
    return {"worst": worst(findings), **counts, "findings": told}
