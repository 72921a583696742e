"""How much is asked of a machine: known set points, a day's rhythm, slow changes, one new level that stays."""

from dataclasses import dataclass

import numpy as np

from simulator.dynamics import DAY_S, per_mode, schedule, wander
from simulator.plan import HOUR_S, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPoints:
    """What `Plan.demand` is made of; its parts are multiplied.

    Attributes:
        levels: Levels that operators know, relative to nominal.
        stay_s: Shortest and longest stay at one of them.
        daily: Amplitude of a day's rhythm, fullest at `fullest_h`.
        fullest_h: Hour of the day with most to do.
        wander: Standard deviation of what comes and goes within hours.
        lasting: A level never seen before, and after how many seconds it comes, for good; or None.
    """

    levels: tuple[float, ...] = (1.0,)
    stay_s: tuple[float, float] = (1.5 * HOUR_S, 6.0 * HOUR_S)
    daily: float = 0.0
    fullest_h: float = 13.0
    wander: float = 0.0
    lasting: tuple[float, float] | None = None

    def apply(self, plan: Plan, rng: np.random.Generator) -> None:
        """Set the demand."""
        clock = plan.clock
        slow = wander(rng, clock.rows, tau_s=4.0 * HOUR_S, dt_s=clock.dt_s)
        demand = np.full(clock.rows, self.levels[0])
        if len(self.levels) > 1:
            at = schedule(rng, clock.rows, modes=len(self.levels), dwell_s=self.stay_s, dt_s=clock.dt_s)
            demand, plan.product = per_mode(at, self.levels), at
            changes = (np.flatnonzero(np.diff(at)) + 1).tolist()
            plan.note("set_point", [(row, row + 1) for row in changes])
        phase = 2.0 * np.pi * (clock.seconds() / DAY_S - self.fullest_h / 24.0)
        demand = demand * (1.0 + self.daily * np.cos(phase) + self.wander * slow)
        if self.lasting is not None:
            level, after_s = self.lasting
            start = clock.warm_rows + round(after_s / clock.dt_s)
            demand[start:] *= level
            plan.note("new_set_point", [(start, clock.rows)] if start < clock.rows else [])
        plan.demand = np.clip(demand, 0.5, 1.3)
