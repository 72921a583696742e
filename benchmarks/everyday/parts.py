"""What simulated weeks are put together from: chance, a machine of six channels, stays, faults. No machine of its own.

A row each 10 s; all lengths are in rows. Readings are rounded as transmitters round them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.dynamics import lag, wander

Floats = npt.NDArray[np.float64]
Columns = dict[str, Floats]

PERIOD_S = 10.0
HOUR_ROWS = 360
DAY_ROWS = 24 * HOUR_ROWS
_MINUTE_ROWS = 6
_HALL_DEGC = 21.0
_STEPS: Mapping[str, float] = {
    "speed": 1.0,
    "current": 0.01,
    "temperature": 0.1,
    "pressure": 0.01,
    "flow": 0.1,
    "vibration": 0.01,
}


@dataclass(frozen=True, slots=True)
class Week:
    """Some days of one machine.

    Attributes:
        columns: channel -> readings [R], NaN where nothing was said.
        fault: rows [start, end) of the one real fault.
        kept: rows that reached the gateway, bool [R]; None: all of them.
    """

    columns: Columns
    fault: tuple[int, int]
    kept: npt.NDArray[np.bool_] | None = None


def minutes(count: float) -> int:
    """So many minutes as rows."""
    return round(count * _MINUTE_ROWS)


def smooth(target: Floats, rows: float) -> Floats:
    """`target` [R] behind a first-order lag of so many rows."""
    return lag(target, tau_s=rows * PERIOD_S, dt_s=PERIOD_S)


def noise(rng: np.random.Generator, count: int, *, memory: float, size: float) -> Floats:
    """Autoregressive noise [R] of standard deviation `size`, remembered for `memory` rows."""
    return size * wander(rng, count, tau_s=memory * PERIOD_S, dt_s=PERIOD_S)


def even_demand(rng: np.random.Generator, count: int) -> Floats:
    """What is asked of a machine that does the same all day, around 1, [R]."""
    return 1.0 + noise(rng, count, memory=200.0, size=0.04)


def drive(rng: np.random.Generator, run: Floats, demand: Floats, *, hall: Floats | None = None) -> Columns:
    """A motor with a pump: six channels that hang together.

    Args:
        rng: source of chance.
        run: 0 off to 1 on, [R].
        demand: how much is asked of it, around 1, [R].
        hall: temperature around it, degC [R].
    """
    n = len(run)
    on = run > 0.02
    work = smooth(demand * run, 4.0)
    around = np.full(n, _HALL_DEGC) if hall is None else hall
    flow = 54.0 * work + on * noise(rng, n, memory=2.0, size=0.8) + 0.04 * rng.standard_normal(n)
    columns = {
        "speed": smooth(1480.0 * run, 6.0) + on * noise(rng, n, memory=3.0, size=4.0),
        "current": smooth((3.6 + 8.4 * demand) * run, 3.0) + on * noise(rng, n, memory=2.0, size=0.15),
        "temperature": smooth(around + 37.0 * demand * run, 180.0) + noise(rng, n, memory=50.0, size=0.3),
        "pressure": 5.3 * work + on * noise(rng, n, memory=1.5, size=0.06) + 0.005 * rng.standard_normal(n),
        "flow": flow,
        "vibration": (0.15 + 1.6 * smooth(run, 3.0) * np.sqrt(demand))
        * np.exp(noise(rng, n, memory=1.1, size=0.08)),
    }
    return {name: np.round(column / _STEPS[name]) * _STEPS[name] for name, column in columns.items()}


def stays(
    rng: np.random.Generator, count: int, *, levels: Sequence[float], shortest: int, longest: int
) -> Floats:
    """Known levels one after the other, never the same twice, each for a random number of rows, [R]."""
    out, at = np.empty(count), 0
    level = float(rng.choice(levels))
    while at < count:
        stop = at + int(rng.integers(shortest, longest))
        out[at:stop] = level
        level = float(rng.choice([other for other in levels if other != level]))
        at = stop
    return out


def shift(
    rng: np.random.Generator, run: Floats, *, day: int, start_h: float, stop_h: float, late: float = 10.0
) -> None:
    """Let the machine run in these hours of a day, in place; each end is off by up to `late` minutes."""
    first, last = (
        day * DAY_ROWS + round(hour * HOUR_ROWS) + int(rng.integers(-minutes(late), minutes(late) + 1))
        for hour in (start_h, stop_h)
    )
    run[max(first, 0) : last] = 1.0


def started_softly(run: Floats, *, rows: int = 30) -> Floats:
    """Each start as a ramp over so many rows, [R]."""
    ramped = run.copy()
    for start in (np.flatnonzero(np.diff(run) > 0.5) + 1).tolist():
        part = ramped[start : start + rows]
        part *= np.linspace(0.0, 1.0, rows)[: len(part)]
    return ramped


def moments(rng: np.random.Generator, *, days: int, a_day: int, longest: int) -> list[int]:
    """Rows at which something begins so many times on each day, at least `longest` before the day's end."""
    return [
        day * DAY_ROWS + int(at)
        for day in range(days)
        for at in np.sort(rng.integers(0, DAY_ROWS - longest, a_day))
    ]


def break_down(columns: Columns, *, at: int, rows: int = HOUR_ROWS) -> tuple[int, int]:
    """The drive's fault, in place: a bearing, so that vibration is 1.8 times and the current 1.15 times what it was."""
    columns["vibration"][at : at + rows] *= 1.8
    columns["current"][at : at + rows] *= 1.15
    return at, at + rows
