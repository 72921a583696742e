"""A belt conveyor that lifts bulk material, driven through a gearbox. One machine; no dynamics of the belt itself.

Pull on the belt by DIN 22101: friction of belt, rollers and load, plus the lift. The gearbox and the drum's bearing are
heated by what they lose. Speeds in m/s, pull in kN, mass flow in t/h, temperatures in degC.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.dynamics import bursts, hall, lag, per_mode, roughness, spread, varied, wander
from simulator.records import Channel, Fault, Floats, Kind, Scene

_CHANNELS = (
    Channel("belt_speed", "m/s", 0.004, 0.001),
    Channel("drive_speed", "m/s", 0.003, 0.001),
    Channel("belt_load", "kg/m", 0.3, 0.1),
    Channel("throughput", "t/h", 1.0, 0.5),
    Channel("motor_current", "A", 0.25, 0.1),
    Channel("gearbox_temperature", "degC", 0.1, 0.1),
    Channel("drum_temperature", "degC", 0.1, 0.1),
    Channel("gearbox_vibration", "mm/s", 0.03, 0.01),
    Channel("belt_tension", "kN", 0.06, 0.01),
    Channel("belt_drift", "mm", 0.5, 0.5),
)
_FAULTS = (
    Fault("belt_slip", ("belt_speed",), "the drum slips under the belt: it lags behind the drive"),
    Fault("gearbox_wear", ("gearbox_vibration", "gearbox_temperature"), "pitted teeth: rough and hot"),
    Fault(
        "rollers_seized",
        ("motor_current", "belt_tension"),
        "rollers stand still: the belt is dragged over them",
    ),
    Fault("belt_misaligned", ("belt_drift",), "the belt runs to one side, and weaves"),
    Fault("drum_bearing_wear", ("drum_temperature",), "the tail drum's bearing runs dry"),
    Fault("take_up_stuck", ("belt_tension",), "the weight that tightens the belt hangs: it is slack"),
    Fault("scale_drift", ("belt_load", "throughput"), "the belt scale reads too much; nothing else moves"),
)
_GRAVITY = 9.81


@dataclass(frozen=True, slots=True)
class _Conveyor:
    """Constants of one conveyor."""

    length_m: float
    lift_m: float
    belt_kg_m: float  # belt and rollers
    friction: float
    rated_t_h: float
    idle_kw: float
    no_load_a: float
    pretension_kn: float
    gear_k_kw: float  # warmth of the gearbox, K per kW of power
    drum_k: float
    roughness: float
    offset_mm: float


def _draw(rng: np.random.Generator) -> _Conveyor:
    return _Conveyor(
        length_m=spread(rng, 180.0, 0.3),
        lift_m=spread(rng, 14.0, 0.3),
        belt_kg_m=spread(rng, 38.0, 0.15),
        friction=spread(rng, 0.024, 0.15),
        rated_t_h=spread(rng, 420.0, 0.2),
        idle_kw=spread(rng, 1.6, 0.3),
        no_load_a=spread(rng, 18.0),
        pretension_kn=spread(rng, 11.0, 0.15),
        gear_k_kw=spread(rng, 1.1, 0.15),
        drum_k=spread(rng, 13.0, 0.2),
        roughness=spread(rng, 1.4, 0.25),
        offset_mm=float(rng.uniform(-15.0, 15.0)),
    )


def _feed(scene: Scene, rated_t_h: float) -> Floats:
    """Mass flow that is put on the belt, t/h [R]: by mode, unsteady, now and then nothing."""
    rng, rows, dt_s = scene.streams.process, scene.rows, scene.dt_s
    level = per_mode(scene.mode, (0.35, 0.65, 0.9)) * scene.demand * scene.run
    gap = wander(rng, rows, tau_s=90.0, dt_s=dt_s) > 2.0  # the bunker bridges
    level = lag(np.where(gap, 0.1, 1.0) * level, tau_s=12.0, dt_s=dt_s)
    unsteady = varied(rng, rows, by=0.05, tau_s=15.0, dt_s=dt_s) * varied(
        rng, rows, by=0.04, tau_s=400.0, dt_s=dt_s
    )
    return rated_t_h * level * np.maximum(unsteady, 0.0)


def _physics(scene: Scene) -> Mapping[str, Floats]:
    rng, rows, dt_s, bad, on = scene.streams.process, scene.rows, scene.dt_s, scene.severity, scene.run
    machine, air = _draw(scene.streams.machine), hall(scene)
    drive = lag(per_mode(scene.mode, (1.1, 1.6, 2.0)) * on, tau_s=7.0, dt_s=dt_s)
    drive = drive * varied(rng, rows, by=0.002, tau_s=5.0, dt_s=dt_s)
    feed = _feed(scene, machine.rated_t_h)
    slipping = bad["belt_slip"] * (0.13 + 0.04 * bursts(rng, rows, tau_s=8.0, dt_s=dt_s))
    belt = drive * (1.0 - 0.008 - np.minimum(slipping, 0.5))
    load = lag(feed / (3.6 * np.maximum(belt, 0.3)), tau_s=25.0, dt_s=dt_s)
    drag = 1.0 + 0.75 * bad["rollers_seized"]
    # Rollers run stiff while they are cold.
    friction = machine.friction * drag * (1.0 + 0.006 * (20.0 - air))
    mass = machine.length_m * (machine.belt_kg_m + load)
    pull_kn = (friction * mass + machine.lift_m * load) * _GRAVITY / 1000.0 * np.minimum(belt, 1.0)
    power = pull_kn * drive / 0.9 + machine.idle_kw * drive
    current = np.hypot(
        machine.no_load_a * on, 1.9 * power * varied(rng, rows, by=0.01, tau_s=10.0, dt_s=dt_s)
    )
    pitted = bad["gearbox_wear"] * (0.9 + 0.35 * bursts(rng, rows, tau_s=6.0, dt_s=dt_s))
    share = power / (power + 8.0)
    rough = (
        machine.roughness * np.square(drive / 2.0) * (0.4 + share + pitted) * roughness(rng, rows, dt_s=dt_s)
    )
    gear = machine.gear_k_kw * power * (1.0 + 0.55 * bad["gearbox_wear"]) + 6.0 * drive
    drum = machine.drum_k * drive / 2.0 * (0.6 + 0.03 * pull_kn) + 19.0 * on * bad["drum_bearing_wear"]
    weave = 4.0 * wander(rng, rows, tau_s=60.0, dt_s=dt_s) + 2.5 * wander(rng, rows, tau_s=1500.0, dt_s=dt_s)
    aside = bad["belt_misaligned"] * (38.0 + 9.0 * wander(rng, rows, tau_s=12.0, dt_s=dt_s))
    slack = 1.0 - 0.45 * bad["take_up_stuck"]
    weighed = load * (1.0 + 0.22 * bad["scale_drift"])
    return {
        "belt_speed": belt,
        "drive_speed": drive,
        "belt_load": weighed,
        "throughput": 3.6 * weighed * belt,
        "motor_current": current,
        "gearbox_temperature": lag(air + gear, tau_s=1200.0, dt_s=dt_s),
        "drum_temperature": lag(air + drum, tau_s=600.0, dt_s=dt_s),
        "gearbox_vibration": 0.04 + rough,
        "belt_tension": machine.pretension_kn * slack + 0.5 * pull_kn,
        "belt_drift": machine.offset_mm + (weave + aside) * np.minimum(drive, 1.0),
        "power_kw": power + 0.3 * on,
    }


CONVEYOR = Kind(
    name="conveyor",
    channels=_CHANNELS,
    faults=_FAULTS,
    modes=("slow", "normal", "fast"),
    dwell_s=(300.0, 1800.0),
    physics=_physics,
    wears=("rollers_seized",),
)
