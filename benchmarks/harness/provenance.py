"""When, from which commit and on what machine figures were measured; measures nothing itself."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import sklearn

from benchmarks import ROOT


def circumstances(program: str) -> dict[str, Any]:
    """Date, command, commit ("+": with changes that no commit holds) and machine of this run of module `program`."""
    told = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": " ".join([f"python -m {program}", *sys.argv[1:]]),
        "commit": _commit(ROOT),
        "machine": told + f"numpy {np.__version__}, scikit-learn {sklearn.__version__}",
    }


def _commit(root: Path) -> str:
    """Results of an earlier part of a run do not count as changes."""
    head = _git(root, "rev-parse", "--short", "HEAD")
    changed = _git(
        root, "status", "--porcelain", "--", "edge_agent", "trainer", "simulator", "benchmarks/*.py"
    )
    return (head or "unknown") + ("+" if changed else "")


def _git(root: Path, *asked: str) -> str:
    answer = subprocess.run(["git", *asked], cwd=root, capture_output=True, text=True, check=False)
    return answer.stdout.strip()
