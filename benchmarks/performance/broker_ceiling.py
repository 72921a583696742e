"""The broker's own ceiling: what mosquitto_sub, a client in C that only prints, takes of a backlog at QoS 1.

python -m benchmarks.performance.broker_ceiling     # -> benchmarks/results/ceilings.json
"""

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks import RESULTS, ROOT
from benchmarks.harness.provenance import circumstances
from benchmarks.performance.peers.run import PUBLISH
from benchmarks.performance.throughput.run import _broker


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if shutil.which("mosquitto_sub") is None:
        sys.stderr.write("mosquitto_sub is missing: apt install mosquitto-clients; passed over\n")
        return 0
    runs = [worked_off(options.messages) for _ in range(options.repeats)]
    report = circumstances("benchmarks.performance.broker_ceiling") | {
        "mosquitto_sub": {
            key: {
                "median": round(statistics.median(run[key] for run in runs), 1),
                "range": [round(min(run[key] for run in runs), 1), round(max(run[key] for run in runs), 1)],
            }
            for key in runs[0]
        }
    }
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "ceilings.json").write_text(json.dumps(report, indent=1) + "\n")
    sys.stdout.write(json.dumps(report["mosquitto_sub"], indent=1) + "\n")
    return 0


def worked_off(messages: int) -> dict[str, float]:
    """One backlog."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as leaving:
        broker = _broker(Path(folder) / "hall", leaving)
        listen = [
            "mosquitto_sub",
            "-p",
            str(broker.port),
            "-i",
            "ceiling",
            "-c",
            "-q",
            "1",
            "-t",
            "sensors/#",
        ]
        subprocess.run([*listen, "-E"], check=True)
        told = ["--publish", "rows", "--port", str(broker.port), "--machines", "50", "--count", str(messages)]
        subprocess.run([*PUBLISH, *told], check=True, cwd=ROOT)
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run([*listen, "-C", str(messages)], check=True, stdout=subprocess.DEVNULL, timeout=60)
        took_s, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"messages_per_s": messages / took_s, "cpu_us_per_message": 1e6 * cpu_s / messages}


if __name__ == "__main__":
    sys.exit(main())
