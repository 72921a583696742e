"""How unusual a machine's cycles are: each is one row, held against the cycles of its recipe. Pure; learns nothing.

The score is the larger of two parts, each in units of what is usual of it:

- together: the distance of all that is measured of a cycle from its recipe's middle, what moves together counted once
  (Mahalanobis, by a covariance that is drawn towards a sphere: Ledoit and Wolf, J. Multivariate Analysis 88, 2004);
- by itself: the duration, or a step's, that is furthest from the usual one.

What is told to the machine (`given`) explains what is measured by a line, where that helped with cycles left out.
A recipe or a set-point that was never learnt says nothing of the machine: such a cycle has no score.

What was learnt lies among a machine's arrays as `cycle_<field>`.

Axes: B cycles, C channels, F features, G given channels, L values of a given channel, K recipes, A terms of the line.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.operating_modes import IN_TRANSIT
from edge_agent.records import Float32, ScoreBlock, WindowBlock

Arrays = Mapping[str, NDArray[Any]]
Float64 = NDArray[np.float64]

CLIP = 6.0
"""Spreads beyond which a cycle that is learnt from tells no more."""
_SCORED_CLIP = 1000.0
_PREFIX = "cycle_"
_SIGN = f"{_PREFIX}inverse"
_REACH_MORE = 0.1
"""Of what was learnt, by which a set-point may be further and still be known."""


class CycleMemory(NamedTuple):
    """What is known of a machine's cycles.

    Attributes:
        features: which channels are judged, [F]. duration: those that are times, [F].
        given: which channels explain, [G].
        recipe: which channel says the recipe, 0-d; -1: there is one recipe.
        recipes: their numbers, [K].
        centre: of each recipe, NaN of what it never showed, [K, F]. spread: [F].
        levels: values of given channels that have few, NaN elsewhere, [G, L]. place, scale: of the others, [G].
        reach: least and largest of what was given, [2, G].
        weights: of the line, [A, F]; 0 where it explains nothing.
        leaked: features that something given is a copy of, [F].
        mean, inverse: of the standardised features, [F] and [F, F].
        unit: what each part of the score is divided by, [2].
        rows: that all this was learnt from, [M, C].
    """

    features: NDArray[np.int64]
    duration: NDArray[np.bool_]
    given: NDArray[np.int64]
    recipe: NDArray[np.int64]
    recipes: Float64
    centre: Float32
    spread: Float32
    levels: Float32
    place: Float32
    scale: Float32
    reach: Float32
    weights: Float32
    leaked: NDArray[np.bool_]
    mean: Float32
    inverse: Float32
    unit: Float32
    rows: Float32

    @classmethod
    def read(cls, arrays: Arrays) -> "CycleMemory":
        """Those among a machine's arrays; KeyError where `knows_cycles` says no."""
        return cls._make([arrays[_PREFIX + field] for field in cls._fields])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """By the names that a profile keeps them under."""
        return {_PREFIX + field: getattr(self, field) for field in self._fields}

    def recipe_of(self, rows: Float32) -> NDArray[np.int64]:
        """Place of the recipe of each cycle [B, C] among the known ones, [B]; `IN_TRANSIT` where it is none."""
        if int(self.recipe) < 0:
            return np.zeros(len(rows), np.int64)
        number = rows[:, int(self.recipe)].astype(np.float64)
        same = number[:, np.newaxis] == self.recipes
        return np.where(same.any(axis=1), same.argmax(axis=1), IN_TRANSIT)

    def beyond(self, rows: Float32) -> NDArray[np.bool_]:
        """Which given channels are where they never were, [B, G]; what is missing is nowhere."""
        values = rows[:, self.given]
        low, high = self.reach
        more = _REACH_MORE * (high - low)
        outside = (values < low - more) | (values > high + more)
        for at in np.flatnonzero(np.isfinite(self.levels).any(axis=1)).tolist():
            near = np.isclose(values[:, at, np.newaxis], self.levels[at], rtol=1e-3, atol=1e-6)
            outside[:, at] = ~near.any(axis=1)
        found: NDArray[np.bool_] = outside & np.isfinite(values)
        return found

    def known(self, rows: Float32) -> NDArray[np.bool_]:
        """[B] cycles whose recipe and set-points were learnt."""
        found: NDArray[np.bool_] = (self.recipe_of(rows) != IN_TRANSIT) & ~self.beyond(rows).any(axis=1)
        return found

    def standardised(self, rows: Float32) -> Float64:
        """Features of known cycles [B, C] less what is usual of them, in usual spreads, [B, F]; 0 where missing."""
        recipe = np.maximum(self.recipe_of(rows), 0)
        line = (
            design(rows[:, self.given], levels=self.levels, place=self.place, scale=self.scale) @ self.weights
        )
        rest = (rows[:, self.features].astype(np.float64) - self.centre[recipe] - line) / self.spread
        return np.where(np.isfinite(rest), rest, 0.0)


def knows_cycles(arrays: Arrays) -> bool:
    """Whether a machine's arrays are of its cycles."""
    return _SIGN in arrays


def design(values: Float32, *, levels: Float32, place: Float32, scale: Float32) -> Float64:
    """Terms of the line for what is given [B, G]: 1, and of each channel its value, or one term for each of a few."""
    terms = [np.ones(len(values))]
    for at in range(values.shape[1]):
        column = values[:, at].astype(np.float64)
        few = levels[at][np.isfinite(levels[at])]
        if len(few):
            terms += [np.isclose(column, one, rtol=1e-3, atol=1e-6).astype(np.float64) for one in few[1:]]
        else:
            terms.append(np.where(np.isfinite(column), (column - place[at]) / scale[at], 0.0))
    return np.stack(terms, axis=1)


def distances(memory: CycleMemory, rest: Float64) -> Float64:
    """Both parts of the score before any threshold, in usual ones, [B, 2], of standardised features [B, F]."""
    away = np.clip(rest, -_SCORED_CLIP, _SCORED_CLIP) - memory.mean
    square = np.einsum("bf,fg,bg->b", away, memory.inverse.astype(np.float64), away)
    times = np.where(memory.duration, np.abs(rest), 0.0)
    alone = times.max(axis=1) if times.shape[1] else np.zeros(len(rest))
    both = np.stack([np.sqrt(np.maximum(square, 0.0)), alone], axis=1)
    return np.asarray(both / memory.unit)


def score(block: WindowBlock, arrays: Arrays, channels: Sequence[str]) -> ScoreBlock:
    """What cycles score; the newest row of a window is the cycle."""
    memory = CycleMemory.read(arrays)
    rows = block.values[:, :, -1].copy()
    rows[:, list(block.hidden)] = np.nan
    known = memory.known(rows)
    rest = memory.standardised(rows)
    parts = np.where(known[:, np.newaxis], distances(memory, rest), 0.0)
    worst = parts.max(axis=1)
    timed = parts[:, 1] >= parts[:, 0]
    squares = np.square(np.clip(rest, -_SCORED_CLIP, _SCORED_CLIP))
    squares = np.where(timed[:, np.newaxis] & ~memory.duration, 0.0, squares)
    shares = np.zeros(rows.shape, np.float32)
    shares[:, memory.features] = squares / np.maximum(squares.sum(axis=1, keepdims=True), 1e-12)
    B, C = rows.shape
    return ScoreBlock(
        windows=block,
        channels=tuple(channels),
        value=(worst / np.ravel(arrays["threshold"])[0]).astype(np.float32),
        recent=(worst / float(arrays["recent_threshold"])).astype(np.float32),
        contributions=shares,
        expected=np.full((B, C), np.nan, np.float32),
        classes=np.empty((B, 0), np.float32),
        mode=np.where(known, memory.recipe_of(rows), IN_TRANSIT) if int(memory.recipe) >= 0 else None,
    )
