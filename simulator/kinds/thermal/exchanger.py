"""A plate heat exchanger: a primary valve holds the secondary's outlet temperature. One station of a heating network.

Heat by effectiveness and number of transfer units for counterflow; films follow flow^0.7 on both sides (e.g. Incropera,
"Fundamentals of heat and mass transfer", ch. 11). Flows in m3/h of water, heat in kW, temperatures in degC.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp

import numpy as np

from simulator.dynamics import clamp_of, gain_of, hall, lag, per_mode, settling, spread, varied, wander
from simulator.records import Bools, Channel, Fault, Floats, Kind, Scene

_CHANNELS = (
    Channel("hot_inlet_temperature", "degC", 0.05, 0.1),
    Channel("hot_outlet_temperature", "degC", 0.05, 0.1),
    Channel("cold_inlet_temperature", "degC", 0.05, 0.1),
    Channel("cold_outlet_temperature", "degC", 0.05, 0.1),
    Channel("hot_flow", "m3/h", 0.05, 0.01),
    Channel("cold_flow", "m3/h", 0.06, 0.01),
    Channel("hot_pressure_drop", "kPa", 0.15, 0.1),
    Channel("cold_pressure_drop", "kPa", 0.15, 0.1),
    Channel("valve_position", "%", 0.15, 0.1),
    Channel("heat", "kW", 1.5, 1.0),
)
_FAULTS = (
    Fault(
        "fouling",
        ("hot_outlet_temperature", "valve_position", "hot_flow", "hot_pressure_drop"),
        "scale on the plates: more hot water for the same heat, and it goes back hot",
    ),
    Fault("cold_side_blocked", ("cold_pressure_drop",), "the secondary strainer is full"),
    Fault("hot_side_blocked", ("hot_pressure_drop", "valve_position"), "the primary strainer is full"),
    Fault(
        "supply_too_cold",
        ("hot_inlet_temperature", "hot_flow", "valve_position", "hot_pressure_drop"),
        "the network sends colder water; the valve makes up for it",
    ),
    Fault(
        "valve_sticking",
        (
            "cold_outlet_temperature",
            "heat",
            "hot_flow",
            "hot_pressure_drop",
            "valve_position",
        ),
        "the valve sticks and jumps: all that hangs on it hunts",
    ),
    Fault(
        "cold_outlet_sensor_drift",
        ("heat", "hot_flow", "hot_outlet_temperature", "hot_pressure_drop", "valve_position"),
        "the outlet reads too warm; the controller hides it and sends too little heat",
    ),
    Fault(
        "plate_leak",
        ("hot_flow", "heat"),
        "a crack between the sides: primary water is lost into the secondary",
    ),
)
_KW_PER_M3_H_K = 1.163  # water
_NO_FLOW = 0.5  # m3/h
_COOLS_S = 5400.0


@dataclass(frozen=True, slots=True)
class _Exchanger:
    """Constants of one exchanger and its two circuits."""

    ua_kw_k: float  # at nominal flows
    cold_m3_h: float  # nominal
    hot_m3_h: float  # with the valve open
    hot_degc: float
    cold_degc: float
    target_degc: float
    hot_kpa: float  # lost at full flow
    cold_kpa: float


def _draw(rng: np.random.Generator) -> _Exchanger:
    return _Exchanger(
        ua_kw_k=spread(rng, 19.0, 0.12),
        cold_m3_h=spread(rng, 12.0, 0.12),
        hot_m3_h=spread(rng, 17.0, 0.08),
        hot_degc=spread(rng, 88.0, 0.04),
        cold_degc=spread(rng, 38.0, 0.06),
        target_degc=spread(rng, 60.0, 0.03),
        hot_kpa=spread(rng, 42.0, 0.15),
        cold_kpa=spread(rng, 30.0, 0.15),
    )


@dataclass(frozen=True, slots=True)
class _Water:
    """What flows into the exchanger, row by row, each [R]."""

    hot: Floats  # degC
    cold: Floats  # degC
    flow: Floats  # cold, m3/h
    target: Floats  # degC
    full: Floats  # hot flow with the valve open, m3/h
    ua: Floats  # kW/K at nominal flows
    misread: Floats  # K that the outlet's sensor adds
    stick: Floats  # dead band of the valve, 0..1
    air: Floats  # degC


def _march(machine: _Exchanger, water: _Water, dt_s: float) -> Floats:
    """March valve and outlets; returns hot outlet, cold outlet in degC, hot flow in m3/h and valve 0..1, [4, R]."""
    opening, film, actuator = clamp_of(0.0, 1.0), gain_of(18.0, dt_s), gain_of(10.0, dt_s)
    integral_gain, winding, cooling = 0.0005 * min(dt_s, 10.0), clamp_of(-0.1, 1.0), gain_of(_COOLS_S, dt_s)
    valve = integral = 0.35
    hot_out, cold_out = machine.cold_degc, machine.target_degc
    rows = np.stack(
        (
            water.hot,
            water.cold,
            water.flow,
            water.target,
            water.full,
            water.ua,
            water.misread,
            water.stick,
            water.air,
        ),
        axis=1,
    )
    states = []
    for hot, cold, flow, target, full, nominal, misread, stick, air in rows.tolist():
        if flow < _NO_FLOW:  # the station rests: the valve shuts, the plates cool down
            valve -= actuator * valve
            hot_out += cooling * (air - hot_out)
            cold_out += cooling * (air - cold_out)
            states.append((hot_out, cold_out, full * valve, valve))
            continue
        error = target - cold_out - misread
        integral = winding(integral + integral_gain * error)
        gap = opening(integral + 0.009 * error) - valve
        if abs(gap) > stick:
            valve += actuator * gap if stick == 0.0 else gap
        hot_flow = full * valve
        hot_c, cold_c = _KW_PER_M3_H_K * max(hot_flow, 0.02), _KW_PER_M3_H_K * max(flow, 0.02)
        share = (
            (hot_c / _KW_PER_M3_H_K / machine.hot_m3_h) ** 0.7,
            (cold_c / _KW_PER_M3_H_K / machine.cold_m3_h) ** 0.7,
        )
        ua = nominal * 2.0 / (1.0 / max(share[0], 0.02) + 1.0 / max(share[1], 0.02))
        least, ratio = min(hot_c, cold_c), min(hot_c, cold_c) / max(hot_c, cold_c)
        decay = exp(-ua / least * (1.0 - ratio))
        effect = (1.0 - decay) / (1.0 - ratio * decay) if ratio < 0.999 else ua / (ua + least)
        heat = effect * least * (hot - cold)
        hot_out += film * (hot - heat / hot_c - hot_out)
        cold_out += film * (cold + heat / cold_c - cold_out)
        states.append((hot_out, cold_out, hot_flow, valve))
    return np.asarray(states).T


def _pipe(water: Floats, air: Floats, *, flows: Bools, dt_s: float) -> Floats:
    """Temperature in a pipe, degC [R]: that of the water that flows, at rest that of the hall after a while."""
    return settling(np.where(flows, water, air), np.where(flows, 20.0, _COOLS_S), dt_s=dt_s)


def _physics(scene: Scene) -> Mapping[str, Floats]:
    rng, rows, dt_s, bad, on = scene.streams.process, scene.rows, scene.dt_s, scene.severity, scene.run
    machine, air = _draw(scene.streams.machine), hall(scene)
    flow = lag(per_mode(scene.mode, (0.5, 0.75, 1.0)) * scene.demand * on, tau_s=15.0, dt_s=dt_s)
    flow = flow * machine.cold_m3_h * varied(rng, rows, by=0.025, tau_s=60.0, dt_s=dt_s)
    flow = flow * (1.0 - 0.04 * bad["cold_side_blocked"])
    # Networks send hotter water in the cold (weather compensation).
    hot = machine.hot_degc - 0.5 * (air - 20.0) + 0.8 * wander(rng, rows, tau_s=900.0, dt_s=dt_s)
    cold = machine.cold_degc + 1.0 * wander(rng, rows, tau_s=500.0, dt_s=dt_s)
    misread = 6.0 * bad["cold_outlet_sensor_drift"]
    full = machine.hot_m3_h * (1.0 - 0.3 * bad["hot_side_blocked"])
    water = _Water(
        hot=hot - 13.0 * bad["supply_too_cold"],
        cold=cold,
        flow=flow,
        target=machine.target_degc + per_mode(scene.mode, (-2.0, 0.0, 1.5)),
        full=full * varied(rng, rows, by=0.015, tau_s=40.0, dt_s=dt_s),
        ua=machine.ua_kw_k * (1.0 - 0.55 * bad["fouling"]),
        misread=misread,
        air=air,
        stick=0.25 * bad["valve_sticking"],
    )
    hot_out, cold_out, hot_flow, valve = _march(machine, water, dt_s)
    lost = 2.2 * bad["plate_leak"] * on
    metered = hot_flow + lost
    narrow = 1.0 + 2.0 * bad["hot_side_blocked"] + 0.25 * bad["fouling"]
    hot_kpa = machine.hot_kpa * np.square(hot_flow / machine.hot_m3_h) * narrow
    cold_kpa = machine.cold_kpa * np.square(flow / machine.cold_m3_h)
    heat = _KW_PER_M3_H_K * metered * (water.hot - hot_out)
    return {
        "hot_inlet_temperature": _pipe(water.hot, air, flows=hot_flow > 0.05, dt_s=dt_s),
        "hot_outlet_temperature": hot_out,
        "cold_inlet_temperature": _pipe(cold, air, flows=flow > _NO_FLOW, dt_s=dt_s),
        "cold_outlet_temperature": cold_out + misread,
        "hot_flow": metered,
        "cold_flow": flow,
        "hot_pressure_drop": hot_kpa,
        "cold_pressure_drop": cold_kpa * (1.0 + 1.6 * bad["cold_side_blocked"]),
        "valve_position": 100.0 * valve,
        "heat": heat,
        "power_kw": 0.9 * np.power(flow / machine.cold_m3_h, 3.0) + 0.1 * on,
    }


EXCHANGER = Kind(
    name="exchanger",
    channels=_CHANNELS,
    faults=_FAULTS,
    modes=("low_flow", "normal_flow", "high_flow"),
    dwell_s=(300.0, 1800.0),
    physics=_physics,
    wears=("fouling", "cold_side_blocked"),
)
