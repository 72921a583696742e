"""Small machines of everyday factories: nights, batches, set points, short stops, meters, codes. No kind's physics.

Few channels that follow one load, each with a lag of its own, warmth that comes late, weather, and the channels beside:
what a simulated kind has in a hundred lines is here drawn anew for each machine, so that no two are alike.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_trainer.in_context import benign
from edge_trainer.in_context.injections import Floats, Injected, log_uniform
from edge_trainer.in_context.machines.machine import MachineRows, drawn_lengths, unknown_rows
from simulator.dynamics import DAY_S, lag, wander

_PERIODS_S = (2.0, 60.0)
_VISIBLE = 0.1


@dataclass(frozen=True, slots=True)
class _Days:
    """What is asked of the machine: how much [R], whether it runs [R], which of its known states it is in [R]."""

    load: Floats
    runs: npt.NDArray[np.bool_]
    state: npt.NDArray[np.int64]


def draw(rng: np.random.Generator) -> MachineRows:
    """One machine: its days, its channels, its faults."""
    context_rows, rows = drawn_lengths(rng)
    period_s = log_uniform(rng, *_PERIODS_S)
    days = _days(rng, rows, period_s=period_s)
    measured = _measured(rng, days, period_s=period_s)
    guilty, severity, faults = _faults(
        rng, days, context_rows=context_rows, n_channels=measured.shape[1], period_s=period_s
    )
    _harm(rng, measured, days, guilty=guilty, severity=severity, faults=faults)
    beside = _beside(rng, days, power=np.abs(measured[:, 0]), period_s=period_s)
    values = np.concatenate([measured, beside], axis=1).astype(np.float32)
    if rng.random() < 0.2:
        spread = measured[:context_rows].std(axis=0) + 1e-6
        benign.glitches(rng, values[:, : measured.shape[1]], scale=spread)
    none = np.zeros(beside.shape[1], np.bool_)
    return MachineRows(
        values=values,
        context_rows=context_rows,
        period_s=period_s,
        faults=tuple(
            Injected(name, start, stop, np.concatenate([who, none])) for name, start, stop, who in faults
        ),
        judged=_judged(days, context_rows=context_rows, severity=severity, period_s=period_s),
    )


def _days(rng: np.random.Generator, rows: int, *, period_s: float) -> _Days:
    time_s = np.arange(rows) * period_s + rng.uniform(0.0, 7.0) * DAY_S
    runs = np.ones(rows, np.bool_)
    if rng.random() < 0.5:  # nights
        begin, work_h = rng.uniform(5.0, 8.0), rng.uniform(8.0, 17.0)
        late = rng.normal(0.0, 0.1, int(time_s[-1] // DAY_S) + 1)[(time_s // DAY_S).astype(np.int64)]
        hour = (time_s % DAY_S) / 3600.0 - begin - late
        runs &= (hour > 0.0) & (hour < work_h)
    if rng.random() < 0.3:  # weekends
        runs &= (time_s // DAY_S) % 7 < 5
    if rng.random() < 0.4:  # short stops
        for start in np.flatnonzero(rng.random(rows) < log_uniform(rng, 0.1, 2.0) * period_s / 3600.0):
            runs[start : start + max(2, int(log_uniform(rng, 60.0, 1200.0) / period_s))] = False
    levels = np.round(rng.uniform(0.6, 1.2, int(rng.integers(1, 5))), 2)
    stay_s = log_uniform(rng, 300.0, 20_000.0)
    if rng.random() < 0.4:  # a recipe, over and over
        recipe = rng.integers(0, len(levels), int(rng.integers(2, 6)))
        stays = np.maximum(
            1, rng.normal(stay_s, 0.05 * stay_s, int(rows * period_s / stay_s * 1.3) + 3) / period_s
        )
        order = np.resize(recipe, len(stays))
    else:
        stays = np.maximum(
            1, stay_s * np.exp(rng.uniform(0.0, 1.5, int(rows * period_s / stay_s) + 3)) / period_s
        )
        order = rng.integers(0, len(levels), len(stays))
    state = np.resize(np.repeat(order, stays.astype(np.int64)), rows)
    load = levels[state] * (
        1.0 + rng.choice([0.0, 0.02, 0.06]) * wander(rng, rows, tau_s=3600.0, dt_s=period_s)
    )
    return _Days(load * runs, runs, np.where(runs, state, -1))


def _measured(rng: np.random.Generator, days: _Days, *, period_s: float) -> Floats:
    """Three to nine quantities, [R, C]: lagged load, warmth, weather, noise of their own."""
    rows = len(days.load)
    weather = np.sin(2 * np.pi * (np.arange(rows) * period_s / DAY_S + rng.random()))
    columns = []
    for _ in range(int(rng.integers(3, 10))):
        tau_s = log_uniform(rng, period_s, 3600.0)
        power = float(rng.choice([1.0, 1.0, 2.0, 0.5]))
        seen = lag(days.load**power, tau_s=tau_s, dt_s=period_s)
        seen = seen + rng.choice([0.0, 0.02, 0.1]) * weather
        shaking = wander(rng, rows, tau_s=period_s * log_uniform(rng, 0.3, 30.0), dt_s=period_s)
        noise = log_uniform(rng, 0.003, 0.06) * shaking * np.where(days.runs, 1.0, rng.uniform(0.05, 1.0))
        noise = noise + log_uniform(rng, 0.001, 0.02) * rng.standard_normal(rows)
        columns.append(log_uniform(rng, 0.1, 1000.0) * (seen + noise) + rng.choice([0.0, 20.0, 100.0]))
    found: Floats = np.stack(columns, axis=1)
    if rng.random() < 0.3:
        step = found.std(axis=0) * log_uniform(rng, 0.01, 0.3) + 1e-9
        found = np.round(found / step) * step
    return found


def _faults(
    rng: np.random.Generator, days: _Days, *, context_rows: int, n_channels: int, period_s: float
) -> tuple[Floats, Floats, list[tuple[str, int, int, npt.NDArray[np.bool_]]]]:
    """(which channels by row [R, C], severity [R], (name, first labelled row, row after the last, guilty) of each)."""
    rows = len(days.load)
    guilty, severity = np.zeros((rows, n_channels)), np.zeros(rows)
    found = []
    at = context_rows + int(rng.integers(100, 600))
    while at < rows - 60 and rng.random() < 0.9:
        length = int(log_uniform(rng, 30, max(60.0, min(2000.0, 6 * 3600.0 / period_s))))
        stop, who = min(at + length, rows), np.zeros(n_channels, np.bool_)
        who[rng.choice(n_channels, min(n_channels, 1 + int(rng.integers(3))), replace=False)] = True
        grown = np.clip(
            np.arange(1, stop - at + 1) / max(1.0, rng.choice([0.0, 0.5, 1.0]) * (stop - at)), 0, 1
        )
        severity[at:stop] = grown * rng.uniform(0.15, 1.0)
        guilty[at:stop] = who
        name = str(rng.choice(["gain", "offset", "slow", "noise"]))
        seen = np.flatnonzero((severity[at:stop] >= _VISIBLE) & days.runs[at:stop])
        if len(seen):
            found.append((name, at + int(seen[0]), at + int(seen[-1]) + 1, who))
        at = stop + int(rng.integers(300, 1500) * max(1.0, (rows - context_rows) / 6000))
    return guilty, severity, found


def _harm(
    rng: np.random.Generator,
    measured: Floats,
    days: _Days,
    *,
    guilty: Floats,
    severity: Floats,
    faults: list[tuple[str, int, int, npt.NDArray[np.bool_]]],
) -> None:
    """Let the faults show in rows [R, C], in place: in what a channel does while the machine runs."""
    running = days.runs
    steady = measured[running] if running.any() else measured
    breath = np.maximum(np.abs(np.diff(steady, axis=0)).mean(axis=0), 0.02 * steady.std(axis=0)) + 1e-9
    for name, first, stop, who in faults:
        start = first
        while (
            start > 0
            and severity[start - 1] > 0.0
            and guilty[start - 1].astype(bool).tolist() == who.tolist()
        ):
            start -= 1
        part, bad = slice(start, stop), severity[start:stop] * running[start:stop]
        for channel in np.flatnonzero(who):
            size = breath[channel] * log_uniform(rng, 2.0, 15.0) * rng.choice([-1.0, 1.0])
            before = measured[part, channel].copy()
            if name == "gain":
                level = (
                    measured[part, channel] - np.median(measured[~running, channel])
                    if not running.all()
                    else before
                )
                measured[part, channel] += bad * np.sign(size) * (0.3 * level + 0.3 * abs(size))
            elif name == "offset":
                measured[part, channel] += bad * size
            elif name == "slow":
                late = lag(before, tau_s=log_uniform(rng, 10.0, 300.0), dt_s=1.0)
                measured[part, channel] += bad * (late - before) + 0.5 * bad * size
            else:
                measured[part, channel] += bad * abs(size) * rng.standard_normal(stop - start)


def _beside(rng: np.random.Generator, days: _Days, *, power: Floats, period_s: float) -> Floats:
    """Meters, counters, codes, set points and doors, [R, none to six]."""
    rows = len(days.load)
    energy = np.cumsum(power * days.runs) * period_s / 3600.0 + log_uniform(rng, 1.0, 1e5)
    pieces = np.floor(np.cumsum(days.load) * period_s / log_uniform(rng, 5.0, 300.0)) + rng.integers(10**5)
    door = np.zeros(rows)
    for start in np.flatnonzero(rng.random(rows) < log_uniform(rng, 1.0, 20.0) * period_s / DAY_S):
        door[start : start + max(1, int(120.0 / period_s))] = 1.0
    offered: list[tuple[float, Floats]] = [
        (0.35, np.round(energy / 0.1) * 0.1),
        (0.2, (pieces % 65_536).astype(np.float64)),
        (0.3, np.where(days.runs, days.state + 3.0, 0.0)),
        (0.25, np.round(100.0 * np.where(days.runs, days.load, 0.0) / 5.0) * 5.0),
        (0.2, door),
        (0.15, np.full(rows, float(rng.integers(1, 500)))),
    ]
    taken = [column for share, column in offered if rng.random() < share]
    return np.stack(taken, axis=1) if taken else np.empty((rows, 0))


def _judged(days: _Days, *, context_rows: int, severity: Floats, period_s: float) -> npt.NDArray[np.bool_]:
    """Not a faulty machine that is off or only just falls ill; not a level of load never seen, until it has lasted."""
    judged = ~((severity > 0.0) & ((severity < _VISIBLE) | ~days.runs))
    unseen = days.runs & ~np.isin(days.state, np.unique(days.state[:context_rows]))
    for start in np.flatnonzero(unseen & ~np.concatenate(([False], unseen[:-1]))):
        judged[start : start + unknown_rows(period_s)] = False
    return judged
