"""What practitioners would use instead, each behind the same two calls; none of it ships with the agent.

A detector learns from normal rows [R, C] in normal scales and then scores rows in order, each from itself and earlier
rows alone. What learning costs is bounded by taking evenly spaced windows of long normal parts.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_agent.signals.features import scales, standardise

Rows = NDArray[np.float64]

_MOST_WINDOWS = 4000
_CHUNK_ROWS = 4096
_NORMAL_POINT = 0.99
"""Threshold of a baseline: this point of what the last quarter of the normal rows scored, learnt from the rest."""


class Detector(Protocol):
    """Learns once, then scores."""

    def fit(self, rows: Rows) -> None:
        """Learn from normal rows [R, C]."""

    def score(self, rows: Rows) -> Rows:
        """Score rows [R, C] in order of time; [R], higher is worse."""


class Pca:
    """Hotelling's T2 and the squared prediction error of the newest 16 rows, each divided by its normal 99 % point."""

    def __init__(self, *, rows: int = 16, explained: float = 0.95) -> None:
        self._rows, self._explained = rows, explained

    def fit(self, rows: Rows) -> None:
        """Principal components that explain 95 % of the normal variance."""
        seen = _spread(_windows(rows, self._rows))
        self._mean = seen.mean(axis=0)
        _, sizes, axes = np.linalg.svd(seen - self._mean, full_matrices=False)
        variance = sizes**2 / max(len(seen) - 1, 1)
        share = np.cumsum(variance) / max(float(variance.sum()), 1e-12)
        kept = int(np.searchsorted(share, self._explained)) + 1
        self._axes, self._variance = axes[:kept], np.maximum(variance[:kept], 1e-9)
        self._limits = np.ones(2)
        parts = self._parts(seen)
        self._limits = np.maximum(np.quantile(parts, 0.99, axis=1), 1e-9)

    def _parts(self, seen: Rows) -> Rows:
        centred = seen - self._mean
        inside = centred @ self._axes.T
        rest = np.sum(centred**2, axis=1) - np.sum(inside**2, axis=1)
        return np.stack([np.sum(inside**2 / self._variance, axis=1), np.maximum(rest, 0.0)])

    def score(self, rows: Rows) -> Rows:
        """Sum of both, in units of their limits."""
        return _by_chunks(
            rows, self._rows, lambda seen: (self._parts(seen) / self._limits[:, None]).sum(axis=0)
        )


class KMeans:
    """Distance of the z-scored newest rows to the nearest of 20 centres, as KMeansAD of TSB-AD does."""

    def __init__(self, *, rows: int = 20, centres: int = 20) -> None:
        self._rows, self._centres = rows, centres

    def fit(self, rows: Rows) -> None:
        """Cluster normal windows."""
        from sklearn.cluster import KMeans as Clusters  # noqa: PLC0415  only where this baseline is asked for

        seen = _spread(self._seen(rows))
        clusters = Clusters(min(self._centres, len(seen)), n_init=1, random_state=0).fit(seen)
        self._centre = clusters.cluster_centers_.astype(np.float64)

    def _seen(self, rows: Rows) -> Rows:
        windows = sliding_window_view(rows, self._rows, axis=0)
        spread = windows.std(axis=-1, keepdims=True)
        z = (windows - windows.mean(axis=-1, keepdims=True)) / np.where(spread > 1e-6, spread, 1.0)
        return z.reshape(len(z), -1)

    def score(self, rows: Rows) -> Rows:
        """Euclidean distance."""
        own = np.sum(self._centre**2, axis=1)

        def distance(seen: Rows) -> Rows:
            squared = np.sum(seen**2, axis=1)[:, None] - 2.0 * seen @ self._centre.T + own
            return np.sqrt(np.maximum(squared.min(axis=1), 0.0))

        return _by_chunks(rows, self._rows, distance, look=self._seen)


class IsolationForest:
    """Isolation forest over single rows."""

    def fit(self, rows: Rows) -> None:
        """100 trees."""
        from sklearn.ensemble import IsolationForest as Forest  # noqa: PLC0415

        self._forest = Forest(n_estimators=100, random_state=0).fit(_spread(rows))

    def score(self, rows: Rows) -> Rows:
        """The forest's own score, turned so that higher is worse."""
        return _by_chunks(rows, 1, lambda seen: -self._forest.score_samples(seen))


class HalfSpaceTrees:
    """Streaming half-space trees; keep learning while they score, as they are meant to."""

    def fit(self, rows: Rows) -> None:
        """25 trees on rows scaled to 0..1 by the normal range."""
        from river.anomaly import HalfSpaceTrees as Trees  # noqa: PLC0415

        self._low = rows.min(axis=0)
        self._range = np.maximum(rows.max(axis=0) - self._low, 1e-6)
        self._trees = Trees(n_trees=25, height=8, window_size=250, seed=0)
        for row in self._scaled(_spread(rows)):
            self._trees.learn_one(dict(enumerate(row)))

    def _scaled(self, rows: Rows) -> list[list[float]]:
        scaled: list[list[float]] = np.clip((rows - self._low) / self._range, 0.0, 1.0).tolist()
        return scaled

    def score(self, rows: Rows) -> Rows:
        """Score each row, then learn it."""
        found = np.empty(len(rows))
        for at, row in enumerate(self._scaled(rows)):
            point = dict(enumerate(row))
            found[at] = self._trees.score_one(point)
            self._trees.learn_one(point)
        return found


class RandomCutForest:
    """Streaming random cut forest over the newest 8 rows."""

    def fit(self, rows: Rows) -> None:
        """50 trees of 256 points."""
        from rcf3 import Forest  # noqa: PLC0415

        self._forest = Forest(rows.shape[1], shingle_size=8, num_trees=50, capacity=256, seed=0)
        for row in rows[-_MOST_WINDOWS:].tolist():
            self._forest.update(row)

    def score(self, rows: Rows) -> Rows:
        """Score each row, then learn it."""
        return np.array([self._forest.update_and_score(row) for row in rows.tolist()], np.float64)


BASELINES: Mapping[str, Callable[[], Detector]] = {
    "PCA T2 + SPE": Pca,
    "k-means on z-scored windows": KMeans,
    "isolation forest": IsolationForest,
    "half-space trees (river)": HalfSpaceTrees,
    "random cut forest (rcf3)": RandomCutForest,
}


def in_normal_scales(values: NDArray[np.float32], normal_rows: int) -> Rows:
    """Rows [R, C] in the scales of the first so many, gaps filled as the agent fills them."""
    known = scales(values[:normal_rows])
    return standardise(values.T[None], **known)[0].T.astype(np.float64)


def with_own_limit(make: Callable[[], Detector], rows: Rows, *, normal_rows: int) -> tuple[Rows, float]:
    """(scores [R] of rows in normal scales, learnt from the first so many; the baseline's own threshold)."""
    split = normal_rows - normal_rows // 4
    rehearsal = make()
    rehearsal.fit(rows[:split])
    limit = float(np.quantile(rehearsal.score(rows[split:normal_rows]), _NORMAL_POINT))
    detector = make()
    detector.fit(rows[:normal_rows])
    return detector.score(rows), limit


def _windows(rows: Rows, length: int) -> Rows:
    """Newest `length` rows of all channels, [R - length + 1, C * length]."""
    windows = sliding_window_view(rows, length, axis=0)
    return windows.reshape(len(windows), -1)


def _spread(seen: Rows) -> Rows:
    """At most 4000 of them, evenly spaced."""
    if len(seen) <= _MOST_WINDOWS:
        return seen
    return seen[np.linspace(0, len(seen) - 1, _MOST_WINDOWS).astype(np.int64)]


def _by_chunks(
    rows: Rows,
    length: int,
    say: Callable[[Rows], Rows],
    *,
    look: Callable[[Rows], Rows] | None = None,
) -> Rows:
    """What `say` tells of the window that ends at each row; rows before the first whole window take its score."""
    see = look if look is not None else lambda part: _windows(part, length)
    found = np.concatenate(
        [
            say(see(rows[max(at - length + 1, 0) : at + _CHUNK_ROWS]))
            for at in range(length - 1, len(rows), _CHUNK_ROWS)
        ]
    )
    return np.concatenate([np.full(len(rows) - len(found), found[0]), found])
