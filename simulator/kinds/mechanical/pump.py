"""A centrifugal pump in a loop: variable speed by mode, a valve holds the flow. Not a hydraulic design tool.

Head follows the affinity laws (H ~ n^2, Q ~ n, P ~ n^3, e.g. Gülich, "Centrifugal Pumps"), the loop is a
quadratic resistance, a PI controller moves the valve. Heads in metres of water, flows in m3/h, speed relative to
rated.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.dynamics import bursts, clamp_of, gain_of, hall, lag, per_mode, spread, wander
from simulator.records import Channel, Fault, Floats, Kind, Scene

_CHANNELS = (
    Channel("suction_pressure", "bar", 0.006, 0.002),
    Channel("discharge_pressure", "bar", 0.012, 0.005),
    Channel("flow", "m3/h", 0.35, 0.05),
    Channel("motor_current", "A", 0.12, 0.05),
    Channel("speed", "rpm", 1.5, 1.0),
    Channel("bearing_temperature", "degC", 0.08, 0.1),
    Channel("vibration", "mm/s", 0.03, 0.01),
    Channel("valve_position", "%", 0.15, 0.1),
    Channel("fluid_temperature", "degC", 0.06, 0.1),
)
_FAULTS = (
    Fault("cavitation", ("vibration", "discharge_pressure"), "vapour bubbles collapse: rough, head unsteady"),
    Fault("bearing_wear", ("bearing_temperature", "vibration"), "bearing runs hot and rough"),
    Fault(
        "impeller_wear",
        ("discharge_pressure", "motor_current", "valve_position"),
        "less head; the valve opens to keep the flow",
    ),
    Fault(
        "seal_leak",
        ("discharge_pressure", "valve_position"),
        "pumped water escapes; more is pumped, more power drawn",
    ),
    Fault(
        "suction_blockage",
        ("suction_pressure",),
        "strainer clogs: suction pressure falls, worst at high flow",
    ),
    Fault(
        "valve_stiction",
        ("flow", "valve_position", "discharge_pressure"),
        "valve sticks and jumps: flow hunts",
    ),
    Fault(
        "pressure_sensor_drift",
        ("discharge_pressure",),
        "discharge transmitter reads too high; nothing else moves",
    ),
)
_M_PER_BAR = 10.2
_LEAK_SHARE = 0.22  # of the pumped flow, lost before the meter
_RATED_RPM = 2950.0
_AMPERE_PER_KW = 1.0 / (np.sqrt(3.0) * 0.4 * 0.86)  # 400 V, power factor 0.86


@dataclass(frozen=True, slots=True)
class _Pump:
    """Constants of one pump and its loop."""

    shutoff_m: float  # head at no flow, rated speed
    curve: float  # head lost in the pump, m/(m3/h)^2
    pipe: float  # head lost in the loop
    strainer: float  # head lost before the pump
    valve: float  # head lost in the valve when fully open
    static_m: float  # height of the destination
    suction_m: float  # head in the tank
    best_flow: float  # best efficiency point at rated speed, m3/h
    efficiency: float
    no_load_a: float
    bearing_rise_k: float
    roughness: float  # vibration of a healthy pump at rated speed, mm/s
    size: float  # scales the flow set points


def _draw(rng: np.random.Generator) -> _Pump:
    return _Pump(
        shutoff_m=spread(rng, 60.0),
        curve=spread(rng, 0.0022),
        pipe=spread(rng, 0.0012),
        strainer=spread(rng, 0.0001),
        valve=spread(rng, 0.001),
        static_m=spread(rng, 12.0),
        suction_m=spread(rng, 7.0),
        best_flow=spread(rng, 80.0),
        efficiency=spread(rng, 0.72, 0.04),
        no_load_a=spread(rng, 7.0),
        bearing_rise_k=spread(rng, 26.0, 0.15),
        roughness=spread(rng, 1.3, 0.25),
        size=spread(rng, 1.0, 0.06),
    )


def _loop(
    pump: _Pump, scene: Scene, *, lift: Floats, strainer: Floats, flow_set: Floats
) -> tuple[Floats, Floats]:
    """March the PI-controlled loop; returns pumped flow in m3/h and valve opening 0..1, both [R].

    Args:
        pump: The machine.
        scene: Rate and the severities of leak and stiction.
        lift: Head available at no flow minus the static height, m [R].
        strainer: Suction resistance, [R].
        flow_set: Set point of the controller, [R].
    """
    dt_s = scene.dt_s
    inertia, actuator = gain_of(2.0, dt_s), gain_of(4.0, dt_s)
    opening, windup = clamp_of(0.08, 1.0), clamp_of(-0.4, 0.9)
    leak = (_LEAK_SHARE * scene.severity["seal_leak"]).tolist()
    stick = (0.11 * scene.severity["valve_stiction"]).tolist()
    fixed, integral_gain = pump.curve + pump.pipe, 0.001 * min(dt_s, 4.0)
    flow, valve, integral = float(flow_set[0]), 0.4, 0.2
    flows, valves = [], []
    inputs = zip(lift.tolist(), strainer.tolist(), leak, flow_set.tolist(), stick, strict=True)
    for head, suction, lost, wanted, band in inputs:
        resistance = fixed + suction + pump.valve / (valve * valve)
        flow += inertia * ((max(head, 0.0) / resistance) ** 0.5 - flow)
        error = wanted - flow * (1.0 - lost)
        integral = windup(integral + integral_gain * error)
        gap = opening(0.2 + integral + 0.0015 * error) - valve
        if abs(gap) > band:
            valve += actuator * gap if band == 0.0 else gap
        flows.append(flow)
        valves.append(valve)
    return np.asarray(flows), np.asarray(valves)


def _physics(scene: Scene) -> Mapping[str, Floats]:
    rng, rows, dt_s, bad = scene.streams.process, scene.rows, scene.dt_s, scene.severity
    pump, air, on = _draw(scene.streams.machine), hall(scene), scene.run
    wanted = per_mode(scene.mode, (40.0, 70.0, 95.0)) * pump.size * scene.demand * on
    flow_set = lag(wanted, tau_s=10.0, dt_s=dt_s) * (1.0 + 0.02 * wander(rng, rows, tau_s=120.0, dt_s=dt_s))
    speed = lag(per_mode(scene.mode, (0.80, 0.92, 1.0)) * on, tau_s=8.0, dt_s=dt_s)
    speed = speed * (1.0 + 0.0012 * wander(rng, rows, tau_s=6.0, dt_s=dt_s))
    tank_m = pump.suction_m + 0.35 * wander(rng, rows, tau_s=1800.0, dt_s=dt_s)
    bubbles = on * bad["cavitation"] * bursts(rng, rows, tau_s=3.0, dt_s=dt_s)
    wear = 1.0 - 0.16 * bad["impeller_wear"] - 0.03 * bad["cavitation"] - 0.022 * bubbles
    strainer = pump.strainer * (1.0 + 7.0 * bad["suction_blockage"])
    shutoff_m = pump.shutoff_m * np.square(speed) * wear
    flow, valve = _loop(
        pump, scene, lift=shutoff_m + tank_m - pump.static_m, strainer=strainer, flow_set=flow_set
    )
    head_m = shutoff_m - pump.curve * np.square(flow)
    suction_m = (
        tank_m - strainer * np.square(flow) - 0.3 * bubbles + 0.05 * wander(rng, rows, tau_s=2.0, dt_s=dt_s)
    )
    turning = np.maximum(speed, 0.05)
    off_best = np.minimum(np.abs(flow / turning / pump.best_flow - 1.0), 1.0)
    power_kw = 9.81 * flow / 3600.0 * head_m / (pump.efficiency * (1.0 - 0.5 * np.square(off_best)))
    current = np.hypot(
        pump.no_load_a * speed, power_kw * _AMPERE_PER_KW * (1.0 + 0.08 * bad["bearing_wear"]) / turning
    )
    rough = pump.roughness * (np.square(speed) + 0.6 * off_best * on)
    rough = rough * np.exp(
        0.07 * wander(rng, rows, tau_s=2.0, dt_s=dt_s) + 0.05 * wander(rng, rows, tau_s=200.0, dt_s=dt_s)
    )
    knock = on * bad["bearing_wear"] * (0.8 + 0.35 * bursts(rng, rows, tau_s=15.0, dt_s=dt_s))
    rise = (
        pump.bearing_rise_k * speed**1.5 * (0.7 + 0.3 * flow / pump.best_flow)
        + 20.0 * on * bad["bearing_wear"]
    )
    return {
        "suction_pressure": suction_m / _M_PER_BAR,
        "discharge_pressure": (suction_m + head_m) / _M_PER_BAR + 0.9 * bad["pressure_sensor_drift"],
        "flow": flow * (1.0 - _LEAK_SHARE * bad["seal_leak"]),
        "motor_current": current,
        "speed": _RATED_RPM * speed * (1.0 - 0.0006 * power_kw),
        "bearing_temperature": lag(air + rise, tau_s=420.0, dt_s=dt_s),
        "vibration": rough + pump.roughness * (knock + 0.55 * bubbles + 0.6 * on * bad["cavitation"]),
        "valve_position": 100.0 * valve,
        "fluid_temperature": lag(30.0 + 0.4 * air + 0.12 * power_kw, tau_s=900.0, dt_s=dt_s),
        "power_kw": power_kw / 0.92 + 0.2 * on,
    }


PUMP = Kind(
    name="pump",
    channels=_CHANNELS,
    faults=_FAULTS,
    modes=("low_demand", "normal_demand", "high_demand"),
    dwell_s=(240.0, 1500.0),
    physics=_physics,
    step_s=5.0,  # slower, and the flow controller would be slower than its own machine
    wears=("suction_blockage",),
)
