"""How the agent's cost grows with machines, channels, the window's hop and the size of a message; in one process.

No broker: decoding, windows, inspection and scores through the pipeline, in processor time, windows full before the
clock starts. Every point is the median of several stretches.

    python -m benchmarks.performance.scaling      # -> benchmarks/results/scaling.json and scaling.png
"""

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl

from benchmarks import RESULTS

mpl.use("Agg")
import numpy as np
from matplotlib import pyplot as plt

from benchmarks.harness.provenance import circumstances
from edge_agent.config.file import Config
from edge_agent.detect.scorer import Scorer
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import CommissionRequest
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Delivery, Profile
from edge_agent.service.wiring import load_scorer, message_decoder, pipeline_settings

RATE_HZ, WINDOW_ROWS, LEARN_ROWS, TURN_S = 20, 128, 1500, 0.02
_LEAST_TURN = 16
"""Messages; an agent that has more to do than it can takes up to 500 at a time."""
_PERIOD_NS = 1_000_000_000 // RATE_HZ
_USUAL = {"machines": 50, "channels": 8, "hop_rows": 20, "block_rows": 1}
POINTS: dict[str, list[int]] = {
    "machines": [10, 50, 200, 800],
    "channels": [2, 8, 32],
    "hop_rows": [5, 20, 128],
    "block_rows": [1, 10, 100],
}
"""One is varied at a time, the others are as usual."""


def main() -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=30_000, help="machine rows that count, of each point")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    scorer = load_scorer(Config.model_validate({}))
    learnt = {channels: profile(scorer, channels) for channels in {*POINTS["channels"], _USUAL["channels"]}}
    found: dict[str, list[dict[str, float]]] = {}
    for axis, values in POINTS.items():
        found[axis] = [
            {axis: value, **cost(scorer, learnt, rows=options.rows, **{**_USUAL, axis: value})}
            for value in values
        ]
    report = circumstances("benchmarks.performance.scaling") | {
        "usual": _USUAL,
        "points": found,
        "exponents": {axis: exponent(axis, points) for axis, points in found.items()},
        "scoring": scoring(scorer, learnt[_USUAL["channels"]]),
    }
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "scaling.json").write_text(json.dumps(report, indent=1) + "\n")
    picture(found, options.results / "scaling.png")
    sys.stdout.write(
        json.dumps({name: report[name] for name in ("points", "exponents", "scoring")}, indent=1) + "\n"
    )
    return 0


def profile(scorer: Scorer, channels: int) -> Profile:
    """A machine that was learnt from simulated rows."""
    rows = _rows(channels, LEARN_ROWS, seed=0)
    names = tuple(f"c{at}" for at in range(channels))
    request = CommissionRequest("m0", names, rows, _PERIOD_NS, 1, LEARN_ROWS * _PERIOD_NS)
    return learn(request, scorer=scorer, settings=PipelineSettings())


def cost(
    scorer: Scorer,
    learnt: dict[int, Profile],
    *,
    rows: int,
    machines: int,
    channels: int,
    hop_rows: int,
    block_rows: int,
) -> dict[str, float]:
    """Processor microseconds of one point."""
    profiles = [replace(learnt[channels], machine=f"m{at}", hop_rows=hop_rows) for at in range(machines)]
    config = Config.model_validate({})
    pipeline = Pipeline(
        decode=message_decoder(config, monotonic=time.monotonic),
        scorer=scorer,
        settings=replace(pipeline_settings(config), machines_limit=machines),
        profiles=profiles,
    )
    unit = math.lcm(hop_rows, block_rows)  # whole hops: every machine is due equally often
    per_machine = -(-rows // machines // unit) * unit
    stream = list(
        deliveries(machines, channels, rows=WINDOW_ROWS + hop_rows + per_machine, block_rows=block_rows)
    )
    warm = machines * -(-(WINDOW_ROWS + hop_rows) // block_rows)
    turn = max(_LEAST_TURN, int(machines * RATE_HZ * TURN_S / block_rows))
    for start in range(0, warm, turn):
        pipeline.step(stream[start : min(start + turn, warm)])
    scored, started = pipeline.ledger.windows_scored, time.process_time()
    for start in range(warm, len(stream), turn):
        pipeline.step(stream[start : start + turn])
    message_s = (time.process_time() - started) / (len(stream) - warm)
    if pipeline.ledger.accepted != len(stream):
        raise AssertionError(pipeline.ledger)
    return {
        "us_per_message": round(1e6 * message_s, 2),
        "us_per_row": round(1e6 * message_s / block_rows, 2),
        "us_per_value": round(1e6 * message_s / block_rows / channels, 3),
        "values_per_s": round(block_rows * channels / message_s),
        "windows": pipeline.ledger.windows_scored - scored,
    }


def deliveries(machines: int, channels: int, *, rows: int, block_rows: int) -> Iterator[Delivery]:
    """All machines in turn, a block of rows each."""
    values, names = _rows(channels, 1024, seed=1), [f"c{at}" for at in range(channels)]
    received_ns, first_s = 1_700_100_000_000_000_000, 1_700_000_000.0
    for begin in range(0, rows, block_rows):
        for machine in range(machines):
            at = (begin + 37 * machine + np.arange(block_rows)) % len(
                values
            )  # a wave that goes on without a jump
            block = values[at].round(3)
            times = [round(first_s + (begin + row) / RATE_HZ, 3) for row in range(block_rows)]
            told = (
                {"ts": times[0], "values": dict(zip(names, block[0].tolist(), strict=True))}
                if block_rows == 1
                else {"ts": times, "values": dict(zip(names, block.T.tolist(), strict=True))}
            )
            yield Delivery(
                f"sensors/m{machine}", json.dumps(told, separators=(",", ":")).encode(), received_ns
            )


def scoring(scorer: Scorer, known: Profile) -> dict[str, float]:
    """The network through the agent's scorer beside the bare session, on the same 64 windows of 8 channels."""
    T = scorer.window_rows
    rows = _rows(len(known.channels), T + 64, seed=2)
    windows = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(rows, T, axis=0)[:64])  # B C T
    flat = windows.reshape(-1, 1, T)
    feeds = {
        "window": flat,
        "observed": np.ones_like(flat),
        "location": np.tile(known.memory["location"], len(windows))[:, None],
        "scale": np.tile(known.memory["scale"], len(windows))[:, None],
    }
    session, outputs = scorer.session._started, ["embedding", "reconstruction"]  # noqa: SLF001 - the bare one beside it
    ours, bare = [], []
    for _ in range(9):
        started = time.process_time()
        scorer.encode(windows, known.memory["location"], known.memory["scale"])
        between = time.process_time()
        session.run(outputs, feeds)
        ours.append(between - started)
        bare.append(time.process_time() - between)
    shares = [alone / whole for alone, whole in zip(bare, ours, strict=True)]
    return {
        "onnxruntime_us_per_channel_window": round(1e6 * statistics.median(bare) / len(flat), 2),
        "scorer_us_per_channel_window": round(1e6 * statistics.median(ours) / len(flat), 2),
        "share_of_onnxruntime": round(statistics.median(shares), 3),
    }


def exponent(axis: str, points: list[dict[str, float]]) -> float:
    """How the whole cost grows: the slope of its logarithm; 1 is linear in machines, channels or scores."""
    whole = {"machines": lambda p: p["us_per_row"] * p[axis], "channels": lambda p: p["us_per_row"]}
    size = {"hop_rows": lambda p: 1.0 / p[axis]}.get(axis, lambda p: p[axis])
    costs = [whole.get(axis, lambda p: p["us_per_message"])(point) for point in points]
    sizes = [size(point) for point in points]
    return round(float(np.polyfit(np.log(sizes), np.log(costs), 1)[0]), 2)


def picture(found: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Microseconds a row against each."""
    figure, axes = plt.subplots(1, len(found), figsize=(12, 2.8), constrained_layout=True)
    for axis, (name, points) in zip(axes, found.items(), strict=True):
        axis.plot([p[name] for p in points], [p["us_per_row"] for p in points], marker="o", color="#345")
        axis.set_xscale("log")
        axis.set_xticks([p[name] for p in points], [f"{p[name]:g}" for p in points])
        axis.minorticks_off()
        axis.set_ylim(0, 1.1 * max(p["us_per_row"] for p in points))
        axis.set_xlabel(name.replace("_", " "))
    axes[0].set_ylabel("µs of processor a machine row")
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _rows(channels: int, count: int, *, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    wave = np.sin(2 * np.pi * np.arange(count) / 32)[:, None]
    noise = np.clip(rng.normal(size=(count, channels)), -2.5, 2.5)
    return (10.0 * (np.arange(channels) + 1) + wave + 0.1 * noise).astype(np.float32)


if __name__ == "__main__":
    sys.exit(main())
