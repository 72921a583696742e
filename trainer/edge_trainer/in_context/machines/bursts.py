"""Loads that come in bursts: what computers, networks, yards and shared compressors show. Heavy above, empty below.

Most readings are small, some are many times as large, several channels rise together, jobs run at their hour, and
stores fill slowly and are emptied. A burst is normal here as long as it is as long and as high as bursts are.
"""

import numpy as np

from edge_trainer.in_context.injections import Floats, log_uniform
from edge_trainer.in_context.machines.machine import MachineRows, drawn_lengths, troubled
from simulator.dynamics import wander

_ROWS_A_DAY = (144.0, 20_000.0)
_LONGEST_BURST_ROWS = 30.0


def draw(rng: np.random.Generator) -> MachineRows:
    """One machine of four to twenty-four such channels."""
    context_rows, rows = drawn_lengths(rng)
    day_rows = log_uniform(rng, *_ROWS_A_DAY)
    count = int(rng.integers(4, 25))
    load = _load(rng, rows, day_rows=day_rows)
    groups = [_bursts(rng, rows, day_rows=day_rows) for _ in range(int(rng.integers(1, 4)))]
    columns = []
    for _ in range(count):
        kind = rng.choice(4, p=(0.5, 0.2, 0.15, 0.15))
        burst = log_uniform(rng, 0.2, 3.0) * groups[int(rng.integers(len(groups)))]
        if kind == 0:  # a rate: lognormal, with the load
            own = wander(rng, rows, tau_s=log_uniform(rng, 0.5, 30.0), dt_s=1.0)
            value = np.exp(rng.uniform(0.2, 1.0) * (load + own)) + burst
        elif kind == 1:  # a share between 0 and 1
            own = rng.uniform(0.1, 0.6) * wander(rng, rows, tau_s=log_uniform(rng, 0.5, 100.0), dt_s=1.0)
            value = 1.0 / (1.0 + np.exp(2.0 - load - own - burst))
        elif kind == 2:  # rare events, counted
            usual = np.exp(np.clip(load - rng.uniform(0.0, 4.0), -6.0, 3.0)) + 0.5 * burst
            value = rng.poisson(usual).astype(np.float64)
        else:  # a store that fills and is emptied
            filling = np.arange(rows) / (day_rows * log_uniform(rng, 0.1, 5.0)) + rng.random()
            value = filling % 1.0 + 0.02 * rng.standard_normal(rows) + 0.05 * burst
        columns.append(log_uniform(rng, 0.1, 1000.0) * value)
    values = np.stack(columns, axis=1).astype(np.float32)
    period_s = 86_400.0 / day_rows
    return troubled(rng, values, context_rows=context_rows, period_s=period_s)


def _load(rng: np.random.Generator, rows: int, *, day_rows: float) -> Floats:
    """What is asked of all of it, by day and week, [R]; about one spread."""
    day = np.arange(rows) / day_rows + rng.uniform(0.0, 7.0)
    shape = rng.choice([0.0, 0.5, 1.0]) * np.sin(2 * np.pi * day)
    shape = shape - rng.choice([0.0, 1.0]) * (day % 7.0 > 5.0)
    found: Floats = shape + rng.uniform(0.1, 0.6) * wander(rng, rows, tau_s=0.05 * day_rows, dt_s=1.0)
    return found


def _bursts(rng: np.random.Generator, rows: int, *, day_rows: float) -> Floats:
    """Bursts that come by chance, and a job at its hour, [R]."""
    value = np.zeros(rows)
    per_day = log_uniform(rng, 1.0, 60.0)
    for start in np.flatnonzero(rng.random(rows) < min(per_day / day_rows, 0.1)):
        length = 1 + int(rng.exponential(log_uniform(rng, 1.0, _LONGEST_BURST_ROWS / 3.0)))
        value[start : start + length] += rng.pareto(rng.uniform(1.5, 4.0)) + 0.5
    if rng.random() < 0.5:
        length = max(1, int(day_rows * rng.uniform(0.005, 0.05)))
        for start in np.arange(rng.uniform(0.0, day_rows), rows, day_rows).astype(np.int64):
            late = int(rng.integers(0, 3))
            value[start + late : start + late + length] += rng.uniform(1.0, 3.0)
    return np.minimum(value, 30.0)
