"""Where the suite writes down what it found: one entry a fault in a JSON file, only where a run asks for it.

Environment: FAULTS_FORM short (default) or long; FAULTS_STRICT=1 asserts the bounds on time that an idle machine
keeps; FAULTS_RESULTS names the file.
"""

import fcntl
import json
import os
import platform
from collections.abc import Sized
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

LONG = os.environ.get("FAULTS_FORM", "short") == "long"
STRICT = os.environ.get("FAULTS_STRICT", "") == "1"
FORM = "long" if LONG else "short"


class Verdict(Protocol):
    """What became of machines' faults: lists of those lost and of those told twice, and figures."""

    @property
    def lost(self) -> Sized:
        """Faults that no alarm told of."""
        ...

    @property
    def doubles(self) -> Sized:
        """Faults that several alarms told of."""
        ...

    def figures(self) -> dict[str, Any]:
        """All that is worth writing down."""
        ...


def size(*, short: int, long: int) -> int:
    """How much of something this run does."""
    return long if LONG else short


def bound(name: str, measured: float, limit: float) -> dict[str, Any]:
    """A measured time and its bound as figures; the bound is asserted by strict runs, on an idle machine."""
    if STRICT and measured > limit:
        raise AssertionError(f"{name}: {measured:.2f}, allowed {limit}")
    return {name: round(measured, 2), f"{name}_bound": limit, f"{name}_kept": measured <= limit}


def record(
    key: str,
    *,
    fault: str,
    count: int,
    test: str = "",
    repeat: str = "",
    verdict: Verdict | None = None,
    **figures: Any,
) -> None:
    """Enter one fault's result; a later run of the same form replaces it.

    Args:
        key: of the entry.
        fault: what it is called in the table.
        count: how often the fault was put in.
        test: what to give pytest to repeat it.
        repeat: another command that does.
        verdict: what became of the machines' faults meanwhile, where any were planned.
        figures: everything else; `lost` counts what was lost beside alarms.
    """
    target = os.environ.get("FAULTS_RESULTS")
    if not target:
        return
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = {
        "fault": fault,
        "form": FORM,
        "count": count,
        "lost": (len(verdict.lost) if verdict else 0) + int(figures.pop("lost", 0)),
        "doubles": len(verdict.doubles) if verdict else 0,
        "figures": (verdict.figures() if verdict else {}) | figures,
        "repeat": repeat or f"{'FAULTS_FORM=long ' if LONG else ''}python -m pytest -m faults {test}",
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        table = json.loads(file.read() or "{}")
        table["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
        table.setdefault("faults", {})[f"{key}_long" if LONG else key] = entry
        file.seek(0)
        file.truncate()
        file.write(json.dumps(table, indent=1) + "\n")
