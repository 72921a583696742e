"""What is normal of a machine's cycles, from some sixty of them; pure.

A set-point explains a feature by a line only where that line explains more than `_LEAST_EXPLAINED` of it in cycles that
the line was not fitted to. A channel that is a copy of what it should explain would explain everything, faults too: it
is refused (`leaked`).

An alarm takes two cycles in a row, so what a threshold has to leave alone is the smaller score of two neighbours: a
single strange cycle among those that are learnt from does not make the machine deaf.

Axes: R cycles, C channels, F features, G given channels, K recipes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.commissioning import drift
from edge_agent.commissioning.normal_scores import Look, NormalScores
from edge_agent.detect.cycle_scores import CLIP, CycleMemory, Float64, design, distances
from edge_agent.detect.operating_modes import IN_TRANSIT
from edge_agent.errors import CommissionError
from edge_agent.records import Float32

FEWEST_CYCLES = 20
"""Of all recipes together; a recipe that had fewer than `_FEWEST_OF_RECIPE` is met as an unknown one."""
_FEWEST_OF_RECIPE = 5
MOST_CYCLES = 400
"""That are remembered, to learn more recipes beside them."""
_LEAST_OBSERVED = 0.5
_FEW_VALUES = 8
_RIDGE = 1.0
_LEAST_EXPLAINED = 0.1
_LEAKED = 0.999
_LAST_DIGIT = 1e-5
"""Of a number in single precision, which is how channels are kept."""
_LEAST_OF_DEVIATION = 0.1
_LEAST_OF_TIME = 0.01
"""Of a duration's middle: clocks and rows are no finer."""
_QUARTILES_OF_A_SPREAD = 1.349
_UNIT_PERCENT = 99.0
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class CycleChannels:
    """What the channels of a cycle's row are.

    Attributes:
        names: C of them.
        recipe: the one that says the recipe, "" where there is one recipe.
        given: those that explain. durations: those that are times.
    """

    names: tuple[str, ...]
    recipe: str
    given: frozenset[str]
    durations: frozenset[str]


def fit(
    rows: Float32, channels: CycleChannels, *, budget_per_week: float, cycles_per_week: float
) -> dict[str, NDArray[Any]]:
    """Learn from normal cycles [R, C], NaN where something is missing.

    Returns:
        name -> array: what `cycle_scores` reads, thresholds, and what drift is told by.

    Raises:
        CommissionError: too few cycles, or none of a recipe that comes again.
    """
    rows = rows[-MOST_CYCLES:]
    memory, loo = _learnt(rows, channels)
    known = memory.known(rows)
    look = Look(float(len(loo)), 1.0, cycles_per_week, float(len(loo)), 1.0, budget_per_week)
    scores = np.stack([loo, np.zeros(len(loo))], axis=1).astype(np.float32)
    normal = NormalScores.of(scores, scores[:, 0], look)
    limits = normal.thresholds(budget_per_week)
    return {
        **memory.arrays(),
        **_located(rows[known]),
        **normal.arrays(),
        **drift.reference(rows[known], scores[:, 0] / limits[0]),
        "threshold": limits[:2],
        "recent_threshold": np.array(limits[2], np.float32),
        "weights": np.zeros((4, 1), np.float32),
    }


def _learnt(rows: Float32, channels: CycleChannels) -> tuple[CycleMemory, Float64]:
    """(what is learnt, the lasting score of each learnt cycle by what was learnt without it, before any threshold)."""
    names = channels.names
    at_recipe = names.index(channels.recipe) if channels.recipe in names else -1
    recipes, recipe = _recipes(rows, at_recipe)
    learnt = recipe != IN_TRANSIT
    if learnt.sum() < FEWEST_CYCLES:
        raise CommissionError(
            f"{int(learnt.sum())} cycles of recipes that come again: {FEWEST_CYCLES} are needed"
        )
    rows, recipe = rows[learnt], recipe[learnt]
    given = np.array([at for at, name in enumerate(names) if name in channels.given], np.int64)
    shares = [np.isfinite(rows[recipe == one]).mean(axis=0) for one in range(len(recipes))]
    observed = np.max(shares, axis=0) >= _LEAST_OBSERVED  # a step may be of one recipe only
    told = {*given.tolist(), at_recipe}
    features = np.array([at for at in range(len(names)) if observed[at] and at not in told], np.int64)
    values = rows[:, features].astype(np.float64)
    centre = np.full((len(recipes), len(features)), np.nan)  # what a recipe never showed is not judged in it
    for one in range(len(recipes)):
        shown = np.isfinite(values[recipe == one]).any(axis=0)
        centre[one, shown] = np.nanmedian(values[recipe == one][:, shown], axis=0)
    rest = values - centre[recipe]
    seen = np.isfinite(rest)
    rest = np.where(seen, rest, 0.0)
    terms = _terms(rows[:, given])
    weights, residual, leaked = _line(rest, design(rows[:, given], **terms), values)
    duration = np.array([names[at] in channels.durations for at in features.tolist()], np.bool_)
    spread = _spread(np.where(seen, residual, np.nan), values, duration)
    z = np.clip(residual / spread, -CLIP, CLIP)
    mean = z.mean(axis=0)
    inverse, kept_share = _inverse(z - mean)
    memory = CycleMemory(
        features=features,
        duration=duration,
        given=given,
        recipe=np.array(at_recipe, np.int64),
        recipes=recipes,
        centre=centre.astype(np.float32),
        spread=spread.astype(np.float32),
        reach=_reach(rows[:, given]),
        weights=weights.astype(np.float32),
        leaked=leaked,
        mean=mean.astype(np.float32),
        inverse=inverse.astype(np.float32),
        unit=np.ones(2, np.float32),
        rows=rows_of(rows),
        **terms,
    )
    loo = distances(memory, residual / spread)
    loo[:, 0] *= _left_out(distances(memory, z)[:, 0], kept_share, count=len(rows))
    unit = np.maximum(np.percentile(_lasting(loo), _UNIT_PERCENT, axis=0), _TINY)
    return memory._replace(unit=unit.astype(np.float32)), _lasting((loo / unit).max(axis=1))


def _lasting(scores: Float64) -> Float64:
    """Of each cycle [R, ...] and the next one the smaller score; the last one's with the one before."""
    found: Float64 = np.minimum(scores, np.concatenate([scores[1:], scores[-2:-1]]))
    return found


def rows_of(rows: Float32) -> Float32:
    """A copy that a profile may keep."""
    return np.ascontiguousarray(rows, np.float32)


def _recipes(rows: Float32, at: int) -> tuple[Float64, NDArray[np.int64]]:
    """(numbers of the recipes that came often enough [K], which of them each cycle is [R], `IN_TRANSIT`: none)."""
    if at < 0:
        return np.zeros(1), np.zeros(len(rows), np.int64)
    number = rows[:, at].astype(np.float64)
    found, count = np.unique(number[np.isfinite(number)], return_counts=True)
    found = found[count >= _FEWEST_OF_RECIPE]
    if not len(found):
        return np.zeros(1), np.full(len(rows), IN_TRANSIT)
    same = number[:, np.newaxis] == found
    return found, np.where(same.any(axis=1), same.argmax(axis=1), IN_TRANSIT)


def _terms(given: Float32) -> dict[str, Float32]:
    """How what is given [R, G] becomes terms of a line: `levels`, `place` and `scale`."""
    count = given.shape[1]
    levels = np.full((count, _FEW_VALUES), np.nan, np.float32)
    place, scale = np.zeros(count, np.float32), np.ones(count, np.float32)
    for at in range(count):
        seen = given[np.isfinite(given[:, at]), at]
        few = np.unique(np.round(seen, 6))
        if 0 < len(few) <= _FEW_VALUES:
            levels[at, : len(few)] = few
        elif len(seen):
            place[at], scale[at] = np.median(seen), max(float(seen.std()), _TINY)
    return {"levels": levels, "place": place, "scale": scale}


def _reach(given: Float32) -> Float32:
    """The least and the largest of what was given, [2, G]; no bound where nothing was."""
    low, high = np.full(given.shape[1], -np.inf, np.float32), np.full(given.shape[1], np.inf, np.float32)
    for at in range(given.shape[1]):
        seen = given[np.isfinite(given[:, at]), at]
        if len(seen):
            low[at], high[at] = seen.min(), seen.max()
    return np.stack([low, high])


def _line(rest: Float64, terms: Float64, values: Float64) -> tuple[Float64, Float64, NDArray[np.bool_]]:
    """(weights [A, F], what the line leaves of each cycle that it was not fitted to [R, F], what it copies [F])."""
    A = terms.shape[1]
    gram = terms.T @ terms + _RIDGE * np.eye(A)
    weights = np.linalg.solve(gram, terms.T @ rest)
    leverage = np.einsum("ra,ar->r", terms, np.linalg.solve(gram, terms.T))
    left = (rest - terms @ weights) / np.maximum(1.0 - leverage, _TINY)[:, np.newaxis]
    total = np.square(rest - rest.mean(axis=0)).sum(axis=0)
    explained = 1.0 - np.square(left).sum(axis=0) / np.maximum(total, _TINY)
    exact, *_ = np.linalg.lstsq(terms, rest, rcond=None)
    off = np.abs(rest - terms @ exact).max(axis=0) if len(rest) else np.zeros(rest.shape[1])
    size = np.nanmax(np.abs(values), axis=0)
    copied = 1.0 - np.square(rest - terms @ exact).sum(axis=0) / np.maximum(total, _TINY) > _LEAKED
    leaked: NDArray[np.bool_] = copied & (off <= _LAST_DIGIT * size) & (total > _TINY) & (A > 1)
    used = (explained > _LEAST_EXPLAINED) & ~leaked & (A > 1)
    return np.where(used, weights, 0.0), np.where(used, left, rest), leaked


def _spread(residual: Float64, values: Float64, duration: NDArray[np.bool_]) -> Float64:
    """Usual spreads of features, [F], by what was seen; none is so small that the last digit stands out."""
    quartiles = _quartiles(residual)
    deviation = np.nanstd(np.clip(residual, -CLIP * quartiles, CLIP * quartiles), axis=0)
    middle = np.abs(np.nanmedian(values, axis=0))
    least = np.where(duration, _LEAST_OF_TIME * middle, _LAST_DIGIT * middle)
    rough = _LEAST_OF_DEVIATION * np.where(quartiles > 0, deviation, np.nanstd(residual, axis=0))
    found: Float64 = np.maximum.reduce([quartiles, rough, least])
    return found + _TINY


def _quartiles(residual: Float64) -> Float64:
    """Spreads by the middle half, [R, F] -> [F]."""
    low, high = np.nanpercentile(residual, (25.0, 75.0), axis=0)
    return np.asarray((high - low) / _QUARTILES_OF_A_SPREAD)


def _inverse(z: Float64) -> tuple[Float64, float]:
    """(inverse of the covariance of centred rows [R, F] drawn towards a sphere, the share that is theirs)."""
    count, F = z.shape
    covariance = z.T @ z / count
    sphere = float(np.trace(covariance)) / F
    apart = float(np.square(covariance - sphere * np.eye(F)).sum()) / F
    fourth = float(np.square(np.square(z).sum(axis=1)).sum())
    noise = (fourth - count * float(np.square(covariance).sum())) / (count**2 * F)
    shrunk = 1.0 if apart <= 0 else min(max(noise / apart, 0.0), 1.0)
    drawn = (1.0 - shrunk) * covariance + (shrunk * sphere + _TINY) * np.eye(F)
    return np.linalg.inv(drawn), 1.0 - shrunk


def _left_out(distance: Float64, share: float, *, count: int) -> Float64:
    """By what distances [R] of learnt cycles would be larger had the covariance been learnt without each of them.

    By Sherman and Morrison's formula for one row less; the mean and the share of the sphere are left as they are.
    """
    room = np.maximum(1.0 - share / count * np.square(distance), 1.0 / count)
    return np.asarray(np.sqrt(1.0 / room))


def _located(rows: Float32) -> Mapping[str, NDArray[Any]]:
    """Middle and spread of every channel, [C] each, as people read them."""
    with np.errstate(all="ignore"):
        seen = np.where(np.isfinite(rows), rows, np.nan)
        some = np.isfinite(seen).any(axis=0)
        filled = np.where(some, seen, 0.0)
        middle = np.nanmedian(filled, axis=0)
        low, high = np.nanpercentile(filled, (25.0, 75.0), axis=0)
        deviation = np.nanstd(filled, axis=0)
    scale = np.maximum((high - low) / _QUARTILES_OF_A_SPREAD, np.maximum(0.1 * deviation, 1e-6))
    return {"location": middle.astype(np.float32), "scale": scale.astype(np.float32)}


def leaked_names(memory: CycleMemory, names: Sequence[str]) -> tuple[str, ...]:
    """Features of which something given is a copy."""
    return tuple(names[at] for at in memory.features[memory.leaked].tolist())
