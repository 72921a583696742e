"""Day one on a high-rate sensor: blocks of a normal machine against blocks of a faulty one, learnt without any label.

For the diagnosis benchmark. The first half of a normal recording is learnt; its second half and the faulty recordings
are judged. Nothing is chosen on them. Measure: area under the ROC curve; of the agent, by its score.

Axes: M blocks, S samples of a block, A axes, F numbers, R rows, C channels of the spectral frames.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from benchmarks import ROOT
from benchmarks.diagnosis.datasets import read_index, read_rows
from benchmarks.diagnosis.spectral_views import ROWS, Floats, frames_of
from benchmarks.diagnosis.vibration_datasets import FAN_RATE_HZ, FAN_SAMPLES, cut_blocks
from edge_agent.commissioning.baseline import commission
from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from edge_agent.signals.spectrum import SpectralFrames, describe_frames

_CWRU_SAMPLES, _CWRU_RATE_HZ = 8192, 48_000.0
_CWRU_TURNING_HZ, _FAN_TURNING_HZ = 29.0, 4.0
_NEIGHBOURS = 3
_LEAST_SPREAD = 0.05


@dataclass(frozen=True, slots=True)
class Trial:
    """One machine: normal samples [S, A] to learn from, blocks [M, S, A] of its later normal ones and of its faults."""

    rate_hz: float
    turning_hz: float
    learnt: Floats
    later: Floats
    faulty: Floats


def cwru(data: Path) -> Iterator[Trial]:
    """Bearings at 48 kHz, the only rate at which CWRU's normal and faulty recordings were left as they were taken."""
    folder = data / "cwru"
    index = [row for row in read_index(folder) if row["family"] == "DE48"]
    normal = [row for row in index if row["fault"] == "Normal"]
    faulty = [
        cut_blocks(read_rows(folder / row["file"])[0][:, :1], _CWRU_SAMPLES)
        for row in index
        if row["fault"] != "Normal"
    ]
    for row in normal:
        learnt, later = _halves(read_rows(folder / row["file"])[0][:, :1], _CWRU_SAMPLES)
        yield Trial(_CWRU_RATE_HZ, _CWRU_TURNING_HZ, learnt, later, np.concatenate(faulty))


def fan(data: Path) -> Iterator[Trial]:
    """Ceiling fan at each of three speeds; balanced and imbalanced are one session each."""
    folder = data / "fan_accel"
    for speed in ("low", "med", "high"):
        samples = [
            read_rows(folder / f"fan_0_{speed}_{weights}_weight.parquet", but=("label", "window"))[0]
            for weights in (0, 1)
        ]
        learnt, later = _halves(samples[0], FAN_SAMPLES)
        yield Trial(FAN_RATE_HZ, _FAN_TURNING_HZ, learnt, later, cut_blocks(samples[1], FAN_SAMPLES))


TRIALS = {"cwru_normal": cwru, "fan_normal": fan}


def measure(name: str, data: Path) -> dict[str, Any]:
    """AUROC of each method, mean of the set's machines."""
    found: dict[str, list[float]] = {}
    trials = list(TRIALS[name](data))
    for trial in trials:
        for method, scores in _scores(trial):
            truth = np.repeat([0, 1], [len(trial.later), len(trial.faulty)])
            found.setdefault(method, []).append(float(roc_auc_score(truth, scores)))
    for method, values in found.items():
        print(f"{name:16s} {method:44s} {np.round(values, 4).tolist()}", flush=True)
    sizes = "; ".join(
        f"{len(trial.later)} normal and {len(trial.faulty)} faulty blocks of {trial.later.shape[1]} samples"
        for trial in trials
    )
    return {
        "size": f"Calm is half of a normal recording. {sizes}.",
        "auroc": {
            method: {"mean": round(float(np.mean(values)), 4), "each": [round(value, 4) for value in values]}
            for method, values in found.items()
        },
    }


def _halves(samples: Floats, size: int) -> tuple[Floats, Floats]:
    half = len(samples) // 2
    return samples[:half], cut_blocks(samples[half:], size)


def _scores(trial: Trial) -> Iterator[tuple[str, NDArray[Any]]]:
    asked = np.concatenate([trial.later, trial.faulty])
    size = asked.shape[1]
    learnt = cut_blocks(trial.learnt, size)
    yield "loudness alone", _far(_loudness(learnt), _loudness(asked))
    yield "hand-made spectra, distance to calm", _far(_hand(trial, learnt), _hand(trial, asked))
    rows = SpectralFrames.of_blocks(size, rate_hz=trial.rate_hz, rows=ROWS).rows(trial.learnt)
    windows = frames_of(asked, rate_hz=trial.rate_hz)
    yield "spectral frames, the agent's score", _agent(rows, windows)


def _agent(rows: Floats, windows: Floats) -> Floats:
    """The score of the agent as it ships, judge included where windows are long enough for it, by rows [R, C]."""
    judge = shipped().judge
    memory = commission(
        rows,
        window_rows=ROWS,
        encode=None,
        budget_per_week=1.0,
        windows_per_week=10_000.0,
        seed=0,
        judge=judge,
    )
    return ENSEMBLE.score(memory, windows, None, judge=judge).value


@functools.cache
def shipped() -> Scorer:
    """The model that the agent ships with."""
    return Scorer.load(bundle.read(ROOT / "edge_agent/models/pretrained"), provider="cpu")


def _loudness(blocks: Floats) -> Floats:
    return np.log(blocks.std(axis=1) + 1e-9)


def _hand(trial: Trial, blocks: Floats) -> Floats:
    seen = [
        describe_frames(blocks[:, :, axis], rate_hz=trial.rate_hz, turning_hz=trial.turning_hz)
        for axis in range(blocks.shape[2])
    ]
    return np.concatenate(seen, axis=1)


def _far(learnt: Floats, asked: Floats) -> NDArray[Any]:
    """Mean distance to the nearest learnt blocks, every number in units of its learnt spread."""
    centre, spread = learnt.mean(axis=0), np.maximum(learnt.std(axis=0), _LEAST_SPREAD)
    nearest = NearestNeighbors(n_neighbors=_NEIGHBOURS).fit((learnt - centre) / spread)
    distance: NDArray[Any] = nearest.kneighbors((asked - centre) / spread)[0].mean(axis=1)
    return distance
