"""Hours at full load: does memory, files or threads grow, is every message accounted for, is every fault alerted?

A real broker, the agent as a process, 200 machines of 8 channels at 20 Hz: 4,000 messages a second at QoS 1. One
machine is learnt over the wire and its profile copied for the others. A fault is put into one machine after another.

    python -m benchmarks.reliability.soak --minutes 60        # -> benchmarks/results/soak.json and soak.png
"""

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks import RESULTS

mpl.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.fault_ledger import record
from benchmarks.harness.patience import WaitedInVainError, wait_until
from benchmarks.harness.publisher import Publisher, Row
from benchmarks.harness.subscriber import Reader
from edge_agent.model import profile as profiles

RATE_HZ = 20
CHANNELS = 8
LEARN_ROWS = 2400
LEARNT = "machine-000"
"""One of those that go on sending: of a machine that is learnt and then not heard any more the agent says so."""
CYCLE_ROWS = 4096
VARIANTS = 8
FAULT_EVERY_S = 15.0
FAULT_S = 10.0
SHIFT = 12.0
SAMPLE_EVERY_S = 5.0
SLOPE_LIMIT_MB_H = 1.0
SLOPE_ERROR_MB_H = SLOPE_LIMIT_MB_H / 4
"""A slope that is known less well is told and not judged. Memory swings by some 0.2 MB from sample to sample, so that
with one every 5 s this takes about twenty minutes after the warm-up."""
WARM_UP_S = 600.0
"""So long caches, pools and the database fill. A run that has no time for it judges no slope."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The agent's process at one moment, `at_s` into the load."""

    at_s: float
    resident_mb: float
    descriptors: int
    threads: int
    cpu_s: float
    queued: float
    received: int
    disk_mb: float


class Load:
    """The rows of all machines, from payloads that are made beforehand and stamped when they are sent."""

    def __init__(self, machines: int, *, seed: int = 1) -> None:
        self.names = [f"machine-{number:03d}" for number in range(machines)]
        self.faults: list[tuple[str, float, float]] = []
        """Machine, and monotonic times of its fault's begin and end."""
        self._normal = [_tails(seed + at, shift=0.0) for at in range(VARIANTS)]
        self._broken = [_tails(seed + at, shift=SHIFT) for at in range(VARIANTS)]

    def learning(self, first_s: float) -> Iterator[Row]:
        """What one machine is learnt from."""
        for number in range(LEARN_ROWS):
            yield Row(LEARNT, number, _stamped(self._normal[0][number], first_s + number / RATE_HZ))

    def rows(self, *, seconds: float, first_s: float) -> Iterator[Row]:
        """All machines in turn, 20 times a second of machine time; in the last minute nothing breaks."""
        started, broken, until_s = time.monotonic(), "", 0.0
        for number in range(int(seconds * RATE_HZ)):
            at_s = number / RATE_HZ
            if at_s % FAULT_EVERY_S == 0 and 30 <= at_s < seconds - 60:
                broken, until_s = self.names[int(at_s / FAULT_EVERY_S) % len(self.names)], at_s + FAULT_S
                now_s = started + at_s
                self.faults.append((broken, now_s, now_s + FAULT_S))
            for place, name in enumerate(self.names):
                tails = self._broken if name == broken and at_s < until_s else self._normal
                tail = tails[place % VARIANTS][(number + 37 * place) % CYCLE_ROWS]
                yield Row(name, number, _stamped(tail, first_s + at_s))


def _tails(seed: int, *, shift: float) -> list[bytes]:
    """The values' part of CYCLE_ROWS payloads; `shift` moves the first channel by so many noise deviations."""
    noise = np.clip(np.random.default_rng(seed).normal(size=(CYCLE_ROWS, CHANNELS)), -2.5, 2.5)
    tails = []
    for number, row in enumerate(noise):
        wave = math.sin(2 * math.pi * number / 32)
        values = {f"c{at}": round(10 * (at + 1) + wave + 0.1 * float(draw), 3) for at, draw in enumerate(row)}
        values["c0"] = round(values["c0"] + 0.1 * shift, 3)
        tails.append(b'"values":' + json.dumps(values, separators=(",", ":")).encode() + b"}")
    return tails


def _stamped(tail: bytes, ts: float) -> bytes:
    return b'{"ts":%.3f,' % ts + tail


def main() -> int:
    """Run the soak and write down what was found; exit status 0 if nothing was lost and nothing grew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--machines", type=int, default=200, help="each sends 20 messages a second")
    parser.add_argument("--bundle", type=Path, help="bundle directory (default: the shipped one)")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    load = Load(options.machines)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as leaving:
        broker = Broker(Path(folder))
        broker.start()
        leaving.callback(broker.stop)
        agent = Agent(
            Path(folder),
            bundle=options.bundle and options.bundle.resolve(),
            port=broker.port,
            commission_rows=LEARN_ROWS,
            keepalive_s=5,
            retry_max_s=None,
            budget_per_week=0.01,
            longest_wait_s=None,
        )
        leaving.callback(agent.kill)
        learn(agent, broker, load)
        report = soak(agent, broker, load, minutes=options.minutes, leaving=leaving)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "soak.json").write_text(json.dumps(report, indent=1) + "\n")
    picture(report, options.results / "soak.png")
    told = {key: value for key, value in report.items() if key != "samples"}
    sys.stdout.write(json.dumps(told, indent=1) + "\n")
    enter(told)
    return 0 if report["passed"] else 1


def learn(agent: Agent, broker: Broker, load: Load) -> None:
    """Learn one machine over the wire and copy its profile for all others."""
    agent.start().ready()
    publisher, reader = Publisher(broker.port), Reader(broker.port)
    publisher.send(load.learning(time.time() - LEARN_ROWS / RATE_HZ))
    wait_until(lambda: reader.state(LEARNT) == "ready", what="the machine to be learnt", patience_s=300)
    publisher.close()
    reader.close()
    agent.stop()
    (path,) = (agent.state / "profiles").glob("*.npz")
    learnt = profiles.decode(path, path.read_bytes())
    for name in load.names:
        (path.parent / f"{name}.npz").write_bytes(profiles.encode(replace(learnt, machine=name)))


def soak(agent: Agent, broker: Broker, load: Load, *, minutes: float, leaving: ExitStack) -> dict[str, Any]:
    """The load, and what was seen of the agent meanwhile."""
    agent.start().ready()
    reader, publisher = Reader(broker.port), Publisher(broker.port)
    leaving.callback(reader.close)
    leaving.callback(publisher.close)
    samples, started = [], time.monotonic()
    rows = load.rows(seconds=60 * minutes, first_s=time.time())
    publisher.begin(rows, per_s=RATE_HZ * len(load.names))
    while publisher.busy:
        samples.append(take_sample(agent, time.monotonic() - started))
        time.sleep(SAMPLE_EVERY_S)
    published, took_s = publisher.acknowledged, time.monotonic() - started
    ledger = last_ledger(agent, published)
    cpu = 100 * (samples[-1].cpu_s - samples[0].cpu_s) / (samples[-1].at_s - samples[0].at_s)
    decision = agent.series()
    report = {
        "command": " ".join(["python", "-m", "benchmarks.reliability.soak", *sys.argv[1:]]),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_average_at_end": os.getloadavg()[0],
        "minutes": minutes,
        "machines": len(load.names),
        "published": published,
        "messages_per_s": round(published / took_s),
        "ledger": ledger,
        # What was not acknowledged when a connection was lost comes again, and is known again.
        "ledger_agrees": published == ledger["accepted"] == ledger["received"] - ledger["duplicate"],
        "connections": int(decision.get('edge_agent_broker_connects_total{client="ingest"}', 0)),
        "cpu_percent_of_a_core": round(cpu, 1),
        "windows_scored": int(decision.get("edge_agent_windows_scored_total", 0)),
        **growth(samples, warm_up_s=min(WARM_UP_S, 60 * minutes / 2)),
        **alerts(reader, load.faults),
        "crashes": agent.crashes(),
        "samples": [asdict(sample) for sample in samples],
    }
    report["passed"] = passed(report)
    return report


def passed(report: dict[str, Any]) -> bool:
    """Whether nothing was lost, doubled or crashed, and nothing grew as far as this run can tell."""
    grows = report["slope_judged"] and report["resident_slope_mb_per_h"] > SLOPE_LIMIT_MB_H
    flat = not grows and report["descriptors_flat"] and report["threads_flat"]
    whole = report["ledger_agrees"] and not report["faults_lost"] and not report["faults_doubled"]
    return bool(flat and whole and not report["crashes"])


def last_ledger(agent: Agent, published: int) -> dict[str, int]:
    """The ledger once all has come and every alert is out; as it stands where that does not happen in time."""
    try:
        ledger = agent.wait_received(published, patience_s=120)
        wait_until(lambda: not agent.series()["edge_agent_outbox_messages"], what="the last alert")
    except WaitedInVainError as error:
        sys.stderr.write(f"{error}\n")
        ledger = agent.ledger() or dict.fromkeys(("received", "accepted", "duplicate"), 0)
    time.sleep(2.0)
    return ledger


def take_sample(agent: Agent, at_s: float) -> Sample:
    """One look at the process."""
    series = agent.series()
    size = sum(path.stat().st_size for path in agent.state.rglob("*") if path.is_file())
    return Sample(
        at_s=round(at_s, 2),
        resident_mb=agent.resident_kib() / 1024,
        descriptors=agent.descriptors(),
        threads=agent.threads(),
        cpu_s=agent.cpu_s(),
        queued=series.get("edge_agent_queue_messages", 0.0),
        received=int(series.get("edge_agent_messages_received_total", 0)),
        disk_mb=round(size / 2**20, 2),
    )


def growth(samples: list[Sample], *, warm_up_s: float) -> dict[str, Any]:
    """Slope of memory and the spread of the rest, after the warm-up."""
    warm = [sample for sample in samples if sample.at_s >= warm_up_s] or samples[-1:]
    resident = [sample.resident_mb for sample in warm]
    slope, error = line([sample.at_s / 3600 for sample in warm], resident)
    half = len(warm) // 2
    report: dict[str, Any] = {
        "warm_up_s": warm_up_s,
        "resident_slope_mb_per_h": round(slope, 3),
        "resident_slope_error_mb_per_h": None if error is None else round(error, 3),
        "slope_judged": warm_up_s >= WARM_UP_S and error is not None and error <= SLOPE_ERROR_MB_H,
        "resident_mb": [round(min(resident), 1), round(max(resident), 1)],
        "queued_max": max(sample.queued for sample in samples),
        "disk_max_mb": max(sample.disk_mb for sample in samples),
    }
    for name in ("descriptors", "threads"):
        values = [getattr(sample, name) for sample in warm]
        report[name] = [min(values), max(values)]
        # A page that is being served takes one of each for a moment: medians of the halves do not see it.
        report[f"{name}_flat"] = bool(np.median(values[half:]) <= np.median(values[:half] or values))
    return report


def line(hours: list[float], values: list[float]) -> tuple[float, float | None]:
    """Slope of the values and its standard error, as of independent deviations from a straight line."""
    if len(hours) < 3:
        return 0.0, None
    at = np.array(hours) - np.mean(hours)
    spread = float(at @ at)
    slope = float(at @ np.array(values)) / spread
    rest = np.array(values) - np.mean(values) - slope * at
    return slope, math.sqrt(float(rest @ rest) / (len(values) - 2) / spread)


def alerts(reader: Reader, faults: list[tuple[str, float, float]]) -> dict[str, Any]:
    """Faults against alarm ids, by machine and time of arrival; findings about sensors and sources are named apart."""
    opened: dict[str, tuple[dict[str, Any], float]] = {}
    for heard in reader.heard:
        opened.setdefault(heard.alert["id"], (heard.alert, heard.at_s))
    machines = [(said["machine"], at_s) for said, at_s in opened.values() if said["kind"] == "machine"]
    findings = [said for said, _ in opened.values() if said["kind"] == "sensor"]
    ids: list[list[float]] = [
        [at_s - begin for machine, at_s in machines if machine == name and begin <= at_s < end + 30]
        for name, begin, end in faults
    ]
    delays = sorted(min(found) for found in ids if found)
    return {
        "faults": len(faults),
        "faults_lost": sum(not found for found in ids),
        "faults_doubled": sum(len(found) > 1 for found in ids),
        "other_alarms": len(machines) - sum(map(len, ids)),
        "sensor_findings": sorted(f"{said['machine']}: {said['fault']['name']}" for said in findings),
        "fault_to_alert_p50_s": round(delays[len(delays) // 2], 2) if delays else None,
        "fault_to_alert_max_s": round(delays[-1], 2) if delays else None,
    }


def picture(report: dict[str, Any], path: Path) -> None:
    """Memory, processor, queue and disk over time."""
    samples = report["samples"]
    minutes = [sample["at_s"] / 60 for sample in samples]
    figure, axes = plt.subplots(4, 1, figsize=(9, 7), sharex=True, constrained_layout=True)
    cpu = np.gradient([s["cpu_s"] for s in samples], [s["at_s"] for s in samples]) * 100
    lines = {
        "resident memory, MB": [s["resident_mb"] for s in samples],
        "processor, % of a core": cpu,
        "messages waiting": [s["queued"] for s in samples],
        "state on disk, MB": [s["disk_mb"] for s in samples],
    }
    for axis, (name, values) in zip(axes, lines.items(), strict=True):
        axis.plot(minutes, values, lw=0.9, color="#345")
        axis.set_ylabel(name, fontsize=8)
        axis.set_ylim(bottom=0)
        axis.axvspan(0, report["warm_up_s"] / 60, color="#eee")
    axes[0].set_title(
        f"{report['machines']} machines, {report['messages_per_s']} messages a second (grey: warm-up)",
        fontsize=9,
    )
    axes[-1].set_xlabel("minutes")
    figure.savefig(path, dpi=90)
    plt.close(figure)


def enter(report: dict[str, Any]) -> None:
    """The soak's line in the table of faults."""
    told = {key: value for key, value in report.items() if key not in {"command", "made", "crashes"}}
    record(
        "soak",
        fault=f"{report['messages_per_s']} messages a second for {report['minutes']:g} minutes",
        count=report["published"],
        repeat=f"make soak MINUTES={report['minutes']:g}",
        lost=report["published"] - report["ledger"]["accepted"] + report["faults_lost"],
        **told,
    )


if __name__ == "__main__":
    sys.exit(main())
