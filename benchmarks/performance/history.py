"""A full history: how fast the page answers from it, whether it stays within its bytes, and what it costs the turn.

A million minutes of 24 machines of 8 channels (30 days) and 10,000 incidents lie in the database. The page's documents
are asked for over HTTP, one after the other. The turn is measured in one process with and without the history, in
blocks that take turns, so that both meet the same computer; the history's thread works beside it.

    python -m benchmarks.performance.history      # -> benchmarks/results/history.json; some minutes
"""

import argparse
import json
import logging
import random
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import structlog

from benchmarks import ROOT
from benchmarks.harness.provenance import circumstances
from benchmarks.harness.user import START_TS
from edge_agent.alarms.state import AlarmState, MachineCalls
from edge_agent.config.file import Config
from edge_agent.metrics.exporter import Exporter
from edge_agent.metrics.snapshot import Health, Snapshot
from edge_agent.model import bundle as bundles
from edge_agent.mqtt.inbox import Arrival, Batch
from edge_agent.pipeline.results import MachineStatus
from edge_agent.records import Alarm, ChannelEvidence, Delivery
from edge_agent.service.history import HistoryPart
from edge_agent.service.turn import Turn, TurnProcessor
from edge_agent.service.wiring import load_scorer
from edge_agent.store.history.database import HISTORY, HistoryDatabase, HistorySettings
from edge_agent.store.history.incident import Incident, IncidentAction, IncidentWindow, family_of
from edge_agent.store.history.reader import HistoryReader
from edge_agent.store.state_dir import StateDir
from edge_agent.web.auth import TokenGuard
from edge_agent.web.exchange import Exchange
from edge_agent.web.page_routes import CommandGate, PageRoutes
from edge_agent.web.past import SPANS, PastPages
from edge_agent.web.server import HttpServer
from edge_agent.web.view import Closeup, Curve, View

RESULTS = ROOT / "benchmarks/results"
BUNDLE = ROOT / "edge_agent/models/pretrained"
CHANNELS = tuple(f"channel-{number}" for number in range(8))
SYMPTOMS = ("high", "low", "noisier", "unusual pattern")
FAULTS = ("", "worn bearing", "blocked filter", "leak")
NOW_S = 1_800_000_000
SECOND = 1_000_000_000
BOUND_BYTES = 100_000_000
LEARNT_ROWS = 300


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--machines", type=int, default=24)
    parser.add_argument("--minutes", type=int, default=43_200, help="of each machine")
    parser.add_argument("--incidents", type=int, default=10_000)
    parser.add_argument("--asked", type=int, default=200, help="times that each document is asked for")
    parser.add_argument("--blocks", type=int, default=12, help="of turns, with and without the history")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as folder:
        report = circumstances("benchmarks.performance.history") | measured(Path(folder), options)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "history.json").write_text(json.dumps(report, indent=1) + "\n")
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 0


def measured(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    names = [f"pump-{number}" for number in range(options.machines)]
    database = HistoryDatabase(folder / HISTORY)
    filled_s = timed(lambda: fill(database, names, minutes=options.minutes, incidents=options.incidents))
    size = database.size_bytes()
    page = answers(folder / HISTORY, names, asked=options.asked)
    bounded_s = timed(lambda: database.make_room(HistorySettings(disk_bytes=BOUND_BYTES)))
    database.close()
    return {
        "minutes": options.machines * options.minutes,
        "incidents": options.incidents,
        "filled_s": round(filled_s, 1),
        "bytes": size,
        "page_ms": page,
        "bound": {
            "configured_bytes": BOUND_BYTES,
            "bytes_after": database.size_bytes(),
            "took_s": round(bounded_s, 2),
            "incidents_left": HistoryReader(folder / HISTORY).count(),
        },
        "turn": turns(folder, blocks=options.blocks),
    }


def timed(work: Callable[[], object]) -> float:
    """Seconds that it took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


# -- a full history ------------------------------------------------------------------------------------------


def fill(database: HistoryDatabase, names: list[str], *, minutes: int, incidents: int) -> None:
    """Minutes and hours as the agent writes them, but in bulk; incidents by its own way."""
    rng = np.random.default_rng(7)
    database.open()
    for machine, name in enumerate(names, 1):
        with database.transaction() as connection:
            connection.execute("INSERT INTO machines VALUES (?, ?)", (machine, name))
            layout = (
                "INSERT OR IGNORE INTO layouts VALUES (1, ?)",
                (json.dumps(CHANNELS, separators=(",", ":")),),
            )
            connection.execute(*layout)
            for table, step_s, n in (("minutes", 60, minutes), ("hours", 3600, minutes // 60)):
                stats = rng.normal(size=(n, len(CHANNELS), 4)).astype(np.float32)
                stats[:, :, 0] = step_s
                starts = NOW_S - NOW_S % step_s - step_s * np.arange(n, 0, -1)
                peaks = rng.gamma(2.0, 0.15, size=n)
                rows = zip(starts.tolist(), peaks.tolist(), stats, strict=True)
                connection.executemany(
                    f"INSERT INTO {table} VALUES (?, ?, ?, 1, ?)",  # noqa: S608 - a table of ours
                    ((machine, start, peak, one.tobytes()) for start, peak, one in rows),
                )
    chance = random.Random(7)
    for first in range(0, incidents, 500):
        some = range(first, min(incidents, first + 500))
        database.write({str(number): incident(number, names, minutes, chance) for number in some})


def incident(number: int, names: list[str], minutes: int, chance: random.Random) -> Incident:
    """One of some minutes, by a few channels."""
    machine = chance.choice(names)
    onset_ns = (NOW_S - chance.randrange(600, minutes * 60)) * SECOND
    shares = sorted((chance.random() for _ in range(3)), reverse=True)
    guilty = chance.sample(CHANNELS, 3)
    worst = Alarm(
        id=f"{machine}-{number}",
        revision=3,
        machine=machine,
        state="open",
        severity="warning",
        onset_ns=onset_ns,
        time_ns=onset_ns + 60 * SECOND,
        score=2.0,
        peak_score=2.0,
        threshold=1.0,
        fault="unknown",
        fault_probability=0.0,
        channels=tuple(
            ChannelEvidence(name, share / sum(shares), 9.0, 1.0, 2.0, 7.0, chance.choice(SYMPTOMS))
            for name, share in zip(guilty, shares, strict=True)
        ),
        model="",
    )
    ended_ns = onset_ns + chance.randrange(120, 7200) * SECOND
    rows = np.random.default_rng(number).normal(size=(128, len(CHANNELS))).astype(np.float32).tobytes()
    return Incident(
        alarm=Alarm(**{**_fields(worst), "state": "closed", "closed_ns": ended_ns, "time_ns": ended_ns}),
        worst=worst,
        summary=f"{machine} behaves unusually: {guilty[0]} is high, now 9 (usually 1 to 2).",
        actions=(IncidentAction(onset_ns, "ack", "anna", "on my way"),),
        ended="closed",
        fault=chance.choice(FAULTS),
        family=family_of(CHANNELS),
        window=IncidentWindow(onset_ns, 2.0, CHANNELS, rows),
    )


def _fields(alarm: Alarm) -> dict[str, Any]:
    return {name: getattr(alarm, name) for name in alarm.__dataclass_fields__}


# -- the page's answers --------------------------------------------------------------------------------------


class Still(Exchange):
    """An exchange whose view never changes: what the pipeline's thread adds is measured elsewhere."""

    def __init__(self, view: View) -> None:
        super().__init__(monotonic=time.monotonic)
        self._still = view

    def view(self, machine: str | None = None) -> View:
        """The same, whoever asks."""
        del machine
        return self._still


@contextmanager
def served(path: Path, names: list[str]) -> Iterator[int]:
    """The page of an agent whose every machine is in alarm; the port."""
    chance = random.Random(8)
    alarms = {name: incident(at, [name], 1000, chance).worst for at, name in enumerate(names)}
    records = {name: AlarmState(alarm) for name, alarm in alarms.items()}
    status = MachineStatus("ready", 500, 300, CHANNELS, NOW_S * SECOND, 2.0, 1.0, None)
    view = View(
        time_ns=NOW_S * SECOND,
        made_s=0.0,
        agent="hall",
        version="1",
        provider="cpu",
        health=Health(alive=True, amiss=()),
        snapshot=Snapshot(),
        bundle=bundles.read(BUNDLE),
        machines=dict.fromkeys(names, status),
        calls={name: MachineCalls(record) for name, record in records.items()},
        silent_s={},
        trends={},
        records=tuple(records.values()),
        past=(),
        past_count=0,
        commands=(),
        closeups={name: Closeup(None, Curve(), Curve(), None, kin=tuple(names)) for name in names},
    )
    exchange, guard = Still(view), TokenGuard(None, monotonic=time.monotonic)
    gate = CommandGate(exchange, guard, topic="agents/hall/cmd", offered=())
    # A new moment each time: what is remembered of an alarm for a minute would be measured otherwise.
    asked = iter(range(10**9))
    past = PastPages(HistoryReader(path), wall_s=lambda: NOW_S + 61 * next(asked) % 600)
    server = HttpServer(("127.0.0.1", 0), PageRoutes(exchange, gate, names=(), past=past), name="page")
    server.start()
    try:
        yield server.port or 0
    finally:
        server.stop()


def answers(path: Path, names: list[str], *, asked: int) -> dict[str, Any]:
    """Milliseconds of each document's answers, over HTTP: median, 99 % and the longest."""
    chance = random.Random(9)
    ids = [one.id for one in HistoryReader(path).incidents(limit=1000)]
    paths: dict[str, Callable[[], str]] = {
        "overview": lambda: "state",
        "machine": lambda: f"machine/{chance.choice(names)}",
        "incident": lambda: f"incident/{quote(chance.choice(ids))}",
    }
    for span in SPANS:
        paths[f"curve, {span}"] = partial(lambda span: f"curve/{span}/{chance.choice(names)}", span)
    took: dict[str, list[float]] = {name: [] for name in paths}
    with served(path, names) as port:
        for name, place in list(paths.items()) * asked:
            url = f"http://127.0.0.1:{port}/api/{place()}"
            took[name].append(1000 * timed(partial(read, url)))
    every = {name: summary(values) for name, values in took.items()}
    return {**every, "all": summary([value for values in took.values() for value in values])}


def read(url: str) -> bytes:
    """The whole answer of our own server."""
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - of this computer
        return bytes(answer.read())


def summary(values: list[float]) -> dict[str, float]:
    """Of a list of figures."""
    median, p99 = np.quantile(values, (0.5, 0.99))
    return {"median": round(float(median), 2), "p99": round(float(p99), 2), "longest": round(max(values), 2)}


# -- the turn ------------------------------------------------------------------------------------------------


def turns(folder: Path, *, blocks: int, machines: int = 20, turns_a_block: int = 100) -> dict[str, Any]:
    """Milliseconds of a turn with and without the history, and their ratios, in one run."""
    config = Config.model_validate(
        {
            "agent": {"name": "hall", "state_dir": folder / "state"},
            "model": {"bundle": BUNDLE},
            "commission": {"rows": LEARNT_ROWS},
        }
    )
    store, part = StateDir(config.agent.state_dir), HistoryPart(config, report=lambda *_, **__: None)
    store.open()
    scorer = load_scorer(config)
    processor = TurnProcessor(
        config, scorer=scorer, store=store, exporter=Exporter(), report=lambda *_, **__: None
    )
    processor.begin(store.load(encoder=scorer.bundle.encoder))
    names, story = [f"pump-{number}" for number in range(machines)], rows_of()
    for row in range(LEARNT_ROWS + 1):
        processor.process(turn(names, row, story))
    while processor.learner.busy or any(
        one.state != "ready" for one in processor.pipeline.statuses().values()
    ):
        processor.process(Turn())
        time.sleep(0.01)
    part.start()
    took: dict[bool, list[float]] = {False: [], True: []}
    row = LEARNT_ROWS + 1
    for block in range(2 * blocks + 2):
        kept = block % 2 == 1
        processor._observers = (part,) if kept else ()  # noqa: SLF001 - the part that is measured comes and goes
        for _ in range(turns_a_block):
            made = turn(names, row, story)
            row += 1
            started = time.perf_counter()
            processor.process(made)
            if kept:
                part.finish(processor)
            if block > 1:  # the first two warm up
                took[kept].append(1000 * (time.perf_counter() - started))
            time.sleep(0.005)  # as a turn waits for messages: the history's thread works here, too
    part.stop()
    store.close()
    without, with_history = summary(took[False]), summary(took[True])
    return {
        "machines": machines,
        "turns": len(took[True]),
        "without_ms": without,
        "with_ms": with_history,
        "ratio": {name: round(with_history[name] / without[name], 3) for name in ("median", "p99")},
        "failure": part.worker.failure,
        "rows_passed_over": part.worker.counts.rows_passed_over,
    }


def rows_of() -> Callable[[int, int], dict[str, float]]:
    """Values of a machine's row."""
    noise = np.random.default_rng(5).normal(size=(997, len(CHANNELS)))
    waves = np.sin(np.arange(5000)[:, None] / np.arange(5, 5 + len(CHANNELS)))

    def values(machine: int, row: int) -> dict[str, float]:
        told = waves[row % 5000] + 0.1 * noise[(31 * machine + row) % 997]
        return dict(zip(CHANNELS, told.round(4).tolist(), strict=True))

    return values


def turn(names: list[str], row: int, values: Callable[[int, int], dict[str, float]]) -> Turn:
    """A row of each machine."""
    arrivals = []
    for at, name in enumerate(names):
        payload = json.dumps({"ts": START_TS + row, "values": values(at, row)}).encode()
        arrivals.append(Arrival(Delivery(f"sensors/{name}", payload, (START_TS + row) * SECOND), None))
    return Turn(Batch(tuple(arrivals), (), 0))


if __name__ == "__main__":
    sys.exit(main())
