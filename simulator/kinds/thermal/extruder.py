"""A plastics extruder: four heated zones, a screw, a screen before the die that clogs and is changed. One machine.

Output follows screw speed less what the die's pressure pushes back; pressure falls with melt temperature (an Arrhenius
viscosity, linearised); most heat comes from the screw, zones trim it. Temperatures in degC, pressures in bar.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.dynamics import (
    bursts,
    hall,
    idle_s,
    lag,
    per_mode,
    roughness,
    settling,
    spread,
    varied,
    wander,
)
from simulator.records import Bools, Channel, Fault, Floats, Kind, Scene

_ZONES = 4
_CHANNELS = (
    *(Channel(f"zone{number}_temperature", "degC", 0.15, 0.1) for number in range(1, _ZONES + 1)),
    *(Channel(f"zone{number}_heater", "%", 0.4, 0.1) for number in range(1, _ZONES + 1)),
    Channel("screw_speed", "rpm", 0.1, 0.1),
    Channel("motor_current", "A", 0.5, 0.1),
    Channel("melt_pressure", "bar", 0.4, 0.1),
    Channel("melt_temperature", "degC", 0.15, 0.1),
    Channel("output", "kg/h", 0.8, 0.5),
    Channel("gearbox_vibration", "mm/s", 0.03, 0.01),
)
_FAULTS = (
    Fault("heater_band_failed", ("zone2_heater",), "half of zone 2's bands are dead: the rest works harder"),
    Fault(
        "thermocouple_loose",
        (
            "melt_temperature",
            "motor_current",
            "melt_pressure",
        ),
        "zone 3 reads low: the melt is overheated and thin",
    ),
    Fault("screw_worn", ("output",), "the gap at the barrel is wide: less output at the same speed"),
    Fault(
        "feed_bridging",
        ("output", "motor_current", "melt_pressure"),
        "granules bridge in the hopper: it starves",
    ),
    Fault("screen_torn", ("melt_pressure",), "the screen is torn: no pressure before it"),
    Fault("thrust_bearing_wear", ("gearbox_vibration",), "the thrust bearing is rough"),
)
_COOLS_S = 5400.0
_STANDBY_AFTER_S = 1800.0
_READY_K = 20.0


@dataclass(frozen=True, slots=True)
class _Extruder:
    """Constants of one extruder."""

    targets_degc: tuple[float, ...]
    loss_share: tuple[float, ...]  # heater output that holds a zone at rest
    output_kg: float  # per rpm
    pressure_bar: float  # at rated output, clean screen
    rated_a: float
    screen_s: float  # time until the screen is changed
    screen_bar: float  # what it loses by then
    roughness: float


def _draw(rng: np.random.Generator) -> _Extruder:
    base = spread(rng, 188.0, 0.08)
    return _Extruder(
        targets_degc=tuple(base + step for step in (-18.0, -6.0, 0.0, 4.0)),
        loss_share=tuple(spread(rng, share, 0.15) for share in (0.52, 0.4, 0.34, 0.36)),
        output_kg=spread(rng, 2.3, 0.12),
        pressure_bar=spread(rng, 118.0, 0.15),
        rated_a=spread(rng, 96.0, 0.12),
        screen_s=spread(rng, 5.0, 0.4) * 3600.0,
        screen_bar=spread(rng, 16.0, 0.3),
        roughness=spread(rng, 1.0, 0.25),
    )


@dataclass(frozen=True, slots=True)
class _Barrel:
    """The heated zones, one float64 [R] each, and whether they are at rest."""

    bodies: tuple[Floats, ...]  # degC, as read
    goals: tuple[Floats, ...]
    rests: Bools
    misread: Floats  # what zone 3 is warmer than it reads, K


def _barrel(machine: _Extruder, scene: Scene, air: Floats) -> _Barrel:
    """Zones in closed loop: warm within half an hour, cold in a night."""
    rng, rows, dt_s = scene.streams.process, scene.rows, scene.dt_s
    rests = idle_s(scene.run, dt_s=dt_s) > _STANDBY_AFTER_S
    shift = per_mode(scene.mode, (-4.0, 0.0, 6.0)) + 12.0 * (lag(scene.demand, tau_s=300.0, dt_s=dt_s) - 1.0)
    loose = scene.severity["thermocouple_loose"] * (9.0 + 1.2 * wander(rng, rows, tau_s=9.0, dt_s=dt_s))
    goals = tuple(np.where(rests, air, target + shift) for target in machine.targets_degc)
    bodies = tuple(
        settling(goal, np.where(rests, _COOLS_S, 400.0), dt_s=dt_s)
        + 0.25 * wander(rng, rows, tau_s=60.0, dt_s=dt_s)
        for goal in goals
    )
    return _Barrel(bodies, goals, rests, loose)


def _heaters(
    machine: _Extruder, scene: Scene, barrel: _Barrel, *, turning: Floats, air: Floats
) -> list[Floats]:
    """Output of each zone's heater, 0..1 [R]: what walls and granules take, less what the screw gives."""
    rng, rows, dt_s = scene.streams.process, scene.rows, scene.dt_s
    outputs = []
    for zone, share in enumerate(machine.loss_share):
        target, body = machine.targets_degc[zone], barrel.bodies[zone]
        hotter = barrel.misread if zone == 2 else 0.0
        need = share * ((body + hotter - air) / target - 0.3 * turning) + 0.02 * (barrel.goals[zone] - body)
        need = need * varied(rng, rows, by=0.015, tau_s=30.0, dt_s=dt_s)
        alive = 1.0 - 0.5 * scene.severity["heater_band_failed"] if zone == 1 else 1.0
        outputs.append(np.where(barrel.rests, 0.0, np.clip(need / alive, 0.0, 1.0)))
    return outputs


def _screen(machine: _Extruder, scene: Scene) -> Floats:
    """How clogged the screen is, 0..1 [R]: as long as it has been used; then it is changed."""
    used_s = np.cumsum(scene.run) * scene.dt_s + scene.streams.machine.uniform(0.0, machine.screen_s)
    return np.asarray(used_s / machine.screen_s % 1.0, dtype=np.float64)


def _physics(scene: Scene) -> Mapping[str, Floats]:
    rng, rows, dt_s, bad, on = scene.streams.process, scene.rows, scene.dt_s, scene.severity, scene.run
    machine, air = _draw(scene.streams.machine), hall(scene)
    barrel = _barrel(machine, scene, air)
    body, loose = barrel.bodies[3], barrel.misread
    ready = body > machine.targets_degc[3] - _READY_K  # nobody turns a screw in cold plastics
    speed = lag(per_mode(scene.mode, (45.0, 62.0, 80.0)) * scene.demand * on * ready, tau_s=15.0, dt_s=dt_s)
    speed = speed * varied(rng, rows, by=0.002, tau_s=5.0, dt_s=dt_s)
    turning = speed / 62.0
    heaters = _heaters(machine, scene, barrel, turning=turning, air=air)
    melt = body + 5.0 * np.square(turning) + 0.9 * loose + 0.3 * wander(rng, rows, tau_s=120.0, dt_s=dt_s)
    starving = bad["feed_bridging"] * np.minimum(0.3 + 0.25 * bursts(rng, rows, tau_s=15.0, dt_s=dt_s), 0.9)
    filled = lag(1.0 - starving, tau_s=10.0, dt_s=dt_s) * varied(rng, rows, by=0.01, tau_s=20.0, dt_s=dt_s)
    thin = np.exp(-0.012 * (melt - machine.targets_degc[3] - 5.0))
    clog = machine.screen_bar * (_screen(machine, scene) - 1.6 * bad["screen_torn"])
    flow = turning * filled * (1.0 - 0.2 * bad["screw_worn"])
    pressure = (
        machine.pressure_bar * np.power(np.maximum(flow, 0.0), 0.6) * thin + clog * flow
    ) * np.minimum(flow * 5.0, 1.0)
    squeezed = 0.04 * (pressure / machine.pressure_bar - 1.0) * np.minimum(flow * 5.0, 1.0)
    output = machine.output_kg * 62.0 * np.maximum(flow - squeezed, 0.0)
    torque = (0.35 + 0.65 * filled) * (0.75 + 0.25 * pressure / machine.pressure_bar) * thin
    current = machine.rated_a * torque * np.minimum(turning * 4.0, 1.0) * (0.9 + 0.1 * turning)
    worn = bad["thrust_bearing_wear"] * (0.8 + 0.3 * bursts(rng, rows, tau_s=9.0, dt_s=dt_s))
    rough = machine.roughness * turning * (0.6 + 0.3 * pressure / machine.pressure_bar + worn)
    zones = {f"zone{number}_temperature": body for number, body in enumerate(barrel.bodies, start=1)}
    zones |= {f"zone{number}_heater": 100.0 * output for number, output in enumerate(heaters, start=1)}
    return zones | {
        "screw_speed": speed,
        "motor_current": current,
        "melt_pressure": lag(pressure, tau_s=3.0, dt_s=dt_s),
        "melt_temperature": lag(melt, tau_s=20.0, dt_s=dt_s),
        "output": lag(output, tau_s=8.0, dt_s=dt_s),
        "gearbox_vibration": 0.04 + rough * roughness(rng, rows, dt_s=dt_s),
        "power_kw": 0.45 * current * turning + 6.0 * np.sum(heaters, axis=0) + 0.5 * on,
    }


EXTRUDER = Kind(
    name="extruder",
    channels=_CHANNELS,
    faults=_FAULTS,
    modes=("slow_product", "normal_product", "fast_product"),
    dwell_s=(900.0, 5400.0),
    physics=_physics,
    wears=("screw_worn",),
)
