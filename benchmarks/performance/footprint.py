"""What the agent weighs: bytes installed without the trainer, and the time of its imports. Starts no agent.

make deb && python -m benchmarks.performance.footprint    # -> benchmarks/results/footprint.json
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from benchmarks import RESULTS, ROOT
from benchmarks.harness.provenance import circumstances

_IMPORTS = {
    "import edge_agent": "edge_agent",
    "import edge_agent.service.process": "edge_agent.service.process",
}


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    sizes = installed()
    report = circumstances("benchmarks.performance.footprint") | {
        "imports_s": {told: imported_s(name, options.repeats) for told, name in _IMPORTS.items()},
        "interpreter_s": imported_s("sys", options.repeats),
        "installed_mb": round(sum(sizes.values()), 1),
        "packaged_mb": packaged(),
        "installed_mb_by_package": dict(sorted(sizes.items(), key=lambda pair: -pair[1])),
    }
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "footprint.json").write_text(json.dumps(report, indent=1) + "\n")
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 0


def packaged() -> float | None:
    """Megabytes that the Debian package puts on a disk, all libraries included; None where it was not built."""
    staged = [*(ROOT / "build/deb").glob("amd64-*/lib")]
    if not staged:
        return None
    files = [path for path in staged[0].rglob("*") if path.is_file() and not path.is_symlink()]
    return round(sum(path.stat().st_size for path in files) / 1e6, 1)


def imported_s(module: str, repeats: int) -> dict[str, float]:
    """Wall seconds of a whole interpreter that imports this and ends."""
    spent = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import {module}"], cwd=ROOT, check=True)
        spent.append(time.perf_counter() - started)
    return {
        "median": round(statistics.median(spent), 3),
        "range": [round(min(spent), 3), round(max(spent), 3)],
    }


def installed() -> dict[str, float]:
    """Megabytes by package: the agent's own, and everything that it requires, without any extra."""
    own = sum(path.stat().st_size for path in (ROOT / "edge_agent").rglob("*") if path.is_file())
    sizes = {"edge-agent": round(own / 1e6, 2)}
    waiting = list(distribution("edge-agent").requires or [])
    while waiting:
        asked = waiting.pop()
        name = re.split(r"[^A-Za-z0-9_.-]", asked)[0].lower().replace("_", "-")
        if "extra ==" in asked or name in sizes:
            continue
        try:
            found = distribution(name)
        except PackageNotFoundError:  # another platform's
            continue
        paths = [Path(str(found.locate_file(file))) for file in found.files or ()]
        sizes[name] = round(sum(path.stat().st_size for path in paths if path.is_file()) / 1e6, 2)
        waiting += found.requires or []
    return sizes


if __name__ == "__main__":
    sys.exit(main())
