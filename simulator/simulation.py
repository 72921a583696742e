"""Seed, habits and injections in, `Run` out: the one entry to the machines. No physics and no files."""

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np

from simulator.dynamics import ramp
from simulator.errors import UsageError
from simulator.habits import Habits, Surroundings, Trouble, planned
from simulator.habits.transmitters import plain
from simulator.habits.troubles import befall
from simulator.kinds import EVERY_KIND
from simulator.plan import Clock, Plan
from simulator.records import Channel, Event, Floats, Injection, Kind, Run, Scene, Streams

START_TS = 1_767_225_600.0  # 2026-01-01T00:00:00Z; a fixed instant, so that output depends on arguments only
_WARM_UP_S = 2400.0  # lets controllers and thermal masses settle before the first row that is handed out
_RATES_HZ = (1.0 / 900.0, 100.0)
_NO_HABITS = Habits()


def simulate(
    kind: str,
    *,
    rows: int,
    seed: int,
    rate_hz: float = 1.0,
    injections: Sequence[Injection | Trouble] = (),
    machine_seed: int | None = None,
    habits: Habits = _NO_HABITS,
    start_ts: float = START_TS,
) -> Run:
    """Simulate one machine.

    The same arguments give the same bits. Rows before the first `start_row` equal those of the run without
    injections bit for bit, and the modes are the same throughout.

    Args:
        kind: Key in `EVERY_KIND`.
        rows: Number of rows R, at least 1.
        seed: Source of schedule, process and sensor noise, 0 or more.
        rate_hz: Rows per second, a row each 15 minutes to 100 a second. A row holds the readings of its instant.
        injections: Faults and troubles of transmitters; of two injections of one fault the more severe holds.
        machine_seed: Source of the machine's own constants; default `seed`. Give the same one with different
            seeds for several recordings of one machine.
        habits: What the factory around it does.
        start_ts: Time of row 0, seconds since 1970 UTC: it decides hour, weekday and season.

    Raises:
        UsageError: Unknown kind, fault or channel, or a number outside its range.
    """
    machine = _kind_of(kind)
    faults = [each for each in injections if isinstance(each, Injection)]
    _check(machine, rows=rows, seed=seed, rate_hz=rate_hz, injections=faults)
    clock = _clock(machine, rows=rows, rate_hz=rate_hz, start_ts=start_ts)
    mode_rng, process, sensor, _, days, beside, mishaps = np.random.default_rng(seed).spawn(7)
    own = np.random.default_rng(seed if machine_seed is None else machine_seed).spawn(5)[3:]
    plan = planned(machine, clock, habits, modes=mode_rng, days=days)
    severity = _severity(machine, clock, faults)
    streams = Streams(machine=own[0], process=process, sensor=sensor)
    true = dict(machine.physics(_scene(plan, severity, streams)))
    channels = [*machine.channels, *(each.channel for each in habits.appliances)]
    _show(habits, _surroundings(machine, plan, true), true, rng=beside)
    values = _readings(channels, true, clock, habits, sensor=sensor, machine=own[1])
    events = _injected(machine, faults, rows=rows) + _happened(plan, rows=rows)
    events += _mishaps(values, channels, habits, injections, rate_hz=rate_hz, rng=mishaps)
    worst = np.stack([clock.handed_out(severity[fault.name]) for fault in machine.faults])
    return Run(
        kind=kind,
        channels=tuple(channel.name for channel in channels),
        units=tuple(channel.unit for channel in channels),
        rate_hz=rate_hz,
        values=values.astype(np.float32),
        label=_label(worst),
        mode=clock.handed_out(plan.mode),
        severity=worst.max(axis=0).astype(np.float32),
        sorts=tuple(channel.sort for channel in channels),
        start_ts=start_ts,
        running=clock.handed_out(plan.run | machine.keeps_on),
        events=tuple(sorted(events, key=lambda event: event.start_row)),
    )


def _scene(plan: Plan, severity: Mapping[str, Floats], streams: Streams) -> Scene:
    """What the physics look at: faults as injected, or wear where that is worse."""
    return Scene(
        mode=plan.mode,
        severity={name: np.maximum(level, plan.wear.get(name, 0.0)) for name, level in severity.items()},
        dt_s=plan.clock.dt_s,
        streams=streams,
        run=plan.run.astype(np.float64),
        demand=plan.demand,
        weather=plan.weather,
    )


def _clock(kind: Kind, *, rows: int, rate_hz: float, start_ts: float) -> Clock:
    every = ceil(round(1.0 / (rate_hz * kind.step_s), 9))
    warm_rows = round(_WARM_UP_S * rate_hz) * every
    dt_s = 1.0 / rate_hz / every
    # A row shows the end of its steps, so that its time is that of the last of them.
    first_ts = start_ts - (warm_rows + every - 1) * dt_s
    return Clock(first_ts, dt_s, warm_rows + rows * every, warm_rows, every)


def _severity(kind: Kind, clock: Clock, faults: Sequence[Injection]) -> dict[str, Floats]:
    """Of every fault of the kind, as injected, 0..1 [R]."""
    severity = {fault.name: np.zeros(clock.rows) for fault in kind.faults}
    first, every = clock.warm_rows, clock.every
    for each in faults:
        level = each.severity * ramp(
            clock.rows,
            start=first + each.start_row * every,
            growth=each.growth_rows * every,
            end=None if each.end_row is None else first + each.end_row * every,
            how=each.growth,
        )
        severity[each.fault] = np.maximum(severity[each.fault], level)
    return severity


def _surroundings(kind: Kind, plan: Plan, true: Mapping[str, Floats]) -> Surroundings:
    weather = np.full(plan.clock.rows, 20.0) if plan.weather is None else plan.weather
    return Surroundings(
        clock=plan.clock,
        run=plan.run,
        mode=plan.mode,
        demand=plan.demand,
        product=plan.product,
        weather=weather,
        true=true,
        has_cycles=bool(kind.cycle_s),
    )


def _show(habits: Habits, around: Surroundings, true: dict[str, Floats], *, rng: np.random.Generator) -> None:
    """Add what the instruments beside the machine show."""
    shown: dict[str, Floats] = {}
    for each, chance in zip(habits.appliances, rng.spawn(len(habits.appliances)), strict=True):
        if each.channel.name in true | shown:
            raise UsageError(f"there are two channels called {each.channel.name!r}")
        shown[each.channel.name] = each.read(around, chance)
    true |= shown


def _readings(
    channels: Sequence[Channel],
    true: Mapping[str, Floats],
    clock: Clock,
    habits: Habits,
    *,
    sensor: np.random.Generator,
    machine: np.random.Generator,
) -> Floats:
    """What the transmitters report, [R, C]."""
    warm, last = clock.warm_rows // clock.every, clock.every - 1
    columns = []
    for channel in channels:
        seen = true[channel.name][last :: clock.every]
        if habits.transmitters is None:
            read = plain(seen, channel, sensor=sensor)
        else:
            read = habits.transmitters.read(seen, channel, machine=machine, sensor=sensor)
        columns.append(read[warm:])
    return np.stack(columns, axis=1)


def _mishaps(
    values: Floats,
    channels: Sequence[Channel],
    habits: Habits,
    injections: Sequence[Injection | Trouble],
    *,
    rate_hz: float,
    rng: np.random.Generator,
) -> list[Event]:
    """Let transmitters and lines have their troubles, [R, C] in place; returns what is to be recorded."""
    drawing, shaking, reporting = rng.spawn(3)
    troubles = [each for each in injections if isinstance(each, Trouble)]
    known = {channel.name for channel in channels} | {""}
    for each in troubles:
        if each.channel not in known or each.start_row < 0:
            raise UsageError(f"no such trouble: {each}; channels: {', '.join(sorted(known - {''}))}")
    if habits.troubles is not None:
        troubles += habits.troubles.draw(values, channels, rate_hz=rate_hz, rng=drawing)
    events = befall(values, channels, troubles, rng=shaking)
    if habits.reporting is not None:
        habits.reporting.silence(values, channels, rate_hz=rate_hz, rng=reporting)
    return list(events)


def _injected(kind: Kind, faults: Sequence[Injection], *, rows: int) -> list[Event]:
    guilty = {fault.name: fault.channels for fault in kind.faults}
    return [
        Event(
            name=each.fault,
            cause="fault",
            start_row=each.start_row,
            end_row=rows if each.end_row is None else min(each.end_row, rows),
            channels=guilty[each.fault],
            amount=each.severity,
        )
        for each in faults
        if each.start_row < rows
    ]


def _happened(plan: Plan, *, rows: int) -> list[Event]:
    """The plan's events in rows of the run; what was over before it began is left out."""
    told = []
    for event in plan.events:
        start = max(plan.clock.out_row(event.start_row), 0)
        stop = min(max(plan.clock.out_row(event.end_row), start + 1), rows)
        if event.end_row > plan.clock.warm_rows and start < stop:
            told.append(Event(event.name, event.cause, start, stop, event.channels, event.amount))
    return told


def _label(severity: Floats) -> "np.ndarray[tuple[int, ...], np.dtype[np.int16]]":
    """1 + index of the most severe fault, 0 where none is active: [F, R] -> [R]."""
    return np.where(severity.max(axis=0) > 0.0, severity.argmax(axis=0) + 1, 0).astype(np.int16)


def _kind_of(name: str) -> Kind:
    if name not in EVERY_KIND:
        raise UsageError(f"unknown kind of machine {name!r}; known: {', '.join(EVERY_KIND)}")
    return EVERY_KIND[name]


def _check(kind: Kind, *, rows: int, seed: int, rate_hz: float, injections: Sequence[Injection]) -> None:
    faults = [fault.name for fault in kind.faults]
    problems = [
        (rows < 1, f"rows must be at least 1, got {rows}"),
        (seed < 0, f"seed must be 0 or more, got {seed}"),
        (not _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1], f"rate_hz must be 1/900 to 100, got {rate_hz}"),
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
