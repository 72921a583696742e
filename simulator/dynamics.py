"""Building blocks shared by the machines: lags, coloured noise, schedules, ambient, sensors. No machine knowledge.

Every function is causal in its inputs and draws a number of random values that depends only on the number of
rows, so that a fault injected later leaves all earlier rows unchanged bit for bit.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from simulator.records import Floats

DAY_S = 86_400.0


def recurrence(keep: Floats, drive: Floats, *, initial: float) -> Floats:
    """Solve y[t] = keep[t] * y[t-1] + drive[t] for all t, y[-1] = initial.

    Recursive doubling (Hillis and Steele, "Data parallel algorithms", 1986): log2(R) vector passes, no row loop.

    Args:
        keep: Decay of each row, [R].
        drive: Input of each row, [R].
        initial: Value before the first row.
    """
    decay, value = keep.copy(), drive.copy()
    value[0] += decay[0] * initial
    span = 1
    while span < len(value):
        value[span:] += decay[span:] * value[:-span]
        decay[span:] = decay[span:] * decay[:-span]
        span *= 2
    return value


def lag(target: Floats, *, tau_s: float, dt_s: float) -> Floats:
    """First-order lag of time constant `tau_s` behind `target` [R], settled at its first value."""
    keep = np.exp(-dt_s / tau_s)
    return recurrence(np.full(len(target), keep), (1.0 - keep) * target, initial=float(target[0]))


def gain_of(tau_s: float, dt_s: float) -> float:
    """Share of the gap that a first-order lag closes in one row."""
    return float(1.0 - np.exp(-dt_s / tau_s))


def wander(rng: np.random.Generator, rows: int, *, tau_s: float, dt_s: float) -> Floats:
    """Stationary first-order autoregressive noise of unit standard deviation and memory `tau_s`, [rows]."""
    keep = float(np.exp(-dt_s / tau_s))
    drive = rng.standard_normal(rows) * np.sqrt(1.0 - keep * keep)
    return recurrence(np.full(rows, keep), drive, initial=float(rng.standard_normal()))


def spread(rng: np.random.Generator, nominal: float, fraction: float = 0.08) -> float:
    """One machine's own value of a constant: uniform within +-`fraction` of the nominal."""
    return nominal * (1.0 + fraction * float(rng.uniform(-1.0, 1.0)))


def ambient(rng: np.random.Generator, rows: int, *, dt_s: float) -> Floats:
    """Temperature of the hall in degC [rows]: season, daily cycle at a random hour, drafts."""
    base, swing = rng.uniform(16.0, 26.0), rng.uniform(2.0, 5.0)
    angle = 2.0 * np.pi * (np.arange(rows) * dt_s / DAY_S + rng.uniform())
    slow: Floats = base + swing * np.sin(angle) + 0.35 * wander(rng, rows, tau_s=900.0, dt_s=dt_s)
    return slow


def schedule(
    rng: np.random.Generator, rows: int, *, modes: int, dwell_s: tuple[float, float], dt_s: float
) -> npt.NDArray[np.int8]:
    """Operating mode of each row, int8 [rows]: stays of log-uniform length, always followed by another mode."""
    mode = np.empty(rows, dtype=np.int8)
    current, start = int(rng.integers(modes)), 0
    low, high = np.log(dwell_s)
    while start < rows:
        stop = start + max(1, round(float(np.exp(rng.uniform(low, high))) / dt_s))
        mode[start:stop] = current
        current = (current + 1 + int(rng.integers(modes - 1))) % modes
        start = stop
    return mode


def ramp(rows: int, *, start: int, growth: int, end: int | None) -> Floats:
    """Severity of a fault, 0..1 [rows]: 0 before `start`, linear over `growth` rows, 1 until `end`."""
    row = np.arange(rows)
    level = np.clip((row - start + 1) / max(growth, 1), 0.0, 1.0)
    return np.where(row < (rows if end is None else end), level, 0.0)


def bursts(rng: np.random.Generator, rows: int, *, tau_s: float, dt_s: float) -> Floats:
    """Intermittent activity, non-negative, mean near 1 [rows]: the square of a coloured noise."""
    return np.square(wander(rng, rows, tau_s=tau_s, dt_s=dt_s))


def per_mode(mode: npt.NDArray[np.int8], levels: tuple[float, ...]) -> Floats:
    """Level of each row's mode, [R]."""
    return np.asarray(levels, dtype=np.float64)[mode]


def read_out(rng: np.random.Generator, true: Floats, *, noise: float, step: float) -> Floats:
    """What the transmitter reports of `true` [R]: white noise, then rounding to `step`."""
    return np.round((true + noise * rng.standard_normal(len(true))) / step) * step


def clamp_of(low: float, high: float) -> Callable[[float], float]:
    """Limiter for one row of a controller."""
    return lambda value: low if value < low else min(value, high)
