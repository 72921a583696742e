"""The machine whose rows all exports hold: three channels a second, a fault near the end; values of two decimals."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

NAMES = ("pressure", "flow", "speed")
UNITS = ("bar", "l/min", "1/min")
START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
LEARNT_ROWS = 600
FAULT_ROW = 1000
_ROWS = 1200


@dataclass(frozen=True, slots=True)
class Rows:
    """R rows: times in nanoseconds since 1970, values [R, 3]."""

    times_ns: NDArray[np.int64]
    values: NDArray[np.float64]

    @property
    def moments(self) -> list[datetime]:
        """The times, in UTC."""
        return [datetime.fromtimestamp(int(time) / 1e9, UTC) for time in self.times_ns]


def made(*, rows: int = _ROWS, fault_row: int = FAULT_ROW, seed: int = 0) -> Rows:
    """A pump: pressure and flow swing together, speed about its set point; from `fault_row` on it is throttled."""
    rng = np.random.default_rng(seed)
    at = np.arange(rows)
    swing = np.sin(2 * np.pi * at / 40)
    pressure = 5 + 0.3 * swing + 0.05 * rng.standard_normal(rows)
    flow = 40 + 2.0 * swing + 0.3 * rng.standard_normal(rows)
    speed = 1495 + 4.0 * np.sin(2 * np.pi * at / 90) + 1.0 * rng.standard_normal(rows)
    pressure[fault_row:] += 1.5
    flow[fault_row:] -= 12
    values = np.round(np.stack([pressure, flow, speed], axis=1), 2).astype(np.float64)
    start_ns = int(START.timestamp()) * 10**9
    return Rows(start_ns + at.astype(np.int64) * 10**9, values)
