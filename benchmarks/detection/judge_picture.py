"""What the network does, as a picture: `python -m benchmarks.detection.judge_picture [--out docs/images/judge.png]`.

A simulated chiller is learnt from ten minutes and fails three times. Drawn are its signals, what the network is told of
them, and its score beside that of the statistics alone and of random weights in its place.
"""

import argparse
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from benchmarks import ROOT
from benchmarks.detection.networks import NONE, judged
from benchmarks.few_minutes.methods import agent
from benchmarks.few_minutes.plants import Plant, Spec
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from edge_agent.model.session import ModelSession
from simulator import Injection, simulate

mpl.use("Agg")
from matplotlib import pyplot as plt

LEARNT_ROWS = 600
FAULTS = ("water_flow_low", "refrigerant_leak", "air_in_refrigerant")
_SEED = 1_980_000_000
_CALM_ROWS, _FAULT_ROWS, _APART_ROWS = 3600, 500, 1200
_FAR = 6.0


def main() -> int:
    """Draw it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs/images/judge.png")
    session = ModelSession.open(bundle.read(ROOT / "edge_agent/models/pretrained"), provider="cpu", threads=1)
    _draw(_plant(), Scorer(session, expecting=False), parser.parse_args().out)
    return 0


def _plant() -> Plant:
    at, faults = LEARNT_ROWS + _CALM_ROWS, []
    for name in FAULTS:
        faults.append(Injection(name, at, 60, 1.0, at + _FAULT_ROWS))
        at += _FAULT_ROWS + _APART_ROWS
    run = simulate("chiller", rows=at, seed=_SEED, machine_seed=_SEED + 1, injections=faults)
    spec = Spec("chiller", 0, LEARNT_ROWS)
    return Plant(spec, run.channels, run.values, tuple(faults), tuple(() for _ in faults))


def _draw(plant: Plant, scorer: Scorer, out: Path) -> None:
    figure, (signals, told, score) = plt.subplots(3, 1, figsize=(9, 7), sharex=True, layout="constrained")
    minutes, ends = np.arange(len(plant.rows)) / 60, plant.ends / 60
    learnt = plant.rows[:LEARNT_ROWS]
    z = (plant.rows - np.median(learnt, axis=0)) / (learnt.std(axis=0) + 1e-6)
    for at, channel in enumerate(z.T):
        signals.plot(minutes, np.clip(channel, -_FAR, _FAR) / _FAR - 1.5 * at, lw=0.4)
    signals.set_yticks(-1.5 * np.arange(len(plant.channels)), plant.channels, fontsize=6)
    signals.set_title(
        "1  The machine's channels; learnt is the blue part, red are faults", loc="left", fontsize=9
    )
    image = told.pcolormesh(
        ends,
        np.arange(len(plant.channels)),
        _distance(z, plant.ends),
        cmap="Greys",
        vmin=0,
        vmax=3,
        rasterized=True,
    )
    told.set_yticks(np.arange(len(plant.channels)), plant.channels, fontsize=6)
    told.invert_yaxis()
    told.set_title(
        "2  What it is told, in short: how far each channel is from its own calm rows (logarithm)",
        loc="left",
        fontsize=9,
    )
    figure.colorbar(image, ax=told, pad=0.01)
    lines = (
        ("statistics alone", NONE, "#999"),
        ("random weights", "random:1", "#e90"),
        ("the network", "shipped", "#06c"),
    )
    for name, which, colour in lines:
        value = agent(judged(scorer, which))(plant).value
        score.semilogy(ends, np.maximum(value, 0.05), color=colour, lw=1, label=name)
    score.axhline(1, color="k", lw=0.8, ls=":")
    score.set_title("3  What comes out: a score, above 1 is an alarm", loc="left", fontsize=9)
    score.legend(fontsize=7, loc="upper left", ncols=3)
    score.set_xlabel("minutes")
    for axes in (signals, told, score):
        axes.axvspan(0, LEARNT_ROWS / 60, color="#06c", alpha=0.12, lw=0)
        for fault in plant.faults:
            axes.axvspan(fault.start_row / 60, (fault.end_row or 0) / 60, color="#c00", alpha=0.12, lw=0)
    score.set_xlim(0, len(plant.rows) / 60)
    figure.savefig(out, dpi=110)


def _distance(z: NDArray[np.floating], ends: NDArray[np.int64]) -> NDArray[np.floating]:
    """Mean deviation of the newest 32 rows of each window, [C, W]."""
    means = sliding_window_view(z, 32, axis=0).mean(axis=2)[ends - 32]
    found: NDArray[np.floating] = np.log1p(np.abs(means)).T
    return found


if __name__ == "__main__":
    sys.exit(main())
