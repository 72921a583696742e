"""A machining centre: spindle, one feed axis, coolant. One machine, cycle by cycle; no geometry of the cut.

Cutting force grows with feed and with the wear of the tool (Kienzle's law with a wear factor); tools wear over some
tens of parts and are changed, which is no fault. Speeds in rpm, feed in mm/min, loads in percent of rated.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.dynamics import bursts, hall, lag, per_mode, roughness, spread, varied, wander
from simulator.records import Channel, Fault, Floats, Kind, Scene

_CHANNELS = (
    Channel("spindle_speed", "rpm", 4.0, 1.0),
    Channel("spindle_load", "%", 0.4, 0.1),
    Channel("feed_rate", "mm/min", 3.0, 1.0),
    Channel("axis_current", "A", 0.06, 0.01),
    Channel("following_error", "um", 0.3, 0.1),
    Channel("spindle_temperature", "degC", 0.08, 0.1),
    Channel("axis_temperature", "degC", 0.08, 0.1),
    Channel("vibration", "mm/s", 0.03, 0.01),
    Channel("coolant_pressure", "bar", 0.04, 0.01),
    Channel("coolant_temperature", "degC", 0.08, 0.1),
    Channel("hydraulic_pressure", "bar", 0.3, 0.1),
    Channel("door_closed", "1", 0.0, 1.0, "state"),
)
_FAULTS = (
    Fault("tool_chipped", ("vibration",), "the edge is broken: it rubs and chatters"),
    Fault("spindle_bearing_wear", ("spindle_temperature", "vibration"), "the spindle runs rough and hot"),
    Fault("ball_screw_wear", ("following_error",), "play in the screw: the axis lags and jerks"),
    Fault("guideway_dry", ("axis_temperature", "axis_current"), "no lubricant: the slide rubs"),
    Fault("coolant_pump_failure", ("coolant_pressure",), "the pump draws air: little pressure at the nozzle"),
    Fault("coolant_chiller_failure", ("coolant_temperature",), "the coolant is not cooled any more"),
    Fault(
        "clamp_leak",
        ("hydraulic_pressure",),
        "the clamping circuit loses oil: pressure sags and is pumped up",
    ),
)
_PHASES = ("loading", "rapid", "roughing", "tool_change", "finishing")
_TOOL_PARTS = 40.0


@dataclass(frozen=True, slots=True)
class _Cnc:
    """Constants of one machine and the part that it makes."""

    rough_rpm: float
    finish_rpm: float
    rough_feed: float
    finish_feed: float
    force: float  # percent of spindle load while roughing
    friction_a: float
    lag_um: float  # following error at 1000 mm/min
    spindle_k: float
    axis_k: float
    roughness: float
    coolant_bar: float
    clamp_bar: float


def _draw(rng: np.random.Generator) -> _Cnc:
    return _Cnc(
        rough_rpm=spread(rng, 4200.0, 0.2),
        finish_rpm=spread(rng, 7800.0, 0.15),
        rough_feed=spread(rng, 950.0, 0.2),
        finish_feed=spread(rng, 620.0, 0.2),
        force=spread(rng, 46.0, 0.2),
        friction_a=spread(rng, 1.7, 0.15),
        lag_um=spread(rng, 13.0, 0.2),
        spindle_k=spread(rng, 17.0, 0.15),
        axis_k=spread(rng, 7.0, 0.2),
        roughness=spread(rng, 0.9, 0.25),
        coolant_bar=spread(rng, 21.0, 0.12),
        clamp_bar=spread(rng, 62.0, 0.08),
    )


def _blunt(mode: Floats, rng: np.random.Generator) -> Floats:
    """How blunt the tool is, 0..1 [R]: a little more with each part, new after some tens."""
    parts = np.cumsum(np.diff(mode, prepend=mode[:1]) < 0.0)
    return (parts / (_TOOL_PARTS * rng.uniform(0.7, 1.4)) + rng.uniform()) % 1.0


def _physics(scene: Scene) -> Mapping[str, Floats]:
    rng, rows, dt_s, bad, on = scene.streams.process, scene.rows, scene.dt_s, scene.severity, scene.run
    machine, air, mode = _draw(scene.streams.machine), hall(scene), scene.mode
    blunt = _blunt(mode.astype(np.float64), scene.streams.machine)
    cutting = per_mode(mode, (0.0, 0.0, 1.0, 0.0, 0.35)) * scene.demand
    speed = per_mode(mode, (0.0, 0.4 * machine.rough_rpm, machine.rough_rpm, 0.0, machine.finish_rpm))
    speed = lag(speed, tau_s=1.2, dt_s=dt_s) * varied(rng, rows, by=0.001, tau_s=3.0, dt_s=dt_s)
    feed = per_mode(mode, (0.0, 4200.0, machine.rough_feed, 1500.0, machine.finish_feed)) * scene.demand
    feed = lag(feed, tau_s=0.8, dt_s=dt_s) * varied(rng, rows, by=0.006, tau_s=5.0, dt_s=dt_s)
    chipped = bad["tool_chipped"]
    force = cutting * (0.9 + 0.22 * blunt + 0.16 * chipped) * varied(rng, rows, by=0.04, tau_s=4.0, dt_s=dt_s)
    turning = speed / machine.finish_rpm
    load = machine.force * lag(force, tau_s=1.0, dt_s=dt_s) + 6.0 * turning * (
        1.0 + 0.3 * bad["spindle_bearing_wear"]
    )
    dry, play = bad["guideway_dry"], bad["ball_screw_wear"]
    moving = feed / 1000.0
    current = machine.friction_a * np.sqrt(moving) * (1.0 + 0.65 * dry) + 1.5 * force
    jerk = 1.0 + play * (0.7 + 0.5 * bursts(rng, rows, tau_s=3.0, dt_s=dt_s))
    error = (
        machine.lag_um * np.sqrt(moving) * jerk
        + 1.2 * force
        + 0.8 * np.abs(wander(rng, rows, tau_s=2.0, dt_s=dt_s))
    )
    knock = bad["spindle_bearing_wear"] * turning * (0.8 + 0.3 * bursts(rng, rows, tau_s=8.0, dt_s=dt_s))
    chatter = chipped * force * (1.8 + 0.9 * bursts(rng, rows, tau_s=3.0, dt_s=dt_s))
    rough = machine.roughness * (
        0.25 * on + 0.7 * turning + force * (0.5 + 0.35 * blunt) + 1.2 * knock + chatter
    )
    spindle = machine.spindle_k * turning * (1.0 + 0.9 * bad["spindle_bearing_wear"]) + 0.06 * load
    sprayed = lag(np.where(cutting > 0.0, 1.0, 0.05), tau_s=2.0, dt_s=dt_s) * on
    airy = bad["coolant_pump_failure"] * (0.5 + 0.06 * wander(rng, rows, tau_s=4.0, dt_s=dt_s))
    tank = lag(2.0 * on + 0.05 * load + 9.0 * on * bad["coolant_chiller_failure"], tau_s=2400.0, dt_s=dt_s)
    sag = bad["clamp_leak"] * (9.0 + 3.0 * wander(rng, rows, tau_s=30.0, dt_s=dt_s))
    clamp = machine.clamp_bar + 0.9 * wander(rng, rows, tau_s=60.0, dt_s=dt_s) - 3.0 * (mode == 0) - sag
    return {
        "spindle_speed": speed,
        "spindle_load": load,
        "feed_rate": feed,
        "axis_current": current,
        "following_error": error * np.minimum(moving * 10.0, 1.0),
        "spindle_temperature": lag(air + spindle, tau_s=900.0, dt_s=dt_s),
        "axis_temperature": lag(air + machine.axis_k * np.square(current / 3.0), tau_s=1500.0, dt_s=dt_s),
        "vibration": 0.03 + rough * roughness(rng, rows, dt_s=dt_s),
        "coolant_pressure": machine.coolant_bar * sprayed * (1.0 - airy),
        "coolant_temperature": air + 1.5 + tank,
        "hydraulic_pressure": lag(clamp * on, tau_s=3.0, dt_s=dt_s),
        "door_closed": np.where((mode > 0) & (on > 0.0), 1.0, 0.0),
        "power_kw": 0.18 * load + 0.25 * current + 2.4 * on,
    }


CNC = Kind(
    name="cnc",
    channels=_CHANNELS,
    faults=_FAULTS,
    modes=_PHASES,
    dwell_s=(4.0, 90.0),
    physics=_physics,
    cycle_s=((15.0, 35.0), (4.0, 7.0), (45.0, 55.0), (5.0, 8.0), (30.0, 38.0)),
    wears=("guideway_dry",),
)
