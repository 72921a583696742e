"""One agent, two that share its machines, and one that owns nothing, under the same steady load of real MQTT.

A mosquitto, a publisher and each agent in processes of their own; figures are processor seconds from /proc, because
four processes on two cores say nothing by the wall clock. What a message costs its owner, and what it costs an agent
that drops it, give how far several processes carry.

    python -m benchmarks.performance.sharing      # -> benchmarks/results/sharing.json and sharing.png
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.harness.provenance import circumstances
from benchmarks.performance.throughput.run import (
    RATE_HZ,
    RESULTS,
    Agent,
    Load,
    _broker,
    _count,
    _publishing,
    _wait_warm,
    learnt,
    wait_until,
)
from edge_agent.records import Profile
from edge_agent.store.state_dir import StateDir

_LOADS = {20: 100, 2: 40}
"""Rows between two windows of a machine, and machines: what a message costs its owner hangs on the first."""
_LEASE_S = 2.0
_NEVER_S = 3000.0
"""A lease that nobody outwaits in this run: its agent owns nothing."""
_RECEIVED, _FOREIGN = "edge_agent_messages_received_total", "edge_agent_foreign_messages_total"
_KINDS: Mapping[str, tuple[str, ...]] = {
    "one": ("hall-1",),
    "two": ("hall-1", "hall-2"),
    "bystander": ("hall-3",),
}


def main() -> int:
    """Measure and write; exit status 0 if each message had exactly one owner."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15.0, help="of each phase that is measured")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    report = circumstances("benchmarks.performance.sharing") | {
        "loads": {
            f"a window every {hop_rows} rows": at_load(options, machines, hop_rows=hop_rows)
            for hop_rows, machines in _LOADS.items()
        }
    }
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "sharing.json").write_text(json.dumps(report, indent=1) + "\n")
    picture(report, options.results / "sharing.png")
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 0 if all(load["summary"]["owners_per_message"] == 1.0 for load in report["loads"].values()) else 1


def at_load(options: argparse.Namespace, machines: int, *, hop_rows: int) -> dict[str, Any]:
    """All kinds of groups under one load."""
    profiles = [replace(profile, hop_rows=hop_rows) for profile in learnt(Load(machines))]
    asked = argparse.Namespace(machines=machines, seconds=options.seconds)
    phases = {name: phase(asked, name, profiles) for name in _KINDS}
    return {
        "machines": machines,
        "channels": 8,
        "messages_per_s": machines * RATE_HZ,
        "phases": phases,
        "summary": summary(phases),
    }


def phase(options: argparse.Namespace, kind: str, profiles: list[Profile]) -> dict[str, Any]:
    """What each agent of one kind of group costs."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as leaving:
        broker = _broker(Path(folder) / "broker", leaving)
        lease_s = _NEVER_S if kind == "bystander" else _LEASE_S
        agents = [
            _member(Path(folder), name, broker.port, profiles, lease_s=lease_s, leaving=leaving)
            for name in _KINDS[kind]
        ]
        wait_until(
            lambda: kind == "bystander" or all(agent.page("/readyz")[0] == 200 for agent in agents),
            what="the members to join",
            patience_s=60.0,
        )
        with _publishing(options, broker, messages=_count(options)) as publisher:
            _wait_warm(options, lambda: _passed(agents[0].series()))
            before = [(agent.series(), agent.cpu_s()) for agent in agents]
            began = time.monotonic()
            time.sleep(options.seconds)
            after = [(agent.series(), agent.cpu_s()) for agent in agents]
            took_s = time.monotonic() - began
            sent = int(publisher.communicate()[0])
        wait_until(lambda: all(_passed(agent.series()) >= sent for agent in agents), what="every message")
        owned = sum(agent.series()[_RECEIVED] for agent in agents)
        return {
            "sent": sent,
            "owned": int(owned),
            "seconds": round(took_s, 1),
            "agents": [
                _seen(early, late, took_s=took_s) | {"resident_mb": round(agent.resident_kib() / 1024, 1)}
                for agent, early, late in zip(agents, before, after, strict=True)
            ],
        }


def _member(
    folder: Path, name: str, port: int, profiles: list[Profile], *, lease_s: float, leaving: ExitStack
) -> Agent:
    sharing = f'group = "plant"\nlease_s = {lease_s}\nsettle_s = 1.0'
    agent = Agent(
        folder / name,
        bundle=None,
        port=port,
        name=name,
        keepalive_s=5,
        retry_max_s=None,
        budget_per_week=0.01,
        settings={"sharing": sharing},
    )
    leaving.callback(agent.kill)
    store = StateDir(agent.state)
    store.open()
    for profile in profiles:
        store.save_profile(profile)
    store.close()
    return agent.start().ready()


def _passed(series: Mapping[str, float]) -> float:
    return series.get(_RECEIVED, 0.0) + series.get(_FOREIGN, 0.0)


def _seen(
    early: tuple[dict[str, float], float], late: tuple[dict[str, float], float], *, took_s: float
) -> dict[str, Any]:
    (before, cpu_before), (after, cpu_after) = early, late
    cpu_s = cpu_after - cpu_before
    windows = "edge_agent_windows_scored_total"
    return {
        "owned_per_s": round((after[_RECEIVED] - before[_RECEIVED]) / took_s),
        "foreign_per_s": round((after[_FOREIGN] - before[_FOREIGN]) / took_s),
        "windows_per_s": round((after[windows] - before[windows]) / took_s, 1),
        "cpu_percent": round(100 * cpu_s / took_s, 1),
    }


def summary(phases: Mapping[str, Any]) -> dict[str, Any]:
    """Costs of a message to its owner and to others, and what they come to with more processes."""
    (one,), two, (bystander,) = (phases[kind]["agents"] for kind in _KINDS)
    own_us = 1e4 * one["cpu_percent"] / one["owned_per_s"]
    foreign_us = 1e4 * bystander["cpu_percent"] / bystander["foreign_per_s"]
    busiest = max(agent["cpu_percent"] for agent in two)
    owned = sum(phases[kind]["owned"] for kind in ("one", "two"))
    return {
        "own_us_per_message": round(own_us, 1),
        "foreign_us_per_message": round(foreign_us, 1),
        "two_cpu_percent": [agent["cpu_percent"] for agent in two],
        "load_at_one_core_two_over_one": round(one["cpu_percent"] / busiest, 2),
        "even_shares_two_over_one": round(2 * own_us / (own_us + foreign_us), 2),
        "owners_per_message": owned / sum(phases[kind]["sent"] for kind in ("one", "two")),
    }


def picture(report: Mapping[str, Any], path: Path) -> None:
    """Processor shares as measured, and messages a second that so many processes can carry by these costs."""
    figure, (shares, reach) = plt.subplots(1, 2, figsize=(9, 3.4), constrained_layout=True)
    counts = list(range(1, 17))
    for place, (name, load) in enumerate(report["loads"].items()):
        bars = [
            (f"{kind} {at}" if len(found["agents"]) > 1 else kind, agent["cpu_percent"])
            for kind, found in load["phases"].items()
            for at, agent in enumerate(found["agents"], 1)
        ]
        where = [at + 0.4 * place for at in range(len(bars))]
        shares.bar(
            where, [share for _, share in bars], width=0.38, label=f"{name}, {load['messages_per_s']}/s"
        )
        own_us, foreign_us = (load["summary"][f"{cost}_us_per_message"] for cost in ("own", "foreign"))
        carried = [1e6 / (own_us / n + foreign_us * (n - 1) / n) for n in counts]
        reach.plot(counts, carried, marker="o", label=name)
        shares.set_xticks([at + 0.2 for at in range(len(bars))], [kind for kind, _ in bars])
    shares.set_ylabel("% of one core, as measured")
    reach.set_xlabel("processes, a core each")
    reach.set_ylabel("messages a second, by these costs")
    for axis in (shares, reach):
        axis.set_ylim(bottom=0)
        axis.legend(fontsize=8)
    figure.savefig(path, dpi=90)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
