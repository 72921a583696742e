"""A three-zone furnace: a gas burner carries the base, electric heaters trim each zone. One machine; no gas kinetics.

Three coupled thermal masses, a PI controller per zone; the burner follows the goods plus a small slow trim that
brings the heaters to their middle. Heat in kW, temperatures in degC, heater outputs 0..1 inside and percent outside.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.dynamics import bursts, clamp_of, gain_of, hall, idle_s, lag, per_mode, spread, wander
from simulator.records import Channel, Fault, Floats, Kind, Scene

_CHANNELS = (
    Channel("zone1_temperature", "degC", 0.25, 0.1),
    Channel("zone2_temperature", "degC", 0.25, 0.1),
    Channel("zone3_temperature", "degC", 0.25, 0.1),
    Channel("zone1_power", "%", 0.15, 0.1),
    Channel("zone2_power", "%", 0.15, 0.1),
    Channel("zone3_power", "%", 0.15, 0.1),
    Channel("setpoint", "degC", 0.0, 0.1),
    Channel("gas_flow", "m3/h", 0.06, 0.02),
    Channel("air_flow", "m3/h", 0.9, 0.5),
    Channel("exhaust_temperature", "degC", 0.6, 0.5),
    Channel("door_open", "1", 0.0, 1.0),
    Channel("throughput", "kg/h", 4.0, 1.0),
)
_FAULTS = (
    Fault(
        "heater_element_failure",
        ("zone2_power", "zone2_temperature"),
        "zone 2 elements burn out; the rest works harder",
    ),
    Fault(
        "thermocouple_drift",
        ("zone3_power", "zone3_temperature", "zone2_power"),
        "zone 3 reads low and noisy; the controller hides it by overheating the zone",
    ),
    Fault(
        "insulation_loss",
        ("zone1_power", "zone2_power", "zone3_power"),
        "lining decays: more heat for the same work",
    ),
    Fault(
        "door_left_open",
        ("door_open", "zone1_power"),
        "door closes later and later, zone 1 heats against it",
    ),
    Fault(
        "burner_fouling",
        ("gas_flow", "exhaust_temperature", "zone1_power", "zone2_power", "zone3_power"),
        "nozzles clog: less gas, the heaters take over",
    ),
    Fault(
        "air_filter_clogged",
        ("air_flow", "exhaust_temperature"),
        "too little combustion air, late burning in the stack",
    ),
)
_ZONES = 3
_HEATER_KW = 80.0
_GAS_KWH_PER_M3 = 10.0
_STANDBY_AFTER_S = 1800.0  # a furnace is kept hot through short stops
_STANDBY_DEGC = 450.0
_AIR_PER_GAS = 12.0  # m3 of air per m3 of gas, about 20 % above what the flame needs


@dataclass(frozen=True, slots=True)
class _Furnace:
    """Constants of one furnace."""

    mass_kj_k: float
    loss_kw_k: float
    coupling_kw_k: float
    burner: float  # share of the flame's heat that stays
    door_kw: float
    door_every_s: float
    door_open_s: float
    size: float  # scales the throughput
    stack: float  # exhaust temperature per furnace temperature


def _draw(rng: np.random.Generator) -> _Furnace:
    return _Furnace(
        mass_kj_k=spread(rng, 120.0, 0.12),
        loss_kw_k=spread(rng, 0.05),
        coupling_kw_k=spread(rng, 0.12),
        burner=spread(rng, 0.62, 0.05),
        door_kw=spread(rng, 30.0, 0.15),
        door_every_s=spread(rng, 600.0, 0.2),
        door_open_s=spread(rng, 35.0, 0.25),
        size=spread(rng, 1.0, 0.1),
        stack=spread(rng, 0.4, 0.05),
    )


def _door(furnace: _Furnace, scene: Scene) -> Floats:
    """Door state, 0 or 1 [R]: opens at irregular intervals; a failing latch delays each closing."""
    span_s = scene.rows * scene.dt_s
    count = int(span_s / (0.6 * furnace.door_every_s)) + 3
    gaps = furnace.door_every_s * scene.streams.process.uniform(0.6, 1.4, count)
    starts = np.cumsum(gaps) - gaps[0]
    time = np.arange(scene.rows) * scene.dt_s
    index = np.searchsorted(starts, time, side="right") - 1
    since = time - starts[index]
    stuck = since < scene.severity["door_left_open"] * gaps[index + 1]
    is_open = (since < furnace.door_open_s) | stuck
    return np.where(is_open, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Heat:
    """What the outside does to the furnace, row by row, each [R]."""

    target: Floats  # recipe temperature
    air: Floats  # ambient
    work: Floats  # kW drawn by the goods at 800 degC
    door: Floats  # 0 or 1
    gas: Floats  # feed-forward of the burner, m3/h
    flame: Floats  # kW that stay per m3/h of gas
    nozzle: Floats  # share of the wanted gas that the burner lets through
    loss: Floats  # kW/K through the lining of one zone
    element: Floats  # share of zone 2's elements alive
    reading: Floats  # error of zone 3's thermocouple, K


def _march(furnace: _Furnace, heat: _Heat, dt_s: float) -> tuple[Floats, Floats, Floats, Floats]:
    """March zones, heaters and burner; returns temperatures [R, 3], outputs 0..1 [R, 3], gas [R], set point [R].

    The goods enter at zone 1 and take most heat there; the door is at zone 1, the stack at zone 3.
    """
    unit, trim_limit, winding = clamp_of(0.0, 1.0), clamp_of(-1.2, 1.2), clamp_of(-0.2, 1.1)
    rise_k = 0.06 * dt_s
    creep = clamp_of(-rise_k, rise_k)
    per_kj, link, door_kw = dt_s / furnace.mass_kj_k, furnace.coupling_kw_k, furnace.door_kw
    integral_gain, master_gain, burner = 0.02 / 150.0 * dt_s, 0.004 * dt_s, gain_of(5.0, dt_s)
    setpoint = float(heat.target[0])
    one = two = three = setpoint
    sum1 = sum2 = sum3 = 0.45
    trim, gas = 0.0, float(heat.gas[0])
    states = []
    rows = np.stack(
        (
            heat.target,
            heat.air,
            heat.work,
            heat.door,
            heat.gas,
            heat.flame,
            heat.nozzle,
            heat.loss,
            heat.element,
            heat.reading,
        ),
        axis=1,
    )
    for target, air, work, door, wanted_gas, flame, nozzle, loss, element, reading in rows.tolist():
        setpoint += creep(target - setpoint)
        error1, error2, error3 = setpoint - one, setpoint - two, setpoint - three - reading
        sum1 = winding(sum1 + integral_gain * error1)
        sum2 = winding(sum2 + integral_gain * error2)
        sum3 = winding(sum3 + integral_gain * error3)
        out1, out2, out3 = unit(sum1 + 0.02 * error1), unit(sum2 + 0.02 * error2), unit(sum3 + 0.02 * error3)
        trim = trim_limit(trim + master_gain * ((out1 + out2 + out3) / 3.0 - 0.45))
        gas += burner * (wanted_gas + trim - gas)
        base, drawn = flame * nozzle * gas, work * (setpoint - air) / 800.0
        flow12, flow23 = link * (one - two), link * (two - three)
        net1 = _HEATER_KW * out1 + 0.42 * base - loss * (one - air) - 0.5 * drawn - door_kw * door - flow12
        net2 = _HEATER_KW * out2 * element + 0.33 * base - loss * (two - air) - 0.3 * drawn + flow12 - flow23
        net3 = _HEATER_KW * out3 + 0.25 * base - loss * (three - air) - 0.2 * drawn + flow23
        one, two, three = one + per_kj * net1, two + per_kj * net2, three + per_kj * net3
        states.append((one, two, three, out1, out2, out3, gas, setpoint))
    table = np.asarray(states)
    return table[:, :3], table[:, 3:6], table[:, 6], table[:, 7]


def _physics(scene: Scene) -> Mapping[str, Floats]:
    rng, rows, dt_s, bad = scene.streams.process, scene.rows, scene.dt_s, scene.severity
    furnace, air = _draw(scene.streams.machine), hall(scene)
    standby = idle_s(scene.run, dt_s=dt_s) > _STANDBY_AFTER_S
    door = _door(furnace, scene) * scene.run
    goods = (
        lag(per_mode(scene.mode, (150.0, 450.0, 700.0)) * scene.demand * scene.run, tau_s=60.0, dt_s=dt_s)
        * furnace.size
    )
    goods = goods * (
        1.0
        + 0.05 * wander(rng, rows, tau_s=150.0, dt_s=dt_s)
        + 0.02 * wander(rng, rows, tau_s=5.0, dt_s=dt_s)
    )
    fouling, clogged = bad["burner_fouling"], bad["air_filter_clogged"]
    flame = _GAS_KWH_PER_M3 * furnace.burner * (1.0 - 0.08 * fouling - 0.10 * clogged)
    flame = flame * (1.0 + 0.015 * wander(rng, rows, tau_s=200.0, dt_s=dt_s))
    flicker = bursts(rng, rows, tau_s=20.0, dt_s=dt_s)
    loose = wander(rng, rows, tau_s=6.0, dt_s=dt_s)
    heat = _Heat(
        target=np.where(standby, _STANDBY_DEGC, per_mode(scene.mode, (810.0, 820.0, 832.0))),
        air=air,
        work=goods * 0.65 / 3600.0 * 800.0,
        door=door,
        gas=np.where(standby, 1.5, 5.0 + 0.019 * goods),
        flame=flame,
        nozzle=1.0 - 0.38 * fouling,
        loss=furnace.loss_kw_k * (1.0 + 0.55 * bad["insulation_loss"]),
        element=1.0 - 0.66 * bad["heater_element_failure"],
        reading=bad["thermocouple_drift"] * (-34.0 + 4.0 * loose),
    )
    zone, output, wanted_gas, setpoint = _march(furnace, heat, dt_s)
    gas = wanted_gas * heat.nozzle
    draught = 1.0 + 0.012 * wander(rng, rows, tau_s=15.0, dt_s=dt_s)
    air_flow = lag(_AIR_PER_GAS * wanted_gas, tau_s=4.0, dt_s=dt_s) * draught * (1.0 - 0.34 * clogged)
    waste = (45.0 + 10.0 * flicker) * clogged - 12.0 * fouling
    stack = furnace.stack * zone.mean(axis=1) + 6.0 * gas + waste - 15.0 * door
    reading = {f"zone{i + 1}_temperature": lag(zone[:, i], tau_s=8.0, dt_s=dt_s) for i in range(_ZONES)}
    reading["zone3_temperature"] = reading["zone3_temperature"] + heat.reading
    return (
        reading
        | {f"zone{i + 1}_power": 100.0 * output[:, i] for i in range(_ZONES)}
        | {
            "setpoint": setpoint,
            "gas_flow": gas,
            "air_flow": air_flow,
            "exhaust_temperature": lag(stack, tau_s=40.0, dt_s=dt_s),
            "door_open": door,
            "throughput": goods,
            "power_kw": _HEATER_KW * output.sum(axis=1) + 1.5,
        }
    )


FURNACE = Kind(
    name="furnace",
    channels=_CHANNELS,
    faults=_FAULTS,
    modes=("low_throughput", "normal_throughput", "high_throughput"),
    dwell_s=(600.0, 3600.0),
    physics=_physics,
    step_s=5.0,
    wears=("burner_fouling",),
)
