"""How a gateway learns what is normal for one machine from calm rows; pure, and no training of a network.

What it writes is the machine's memory: a flat mapping of arrays that `voices.score` reads. All figures
that decide about alarms (calibration of the voices, threshold) come from scores that a window got from a
memory without its own neighbourhood: a window is always close to itself, and a threshold set on such
scores would be exceeded all the time.

Axes: R rows, C channels, W calm windows, T rows of a window, V voices, P views of a window, F statistics
of a view, M remembered windows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_agent import voices
from edge_agent.budget import shared, threshold
from edge_agent.errors import CommissionError
from edge_agent.features import Float32, scales, standardise, views
from edge_agent.gaussian import gaussian
from edge_agent.voices import CHANGE_ROWS, LENGTHS_ROWS, VOICES, Encoded

Encode = Callable[[Float32, Float32, Float32], Encoded]

# Fewer calm windows than this cannot tell how large a calm score may be.
_FEWEST_WINDOWS = 100
# Calm windows that are looked at; more would only cost time, neighbours being almost equal.
_MOST_WINDOWS = 4000
# Windows that a memory holds of all channels together and of each alone, which has fewer states.
_TOGETHER_WINDOWS = 800
_ALONE_WINDOWS = 256
_CHUNK_WINDOWS = 256
# Rows of the raw-window model.
_SHAPE_ROWS = 16
_FOLDS = 5
# Least calm spread of each statistic (calm scales; nats for the bands), so that a statistic that happened to
# stand still does not make a fault of every breath; least reach of a channel's distances likewise.
_LEAST_SPREAD = np.array([0.05, 0.05, 0.05, 0.05, 0.02] + [0.5] * 6, np.float32)
_LEAST_JUMP_SPREAD = np.array(0.05, np.float32)
_LEAST_EMBEDDING_SPREAD = np.array(0.05, np.float32)
_LEAST_REACH = 0.3
_LEAST_EMBEDDING_REACH = 0.1
_LEAST_ERROR_REACH = 0.02
# Calm windows further out than this many times the usual reach, but at most this share, are forgotten:
# commissioning rows are rarely all calm.
_TRIM_BEYOND = 6.0
_TRIM_SHARE = 0.05
# How much the threshold is raised for each window's length that the calm rows hold too few.
_SHORTNESS = 0.5
_LEAST_THRESHOLD = 1.0  # the 99 % point of calm; a machine that stood still has nothing to set a threshold by
# Say of each group of voices, shared within the group: in what alarms, where the raw-window model is the only
# one that sees relations between channels, and in what ranks.
# The encoder's voices rank but do not alarm: a slow drift moves them too far (docs/experiments.md).
_ALARMING = {"together": 4.0, "shape": 2.0}
_JUMPING = {"jump": 1.0}
# Voices that look at the newest rows only: when they are calm, a fault that they saw is over.
_RECENT = {"together_16": 1.0, "together_32": 1.0, "shape": 2.0}
_RANKING = {
    "together": 1.0,
    "alone": 1.0,
    "change": 0.7,
    "contrast": 0.4,
    "shape": 0.7,
    "embedding": 0.5,
    "reconstruction": 0.1,
}


@dataclass(frozen=True, slots=True)
class _Calm:
    """The calm windows as the voices see them.

    Attributes:
        ends: row after each window's newest one, [W].
        seen: views, [P, W, C, F].
        newest: newest rows in calm scales, [W, C, L].
        early: as `newest`, of windows that end before the first whole one, [E, C, L].
        embedding: [W, C, D], None without an encoder.
        errors: of the reconstruction, [2, C, W], None without an encoder.
    """

    ends: NDArray[np.int64]
    seen: Float32
    newest: Float32
    early: Float32
    embedding: Float32 | None
    errors: Float32 | None


def commission(
    rows: Float32,
    *,
    window_rows: int,
    encode: Encode | None,
    budget_per_week: float,
    windows_per_week: float,
    seed: int,
    hop_rows: int = 1,
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

    Returns:
        name -> array; "location" and "scale" are [C], "threshold" is [2] (see `voices.fuse`), "recent_threshold" 0-d.

    Raises:
        CommissionError: too few usable rows.
    """
    rows = np.asarray(rows, np.float32)
    _check(rows, window_rows)
    memory: dict[str, NDArray[Any]] = dict(scales(rows))
    memory["lengths"] = np.array([length for length in LENGTHS_ROWS if length <= window_rows])
    stride = -(-(len(rows) - window_rows + 1) // _MOST_WINDOWS)
    calm = _observe(memory, rows, window_rows=window_rows, stride=stride, encode=encode)
    kept = np.ones(len(calm.ends), dtype=bool)
    for _ in range(2):
        raw = _learn(memory, calm, kept=kept, rng=np.random.default_rng(seed))
        memory["calibration"] = _calibration(raw[kept])
        scores, recent, _ = voices.fuse(memory, voices.calibrate(memory, raw))
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
    return {name: np.asarray(array) for name, array in memory.items()}


def _check(rows: Float32, window_rows: int) -> None:
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise CommissionError(f"rows of shape {rows.shape}: expected [rows, channels]")
    needed = window_rows + _FEWEST_WINDOWS - 1
    usable = int(np.isfinite(rows).any(axis=1).sum())
    if usable < needed:
        raise CommissionError(f"{usable} usable calm rows, {needed} are needed for windows of {window_rows}")


def _observe(
    memory: Mapping[str, NDArray[Any]],
    rows: Float32,
    *,
    window_rows: int,
    stride: int,
    encode: Encode | None,
) -> _Calm:
    """Look at every `stride`-th calm window through the eyes of all voices."""
    ends = np.arange(window_rows, len(rows) + 1, stride)
    windows = sliding_window_view(rows, window_rows, axis=0)[ends - window_rows]  # W C T
    known = {name: memory[name] for name in ("location", "scale", "limit")}
    lengths = [int(length) for length in memory["lengths"]]
    shape_rows = min(_SHAPE_ROWS, window_rows)
    first = sliding_window_view(rows[: window_rows - 1], shape_rows, axis=0)
    seen, newest, embedding, errors = [], [], [], []
    for start in range(0, len(windows), _CHUNK_WINDOWS):
        chunk = np.ascontiguousarray(windows[start : start + _CHUNK_WINDOWS])
        z = standardise(chunk, **known)
        seen.append(views(z, lengths_rows=lengths, change_rows=CHANGE_ROWS))
        newest.append(z[..., -shape_rows:].copy())
        if encode is not None:
            encoded = encode(chunk, memory["location"], memory["scale"])
            embedding.append(encoded.embedding)
            errors.append(voices.reconstruction_errors(z, encoded.reconstruction, memory))
    return _Calm(
        ends=ends,
        seen=np.concatenate(seen, axis=1),
        newest=np.concatenate(newest),
        early=standardise(first, **known),
        embedding=np.concatenate(embedding) if embedding else None,
        errors=np.concatenate(errors, axis=2) if errors else None,
    )


def _learn(
    memory: dict[str, NDArray[Any]], calm: _Calm, *, kept: NDArray[np.bool_], rng: np.random.Generator
) -> Float32:
    """Fill the memory from the kept windows; returns what each voice [W, V] says without the neighbours."""
    memory["view_centre"], memory["view_spread"] = _centre_and_spread(calm.seen[:, kept], _LEAST_SPREAD)
    for view, rows in enumerate(memory["lengths"].tolist()):
        # What diagnosis reads: statistics relative to this machine's calm ones.
        memory[f"statistics_{rows}_centre"] = memory["view_centre"][view]
        memory[f"statistics_{rows}_spread"] = memory["view_spread"][view]
    points = voices.describe(calm.seen, centre=memory["view_centre"], spread=memory["view_spread"])
    lengths = [int(length) for length in memory["lengths"]]
    said = {"shape": _learn_shape(memory, calm, kept=kept)}
    said["jump"] = _learn_jump(memory, voices.steps(calm.seen, len(lengths)), kept)
    chosen = _chosen(kept, _TOGETHER_WINDOWS, rng)
    flat = points[: len(lengths)].reshape(len(lengths), len(calm.ends), -1)
    memory["together_bank"] = bank = flat[:, chosen]
    memory["together_square"] = voices.square_of(bank)
    for view, rows in enumerate(lengths):
        barred = _Barred(calm.ends, chosen, reach_rows=rows)
        said[f"together_{rows}"] = _distances(flat[view], bank[view], barred)
    chosen = _chosen(kept, _ALONE_WINDOWS, rng)
    alone = np.swapaxes(points, 1, 2)  # P C W F
    distance = _learn_alone(
        memory, "alone", alone, ends=calm.ends, kept=kept, chosen=chosen, least=_LEAST_REACH
    )
    for view, rows in enumerate(lengths):
        said[f"alone_{rows}"] = distance[view]
    for view, rows in enumerate([rows for rows in CHANGE_ROWS if rows < lengths[-1]], start=len(lengths)):
        said[f"change_{rows}"] = distance[view]
        said[f"contrast_{rows}"] = voices.contrast(points[view])[0]
    if calm.embedding is not None and calm.errors is not None:
        memory["embedding_centre"], memory["embedding_spread"] = (
            part[0] for part in _centre_and_spread(calm.embedding[None, kept], _LEAST_EMBEDDING_SPREAD)
        )
        alone = np.ascontiguousarray(np.swapaxes(calm.embedding, 0, 1))[None]  # 1 C W D
        said["embedding"] = _learn_alone(
            memory,
            "embedding",
            alone,
            ends=calm.ends,
            kept=kept,
            chosen=chosen,
            least=_LEAST_EMBEDDING_REACH,
        )[0]
        for name in ("bank", "square", "usual", "reach"):
            memory[f"embedding_{name}"] = memory[f"embedding_{name}"][0]
        said["reconstruction"], said["reconstruction_newest"] = _learn_errors(memory, calm.errors, kept)
    memory["weights"] = np.stack([_weights(said, say) for say in (_ALARMING, _JUMPING, _RECENT, _RANKING)])
    silent = np.zeros(len(calm.ends), np.float32)
    return np.stack([said.get(voice, silent) for voice in VOICES], axis=1)


def _learn_jump(memory: dict[str, NDArray[Any]], step: Float32, kept: NDArray[np.bool_]) -> Float32:
    """Learn how far each channel's level moves within a window, [W, C]; returns the voice [W]."""
    centre, spread = (part[0] for part in _centre_and_spread(step[None, kept], _LEAST_JUMP_SPREAD))
    memory["jump_centre"], memory["jump_spread"] = centre, spread
    return voices.jump(step, centre=centre, spread=spread)[0]


@dataclass(frozen=True, slots=True)
class _Barred:
    """Which remembered windows a calm window may not meet: those that share rows with it."""

    ends: NDArray[np.int64]
    chosen: NDArray[np.int64]
    reach_rows: int

    def of(self, part: slice) -> NDArray[np.bool_]:
        """[part of W, M]; with few rows the far half of the recording counts in any case."""
        apart_rows = min(self.reach_rows, int(self.ends[-1] - self.ends[0]) // 4)
        near: NDArray[np.bool_] = np.abs(self.ends[part, None] - self.ends[self.chosen][None, :]) < apart_rows
        return near


def _distances(points: Float32, bank: Float32, barred: _Barred) -> Float32:
    """Distance of each calm window [..., W, K] to the remembered ones [..., M, K] that it may meet."""
    n_windows = points.shape[-2]
    parts = [slice(at, at + _CHUNK_WINDOWS) for at in range(0, n_windows, _CHUNK_WINDOWS)]
    square = voices.square_of(bank)
    found = [
        voices.neighbours(points[..., part, :], bank, square=square, barred=barred.of(part))[0]
        for part in parts
    ]
    return np.concatenate(found, axis=-1)


def _learn_alone(
    memory: dict[str, NDArray[Any]],
    name: str,
    points: Float32,
    *,
    ends: NDArray[np.int64],
    kept: NDArray[np.bool_],
    chosen: NDArray[np.int64],
    least: float,
) -> Float32:
    """Remember each channel by itself, points [P, C, W, K]; returns the voices [P, W]."""
    bank = np.ascontiguousarray(points[:, :, chosen])
    longest = int(memory["lengths"][-1])
    reaches = [*(int(rows) for rows in memory["lengths"]), longest, longest]
    distance = np.stack(
        [
            _distances(
                view, bank[index], _Barred(ends, chosen, reaches[index] if name == "alone" else longest)
            )
            for index, view in enumerate(points)
        ]
    )  # P C W
    memory[f"{name}_bank"], memory[f"{name}_square"] = bank, voices.square_of(bank)
    memory[f"{name}_usual"], memory[f"{name}_reach"] = _usual_and_reach(distance[..., kept], least)
    beyond = voices.excess(distance, usual=memory[f"{name}_usual"], reach=memory[f"{name}_reach"])
    return np.stack([voices.norm(view) for view in beyond])


def _learn_errors(memory: dict[str, NDArray[Any]], errors: Float32, kept: NDArray[np.bool_]) -> Float32:
    """Learn each channel's usual reconstruction error from [2, C, W]; returns the two voices [2, W]."""
    usual, reach = _usual_and_reach(errors[..., kept], _LEAST_ERROR_REACH)
    memory["reconstruction_usual"], memory["reconstruction_reach"] = usual, reach
    largest: Float32 = voices.excess(errors, usual=usual, reach=reach).max(axis=1)
    return largest


def _learn_shape(memory: dict[str, NDArray[Any]], calm: _Calm, *, kept: NDArray[np.bool_]) -> Float32:
    """Fit the raw-window model; returns each window's distance from a fit to the other parts of the recording."""
    z, ends = calm.newest, calm.ends
    early = calm.early.reshape(len(calm.early), -1).astype(np.float64)
    points = z.reshape(len(z), -1).astype(np.float64)
    memory["shape_mean"], memory["shape_precision"] = gaussian(np.concatenate([early, points[kept]]))
    memory["shape_relief"] = _relief(memory["shape_precision"], rows=z.shape[2])
    distance = np.empty(len(z), np.float32)
    for start, end in pairwise(np.linspace(0, len(z), _FOLDS + 1).astype(np.int64)):
        apart = (ends <= ends[start] - z.shape[2]) | (ends >= ends[end - 1] + z.shape[2])
        others = points[kept & apart]
        if start > 0:
            others = np.concatenate([early, others])
        mean, precision = gaussian(others)
        distance[start:end] = voices.shape_distance(z[start:end], mean=mean, precision=precision)[0]
    return distance


def _relief(precision: Float32, *, rows: int) -> Float32:
    """Inverse of each channel's own block of the precision: [C * L, C * L] -> [C, L, L]."""
    blocks = [
        precision[at : at + rows, at : at + rows].astype(np.float64) for at in range(0, len(precision), rows)
    ]
    return np.linalg.inv(np.stack(blocks)).astype(np.float32)


def _centre_and_spread(seen: Float32, least: Float32) -> tuple[Float32, Float32]:
    """Robust centre and spread of calm views [P, W, C, F], each [P, C, F]."""
    low, centre, high = np.quantile(seen, [0.02, 0.5, 0.98], axis=1).astype(np.float32)
    deviation = np.median(np.abs(seen - centre[:, None]), axis=1)
    spread = np.maximum(np.maximum(1.4826 * deviation, (high - low) / 4.1), least)
    return centre, spread.astype(np.float32)


def _usual_and_reach(distance: Float32, least: float) -> tuple[Float32, Float32]:
    """Median of calm distances [..., W], and the way from there to their 99 % point."""
    usual, high = np.quantile(distance, [0.5, 0.99], axis=-1).astype(np.float32)
    return usual, np.maximum(high - usual, np.float32(least))


def _calibration(raw: Float32) -> Float32:
    """[2, V]: calm median of each voice and its reach, never quite 0."""
    middle, reach = _usual_and_reach(raw.T, 0.0)
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


def _chosen(kept: NDArray[np.bool_], n_windows: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Windows to remember: spread evenly over the calm time, at a random point of each share."""
    candidates = np.flatnonzero(kept)
    if candidates.size <= n_windows:
        return candidates
    edges = np.linspace(0, candidates.size, n_windows + 1)
    at = edges[:-1] + rng.random(n_windows) * np.diff(edges)
    return candidates[np.minimum(at.astype(np.int64), candidates.size - 1)]


def _alike(scores: Float32) -> NDArray[np.bool_]:
    """Windows that look like the rest: all but the few that stand far out."""
    middle, high = np.quantile(scores, [0.5, 0.9])
    fence = max(middle + _TRIM_BEYOND * (high - middle), float(np.quantile(scores, 1.0 - _TRIM_SHARE)))
    return np.asarray(scores <= fence)
