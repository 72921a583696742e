"""The threshold that a machine needs of a pre-trained judge: the bundle's, raised where its own normal windows ask.

A judge's threshold was set on many machines and holds for most; on one that does in its calm hours what looks like a
fault elsewhere, the law that sets all thresholds (`threshold`) asks for a higher one. It never lowers it: few calm rows
say little of faults.

Axes: W normal windows.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.context_features import rows_learnt
from edge_agent.detect.judge import LOGIT, STRANGENESS, THRESHOLD, Judge, alarm_logit, value_of
from edge_agent.signals.features import Float32


def raised(
    judge: Judge,
    arrays: Mapping[str, NDArray[Any]],
    raw: Mapping[str, Float32],
    *,
    over: Float32,
    budget: float,
    limit: Callable[..., float],
) -> tuple[dict[str, NDArray[Any]], Float32]:
    """What the judge needs on a machine; nothing where it was not learnt for one.

    Args:
        judge: the judge.
        arrays: what was learnt so far.
        raw: raw scores [W] of held-out normal windows by name.
        over: what the statistics together and the jump come to, by their thresholds, [W, 2].
        budget: false alarms a week of all together.
        limit: the law (`threshold.threshold`), told all but figures [W] and the budget.

    Returns:
        (its array, `over` with the judge in the place of the statistics where it is heard).
    """
    if rows_learnt(arrays) == 0:
        return {}, over
    logit = raw[LOGIT]
    limits = judge.limits({}, rows=rows_learnt(arrays))
    alarm = alarm_logit(logit, over[:, 0], statistics=limits[2])
    limits[0] = max(limits[0], limit(alarm, budget_per_week=budget))
    value = value_of(alarm, limits[0])
    heard = raw[STRANGENESS] <= 1.0
    of_all = np.column_stack([np.where(heard, value, over[:, 0]), over[:, 1:]])
    return {THRESHOLD: np.array([limits[0], judge.identity], np.float64)}, of_all
