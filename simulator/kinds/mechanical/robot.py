"""Three axes of a robot that tends a press: it waits, reaches in, grips, carries, lays down, returns. No path planning.

Torque of an axis is gravity, acceleration and friction of its gear; friction falls as the grease warms. Currents in A,
temperatures in degC, following errors in mdeg; each row is the root mean square since the last.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.dynamics import bursts, hall, lag, per_mode, roughness, spread, varied, wander
from simulator.records import Channel, Fault, Floats, Kind, Scene

_CHANNELS = (
    Channel("current_1", "A", 0.05, 0.01),
    Channel("current_2", "A", 0.06, 0.01),
    Channel("current_3", "A", 0.05, 0.01),
    Channel("following_error_1", "mdeg", 0.25, 0.1),
    Channel("following_error_2", "mdeg", 0.25, 0.1),
    Channel("following_error_3", "mdeg", 0.25, 0.1),
    Channel("gear_temperature_1", "degC", 0.08, 0.1),
    Channel("gear_temperature_2", "degC", 0.08, 0.1),
    Channel("gear_temperature_3", "degC", 0.08, 0.1),
    Channel("balancer_pressure", "bar", 0.25, 0.1),
    Channel("vacuum", "mbar", 3.0, 1.0),
    Channel("vibration", "mm/s", 0.03, 0.01),
    Channel("gripped", "1", 0.0, 1.0, "state"),
)
_FAULTS = (
    Fault(
        "gear_1_wear", ("following_error_1", "vibration"), "play in the gear of axis 1: it lags and rattles"
    ),
    Fault("gear_2_dry", ("gear_temperature_2", "current_2"), "old grease in axis 2: friction and heat"),
    Fault("brake_3_drags", ("current_3", "gear_temperature_3"), "the brake of axis 3 does not open fully"),
    Fault(
        "balancer_leak", ("balancer_pressure",), "the balancer of axis 2 loses gas: the motor carries more"
    ),
    Fault("vacuum_leak", ("vacuum",), "a worn cup: little vacuum in the gripper"),
    Fault("belt_3_loose", ("following_error_3",), "the toothed belt of axis 3 is loose: it rings"),
)
_PHASES = ("waiting", "reaching", "gripping", "carrying", "laying_down", "returning")


@dataclass(frozen=True, slots=True)
class _Axis:
    """Constants of one axis."""

    gravity_a: float
    motion_a: float
    friction_a: float
    error_mdeg: float
    gear_k: float
    shares: tuple[float, ...]  # how much it moves in each phase


@dataclass(frozen=True, slots=True)
class _Robot:
    """Constants of one robot and its task."""

    axes: tuple[_Axis, _Axis, _Axis]
    payload: float
    balancer_bar: float
    vacuum_mbar: float
    roughness: float


def _axis(rng: np.random.Generator, *, gravity_a: float, motion_a: float, gear_k: float) -> _Axis:
    moves = (
        0.0,
        *(
            float(rng.uniform(*bounds))
            for bounds in ((0.4, 1.0), (0.03, 0.12), (0.5, 1.0), (0.03, 0.12), (0.5, 1.0))
        ),
    )
    return _Axis(
        gravity_a=spread(rng, gravity_a, 0.15),
        motion_a=spread(rng, motion_a, 0.15),
        friction_a=spread(rng, 1.1, 0.2),
        error_mdeg=spread(rng, 22.0, 0.2),
        gear_k=spread(rng, gear_k, 0.15),
        shares=moves,
    )


def _draw(rng: np.random.Generator) -> _Robot:
    return _Robot(
        axes=(
            _axis(rng, gravity_a=0.1, motion_a=6.5, gear_k=16.0),
            _axis(rng, gravity_a=3.2, motion_a=5.5, gear_k=19.0),
            _axis(rng, gravity_a=2.1, motion_a=4.0, gear_k=15.0),
        ),
        payload=spread(rng, 1.0, 0.2),
        balancer_bar=spread(rng, 84.0, 0.08),
        vacuum_mbar=spread(rng, 620.0, 0.06),
        roughness=spread(rng, 1.0, 0.25),
    )


@dataclass(frozen=True, slots=True)
class _Strain:
    """What is wrong with one axis, each [R]."""

    friction: Floats  # times its own
    play: Floats  # times its following error
    load: Floats  # times the weight that it carries


def _move(
    axis: _Axis, scene: Scene, *, strain: _Strain, carried: Floats, air: Floats
) -> tuple[Floats, Floats, Floats]:
    """Current in A, following error in mdeg and gear temperature in degC of one axis, each [R]."""
    rng, rows, dt_s, on = scene.streams.process, scene.rows, scene.dt_s, scene.run
    moving = lag(per_mode(scene.mode, axis.shares) * scene.demand, tau_s=0.6, dt_s=dt_s)
    moving = moving * varied(rng, rows, by=0.03, tau_s=2.0, dt_s=dt_s)
    # Grease thins by some percent a kelvin: a cold start draws more.
    warmth = lag(axis.gear_k * moving, tau_s=1500.0, dt_s=dt_s)
    friction = axis.friction_a * np.exp(-0.015 * (warmth + air - 35.0)) * strain.friction
    still = axis.gravity_a * (1.0 + 0.25 * carried) * strain.load * on
    accelerating = axis.motion_a * moving * (1.0 + 0.3 * carried)
    current = np.hypot(still, accelerating) + friction * np.sqrt(np.maximum(moving, 0.0))
    error = axis.error_mdeg * moving * (1.0 + 0.15 * carried) * strain.play
    rise = axis.gear_k * moving * (0.75 + 0.25 * strain.friction) + 0.35 * current
    return current, error, lag(air + rise + 4.0 * on, tau_s=1500.0, dt_s=dt_s)


def _physics(scene: Scene) -> Mapping[str, Floats]:
    rng, rows, dt_s, bad, on = scene.streams.process, scene.rows, scene.dt_s, scene.severity, scene.run
    robot, air, mode = _draw(scene.streams.machine), hall(scene), scene.mode
    gripped = ((mode == 2) | (mode == 3)) & (on > 0.0)
    carried = robot.payload * lag(gripped.astype(np.float64), tau_s=0.5, dt_s=dt_s)
    one, even = bad["gear_1_wear"], np.ones(rows)
    rattle = 1.0 + one * (0.6 + 0.4 * bursts(rng, rows, tau_s=3.0, dt_s=dt_s))
    ringing = 1.0 + bad["belt_3_loose"] * (0.8 + 0.5 * bursts(rng, rows, tau_s=3.0, dt_s=dt_s))
    strains = (
        _Strain(1.0 + 0.1 * one, rattle, even),
        _Strain(1.0 + 1.6 * bad["gear_2_dry"], even, 1.0 + 0.35 * bad["balancer_leak"]),
        _Strain(1.0 + 1.7 * bad["brake_3_drags"], ringing, even),
    )
    shown: dict[str, Floats] = {}
    for number, (axis, strain) in enumerate(zip(robot.axes, strains, strict=True), start=1):
        current, error, gear = _move(axis, scene, strain=strain, carried=carried, air=air)
        shown |= {
            f"current_{number}": current,
            f"following_error_{number}": error,
            f"gear_temperature_{number}": gear,
        }
    moving = shown["following_error_1"] / robot.axes[0].error_mdeg
    gas = robot.balancer_bar * (1.0 - 0.24 * bad["balancer_leak"]) * (1.0 + 0.003 * (air - 20.0))
    held = robot.vacuum_mbar * (
        1.0 - 0.3 * bad["vacuum_leak"] * varied(rng, rows, by=0.15, tau_s=3.0, dt_s=dt_s)
    )
    held = held * varied(rng, rows, by=0.015, tau_s=200.0, dt_s=dt_s)
    rough = robot.roughness * (0.1 * on + moving * (0.9 + 0.8 * one)) * roughness(rng, rows, dt_s=dt_s)
    total = shown["current_1"] + shown["current_2"] + shown["current_3"]
    return shown | {
        "balancer_pressure": gas + 1.5 * moving + 0.4 * wander(rng, rows, tau_s=300.0, dt_s=dt_s),
        "vacuum": held * lag(gripped.astype(np.float64), tau_s=0.7, dt_s=dt_s),
        "vibration": 0.04 + rough,
        "gripped": gripped.astype(np.float64),
        "power_kw": 0.3 * total + 0.6 * on,
    }


ROBOT = Kind(
    name="robot",
    channels=_CHANNELS,
    faults=_FAULTS,
    modes=_PHASES,
    dwell_s=(3.0, 25.0),
    physics=_physics,
    cycle_s=((6.0, 25.0), (4.0, 6.0), (3.0, 4.0), (6.0, 9.0), (3.0, 4.0), (4.0, 6.0)),
    wears=("gear_2_dry",),
)
