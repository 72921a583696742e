"""One machine's budget of false alarms: who sets it, and what follows for its thresholds. Pure.

Its own comes first, given by a command and kept in its profile; then that of a `[[machine]]`, then that of `[budget]`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from edge_agent.commissioning import budget, judge_threshold
from edge_agent.commissioning.budget import Promise
from edge_agent.commissioning.threshold import shared
from edge_agent.commissioning.threshold_tracking import ThresholdTracker
from edge_agent.detect.judge import Judge
from edge_agent.model.lazy_arrays import LazyArrays
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Profile
from edge_agent.signals.machine_rules import facts_of

_OWN = "budget_own"


def own(memory: Mapping[str, NDArray[Any]]) -> float | None:
    """False alarms a week that a machine may raise by its own budget; None where it has none."""
    value = float(memory[_OWN]) if _OWN in memory and np.ndim(memory[_OWN]) == 0 else np.nan
    return value if np.isfinite(value) and value > 0 else None


def arrays(per_week: float | None) -> dict[str, NDArray[Any]]:
    """What `own` reads."""
    return {_OWN: np.array(np.nan if per_week is None else per_week, np.float64)}


def carried_over(before: Profile | None, profile: Profile) -> Profile:
    """A profile with the machine's own budget, where it had one and was learnt anew."""
    per_week = None if before is None else own(before.memory)
    if per_week is None or _OWN in profile.memory:
        return profile
    return replace(profile, memory=LazyArrays(profile.memory).joined(arrays(per_week)))


@dataclass(slots=True)
class MachineBudget:
    """A learnt machine's.

    Attributes:
        per_week: false alarms that are accepted. judged: a judge decides in the place of the statistics.
    """

    profile: Profile
    per_week: float
    judged: bool
    _told: tuple[tuple[float, ...] | None, Promise] | None = field(default=None, init=False)

    @classmethod
    def of(cls, profile: Profile, settings: PipelineSettings, *, judge: Judge | None = None) -> Self:
        """That of a profile."""
        said = own(profile.memory), facts_of(settings.machine_rules, profile.machine).budget_per_week
        per_week = next((one for one in said if one is not None), settings.budget.false_alarms_per_week)
        return cls(profile, per_week, judge_threshold.decides(judge, profile.memory))

    def of_parts(self, n_parts: int) -> tuple[float, ...]:
        """The budget of each part of a score, and of the newest rows."""
        return (*shared(self.per_week, n_parts), self.per_week)

    def factors(self, n_parts: int) -> NDArray[np.float64]:
        """What each of the learnt thresholds is multiplied by, and that of the newest rows."""
        *parts, newest = budget.factors(self.profile.memory, self.per_week, judged=self.judged)
        return np.array([*parts[:n_parts], newest])

    def promise(self, tracker: ThresholdTracker | None) -> Promise:
        """What it is worth by now; worked out anew where something has changed."""
        state = None if tracker is None else tracker.state
        if self._told is None or self._told[0] != state:
            learnt_s = self.profile.rows * self.profile.period_ns / 1e9
            told = budget.promise(
                self.profile.memory,
                tracker,
                budget_per_week=self.per_week,
                learnt_s=learnt_s,
                judged=self.judged,
            )
            self._told = state, told
        return self._told[1]
