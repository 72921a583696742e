"""From the arrival of a message to the agent's decision, and processor time, at several loads over a real mosquitto.

The agent's own histogram tells; each load is so many machines of 8 channels at 20 Hz, QoS 1, a score a second and
machine, journal on.

    python -m benchmarks.performance.latency      # -> benchmarks/results/latency.json and latency.png
"""

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.harness.provenance import circumstances
from benchmarks.performance.throughput.run import (
    RATE_HZ,
    RESULTS,
    ROOT,
    Load,
    learnt,
    started_agent,
    under_steady_load,
)

SHARES = (0.5, 0.9, 0.99, 0.999)


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--machines", type=int, nargs="+", default=[25, 50, 100, 200])
    parser.add_argument("--seconds", type=float, default=8.0, help="of each load")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    report = circumstances("benchmarks.performance.latency") | {
        "rate_hz": RATE_HZ,
        "loads": [at_load(machines, options.seconds) for machines in options.machines],
    }
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "latency.json").write_text(json.dumps(report, indent=1) + "\n")
    picture(report["loads"], options.results / "latency.png")
    sys.stdout.write(json.dumps(report["loads"], indent=1) + "\n")
    return 0


def at_load(machines: int, seconds: float) -> dict[str, Any]:
    """One agent of its own under one load."""
    from benchmarks.performance.throughput.run import _broker  # noqa: PLC0415

    load = Load(machines)
    asked = argparse.Namespace(machines=machines, seconds=seconds)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as leaving:
        place = Path(folder) / "hall"
        broker = _broker(place, leaving)
        agent = started_agent(ROOT, learnt(load), place, broker, leaving)
        began = time.monotonic()
        found, sent = under_steady_load(asked, agent, broker, shares=SHARES)
        lost = sent - agent.wait_received(sent).get("accepted", 0)
    return {"machines": machines, "took_s": round(time.monotonic() - began, 1), "lost": lost, **found}


def picture(loads: list[dict[str, Any]], path: Path) -> None:
    """Milliseconds, and processor share, against messages a second."""
    figure, (late, cost) = plt.subplots(1, 2, figsize=(9, 3), constrained_layout=True)
    rates = [load["messages_per_s"] for load in loads]
    for share in SHARES:
        key = f"decision_p{100 * share:g}_ms"
        late.plot(rates, [load[key] for load in loads], marker="o", label=f"{100 * share:g} %")
    late.set_ylabel("ms from arrival to decision")
    late.legend(fontsize=8)
    cost.plot(rates, [load["cpu_percent"] for load in loads], marker="o", color="#345")
    cost.set_ylabel("% of one core")
    for axis in (late, cost):
        axis.set_xlabel("messages a second")
        axis.set_ylim(bottom=0)
    figure.savefig(path, dpi=90)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
