"""What a machine costs a gateway: seconds to commission it, milliseconds to score a window, for each shipped encoder.

`python -m benchmarks.performance.cost`; one thread. Times are of this process alone where they are CPU seconds, and
of the wall where they are latencies: run it on an idle machine.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import simulator
from benchmarks import RESULTS
from benchmarks.harness.provenance import circumstances
from edge_agent.config.sections import SHIPPED_BUNDLES
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle as bundles
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.results import CommissionRequest
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import WindowBlock

CHANNELS, ROWS = 8, 3600
_SECOND_NS = 1_000_000_000
_WARM_UP = 100


def main() -> int:
    """Measure and write benchmarks/results/cost.json."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=RESULTS / "cost.json")
    options = parser.parse_args()
    report = circumstances("benchmarks.performance.cost") | {
        "channels": CHANNELS,
        "commission_rows": ROWS,
        "calls": options.calls,
        "models": {name: measure(path, calls=options.calls) for name, path in SHIPPED_BUNDLES.items()},
    }
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    sys.stdout.write(json.dumps(report["models"], indent=1) + "\n")
    return 0


def measure(path: Path, *, calls: int) -> dict[str, float]:
    """Commissioning one machine, the network alone on a window, and the whole score of a window."""
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
    }


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
