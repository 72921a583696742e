"""Writes the rule files from `alerts.py`; `--check` says whether those in the repository are these. Starts nothing.

python deploy/prometheus/build.py [--check] [--to FOLDER] [--quick] [--runbooks BASE]
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from alerts import ALERTS, RECORDINGS, Alert  # noqa: E402 - a folder of files beside each other, not a package

RUNBOOKS = "docs/runbooks"
"""Where the pages are, unless told: in the repository. Name the address at which your people can read them."""
_HEAD = "# Written by deploy/prometheus/build.py from alerts.py: change those.\n"
_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def steady(seconds: int) -> str:
    """As it is written in the table."""
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    return f"{seconds // size}{unit}"


def quick(seconds: int) -> str:
    """For tests that cannot wait: nothing above 10 seconds."""
    return f"{min(seconds, 10)}s"


def files(*, pace: Callable[[int], str] = steady, runbooks: str = RUNBOOKS) -> dict[str, str]:
    """Name of each file and what is in it."""

    def spelt(expression: str) -> str:
        return json.dumps(re.sub(r"<(\d+)>", lambda found: pace(int(found[1])), expression))

    recordings = "".join(
        f"      - record: {r.name}\n        expr: {spelt(r.expression)}\n" for r in RECORDINGS
    )
    alerts = "".join(_alert(alert, spelt(alert.expression), pace(alert.hold_s), runbooks) for alert in ALERTS)
    return {
        "recording.yml": f"{_HEAD}groups:\n  - name: edge-agent-recording\n    rules:\n{recordings}",
        "alerts.yml": f"{_HEAD}groups:\n  - name: edge-agent-alerts\n    rules:\n{alerts}",
    }


def _alert(alert: Alert, expression: str, hold: str, runbooks: str) -> str:
    lines = [f"      - alert: {alert.name}", f"        expr: {expression}"]
    lines += [f"        for: {hold}"] if alert.hold_s else []
    lines += ["        labels:", f"          severity: {alert.severity}", "        annotations:"]
    lines += [
        f"          summary: {json.dumps(alert.summary)}",
        f"          description: {json.dumps(alert.about)}",
        f"          runbook_url: {runbooks}/{alert.runbook}.md",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """0 when written, or when all is as it should be."""
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--check", action="store_true", help="write nothing, exit with 1 where a file differs")
    ask.add_argument("--to", type=Path, default=HERE / "rules")
    ask.add_argument("--quick", action="store_true", help="nothing lasts above 10 seconds: for tests")
    ask.add_argument("--runbooks", default=RUNBOOKS, help="address at which docs/runbooks can be read")
    asked = ask.parse_args()
    pace = quick if asked.quick else steady
    wrong = []
    for name, text in files(pace=pace, runbooks=asked.runbooks).items():
        path = asked.to / name
        if asked.check:
            wrong += [name] if not path.is_file() or path.read_text() != text else []
        else:
            asked.to.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if wrong:
        print("differs from what alerts.py says:", *wrong, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
