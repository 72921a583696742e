"""Simulated kinds of machines as families: steady ones, and those that stand in ordinary factories."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

import simulator
from edge_trainer.in_context import benign
from edge_trainer.in_context.injections import Injected, log_uniform, scales_of
from edge_trainer.in_context.machines.machine import (
    MOST_CHANNELS,
    MachineRows,
    drawn_lengths,
    unknown_rows,
)
from simulator import Habits, Run

KINDS = tuple(simulator.KINDS)
_VISIBLE = 0.1
"""Severity from which on a fault is labelled."""
_STEADY_RATES_HZ = (0.2, 4.0)
_ORDINARY_RATES_HZ = (1 / 60, 0.5)
_FAULT_ROWS = (30, 4000)
_SEVERITY = (0.15, 1.0)
_MOST_FAULTS = 10
_SEEDS = 1 << 31
_DOUBTED = ("stuck", "drift", "noise")
"""Troubles of transmitters that a judge may tell or not: nobody labels them."""
_LASTING = ("recalibration", "new_set_point")


def draw(rng: np.random.Generator, kind: str) -> MachineRows:
    """A machine of that kind, its habits and its faults."""
    context_rows, rows = drawn_lengths(rng)
    ordinary = bool(rng.random() < 0.5)
    rate_hz = log_uniform(rng, *(_ORDINARY_RATES_HZ if ordinary else _STEADY_RATES_HZ))
    machine = simulator.machine(kind, seed=int(rng.integers(_SEEDS)), habits=None if ordinary else Habits())
    first = context_rows + int(rng.integers(150, 700))
    faults = simulator.some_faults(
        kind,
        seed=int(rng.integers(_SEEDS)),
        first_row=min(first, rows - 2 * _FAULT_ROWS[0]),
        rows=rows,
        count=int(rng.integers(1, _MOST_FAULTS)),
        length_rows=_FAULT_ROWS,
        severity=_SEVERITY,
    )
    run = machine.run(
        rows=rows,
        seed=int(rng.integers(_SEEDS)),
        rate_hz=rate_hz,
        start_ts=simulator.START_TS + float(rng.uniform(0.0, 14.0)) * 86_400.0,
        injections=faults,
    )
    chosen = _channels(rng, run)
    by_exception = machine.habits.reporting is not None
    values = np.ascontiguousarray((run.held() if by_exception else run.values)[:, chosen])
    if rng.random() < 0.4:
        _drift(rng, values, run, chosen=chosen, context_rows=context_rows)
    faults_seen = _labels(run, kind, chosen)
    return MachineRows(
        values=values,
        context_rows=context_rows,
        period_s=1.0 / rate_hz,
        faults=faults_seen,
        judged=_judged(run, faults_seen),
        changed_row=_changed_row(run, context_rows),
    )


def _channels(rng: np.random.Generator, run: Run) -> npt.NDArray[np.int64]:
    """All, or without some that are left out at random, as not every machine has every instrument."""
    count = len(run.channels)
    if rng.random() < 0.3:
        count = int(rng.integers(max(3, count // 2), count + 1))
    return np.sort(rng.choice(len(run.channels), min(count, MOST_CHANNELS), replace=False))


def _drift(
    rng: np.random.Generator,
    values: npt.NDArray[np.float32],
    run: Run,
    *,
    chosen: npt.NDArray[np.int64],
    context_rows: int,
) -> None:
    """Slow changes of the measured quantities; codes, meters and set points have none."""
    analog = np.flatnonzero([run.sorts[at] == "analog" for at in chosen])
    if len(analog):
        moved = np.ascontiguousarray(values[:, analog])
        known = np.nan_to_num(moved[:context_rows])
        benign.drift(rng, moved, scale=scales_of(known)[0])
        values[:, analog] = moved


def _labels(run: Run, kind: str, chosen: npt.NDArray[np.int64]) -> tuple[Injected, ...]:
    """Stretches of rows in which a fault can be seen and the machine is there to show it."""
    guilty_of = {fault.name: set(fault.channels) for fault in simulator.KINDS[kind].faults}
    seen = run.severity >= _VISIBLE
    if not simulator.KINDS[kind].keeps_on:
        seen &= run.running
    found = []
    for event in run.events:
        if event.cause != "fault":
            continue
        guilty = np.array([run.channels[at] in guilty_of[event.name] for at in chosen])
        if not guilty.any():
            continue
        inside = np.zeros(len(seen) + 2, np.int8)
        inside[event.start_row + 1 : event.end_row + 1] = seen[event.start_row : event.end_row]
        edges = np.flatnonzero(np.diff(inside)).reshape(-1, 2)
        found += [Injected(event.name, int(start), int(stop), guilty) for start, stop in edges]
    return tuple(found)


def _judged(run: Run, faults: Sequence[Injected]) -> npt.NDArray[np.bool_]:
    """Rows of which somebody could say whether they are faulty.

    Not a fault that nothing here can show: too small yet, of channels that were left out, or of a machine that is off;
    not a transmitter with a trouble as good as a fault; not what stays from now on, until it has lasted. Modes, stops
    and starts are normal from their first row on, whether they were learnt or not.
    """
    judged: npt.NDArray[np.bool_] = run.label == 0
    for fault in faults:
        judged[fault.start : fault.stop] = True
    wait = unknown_rows(1.0 / run.rate_hz)
    for event in run.events:
        if event.name in _DOUBTED:
            judged[event.start_row : event.end_row] = False
        elif event.name in _LASTING:
            judged[event.start_row : event.start_row + wait] = False
    return judged


def _changed_row(run: Run, context_rows: int) -> int | None:
    """Where something begins after the context that stays."""
    begun = [event.start_row for event in run.events if event.name in _LASTING]
    return min((row for row in begun if row >= context_rows), default=None)
