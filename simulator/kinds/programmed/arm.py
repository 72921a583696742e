"""An arm of three axes that runs programs of moves, step by step: rigid bodies, gears with friction. No path planning.

A cycle begins in step 1 and ends with step 1 of the next one; step 8 waits until the cell's beat comes round. Moves are
minimum-jerk (Flash and Hogan, J. Neuroscience 5, 1985), so that speed and acceleration are known at every instant.
The torque of an axis is gravity, acceleration and friction of its gear; friction falls as the grease warms. The mode
of operation is the program that is run. Positions in deg, currents in A, following errors in mdeg.

Rows of R; S are the steps of all cycles one after another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simulator.dynamics import hall, lag, spread, varied
from simulator.records import Channel, Fault, Floats, Kind, Scene

_CHANNELS = (
    Channel("step", "1", 0.0, 1.0, "state"),
    Channel("program", "1", 0.0, 1.0, "state"),
    Channel("payload", "kg", 0.0, 0.1, "setpoint"),
    Channel("speed_override", "%", 0.0, 1.0, "setpoint"),
    Channel("position_1", "deg", 0.02, 0.01),
    Channel("position_2", "deg", 0.02, 0.01),
    Channel("position_3", "deg", 0.02, 0.01),
    Channel("current_1", "A", 0.05, 0.01),
    Channel("current_2", "A", 0.06, 0.01),
    Channel("current_3", "A", 0.05, 0.01),
    Channel("following_error_1", "mdeg", 0.6, 0.1),
    Channel("following_error_2", "mdeg", 0.6, 0.1),
    Channel("following_error_3", "mdeg", 0.6, 0.1),
    Channel("gear_temperature_2", "degC", 0.08, 0.1),
)
_FAULTS = (
    Fault(
        "friction_2_grows",
        ("current_2", "gear_temperature_2"),
        "old grease in axis 2: it drags and grows warm",
    ),
    Fault("belt_1_slips", ("following_error_1",), "the belt of axis 1 slips when it accelerates"),
    Fault("payload_wrong", ("current_2", "current_3"), "the parts weigh more than the program says"),
    Fault("collision", ("current_1",), "the arm touches something on its way back, and is slowed by it"),
    Fault("encoder_3_off", ("position_3",), "the encoder of axis 3 has turned on its shaft"),
    Fault("motor_3_weak", ("current_3",), "the magnets of motor 3 are weak: more current, and slower moves"),
)
_HOME = (0.0, 30.0, 60.0)
_WAIT = 8
"""The step that ends a cycle."""
_COLLISION_STEP = 7
_USUAL_DEG_S = 10.0
_RADIAN = np.pi / 180.0


class _Move(NamedTuple):
    """One step of a program: where it goes, how long that takes at full speed, and whether a part is held."""

    to: tuple[float, float, float]
    seconds: float
    held: bool


class _Program(NamedTuple):
    """What one mode of operation runs: its steps 1 to 7, the part's weight in kg, and the cell's beat in s."""

    moves: tuple[_Move, ...]
    payload_kg: float
    beat_s: float


def _pick_and_place(
    *, pick: float, place: float, low: float, payload_kg: float, beat_s: float, slow: float = 1.0
) -> _Program:
    """Seven steps: above the part, down, grip, lift, across, lay down, back home."""
    moves = (
        _Move((pick, 45.0, 50.0), 2.2 * slow, held=False),
        _Move((pick, low, 30.0), 1.6 * slow, held=False),
        _Move((pick, low, 30.0), 1.4, held=True),
        _Move((pick, 40.0, 55.0), 1.8 * slow, held=True),
        _Move((place, 50.0, 65.0), 3.2 * slow, held=True),
        _Move((place, low + 10.0, 35.0), 2.0 * slow, held=True),
        _Move(_HOME, 2.6 * slow, held=False),
    )
    return _Program(moves, payload_kg, beat_s)


_PROGRAMS = {
    "pick_light": _pick_and_place(pick=-60.0, place=70.0, low=70.0, payload_kg=2.0, beat_s=20.0),
    "pick_heavy": _pick_and_place(pick=-60.0, place=40.0, low=75.0, payload_kg=8.0, beat_s=24.0, slow=1.25),
    "stack": _pick_and_place(pick=-20.0, place=120.0, low=60.0, payload_kg=5.0, beat_s=22.0, slow=1.1),
    "turn_over": _pick_and_place(pick=-100.0, place=-10.0, low=80.0, payload_kg=3.5, beat_s=26.0, slow=1.4),
}


@dataclass(frozen=True, slots=True)
class _Arm:
    """Constants of one arm."""

    gravity_a: tuple[float, float, float]
    inertia_a: tuple[float, float, float]
    friction_a: float
    error_mdeg: float
    gear_k: float


def _draw(rng: np.random.Generator) -> _Arm:
    return _Arm(
        gravity_a=(0.0, spread(rng, 3.0, 0.1), spread(rng, 1.6, 0.1)),
        inertia_a=(spread(rng, 0.040, 0.1), spread(rng, 0.034, 0.1), spread(rng, 0.022, 0.1)),
        friction_a=spread(rng, 0.9, 0.15),
        error_mdeg=spread(rng, 9.0, 0.15),
        gear_k=spread(rng, 14.0, 0.1),
    )


class _Steps(NamedTuple):
    """Of all cycles: when each step begins [S + 1], its number and program, its ends [S, 3], whether a part is held."""

    begins_s: Floats
    number: Floats
    program: Floats
    start: Floats
    stop: Floats
    held: Floats


def _override(scene: Scene, rng: np.random.Generator) -> Floats:
    """Speed in percent of the program's, [R]: what people set for some hours, by how much is asked for."""
    dwell = max(int(7200.0 / scene.dt_s), 1)
    drawn = rng.choice([100.0, 100.0, 90.0], size=-(-scene.rows // dwell))
    asked = np.clip(np.round(20.0 * scene.demand) * 5.0, 60.0, 110.0)
    return np.asarray(np.repeat(drawn, dwell)[: scene.rows] * asked / 100.0)


def _steps(scene: Scene, rng: np.random.Generator, override: Floats) -> _Steps:
    """Run the programs: each cycle begins with the cell's beat, or as soon as the arm is home after it."""
    programs = tuple(_PROGRAMS.values())
    dt_s, end_s = scene.dt_s, scene.rows * scene.dt_s
    rows: list[tuple[float, int, int, Sequence[float], Sequence[float], bool]] = [
        (0.0, _WAIT, int(scene.mode[0]), _HOME, _HOME, False)
    ]
    beat_s = 0.0
    while beat_s < end_s:
        at = int(beat_s / dt_s)
        which, late = int(scene.mode[at]), rng.normal(size=9)
        program = programs[which]
        if scene.run[at] <= 0.0:
            beat_s += program.beat_s
            continue
        time_s, here = beat_s, _HOME
        for number, move in enumerate(program.moves, start=1):
            row = min(int(time_s / dt_s), scene.rows - 1)
            rows.append((time_s, number, which, here, move.to, move.held))
            slower = 1.0 + 0.5 * scene.severity["motor_3_weak"][row] * (number in (1, 4))
            slower += 0.8 * scene.severity["collision"][row] * (number == _COLLISION_STEP)
            time_s += move.seconds * slower * (1.0 + 0.02 * late[number]) / (override[row] / 100.0)
            here = move.to
        rows.append((time_s, _WAIT, which, _HOME, _HOME, False))
        beat_s = max(beat_s + program.beat_s + 0.15 * abs(late[8]), time_s + 0.8)
    begins, number_, which_, start, stop, held = zip(*rows, strict=True)
    told = [np.asarray(one, np.float64) for one in (number_, which_, start, stop, held)]
    return _Steps(np.append(np.asarray(begins, np.float64), end_s + 60.0), *told)


class _Motion(NamedTuple):
    """Of each row: its step's place among all [R]; position, speed and acceleration of the axes [R, 3]."""

    at: "np.ndarray[tuple[int, ...], np.dtype[np.intp]]"
    q: Floats
    speed: Floats
    push: Floats


def _motion(steps: _Steps, times_s: Floats) -> _Motion:
    """Where the axes are by a polynomial of the fifth degree within each move."""
    at = np.searchsorted(steps.begins_s, times_s, side="right") - 1
    lasts = np.maximum(steps.begins_s[at + 1] - steps.begins_s[at], 0.5)[:, np.newaxis]
    x = np.clip((times_s - steps.begins_s[at])[:, np.newaxis] / lasts, 0.0, 1.0)
    way = (steps.stop - steps.start)[at]
    return _Motion(
        at,
        steps.start[at] + way * (10.0 * x**3 - 15.0 * x**4 + 6.0 * x**5),
        way * (30.0 * x**2 - 60.0 * x**3 + 30.0 * x**4) / lasts,
        way * (60.0 * x - 180.0 * x**2 + 120.0 * x**3) / lasts**2,
    )


def _currents(arm: _Arm, scene: Scene, motion: _Motion, *, carried: Floats, warmth: Floats) -> list[Floats]:
    """Of the three motors, A [R] each, before what collisions and weak magnets add."""
    bad, on = scene.severity, scene.run
    reach = (
        np.cos((motion.q[:, 1] - 30.0) * _RADIAN),
        np.cos((motion.q[:, 1] + motion.q[:, 2] - 90.0) * _RADIAN),
    )
    thin = np.exp(-0.02 * (warmth - 32.0))
    drag = (np.ones(scene.rows), 1.0 + 1.2 * bad["friction_2_grows"], np.ones(scene.rows))
    found = []
    for axis in range(3):
        way = np.tanh(motion.speed[:, axis] / 2.0)
        rubs = arm.friction_a * thin * drag[axis] * way * (1.0 + 0.012 * np.abs(motion.speed[:, axis]))
        weighs = arm.gravity_a[axis] * (1.0 + 0.16 * carried) * (reach[axis - 1] if axis else 0.0)
        moves = arm.inertia_a[axis] * (1.0 + 0.08 * carried) * motion.push[:, axis]
        found.append((rubs + weighs + moves) * on)
    return found


def _physics(scene: Scene) -> Mapping[str, Floats]:
    rng, rows, dt_s, bad, on = scene.streams.process, scene.rows, scene.dt_s, scene.severity, scene.run
    arm, air = _draw(scene.streams.machine), hall(scene)
    override_rng, cycle_rng = rng.spawn(2)
    override = _override(scene, override_rng)
    steps = _steps(scene, cycle_rng, override)
    motion = _motion(steps, np.arange(rows, dtype=np.float64) * dt_s)
    number, program = steps.number[motion.at], steps.program[motion.at].astype(int)
    weight = np.array([one.payload_kg for one in _PROGRAMS.values()])[program]
    carried = steps.held[motion.at] * weight * (1.0 + 0.5 * bad["payload_wrong"])
    rubbed = np.abs(motion.speed[:, 1]) / _USUAL_DEG_S  # by way and not by time: a slow move warms no more
    heat = arm.gear_k * (0.3 * on + rubbed * (1.0 + bad["friction_2_grows"]))
    warmth = air + lag(heat, tau_s=1500.0, dt_s=dt_s)
    currents = _currents(arm, scene, motion, carried=carried, warmth=warmth)
    touched = bad["collision"] * (number == _COLLISION_STEP) * np.abs(np.tanh(motion.speed[:, 0] / 2.0))
    currents[0] = currents[0] + 4.0 * touched * np.sign(motion.speed[:, 0])
    currents[2] = currents[2] * (1.0 + 0.6 * bad["motor_3_weak"])
    shown: dict[str, Floats] = {"power_kw": 0.2 * on + 0.12 * np.abs(np.stack(currents)).sum(axis=0)}
    for axis, current in enumerate(currents, start=1):
        slips = 1.0 + (2.5 * bad["belt_1_slips"] if axis == 1 else 0.0)
        lags = arm.error_mdeg * motion.speed[:, axis - 1] / 10.0 * slips
        shown[f"following_error_{axis}"] = lags * varied(rng, rows, by=0.05, tau_s=2.0, dt_s=dt_s)
        shown[f"current_{axis}"] = current * varied(rng, rows, by=0.015, tau_s=2.0, dt_s=dt_s)
        shown[f"position_{axis}"] = motion.q[:, axis - 1] + (3.0 * bad["encoder_3_off"] if axis == 3 else 0.0)
    return shown | {
        "step": number,
        "program": program + 1.0,
        "payload": weight,
        "speed_override": override,
        "gear_temperature_2": warmth,
    }


ARM = Kind(
    name="arm",
    channels=_CHANNELS,
    faults=_FAULTS,
    modes=tuple(_PROGRAMS),
    dwell_s=(900.0, 3600.0),
    physics=_physics,
    step_s=1.0,
    wears=("friction_2_grows",),
)
