"""Slow machines: a row in minutes, one channel or a few, the rhythm of days and weeks, warmth that leaves slowly.

Single channels have no relation to break, so faults here are what a thermometer or a meter alone can show: a level that
leaves its rhythm, a fall that begins hours before, a rhythm that stays away.
"""

import numpy as np

from edge_trainer.in_context import benign
from edge_trainer.in_context.injections import Floats, Injected, inject, log_uniform, scales_of
from edge_trainer.in_context.machines.machine import CHANGED_SHARE, MachineRows, unknown_rows
from simulator.dynamics import DAY_S, lag, wander

_PERIODS_S = (60.0, 120.0, 300.0, 300.0, 300.0, 600.0, 900.0)
_CONTEXT_DAYS = (2.0, 21.0)
_QUERY_DAYS = (4.0, 40.0)
_FAULT_H = (0.5, 120.0)
_MOST_ROWS = 30_000


def draw(rng: np.random.Generator) -> MachineRows:
    """One slow machine."""
    period_s = float(rng.choice(_PERIODS_S))
    context_rows = max(300, int(log_uniform(rng, *_CONTEXT_DAYS) * DAY_S / period_s))
    rows = min(context_rows + int(log_uniform(rng, *_QUERY_DAYS) * DAY_S / period_s), _MOST_ROWS)
    context_rows = min(context_rows, rows // 2)
    count = int(rng.choice([1, 1, 1, 2, 3, 5]))
    shared = _rhythm(rng, rows, period_s=period_s)
    columns = []
    for _ in range(count):
        own = _rhythm(rng, rows, period_s=period_s)
        like = rng.choice([0.0, 0.7, 0.95]) if count > 1 else 0.0
        columns.append(
            log_uniform(rng, 0.5, 100.0) * (like * shared + (1.0 - like) * own) + rng.uniform(-50, 100)
        )
    values = np.stack(columns, axis=1).astype(np.float32)
    scale, _ = scales_of(values[:context_rows])
    judged = np.ones(rows, np.bool_)
    if rng.random() < 0.3:
        benign.glitches(rng, values, scale=scale)
    changed_row = None
    if rng.random() < CHANGED_SHARE:
        changed_row = benign.new_set_point(rng, values, first_row=context_rows, scale=scale)
        judged[changed_row : changed_row + max(unknown_rows(period_s), int(DAY_S / period_s))] = False
    faults = _faults(rng, values, context_rows=context_rows, period_s=period_s, scale=scale)
    return MachineRows(values, context_rows, period_s, tuple(faults), judged, changed_row)


def _rhythm(rng: np.random.Generator, rows: int, *, period_s: float) -> Floats:
    """Days, weeks, noise with memory and a walk, [R]; about one spread."""
    time_d = np.arange(rows) * period_s / DAY_S + rng.uniform(0.0, 7.0)
    value = rng.choice([0.0, 0.3, 1.0]) * np.sin(2 * np.pi * time_d)
    value = value + rng.choice([0.0, 0.3]) * np.sin(4 * np.pi * time_d + rng.uniform(0, 6))
    if rng.random() < 0.4:  # off at night or at weekends, with warmth that leaves slowly
        off = (time_d % 1.0 < rng.uniform(0.2, 0.4)) | ((time_d % 7.0 > 5.0) & (rng.random() < 0.6))
        value = value - rng.uniform(0.5, 3.0) * lag(
            off.astype(np.float64), tau_s=log_uniform(rng, period_s, 4 * 3600.0), dt_s=period_s
        )
    value = value + log_uniform(rng, 0.05, 0.8) * wander(
        rng, rows, tau_s=log_uniform(rng, 0.5, 48.0) * 3600.0, dt_s=period_s
    )
    value = value + log_uniform(rng, 0.01, 0.3) * rng.standard_t(rng.uniform(3.0, 10.0), rows)
    value = value + rng.uniform(0.0, 0.3) * np.cumsum(rng.standard_normal(rows)) * np.sqrt(
        period_s / DAY_S / 7.0
    )
    season: Floats = value + rng.uniform(-1.0, 1.0) * (time_d - time_d[0]) / 60.0
    return season


def _faults(
    rng: np.random.Generator,
    values: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]",
    *,
    context_rows: int,
    period_s: float,
    scale: Floats,
) -> list[Injected]:
    rows, found = len(values), []
    at = context_rows + int(rng.integers(20, 200))
    while at < rows - 30 and rng.random() < 0.9:
        stop = min(at + max(3, int(log_uniform(rng, *_FAULT_H) * 3600.0 / period_s)), rows)
        if rng.random() < 0.35:
            found.append(_decline(rng, values, start=at, stop=stop, scale=scale))
        else:
            found.append(inject(rng, values, start=at, stop=stop, general=scale))
        at = stop + int(log_uniform(rng, 0.3, 4.0) * DAY_S / period_s)
    return found


def _decline(
    rng: np.random.Generator,
    values: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]",
    *,
    start: int,
    stop: int,
    scale: Floats,
) -> Injected:
    """A slow fall or rise that ends in a break-down, and warmth that comes back afterwards, in place."""
    channel, n_rows = int(rng.integers(values.shape[1])), stop - start
    guilty = np.zeros(values.shape[1], np.bool_)
    guilty[channel] = True
    size = scale[channel] * log_uniform(rng, 1.5, 6.0) * rng.choice([-1.0, -1.0, 1.0])
    course = 0.4 * np.linspace(0.0, 1.0, n_rows) ** rng.choice([1.0, 2.0])
    broken = int(n_rows * rng.uniform(0.5, 1.0))
    course[broken:] += 1.0
    values[start:stop, channel] += (size * course).astype(np.float32)
    benign.recovery(rng, values, stop=stop, guilty=guilty, scale=scale)
    return Injected("decline", start + n_rows // 4, stop, guilty)
