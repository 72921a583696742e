"""Building blocks shared by the machines: lags, coloured noise, schedules, ambient. No machine knowledge.

Every function is causal in its inputs and draws a number of random values that depends only on the number of
rows, so that a fault injected later leaves all earlier rows unchanged bit for bit.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from simulator.records import Floats, Growth, Scene

DAY_S = 86_400.0
_NOTHING = 1e-40  # what is left of a value after that much decay changes no digit of a sum


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
    return _decay(keep, (1.0 - keep) * target, initial=float(target[0]))


def settling(target: Floats, tau_s: Floats, *, dt_s: float) -> Floats:
    """First-order lag behind `target` [R] with a time constant of each row [R]: quick in flow, slow at rest."""
    keep = np.exp(-dt_s / tau_s)
    return recurrence(keep, (1.0 - keep) * target, initial=float(target[0]))


def _decay(keep: float, drive: Floats, *, initial: float) -> Floats:
    """`recurrence` with the same decay in all rows, in half the time."""
    value, decay = drive.copy(), float(keep)
    value[0] += decay * initial
    span = 1
    while span < len(value) and decay > _NOTHING:
        value[span:] += decay * value[:-span]
        decay *= decay
        span *= 2
    return value


def gain_of(tau_s: float, dt_s: float) -> float:
    """Share of the gap that a first-order lag closes in one row."""
    return float(1.0 - np.exp(-dt_s / tau_s))


def wander(rng: np.random.Generator, rows: int, *, tau_s: float, dt_s: float) -> Floats:
    """Stationary first-order autoregressive noise of unit standard deviation and memory `tau_s`, [rows]."""
    keep = float(np.exp(-dt_s / tau_s))
    drive = rng.standard_normal(rows) * np.sqrt(1.0 - keep * keep)
    return _decay(keep, drive, initial=float(rng.standard_normal()))


def spread(rng: np.random.Generator, nominal: float, fraction: float = 0.08) -> float:
    """One machine's own value of a constant: uniform within +-`fraction` of the nominal."""
    return nominal * (1.0 + fraction * float(rng.uniform(-1.0, 1.0)))


def ambient(rng: np.random.Generator, rows: int, *, dt_s: float) -> Floats:
    """Temperature of the hall in degC [rows]: season, daily cycle at a random hour, drafts."""
    base, swing = rng.uniform(16.0, 26.0), rng.uniform(2.0, 5.0)
    angle = 2.0 * np.pi * (np.arange(rows) * dt_s / DAY_S + rng.uniform())
    slow: Floats = base + swing * np.sin(angle) + 0.35 * wander(rng, rows, tau_s=900.0, dt_s=dt_s)
    return slow


def hall(scene: Scene) -> Floats:
    """Temperature around the machine in degC [R]: the factory's weather, else the machine's own draw."""
    own = ambient(scene.streams.process, scene.rows, dt_s=scene.dt_s)
    return own if scene.weather is None else scene.weather


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


def spans(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First row and row after the last of each stretch in which the flag is up."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def cycles(
    rng: np.random.Generator,
    wanted: npt.NDArray[np.bool_],
    *,
    stays_s: Sequence[tuple[float, float]],
    dt_s: float,
) -> npt.NDArray[np.int8]:
    """Phase of each row, int8 [rows]: phases in order, a cycle begun is finished, none begins while not wanted.

    Stays are uniform within their bounds. The rows are cut out of continuous time, so that phases shorter than a
    row are met now and then, as a slow gateway meets them.
    """
    rows, (low, high) = len(wanted), np.asarray(stays_s).T
    count = int(rows * dt_s / low.sum()) + 3
    stays = rng.uniform(low, high, (count, len(low)))
    length = stays.sum(axis=1)
    ends, used, free_s = [], 0, -float(rng.uniform(0.0, length[0]))
    for start, stop in spans(wanted):
        begin_s = free_s if start == 0 else max(free_s, start * dt_s)
        begins = begin_s + np.concatenate(([0.0], np.cumsum(length[used:])[:-1]))
        taken = int(np.searchsorted(begins + stays[used:, 0], stop * dt_s))
        if taken:
            these = stays[used : used + taken]
            ends.append((begins[:taken, None] + np.cumsum(these, axis=1)).ravel())
            used, free_s = used + taken, float(ends[-1][-1])
    phase_of_end = np.tile(np.arange(len(low), dtype=np.int8), used)
    index = np.searchsorted(np.concatenate([*ends, []]), np.arange(rows) * dt_s, side="right")
    return np.concatenate((phase_of_end, np.zeros(1, dtype=np.int8)))[index]


def ramp(rows: int, *, start: int, growth: int, end: int | None, how: Growth = "linear") -> Floats:
    """Severity of a fault, 0..1 [rows]: 0 before `start`, growing over `growth` rows, 1 until `end`."""
    row = np.arange(rows)
    level = np.clip((row - start + 1) / max(growth, 1), 0.0, 1.0)
    if how == "exponential":
        level = np.expm1(4.0 * level) / np.expm1(4.0)
    elif how == "intermittent":
        # Turns of a golden angle: no rhythm that a detector could learn, and no draw of chance.
        turn = np.maximum(row - start, 0) // max(growth, 1) * 0.618034
        level = np.where(row < start, 0.0, np.where(turn % 1.0 < 0.6, 1.0, 0.1))
    return np.where(row < (rows if end is None else end), level, 0.0)


def idle_s(run: Floats, *, dt_s: float) -> Floats:
    """Seconds since the machine last ran, 0 while it runs, [R]; one that never ran has been idle for ever."""
    row = np.arange(len(run))
    last = np.maximum.accumulate(np.where(run > 0.0, row, -1))
    return np.where(last < 0, np.inf, (row - last) * dt_s)


def bursts(rng: np.random.Generator, rows: int, *, tau_s: float, dt_s: float) -> Floats:
    """Intermittent activity, non-negative, mean near 1 [rows]: the square of a coloured noise."""
    return np.square(wander(rng, rows, tau_s=tau_s, dt_s=dt_s))


def per_mode(mode: npt.NDArray[np.int8], levels: tuple[float, ...]) -> Floats:
    """Level of each row's mode, [R]."""
    return np.asarray(levels, dtype=np.float64)[mode]


def clamp_of(low: float, high: float) -> Callable[[float], float]:
    """Limiter for one row of a controller."""
    return lambda value: low if value < low else min(value, high)


def roughness(rng: np.random.Generator, rows: int, *, dt_s: float) -> Floats:
    """What a vibration's level is multiplied with from row to row, around 1 [rows]."""
    quick, slow = wander(rng, rows, tau_s=2.0, dt_s=dt_s), wander(rng, rows, tau_s=200.0, dt_s=dt_s)
    return np.exp(0.07 * quick + 0.05 * slow)


def varied(rng: np.random.Generator, rows: int, *, by: float, tau_s: float, dt_s: float) -> Floats:
    """A factor around 1 with standard deviation `by` and memory `tau_s`, [rows]."""
    return 1.0 + by * wander(rng, rows, tau_s=tau_s, dt_s=dt_s)
