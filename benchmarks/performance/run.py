"""Every measurement of speed and size, one after another, and the page about them: `make bench`.

Measures nothing itself: it runs the scripts beside it with settings that end within twelve minutes, then writes
docs/performance.md from what they left. A script that fails or takes too long is named, and the others go on.

    python -m benchmarks.performance.run                     # everything, on a machine that does nothing else
    python -m benchmarks.performance.run --baseline ../old   # an older checkout's agent takes turns with this one's
    python -m benchmarks.performance.run --only-page         # the page alone, from the files that are there
    python -m benchmarks.performance.run --quick             # all scripts for a moment each, to see that they work
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import RESULTS, ROOT
from benchmarks.performance.page import page

FLAME = "performance_flame.svg"
_PATIENCE_S = 420
STEPS: dict[str, list[str]] = {
    "throughput.run": ["--seconds", "8", "--repeats", "3", "--burst", "80000"],
    "mapping": ["--repeats", "15"],
    "peers.run": ["--rows", "8000", "--blocks", "800", "--repeats", "3"],
    "latency": ["--machines", "50", "200", "--seconds", "6"],
    "scaling": ["--rows", "12000"],
    "memory": [],
    "cost": ["--calls", "500", "--turns", "200"],
    "broker_ceiling": ["--repeats", "3"],
    "footprint": [],
    "history": [],
    "at_rest.run": ["--seconds", "12", "--repeats", "3"],
}
QUICK: dict[str, list[str]] = {
    "throughput.run": ["--seconds", "3", "--repeats", "1", "--burst", "8000", "--machines", "40"],
    "mapping": ["--repeats", "3", "--messages", "400"],
    "peers.run": ["--rows", "1000", "--blocks", "100", "--repeats", "1", "--machines", "10"],
    "latency": ["--machines", "10", "--seconds", "2"],
    "scaling": ["--rows", "1000"],
    "memory": [],
    "cost": ["--calls", "20", "--turns", "10"],
    "broker_ceiling": ["--repeats", "1", "--messages", "5000"],
    "footprint": ["--repeats", "1"],
    "history": [
        "--machines",
        "2",
        "--minutes",
        "2000",
        "--incidents",
        "100",
        "--asked",
        "3",
        "--blocks",
        "1",
    ],
    "at_rest.run": ["--seconds", "1", "--repeats", "1", "--pages", "5"],
}


def main() -> int:
    """Run all, write the page; exit status 0 if every script ended well."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--baseline", type=Path, help="another checkout to take turns with")
    parser.add_argument("--only-page", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/performance.md")
    options = parser.parse_args()
    failed = [] if options.only_page else measure(options)
    options.out.write_text(page(options.results))
    sys.stdout.write(f"{options.out} written; failed: {', '.join(failed) or 'nothing'}\n")
    return 1 if failed else 0


def measure(options: argparse.Namespace) -> list[str]:
    """Run the scripts; returns the names of those that failed."""
    failed = []
    options.results.mkdir(parents=True, exist_ok=True)
    for name, settings in (QUICK if options.quick else STEPS).items():
        command = [sys.executable, "-m", f"benchmarks.performance.{name}", *settings]
        # These write one file each and know no folder.
        command += (
            ["--out", os.path.relpath(options.results / f"{name}.json", ROOT)]
            if name in ("memory", "cost")
            else [
                "--results",
                os.path.relpath(options.results, ROOT),
            ]
        )
        if name == "throughput.run":
            command += ["--flame", str(options.results / FLAME)]
        if name in ("throughput.run", "mapping", "at_rest.run") and options.baseline:
            command += ["--baseline", str(options.baseline)]
        began = time.monotonic()
        try:
            ended = subprocess.run(
                command, cwd=ROOT, check=False, timeout=_PATIENCE_S, stdout=subprocess.DEVNULL
            ).returncode
        except subprocess.TimeoutExpired:
            ended = -1
        sys.stdout.write(f"{name}: exit {ended} after {time.monotonic() - began:.0f} s\n")
        sys.stdout.flush()
        failed += [name] if ended else []
    return failed


if __name__ == "__main__":
    sys.exit(main())
