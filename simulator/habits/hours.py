"""When a machine is wanted: shifts, breaks, nights, weekends, free days, a plan that moves for good. No short stops."""

from dataclasses import dataclass

import numpy as np

from simulator.dynamics import spans
from simulator.plan import HOUR_S, Clock, Plan, weekday
from simulator.records import Bools

WORKDAYS = (0, 1, 2, 3, 4)
EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Working hours of a machine; outside of them it is off.

    Attributes:
        days: Days of the week that work begins on, 0 = Monday.
        start_h: Hour at which it begins.
        stop_h: Hour at which it ends; above 24 it ends on the day after.
        pause: Hour at which a break begins and how many hours it takes, or None.
        jitter_h: People are never on time: each begin and end is off by up to that.
        free_share: Share of working days on which nobody comes.
        moves_after_s: From so many seconds after the first row on, hours are others for good; None: never.
        moves_h: By how much they then move.
    """

    days: tuple[int, ...] = WORKDAYS
    start_h: float = 6.0
    stop_h: float = 22.0
    pause: tuple[float, float] | None = None
    jitter_h: float = 0.15
    free_share: float = 0.0
    moves_after_s: float | None = None
    moves_h: float = 0.0

    def apply(self, plan: Plan, rng: np.random.Generator) -> None:
        """Switch the machine off outside of the hours."""
        wanted = self._wanted(plan.clock, rng)
        plan.run &= wanted
        plan.note("off", spans(~wanted))
        if self.moves_after_s is not None:
            moved = plan.clock.warm_rows + round(self.moves_after_s / plan.clock.dt_s)
            plan.note("new_hours", [(moved, plan.clock.rows)] if moved < plan.clock.rows else [])

    def _wanted(self, clock: Clock, rng: np.random.Generator) -> Bools:
        wanted = np.zeros(clock.rows, dtype=np.bool_)
        moves_ts = np.inf
        if self.moves_after_s is not None:
            moves_ts = clock.first_ts + clock.warm_rows * clock.dt_s + self.moves_after_s
        for midnight in clock.midnights().tolist():
            late, soon, hungry, long = (self.jitter_h * rng.uniform(-1.0, 1.0, 4)).tolist()
            free = rng.uniform() < self.free_share
            if weekday(midnight) not in self.days or free:
                continue
            moved_h = self.moves_h if midnight >= moves_ts else 0.0
            start, stop = self.start_h + late + moved_h, self.stop_h + soon + moved_h
            wanted[_row(clock, midnight, start) : _row(clock, midnight, stop)] = True
            if self.pause is not None:
                at, length = self.pause[0] + moved_h + hungry, self.pause[1] + 0.5 * long
                wanted[_row(clock, midnight, at) : _row(clock, midnight, at + max(length, 0.0))] = False
        return wanted


def _row(clock: Clock, midnight: float, hour: float) -> int:
    return clock.row_of(midnight + hour * HOUR_S)
