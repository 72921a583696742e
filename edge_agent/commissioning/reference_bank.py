"""What each voice remembers of a machine's calm windows, and what it would have said of them.

Not the threshold nor how much each voice counts: that is `commission`. What a voice says of a calm window comes from
a memory without that window's neighbourhood: a window is always close to itself, and a threshold set on such figures
would be exceeded all the time.

Axes: R rows, C channels, W calm windows, T rows of a window, V voices, P views of a window, F statistics
of a view, M remembered windows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_agent.commissioning.gaussian import gaussian
from edge_agent.detect import detectors
from edge_agent.detect.detectors import CHANGE_ROWS, Encoded
from edge_agent.signals.features import Float32, standardise, views

Encode = Callable[[Float32, Float32, Float32], Encoded]

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


@dataclass(frozen=True, slots=True)
class Calm:
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


def observe(
    memory: Mapping[str, NDArray[Any]],
    rows: Float32,
    *,
    window_rows: int,
    stride: int,
    encode: Encode | None,
    seams: Sequence[int] = (),
) -> Calm:
    """Look at every `stride`-th calm window, of those that bridge no seam, through the eyes of all voices."""
    ends = np.arange(window_rows, len(rows) + 1, stride)
    piece = np.searchsorted(np.asarray(seams), [ends - window_rows, ends - 1], side="right")
    ends = ends[piece[0] == piece[1]]
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
            errors.append(detectors.reconstruction_errors(z, encoded.reconstruction, memory))
    return Calm(
        ends=ends,
        seen=np.concatenate(seen, axis=1),
        newest=np.concatenate(newest),
        early=standardise(first, **known),
        embedding=np.concatenate(embedding) if embedding else None,
        errors=np.concatenate(errors, axis=2) if errors else None,
    )


def learn(
    memory: dict[str, NDArray[Any]], calm: Calm, *, kept: NDArray[np.bool_], rng: np.random.Generator
) -> dict[str, Float32]:
    """Fill the memory from the kept windows; returns what each voice says [W] without the neighbours."""
    memory["view_centre"], memory["view_spread"] = _centre_and_spread(calm.seen[:, kept], _LEAST_SPREAD)
    for view, rows in enumerate(memory["lengths"].tolist()):
        # What diagnosis reads: statistics relative to this machine's calm ones.
        memory[f"statistics_{rows}_centre"] = memory["view_centre"][view]
        memory[f"statistics_{rows}_spread"] = memory["view_spread"][view]
    known = {"centre": memory["view_centre"], "spread": memory["view_spread"]}
    n_lengths = len(memory["lengths"])
    chosen = _chosen(kept, _TOGETHER_WINDOWS, rng)
    near = detectors.describe(calm.seen[:n_lengths], knee=detectors.ALARM_KNEE, **_first(known, n_lengths))
    said = {"shape": _learn_shape(memory, calm, kept=kept)}
    said["jump"] = _learn_jump(memory, detectors.steps(calm.seen, n_lengths), kept)
    said |= _learn_together(memory, "together", near, ends=calm.ends, chosen=chosen)
    points = detectors.describe(calm.seen, knee=detectors.RANK_KNEE, **known)
    said |= _learn_together(memory, "wide", points[:n_lengths], ends=calm.ends, chosen=chosen)
    chosen = _chosen(kept, _ALONE_WINDOWS, rng)
    said |= _learn_channels(memory, points, ends=calm.ends, kept=kept, chosen=chosen)
    if calm.embedding is not None and calm.errors is not None:
        said |= _learn_encoder(memory, calm, kept=kept, chosen=chosen)
    return said


def _first(known: Mapping[str, Float32], n_views: int) -> dict[str, Float32]:
    return {name: array[:n_views] for name, array in known.items()}


def _learn_together(
    memory: dict[str, NDArray[Any]],
    name: str,
    points: Float32,
    *,
    ends: NDArray[np.int64],
    chosen: NDArray[np.int64],
) -> dict[str, Float32]:
    """Remember all channels together, points [P, W, C, F]."""
    flat = points.reshape(len(points), len(ends), -1)
    memory[f"{name}_bank"] = bank = flat[:, chosen]
    memory[f"{name}_square"] = detectors.square_of(bank)
    return {
        f"{name}_{rows}": _distances(flat[view], bank[view], _Barred(ends, chosen, reach_rows=rows))
        for view, rows in enumerate(memory["lengths"].tolist())
    }


def _learn_channels(
    memory: dict[str, NDArray[Any]],
    points: Float32,
    *,
    ends: NDArray[np.int64],
    kept: NDArray[np.bool_],
    chosen: NDArray[np.int64],
) -> dict[str, Float32]:
    """Remember each channel by itself, points [P, W, C, F]: its statistics and how they change."""
    lengths = memory["lengths"].tolist()
    longest = lengths[-1]
    changes = [rows for rows in CHANGE_ROWS if rows < longest]
    alone = np.swapaxes(points, 1, 2)  # P C W F
    reaches = [*lengths, *(longest for _ in changes)]
    distance = _learn_alone(
        memory, "alone", alone, barred=[_Barred(ends, chosen, rows) for rows in reaches], kept=kept
    )
    said = {f"alone_{rows}": distance[view] for view, rows in enumerate(lengths)}
    for view, rows in enumerate(changes, start=len(lengths)):
        said[f"change_{rows}"] = distance[view]
        said[f"contrast_{rows}"] = detectors.contrast(points[view])[0]
    return said


def _learn_encoder(
    memory: dict[str, NDArray[Any]], calm: Calm, *, kept: NDArray[np.bool_], chosen: NDArray[np.int64]
) -> dict[str, Float32]:
    """Remember the calm embeddings and the usual errors of the reconstruction."""
    if calm.embedding is None or calm.errors is None:
        return {}
    memory["embedding_centre"], memory["embedding_spread"] = (
        part[0] for part in _centre_and_spread(calm.embedding[None, kept], _LEAST_EMBEDDING_SPREAD)
    )
    alone = np.ascontiguousarray(np.swapaxes(calm.embedding, 0, 1))[None]  # 1 C W D
    barred = _Barred(calm.ends, chosen, int(memory["lengths"][-1]))
    distance = _learn_alone(
        memory, "embedding", alone, barred=[barred], kept=kept, least=_LEAST_EMBEDDING_REACH
    )
    for name in ("bank", "square", "usual", "reach"):
        memory[f"embedding_{name}"] = memory[f"embedding_{name}"][0]
    whole, newest = _learn_errors(memory, calm.errors, kept)
    return {"embedding": distance[0], "reconstruction": whole, "reconstruction_newest": newest}


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
    square = detectors.square_of(bank)
    found = [
        detectors.neighbours(points[..., part, :], bank, square=square, barred=barred.of(part))[0]
        for part in parts
    ]
    return np.concatenate(found, axis=-1)


def _learn_alone(
    memory: dict[str, NDArray[Any]],
    name: str,
    points: Float32,
    *,
    barred: Sequence[_Barred],
    kept: NDArray[np.bool_],
    least: float = _LEAST_REACH,
) -> Float32:
    """Remember each channel by itself, points [P, C, W, K]; returns the voices [P, W]."""
    bank = np.ascontiguousarray(points[:, :, barred[0].chosen])
    distance = np.stack(
        [_distances(view, bank[index], barred[index]) for index, view in enumerate(points)]
    )  # P C W
    memory[f"{name}_bank"], memory[f"{name}_square"] = bank, detectors.square_of(bank)
    memory[f"{name}_usual"], memory[f"{name}_reach"] = usual_and_reach(distance[..., kept], least)
    beyond = detectors.excess(distance, usual=memory[f"{name}_usual"], reach=memory[f"{name}_reach"])
    return np.stack([detectors.norm(view) for view in beyond])


def _learn_errors(memory: dict[str, NDArray[Any]], errors: Float32, kept: NDArray[np.bool_]) -> Float32:
    """Learn each channel's usual reconstruction error from [2, C, W]; returns the two voices [2, W]."""
    usual, reach = usual_and_reach(errors[..., kept], _LEAST_ERROR_REACH)
    memory["reconstruction_usual"], memory["reconstruction_reach"] = usual, reach
    largest: Float32 = detectors.excess(errors, usual=usual, reach=reach).max(axis=1)
    return largest


def _learn_shape(memory: dict[str, NDArray[Any]], calm: Calm, *, kept: NDArray[np.bool_]) -> Float32:
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
        distance[start:end] = detectors.shape_distance(z[start:end], mean=mean, precision=precision)
    return distance


def _learn_jump(memory: dict[str, NDArray[Any]], step: Float32, kept: NDArray[np.bool_]) -> Float32:
    """Learn how far each channel's level moves within a window, [W, C]; returns the voice [W]."""
    centre, spread = (part[0] for part in _centre_and_spread(step[None, kept], _LEAST_JUMP_SPREAD))
    memory["jump_centre"], memory["jump_spread"] = centre, spread
    return detectors.jump(step, centre=centre, spread=spread)[0]


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


def usual_and_reach(distance: Float32, least: float) -> tuple[Float32, Float32]:
    """Median of calm distances [..., W], and the way from there to their 99 % point."""
    usual, high = np.quantile(distance, [0.5, 0.99], axis=-1).astype(np.float32)
    return usual, np.maximum(high - usual, np.float32(least))


def _chosen(kept: NDArray[np.bool_], n_windows: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Windows to remember: spread evenly over the calm time, at a random point of each share."""
    candidates = np.flatnonzero(kept)
    if candidates.size <= n_windows:
        return candidates
    edges = np.linspace(0, candidates.size, n_windows + 1)
    at = edges[:-1] + rng.random(n_windows) * np.diff(edges)
    return candidates[np.minimum(at.astype(np.int64), candidates.size - 1)]
