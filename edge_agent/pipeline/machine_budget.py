"""One machine's budget of false alarms: who sets it, and what follows for its thresholds. Pure.

What people say of the machine comes first (`MachineRule`), then `[budget]`.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edge_agent.commissioning import budget, judge_threshold
from edge_agent.commissioning.budget import Promise
from edge_agent.commissioning.threshold import shared
from edge_agent.commissioning.threshold_tracking import ThresholdTracker
from edge_agent.detect.judge import Judge
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Profile
from edge_agent.signals.machine_rules import facts_of


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
        said = facts_of(settings.machine_rules, profile.machine).budget_per_week
        per_week = settings.budget.false_alarms_per_week if said is None else said
        return cls(profile, per_week, judge_threshold.decides(judge, profile.memory))

    def of_parts(self, n_parts: int) -> tuple[float, ...]:
        """The budget of each part of a score, and of the newest rows, that normal hours are asked about.

        Where a judge decides that is the one that its threshold stands for: `scales` bring it to the machine's.
        """
        per_week = budget.REFERENCE_PER_WEEK if self.judged else self.per_week
        return (*shared(per_week, n_parts), per_week)

    def scales(self, n_parts: int) -> NDArray[np.float64]:
        """What normal hours ask for by `of_parts` is multiplied by this."""
        return self.factors(n_parts) if self.judged else np.ones(n_parts + 1)

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
