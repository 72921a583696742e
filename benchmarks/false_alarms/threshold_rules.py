"""Other rules for a threshold from normal scores, to hold the agent's against; each sees the agent's own scores."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Scores = NDArray[np.float64]
# Normal hours that the scores of a day of commissioning make.
_BLOCKS = 24
_EXCESSES = 0.02
_EULER = 0.5772156649015329


def sample_quantile(scores: Scores, in_a_week: float) -> float:
    """The quantile that is exceeded by one window a week, as far as so few scores tell."""
    return float(np.quantile(scores, 1.0 - 1.0 / in_a_week))


def peaks_over_threshold(scores: Scores, in_a_week: float) -> float:
    """Generalised Pareto law of the highest 2 % of the scores, by maximum likelihood (as SPOT, KDD 2017)."""
    base = float(np.quantile(scores, 1.0 - _EXCESSES))
    beyond = scores[scores > base] - base
    shape, _, scale = stats.genpareto.fit(beyond, floc=0.0)
    chance = scores.size / (in_a_week * beyond.size)
    return base + float(stats.genpareto.isf(min(chance, 1.0), shape, 0.0, scale))


def conformal(scores: Scores, in_a_week: float) -> float:
    """Split conformal on the maxima of hours: the rank that one hour of a week exceeds, never where there is none."""
    del in_a_week
    peaks = np.sort([block.max() for block in np.array_split(scores, _BLOCKS)])
    rank = int(np.ceil((peaks.size + 1) * (1.0 - 1.0 / 168.0)))
    return float(peaks[rank - 1]) if rank <= peaks.size else float("inf")


def gumbel(scores: Scores, in_a_week: float) -> float:
    """Gumbel law of the maxima of hours by probability-weighted moments, without any margin."""
    del in_a_week
    peaks = np.sort([block.max() for block in np.array_split(scores, _BLOCKS)])
    rank = np.arange(peaks.size) / (peaks.size - 1)
    spread = (2.0 * float(np.mean(rank * peaks)) - float(peaks.mean())) / float(np.log(2.0))
    return float(peaks.mean()) + spread * (float(-np.log(-np.log1p(-1.0 / 168.0))) - _EULER)


RULES: dict[str, Callable[[Scores, float], float]] = {
    "sample quantile": sample_quantile,
    "peaks over threshold (Pareto)": peaks_over_threshold,
    "conformal on hourly maxima": conformal,
    "Gumbel on hourly maxima": gumbel,
}
