"""A water chiller with R134a and an air-cooled condenser. One machine, quasi-steady; no start of the compressor.

Heat is carried at finite differences of temperature: evaporating temperature below the water's, condensing temperature
above the air's; the compressor's work is a share of Carnot's. The faults are those of ASHRAE RP-1043 (Comstock and
Braun, "Fault detection and diagnostic (FDD) requirements and evaluation tools for chillers", 1999). kW, bar, degC, K.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.dynamics import bursts, hall, lag, per_mode, spread, varied, wander
from simulator.records import Channel, Fault, Floats, Kind, Scene

_CHANNELS = (
    Channel("chilled_supply", "degC", 0.05, 0.1),
    Channel("chilled_return", "degC", 0.05, 0.1),
    Channel("water_flow", "m3/h", 0.1, 0.1),
    Channel("evaporating_pressure", "bar", 0.01, 0.01),
    Channel("condensing_pressure", "bar", 0.03, 0.01),
    Channel("discharge_temperature", "degC", 0.15, 0.1),
    Channel("superheat", "K", 0.12, 0.1),
    Channel("subcooling", "K", 0.12, 0.1),
    Channel("compressor_power", "kW", 0.15, 0.1),
    Channel("compressor_capacity", "%", 0.2, 0.1),
    Channel("oil_pressure", "bar", 0.015, 0.01),
    Channel("outside_temperature", "degC", 0.06, 0.1),
)
_FAULTS = (
    Fault(
        "refrigerant_leak",
        (
            "superheat",
            "discharge_temperature",
            "subcooling",
        ),
        "too little refrigerant: it boils dry and condenses late",
    ),
    Fault("condenser_fouled", ("condensing_pressure",), "leaves on the condenser: pressure and work rise"),
    Fault("water_flow_low", ("water_flow", "chilled_return"), "a strainer in the chilled water is full"),
    Fault(
        "air_in_refrigerant",
        ("subcooling", "condensing_pressure"),
        "gas that does not condense: false pressure",
    ),
    Fault("expansion_valve_hunting", ("superheat",), "the expansion valve swings"),
    Fault("oil_filter_clogged", ("oil_pressure",), "the oil filter is full"),
    Fault("compressor_valves_worn", ("discharge_temperature",), "gas flows back: hot gas, more work"),
)
_KW_PER_M3_H_K = 1.163  # water
_ZERO_K = 273.15
_COOLS_S = 3600.0


@dataclass(frozen=True, slots=True)
class _Chiller:
    """Constants of one chiller and its network."""

    rated_kw: float
    water_m3_h: float
    target_degc: float
    evaporator_kw_k: float
    condenser_kw_k: float
    carnot: float  # share of Carnot's efficiency
    superheat_k: float
    subcooling_k: float
    oil_bar: float  # above the evaporating pressure


def _draw(rng: np.random.Generator) -> _Chiller:
    return _Chiller(
        rated_kw=spread(rng, 210.0, 0.15),
        water_m3_h=spread(rng, 36.0, 0.1),
        target_degc=spread(rng, 7.0, 0.15),
        evaporator_kw_k=spread(rng, 40.0, 0.1),
        condenser_kw_k=spread(rng, 21.0, 0.1),
        carnot=spread(rng, 0.5, 0.06),
        superheat_k=spread(rng, 5.5, 0.15),
        subcooling_k=spread(rng, 6.5, 0.15),
        oil_bar=spread(rng, 2.6, 0.1),
    )


def _saturated_bar(degc: Floats) -> Floats:
    """Absolute pressure of saturated R134a; a fit to tables (2.93 bar at 0, 10.17 at 40, 16.8 at 60 degC)."""
    return np.asarray(np.exp(9.9206 - 2416.3 / (degc + _ZERO_K)) * 1.0, dtype=np.float64)


def _physics(scene: Scene) -> Mapping[str, Floats]:
    rng, rows, dt_s, bad, on = scene.streams.process, scene.rows, scene.dt_s, scene.severity, scene.run
    machine, air = _draw(scene.streams.machine), hall(scene)
    outside = air + 2.0 + 0.5 * wander(rng, rows, tau_s=1800.0, dt_s=dt_s)
    asked = lag(per_mode(scene.mode, (0.4, 0.6, 0.8)) * scene.demand * on, tau_s=180.0, dt_s=dt_s)
    asked = asked * varied(rng, rows, by=0.03, tau_s=240.0, dt_s=dt_s) * (1.0 + 0.008 * (outside - 20.0))
    cooling = machine.rated_kw * np.clip(asked, 0.0, 1.0)
    flow = lag(machine.water_m3_h * on * (1.0 - 0.4 * bad["water_flow_low"]), tau_s=8.0, dt_s=dt_s)
    flow = flow * varied(rng, rows, by=0.006, tau_s=20.0, dt_s=dt_s)
    low_charge, gas = bad["refrigerant_leak"], bad["air_in_refrigerant"]
    gap_k = np.minimum(cooling / (_KW_PER_M3_H_K * np.maximum(flow, 1.0)), 18.0)
    supply = machine.target_degc + 0.2 * wander(rng, rows, tau_s=60.0, dt_s=dt_s) + 1.2 * low_charge
    wetted = machine.evaporator_kw_k * (1.0 - 0.25 * low_charge) * (1.0 - 0.15 * bad["water_flow_low"])
    evaporating = supply - cooling / wetted - 1.0
    # Two rounds of the balance: heat to the air is cooling plus work, work depends on the condensing temperature.
    work = 0.25 * cooling
    blown = machine.condenser_kw_k * (1.0 - 0.42 * bad["condenser_fouled"])
    worn = machine.carnot * (1.0 - 0.18 * bad["compressor_valves_worn"])
    for _ in range(2):
        condensing = np.maximum(outside + (cooling + work) / blown, 26.0)
        lift = np.maximum(condensing - evaporating, 8.0)
        work = cooling * lift / (evaporating + _ZERO_K) / worn
    power = lag(work + 4.0 * on, tau_s=6.0, dt_s=dt_s)
    swing = bad["expansion_valve_hunting"] * 3.4 * np.sin(2.0 * np.pi * np.arange(rows) * dt_s / 97.0)
    hot = machine.superheat_k + 0.5 * wander(rng, rows, tau_s=30.0, dt_s=dt_s) + 8.0 * low_charge + swing
    cool = (
        machine.subcooling_k + 0.4 * wander(rng, rows, tau_s=90.0, dt_s=dt_s) - 5.5 * low_charge + 5.0 * gas
    )
    discharge = condensing + 14.0 + 1.1 * hot + 15.0 * bad["compressor_valves_worn"] + 0.5 * gas
    oil = machine.oil_bar * on * varied(rng, rows, by=0.01, tau_s=40.0, dt_s=dt_s)
    oil = lag(oil * (1.0 - 0.35 * bad["oil_filter_clogged"]), tau_s=10.0, dt_s=dt_s)
    knocking = 1.0 + 0.05 * bad["compressor_valves_worn"] * bursts(rng, rows, tau_s=8.0, dt_s=dt_s)
    rest = _saturated_bar(air)  # stopped, both sides come to the pressure of the hall
    runs = lag(on, tau_s=60.0, dt_s=dt_s)
    warm = lag(np.where(on > 0.0, supply, air), tau_s=90.0, dt_s=dt_s)
    return {
        "chilled_supply": warm,
        "chilled_return": warm + lag(gap_k * on, tau_s=45.0, dt_s=dt_s),
        "water_flow": flow,
        "evaporating_pressure": runs * _saturated_bar(evaporating + 0.12 * swing) + (1.0 - runs) * rest - 1.0,
        "condensing_pressure": runs * (_saturated_bar(condensing) + 1.9 * gas) + (1.0 - runs) * rest - 1.0,
        "discharge_temperature": lag(np.where(on > 0.0, discharge, air), tau_s=120.0, dt_s=dt_s),
        "superheat": hot * runs,
        "subcooling": np.maximum(cool, 0.0) * runs,
        "compressor_power": power * knocking,
        "compressor_capacity": 100.0 * lag(asked * (1.0 + 0.1 * low_charge), tau_s=20.0, dt_s=dt_s),
        "oil_pressure": oil,
        "outside_temperature": outside,
        "power_kw": power + 3.0 * on,
    }


CHILLER = Kind(
    name="chiller",
    channels=_CHANNELS,
    faults=_FAULTS,
    modes=("low_load", "normal_load", "high_load"),
    dwell_s=(900.0, 3600.0),
    physics=_physics,
    wears=("condenser_fouled", "oil_filter_clogged"),
)
