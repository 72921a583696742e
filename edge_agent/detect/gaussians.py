"""Gaussians of points: of a machine, and of one of its modes. Pure; no detector.

Axes: W points, K = C * L cells of a point, C channels, L rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.view_scales import share_of_doubt, stride_of
from edge_agent.signals.features import Float32

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# What a mode must have for a Gaussian of its own: that often it was visited, or for so long, and so many windows; and
# the most cells of the newest rows, beyond which Gaussians of single modes would take too much room.
_FEWEST_VISITS = 4
_FEWEST_ROWS = 2000
_FEWEST_WINDOWS = 200
_MOST_CELLS = 192
_LEAST_SPREAD = 0.02


@dataclass(frozen=True, slots=True)
class ModePoints:
    """Points of the modes that were seen often enough for a Gaussian of their own.

    Attributes:
        points: of all normal windows, [W, K]. kept: which say what is usual, [W].
        inside: by the mode's number which are in it, [W].
        doubt: by the mode's number, see `share_of_doubt`.
        blocks: covariance of each channel's own cells in all modes, [C, L, L].
    """

    points: Floats
    kept: Bools
    inside: dict[int, Bools]
    doubt: dict[int, np.float32]
    blocks: Floats

    @classmethod
    def of(
        cls,
        points: Floats,
        sets: NDArray[np.int64] | None,
        *,
        ends: NDArray[np.int64],
        kept: Bools,
        n_channels: int,
    ) -> "ModePoints":
        """Those of windows of these `sets` [W], None where the machine has one mode, that end before rows `ends`."""
        stride = stride_of(ends)
        inside = _often_enough(sets, kept, n_cells=points.shape[1], stride=stride)
        doubt = {number: share_of_doubt(own, stride=stride) for number, own in inside.items()}
        return cls(points, kept, inside, doubt, _channel_blocks(points[kept], n_channels))

    def held_out(
        self, start: int, end: int, others: Bools
    ) -> Iterator[tuple[NDArray[np.int64], Float32, Float32]]:
        """(places in a part of the windows, mean and precision of their mode by the `others` [W]) of each mode."""
        for number, own in self.inside.items():
            places = start + np.flatnonzero(own[start:end])
            if places.size:
                among = own & others
                among = among if among.sum() >= _FEWEST_WINDOWS // 4 else own & self.kept
                yield places, *self._gaussian(number, among)

    def gaussians(self) -> list[tuple[Float32, Float32]]:
        """(mean, precision) of each mode, in the order of `inside`."""
        return [self._gaussian(number, own & self.kept) for number, own in self.inside.items()]

    def _gaussian(self, number: int, among: Bools) -> tuple[Float32, Float32]:
        return mode_gaussian(self.points[among], self.blocks, doubt=self.doubt[number])


def _often_enough(
    sets: NDArray[np.int64] | None, kept: Bools, *, n_cells: int, stride: int
) -> dict[int, Bools]:
    """The windows [W] of each mode, by its number, that was seen enough for a Gaussian of its own."""
    if sets is None or n_cells > _MOST_CELLS:
        return {}
    found = {}
    for number in range(int(sets.max())):
        own = sets == number
        visits = np.count_nonzero(np.diff(own, prepend=False) & own)
        enough = visits >= _FEWEST_VISITS or own.sum() * stride >= _FEWEST_ROWS
        if enough and (own & kept).sum() >= _FEWEST_WINDOWS:
            found[number] = own
    return found


def _channel_blocks(points: NDArray[np.float64], n_channels: int) -> NDArray[np.float64]:
    """Covariance of each channel's own cells of points [W, K], [C, L, L]."""
    cells = np.swapaxes(points.reshape(len(points), n_channels, -1), 0, 1)
    centred = cells - cells.mean(axis=1, keepdims=True)
    found: NDArray[np.float64] = np.swapaxes(centred, 1, 2) @ centred / max(len(points), 1)
    return found


def mode_gaussian(
    points: NDArray[np.float64], blocks: NDArray[np.float64], *, doubt: np.float32
) -> tuple[Float32, Float32]:
    """The Gaussian of one mode's points [W, K], shrunk in the channels' own spreads: they differ from mode to mode.

    A channel that stood still in the mode, and moves in others, was perhaps only never moved in this one: it varies as
    it does in the machine (`blocks` [C, L, L]), and hangs on no other.
    """
    n_channels, rows = blocks.shape[:2]
    spread = np.sqrt(points.reshape(len(points), n_channels, -1).var(axis=(0, 2)))
    whole = np.sqrt(np.trace(blocks, axis1=1, axis2=2) / rows)
    scale = np.repeat(np.maximum(spread, _LEAST_SPREAD), rows).astype(np.float32)
    mean, precision = gaussian(points / scale)
    precision /= np.outer(scale, scale)
    still = np.flatnonzero(spread < doubt * whole)
    if still.size:
        cells = (still[:, np.newaxis] * rows + np.arange(rows)).ravel()
        others = np.setdiff1d(np.arange(len(precision)), cells)
        precision[np.ix_(others, others)] = marginal(precision, others)
        precision[cells] = precision[:, cells] = 0.0
        least = np.eye(rows) * _LEAST_SPREAD**2
        for channel in still.tolist():
            own = slice(channel * rows, (channel + 1) * rows)
            precision[own, own] = np.linalg.inv(blocks[channel] + least)
    return mean * scale, precision


def marginal(precision: Float32, cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """The precision of some of the cells: [K, K] -> [k, k]."""
    covariance = np.linalg.inv(precision.astype(np.float64))
    found: NDArray[np.float64] = np.linalg.inv(covariance[np.ix_(cells, cells)]).astype(np.float64)
    return found


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
