"""What another budget of false alarms does to a machine's thresholds, and what the promise is worth yet. Pure.

Where the statistics decide, a budget sets thresholds by the machine's own kept normal scores, as learning does. Where
a pre-trained judge decides, the threshold comes with the bundle and stands for `REFERENCE_PER_WEEK`; other budgets move
it by so many logits for each e-fold as the machine's own calm logits are spread. Nothing learnt is rewritten: a factor
of each part of the score says how far the threshold in use is from the learnt one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.commissioning.normal_scores import NormalScores
from edge_agent.commissioning.threshold import gumbel
from edge_agent.commissioning.threshold_tracking import BLOCKS_NEEDED, ThresholdTracker
from edge_agent.detect.judge import value_of

REFERENCE_PER_WEEK = 1.0
"""False alarms a week that the threshold of a bundle's judge stands for."""
_FOLD_SHARE = 0.6
"""Of the spread of calm logits, what an e-fold of the budget moves the threshold by: logits end sooner than Gumbel's
law, and an alarm takes several windows. Measured on 260 machines that no network saw, see docs/method.md."""
_USUAL_SPREAD, _BLOCKS_OF_DOUBT = 1.0, 24
"""Spread of calm logits' largest in blocks, in the median of those machines, and how many blocks that is worth."""
_MOST_LOGITS = 3.0
"""As far as was measured."""
_HOUR_S, _DAY_S, _WEEK_S = 3600.0, 86_400.0, 7 * 86_400.0
_NONE = np.empty(0)


def _value(logits: float) -> float:
    """What a judge's threshold that is moved by so many logits does to its score."""
    return float(value_of(np.array(logits, np.float32), np.array(0.0, np.float32)))


_LOGITS_A_FOLD = 1.0 / math.log(_value(1.0))


@dataclass(frozen=True, slots=True)
class Promise:
    """What a machine's budget is worth.

    Attributes:
        budget_per_week: false alarms that are accepted.
        expected_per_week: at most about so many are to be expected, by its own normal scores; None: nobody can say yet.
        seen_s: normal time that this rests on.
    """

    budget_per_week: float
    expected_per_week: float | None
    seen_s: float

    @property
    def settled(self) -> bool:
        """Whether it rests on a day at least."""
        return self.seen_s >= _DAY_S

    def plain(self, *, spent: int) -> dict[str, Any]:
        """All of it, and the alarms of the last week that count against it, as plain values for readers.

        It changes from day to day, not from minute to minute: expectations have one digit.
        """
        expected = None if self.expected_per_week is None else float(f"{self.expected_per_week:.1g}")
        return {
            "per_week": self.budget_per_week,
            "spent": spent,
            "expected": expected,
            "settled": self.settled,
            "text": self._text(expected, spent),
        }

    def _text(self, expected: float | None, spent: int) -> str:
        """The same in a sentence for people."""
        alarms = "false alarm" if self.budget_per_week == 1 else "false alarms"
        told = f"{self.budget_per_week:g} {alarms} a week, {spent} spent in the last seven days"
        if expected is None:
            return f"{told}; learnt by an older agent: what that is worth is not known"
        if self.settled:
            return f"{told}; at most about {expected:g} a week to be expected"
        more = (
            f"expect up to {expected:g} a week" if expected > self.budget_per_week else "no more is expected"
        )
        return f"{told}; learnt from {_span(self.seen_s)}: {more} until it has seen a day"


def _span(seconds: float) -> str:
    """A time of less than a day in words, in whole hours where it has some."""
    if seconds < _HOUR_S:
        return f"{seconds / 60:.0f} minutes"
    hours = math.floor(seconds / _HOUR_S)
    return "one hour" if hours == 1 else f"{hours} hours"


def factors(
    memory: Mapping[str, NDArray[Any]], budget_per_week: float, *, judged: bool
) -> NDArray[np.float64]:
    """Of the thresholds of all detectors together, of a plain step and of the newest rows, relative to the learnt, [3].

    Args:
        memory: of the machine.
        budget_per_week: false alarms that are accepted.
        judged: a judge decides in the place of the statistics.
    """
    normal, found = NormalScores.read(memory), np.ones(3)
    if normal is not None and budget_per_week != normal.look.budget_per_week:
        learnt = np.array([*memory["threshold"], float(memory["recent_threshold"])])
        found = normal.thresholds(budget_per_week) / learnt
    if judged:
        # The judge mutes steps at exactly their threshold, so that of steps may not sink.
        logits = _NONE if normal is None else normal.logits
        own = _value(moved_logits(logits, budget_per_week))
        found = np.array([own, max(found[1], 1.0), own])
    return found


def moved_logits(logits: NDArray[np.float64], budget_per_week: float) -> float:
    """How far a budget moves the threshold of a judge, by the largest calm logits of blocks [n]."""
    moved = -_FOLD_SHARE * _spread(logits)[1] * math.log(budget_per_week / REFERENCE_PER_WEEK)
    return min(max(moved, -_MOST_LOGITS), _MOST_LOGITS)


def _spread(peaks: NDArray[np.float64]) -> tuple[float, float]:
    """(location, spread) of Gumbel's law of calm logits' largest in blocks [n]; few say little of the spread."""
    if len(peaks) < 3:
        return math.nan, _USUAL_SPREAD
    location, spread = gumbel(peaks)
    share = len(peaks) / (len(peaks) + _BLOCKS_OF_DOUBT)
    return location, math.exp(share * math.log(max(spread, 0.1) / _USUAL_SPREAD)) * _USUAL_SPREAD


def promise(
    memory: Mapping[str, NDArray[Any]],
    tracker: ThresholdTracker | None,
    *,
    budget_per_week: float,
    learnt_s: float,
    judged: bool,
) -> Promise:
    """What the budget of a machine is worth, that was learnt from so much time and watched since by `tracker`."""
    normal = NormalScores.read(memory)
    served = np.empty((0, 1)) if tracker is None else tracker.peaks
    in_use = factors(memory, budget_per_week, judged=judged) if tracker is None else tracker.in_use
    seen_s = learnt_s + (0.0 if tracker is None else len(served) * tracker.block_s)
    told = budget_per_week, _expected(normal, served, tracker, in_use=in_use, judged=judged, memory=memory)
    return Promise(*told, seen_s)


def _expected(
    normal: NormalScores | None,
    served: NDArray[np.float64],
    tracker: ThresholdTracker | None,
    *,
    in_use: NDArray[np.float64],
    judged: bool,
    memory: Mapping[str, NDArray[Any]],
) -> float | None:
    """Blocks a week whose largest score is expected above the thresholds in use; of service where it saw enough."""
    if tracker is not None and len(served) >= BLOCKS_NEEDED:
        blocks = _WEEK_S / tracker.block_s
        if judged:
            logits = _LOGITS_A_FOLD * np.log(np.maximum(served[:, 0], 1e-6))
            return blocks * _chance(logits, _LOGITS_A_FOLD * math.log(in_use[0]))
        return NormalScores.of_service(served, blocks).above_a_week(in_use)
    if normal is None:
        return None
    if judged:
        blocks = normal.blocks_a_week(max(len(normal.logits), 1))
        return (
            blocks * _chance(normal.logits, _LOGITS_A_FOLD * math.log(in_use[0]))
            if len(normal.logits)
            else None
        )
    return normal.above_a_week(in_use[:2] * np.asarray(memory["threshold"], np.float64))


def _chance(logits: NDArray[np.float64], limit: float) -> float:
    """Chance that the largest calm logit of a block is above a limit, both less the learnt threshold."""
    location, spread = _spread(logits)
    return -math.expm1(-math.exp(min((location - limit) / spread, 50.0))) if math.isfinite(location) else 0.0
