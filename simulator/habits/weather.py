"""Temperature around a machine: season, day, fronts that pass, and heating while people work. degC."""

from dataclasses import dataclass

import numpy as np

from simulator.dynamics import DAY_S, lag, wander
from simulator.plan import Plan

_YEAR_S = 365.25 * DAY_S
_COLDEST_DAY, _WARMEST_H = 20.0, 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What `Plan.weather` is made of; a hall smooths and warms what a roof is exposed to.

    Attributes:
        mean: Mean of the year, degC.
        season: Half of the difference between July and January, K.
        day: Half of the difference between afternoon and night, K.
        fronts: Standard deviation of what passes within two days, K.
        warmth: How much warmer it is while the machine is wanted, K.
    """

    mean: float = 21.0
    season: float = 3.0
    day: float = 2.0
    fronts: float = 1.0
    warmth: float = 2.0

    def apply(self, plan: Plan, rng: np.random.Generator) -> None:
        """Set the temperature around the machine; working hours must be known."""
        clock = plan.clock
        seconds, dt_s = clock.seconds(), clock.dt_s
        year = np.cos(2.0 * np.pi * (seconds - _COLDEST_DAY * DAY_S) / _YEAR_S)
        day = np.cos(2.0 * np.pi * (seconds / DAY_S - _WARMEST_H / 24.0))
        front = wander(rng, clock.rows, tau_s=2.0 * DAY_S, dt_s=dt_s)
        draft = 0.3 * wander(rng, clock.rows, tau_s=900.0, dt_s=dt_s)
        work = lag(self.warmth * plan.run.astype(np.float64), tau_s=7200.0, dt_s=dt_s)
        plan.weather = self.mean - self.season * year + self.day * day + self.fronts * front + draft + work
