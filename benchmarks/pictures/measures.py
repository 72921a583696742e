"""How well scores rank pictures, and maps places. Pure.

AUROC is the chance that a faulty picture scores higher than a good one. AUPRO is the mean share of each faulty region
that is found, over false-positive rates up to .3 of the good pixels, as the field reports it (Bergmann et al., 2021).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import rankdata

_RATES_UP_TO = 0.3
_STEPS = 200
_EIGHT = np.ones((3, 3), np.int8)


def auroc(faulty: Sequence[float], good: Sequence[float]) -> float:
    """Of two samples of scores; ties count half."""
    ranks = rankdata(np.concatenate([faulty, good]))
    n, m = len(faulty), len(good)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


def interval(faulty: Sequence[float], good: Sequence[float], *, draws: int = 300) -> tuple[float, float]:
    """95 % of the AUROC over pictures drawn again with replacement."""
    rng = np.random.default_rng(0)
    one, other = np.asarray(faulty), np.asarray(good)
    found = [
        auroc(rng.choice(one, len(one)).tolist(), rng.choice(other, len(other)).tolist())
        for _ in range(draws)
    ]
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def aupro(maps: NDArray[np.float32], masks: NDArray[np.bool_]) -> float:
    """Of maps [N, S, S] and what is faulty in them, of the same shape."""
    thresholds = np.quantile(maps[~masks], np.linspace(1.0, 1.0 - _RATES_UP_TO, _STEPS))
    regions = []
    for one, mask in zip(maps, masks, strict=True):
        labels, count = ndimage.label(mask, structure=_EIGHT)
        regions += [np.sort(one[labels == number]) for number in range(1, count + 1)]
    if not regions:
        return float("nan")
    overlaps = [1.0 - np.searchsorted(region, thresholds, side="right") / len(region) for region in regions]
    rates = np.linspace(0.0, _RATES_UP_TO, _STEPS)
    return float(np.trapezoid(np.mean(overlaps, axis=0), rates) / _RATES_UP_TO)
