"""A stirred vessel with a jacket that makes batches: fill, heat, hold, cool, drain. One machine; no reaction kinetics.

Two heat balances (product, jacket), a controller that opens steam or cooling water, torque by level, speed and
viscosity (power ~ n^3 in turbulent stirring). Mass in kg, temperatures in degC, valves 0..1 inside and percent outside.
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
    Channel("weight", "kg", 1.5, 1.0),
    Channel("product_temperature", "degC", 0.08, 0.1),
    Channel("jacket_temperature", "degC", 0.12, 0.1),
    Channel("steam_valve", "%", 0.3, 0.1),
    Channel("cooling_valve", "%", 0.3, 0.1),
    Channel("agitator_speed", "rpm", 0.2, 0.1),
    Channel("agitator_current", "A", 0.08, 0.01),
    Channel("bearing_temperature", "degC", 0.1, 0.1),
    Channel("vibration", "mm/s", 0.03, 0.01),
    Channel("vessel_pressure", "bar", 0.004, 0.001),
)
_FAULTS = (
    Fault(
        "jacket_fouling",
        (
            "steam_valve",
            "jacket_temperature",
        ),
        "scale on the wall: a hotter jacket for the same product",
    ),
    Fault(
        "steam_valve_leaks",
        (
            "cooling_valve",
            "jacket_temperature",
        ),
        "steam gets in while it should not: cooling works against it",
    ),
    Fault(
        "agitator_bearing_wear",
        ("vibration", "bearing_temperature"),
        "the agitator's bearing runs rough and hot",
    ),
    Fault("blade_lost", ("agitator_current", "vibration"), "a blade is gone: less torque, out of balance"),
    Fault(
        "bottom_valve_leaks",
        (
            "weight",
            "agitator_current",
        ),
        "product runs out during the batch",
    ),
    Fault(
        "temperature_sensor_drift",
        (
            "vessel_pressure",
            "steam_valve",
        ),
        "the product reads too cold, and is overheated",
    ),
    Fault("vent_blocked", ("vessel_pressure",), "the vent is blocked: pressure builds up"),
)
_WAIT, _FILL, _HEAT, _HOLD, _COOL, _DRAIN = range(6)
_PHASES = ("waiting", "filling", "heating", "holding", "cooling", "draining")


@dataclass(frozen=True, slots=True)
class _Mixer:
    """Constants of one vessel."""

    batch_kg: float
    wall_kw_k: float
    loss_kw_k: float
    steam_degc: float
    water_degc: float
    hold_degc: float
    speed_rpm: float
    no_load_a: float
    load_a: float
    bearing_k: float
    roughness: float


def _draw(rng: np.random.Generator) -> _Mixer:
    return _Mixer(
        batch_kg=spread(rng, 1200.0, 0.15),
        wall_kw_k=spread(rng, 7.5, 0.12),
        loss_kw_k=spread(rng, 0.12, 0.2),
        steam_degc=spread(rng, 138.0, 0.03),
        water_degc=spread(rng, 13.0, 0.15),
        hold_degc=spread(rng, 82.0, 0.06),
        speed_rpm=spread(rng, 92.0, 0.12),
        no_load_a=spread(rng, 4.0, 0.15),
        load_a=spread(rng, 11.0, 0.12),
        bearing_k=spread(rng, 17.0, 0.15),
        roughness=spread(rng, 0.9, 0.25),
    )


def _mass(machine: _Mixer, scene: Scene) -> Floats:
    """Product in the vessel, kg [R]: pumped in and let out by first-order approach, less what leaks."""
    full = per_mode(scene.mode, (0.0, 1.0, 1.0, 1.0, 1.0, 0.0)) * machine.batch_kg * scene.demand
    mass = lag(full, tau_s=80.0, dt_s=scene.dt_s)
    leaving = per_mode(scene.mode, (0.0, 0.1, 0.5, 0.8, 1.0, 0.6))
    lost = lag(leaving, tau_s=240.0, dt_s=scene.dt_s) * 0.25 * scene.severity["bottom_valve_leaks"]
    return mass * (1.0 - lost)


def _march(
    machine: _Mixer, scene: Scene, *, mass: Floats, air: Floats, misread: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """March the two heat balances; returns product and jacket in degC, steam and cooling valve 0..1, each [R].

    Args:
        machine: The vessel.
        scene: Phases and severities.
        mass: Product, kg.
        air: Of the hall, degC.
        misread: What the product's sensor reads too much, K.
    """
    dt_s, unit = scene.dt_s, clamp_of(0.0, 1.0)
    jacket_gain, valve_gain = gain_of(35.0, dt_s), gain_of(6.0, dt_s)
    wanted = per_mode(scene.mode, (30.0, 30.0, 1.0, 1.0, 32.0, 30.0))
    wanted = np.where(wanted > 1.0, wanted, machine.hold_degc)
    active = per_mode(scene.mode, (0.0, 0.0, 1.0, 1.0, 1.0, 0.0)) * scene.run
    wall = machine.wall_kw_k * (1.0 - 0.5 * scene.severity["jacket_fouling"])
    leaking = 0.2 * scene.severity["steam_valve_leaks"]
    product, jacket, steam, cooling = 30.0, 30.0, 0.0, 0.0
    states = []
    rows = np.stack((wanted, active, wall, leaking, mass / machine.batch_kg, mass, air, misread), axis=1)
    for goal, works, transfer, leak, level, kg, outside, error_k in rows.tolist():
        error = goal - product - error_k
        steam += valve_gain * (unit(0.12 * error + 0.03) * works - steam)
        cooling += valve_gain * (unit(-0.12 * error) * works - cooling)
        let_in = max(steam, leak)
        rest = max(1.0 - let_in - cooling, 0.0)
        goal_jacket = let_in * machine.steam_degc + cooling * machine.water_degc + rest * product
        jacket += jacket_gain * (goal_jacket / (let_in + cooling + rest) - jacket)
        # The wall is wetted as far as the vessel is full; 4 kJ/kg/K; an implicit step, stable at any length.
        heat_kj_k = 4.0 * kg + 300.0
        pull, drift = transfer * level * dt_s / heat_kj_k, machine.loss_kw_k * dt_s / heat_kj_k
        product = (product + pull * jacket + drift * outside) / (1.0 + pull + drift)
        if level < 0.5 and works == 0.0:  # what comes in is cold
            product += gain_of(60.0, dt_s) * (outside + 4.0 - product)
        states.append((product, jacket, steam, cooling))
    table = np.asarray(states)
    return table[:, 0], table[:, 1], table[:, 2], table[:, 3]


def _physics(scene: Scene) -> Mapping[str, Floats]:
    rng, rows, dt_s, bad, on = scene.streams.process, scene.rows, scene.dt_s, scene.severity, scene.run
    machine, air = _draw(scene.streams.machine), hall(scene)
    mass = _mass(machine, scene)
    misread = -9.0 * bad["temperature_sensor_drift"] * varied(rng, rows, by=0.05, tau_s=30.0, dt_s=dt_s)
    product, jacket, steam, cooling = _march(machine, scene, mass=mass, air=air, misread=misread)
    turning = lag(per_mode(scene.mode, (0.0, 0.35, 1.0, 0.7, 1.0, 0.25)) * on, tau_s=5.0, dt_s=dt_s)
    thick = np.exp(-0.008 * (product - 60.0)) * varied(rng, rows, by=0.025, tau_s=25.0, dt_s=dt_s)
    missing = bad["blade_lost"]
    torque = np.square(turning) * (mass / machine.batch_kg) * thick * (1.0 - 0.4 * missing)
    current = np.hypot(machine.no_load_a * np.minimum(3.0 * turning, 1.0), machine.load_a * torque)
    knock = bad["agitator_bearing_wear"] * (0.9 + 0.4 * bursts(rng, rows, tau_s=12.0, dt_s=dt_s))
    rough = turning * (0.4 + 0.6 * turning + knock + 1.3 * missing * turning)
    warm = machine.bearing_k * turning * (0.7 + 0.3 * torque) + 22.0 * turning * bad["agitator_bearing_wear"]
    vapour = 0.55 * np.exp(0.045 * (product - 82.0)) * np.minimum(mass / machine.batch_kg, 1.0)
    held = 1.0 + 1.4 * bad["vent_blocked"]
    return {
        "weight": mass + 3.0 * wander(rng, rows, tau_s=400.0, dt_s=dt_s),
        "product_temperature": product + misread,
        "jacket_temperature": jacket,
        "steam_valve": 100.0 * steam,
        "cooling_valve": 100.0 * cooling,
        "agitator_speed": machine.speed_rpm * turning,
        "agitator_current": current,
        "bearing_temperature": lag(air + warm, tau_s=420.0, dt_s=dt_s),
        "vibration": 0.04 + machine.roughness * rough * roughness(rng, rows, dt_s=dt_s),
        "vessel_pressure": 0.02 + lag(vapour * held, tau_s=20.0, dt_s=dt_s),
        "power_kw": 0.6 * current * turning + 0.3 * on,
    }


MIXER = Kind(
    name="mixer",
    channels=_CHANNELS,
    faults=_FAULTS,
    modes=_PHASES,
    dwell_s=(60.0, 900.0),
    physics=_physics,
    cycle_s=((60.0, 420.0), (240.0, 300.0), (500.0, 700.0), (300.0, 600.0), (420.0, 560.0), (200.0, 280.0)),
    wears=("jacket_fouling",),
)
