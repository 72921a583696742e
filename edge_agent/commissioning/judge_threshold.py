"""The threshold that a machine needs of a pre-trained judge: the bundle's, raised where its own normal windows ask.

A judge's threshold was set on many machines and holds for most. On one that does in its calm hours what looks like a
fault elsewhere, it is raised a little above the loudest that was heard there. No law of extreme values goes beyond
that: a logit says how sure a network is, its tail is none of chance, and such a law asked of most simulated machines
that were learnt from an hour for more than any fault comes to. It is never lowered: few calm rows say little of faults.

Axes: W normal windows.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.context_features import rows_learnt
from edge_agent.detect.fusion import judged
from edge_agent.detect.judge import DESCRIPTORS, LOGIT, STRANGENESS, THRESHOLD, Judge, alarm_logit
from edge_agent.signals.features import Float32

_MARGIN = np.float32(0.5)
"""Logits: a calm hour that is to come may be a little louder than those that were heard."""


def raised(
    judge: Judge, arrays: Mapping[str, NDArray[Any]], raw: Mapping[str, Float32], *, over: Float32
) -> tuple[dict[str, NDArray[Any]], Float32, Float32]:
    """What the judge needs on a machine; nothing where it was not learnt for one.

    Args:
        judge: the judge.
        arrays: what was learnt so far.
        raw: raw scores [W] of held-out normal windows by name.
        over: what the statistics together and the jump come to, by their thresholds, [W, 2].

    Returns:
        (its array, `over` with the judge in the place of the statistics where it is heard, what is held against its
        threshold of the windows that it is heard of, less that threshold).
    """
    if rows_learnt(arrays) == 0:
        return {}, over, np.empty(0, np.float32)
    logit, heard = raw[LOGIT], raw[STRANGENESS] <= 1.0
    limits = judge.limits(arrays, rows=rows_learnt(arrays))
    told = alarm_logit(logit, over[:, 0], objection=limits[2:])
    limits[0] = max(limits[0], told.max(where=heard, initial=-np.inf) + _MARGIN)
    parts, _ = judged(limits, logit, over, shape=np.ones_like(logit))
    raised_to = {THRESHOLD: np.array([limits[0], judge.identity], np.float64)}
    return raised_to, np.where(heard[:, None], parts, over), told[heard] - limits[0]


def decides(judge: Judge | None, arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Whether a judge decides on a machine in the place of the statistics: it is there, and knows such machines."""
    if judge is None or rows_learnt(arrays) == 0:
        return False
    described = np.asarray(arrays[DESCRIPTORS], np.float32)[np.newaxis]
    return bool(judge.strangeness(described, np.ones((1, 1), np.bool_))[0] <= 1.0)
