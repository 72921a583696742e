"""What happens to a machine before its physics are asked: when it runs, in which mode, how much is asked of it.

A `Plan` lies on the rows that the physics step through (`Clock`), the warm-up included; habits of the factory change it
one after the other. No physics, no readings.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from simulator.dynamics import DAY_S
from simulator.records import Bools, Cause, Event, Floats

HOUR_S = 3600.0
_THURSDAY = 3  # 1970-01-01
_Kept = TypeVar("_Kept", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Clock:
    """Times of the rows that the physics step through.

    Attributes:
        first_ts: Time of row 0, the first of the warm-up, seconds since 1970; the factory's clock is UTC.
        dt_s: Seconds between two rows.
        rows: Number of rows, the warm-up included.
        warm_rows: Rows of the warm-up.
        every: Rows for one row that is handed out.
    """

    first_ts: float
    dt_s: float
    rows: int
    warm_rows: int
    every: int

    def seconds(self) -> Floats:
        """Time of each row, seconds since 1970, [R]."""
        return self.first_ts + np.arange(self.rows, dtype=np.float64) * self.dt_s

    def row_of(self, ts: float) -> int:
        """The first row at or after `ts`, within 0..R."""
        return min(max(int(np.ceil((ts - self.first_ts) / self.dt_s - 1e-6)), 0), self.rows)

    def midnights(self) -> Floats:
        """Every midnight from the day before the first row to the last row."""
        first = float(np.floor(self.first_ts / DAY_S)) - 1.0
        last = (self.first_ts + self.rows * self.dt_s) / DAY_S
        return np.arange(first, last, dtype=np.float64) * DAY_S

    def handed_out(self, values: npt.NDArray[_Kept]) -> npt.NDArray[_Kept]:
        """Those of [R] that become rows of the run: the last of each `every`, without the warm-up."""
        return values[self.warm_rows + self.every - 1 :: self.every]

    def out_row(self, row: int) -> int:
        """The first row of the run that shows what begins at `row`."""
        return -((self.warm_rows + self.every - 1 - row) // self.every)


def weekday(ts: float) -> int:
    """0 for Monday to 6 for Sunday."""
    return int(ts // DAY_S + _THURSDAY) % 7


@dataclass(slots=True)
class Plan:
    """One machine's days ahead.

    Attributes:
        clock: The rows.
        run: Whether the machine is wanted to run, [R].
        mode: Operating mode, int8 [R].
        demand: How much is asked of it, 1 = nominal, [R].
        product: Which of its known set points holds, int8 [R].
        weather: Temperature around it in degC, [R], or None.
        wear: For faults that come by wear too, how far they have got, 0..1 [R].
        events: What was planned, in rows of the clock.
    """

    clock: Clock
    run: Bools
    mode: npt.NDArray[np.int8]
    demand: Floats
    product: npt.NDArray[np.int8]
    weather: Floats | None = None
    wear: dict[str, Floats] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def keep_through_cycles(self) -> None:
        """Let what is asked at the beginning of a cycle hold to its end: nobody enlarges a batch that cooks."""
        row = np.arange(self.clock.rows)
        begins = np.diff(self.mode, prepend=self.mode[:1]) < 0
        since = np.maximum.accumulate(np.where(begins, row, 0))
        self.demand, self.product = self.demand[since], self.product[since]

    def note(self, name: str, rows: Iterable[tuple[int, int]], *, cause: Cause = "benign") -> None:
        """Remember that something happened to the machine as a whole."""
        self.events += [Event(name, cause, start, stop) for start, stop in rows]
