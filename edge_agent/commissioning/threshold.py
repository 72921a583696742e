"""The threshold that keeps a false-alarm budget; a function of normal scores, not of any label.

Operators ask for "at most one false alarm a week", and normal recordings are far shorter than the weeks
that would show such a score. The largest scores of equal blocks of normal time follow an extreme-value law, and blocks,
unlike neighbouring windows, hardly depend on each other (Coles, "An Introduction to Statistical Modeling of Extreme
Values", 2001, chapter 3). Where the score's tail is exponential or lighter it is Gumbel's; a machine with rare, violent
shocks has a heavier one, and a Gumbel law would alarm at every shock. How heavy it is, few blocks tell badly: the
estimate is drawn towards Gumbel's law, the more the fewer they are.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

_BLOCKS_WANTED = 24
_SMALLEST_BLOCK = 8
_LARGEST_BLOCK = 512
# Standard errors of the estimated level that are added to it: with a day of normal rows the level is
# uncertain, and the budget is to hold on nine machines of ten, not on the average one.
_CAUTION = 1.28
# Blocks that the Gumbel law is worth against the estimate of the tail's heaviness, and the bounds of the latter.
_BLOCKS_OF_DOUBT = 24
_LEAST_HEAVINESS = 1e-3
_MOST_HEAVINESS = 0.35
# A threshold looks no further than so many times the normal time that it was set by: an hour tells of a day, not of a
# week. The rest of the way it goes in service (`threshold_tracking`). Chosen on simulated plants: to look a week ahead
# from an hour found 15 of 40 faults, this finds 26, and neither alarmed in twelve normal hours.
_REACH = 24.0
# Of the budget, for all detectors together and for a plain step of one channel (`fusion.fuse`). The former may be set
# stricter, because most of what it would miss by that is seen by the latter. A third is kept in reserve: alarms come by
# chance, and the budget is to hold on nine machines of ten.
_SHARES = (0.15, 0.5)


def shared(budget_per_week: float, n_parts: int) -> tuple[float, ...]:
    """The budget of each part of a score that has a threshold of its own."""
    shares = _SHARES if n_parts == len(_SHARES) else (1.0 / n_parts,) * n_parts
    return tuple(share * budget_per_week for share in shares)


def threshold(
    scores: ArrayLike,
    *,
    windows_per_week: float,
    budget_per_week: float,
    stride: float = 1.0,
    independent: float = math.inf,
) -> float:
    """Score that normal windows exceed in at most `budget_per_week` blocks a week.

    Args:
        scores: scores of normal windows in the order of time, [W]; for an honest threshold each must come
            from a memory that did not hold its own rows.
        windows_per_week: windows the machine is scored on in a week.
        budget_per_week: false alarms a week that the operator accepts.
        stride: scored windows that pass from one of `scores` to the next.
        independent: windows among them that share no rows; fewer than blocks, and the blocks tell less of the tail.
    """
    peaks = largest_of_blocks(scores)
    return of_blocks(
        peaks,
        windows=np.size(scores),
        windows_per_week=windows_per_week,
        budget_per_week=budget_per_week,
        stride=stride,
        independent=independent,
    )


def largest_of_blocks(scores: ArrayLike) -> NDArray[np.float64]:
    """The largest of each block of scores in the order of time, [W] -> [n]."""
    values = np.asarray(scores, dtype=np.float64)
    size = int(np.clip(values.size // _BLOCKS_WANTED, _SMALLEST_BLOCK, _LARGEST_BLOCK))
    n_blocks = max(values.size // size, 1)
    return np.array([block.max() for block in np.array_split(values, n_blocks)])


def of_blocks(
    peaks: ArrayLike,
    *,
    windows: float,
    windows_per_week: float,
    budget_per_week: float,
    stride: float = 1.0,
    independent: float = math.inf,
) -> float:
    """The same threshold by what `largest_of_blocks` [n] gave of so many windows."""
    values = np.asarray(peaks, dtype=np.float64)
    blocks_per_week = windows_per_week / (windows * stride / values.size)
    chance = min(max(budget_per_week / blocks_per_week, 1.0 / (_REACH * values.size)), 0.5)
    limit = level(values, chance=chance, independent=independent)
    weeks_seen = windows * stride / windows_per_week
    if weeks_seen * budget_per_week < 1.0:
        # Less normal time than one budgeted alarm needs: nothing seen so far may count as one.
        limit = max(limit, float(values.max()))
    return limit


def chance_above(peaks: ArrayLike, limit: float, *, independent: float = math.inf) -> float:
    """Chance that the largest score of a block exceeds a limit, by the same law of those of n blocks; no caution."""
    ordered = np.sort(np.asarray(peaks, dtype=np.float64))
    location, spread, heaviness = _extreme_values(ordered, min(independent, ordered.size))
    if spread <= 0.0:
        return float(limit < location)
    reduced = math.log(max(1.0 + heaviness * (limit - location) / spread, 1e-12)) / heaviness
    return -math.expm1(-math.exp(min(-reduced, 50.0)))


def level(peaks: ArrayLike, *, chance: float, independent: float = math.inf) -> float:
    """Level that the largest score of a block exceeds with the given chance, by the largest scores of n blocks.

    The standard error of a Gumbel level (1.11 + 0.52 y + 0.61 y^2 over n, y the reduced level) is added, so that a
    level from few blocks errs on the high side.

    Args:
        peaks: largest score of each block, [n].
        chance: between 0 and 1.
        independent: how many of the blocks count in full, where they are too short to be independent.
    """
    ordered = np.sort(np.asarray(peaks, dtype=np.float64))
    location, spread, heaviness = _extreme_values(ordered, min(independent, ordered.size))
    reduced = -math.log(-math.log1p(-chance))
    error = math.sqrt(max(1.11 + 0.52 * reduced + 0.61 * reduced**2, 0.0) / ordered.size)
    return location + spread * math.expm1(heaviness * (reduced + _CAUTION * error)) / heaviness


def gumbel(peaks: ArrayLike) -> tuple[float, float]:
    """(location, spread) of Gumbel's law of the largest scores of n blocks, by probability-weighted moments."""
    ordered = np.sort(np.asarray(peaks, dtype=np.float64))
    rank = np.arange(ordered.size) / (ordered.size - 1)
    spread = (2.0 * float(np.mean(rank * ordered)) - float(ordered.mean())) / math.log(2.0)
    return float(ordered.mean()) - float(np.euler_gamma) * spread, spread


def _extreme_values(peaks: NDArray[np.float64], independent: float) -> tuple[float, float, float]:
    """(location, spread, heaviness) of the law of sorted block maxima, by probability-weighted moments.

    Source: Hosking, Wallis and Wood, "Estimation of the Generalized Extreme-Value Distribution by the Method of
    Probability-Weighted Moments", Technometrics 27, 1985; the heaviness is drawn towards 0, the Gumbel law.
    """
    n = peaks.size
    mean = float(peaks.mean())
    if n < 3:
        return mean, 0.0, _LEAST_HEAVINESS
    rank = np.arange(n)
    first = float(np.mean(rank / (n - 1) * peaks))
    second = float(np.mean(rank * (rank - 1) / ((n - 1) * (n - 2)) * peaks))
    width = 2.0 * first - mean
    if width <= 0.0:
        return mean, 0.0, _LEAST_HEAVINESS
    # Within what any law can have: rounding errors of nearly equal peaks are not.
    skewness = min(max((6.0 * second - 6.0 * first + mean) / width, -0.9), 0.9)
    bend = 2.0 / (3.0 + skewness) - math.log(2.0) / math.log(3.0)
    estimate = -(7.859 * bend + 2.9554 * bend**2)
    heaviness = estimate * independent / (independent + _BLOCKS_OF_DOUBT)
    heaviness = min(max(heaviness, _LEAST_HEAVINESS), _MOST_HEAVINESS)
    gamma = math.gamma(1.0 - heaviness)
    spread = width * heaviness / ((2.0**heaviness - 1.0) * gamma)
    return mean - spread * (gamma - 1.0) / heaviness, spread, heaviness
