"""What a user would pick instead, on the same stream in the same run: single rows and blocks of 100 rows.

Each reader is a process of its own behind paho at QoS 1. A publisher sends as fast as the broker takes it; what counts
is what a reader works off a second, and its processor time a message, once every machine's window is full. Peers:
half-space trees of river and a random cut forest (rcf3) for each machine, a script with pandas and torch as a
practitioner writes it (all in `models`), and a flow in Node-RED (`node_red`, after `make node-red`). A peer
whose packages are missing is passed over with a message.

    python -m benchmarks.performance.peers.run        # -> benchmarks/results/peers.json and peers.png
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import RESULTS, ROOT
from benchmarks.performance.peers import models, node_red
from benchmarks.performance.peers.models import CHANNELS, MODELS, RATE_HZ, WINDOW_ROWS

BLOCK_ROWS = 100
PUBLISH = (sys.executable, "-m", "benchmarks.performance.peers.run")
"""The publisher's process, once it is told what to publish."""
_MIXED = 41
"""Of block messages that are made beforehand; only their times are made when they are sent."""
PEERS = (*MODELS, "node-red")
NOT_RUN = {
    "eKuiper": "as published in its repository's README: 12,000 messages a second on a Raspberry Pi 3B+ with 70 % of "
    "its processor and 20 MB, for one filter in SQL; nothing is learnt",
    "Netdata": "Debian builds it without machine learning; no figure a message is published",
}


_SHARES = {
    ("agent", "rows"): 3.0,
    ("agent", "blocks"): 4.0,
    ("empty", "rows"): 4.0,
    ("empty", "blocks"): 4.0,
    ("node-red", "rows"): 2.0,
    ("river", "blocks"): 0.1,
    ("rcf3", "blocks"): 0.3,
}
"""Of the messages that others get: quick readers need more for a figure, slow ones would take minutes."""


class Peer:
    """A peer as a process that can be asked how far it is.

    Raises:
        ModuleNotFoundError: why it does not run here.
    """

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        if self._answer() != "ready\n":
            self.stop()
            raise ModuleNotFoundError("its packages are not installed")

    def heard(self) -> float:
        """Messages worked off."""
        if self.process.stdin is not None:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> str:
        return self.process.stdout.readline() if self.process.stdout is not None else ""

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


def started(name: str, port: int, folder: Path) -> Peer:
    """A peer that has subscribed.

    Raises:
        ModuleNotFoundError: as `Peer`.
    """
    if name != "node-red":
        return Peer([sys.executable, "-m", models.__name__, name, str(port)], os.environ)
    if (why := node_red.absent()) is not None:
        raise ModuleNotFoundError(why)
    return Peer(*node_red.command(folder / "node-red", port))


def blocks(machines: list[str], *, count: int, first_s: float) -> Iterator[Any]:
    """Blocks of all machines in turn: 100 rows of 8 channels each, one after another in machine time."""
    import numpy as np  # noqa: PLC0415

    from benchmarks.harness.publisher import Row  # noqa: PLC0415

    rng = np.random.default_rng(0)
    wave = np.sin(2 * np.pi * np.arange(BLOCK_ROWS) / 25)
    tails = []
    for _ in range(_MIXED):
        noise = np.clip(rng.normal(size=(CHANNELS, BLOCK_ROWS)), -2.5, 2.5)
        values = {
            f"c{at}": np.round(10 * (at + 1) + wave + 0.1 * noise[at], 3).tolist() for at in range(CHANNELS)
        }
        tails.append(b'"values":' + json.dumps(values, separators=(",", ":")).encode() + b"}")
    for number in range(count):
        turn, place = divmod(number, len(machines))
        begin = first_s + turn * BLOCK_ROWS / RATE_HZ
        times = ",".join(f"{begin + at / RATE_HZ:.3f}" for at in range(BLOCK_ROWS))
        yield Row(machines[place], turn, b'{"ts":[' + times.encode() + b"]," + tails[number % _MIXED])


def race(options: argparse.Namespace) -> dict[str, Any]:
    """Every reader in turn, `repeats` times, rows and blocks."""
    from benchmarks.performance.throughput.run import learnt  # noqa: PLC0415
    from benchmarks.reliability.soak import Load  # noqa: PLC0415

    load = Load(options.machines)
    # A block is scored once for each window that it fills: hop = window.
    profiles = {"rows": learnt(load), "blocks": []}
    profiles["blocks"] = [replace(p, hop_rows=WINDOW_ROWS) for p in profiles["rows"]]
    found: dict[str, dict[str, list[dict[str, float]]]] = {form: {} for form in profiles}
    absent: dict[str, str] = {}
    for _ in range(options.repeats):
        for form, results in found.items():
            for name in options.only:
                if name in absent:
                    continue
                try:
                    figures = one(options, form, name, profiles[form])
                except ModuleNotFoundError as why:
                    absent[name] = str(why)
                    sys.stderr.write(f"{name}: {absent[name]}; passed over\n")
                    continue
                results.setdefault(name, []).append(figures)
    return {form: {name: _median(runs) for name, runs in per.items()} for form, per in found.items()} | {
        "repeats": options.repeats,
        "machines": options.machines,
        "node_red": node_red.version(),
        "not_run": NOT_RUN | absent,
    }


def one(options: argparse.Namespace, form: str, name: str, profiles: list[Any]) -> dict[str, float]:
    """One reader on one form of the stream."""
    from benchmarks.harness.patience import wait_worked_off  # noqa: PLC0415
    from benchmarks.performance.throughput.run import (  # noqa: PLC0415
        _broker,
        _cpu_s,
        started_agent,
    )

    warm = _warm(form, options.machines)
    count = warm + int(
        _SHARES.get((name, form), 1.0) * (options.blocks if form == "blocks" else options.rows)
    )
    with tempfile.TemporaryDirectory() as folder, ExitStack() as leaving:
        broker = _broker(Path(folder) / "hall", leaving)
        if name == "agent":
            agent = started_agent(ROOT, profiles, Path(folder) / "hall", broker, leaving)
            pid = agent.process.pid if agent.process else 0
            heard: Callable[[], float] = partial(_received, agent)
        else:
            peer = started(name, broker.port, Path(folder))
            leaving.callback(peer.stop)
            pid, heard = peer.process.pid, peer.heard
        time.sleep(0.5)
        told = ["--publish", form, "--port", str(broker.port), "--machines", str(options.machines)]
        sender = subprocess.Popen([*PUBLISH, *told, "--count", str(count)], cwd=ROOT)
        leaving.callback(sender.kill)
        first, began, cpu_s = wait_worked_off(heard, warm), time.monotonic(), _cpu_s(pid)
        last = wait_worked_off(heard, count)
        took_s, cpu_s = time.monotonic() - began, _cpu_s(pid) - cpu_s
        sender.wait()
    rows = BLOCK_ROWS if form == "blocks" else 1
    return {
        "messages_per_s": (last - first) / took_s,
        "values_per_s": (last - first) * rows * CHANNELS / took_s,
        "cpu_us_per_message": 1e6 * cpu_s / max(last - first, 1.0),
    }


def _received(agent: Any) -> float:
    return float(agent.series().get("edge_agent_messages_received_total", 0.0))


def _warm(form: str, machines: int) -> int:
    return machines * (2 if form == "blocks" else WINDOW_ROWS + RATE_HZ)


def publish(form: str, *, machines: int, port: int, count: int) -> None:
    """The publisher's process."""
    from benchmarks.harness.publisher import Publisher  # noqa: PLC0415
    from benchmarks.reliability.soak import Load  # noqa: PLC0415

    load, publisher, now_s = Load(machines), Publisher(port), time.time()
    if form == "rows":
        rows: Any = load.rows(seconds=count / machines / RATE_HZ, first_s=now_s - count / machines / RATE_HZ)
    else:
        first_s = now_s - (count // machines + 1) * BLOCK_ROWS / RATE_HZ
        rows = list(blocks(load.names, count=count, first_s=first_s))
    publisher.send(rows)
    publisher.close()


def _median(runs: list[dict[str, float]]) -> dict[str, dict[str, Any]]:
    return {
        key: {
            "median": round(statistics.median(run[key] for run in runs), 1),
            "range": [round(min(run[key] for run in runs), 1), round(max(run[key] for run in runs), 1)],
        }
        for key in runs[0]
    }


def picture(report: dict[str, Any], path: Path) -> None:
    """Processor time of each reader, rows and blocks."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(1, 2, figsize=(9, 2.8), constrained_layout=True)
    for axis, form in zip(axes, ("rows", "blocks"), strict=True):
        costs = {name: found["cpu_us_per_message"]["median"] for name, found in report[form].items()}
        bars = axis.barh(
            list(costs), list(costs.values()), color=["#345" if n == "agent" else "#9ab" for n in costs]
        )
        axis.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=8)
        axis.margins(x=0.15)
        axis.invert_yaxis()
        axis.set_title(f"{form}: µs of processor a message")
    figure.savefig(path, dpi=90)
    plt.close(figure)


def main() -> int:
    """Race, and write the reports."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machines", type=int, default=50)
    parser.add_argument("--rows", type=int, default=10_000, help="row messages that count, of each reader")
    parser.add_argument(
        "--blocks", type=int, default=1500, help="block messages that count; fewer for slow readers"
    )
    parser.add_argument("--repeats", type=int, default=3)
    readers = ("agent", *PEERS)
    parser.add_argument("--only", nargs="+", choices=readers, default=readers, help="these readers")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--publish", help=argparse.SUPPRESS)
    for name in ("--port", "--count"):
        parser.add_argument(name, type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.publish:
        publish(options.publish, machines=options.machines, port=options.port, count=options.count)
        return 0
    from benchmarks.harness.provenance import circumstances  # noqa: PLC0415

    report = circumstances("benchmarks.performance.peers.run") | race(options)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "peers.json").write_text(json.dumps(report, indent=1) + "\n")
    picture(report, options.results / "peers.png")
    sys.stdout.write(json.dumps({form: report[form] for form in ("rows", "blocks")}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
