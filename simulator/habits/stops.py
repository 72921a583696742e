"""Short stops and changeovers: a jam, no material, a tool that is exchanged. The machine itself is well."""

from dataclasses import dataclass

import numpy as np

from simulator.dynamics import spans
from simulator.plan import HOUR_S, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Stops:
    """How often people or neighbours stop a machine.

    Attributes:
        per_hour: Stops in an hour of work, in the mean.
        median_s: Half of them are shorter.
        spread: Standard deviation of the logarithm of their length: now and then one is long.
        changeover_s: Shortest and longest standstill before another mode; zeros where modes change on the fly.
    """

    per_hour: float = 0.3
    median_s: float = 240.0
    spread: float = 0.9
    changeover_s: tuple[float, float] = (0.0, 0.0)

    def apply(self, plan: Plan, rng: np.random.Generator) -> None:
        """Short stops."""
        clock = plan.clock
        count = int(rng.poisson(self.per_hour * clock.rows * clock.dt_s / HOUR_S))
        starts = rng.integers(clock.rows, size=count)
        rows = np.ceil(self.median_s * np.exp(self.spread * rng.standard_normal(count)) / clock.dt_s)
        stopped = np.zeros(clock.rows, dtype=np.bool_)
        for start, length in zip(starts.tolist(), rows.astype(int).tolist(), strict=True):
            if plan.run[start]:
                stopped[start : start + length] = True
        plan.note("short_stop", spans(stopped & plan.run))
        plan.run &= ~stopped

    def change_over(self, plan: Plan, rng: np.random.Generator) -> None:
        """Standstill at the beginning of each new mode."""
        changes = np.flatnonzero(np.diff(plan.mode)) + 1
        lengths = rng.uniform(*self.changeover_s, len(changes)) / plan.clock.dt_s
        stopped = np.zeros(plan.clock.rows, dtype=np.bool_)
        for start, length in zip(changes.tolist(), np.ceil(lengths).astype(int).tolist(), strict=True):
            stopped[start : start + length] = True
        plan.note("changeover", spans(stopped & plan.run))
        plan.run &= ~stopped
