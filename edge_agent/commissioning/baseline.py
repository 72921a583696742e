"""How a gateway learns what is normal for one machine from calm rows; pure, and no training of a network.

What it writes is the machine's memory: a flat mapping of arrays that `chorus.score` reads. What the voices remember is
`remember`; how much each counts, its scale and the threshold are decided here.

Axes: R rows, C channels, W calm windows, T rows of a window, V voices.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.commissioning import drift, reference_bank
from edge_agent.commissioning.reference_bank import Encode
from edge_agent.commissioning.threshold import shared, threshold
from edge_agent.detect import detectors
from edge_agent.detect.detectors import LENGTHS_ROWS, VOICES
from edge_agent.errors import CommissionError
from edge_agent.signals.features import Float32, scales

# Fewer calm windows than this cannot tell how large a calm score may be.
_FEWEST_WINDOWS = 100
# Calm windows that are looked at; more would only cost time, neighbours being almost equal.
_MOST_WINDOWS = 4000
# Calm windows further out than this many times the usual reach, but at most this share, are forgotten:
# commissioning rows are rarely all calm.
_TRIM_BEYOND = 6.0
_TRIM_SHARE = 0.05
# How much the threshold is raised for each window's length that the calm rows hold too few.
_SHORTNESS = 0.5
_LEAST_THRESHOLD = 1.0  # the 99 % point of calm; a machine that stood still has nothing to set a threshold by
# Say of each group of voices, shared within the group: in what alarms, where the raw-window model is the only
# one that sees relations between channels, and in what ranks.
# The embedding ranks but does not alarm: a slow drift moves it too far. The reconstruction's errors are heard for
# the record but count for neither (docs/experiments.md).
_ALARMING = {"together": 4.0, "shape": 2.0}
_JUMPING = {"jump": 1.0}
# Voices that look at the newest rows only: when they are calm, a fault that they saw is over.
_RECENT = {"together_16": 1.0, "together_32": 1.0, "shape": 2.0}
_RANKING = {
    "wide": 1.0,
    "alone": 1.0,
    "change": 0.7,
    "contrast": 0.4,
    "shape": 0.35,
    "embedding": 1.5,
}


def commission(
    rows: Float32,
    *,
    window_rows: int,
    encode: Encode | None,
    budget_per_week: float,
    windows_per_week: float,
    seed: int,
    hop_rows: int = 1,
    seams: Sequence[int] = (),
) -> Mapping[str, NDArray[Any]]:
    """Learn a machine's memory from calm rows.

    Args:
        rows: calm rows [R, C] in physical units, NaN where hidden.
        window_rows: rows of a window, T.
        encode: the pre-trained encoder (windows [B, C, T], location [C], scale [C]) -> Encoded, or None.
        budget_per_week: false alarms a week that the operator accepts.
        windows_per_week: windows the machine is scored on in a week.
        seed: for the choice of remembered windows.
        hop_rows: rows from one scored window to the next, so that calm rows are rightly counted as time.
        seams: rows before which time leaps: no window bridges them.

    Returns:
        name -> array; "location" and "scale" are [C], "threshold" is [2] (see `voices.fuse`), "recent_threshold" 0-d.

    Raises:
        CommissionError: too few usable rows.
    """
    rows = _checked(rows, window_rows)
    memory: dict[str, NDArray[Any]] = dict(scales(rows))
    memory["lengths"] = np.array([length for length in LENGTHS_ROWS if length <= window_rows])
    stride = -(-(len(rows) - window_rows + 1) // _MOST_WINDOWS)
    calm = reference_bank.observe(
        memory, rows, window_rows=window_rows, stride=stride, encode=encode, seams=seams
    )
    kept = np.ones(len(calm.ends), dtype=bool)
    for _ in range(2):
        raw = _heard(memory, calm, kept=kept, seed=seed)
        memory["calibration"] = _calibration(raw[kept])
        scores, recent, _ = detectors.fuse(memory, detectors.calibrate(memory, raw))
        alike = _alike(scores[:, 0]) & kept
        if np.array_equal(alike, kept):
            break
        kept = alike
    # Windows share rows: of short commissioning only a few are independent, and what they saw is not all that is calm.
    caution = 1.0 + _SHORTNESS * window_rows / len(rows)
    limits = [
        threshold(
            part[kept],
            windows_per_week=windows_per_week,
            budget_per_week=budget,
            stride=stride / hop_rows,
            independent=len(rows) / window_rows,
        )
        for part, budget in zip(
            (*scores.T, recent), (*shared(budget_per_week, 2), budget_per_week), strict=True
        )
    ]
    *together, newest = np.maximum(caution * np.array(limits, np.float32), np.float32(_LEAST_THRESHOLD))
    memory["threshold"], memory["recent_threshold"] = np.array(together), newest
    memory |= drift.reference(rows, detectors.joined(scores[kept] / memory["threshold"]))
    return {name: np.asarray(array) for name, array in memory.items()}


def fewest_rows(window_rows: int) -> int:
    """Calm rows that a machine cannot be learnt without, for windows of so many rows."""
    return window_rows + _FEWEST_WINDOWS - 1


def _checked(rows: Float32, window_rows: int) -> Float32:
    rows = np.asarray(rows, np.float32)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise CommissionError(f"rows of shape {rows.shape}: expected [rows, channels]")
    needed = fewest_rows(window_rows)
    usable = int(np.isfinite(rows).any(axis=1).sum())
    if usable < needed:
        raise CommissionError(f"{usable} usable calm rows, {needed} are needed for windows of {window_rows}")
    return rows


def _heard(
    memory: dict[str, NDArray[Any]], calm: reference_bank.Calm, *, kept: NDArray[np.bool_], seed: int
) -> Float32:
    """Learn from the kept windows; returns what each voice says of all calm windows, [W, V]."""
    said = reference_bank.learn(memory, calm, kept=kept, rng=np.random.default_rng(seed))
    memory["weights"] = np.stack([_weights(said, say) for say in (_ALARMING, _JUMPING, _RECENT, _RANKING)])
    silent = np.zeros(len(calm.ends), np.float32)
    return np.stack([said.get(voice, silent) for voice in VOICES], axis=1)


def _calibration(raw: Float32) -> Float32:
    """[2, V]: calm median of each voice and its reach, never quite 0."""
    middle, reach = reference_bank.usual_and_reach(raw.T, 0.0)
    calibration: Float32 = np.stack([middle, np.maximum(reach, 1e-3 * np.abs(middle) + 1e-6)])
    return calibration


def _weights(said: Mapping[str, Float32], say: Mapping[str, float]) -> Float32:
    """Say of each voice [V], 0 for the absent; sums to 1. A group's say is shared among its voices."""
    present = np.array([voice in said for voice in VOICES])
    weights = np.zeros(len(VOICES))
    for name, amount in say.items():
        members = present & [voice == name or voice.startswith(f"{name}_") for voice in VOICES]
        weights += amount * members / max(members.sum(), 1)
    say_of_each: Float32 = (weights / weights.sum()).astype(np.float32)
    return say_of_each


def _alike(scores: Float32) -> NDArray[np.bool_]:
    """Windows that look like the rest: all but the few that stand far out."""
    middle, high = np.quantile(scores, [0.5, 0.9])
    fence = max(middle + _TRIM_BEYOND * (high - middle), float(np.quantile(scores, 1.0 - _TRIM_SHARE)))
    return np.asarray(scores <= fence)
