"""All bounds at once: an agent as the unit allows it, its configuration at every bound, under load and under attack.

A control group of 512 MB and 64 threads, 1,024 open files. Fifty learnt machines send 1,000 messages a second, and one
after another breaks; beside them the attacks of `attacks`. Right is an agent that lives through it in one piece, alerts
in time, stays below its memory, answers honest requests, and accounts for every message that the broker took.

    python -m benchmarks.reliability.corner --minutes 10      # root -> benchmarks/results/corner.json
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import RESULTS, ROOT
from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.cage import Allowed, Cage
from benchmarks.harness.fault_ledger import record
from benchmarks.harness.patience import WaitedInVainError, free_port, wait_until
from benchmarks.harness.publisher import Publisher
from benchmarks.harness.subscriber import Heard, Reader
from benchmarks.reliability import soak
from benchmarks.reliability.attacks import WIDE_MACHINES

ALLOWED = Allowed(memory_bytes=512 << 20, tasks=64, files=1024)
"""MemoryMax= and TasksMax= of the shipped units; of files what a process has that nobody gives more."""
MACHINES = 50
"""Of twenty messages a second each; `--machines` takes fewer where the computer has other work."""
ALERT_S = 2.0
HONEST_SHARE = 0.99
"""Of requests from an address that does not attack, answered within ten seconds."""
SAMPLE_EVERY_S = 1.0
TOKEN = "corner-token-of-the-right-one"  # noqa: S105 - of a page that lives for minutes


@dataclass(frozen=True, slots=True)
class Sample:
    """The agent at one moment, `at_s` into the load."""

    at_s: float
    memory_mb: float
    tasks: int
    files: int
    queued: float


def main() -> int:
    """Run it and write down what was found; exit status 0 if all is as it should be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--machines", type=int, default=MACHINES, help="each sends 20 messages a second")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as leaving:
        report = corner(Path(folder), machines=options.machines, minutes=options.minutes, leaving=leaving)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "corner.json").write_text(json.dumps(report, indent=1) + "\n")
    told = {key: value for key, value in report.items() if key != "samples"}
    sys.stdout.write(json.dumps(told, indent=1) + "\n")
    record(
        "corner",
        fault="every bound at its corner: 512 MB, 64 threads, 1,024 files, under load and attack",
        count=sum(report["attacks"].values()),
        repeat=f"make corner CORNER_MINUTES={options.minutes:g}",
        **{key: value for key, value in told.items() if key not in {"command", "made", "wrong"}},
        lost=report["faults_lost"] + abs(report["unaccounted"]),
    )
    return 1 if report["wrong"] else 0


def corner(folder: Path, *, machines: int, minutes: float, leaving: ExitStack) -> dict[str, Any]:
    """The whole run: machines learnt, the load, the attacks, and what was seen meanwhile."""
    broker = Broker(folder)
    leaving.callback(broker.stop)
    broker.start()
    cage = leaving.enter_context(Cage(ALLOWED))
    (folder / "token").write_text(TOKEN)
    (folder / "token").chmod(0o600)
    page = free_port()
    agent = Agent(
        folder,
        bundle=None,
        port=broker.port,
        commission_rows=soak.LEARN_ROWS,
        retry_max_s=None,
        budget_per_week=0.01,
        longest_wait_s=None,
        before=cage.before,
        settings={"page": f'enabled = true\nlisten = "127.0.0.1:{page}"\ntoken_file = "{folder}/token"'},
    )
    leaving.callback(agent.kill)
    load = soak.Load(machines)
    soak.learn(agent, broker, load)
    agent.start().ready()
    reader, publisher = Reader(broker.port), Publisher(broker.port)
    leaving.callback(reader.close)
    leaving.callback(publisher.close)
    seconds = 60 * minutes
    attack = begin_attacks(broker.port, agent.metrics_port, page, seconds=seconds - 10)
    leaving.callback(attack.kill)
    rows = load.rows(seconds=seconds, first_s=time.time())
    publisher.begin(rows, per_s=soak.RATE_HZ * machines)
    samples, honest = watch(agent, cage, publisher)
    counts = json.loads(attack.communicate(timeout=120)[0])
    to_account_for = publisher.acknowledged + counts.pop("to_account_for")
    report = {
        "command": " ".join(["python", "-m", "benchmarks.reliability.corner", *sys.argv[1:]]),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "load_average_at_end": os.getloadavg()[0],
        "minutes": minutes,
        "machines": machines,
        "allowed": ALLOWED._asdict(),
        "attacks": counts,
        **seen(agent, cage, samples),
        **accounted(agent, to_account_for),
        **soak.alerts(reader, load.faults),
        "row_to_alert_max_s": row_to_alert_s(reader),
        "honest_requests": len(honest),
        "honest_answered": sum(honest),
        "wide_machines_learnt": sum(reader.state(f"wide-{n}") == "ready" for n in range(WIDE_MACHINES)),
        "samples": [asdict(sample) for sample in samples],
    }
    report["wrong"] = wrong(report)
    return report


def begin_attacks(*ports: int, seconds: float) -> subprocess.Popen[bytes]:
    """All attackers, in a process of their own."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.reliability.attacks", *map(str, ports), str(seconds)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def watch(agent: Agent, cage: Cage, publisher: Publisher) -> tuple[list[Sample], list[bool]]:
    """Samples and, of each honest request, whether it was answered, while the load lasts."""
    samples, honest, started = [], [], time.monotonic()
    while publisher.busy and agent.alive:
        series = agent.series()
        honest.append(bool(series))
        samples.append(
            Sample(
                at_s=round(time.monotonic() - started, 1),
                memory_mb=round(cage.unreclaimable_bytes() / 1e6, 1),
                tasks=cage.tasks(),
                files=agent.descriptors(),
                queued=series.get("edge_agent_queue_messages", 0.0),
            )
        )
        time.sleep(SAMPLE_EVERY_S)
    return samples, honest


def seen(agent: Agent, cage: Cage, samples: list[Sample]) -> dict[str, Any]:
    """Of the process and what it was allowed."""
    series = agent.series()
    connects = 'edge_agent_broker_connects_total{client="ingest"}'
    return {
        "alive": agent.alive,
        "kills_for_memory": cage.kills(),
        "threads_refused": cage.refused_tasks(),
        "memory_max_mb": max(sample.memory_mb for sample in samples),
        "memory_with_cache_max_mb": round(cage.memory_peak_bytes() / 1e6, 1),
        "tasks_max": max(sample.tasks for sample in samples),
        "files_max": max(sample.files for sample in samples),
        "connections": int(series.get(connects, 0)),
        "crashes": agent.crashes(),
        "not_watched": int(series.get("edge_agent_unwatched", 0)),
    }


def accounted(agent: Agent, acknowledged: int) -> dict[str, Any]:
    """Whether every message that the broker acknowledged came to one outcome, once all has come."""
    try:
        ledger = agent.wait_received(acknowledged, patience_s=180)
        wait_until(lambda: not agent.series()["edge_agent_outbox_messages"], what="the last alert")
    except (WaitedInVainError, KeyError) as error:
        sys.stderr.write(f"{error}\n")
        ledger = agent.ledger()
    time.sleep(2.0)
    received = ledger.get("received", 0) - ledger.get("duplicate", 0)
    return {"acknowledged": acknowledged, "ledger": ledger, "unaccounted": acknowledged - received}


def row_to_alert_s(reader: Reader) -> float | None:
    """The longest from the row by which an alarm was decided, by its own time, to the reader; None without alarms.

    How many rows a detector needs is another matter: `fault_to_alert_*` counts from the fault's first.
    """
    opened: dict[str, Heard] = {}
    for heard in reader.heard:
        if heard.alert["kind"] == "machine":
            opened.setdefault(heard.alert["id"], heard)
    waits = [
        (one.wall - datetime.fromisoformat(one.alert["time"])).total_seconds() for one in opened.values()
    ]
    return round(max(waits), 2) if waits else None


def wrong(report: dict[str, Any]) -> list[str]:
    """What is not as it should be; empty where all is."""
    alert_s = report["row_to_alert_max_s"]
    rules = {
        "the agent ended": not report["alive"],
        "the kernel killed it": report["kills_for_memory"],
        "its memory is beyond the bound": 1e6 * report["memory_max_mb"] > ALLOWED.memory_bytes,
        "it has too many threads": report["tasks_max"] > ALLOWED.tasks or report["threads_refused"],
        "it has too many files": report["files_max"] > ALLOWED.files,
        "it lost its connection": report["connections"] != 1,
        "it was too slow for the load and passed messages over": report["ledger"].get("shed", 0),
        "something broke off": report["crashes"],
        "messages are not accounted for": report["unaccounted"],
        "faults were not alerted": report["faults_lost"],
        "faults were alerted twice": report["faults_doubled"],
        f"alerts took longer than {ALERT_S:g} s": alert_s is None or alert_s > ALERT_S,
        "honest requests were not answered": report["honest_answered"]
        < HONEST_SHARE * report["honest_requests"],
    }
    return [rule for rule, broken in rules.items() if broken]


if __name__ == "__main__":
    sys.exit(main())
