"""Three tanks one above the other: a pump fills the first, each drains into the next, a controller holds the last.

Mass balance of each tank with Torricelli's outflow, q = a sqrt(2 g h), as in the quadruple-tank process (Johansson,
IEEE Trans. Control Systems Technology 8, 2000). Levels in m, flows in l/s; conductivity in mS/cm from a dosed salt.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.dynamics import (
    bursts,
    clamp_of,
    gain_of,
    hall,
    lag,
    per_mode,
    roughness,
    spread,
    varied,
    wander,
)
from simulator.records import Channel, Fault, Floats, Kind, Scene

_CHANNELS = (
    Channel("level_1", "m", 0.002, 0.001),
    Channel("level_2", "m", 0.002, 0.001),
    Channel("level_3", "m", 0.002, 0.001),
    Channel("inlet_flow", "l/s", 0.01, 0.01),
    Channel("outlet_flow", "l/s", 0.01, 0.01),
    Channel("pump_speed", "%", 0.1, 0.1),
    Channel("pump_current", "A", 0.04, 0.01),
    Channel("pump_vibration", "mm/s", 0.03, 0.01),
    Channel("conductivity", "mS/cm", 0.008, 0.01),
    Channel("water_temperature", "degC", 0.06, 0.1),
)
_FAULTS = (
    Fault(
        "leak_in_tank_2",
        (
            "level_1",
            "pump_speed",
            "inlet_flow",
            "pump_current",
        ),
        "tank 2 leaks: less arrives in tank 3, the pump makes up for it",
    ),
    Fault("outlet_1_clogged", ("level_1",), "the pipe from tank 1 to tank 2 is narrow: tank 1 fills"),
    Fault(
        "outlet_3_clogged",
        (
            "outlet_flow",
            "level_2",
            "level_1",
            "inlet_flow",
            "pump_speed",
        ),
        "the outlet is narrow: less runs at the same level",
    ),
    Fault(
        "pump_wear",
        (
            "pump_vibration",
            "pump_current",
            "pump_speed",
        ),
        "the pump is worn: faster for the same flow, rough",
    ),
    Fault(
        "level_sensor_drift",
        (
            "outlet_flow",
            "level_2",
            "level_1",
            "inlet_flow",
            "pump_speed",
        ),
        "level 3 reads too high; tanks run low",
    ),
    Fault("dosing_failure", ("conductivity",), "the dosing pump loses its stroke: thin water"),
    Fault("inlet_meter_fouled", ("inlet_flow",), "the flow meter reads too little; nothing else moves"),
)
_GRAVITY = 9.81
_BRIM_M = 2.5


@dataclass(frozen=True, slots=True)
class _Cascade:
    """Constants of one plant."""

    area_m2: tuple[float, float, float]
    outlet_m2: tuple[float, float, float]
    pump_l_s: float
    rated_a: float
    roughness: float
    salt: float  # mS/cm
    size: float  # scales the levels


def _draw(rng: np.random.Generator) -> _Cascade:
    return _Cascade(
        area_m2=(spread(rng, 0.10, 0.15), spread(rng, 0.12, 0.15), spread(rng, 0.14, 0.15)),
        outlet_m2=(spread(rng, 6.5e-4, 0.1), spread(rng, 6.2e-4, 0.1), spread(rng, 6.0e-4, 0.1)),
        pump_l_s=spread(rng, 4.6, 0.06),
        rated_a=spread(rng, 9.0, 0.1),
        roughness=spread(rng, 1.1, 0.25),
        salt=spread(rng, 2.1, 0.15),
        size=spread(rng, 1.0, 0.08),
    )


@dataclass(frozen=True, slots=True)
class _Water:
    """What works on the tanks, row by row, each [R]."""

    target: Floats  # level of tank 3, m
    misread: Floats  # m that its sensor adds
    pump: Floats  # l/s at full speed
    first: Floats  # share of outlet 1 that is open
    last: Floats  # share of outlet 3 that is open
    hole: Floats  # leak of tank 2, m2
    on: Floats


def _march(plant: _Cascade, water: _Water, dt_s: float) -> Floats:
    """March the tanks and the controller; returns three levels in m, inflow in l/s, speed 0..1, [5, R]."""
    unit, motor, winding = clamp_of(0.0, 1.0), gain_of(4.0, dt_s), clamp_of(-0.2, 1.0)
    area1, area2, area3 = plant.area_m2
    out1, out2, out3 = (outlet * (2.0 * _GRAVITY) ** 0.5 for outlet in plant.outlet_m2)
    full_or_empty = clamp_of(0.0, _BRIM_M)
    jet, integral_gain = (2.0 * _GRAVITY) ** 0.5, 0.0012 * dt_s
    h1 = h2 = h3 = float(water.target[0])
    speed = integral = 0.5
    rows = np.stack(
        (water.target, water.misread, water.pump, water.first, water.last, water.hole, water.on), axis=1
    )
    states = []
    for target, misread, full, first, last, hole, on in rows.tolist():
        error = target - h3 - misread
        integral = winding(integral + integral_gain * error * on)
        speed += motor * (unit(integral + 0.6 * error) * on - speed)
        inflow = full * speed
        # Tanks drain to a rest: outflow never takes more than there is.
        q1 = min(out1 * first * h1**0.5, area1 * h1 / dt_s)
        q2 = min(out2 * h2**0.5, area2 * h2 / dt_s)
        lost = min(hole * jet * h2**0.5, max(area2 * h2 / dt_s - q2, 0.0))
        q3 = min(out3 * last * h3**0.5, area3 * h3 / dt_s)
        h1 = full_or_empty(h1 + dt_s * (inflow / 1000.0 - q1) / area1)
        h2 = full_or_empty(h2 + dt_s * (q1 - q2 - lost) / area2)
        h3 = full_or_empty(h3 + dt_s * (q2 - q3) / area3)
        states.append((h1, h2, h3, inflow, speed))
    return np.asarray(states).T


def _physics(scene: Scene) -> Mapping[str, Floats]:
    rng, rows, dt_s, bad, on = scene.streams.process, scene.rows, scene.dt_s, scene.severity, scene.run
    plant, air = _draw(scene.streams.machine), hall(scene)
    target = lag(per_mode(scene.mode, (0.6, 0.8, 1.0)) * scene.demand, tau_s=60.0, dt_s=dt_s) * plant.size
    misread = 0.24 * bad["level_sensor_drift"]
    draws = varied(rng, rows, by=0.02, tau_s=120.0, dt_s=dt_s)
    last = (1.0 - 0.4 * bad["outlet_3_clogged"]) * draws
    water = _Water(
        target=target,
        misread=misread,
        pump=plant.pump_l_s
        * (1.0 - 0.24 * bad["pump_wear"])
        * varied(rng, rows, by=0.01, tau_s=20.0, dt_s=dt_s),
        first=1.0 - 0.33 * bad["outlet_1_clogged"],
        last=last,
        hole=1.9e-4 * bad["leak_in_tank_2"],
        on=on,
    )
    h1, h2, h3, inflow, speed = _march(plant, water, dt_s)
    ripple = 0.006 * speed
    outflow = 1000.0 * plant.outlet_m2[2] * last * np.sqrt(2.0 * _GRAVITY * h3)
    current = plant.rated_a * (0.35 * np.minimum(4.0 * speed, 1.0) + 0.65 * np.power(speed, 2.5))
    worn = bad["pump_wear"] * (0.8 + 0.3 * bursts(rng, rows, tau_s=8.0, dt_s=dt_s))
    rough = (
        plant.roughness
        * (0.3 * speed + 0.9 * np.square(speed) + speed * worn)
        * roughness(rng, rows, dt_s=dt_s)
    )
    dosed = (
        plant.salt * (1.0 - 0.5 * bad["dosing_failure"]) * varied(rng, rows, by=0.02, tau_s=60.0, dt_s=dt_s)
    )
    source = 0.5 * (air + 12.0) + 0.4 * wander(rng, rows, tau_s=1500.0, dt_s=dt_s)
    return {
        "level_1": h1 + ripple * wander(rng, rows, tau_s=2.0, dt_s=dt_s),
        "level_2": h2 + ripple * wander(rng, rows, tau_s=2.0, dt_s=dt_s),
        "level_3": h3 + misread + ripple * wander(rng, rows, tau_s=2.0, dt_s=dt_s),
        "inlet_flow": inflow * (1.0 - 0.22 * bad["inlet_meter_fouled"]),
        "outlet_flow": outflow,
        "pump_speed": 100.0 * speed,
        "pump_current": current,
        "pump_vibration": 0.04 + rough,
        "conductivity": lag(dosed, tau_s=240.0, dt_s=dt_s),
        "water_temperature": lag(source + 0.8 * speed, tau_s=600.0, dt_s=dt_s),
        "power_kw": 0.35 * current * speed + 0.02,
    }


CASCADE = Kind(
    name="cascade",
    channels=_CHANNELS,
    faults=_FAULTS,
    modes=("low_level", "normal_level", "high_level"),
    dwell_s=(900.0, 3600.0),
    physics=_physics,
    step_s=5.0,
    wears=("outlet_1_clogged",),
)
