"""What a machine costs a gateway: seconds to commission it, milliseconds to score a window, for each shipped encoder.

`python -m benchmarks.performance.cost`; one thread. Times are of this process alone where they are CPU seconds, and
of the wall where they are latencies: run it on an idle machine. What a window costs as the service runs is told without
the bundle's judge and with it, taking turns, for one machine and for as many as are scored together.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import simulator
from benchmarks import RESULTS
from benchmarks.harness.provenance import circumstances
from edge_agent.config.sections import SHIPPED_BUNDLES
from edge_agent.detect.detectors.in_context import InContext
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle as bundles
from edge_agent.model.bundle import Bundle
from edge_agent.model.session import ModelSession
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.results import CommissionRequest
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Profile, WindowBlock
from edge_agent.service.process import keep_heap
from edge_agent.store.state_dir import StateDir

CHANNELS, ROWS = 8, 3600
MACHINES = 32
"""As many as are scored together (`detect.ensemble`)."""
_SECOND_NS = 1_000_000_000
_WARM_UP = 100


def main() -> int:
    """Measure and write benchmarks/results/cost.json."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument(
        "--turns", type=int, default=400, help="of each way to score windows as the service does"
    )
    parser.add_argument("--out", type=Path, default=RESULTS / "cost.json")
    options = parser.parse_args()
    report = circumstances("benchmarks.performance.cost") | {
        "channels": CHANNELS,
        "commission_rows": ROWS,
        "calls": options.calls,
        "turns": options.turns,
        "models": {
            name: measure(path, calls=options.calls, turns=options.turns)
            for name, path in SHIPPED_BUNDLES.items()
        },
    }
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    sys.stdout.write(json.dumps(report["models"], indent=1) + "\n")
    return 0


def measure(path: Path, *, calls: int, turns: int) -> dict[str, Any]:
    """Commissioning one machine, the network alone on a window, its whole score, and its score as the service runs."""
    scorer = Scorer.load(bundles.read(path), provider="cpu")
    rows = _rows()
    names = tuple(f"c{number}" for number in range(CHANNELS))
    request = CommissionRequest("m", names, rows, _SECOND_NS, 1, ROWS * _SECOND_NS)
    started = time.process_time()
    profile = learn(request, scorer=scorer, settings=PipelineSettings())
    commissioned_s = time.process_time() - started
    window = np.ascontiguousarray(rows[-scorer.window_rows :].T)[None]  # 1 C T
    times = np.array([ROWS * _SECOND_NS])
    block = WindowBlock(machine="m", values=window, end_rows=np.array([ROWS - 1]), times_ns=times)
    location, scale = profile.memory["location"], profile.memory["scale"]
    network = _latency_ms(lambda: scorer.encode(window, location, scale), calls=calls)
    whole = _latency_ms(lambda: scorer.score([block], [profile]), calls=calls)
    return {
        "commission_cpu_s": round(commissioned_s, 2),
        "network_p50_ms": round(network[0], 3),
        "network_p99_ms": round(network[1], 3),
        "score_p50_ms": round(whole[0], 3),
        "score_p99_ms": round(whole[1], 3),
        "profile_kb": _kilobytes(profile, ""),
        "of_it_for_a_judge_kb": _kilobytes(profile, f"{InContext.name}_"),
        "window_cpu_ms": as_served(scorer.bundle, profile, block, turns=turns),
    }


def as_served(
    bundle: Bundle, profile: Profile, block: WindowBlock, *, turns: int
) -> dict[str, dict[str, Any]]:
    """Processor a window, without a judge and with the bundle's own, of one machine and of several together.

    The machines' memories are restored from files as the service restores them, and nobody looks at what the encoder
    makes of a window. All ways take turns.
    """
    keep_heap()  # as the service does
    ways = {"without a judge": replace(bundle, judge=None)} | ({"judge": bundle} if bundle.judge else {})
    work: dict[tuple[str, int], Callable[[], object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        restored = _restored(Path(folder), profile, encoder=bundle.encoder)
        blocks = [replace(block, machine=each.machine) for each in restored]
        for name, used in ways.items():
            scorer = Scorer(ModelSession.open(used, provider="cpu"), expecting=False)
            for count in (1, MACHINES):
                work[name, count] = partial(scorer.score, blocks[:count], restored[:count])
        spent = _taking_turns(work, turns=turns)
    return {
        "one machine" if count == 1 else f"{count} machines together": {
            name: _quartiles(spent[name, count] / count) for name in ways
        }
        for count in (1, MACHINES)
    }


def _restored(folder: Path, profile: Profile, *, encoder: str) -> list[Profile]:
    store = StateDir(folder)
    store.open()
    for number in range(MACHINES):
        store.save_profile(replace(profile, machine=f"m{number}"))
    found = store.load(encoder=encoder).profiles
    store.close()
    return list(found)


def _taking_turns(
    work: Mapping[tuple[str, int], Callable[[], object]], *, turns: int
) -> dict[tuple[str, int], np.ndarray]:
    """Milliseconds of this thread's processor in each turn of each work."""
    spent: dict[tuple[str, int], list[int]] = {name: [] for name in work}
    for turn in range(turns + turns // 10):
        for name, call in work.items():
            started = time.thread_time_ns()
            call()
            if turn >= turns // 10:
                spent[name].append(time.thread_time_ns() - started)
    return {name: np.array(each) / 1e6 for name, each in spent.items()}


def _quartiles(spent: np.ndarray) -> dict[str, Any]:
    low, median, high = (round(float(each), 3) for each in np.quantile(spent, [0.25, 0.5, 0.75]))
    return {"median": median, "range": [low, high]}


def _kilobytes(profile: Profile, prefix: str) -> float:
    found = sum(array.nbytes for name, array in profile.memory.items() if name.startswith(prefix))
    return round(found / 1000, 1)


def _rows() -> np.ndarray:
    """An hour of two simulated machines side by side, [R, C]."""
    kinds = list(simulator.MEASURED_KINDS)
    parts = [simulator.simulate(kind, rows=ROWS, seed=seed).values for seed, kind in enumerate(kinds)]
    return np.concatenate(parts, axis=1)[:, :CHANNELS].astype(np.float32)


def _latency_ms(work: Callable[[], object], *, calls: int) -> tuple[float, float]:
    """(median, 99 % point) of single calls."""
    spent = []
    for _ in range(_WARM_UP + calls):
        started = time.perf_counter()
        work()
        spent.append(time.perf_counter() - started)
    median, late = np.quantile(spent[_WARM_UP:], [0.5, 0.99]) * 1000
    return float(median), float(late)


if __name__ == "__main__":
    sys.exit(main())
