"""The agent under a steady load of real MQTT, beside an empty subscriber and its own stages alone, in one run.

A mosquitto of its own, a publisher in its own process, the agent in its own. Machines are learnt before the clock
starts. Phases take turns on the same stream, so that a machine that is busy otherwise slows all of them; figures are
processor seconds from /proc, as wall time says little there.

    python -m benchmarks.performance.throughput.run                     # -> benchmarks/results/throughput.{json,md,png}
    python -m benchmarks.performance.throughput.run --baseline ../before   # another checkout's agent takes turns
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import RESULTS, ROOT
from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until, wait_worked_off
from benchmarks.harness.publisher import Publisher
from benchmarks.performance.throughput.report import picture, table
from benchmarks.performance.throughput.stages import stages
from benchmarks.reliability.soak import CHANNELS, LEARN_ROWS, RATE_HZ, Load
from edge_agent.commissioning.settings import BudgetSettings
from edge_agent.config.file import Config
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.results import CommissionRequest
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Delivery, Profile
from edge_agent.service.wiring import load_scorer
from edge_agent.store.state_dir import StateDir

WINDOW_ROWS = 128
WARM_S = 8.0
"""Windows of 128 rows at 20 Hz are full after 6.4 s."""
STAGE_S = 12
_GOALS = {"cpu_percent": 30.0, "resident_mb": 120.0, "decision_p99_ms": 150.0, "ceiling_share": 0.7}
_EMPTY = """
import sys, time
import paho.mqtt.client as mqtt
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="empty", clean_session=False, manual_ack=True)
client.max_inflight_messages_set(1000)
heard = 0
def on_message(client, _userdata, message):
    global heard
    heard += 1
    client.ack(message.mid, message.qos)
client.on_message = on_message
client.on_connect = lambda client, *_: client.subscribe("sensors/#", 1)
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_start()
for line in sys.stdin:
    print(heard, flush=True)
"""


class Empty:
    """A subscriber that acknowledges and does nothing else, in a process of its own."""

    def __init__(self, port: int) -> None:
        command = [sys.executable, "-c", _EMPTY, str(port)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def heard(self) -> int:
        """Messages so far."""
        if self.process.stdin is None or self.process.stdout is None:
            raise OSError("the empty subscriber has no pipes")
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()


def main() -> int:
    """Measure, write the reports; exit status 0 if no message was lost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machines", type=int, default=200, help="each sends 20 messages a second")
    parser.add_argument("--seconds", type=float, default=25.0, help="of each phase that is measured")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--burst", type=int, default=80_000, help="messages that wait for the ceiling")
    parser.add_argument("--baseline", type=Path, help="another checkout, whose agent takes turns with ours")
    parser.add_argument("--flame", type=Path, help="write a flame graph of the agent there (needs py-spy)")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--publish", type=float, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.publish:
        publish(options.machines, *options.publish)
        return 0
    report = measure(options)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "throughput.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.results / "throughput.md").write_text(table(report))
    picture(report, options.results / "throughput.png")
    sys.stdout.write(table(report))
    return 0 if report["lost"] == 0 else 1


def publish(machines: int, port: float, rate: float, messages: float) -> None:
    """The publisher's process: so many messages, at a rate or, with rate 0, as fast as the broker takes them."""
    load, publisher = Load(machines), Publisher(int(port))
    rows = load.rows(seconds=messages / machines / RATE_HZ, first_s=time.time())
    sys.stdout.write(f"{publisher.send(rows, per_s=rate or 1e9)}\n")
    publisher.close()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All phases in turn."""
    load, trees = Load(options.machines), {"agent": ROOT}
    if options.baseline:
        trees["baseline"] = options.baseline.resolve()
    profiles = learnt(load)
    phases: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(options.repeats):
            turned = list(trees.items())[:: -1 if repeat % 2 else 1]  # nobody is always first
            for name, tree in turned:
                place = Path(folder) / f"{name}{repeat}"
                phases.append({"name": name, **agent_phase(options, tree, profiles, place)})
            phases.append({"name": "empty", **empty_phase(options, Path(folder) / f"empty{repeat}")})
        if options.flame:
            flame(options, profiles, Path(folder) / "flame")
        alone = stages(
            deliveries(load, seconds=STAGE_S),
            profiles,
            turn_messages=80,
            warm=int(7 * RATE_HZ * options.machines),
            folder=Path(folder),
        )
    summary = {name: median_of([p for p in phases if p["name"] == name]) for name in (*trees, "empty")}
    return {
        "command": " ".join(["python", "-m", "benchmarks.performance.throughput.run", *sys.argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "system": platform.platform(),
            "load_average_at_end": round(os.getloadavg()[0], 2),
        },
        "versions": {name: version(name) for name in ("paho-mqtt", "onnxruntime", "numpy", "msgspec")}
        | {"python": platform.python_version()},
        "load": {
            "machines": options.machines,
            "channels": CHANNELS,
            "messages_per_s": RATE_HZ * options.machines,
            "seconds": options.seconds,
            "qos": 1,
        },
        "goals": _GOALS,
        "summary": summary,
        "lost": sum(phase.get("lost", 0) for phase in phases),
        "stages_alone": alone,
        "phases": phases,
    }


def learnt(load: Load) -> list[Profile]:
    """A profile for every machine: one is learnt, the others are its copies."""
    scorer = load_scorer(Config.model_validate({}))
    rows = [list(json.loads(row.payload)["values"].values()) for row in load.learning(1_600_000_000.0)]
    names = tuple(f"c{at}" for at in range(CHANNELS))
    period_ns = 1_000_000_000 // RATE_HZ
    request = CommissionRequest(
        load.names[0], names, np.array(rows, np.float32), period_ns, RATE_HZ, LEARN_ROWS * period_ns
    )
    profile = learn(
        request, scorer=scorer, settings=PipelineSettings(budget=BudgetSettings(false_alarms_per_week=0.01))
    )
    return [replace(profile, machine=name) for name in load.names]


def deliveries(load: Load, *, seconds: int) -> list[Delivery]:
    """The stream as the agent would take it from its broker."""
    rows = load.rows(seconds=float(seconds), first_s=1_700_000_000.0)
    return [Delivery(row.topic, row.payload, 1_700_000_100_000_000_000) for row in rows]


def agent_phase(
    options: argparse.Namespace, tree: Path, profiles: list[Profile], folder: Path
) -> dict[str, Any]:
    """One agent from its start to its end: under the load, and with a backlog to work off."""
    with ExitStack() as leaving:
        broker = _broker(folder, leaving)
        agent = started_agent(tree, profiles, folder, broker, leaving)
        found, sent = under_steady_load(options, agent, broker)
        ledger = agent.wait_received(sent)
        found |= {"ledger": ledger, "lost": sent - ledger.get("accepted", 0)}
        agent.stop()
        _publish_all(options, broker)
        found |= _worked_off(agent, options)
        ledger = agent.wait_received(options.burst)
        found["lost"] += options.burst - ledger.get("accepted", 0)
        return found


def started_agent(
    tree: Path, profiles: list[Profile], folder: Path, broker: Broker, leaving: ExitStack
) -> Agent:
    """An agent of that checkout that knows these machines, connected; this one passes nothing over."""
    agent = Agent(
        folder,
        bundle=None,
        port=broker.port,
        keepalive_s=5,
        retry_max_s=None,
        budget_per_week=0.01,
        longest_wait_s=0.0 if tree == ROOT else None,
        launcher=("-P", "-m", "edge_agent"),  # -P: not from the working directory, but from PYTHONPATH
        env={"PYTHONPATH": str(tree)},
    )
    leaving.callback(agent.kill)
    store = StateDir(agent.state)
    store.open()
    for profile in profiles:
        store.save_profile(profile)
    store.close()
    return agent.start().ready()


def under_steady_load(
    options: argparse.Namespace, agent: Agent, broker: Broker, *, shares: Sequence[float] = (0.5, 0.99)
) -> tuple[dict[str, Any], int]:
    """What is seen of an agent that is warm, and how many messages were sent in all."""
    with _publishing(options, broker, messages=_count(options)) as publisher:
        _wait_warm(options, lambda: agent.series().get("edge_agent_messages_received_total", 0))
        found = _under_load(agent, options.seconds, shares=shares)
        return found, int(publisher.communicate()[0])


def _under_load(agent: Agent, seconds: float, *, shares: Sequence[float]) -> dict[str, Any]:
    before, cpu_s, began = agent.series(), agent.cpu_s(), time.monotonic()
    time.sleep(seconds)
    cpu_s, took_s, after = agent.cpu_s() - cpu_s, time.monotonic() - began, agent.series()
    received = _gain(before, after, "edge_agent_messages_received_total")
    return {
        "messages_per_s": round(received / took_s),
        "cpu_percent": round(100 * cpu_s / took_s, 1),
        "cpu_us_per_message": round(1e6 * cpu_s / received, 2),
        "resident_mb": round(agent.resident_kib() / 1024, 1),
        "commits_per_s": round(_gain(before, after, "edge_agent_state_commits_total") / took_s, 1),
        **{f"decision_p{100 * share:g}_ms": _quantile(before, after, share) for share in shares},
        "windows_per_s": round(_gain(before, after, "edge_agent_windows_scored_total") / took_s, 1),
    }


def _gain(before: dict[str, float], after: dict[str, float], name: str) -> float:
    return after[name] - before.get(name, 0.0)


def _quantile(before: dict[str, float], after: dict[str, float], share: float) -> float:
    """Milliseconds from arrival to the end of the step, straight between the histogram's edges."""
    name = "edge_agent_decision_seconds_bucket"
    edges = [(float(key.split('"')[1].replace("+Inf", "inf")), key) for key in after if key.startswith(name)]
    counts = [(edge, _gain(before, after, key)) for edge, key in sorted(edges)]
    wanted, low, below = share * counts[-1][1], 0.0, 0.0
    for edge, count in counts:
        if count >= wanted:
            part = (wanted - below) / max(count - below, 1e-9)
            return round(1000 * (low + part * (min(edge, 60.0) - low)), 1)
        low, below = edge, count
    return float("nan")


def _worked_off(agent: Agent, options: argparse.Namespace) -> dict[str, float]:
    """How soon a restarted agent scores again, and how fast it works off what waited for it, once windows are full."""
    begun = time.monotonic()
    agent.start(wait=False)
    scored, received = (f"edge_agent_{name}_total" for name in ("windows_scored", "messages_received"))
    wait_until(lambda: agent.series().get(scored, 0) > 0, what="the first score", every_s=0.02)
    first_score_s = time.monotonic() - begun
    return {
        "first_score_s": round(first_score_s, 2),
        "backlog_per_s": _pace(lambda: agent.series().get(received, 0), options),
    }


def _pace(heard: Callable[[], float], options: argparse.Namespace) -> int:
    """Messages a second from the time when all windows are full to the end of the backlog."""
    first, began = wait_worked_off(heard, WINDOW_ROWS * options.machines), time.monotonic()
    last = wait_worked_off(heard, options.burst)
    return round((last - first) / max(time.monotonic() - began, 1e-3))


def empty_phase(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The empty subscriber under the same load, and with the same backlog."""
    with ExitStack() as leaving:
        broker = _broker(folder, leaving)
        empty = Empty(broker.port)
        time.sleep(1.0)
        with _publishing(options, broker, messages=_count(options)) as publisher:
            _wait_warm(options, empty.heard)
            before, cpu_s, began = empty.heard(), _cpu_s(empty.process.pid), time.monotonic()
            time.sleep(options.seconds)
            heard, cpu_s = empty.heard() - before, _cpu_s(empty.process.pid) - cpu_s
            took_s = time.monotonic() - began
            publisher.communicate()
        empty.stop()
        _publish_all(options, broker)
        again = Empty(broker.port)
        leaving.callback(again.stop)
        return {
            "messages_per_s": round(heard / took_s),
            "cpu_percent": round(100 * cpu_s / took_s, 1),
            "cpu_us_per_message": round(1e6 * cpu_s / heard, 2),
            "backlog_per_s": _pace(again.heard, options),
        }


def _wait_warm(options: argparse.Namespace, heard: Callable[[], float]) -> None:
    """Until the load has lasted so long that every window is full."""
    messages = WARM_S * RATE_HZ * options.machines
    wait_until(lambda: heard() >= messages, what="the load", patience_s=180.0, every_s=0.2)


def _count(options: argparse.Namespace) -> int:
    return int((WARM_S + options.seconds + 4.0) * RATE_HZ * options.machines)


def _broker(folder: Path, leaving: ExitStack) -> Broker:
    folder.mkdir(parents=True)
    broker = Broker(folder)
    broker.start()
    leaving.callback(broker.stop)
    return broker


@contextmanager
def _publishing(
    options: argparse.Namespace, broker: Broker, *, messages: int, rate: float | None = None
) -> Iterator[subprocess.Popen[str]]:
    per_s = RATE_HZ * options.machines if rate is None else rate
    told = [str(part) for part in (broker.port, per_s, messages)]
    program = [sys.executable, "-m", "benchmarks.performance.throughput.run"]
    command = [*program, "--machines", str(options.machines), "--publish", *told]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _publish_all(options: argparse.Namespace, broker: Broker) -> None:
    """Lay up a backlog for whoever is subscribed and away."""
    with _publishing(options, broker, messages=options.burst, rate=0) as publisher:
        publisher.communicate()


def flame(options: argparse.Namespace, profiles: list[Profile], folder: Path) -> None:
    """A flame graph of the agent under the load, in a run of its own: py-spy slows what it watches."""
    with ExitStack() as leaving:
        broker = _broker(folder, leaving)
        agent = started_agent(ROOT, profiles, folder, broker, leaving)
        with _publishing(options, broker, messages=_count(options)):
            _wait_warm(options, lambda: agent.series().get("edge_agent_messages_received_total", 0))
            if agent.process is not None:
                wanted = ["--duration", "8", "--gil", "--pid", str(agent.process.pid)]
                spy = Path(sys.executable).with_name("py-spy")
                subprocess.run([str(spy), "record", *wanted, "--output", str(options.flame)], check=False)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def median_of(phases: list[dict[str, Any]]) -> dict[str, Any]:
    """Median and range of every figure over the repeats."""
    numbers = [key for key, value in phases[0].items() if isinstance(value, int | float)]
    return {
        key: {
            "median": statistics.median(phase[key] for phase in phases),
            "range": [min(phase[key] for phase in phases), max(phase[key] for phase in phases)],
        }
        for key in numbers
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


if __name__ == "__main__":
    sys.exit(main())
