"""Eight kinds of namespaces over a real broker, from `discover` to learnt machines -> docs/namespaces.md.

`python -m benchmarks.reliability.namespaces.run` plays each plant to a mosquitto of its own, and does what its
technician would: look at what `discover` proposes, say yes with `--apply`, start the agent. Nothing is written by hand.
A plant is taken in when all its machines, with all their channels and no others, are learnt. Ends with 1 where
one is not.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import RESULTS, ROOT
from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.edge_node import EdgeNodeDouble
from benchmarks.harness.patience import WaitedInVainError, wait_until
from benchmarks.harness.provenance import circumstances
from benchmarks.harness.user import User
from benchmarks.reliability.namespaces.forms import PLANTS, Plant, value

PAGE = ROOT / "docs" / "namespaces.md"
FIGURES = RESULTS / "namespaces.json"
LEARN_ROWS = 300
_PATIENCE_S = 900.0


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What became of a plant.

    Attributes:
        commands: that were given. minutes: from the first of them until all machines were learnt.
        sources: that were proposed. machines: learnt, with their channels. trouble: what is not right; "" where all is.
    """

    commands: Sequence[str]
    minutes: float
    sources: int
    machines: Mapping[str, frozenset[str]]
    trouble: str


class Playing:
    """A plant that speaks, in a thread, until it is closed."""

    def __init__(self, plant: Plant, port: int) -> None:
        self._plant = plant
        self._user = User(port)
        self._node = EdgeNodeDouble(port, host_id="edge-agent") if plant.node else None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> "Playing":
        """Begin to speak."""
        self._thread.start()
        return self

    def _run(self) -> None:
        began, at = time.time(), 0
        while not self._over.is_set():
            ts = round(began + at * self._plant.period_s, 3)
            self._over.wait(max(0.0, ts - time.time()))
            for topic, payload in self._plant.says(at, ts):
                self._user.publish(topic, payload, qos=0)
            if self._node is not None:
                row = {name: value(f"node/{name}", at) for name in self._plant.node}
                told = self._node.birth if at % 20 == 0 else self._node.data
                told(row, time_ms=round(ts * 1000))
            at += 1

    def close(self) -> None:
        """Fall silent."""
        self._over.set()
        self._thread.join(30)
        self._user.close()
        if self._node is not None:
            self._node.close()


def edge_agent(*words: str) -> str:
    """What a command of ours says.

    Raises:
        RuntimeError: it failed; with its words.
    """
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def take_in(plant: Plant, folder: Path, *, listen_s: float, keep: Path | None = None) -> TakenIn:
    """Play a plant, and take it in as its technician would."""
    broker = Broker(folder).start()
    agent = Agent(
        folder,
        bundle=None,
        port=broker.port,
        name="edge-agent",
        commission_rows=LEARN_ROWS,
        settings={"window": f"grid_s = {plant.period_s}"},
    )
    playing = Playing(plant, broker.port).start()
    file = str(agent.config)
    commands = [
        ("discover", "-c", file, "--seconds", f"{listen_s:g}"),
        ("discover", "-c", file, "--seconds", f"{listen_s:g}", "--apply"),
    ]
    began, sources = time.monotonic(), 0
    machines: Mapping[str, frozenset[str]] = {}
    trouble = ""
    try:
        for words in commands:
            said = edge_agent(*words)
            sources = said.count("\n+[[source]]") or said.count("\n[[source]]")
        if keep is not None:
            keep.write_text(agent.config.read_text())
        agent.start()
        wait_until(
            lambda: len(learnt(agent)) >= len(plant.machines),
            what="all machines",
            patience_s=_PATIENCE_S,
            every_s=1,
        )
    except (RuntimeError, WaitedInVainError) as error:
        trouble = str(error)[:400]
    finally:
        machines = learnt(agent)
        playing.close()
        agent.kill()
        broker.kill()
    told = [
        " ".join(("edge-agent", *(word.replace(file, "agent.toml") for word in words))) for words in commands
    ]
    return TakenIn(
        (*told, "edge-agent run -c agent.toml"),
        (time.monotonic() - began) / 60,
        sources,
        machines,
        trouble or differs(plant.machines, machines),
    )


def learnt(agent: Agent) -> Mapping[str, frozenset[str]]:
    """The machines that were learnt, with their channels."""
    return {line["machine"]: frozenset(line["channels"]) for line in agent.log("machine_commissioned")}


def differs(wanted: Mapping[str, frozenset[str]], found: Mapping[str, frozenset[str]]) -> str:
    """What is not as it should be, in words; "" where all is."""
    if missing := sorted(wanted.keys() - found.keys()):
        return f"not learnt: {', '.join(missing[:5])}; learnt: {', '.join(sorted(found)[:5]) or 'none'}"
    if extra := sorted(found.keys() - wanted.keys()):
        return f"learnt and no machine: {', '.join(extra[:5])}"
    for name, channels in wanted.items():
        if found[name] != channels:
            return f"{name}: {', '.join(sorted(found[name] ^ channels)[:5])} in one and not the other"
    return ""


def page(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The table of what was measured last of each plant."""
    first = next(iter(found.values()))
    lines = [
        "# Namespaces",
        "",
        "Eight kinds of plants, each at a mosquitto of its own, from `discover` to learnt machines. For each the same",
        "three commands; nothing is written by hand:",
        "",
        "```console",
        *(f"$ {command}" for command in first["commands"]),
        "```",
        "",
        f"`[commission] rows` is {LEARN_ROWS} here, so that learning is short, and `[window] grid_s` the pace of",
        "bare numbers. Minutes are from the first command until the last machine is learnt, on whatever else the",
        "computer did. Written by `make namespaces`; a plant alone is measured anew with `--only`.",
        "",
        "| namespace | rows a second | commands | minutes | sources | machines | channels | | date, commit |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name in PLANTS:
        if (one := found.get(name)) is None:
            continue
        plant = PLANTS[name]
        lines.append(
            f"| {plant.about} | {1 / plant.period_s:g} | {len(one['commands'])} | {one['minutes']:.1f} "
            f"| {one['sources']} | {one['machines']} of {len(plant.machines)} | {one['channels']} "
            f"| {one['trouble'] or 'right'} | {one['date']}, {one['commit']} |"
        )
    return "\n".join([*lines, ""])


def main(argv: Sequence[str] | None = None) -> int:
    """Take the plants in, keep what was measured, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=tuple(PLANTS), action="append")
    parser.add_argument("--listen-s", type=float, default=5.0)
    parser.add_argument("--keep", type=Path, help="folder for the configurations that came of it")
    options = parser.parse_args(argv)
    found: dict[str, Any] = json.loads(FIGURES.read_text()) if FIGURES.is_file() else {}
    asked = options.only or [*PLANTS]
    for name in asked:
        with tempfile.TemporaryDirectory() as folder:
            keep = options.keep and options.keep / f"{name.replace(' ', '-').replace(',', '')}.toml"
            one = take_in(PLANTS[name], Path(folder), listen_s=options.listen_s, keep=keep)
        told = circumstances("benchmarks.reliability.namespaces.run")
        found[name] = {
            "commands": list(one.commands),
            "minutes": round(one.minutes, 2),
            "sources": one.sources,
            "machines": len(one.machines),
            "channels": sum(map(len, one.machines.values())),
            "trouble": one.trouble,
            "date": told["date"],
            "commit": told["commit"],
        }
        print(
            f"{name}: {one.minutes:.1f} min, {len(one.machines)} machines, {one.trouble or 'right'}",
            flush=True,
        )
        FIGURES.write_text(json.dumps(found, indent=1) + "\n")
        PAGE.write_text(page(found))
    return 1 if any(found[name]["trouble"] for name in asked) else 0


if __name__ == "__main__":
    sys.exit(main())
