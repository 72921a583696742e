"""Writes the table of injected faults from benchmarks/results/faults.json into the pages that have a place for it.

Also enters the suites that inject faults but live elsewhere in tests/: they are run here. Each of their tests says by
`record_property` how many faults it put in ("faults") and what it measured; a test that says nothing put in none.

    python -m benchmarks.reliability.fault_table --begin         # forget the form's earlier results: one table, one run
    python -m benchmarks.reliability.fault_table --run-suites    # run and count them, then write the table
    python -m benchmarks.reliability.fault_table                 # only write the table
"""

import argparse
import json
import operator
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import RESULTS, ROOT

FAULTS = RESULTS / "faults.json"
PAGES = (ROOT / "docs/reliability.md", ROOT / "docs/reliability-table.md")
LONG = os.environ.get("FAULTS_FORM") == "long"
FORM = "long" if LONG else "short"
ON_ITS_OWN = ("soak", "corner")
"""Entries of commands that take long and are run alone; only a run of theirs replaces them."""
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
SUITES = {
    "reloads": ("configuration reloads and bundle swaps under load", "tests/service/test_reload.py"),
    "tampered_bundles": ("tampered bundles", "tests/model/test_tampering.py"),
    "hostile_broker": ("hostile broker: malformed packets", "tests/e2e/test_hostile_broker.py"),
    "doors": ("wrong certificates, hosts, users and topics", "tests/e2e/test_doors.py"),
    "secrets": ("canary secrets in logs, metrics, files and errors", "tests/e2e/test_secrets.py"),
    "operators": ("operators' commands, allowed and not", "tests/e2e/test_operators.py"),
    "blindness": (
        "files, clocks and exceptions beside a gross fault of a machine",
        "tests/service/test_blindness.py",
    ),
    "releases": ("state directories of five earlier commits and of a newer form", "tests/golden/versions"),
    "learning_memory": ("machines too wide for the memory", "tests/commissioning/test_memory_bound.py"),
    "risky_work": ("deaths while a machine is learnt", "tests/store/test_risky_work.py"),
    "page_attacks": ("half requests, slow and deaf callers at the pages", "tests/web/test_server.py"),
    "bounds": ("settings that contradict the unit's bounds", "tests/service/test_bounds.py"),
    "clock_leaps": ("times that leap, clocks set back", "tests/signals/test_clock_guard.py"),
    "own_topics": ("sources as wide as the agent's own messages", "tests/config/test_own_topics.py"),
    "terminal": ("escape sequences on their way to a terminal", "tests/cli/test_tables.py"),
    "same_name": ("two agents of one name", "tests/mqtt/test_connection.py"),
    "packet_bounds": (
        "messages that a broker hangs up on or drops",
        "tests/mqtt/test_packet_bounds.py tests/mqtt/test_long_echo.py",
    ),
    "database_readers": (
        "readers that hold a transaction open, newer and damaged databases",
        "tests/store/test_database.py",
    ),
    "topic_flood": ("flood of topics, machines and channels", "tests/pipeline/test_topic_flood.py"),
}
"""Key: what is broken, and where its tests are; one that is not in this tree is left out."""
SIZES: dict[str, dict[str, tuple[int, int]]] = {
    "reloads": {"EDGE_AGENT_RELOADS": (50, 1000), "EDGE_AGENT_SWAPS": (30, 500)},
    "tampered_bundles": {"EDGE_AGENT_TAMPERED": (300, 10_000)},
    "blindness": {"BLINDNESS": (100, 1000)},
}
"""How often a suite breaks something, short and long, and by which variable it is told."""
TOLD = (
    "faults",
    "rows",
    "messages_missing",
    "rows_missing",
    "back_s",
    "reconnected_s",
    "drained_s",
    "shed",
    "backlog_gone_s",
    "growth_mib",
    "decision_to_reader_max_s",
    "sensor_to_alert_max_s",
    "alert_max_s",
    "killed_after_s",
    "turned_away",
    "exceptions",
    "resident_slope_mb_per_h",
    "resident_slope_error_mb_per_h",
    "slope_judged",
    "kinds",
    "hung_up",
    "refused",
    "windows_lost",
    "memory_max_mb",
    "tasks_max",
    "files_max",
    "unaccounted",
    "faults_lost",
    "row_to_alert_max_s",
    "honest_requests",
    "honest_answered",
    "pause_p99_ms",
    "texts_searched",
    "tests",
    "failed",
)
"""Figures that the table tells, where an entry has them."""
LARGEST = ("_ms", "_s", "_mib", "kinds")
"""Endings of figures of which the largest counts, not the sum."""


def main() -> int:
    """Run the suites if asked to, and write the table; exit status 1 if a suite fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run-suites", action="store_true")
    parser.add_argument("--begin", action="store_true")
    options = parser.parse_args()
    results = json.loads(FAULTS.read_text()) if FAULTS.exists() else {"faults": {}}
    failed = 0
    if options.begin:
        results["faults"] = left_by_other_runs(results["faults"])
        FAULTS.write_text(json.dumps(results, indent=1) + "\n")
        return 0
    if options.run_suites:
        for key, (fault, path) in SUITES.items():
            if all((ROOT / one).exists() for one in path.split()):
                entry = run_suite(fault, path, sizes=SIZES.get(key, {}))
                failed += entry["figures"]["failed"]
                results["faults"][f"{key}_long" if LONG else key] = entry
        FAULTS.write_text(json.dumps(results, indent=1) + "\n")
    text = table(results)
    for page in PAGES:
        if page.exists():
            page.write_text(filled(page.read_text(), text))
    sys.stdout.write(text + "\n")
    return 1 if failed else 0


def left_by_other_runs(faults: dict[str, Any]) -> dict[str, Any]:
    """The entries that a run of this form does not make again."""
    return {
        key: entry for key, entry in faults.items() if entry["form"] != FORM or key.startswith(ON_ITS_OWN)
    }


def run_suite(fault: str, path: str, *, sizes: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """The entry of a suite that keeps no ledger of its own."""
    told = {name: str(pair[LONG]) for name, pair in sizes.items()}
    with TemporaryDirectory() as folder:
        junit = Path(folder) / "junit.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", *path.split(), f"--junitxml={junit}"]
        subprocess.run(command, cwd=ROOT, env=os.environ | told | {"PYTHONPATH": str(ROOT)}, check=False)
        figures = counted(junit)
    return {
        "fault": fault,
        "form": FORM,
        "count": figures.pop("faults", 0),
        "lost": figures.get("windows_lost"),
        "doubles": None,
        "figures": figures,
        "repeat": " ".join([*(f"{name}={value}" for name, value in told.items()), "python -m pytest", path]),
        "made": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
    }


def counted(junit: Path) -> dict[str, Any]:
    """What the tests of a run said of themselves, beside how many there were and how many failed.

    Sums; of times, sizes and numbers of kinds the largest. A test that failed counts no faults.
    """
    figures: dict[str, Any] = {"tests": 0, "failed": 0}
    for case in ET.parse(junit).getroot().iter("testcase"):  # noqa: S314 - written by our own pytest
        failed = case.find("failure") is not None or case.find("error") is not None
        figures["tests"] += case.find("skipped") is None
        figures["failed"] += failed
        for told in [] if failed else case.iter("property"):
            name, value = told.attrib["name"], json.loads(told.attrib["value"])
            join = max if name.endswith(LARGEST) else operator.add
            figures[name] = join(figures[name], value) if name in figures else value
    return figures


def table(results: dict[str, Any]) -> str:
    """The table as Markdown."""
    lines = ["| fault | how many | alarms or messages lost | double ids | measured | repeat with |"]
    lines.append("|---|---|---|---|---|---|")
    for entry in results["faults"].values():
        figures = entry["figures"]
        told = "; ".join(f"{key} {_number(figures[key])}" for key in TOLD if figures.get(key) is not None)
        cells = (
            entry["fault"], f"{entry['count']:,}", _or_dash(entry["lost"]), _or_dash(entry["doubles"]), told,
            f"`{entry['repeat']}`",
        )  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines.append("")
    lines.append(
        f"Measured on {results.get('machine', 'an unknown machine')}; all figures: `benchmarks/results/faults.json`."
    )
    return "\n".join(lines)


def _or_dash(value: int | None) -> str:
    """A suite without alarms or windows has none to lose."""
    return "-" if value is None else str(value)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def filled(page: str, text: str) -> str:
    """The page with the table between its two markers; a page without them stays as it is."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}\n{text}\n{end}{after}" if begin and end else page


if __name__ == "__main__":
    sys.exit(main())
