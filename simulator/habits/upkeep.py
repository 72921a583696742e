"""Wear that comes by itself and is taken away at each service: filters clog, tools grow blunt. No faults."""

from dataclasses import dataclass

import numpy as np

from simulator.dynamics import DAY_S
from simulator.plan import Plan
from simulator.records import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """Regular service.

    Attributes:
        every_s: Time from one service to the next.
        length_s: Shortest and longest standstill for it.
        wear: How far the kind's wearing faults have got when it is due, as a severity; labels do not tell it.
    """

    every_s: float = 14.0 * DAY_S
    length_s: tuple[float, float] = (1800.0, 7200.0)
    wear: float = 0.05

    def apply(self, plan: Plan, rng: np.random.Generator, *, wears: tuple[str, ...]) -> None:
        """Stop the machine for its services; wear grows in between."""
        clock = plan.clock
        begun_s = float(rng.uniform(0.0, self.every_s))
        age_s: Floats = begun_s + np.arange(clock.rows, dtype=np.float64) * clock.dt_s
        due = (np.flatnonzero(np.diff(np.floor(age_s / self.every_s))) + 1).tolist()
        level: Floats = self.wear * (age_s % self.every_s) / self.every_s
        plan.wear |= dict.fromkeys(wears, level)
        for start in due:
            stop = min(start + int(rng.uniform(*self.length_s) / clock.dt_s), clock.rows)
            plan.run[start:stop] = False
            plan.note("service", [(start, stop)])
