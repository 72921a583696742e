"""Mahalanobis distance of the newest raw rows of all channels: a Gaussian of what was normal.

It sees what no channel shows alone: a relation between channels, or between neighbouring rows, that broke.

Axes: B windows, W normal windows, C channels, L newest rows, K = C * L.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.detector import ByChannel, Detector, DueWindows, NormalWindows, RawScore, cells_of
from edge_agent.detect.left_out import tolerance
from edge_agent.signals.features import Float32

_FOLDS = 5
_NEWEST_ROWS = 16
# What a mode must have for a Gaussian of its own: that often it was visited, and so many windows; and the most cells of
# the newest rows, beyond which Gaussians of single modes would take too much room.
_FEWEST_VISITS = 4
_FEWEST_WINDOWS = 200
_MOST_CELLS = 192
_LEAST_SPREAD = 0.02


class Gaussian(NamedTuple):
    """A Gaussian of raw rows.

    Attributes:
        mean: [C * L]. precision: inverse covariance, [C * L, C * L].
        relief: inverse of each channel's own block of the precision, [C, L, L].
        tolerance: what a distance is divided by near each remembered window, [M], see `left_out`; None: by nothing.
        mode_place: which of the Gaussians of single modes judges each set of windows, [K + 1]; -1: that of the machine.
        mode_mean, mode_precision, mode_relief: these Gaussians, [G, ...] each.
    """

    mean: ByChannel
    precision: ByChannel
    relief: ByChannel
    tolerance: Float32 | None = None
    mode_place: NDArray[np.int64] | None = None
    mode_mean: Float32 | None = None
    mode_precision: Float32 | None = None
    mode_relief: Float32 | None = None

    def of_modes(self) -> list[tuple[Float32, Float32, Float32]]:
        """(mean, precision, relief) of each mode that has a Gaussian of its own."""
        if self.mode_mean is None or self.mode_precision is None or self.mode_relief is None:
            return []
        return list(zip(self.mode_mean, self.mode_precision, self.mode_relief, strict=True))


class Mahalanobis(Detector[Gaussian]):
    """Distance from a Gaussian whose covariance is shrunk as far as the data ask for."""

    name = "shape"
    scores = ("shape",)
    memory = Gaussian
    by_mode = (_NEWEST_ROWS,)
    sums_over_channels = True

    def fit(self, normal: NormalWindows) -> tuple[Gaussian, dict[str, Float32]]:
        """Fit to the kept windows; each is scored by a fit to the other parts of the recording."""
        z, ends, kept = normal.newest, normal.ends, normal.kept
        early = normal.early.reshape(len(normal.early), -1).astype(np.float64)
        points = z.reshape(len(z), -1).astype(np.float64)
        mean, precision = gaussian(np.concatenate([early, points[kept]]))
        lengths, chosen, nearest = normal.scales.lengths, normal.reference, normal.left_out.nearest
        view = lengths.index(_view_rows(lengths, z.shape[2]))
        inside = _own_windows(normal.set_of(view), kept, n_cells=points.shape[1])
        distance, cells = np.empty(len(z), np.float32), np.empty_like(z)
        for start, end in pairwise(np.linspace(0, len(z), _FOLDS + 1).astype(np.int64)):
            others = kept & ((ends <= ends[start] - z.shape[2]) | (ends >= ends[end - 1] + z.shape[2]))
            fold = gaussian(np.concatenate([early, points[others]]) if start > 0 else points[others])
            pieces = [(np.arange(start, end), fold)]
            for own in inside.values():
                if not own[start:end].any():
                    continue
                learnt_from = own & others if (own & others).sum() >= _FEWEST_WINDOWS // 4 else own & kept
                pieces.append(
                    (
                        start + np.flatnonzero(own[start:end]),
                        _scaled_gaussian(points[learnt_from], z.shape[1]),
                    )
                )
            for part, (fold_mean, fold_precision) in pieces:
                distance[part], cells[part] = mahalanobis(z[part], mean=fold_mean, precision=fold_precision)
        known = tolerance(
            distance,
            ends=ends,
            chosen=chosen[view],
            reach_rows=lengths[view],
            kept=kept,
            sets=normal.set_of(view),
        )
        memory = Gaussian(mean, precision, _relief(precision, rows=z.shape[2]), known)
        if normal.scales.modes is not None and inside:
            found = [_scaled_gaussian(points[own & kept], z.shape[1]) for own in inside.values()]
            place = np.full(normal.scales.modes.count + 1, -1)
            place[list(inside)] = np.arange(len(inside))
            memory = memory._replace(
                mode_place=place,
                mode_mean=np.stack([own_mean for own_mean, _ in found]),
                mode_precision=np.stack([own for _, own in found]),
                mode_relief=np.stack([_relief(own, rows=z.shape[2]) for _, own in found]),
            )
        return memory, {"shape": distance / known[nearest[view]], cells_of("shape"): cells}

    def score(self, memories: Sequence[Gaussian], windows: DueWindows) -> dict[str, RawScore]:
        """The distance, what each channel adds to its square, and the conditional residual of each cell."""
        apart = _newest_apart(windows.z, mean=windows.by_window([memory.mean for memory in memories]))
        pull = np.empty_like(apart)
        for memory, part in zip(memories, windows.slices, strict=True):
            np.matmul(apart[part], memory.precision, out=pull[part])
        relief = windows.by_window([memory.relief for memory in memories])
        scale = windows.by_window([_residual_scale(memory.precision) for memory in memories])
        view = windows.lengths.index(_view_rows(windows.lengths, relief.shape[-1]))
        for memory, part, sets in zip(memories, windows.slices, windows.sets, strict=True):
            if sets is None or memory.mode_place is None:
                continue
            place = memory.mode_place[sets[view]]
            for number, (mean, precision, own_relief) in enumerate(memory.of_modes()):
                at = part.start + np.flatnonzero(place == number)
                if at.size == 0:
                    continue
                apart[at] = _newest_apart(windows.z[at], mean=mean)
                pull[at] = apart[at] @ precision
                relief[at], scale[at] = own_relief, _residual_scale(precision)
        cells = _residuals(pull, scale, n_channels=windows.z.shape[1])
        distance = windows.tolerated(
            _distance(apart, pull),
            [memory.tolerance for memory in memories],
            rows=_view_rows(windows.lengths, relief.shape[-1]),
        )
        return {"shape": RawScore(distance, _relieved(pull, relief=relief), cells)}

    def mask(self, memory: Gaussian, channels: NDArray[np.int64], *, n_channels: int) -> Gaussian:
        """The Gaussians of the channels that can be seen: marginals."""
        rows = memory.mean.size // n_channels
        cells = (channels[:, np.newaxis] * rows + np.arange(rows)).ravel()
        precision = _marginal(memory.precision, cells)
        masked = memory._replace(
            mean=memory.mean[cells],
            precision=precision.astype(np.float32),
            relief=_relief(precision, rows=rows),
        )
        if of_modes := memory.of_modes():
            found = [_marginal(own, cells) for _, own, _ in of_modes]
            masked = masked._replace(
                mode_mean=np.stack([mean[cells] for mean, _, _ in of_modes]),
                mode_precision=np.stack(found).astype(np.float32),
                mode_relief=np.stack([_relief(own, rows=rows) for own in found]),
            )
        return masked


def _own_windows(
    sets: NDArray[np.int64] | None, kept: NDArray[np.bool_], *, n_cells: int
) -> dict[int, NDArray[np.bool_]]:
    """The windows [W] of each mode, by its number, that was seen often enough for a Gaussian of its own."""
    if sets is None or n_cells > _MOST_CELLS:
        return {}
    found = {}
    for number in range(int(sets.max())):
        own = sets == number
        visits = np.count_nonzero(np.diff(own, prepend=False) & own)
        if visits >= _FEWEST_VISITS and (own & kept).sum() >= _FEWEST_WINDOWS:
            found[number] = own
    return found


def _scaled_gaussian(points: NDArray[np.float64], n_channels: int) -> tuple[Float32, Float32]:
    """The Gaussian of one mode's points [W, K], shrunk in the channels' own spreads: they differ from mode to mode."""
    spread = np.sqrt(points.reshape(len(points), n_channels, -1).var(axis=(0, 2)))
    scale = np.repeat(np.maximum(spread, _LEAST_SPREAD), points.shape[1] // n_channels).astype(np.float32)
    mean, precision = gaussian(points / scale)
    return mean * scale, precision / np.outer(scale, scale)


def _marginal(precision: Float32, cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """The precision of some of the cells: [K, K] -> [k, k]."""
    covariance = np.linalg.inv(precision.astype(np.float64))
    found: NDArray[np.float64] = np.linalg.inv(covariance[np.ix_(cells, cells)]).astype(np.float64)
    return found


def _view_rows(lengths: Sequence[int], newest_rows: int) -> int:
    """Rows of the view that is looked at for what is tolerated: the longest of at most the newest rows."""
    return max((rows for rows in lengths if rows <= newest_rows), default=lengths[0])


def mahalanobis(z: Float32, *, mean: Float32, precision: Float32) -> tuple[Float32, Float32]:
    """(distance [B], conditional residuals [B, C, L]) of the newest raw rows of standardised windows [B, C, T].

    `mean` is [K], `precision` [K, K].
    """
    apart = _newest_apart(z, mean=mean)
    pull = apart @ precision
    return _distance(apart, pull), _residuals(pull, _residual_scale(precision), n_channels=z.shape[1])


def _residual_scale(precision: Float32) -> Float32:
    """Root of the diagonal [K] of the precision [K, K]."""
    found: Float32 = np.sqrt(precision.diagonal())
    return found


def _residuals(pull: Float32, scale: Float32, *, n_channels: int) -> Float32:
    """How far each cell is from what all other cells let expect, in its own deviations then, [B, C, L].

    Given the others, the cell k of a Gaussian with precision P has the variance 1 / P_kk and is (P x)_k / P_kk off its
    mean (Rue and Held, "Gaussian Markov Random Fields", 2005, theorem 2.3): `pull` [B, K] over the root of P_kk.
    """
    return (pull / scale).reshape(len(pull), n_channels, -1)


def _newest_apart(z: Float32, *, mean: Float32) -> Float32:
    """The newest raw rows of windows [B, C, T] without their mean [K] or [B, K]: [B, K]."""
    B, C, _ = z.shape
    rows = mean.shape[-1] // C
    apart: Float32 = z[..., -rows:].reshape(B, C * rows) - mean
    return apart


def _distance(apart: Float32, pull: Float32) -> Float32:
    square: Float32 = np.maximum(np.einsum("bk,bk->b", apart, pull), 0.0)
    distance: Float32 = np.sqrt(square)
    return distance


def _relieved(pull: Float32, *, relief: Float32) -> Float32:
    """What each channel adds to the squared distance, [B, C].

    As much as the square would fall if that channel alone were put right ("reconstruction-based contribution", Alcala
    and Qin, Automatica 45, 2009): shares of the plain product smear over healthy channels.

    Args:
        pull: product of what is apart from the mean with the precision, [B, K].
        relief: [B, C, L, L].
    """
    B, rows = len(pull), relief.shape[-1]
    pulls = pull.reshape(B, -1, 1, rows)
    parts = (pulls @ relief @ pulls.transpose(0, 1, 3, 2)).reshape(B, -1)
    return np.maximum(parts, 0.0)


def _relief(precision: NDArray[np.floating], *, rows: int) -> Float32:
    """Inverse of each channel's own block of the precision: [C * L, C * L] -> [C, L, L]."""
    blocks = [
        precision[at : at + rows, at : at + rows].astype(np.float64) for at in range(0, len(precision), rows)
    ]
    return np.linalg.inv(np.stack(blocks)).astype(np.float32)


def gaussian(points: NDArray[np.float64]) -> tuple[Float32, Float32]:
    """(mean [K], precision [K, K]) of points [W, K], the covariance shrunk as far as the data ask for."""
    mean = points.mean(axis=0)
    precision = np.linalg.inv(_shrunk_covariance(points - mean))
    return mean.astype(np.float32), precision.astype(np.float32)


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
