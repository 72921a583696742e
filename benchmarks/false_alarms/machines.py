"""Simulated machines for the measure of false alarms: normal for weeks, with or without drift, and with known shifts.

Nothing here is learnt from or fitted to a recording. A machine has four channels sampled every 10 s: AR(1) noise with
heavy-tailed innovations (Student's t, 4 degrees of freedom), two channels of which share most of theirs, a daily cycle
of another size and phase each, and white measurement noise. With drift each channel moves by up to a tenth of its noise
a day, wanders from day to day, and grows noisier by 0.5 % a day.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from edge_agent.recordings.tables import Recording

PERIOD_S = 10
DAY_ROWS = 24 * 3600 // PERIOD_S
SHIFT_ROWS = 1800 // PERIOD_S
CHANNELS = ("pressure", "flow", "temperature", "current")
SIZES = (3.0, 4.0, 5.0, 6.0)
_SHARED = np.array([0.8, 0.8, 0.0, 0.0])  # correlation with the common noise
_CYCLE = np.array([1.0, 0.5, 1.5, 0.0])  # in noise deviations
_AR = 0.9
_TAIL = 4.0
_WHITE = 0.3
_TREND_A_DAY = 0.1
_WALK_A_DAY = 0.1
_GROWTH_A_DAY = 0.005
# One shift begins in every so many rows, so that an alarm on one is over before the next begins.
_SHIFT_EVERY_ROWS = 3 * 3600 // PERIOD_S


@dataclass(frozen=True, slots=True)
class Shift:
    """A level shift: rows [start, end) of one channel, `size` normal standard deviations high."""

    start: int
    end: int
    channel: int
    size: float


def machine(seed: int, *, days: int, drift: bool) -> Recording:
    """A normal machine for so many days, the first of which is to be learnt from."""
    rng = np.random.default_rng([seed, 1])
    rows, n = days * DAY_ROWS, len(CHANNELS)
    shared, own = _noise(rng, rows, 1), _noise(rng, rows, n)
    values = _SHARED * shared + np.sqrt(1.0 - _SHARED**2) * own + _WHITE * rng.standard_normal((rows, n))
    day = np.arange(rows)[:, None] / DAY_ROWS
    gain, offset, phase = 10.0 ** rng.uniform(-1, 2, n), rng.normal(0, 50, n), rng.uniform(0, 1, n)
    if drift:
        trend = rng.uniform(-_TREND_A_DAY, _TREND_A_DAY, n)
        steps = rng.standard_normal((days + 1, n)) * _WALK_A_DAY
        walk = np.cumsum(steps, axis=0) - steps[0]
        wandered = np.stack([np.interp(day[:, 0], np.arange(days + 1), way) for way in walk.T], axis=1)
        values = values * (1.0 + _GROWTH_A_DAY * day) + trend * day + wandered
    values = offset + gain * (values + _CYCLE * np.sin(2 * np.pi * (day + phase)))
    return Recording(
        name=f"machine-{seed}",
        channels=CHANNELS,
        times_ns=np.arange(rows, dtype=np.int64) * PERIOD_S * 1_000_000_000,
        values=values.astype(np.float32),
        label=None,
    )


def shifted(normal: Recording, seed: int) -> tuple[Recording, list[Shift]]:
    """The same machine with level shifts of 30 minutes from its second day on, the sizes in turn."""
    rng = np.random.default_rng([seed, 2])
    values = normal.values.copy()
    deviation = normal.values[:DAY_ROWS].std(axis=0)
    shifts = []
    for at in range(DAY_ROWS, len(values) - _SHIFT_EVERY_ROWS + 1, _SHIFT_EVERY_ROWS):
        start = at + int(rng.integers(_SHIFT_EVERY_ROWS // 3))
        shift = Shift(
            start, start + SHIFT_ROWS, int(rng.integers(len(CHANNELS))), SIZES[len(shifts) % len(SIZES)]
        )
        sign = rng.choice([-1.0, 1.0])
        values[shift.start : shift.end, shift.channel] += sign * shift.size * deviation[shift.channel]
        shifts.append(shift)
    return Recording(normal.name, normal.channels, normal.times_ns, values, None), shifts


def _noise(rng: np.random.Generator, rows: int, n: int) -> NDArray[np.float64]:
    """AR(1) of unit variance with heavy-tailed innovations, [rows, n]."""
    unit = np.sqrt((_TAIL - 2.0) / _TAIL * (1.0 - _AR**2))
    innovations = rng.standard_t(_TAIL, (rows + DAY_ROWS // 24, n)) * unit
    noise: NDArray[np.float64] = lfilter([1.0], [1.0, -_AR], innovations, axis=0)[DAY_ROWS // 24 :]
    return noise
