"""An air handling unit: filter, heating coil, belt-driven fan that holds the air flow. One machine; no humidity.

Fan laws (flow ~ n, pressure ~ n^2, power ~ n^3) against filter and duct as quadratic resistances; the speed that gives
the wanted flow follows from the balance of pressures. Pressures in Pa, flow in m3/h, temperatures in degC.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.dynamics import bursts, hall, lag, per_mode, roughness, spread, varied, wander
from simulator.records import Channel, Fault, Floats, Kind, Scene

_CHANNELS = (
    Channel("air_flow", "m3/h", 40.0, 10.0),
    Channel("duct_pressure", "Pa", 2.0, 1.0),
    Channel("filter_dp", "Pa", 0.8, 1.0),
    Channel("motor_speed", "rpm", 1.5, 1.0),
    Channel("fan_speed", "rpm", 1.5, 1.0),
    Channel("motor_current", "A", 0.06, 0.01),
    Channel("bearing_temperature", "degC", 0.1, 0.1),
    Channel("vibration", "mm/s", 0.03, 0.01),
    Channel("outside_temperature", "degC", 0.06, 0.1),
    Channel("supply_temperature", "degC", 0.08, 0.1),
    Channel("heating_valve", "%", 0.3, 0.1),
    Channel("damper_position", "%", 0.3, 0.1),
)
_FAULTS = (
    Fault("filter_clogged", ("filter_dp",), "the filter is full: the fan works against it"),
    Fault("belt_slip", ("motor_speed",), "the belt slips: the motor runs faster for the same fan"),
    Fault("blades_fouled", ("vibration",), "dirt on the blades: out of balance"),
    Fault("bearing_wear", ("bearing_temperature", "vibration"), "the bearing is rough and hot"),
    Fault(
        "heating_coil_blocked",
        ("heating_valve",),
        "little water through the coil: the valve opens far, in the cold it is not enough",
    ),
    Fault("damper_stuck", ("damper_position", "duct_pressure"), "the outlet damper does not open fully"),
    Fault("duct_leak", ("duct_pressure",), "a joint in the duct is open: no pressure behind it"),
)
_RATED_RPM = 1450.0


@dataclass(frozen=True, slots=True)
class _Fan:
    """Constants of one unit and its ducts."""

    rated_m3_h: float
    filter_pa: float  # at rated flow
    duct_pa: float
    own_pa: float  # lost in the fan
    shutoff_pa: float  # pressure at no flow, rated speed
    pulley: float  # fan speed per motor speed
    rated_a: float
    no_load_a: float
    bearing_k: float
    roughness: float
    target_degc: float
    coil_k: float  # rise of the air at full heating and rated flow


def _draw(rng: np.random.Generator) -> _Fan:
    return _Fan(
        rated_m3_h=spread(rng, 12_000.0, 0.25),
        filter_pa=spread(rng, 110.0, 0.2),
        duct_pa=spread(rng, 320.0, 0.15),
        own_pa=spread(rng, 260.0, 0.1),
        shutoff_pa=spread(rng, 1000.0, 0.06),
        pulley=spread(rng, 0.9, 0.15),
        rated_a=spread(rng, 14.0, 0.1),
        no_load_a=spread(rng, 4.5, 0.1),
        bearing_k=spread(rng, 15.0, 0.2),
        roughness=spread(rng, 1.5, 0.25),
        target_degc=spread(rng, 21.0, 0.05),
        coil_k=spread(rng, 34.0, 0.1),
    )


def _physics(scene: Scene) -> Mapping[str, Floats]:
    rng, rows, dt_s, bad, on = scene.streams.process, scene.rows, scene.dt_s, scene.severity, scene.run
    machine, air = _draw(scene.streams.machine), hall(scene)
    outside = air - 8.0 + 0.6 * wander(rng, rows, tau_s=2400.0, dt_s=dt_s)
    wanted = lag(per_mode(scene.mode, (0.5, 0.75, 0.95)) * scene.demand * on, tau_s=20.0, dt_s=dt_s)
    wanted = wanted * varied(rng, rows, by=0.006, tau_s=15.0, dt_s=dt_s)
    half_shut = bad["damper_stuck"]
    opening = lag(np.where(on > 0.0, 1.0 - 0.45 * half_shut, 0.02), tau_s=25.0, dt_s=dt_s)
    dirt = 1.0 + 1.6 * bad["filter_clogged"]
    duct = (
        machine.duct_pa * varied(rng, rows, by=0.02, tau_s=300.0, dt_s=dt_s) * (1.0 - 0.35 * bad["duct_leak"])
    )
    duct = duct * (1.0 + 0.35 * half_shut)
    against = machine.filter_pa * dirt + duct + machine.own_pa
    # Pressure at speed n and flow q, relative: shutoff n^2 = against q^2.
    per_flow = np.sqrt(against / machine.shutoff_pa)
    speed = np.minimum(wanted * per_flow, 1.08)
    flow = speed / per_flow
    slip = 0.012 + bad["belt_slip"] * (0.13 + 0.03 * bursts(rng, rows, tau_s=6.0, dt_s=dt_s))
    motor = speed / (1.0 - np.minimum(slip, 0.4))
    shaft = (
        np.power(speed, 3.0)
        * (1.0 + 0.1 * bad["bearing_wear"])
        * varied(rng, rows, by=0.008, tau_s=4.0, dt_s=dt_s)
    )
    active = machine.rated_a * shaft / np.maximum(motor, 0.05)
    current = np.hypot(machine.no_load_a * np.minimum(motor * 3.0, 1.0), active)
    knock = bad["bearing_wear"] * (0.7 + 0.35 * bursts(rng, rows, tau_s=10.0, dt_s=dt_s))
    square = np.square(speed)
    rough = machine.roughness * (0.15 * speed + square * (0.85 + 1.3 * bad["blades_fouled"]) + speed * knock)
    warm = (
        machine.bearing_k * speed * (0.8 + 0.2 * shaft)
        + 18.0 * np.minimum(speed * 2.0, 1.0) * bad["bearing_wear"]
    )
    mixed = outside + 0.55 * (machine.target_degc - outside)  # heat recovery
    need = lag((machine.target_degc - mixed) * wanted / machine.coil_k, tau_s=120.0, dt_s=dt_s)
    carries = 1.0 - 0.8 * bad["heating_coil_blocked"]
    valve = np.clip(need / carries, 0.0, 1.0)
    rise = valve * carries * machine.coil_k / np.maximum(wanted, 0.1)
    blown = np.where(on > 0.0, mixed + rise + 0.15 * wander(rng, rows, tau_s=90.0, dt_s=dt_s), air)
    return {
        "air_flow": machine.rated_m3_h * flow,
        "duct_pressure": duct * np.square(flow),
        "filter_dp": machine.filter_pa * dirt * np.square(flow),
        "motor_speed": _RATED_RPM * motor,
        "fan_speed": _RATED_RPM * machine.pulley * speed,
        "motor_current": current,
        "bearing_temperature": lag(air + warm, tau_s=600.0, dt_s=dt_s),
        "vibration": 0.04 + rough * roughness(rng, rows, dt_s=dt_s),
        "outside_temperature": outside,
        "supply_temperature": lag(blown, tau_s=60.0, dt_s=dt_s),
        "heating_valve": 100.0 * valve * on,
        "damper_position": 100.0 * opening,
        "power_kw": 0.6 * active * np.minimum(motor, 1.2) + 0.2 * on,
    }


FAN = Kind(
    name="fan",
    channels=_CHANNELS,
    faults=_FAULTS,
    modes=("low", "normal", "high"),
    dwell_s=(600.0, 3600.0),
    physics=_physics,
    wears=("filter_clogged", "blades_fouled"),
)
