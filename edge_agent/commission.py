"""How a gateway learns what is normal for one machine from calm rows; pure, and no training of a network.

What it writes is the machine's memory: a flat mapping of arrays that `voices.score` reads. All figures
that decide about alarms (calibration of the voices, threshold) come from scores that a window got from a
memory without its own neighbourhood: a window is always close to itself, and a threshold set on such
scores would be exceeded all the time.

Axes: R rows, C channels, W calm windows, T rows of a window, V voices, M remembered windows.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_agent import voices
from edge_agent.budget import threshold
from edge_agent.errors import CommissionError
from edge_agent.features import Float32, standardise, statistics
from edge_agent.voices import LENGTHS_ROWS, VOICES, Encoded

Encode = Callable[[Float32, Float32, Float32], Encoded]

# Fewer calm windows than this cannot tell how large a calm score may be.
_FEWEST_WINDOWS = 100
# Calm windows that are looked at; more would only cost time, neighbours being almost equal.
_MOST_WINDOWS = 4000
# Windows that a memory holds: bounds its size and the time of a score.
_BANK_WINDOWS = 800
_CHUNK_WINDOWS = 512
# Rows of the raw-window model.
_SHAPE_ROWS = 16
_FOLDS = 5
# The raw-window model is the only voice that sees relations between channels; the statistics say nearly the same four
# times over.
_WEIGHT = {"shape": 2.0}
# Bounds of a standardised value: a channel that never moved says little by moving, but not nothing.
_LIMIT = 100.0
_LIMIT_CONSTANT = 5.0
# Least calm spread of each statistic (calm scales; nats for the bands), so that a statistic that happened to
# stand still does not make a fault of every breath.
_LEAST_SPREAD = np.array([0.05, 0.05, 0.05, 0.05, 0.02] + [0.5] * 6, np.float32)
_LEAST_EMBEDDING_SPREAD = 0.05
# Calm windows further out than this many times the usual reach, but at most this share, are forgotten:
# commissioning rows are rarely all calm.
_TRIM_BEYOND = 6.0
_TRIM_SHARE = 0.05


def commission(
    rows: Float32,
    *,
    window_rows: int,
    encode: Encode | None,
    budget_per_week: float,
    windows_per_week: float,
    seed: int,
) -> Mapping[str, NDArray[Any]]:
    """Learn a machine's memory from calm rows.

    Args:
        rows: calm rows [R, C] in physical units, NaN where hidden.
        window_rows: rows of a window, T.
        encode: the pre-trained encoder (windows [B, C, T], location [C], scale [C]) -> Encoded, or None.
        budget_per_week: false alarms a week that the operator accepts.
        windows_per_week: windows the machine is scored on in a week.
        seed: for the choice of remembered windows.

    Returns:
        name -> array; "location" and "scale" are [C], "threshold" is 0-d.

    Raises:
        CommissionError: too few usable rows, or a channel without any.
    """
    rows = np.asarray(rows, dtype=np.float32)
    _check(rows, window_rows)
    memory: dict[str, NDArray[Any]] = dict(_scales(rows))
    stride = -(-(len(rows) - window_rows + 1) // _MOST_WINDOWS)
    ends = np.arange(window_rows, len(rows) + 1, stride)
    windows = sliding_window_view(rows, window_rows, axis=0)[ends - window_rows]
    rng = np.random.default_rng(seed)
    described, errors = _describe(memory, windows, encode)
    kept = np.ones(len(ends), dtype=bool)
    for _ in range(2):
        raw = _learn(memory, described, errors, ends=ends, kept=kept, rng=rng)
        memory["calibration"] = _calibration(raw[kept])
        scores = voices.fuse(memory, voices.calibrate(memory, raw))
        kept = _calm(scores)
        if kept.all():
            break
    limit = threshold(
        scores[kept], windows_per_week=windows_per_week, budget_per_week=budget_per_week, stride=stride
    )
    memory["threshold"] = np.asarray(limit, np.float32)
    return {name: np.asarray(array) for name, array in memory.items()}


def _check(rows: Float32, window_rows: int) -> None:
    needed = window_rows + _FEWEST_WINDOWS - 1
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise CommissionError(f"rows of shape {rows.shape}: expected [rows, channels]")
    observed = np.isfinite(rows)
    usable = int(observed.any(axis=1).sum())
    if usable < needed:
        raise CommissionError(f"{usable} usable calm rows, {needed} are needed for windows of {window_rows}")


def _scales(rows: Float32) -> dict[str, NDArray[Any]]:
    """Robust location, scale and bound of each channel; a channel never observed is constant at 0."""
    n_channels = rows.shape[1]
    location, spread = np.zeros(n_channels), np.zeros(n_channels)
    for channel in range(n_channels):
        values = rows[np.isfinite(rows[:, channel]), channel].astype(np.float64)
        if values.size:
            location[channel], spread[channel] = _location_and_spread(values)
    resolution = 1e-6 * np.maximum(np.abs(location), 1e-3)
    constant = spread <= resolution
    scale = np.where(constant, np.maximum(0.01 * np.abs(location), 1e-3), spread)
    return {
        "location": location.astype(np.float32),
        "scale": scale.astype(np.float32),
        "limit": np.where(constant, _LIMIT_CONSTANT, _LIMIT).astype(np.float32),
    }


def _location_and_spread(values: NDArray[np.float64]) -> tuple[float, float]:
    """Median and robust sd; where most rows are equal, the sd of all of them."""
    middle = float(np.median(values))
    low, high = np.quantile(values, [0.02, 0.98])
    spread = max(1.4826 * float(np.median(np.abs(values - middle))), float(high - low) / 4.1)
    return middle, spread if spread > 0 else float(values.std())


def _describe(
    memory: Mapping[str, NDArray[Any]], windows: Float32, encode: Encode | None
) -> tuple[dict[str, Float32], Float32 | None]:
    """What each voice describes of the calm windows [W, C, ...], and the encoder's errors [W, C]."""
    found: dict[str, list[Float32]] = {}
    errors: list[Float32] = []
    location, scale = memory["location"], memory["scale"]
    lengths = [length for length in LENGTHS_ROWS if length <= windows.shape[2]]
    shape_rows = min(_SHAPE_ROWS, windows.shape[2])
    for start in range(0, len(windows), _CHUNK_WINDOWS):
        chunk = np.ascontiguousarray(windows[start : start + _CHUNK_WINDOWS])
        z = standardise(chunk, location=location, scale=scale, limit=memory["limit"])
        found.setdefault("shape", []).append(z[..., -shape_rows:].copy())
        for length in lengths:
            found.setdefault(f"statistics_{length}", []).append(statistics(z[..., -length:]))
        if encode is not None:
            encoded = encode(chunk, location, scale)
            found.setdefault("embedding", []).append(encoded.embedding)
            one = np.ones(chunk.shape[1], np.float32)
            error = voices.reconstruction_error(chunk, encoded.reconstruction, scale=scale, usual=one)
            errors.append(np.sqrt(error[1]))
    joined = {name: np.concatenate(parts) for name, parts in found.items()}
    return joined, np.concatenate(errors) if errors else None


def _learn(
    memory: dict[str, NDArray[Any]],
    described: Mapping[str, Float32],
    errors: Float32 | None,
    *,
    ends: NDArray[np.int64],
    kept: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Float32:
    """Fill the memory from the kept windows; returns the voices [W, V] of a memory without the neighbours."""
    raw = np.zeros((len(ends), len(VOICES)), np.float32)
    weights = np.zeros(len(VOICES), np.float32)
    chosen = _bank(kept, rng)
    for index, voice in enumerate(VOICES):
        if voice == "shape":
            raw[:, index] = _learn_shape(memory, described["shape"], ends=ends, kept=kept)
            weights[index] = _WEIGHT.get(voice, 1.0)
        elif voice == "reconstruction" and errors is not None:
            usual = np.maximum(np.median(errors[kept], axis=0), 1e-3).astype(np.float32)
            memory["reconstruction_usual"] = usual
            raw[:, index] = (errors / usual).max(axis=1)
            weights[index] = _WEIGHT.get(voice, 1.0)
        elif voice in described:
            reach = _reach_rows(voice)
            raw[:, index] = _learn_bank(
                memory, voice, described[voice], ends=ends, kept=kept, chosen=chosen, reach_rows=reach
            )
            weights[index] = _WEIGHT.get(voice, 1.0)
    memory["weights"] = weights / weights.sum()
    return raw


def _reach_rows(voice: str) -> int:
    return int(voice.rpartition("_")[2]) if voice.startswith("statistics") else LENGTHS_ROWS[-1]


def _bank(kept: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Windows to remember: spread evenly over the calm time, at a random point of each share."""
    candidates = np.flatnonzero(kept)
    if candidates.size <= _BANK_WINDOWS:
        return candidates
    edges = np.linspace(0, candidates.size, _BANK_WINDOWS + 1)
    at = edges[:-1] + rng.random(_BANK_WINDOWS) * np.diff(edges)
    return candidates[np.minimum(at.astype(np.int64), candidates.size - 1)]


def _learn_bank(
    memory: dict[str, NDArray[Any]],
    voice: str,
    described: Float32,
    *,
    ends: NDArray[np.int64],
    kept: NDArray[np.bool_],
    chosen: NDArray[np.int64],
    reach_rows: int,
) -> Float32:
    """Remember descriptions [W, C, F]; returns each window's distance to remembered ones it shares no row with."""
    calm = described[kept]
    centre = np.median(calm, axis=0)
    low, high = np.quantile(calm, [0.02, 0.98], axis=0)
    spread = np.maximum(1.4826 * np.median(np.abs(calm - centre), axis=0), (high - low) / 4.1)
    least = _LEAST_EMBEDDING_SPREAD if voice == "embedding" else _LEAST_SPREAD
    spread = np.maximum(spread, least).astype(np.float32)
    points = voices.describe(described, centre=centre, spread=spread)
    bank = points[chosen]
    memory[f"{voice}_centre"], memory[f"{voice}_spread"] = centre.astype(np.float32), spread
    memory[f"{voice}_bank"] = bank
    # With few rows every window would be barred: let the far half of the recording count in any case.
    apart_rows = min(reach_rows, (int(ends[-1]) - int(ends[0])) // 4)
    distances = []
    for start in range(0, len(points), _CHUNK_WINDOWS):
        own = ends[start : start + _CHUNK_WINDOWS]
        barred = np.abs(own[:, None] - ends[chosen][None, :]) < apart_rows
        distances.append(voices.neighbours(points[start : start + _CHUNK_WINDOWS], bank, barred=barred)[0])
    return np.concatenate(distances)


def _learn_shape(
    memory: dict[str, NDArray[Any]], z: Float32, *, ends: NDArray[np.int64], kept: NDArray[np.bool_]
) -> Float32:
    """Fit the raw-window model; returns each window's distance from a fit to the other parts of the recording."""
    points = z.reshape(len(z), -1).astype(np.float64)
    memory["shape_mean"], memory["shape_precision"] = _gaussian(points[kept])
    memory["shape_relief"] = _relief(memory["shape_precision"], rows=z.shape[2])
    distance = np.empty(len(z), np.float32)
    edges = np.linspace(0, len(z), _FOLDS + 1).astype(np.int64)
    for start, end in pairwise(edges):
        apart = (ends <= ends[start] - z.shape[2]) | (ends >= ends[end - 1] + z.shape[2])
        mean, precision = _gaussian(points[kept & apart])
        distance[start:end] = voices.shape_distance(z[start:end], mean=mean, precision=precision)[0]
    return distance


def _gaussian(points: NDArray[np.float64]) -> tuple[Float32, Float32]:
    """(mean [K], precision [K, K]) of points [W, K], the covariance shrunk as far as the data ask for."""
    mean = points.mean(axis=0)
    precision = np.linalg.inv(_shrunk_covariance(points - mean))
    return mean.astype(np.float32), precision.astype(np.float32)


def _relief(precision: Float32, *, rows: int) -> Float32:
    """Inverse of each channel's own block of the precision: [C * L, C * L] -> [C, L, L]."""
    blocks = [
        precision[at : at + rows, at : at + rows].astype(np.float64) for at in range(0, len(precision), rows)
    ]
    return np.linalg.inv(np.stack(blocks)).astype(np.float32)


def _shrunk_covariance(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance of centred points [W, K], shrunk towards equal variances by the oracle approximation.

    Source: Chen, Wiesel, Eldar and Hero, "Shrinkage Algorithms for MMSE Covariance Estimation", IEEE TSP 58, 2010.
    """
    n, k = centred.shape
    covariance = centred.T @ centred / max(n, 1)
    mean_variance = float(np.trace(covariance)) / k
    spread = float(np.mean(np.square(covariance)))
    rest = (n + 1) * (spread - mean_variance**2 / k)
    share = 1.0 if rest <= 0 else min((spread + mean_variance**2) / rest, 1.0)
    diagonal = share * mean_variance + 1e-6 * (1.0 + mean_variance)
    shrunk: NDArray[np.float64] = (1.0 - share) * covariance + diagonal * np.eye(k)
    return shrunk


def _calibration(raw: Float32) -> Float32:
    """[2, V]: calm median of each voice and its reach, the way from there to the 99 % point."""
    middle = np.median(raw, axis=0)
    reach = np.quantile(raw, 0.99, axis=0) - middle
    least = np.maximum(1e-3 * np.abs(middle), 1e-6)
    return np.stack([middle, np.maximum(reach, least)]).astype(np.float32)


def _calm(scores: Float32) -> NDArray[np.bool_]:
    """Windows that look like the rest: all but the few that stand far out."""
    middle, high = np.quantile(scores, [0.5, 0.9])
    fence = max(middle + _TRIM_BEYOND * (high - middle), float(np.quantile(scores, 1.0 - _TRIM_SHARE)))
    return np.asarray(scores <= fence)
