"""The threshold that keeps a false-alarm budget; a function of calm scores, not of any label.

Operators ask for "at most one false alarm a week", and calm recordings are far shorter than the weeks
that would show such a score. The largest scores of equal blocks of calm time follow a Gumbel law
whenever the score's tail is exponential or lighter, and blocks, unlike neighbouring windows, hardly depend on
each other (Coles, "An Introduction to Statistical Modeling of Extreme Values", 2001, chapter 3).
"""

import numpy as np
from numpy.typing import ArrayLike

_EULER = 0.5772156649015329
_BLOCKS_WANTED = 24
_SMALLEST_BLOCK = 8
_LARGEST_BLOCK = 512
# Standard errors of the estimated level that are added to it: with a day of calm rows the level is
# uncertain, and the budget is to hold on nine machines of ten, not on the average one.
_CAUTION = 1.28


def threshold(
    scores: ArrayLike, *, windows_per_week: float, budget_per_week: float, stride: float = 1.0
) -> float:
    """Score that calm windows exceed in at most `budget_per_week` blocks a week.

    Args:
        scores: scores of calm windows in the order of time, [W]; for an honest threshold each must come
            from a memory that did not hold its own rows.
        windows_per_week: windows the machine is scored on in a week.
        budget_per_week: false alarms a week that the operator accepts.
        stride: scored windows that pass from one of `scores` to the next.
    """
    values = np.asarray(scores, dtype=np.float64)
    size = int(np.clip(values.size // _BLOCKS_WANTED, _SMALLEST_BLOCK, _LARGEST_BLOCK))
    n_blocks = max(values.size // size, 1)
    peaks = np.sort([block.max() for block in np.array_split(values, n_blocks)])
    location, spread = _gumbel(peaks)
    blocks_per_week = windows_per_week / (values.size * stride / n_blocks)
    chance = min(budget_per_week / blocks_per_week, 0.5)
    reduced = -float(np.log(-np.log1p(-chance)))
    error = np.sqrt(max(1.11 + 0.52 * reduced + 0.61 * reduced**2, 0.0) / n_blocks)
    level = location + spread * (reduced + _CAUTION * float(error))
    weeks_seen = values.size * stride / windows_per_week
    if weeks_seen * budget_per_week < 1.0:
        # Less calm time than one budgeted alarm needs: nothing seen so far may count as one.
        level = max(level, float(values.max()))
    return level


def _gumbel(peaks: np.ndarray) -> tuple[float, float]:
    """(location, spread) of sorted block maxima by probability-weighted moments, steady for few blocks."""
    n = peaks.size
    mean = float(peaks.mean())
    if n < 2:
        return mean, 0.0
    weighted = float(np.mean(np.arange(n) / (n - 1) * peaks))
    spread = max((2.0 * weighted - mean) / float(np.log(2.0)), 0.0)
    return mean - _EULER * spread, spread
