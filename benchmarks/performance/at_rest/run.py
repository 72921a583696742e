"""What an agent costs that has little to do, in processor time: with no messages, with few, and its metrics page.

A mosquitto of its own; the agent in a process of its own knows its machines before it starts. Another checkout's agent
takes turns with ours. The metrics page is made in this process, of 200 machines of which all that can be told is told.

    python -m benchmarks.performance.at_rest.run                      # -> benchmarks/results/at_rest.json
    python -m benchmarks.performance.at_rest.run --baseline ../before
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import RESULTS, ROOT
from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.provenance import circumstances
from benchmarks.harness.publisher import Publisher
from benchmarks.performance.throughput.run import learnt
from benchmarks.reliability.soak import RATE_HZ, Load
from edge_agent.metrics.exporter import Exporter
from edge_agent.metrics.snapshot import MachineSeries, Snapshot
from edge_agent.records import Profile
from edge_agent.store.state_dir import StateDir

MACHINES, ROWS_PER_S, SCRAPED = 10, 10.0, 200
_SETTLE_S = 6.0


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="of each phase")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--baseline", type=Path, help="another checkout, whose agent takes turns with ours")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    trees = {"agent": ROOT} | ({"baseline": options.baseline.resolve()} if options.baseline else {})
    load = Load(MACHINES)
    profiles = learnt(load)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(options.repeats):
            for name, tree in list(trees.items())[:: -1 if repeat % 2 else 1]:  # nobody is always first
                place = Path(folder) / f"{name}{repeat}"
                found[name].append(at_rest(tree, profiles, place, load, seconds=options.seconds))
    report = circumstances("benchmarks.performance.at_rest.run") | {
        "machines": MACHINES,
        "rows_per_s": ROWS_PER_S,
        "seconds": options.seconds,
        "scraped_machines": SCRAPED,
        "load_average_at_end": round(os.getloadavg()[0], 2),
        "cpu_percent": {
            name: {phase: _spread([one[phase] for one in told]) for phase in told[0]}
            for name, told in found.items()
        },
        "metrics_page_ms": _spread(metrics_page(options.pages)),
    }
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "at_rest.json").write_text(json.dumps(report, indent=1) + "\n")
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 0


def at_rest(
    tree: Path, profiles: Sequence[Profile], folder: Path, load: Load, *, seconds: float
) -> dict[str, float]:
    """Percent of a core of one agent with no messages, and with ten rows a second of all machines together."""
    with ExitStack() as leaving:
        broker = Broker(folder / "broker").start()
        leaving.callback(broker.kill)
        agent = Agent(
            folder,
            bundle=None,
            port=broker.port,
            longest_wait_s=None,
            launcher=("-P", "-m", "edge_agent"),  # -P: not from the working directory, but from PYTHONPATH
            env={"PYTHONPATH": str(tree)},
        )
        leaving.callback(agent.kill)
        store = StateDir(agent.state)
        store.open()
        for profile in profiles:
            store.save_profile(profile)
        store.close()
        agent.start().ready()
        time.sleep(_SETTLE_S)
        silent = _percent(agent, seconds)
        publisher = Publisher(broker.port)
        leaving.callback(publisher.close)
        spoken = (seconds + _SETTLE_S) * ROWS_PER_S / (MACHINES * RATE_HZ)  # in the load's own time
        publisher.begin(load.rows(seconds=spoken, first_s=time.time()), per_s=ROWS_PER_S)
        time.sleep(_SETTLE_S / 2)
        return {"silent": silent, "few_rows": _percent(agent, seconds)}


def metrics_page(pages: int) -> list[float]:
    """Milliseconds of this thread's processor for each page of a fleet."""
    told = MachineSeries(
        state="ready",
        rows=128,
        score=0.4321,
        threshold=1.2345,
        alarm_open=False,
        threshold_ratio=1.01,
        data_s=1_700_000_000.123,
        input_drift=0.123,
        score_drift=0.0456,
        scored_share=0.987,
        learnt_s=1_690_000_000.0,
        budget_per_week=1.0,
        budget_expected=0.8,
        budget_spent=0.0,
    )
    exporter = Exporter()
    exporter.snapshot = Snapshot(machines={f"machine-{number:03d}": told for number in range(SCRAPED)})
    spent = []
    for _ in range(pages):
        began = time.thread_time_ns()
        exporter.page()
        spent.append((time.thread_time_ns() - began) / 1e6)
    return spent


def _percent(agent: Agent, seconds: float) -> float:
    cpu_s, began = agent.cpu_s(), time.monotonic()
    time.sleep(seconds)
    return 100 * (agent.cpu_s() - cpu_s) / (time.monotonic() - began)


def _spread(values: Sequence[float]) -> dict[str, Any]:
    return {
        "median": round(statistics.median(values), 2),
        "range": [round(min(values), 2), round(max(values), 2)],
    }


if __name__ == "__main__":
    sys.exit(main())
