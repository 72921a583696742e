"""Spaces in which faults are compared: what a machine does anyway is shrunk away, as far as it is known. Pure.

The covariance within a class can be had without a label, from normal windows and from neighbours in time ("relevant
components", Bar-Hillel, Hertz, Shental, Weinshall, JMLR 6, 2005). But windows that are taken for normal may hold the
very faults that are to be told apart, and shrinking what they do would then shrink the faults. Whether they do is asked
of the named windows: a fault is further from normal than normal is from itself.

Axes: B windows, F numbers that describe a window, M normal windows, P pairs of neighbouring windows, N examples,
R directions in which the machine moves anyway.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from edge_agent.signals.features import Float32

# Unlabelled windows and pairs that are looked at: bounds the time of learning (an eigenproblem of their sum).
_MOST_NORMAL = 1000
_MOST_PAIRS = 1000
# Variance below this share of the mean variance counts as noise of the estimate and is not shrunk away.
_RIDGE_SHARE = 3e-3
# Normal windows are held against each other in stretches, every second of which makes a half: a machine that drifts is
# not unlike itself. Of each half, and the fewest that tell anything.
_STRETCHES = 16
_MOST_OF_A_HALF = 300
_FEWEST_OF_A_HALF = 8
# Share of comparisons in which an example is further from normal than a normal window. Of 13 simulated machines learnt
# from normal rows it was .75 at least, of the same learnt from rows with all their faults .50 at most.
_LEAST_APART = 0.65
_TINY = 1e-9


class Space(NamedTuple):
    """Where windows are seen as directions.

    Attributes:
        centre: the middle of normal windows, [F].
        directions: orthonormal, in which the machine moves anyway, [R, F].
        gains: what is left of each, [R].
    """

    centre: Float32
    directions: Float32
    gains: Float32

    def whitened(self, described: Float32) -> Float32:
        """Windows [B, F] about the centre, what the machine does anyway shrunk away."""
        points = described - self.centre
        usual = points @ self.directions.T  # B R
        points = points - (usual * (1.0 - self.gains)) @ self.directions
        return points.astype(np.float32, copy=False)

    def units(self, described: Float32) -> Float32:
        """Windows [B, F] as points on the unit sphere: one fault comes in many strengths."""
        points = self.whitened(described)
        unit = points / np.maximum(lengths(points), _TINY)[:, np.newaxis]
        return unit.astype(np.float32, copy=False)


class Normal(NamedTuple):
    """What normal windows say of the named ones.

    Attributes:
        spread: usual length of a normal window where the movement of the others is shrunk away; 0 where unknown.
        is_calm: whether the examples lie outside of what is called normal.
    """

    spread: float
    is_calm: bool


def spaces(
    normal: Float32 | None, pairs: Float32 | None, *, n_numbers: int, rng: np.random.Generator
) -> Mapping[str, Space]:
    """Spaces by what is shrunk away: "all", of normal windows [M, F] and neighbours [P, 2, F], "pairs", and "none"."""
    has_normal = normal is not None and len(normal) > 0
    centre = normal.mean(axis=0) if normal is not None and has_normal else np.zeros(n_numbers, np.float32)
    still = [np.empty((0, n_numbers), np.float32)]
    of_normal = [] if normal is None else [_some(normal, _MOST_NORMAL, rng) - centre]
    steps = []
    if pairs is not None:
        chosen = _some(pairs, _MOST_PAIRS, rng)
        steps = [(chosen[:, 1] - chosen[:, 0]) / np.float32(np.sqrt(2.0))]
    found = {"all": Space(centre, *_usual_movement(np.concatenate([*still, *of_normal, *steps])))}
    if has_normal and steps:
        found["pairs"] = Space(centre, *_usual_movement(steps[0]))
    if len(found["all"].gains):
        found["none"] = Space(centre, *_usual_movement(still[0]))
    return found


def ask_normal(normal: Float32 | None, examples: Float32) -> Normal:
    """Hold examples [N, F] and each half of the normal windows [M, F] against the other half."""
    stretches = [] if normal is None else np.array_split(normal, _STRETCHES)
    halves = [_thinned(np.concatenate(stretches[first::2])) for first in (0, 1) if stretches]
    if min(map(len, halves), default=0) < _FEWEST_OF_A_HALF:
        return Normal(0.0, is_calm=True)
    apart = [np.mean(lengths_of(examples)[:, np.newaxis] > usual) for lengths_of, usual in _held_out(halves)]
    whole = [_thinned(half) for half in np.array_split(np.concatenate(stretches), 2)]
    usual = np.concatenate([usual for _, usual in _held_out(whole)])
    return Normal(float(np.median(usual)), is_calm=bool(np.mean(apart) >= _LEAST_APART))


def _held_out(halves: Sequence[Float32]) -> Iterator[tuple[Callable[[Float32], Float32], Float32]]:
    """Of each half: (lengths of windows [B, F] where its movement is shrunk away [B], those of the other half's)."""
    for known, held_out in (halves, halves[::-1]):
        centre = known.mean(axis=0)
        space = Space(centre, *_usual_movement(known - centre))

        def lengths_of(described: Float32, space: Space = space) -> Float32:
            return lengths(space.whitened(described))

        yield lengths_of, lengths_of(held_out)


def lengths(points: Float32) -> Float32:
    """Euclidean lengths of points [B, F]: [B]."""
    found: Float32 = np.sqrt(np.einsum("bf,bf->b", points, points))
    return found


def _thinned(rows: Float32) -> Float32:
    return rows[:: -(-len(rows) // _MOST_OF_A_HALF) or 1]


def _some(rows: Float32, most: int, rng: np.random.Generator) -> Float32:
    return rows if len(rows) <= most else rows[np.sort(rng.choice(len(rows), most, replace=False))]


def _usual_movement(samples: Float32) -> tuple[Float32, Float32]:
    """(orthonormal directions [R, F] in which samples vary about 0, what is left of each after whitening [R])."""
    n_numbers = samples.shape[1]
    if len(samples) < 2:
        return np.empty((0, n_numbers), np.float32), np.empty(0, np.float32)
    scaled = samples.astype(np.float64) / np.sqrt(len(samples))
    # The smaller of the two Gram matrices has the same non-zero eigenvalues.
    tall = len(scaled) > n_numbers
    variance, vectors = np.linalg.eigh(scaled.T @ scaled if tall else scaled @ scaled.T)
    real = variance > _TINY * max(float(variance[-1]), _TINY)
    variance = variance[real]
    directions = vectors[:, real].T if tall else (vectors[:, real] / np.sqrt(variance)).T @ scaled
    floor = _RIDGE_SHARE * float(variance.sum()) / n_numbers
    gains = np.sqrt(floor / (variance + floor))
    return directions.astype(np.float32), gains.astype(np.float32)
