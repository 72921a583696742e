"""Seed and injections in, `Run` out: the one entry to the machines. No physics and no files."""

from collections.abc import Sequence

import numpy as np

from simulator.dynamics import ramp, read_out, schedule
from simulator.errors import UsageError
from simulator.kinds import KINDS
from simulator.records import Floats, Injection, Kind, Run, Scene, Streams

_WARM_UP_S = 2400.0  # lets controllers and thermal masses settle before the first row that is handed out
_RATES_HZ = (0.2, 100.0)  # below, the flow controller would be slower than its own machine


def simulate(
    kind: str,
    *,
    rows: int,
    seed: int,
    rate_hz: float = 1.0,
    injections: Sequence[Injection] = (),
    machine_seed: int | None = None,
) -> Run:
    """Simulate one machine.

    The same arguments give the same bits. Rows before the first `start_row` equal those of the run without
    injections bit for bit, and the modes are the same throughout.

    Args:
        kind: Key in `KINDS`.
        rows: Number of rows R, at least 1.
        seed: Source of schedule, process and sensor noise, 0 or more.
        rate_hz: Rows per second, 0.2 to 100.
        injections: Faults to inject; of two injections of one fault the more severe holds.
        machine_seed: Source of the machine's own constants; default `seed`. Give the same one with different
            seeds for several recordings of one machine.

    Raises:
        UsageError: Unknown kind or fault, or a number outside its range.
    """
    machine = _kind_of(kind)
    _check(machine, rows=rows, seed=seed, rate_hz=rate_hz, injections=injections)
    warm_rows = round(_WARM_UP_S * rate_hz)
    total = warm_rows + rows
    mode_rng, process, sensor = np.random.default_rng(seed).spawn(3)
    own = np.random.default_rng(seed if machine_seed is None else machine_seed).spawn(4)[3]
    severity = {fault.name: np.zeros(total) for fault in machine.faults}
    for each in injections:
        end = None if each.end_row is None else warm_rows + each.end_row
        level = each.severity * ramp(
            total, start=warm_rows + each.start_row, growth=each.growth_rows, end=end
        )
        severity[each.fault] = np.maximum(severity[each.fault], level)
    dt_s = 1.0 / rate_hz
    mode = schedule(mode_rng, total, modes=len(machine.modes), dwell_s=machine.dwell_s, dt_s=dt_s)
    streams = Streams(machine=own, process=process, sensor=sensor)
    true = machine.physics(Scene(mode=mode, severity=severity, dt_s=dt_s, streams=streams))
    values = [
        read_out(sensor, true[c.name], noise=c.noise, step=c.step)[warm_rows:] for c in machine.channels
    ]
    worst = np.stack([severity[fault.name][warm_rows:] for fault in machine.faults])
    return Run(
        kind=kind,
        channels=tuple(channel.name for channel in machine.channels),
        units=tuple(channel.unit for channel in machine.channels),
        rate_hz=rate_hz,
        values=np.stack(values, axis=1).astype(np.float32),
        label=_label(worst),
        mode=mode[warm_rows:],
        severity=worst.max(axis=0).astype(np.float32),
    )


def _label(severity: Floats) -> "np.ndarray[tuple[int, ...], np.dtype[np.int16]]":
    """1 + index of the most severe fault, 0 where none is active: [F, R] -> [R]."""
    return np.where(severity.max(axis=0) > 0.0, severity.argmax(axis=0) + 1, 0).astype(np.int16)


def _kind_of(name: str) -> Kind:
    if name not in KINDS:
        raise UsageError(f"unknown kind of machine {name!r}; known: {', '.join(KINDS)}")
    return KINDS[name]


def _check(kind: Kind, *, rows: int, seed: int, rate_hz: float, injections: Sequence[Injection]) -> None:
    faults = [fault.name for fault in kind.faults]
    problems = [
        (rows < 1, f"rows must be at least 1, got {rows}"),
        (seed < 0, f"seed must be 0 or more, got {seed}"),
        (not _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1], f"rate_hz must be in {_RATES_HZ}, got {rate_hz}"),
    ]
    for each in injections:
        problems += [
            (
                each.fault not in faults,
                f"a {kind.name} has no fault {each.fault!r}; known: {', '.join(faults)}",
            ),
            (not 0.0 < each.severity <= 1.0, f"severity must be above 0 and at most 1, got {each.severity}"),
            (each.start_row < 0, f"start_row must be 0 or more, got {each.start_row}"),
            (each.growth_rows < 0, f"growth_rows must be 0 or more, got {each.growth_rows}"),
            (
                each.end_row is not None and each.end_row <= each.start_row,
                f"end_row must lie after start_row {each.start_row}, got {each.end_row}",
            ),
        ]
    for wrong, message in problems:
        if wrong:
            raise UsageError(message)
