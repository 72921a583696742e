"""Mahalanobis distance of the newest raw rows of all channels: a Gaussian of what was normal.

It sees what no channel shows alone: a relation between channels, or between neighbouring rows, that broke.

Axes: B windows, W normal windows, C channels, L newest rows, K = C * L.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.detector import (
    ByChannel,
    Detector,
    DueWindows,
    NormalWindows,
    RawScore,
    cells_of,
)
from edge_agent.detect.gaussians import ModePoints, gaussian, marginal
from edge_agent.detect.left_out import plain_windows, tolerance
from edge_agent.signals.features import Float32

_FOLDS = 5
_NEWEST_ROWS = 16
_NEIGHBOURS = "together"
"""The detector that tells which remembered window is the nearest, and how far it is."""
_ALIKE_QUANTILE = 0.99


class Gaussian(NamedTuple):
    """A Gaussian of raw rows.

    Attributes:
        mean: [C * L]. precision: inverse covariance, [C * L, C * L].
        relief: inverse of each channel's own block of the precision, [C, L, L].
        tolerance: what a distance is divided by near each remembered window, [M], see `left_out`; None: by nothing.
        alike: distance of the longer views up to which a window is like the remembered one that it is nearest to, of
            each view and set, [P, K + 1] or [P, 1]; None: they are not asked, see `_tolerated`.
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
    alike: Float32 | None = None

    def judging(
        self, part: slice, sets: NDArray[np.int64] | None
    ) -> Iterator[tuple[slice | NDArray[np.int64], Float32, Float32, Float32]]:
        """(windows, the mean, precision and relief by which they are judged), of windows of these sets in a part."""
        if sets is None or self.mode_place is None:
            yield part, self.mean, self.precision, self.relief
            return
        place, of_modes = self.mode_place[sets], self.of_modes()
        for number in sorted(set(place.tolist())):
            own = of_modes[number] if number >= 0 else (self.mean, self.precision, self.relief)
            yield part.start + np.flatnonzero(place == number), *own

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
        modes = ModePoints.of(points, normal.set_of(view), ends=ends, kept=kept, n_channels=z.shape[1])
        distance, cells = np.empty(len(z), np.float32), np.empty_like(z)
        for start, end in pairwise(np.linspace(0, len(z), _FOLDS + 1).astype(np.int64)):
            others = kept & ((ends <= ends[start] - z.shape[2]) | (ends >= ends[end - 1] + z.shape[2]))
            fold = gaussian(np.concatenate([early, points[others]]) if start > 0 else points[others])
            pieces = [(np.arange(start, end), *fold), *modes.held_out(start, end, others)]
            for part, fold_mean, fold_precision in pieces:
                distance[part], cells[part] = mahalanobis(z[part], mean=fold_mean, precision=fold_precision)
        known = tolerance(
            distance,
            ends=ends,
            chosen=chosen[view],
            reach_rows=lengths[view],
            kept=kept,
            sets=normal.set_of(view),
        )
        alike, apart = _alike(normal)
        wider = _tolerated(
            known, nearest=list(nearest), apart=apart, alike=alike, sets=normal.sets, view=view
        )
        memory = Gaussian(mean, precision, _relief(precision, rows=z.shape[2]), known, alike=alike)
        if normal.scales.modes is not None and modes.inside:
            found = modes.gaussians()
            place = np.full(normal.scales.modes.count + 1, -1)
            place[list(modes.inside)] = np.arange(len(found))
            memory = memory._replace(
                mode_place=place,
                mode_mean=np.stack([own_mean for own_mean, _ in found]),
                mode_precision=np.stack([own for _, own in found]),
                mode_relief=np.stack([_relief(own, rows=z.shape[2]) for _, own in found]),
            )
        return memory, {"shape": distance / wider, cells_of("shape"): cells}

    def score(self, memories: Sequence[Gaussian], windows: DueWindows) -> dict[str, RawScore]:
        """The distance, what each channel adds to its square, and the conditional residual of each cell."""
        n_channels, rows = memories[0].relief.shape[:2]
        view = windows.lengths.index(_view_rows(windows.lengths, rows))
        apart = np.empty((len(windows.z), n_channels * rows), np.float32)
        pull, scale = np.empty_like(apart), np.empty_like(apart)
        relief = np.empty((len(windows.z), n_channels, rows, rows), np.float32)
        for memory, part, sets in zip(memories, windows.slices, windows.sets, strict=True):
            for at, mean, precision, own_relief in memory.judging(part, None if sets is None else sets[view]):
                apart[at] = _newest_apart(windows.z[at], mean=mean)
                pull[at] = apart[at] @ precision
                relief[at], scale[at] = own_relief, _residual_scale(precision)
        cells = _residuals(pull, scale, n_channels=n_channels)
        distance = _distance(apart, pull)
        if windows.nearest:
            for memory, part, sets in zip(memories, windows.slices, windows.sets, strict=True):
                if memory.tolerance is not None:
                    distance[part] /= _tolerance_due(memory, windows, part, sets=sets, view=view)
        return {"shape": RawScore(distance, _relieved(pull, relief=relief), cells)}

    def mask(self, memory: Gaussian, channels: NDArray[np.int64], *, n_channels: int) -> Gaussian:
        """The Gaussians of the channels that can be seen: marginals."""
        rows = memory.mean.size // n_channels
        cells = (channels[:, np.newaxis] * rows + np.arange(rows)).ravel()
        precision = marginal(memory.precision, cells)
        masked = memory._replace(
            mean=memory.mean[cells],
            precision=precision.astype(np.float32),
            relief=_relief(precision, rows=rows),
        )
        if of_modes := memory.of_modes():
            found = [marginal(own, cells) for _, own, _ in of_modes]
            masked = masked._replace(
                mode_mean=np.stack([mean[cells] for mean, _, _ in of_modes]),
                mode_precision=np.stack(found).astype(np.float32),
                mode_relief=np.stack([_relief(own, rows=rows) for own in found]),
            )
        return masked


def _alike(normal: NormalWindows) -> tuple[Float32 | None, Sequence[Float32]]:
    """(up to which distance normal windows are like the nearest remembered one, [P, sets], their distances [P, W])."""
    names = [f"{_NEIGHBOURS}_{rows}" for rows in normal.scales.lengths]
    if any(name not in normal.found for name in names):
        return None, ()
    apart = np.stack([normal.found[name] for name in names])
    modes = normal.scales.modes
    alike = np.zeros((len(apart), 1 if normal.sets is None or modes is None else modes.count + 1), np.float32)
    for view, own in enumerate(alike):
        sets = normal.set_of(view)
        for number in range(len(own)):
            inside = np.ones(len(normal.ends), dtype=bool) if sets is None else sets == number
            if inside.any():
                own[number] = np.quantile(apart[view, plain_windows(inside, normal.kept)], _ALIKE_QUANTILE)
    return alike, list(apart)


def _tolerated(
    known: Float32,
    *,
    nearest: Sequence[NDArray[np.int64]],
    apart: Sequence[Float32],
    alike: Float32 | None,
    sets: NDArray[np.int64] | None,
    view: int,
) -> Float32:
    """What windows tolerate, [B], whose nearest remembered windows in P views are `nearest`, and so far `apart`.

    The newest rows alone often do not tell what is going on: at the end of what was seen once they look like all
    others, but for a relation that only a Gaussian sees. A longer view tells it, wherever the window is so like a
    remembered one as plain windows are; that one's tolerance counts, too.
    """
    found: Float32 = known[nearest[view]]
    if alike is None:
        return found
    for longer in range(view + 1, len(nearest)):
        limit = alike[longer][0 if sets is None or alike.shape[1] == 1 else sets[longer]]
        wider = np.where(apart[longer] <= limit, known[nearest[longer]], np.float32(1.0))
        found = np.maximum(found, wider)
    return found


def _tolerance_due(
    memory: Gaussian, windows: DueWindows, part: slice, *, sets: NDArray[np.int64] | None, view: int
) -> Float32:
    """What the due windows of one machine tolerate, [its windows]."""
    assert memory.tolerance is not None  # noqa: S101 - asked before
    apart = (
        []
        if memory.alike is None
        else [windows.found[f"{_NEIGHBOURS}_{rows}"].value[part] for rows in windows.lengths]
    )
    nearest = [windows.nearest[rows][part] for rows in windows.lengths]
    return _tolerated(
        memory.tolerance, nearest=nearest, apart=apart, alike=memory.alike, sets=sets, view=view
    )


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
