"""What two judges are worth in the same episodes, and how sure the difference is.

The interval is a bootstrap of the paired differences (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993)
in two stages, groups and then the episodes of each (Davison and Hinkley, "Bootstrap Methods and their Application",
1997, 3.8): episodes of one machine, or of one family of machines, are no independent witnesses.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_DRAWS = 2000
_POINTS = (2.5, 97.5)
Values = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Gain:
    """Of one judge over another: each the mean over groups of the mean over their episodes.

    Attributes:
        before, after: what either is worth.
        low, high: 95 % interval of the difference.
        groups, episodes: that were measured with both.
    """

    before: float
    after: float
    low: float
    high: float
    groups: int
    episodes: int

    @property
    def mean(self) -> float:
        """After less before."""
        return self.after - self.before


def gain(before: Values, after: Values, group: Sequence[str], *, seed: int = 0) -> Gain:
    """What was gained from `before` [N] to `after` [N], both of the same episodes; NaN counts not.

    `group` [N] says of which machine or family an episode is. Where nothing can be compared all is NaN.
    """
    there = np.isfinite(before) & np.isfinite(after)
    names, number = np.unique(np.array(group)[there], return_inverse=True)
    if not len(names):
        return Gain(np.nan, np.nan, np.nan, np.nan, 0, 0)
    worth = np.stack([before[there], after[there]])
    of_group = [worth[:, number == at] for at in range(len(names))]  # G times 2 n
    means = np.mean([each.mean(axis=1) for each in of_group], axis=0)
    drawn = _drawn_means(np.random.default_rng(seed), [each[1] - each[0] for each in of_group])
    low, high = np.percentile(drawn, _POINTS)
    return Gain(float(means[0]), float(means[1]), float(low), float(high), len(names), int(there.sum()))


def _drawn_means(rng: np.random.Generator, differences: Sequence[Values]) -> Values:
    """Mean over groups of each draw [D]: as many groups as there are, and of each as many episodes as it has."""
    count = len(differences)
    sizes = np.array([len(each) for each in differences])
    padded = np.zeros((count, int(sizes.max())))
    for row, each in zip(padded, differences, strict=True):
        row[: len(each)] = each
    means = np.empty(_DRAWS)
    for at in range(_DRAWS):
        group = rng.integers(0, count, count)  # G
        place = (rng.random((count, padded.shape[1])) * sizes[group, None]).astype(np.int64)  # G n
        counts = np.arange(padded.shape[1]) < sizes[group, None]
        values = padded[group[:, None], place]
        means[at] = ((values * counts).sum(axis=1) / sizes[group]).mean()
    return means
