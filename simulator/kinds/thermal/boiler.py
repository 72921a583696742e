"""A gas-fired steam boiler: burner holds the pressure, feed water the level, blow-down the salt. One machine.

Steam is what the heat beyond warming the feed water evaporates; pressure integrates what is made and not drawn, salt
what the feed water brings. Efficiency by the flue gas (Siegert's formula). t/h, bar gauge, mm of level, degC, % O2.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.dynamics import (
    clamp_of,
    gain_of,
    hall,
    idle_s,
    lag,
    per_mode,
    settling,
    spread,
    varied,
    wander,
)
from simulator.records import Channel, Fault, Floats, Kind, Scene

_CHANNELS = (
    Channel("steam_pressure", "bar", 0.012, 0.01),
    Channel("steam_flow", "t/h", 0.02, 0.01),
    Channel("feed_flow", "t/h", 0.025, 0.01),
    Channel("feed_temperature", "degC", 0.1, 0.1),
    Channel("water_level", "mm", 1.0, 1.0),
    Channel("gas_flow", "m3/h", 0.8, 0.5),
    Channel("burner_load", "%", 0.2, 0.1),
    Channel("flue_temperature", "degC", 0.4, 0.1),
    Channel("oxygen", "%", 0.03, 0.01),
    Channel("conductivity", "mS/cm", 0.02, 0.01),
    Channel("feed_pump_speed", "%", 0.2, 0.1),
)
_FAULTS = (
    Fault("scale_on_tubes", ("flue_temperature",), "lime on the tubes: heat leaves through the stack"),
    Fault("air_ratio_high", ("oxygen",), "the air damper is out of tune: too much air"),
    Fault("feed_pump_wear", ("feed_pump_speed",), "the feed pump is worn: faster for the same water"),
    Fault("level_sensor_drift", ("water_level",), "lime in the level pot: it jumps and reads wrong"),
    Fault("blow_down_valve_stuck", ("conductivity",), "no water is let off: salt builds up"),
    Fault(
        "gas_pressure_low", ("burner_load",), "the gas regulator gives too little: the burner opens further"
    ),
    Fault(
        "deaerator_cold", ("feed_temperature",), "the feed water is not heated: more gas, oxygen in the water"
    ),
)
_STEAM_KJ_KG = 2770.0
_STANDBY_AFTER_S = 3600.0


@dataclass(frozen=True, slots=True)
class _Boiler:
    """Constants of one boiler."""

    rated_t_h: float
    target_bar: float
    store_kg_bar: float  # steam that a fall by one bar sets free
    level_mm: float
    flue_degc: float  # at full load
    oxygen: float
    feed_degc: float
    feed_salt: float  # mS/cm
    limit_salt: float


def _draw(rng: np.random.Generator) -> _Boiler:
    return _Boiler(
        rated_t_h=spread(rng, 6.0, 0.25),
        target_bar=spread(rng, 9.5, 0.15),
        store_kg_bar=spread(rng, 55.0, 0.15),
        level_mm=spread(rng, 220.0, 0.1),
        flue_degc=spread(rng, 168.0, 0.06),
        oxygen=spread(rng, 3.4, 0.12),
        feed_degc=spread(rng, 103.0, 0.01),
        feed_salt=spread(rng, 0.28, 0.2),
        limit_salt=spread(rng, 4.2, 0.1),
    )


def _march(
    boiler: _Boiler, target: Floats, drawn: Floats, on: Floats, dt_s: float
) -> tuple[Floats, Floats, Floats]:
    """March pressure in bar, burner 0..1 and steam drawn in t/h, each [R].

    Args:
        boiler: Constants.
        target: Pressure wanted, bar [R].
        drawn: Steam that consumers want, t/h [R].
        on: 1 while consumers are connected, [R].
        dt_s: Seconds a row.
    """
    unit, burner_gain, winding = clamp_of(0.0, 1.0), gain_of(15.0, dt_s), clamp_of(-0.05, 1.0)
    per_bar = dt_s / 3.6 / boiler.store_kg_bar  # bar for a t/h that is made and not drawn
    pressure, burner, integral = float(target[0]), 0.5, 0.5
    states = []
    for wanted, steam, connected in zip(target.tolist(), drawn.tolist(), on.tolist(), strict=True):
        error = wanted - pressure
        integral = winding(integral + 0.0004 * dt_s * error)
        burner += burner_gain * (unit(integral + 0.22 * error) - burner)
        # A falling pressure lets less steam through the valves; walls lose a little always.
        out = steam * connected * min(pressure / boiler.target_bar, 1.1)
        pressure = max(pressure + per_bar * (burner * boiler.rated_t_h - out - 0.012 * boiler.rated_t_h), 0.0)
        states.append((pressure, burner, out))
    table = np.asarray(states)
    return table[:, 0], table[:, 1], table[:, 2]


def _salt(boiler: _Boiler, scene: Scene, feed: Floats) -> Floats:
    """Conductivity of the boiler water, mS/cm [R]: it rises with the feed water until some is let off."""
    hold_kg, open_ = 4000.0, False
    salt = boiler.limit_salt * float(scene.streams.machine.uniform(0.93, 1.0))
    stuck = scene.severity["blow_down_valve_stuck"].tolist()
    shown = []
    for brought, jam in zip((feed * scene.dt_s / 3.6).tolist(), stuck, strict=True):
        open_ = salt > boiler.limit_salt if not open_ else salt > 0.93 * boiler.limit_salt
        let_off = 2.6 * scene.dt_s * open_ * (1.0 - jam)  # kg
        salt += (brought * boiler.feed_salt - let_off * salt) / hold_kg
        shown.append(salt)
    return np.asarray(shown)


def _physics(scene: Scene) -> Mapping[str, Floats]:
    rng, rows, dt_s, bad, on = scene.streams.process, scene.rows, scene.dt_s, scene.severity, scene.run
    boiler, air = _draw(scene.streams.machine), hall(scene)
    load = lag(per_mode(scene.mode, (0.3, 0.5, 0.75)) * scene.demand * on, tau_s=60.0, dt_s=dt_s)
    load = (
        load
        * varied(rng, rows, by=0.04, tau_s=45.0, dt_s=dt_s)
        * varied(rng, rows, by=0.03, tau_s=900.0, dt_s=dt_s)
    )
    rests = idle_s(on, dt_s=dt_s) > _STANDBY_AFTER_S
    target = lag(np.where(rests, 0.5, 1.0) * boiler.target_bar, tau_s=900.0, dt_s=dt_s)
    pressure, burner, steam = _march(boiler, target, np.maximum(load, 0.0) * boiler.rated_t_h, on, dt_s)
    warm = boiler.feed_degc + 0.6 * wander(rng, rows, tau_s=300.0, dt_s=dt_s) - 32.0 * bad["deaerator_cold"]
    scaled, excess = bad["scale_on_tubes"], bad["air_ratio_high"]
    flue = boiler.flue_degc * (0.72 + 0.28 * burner) + 42.0 * scaled * (0.5 + burner) + 8.0 * excess
    oxygen = (
        boiler.oxygen + 1.4 * (1.0 - burner) + 3.2 * excess + 0.12 * wander(rng, rows, tau_s=40.0, dt_s=dt_s)
    )
    lost = 0.008 + (flue - air) * 0.66 / (21.0 - np.minimum(oxygen, 18.0)) / 100.0 * 1.6
    heat_kw = burner * boiler.rated_t_h / 3.6 * (_STEAM_KJ_KG - 4.2 * warm)
    gas = heat_kw / 10.0 / (1.0 - lost)
    fires = lag(burner, tau_s=5.0, dt_s=dt_s)
    level = 6.0 * wander(rng, rows, tau_s=40.0, dt_s=dt_s) - 5.0 * (steam - lag(steam, tau_s=60.0, dt_s=dt_s))
    pot = bad["level_sensor_drift"] * (45.0 + 14.0 * wander(rng, rows, tau_s=9.0, dt_s=dt_s))
    feed = lag(steam * 1.03, tau_s=40.0, dt_s=dt_s) * varied(rng, rows, by=0.025, tau_s=15.0, dt_s=dt_s)
    speed = np.where(feed > 0.02, 0.35 + 0.5 * feed / boiler.rated_t_h, 0.0) * (
        1.0 + 0.22 * bad["feed_pump_wear"]
    )
    cooled = np.where(burner > 0.01, 60.0, 3600.0)
    return {
        "steam_pressure": pressure,
        "steam_flow": steam,
        "feed_flow": feed,
        "feed_temperature": warm,
        "water_level": boiler.level_mm + level + pot,
        "gas_flow": gas,
        "burner_load": 100.0 * np.minimum(fires * (1.0 + 0.28 * bad["gas_pressure_low"]), 1.0),
        "flue_temperature": settling(np.where(burner > 0.01, flue, air), cooled, dt_s=dt_s),
        "oxygen": np.where(burner > 0.01, oxygen, 20.9),
        "conductivity": _salt(boiler, scene, feed),
        "feed_pump_speed": 100.0 * speed,
        "power_kw": 9.0 * np.power(speed, 3.0) + 14.0 * np.power(fires, 2.0) + 0.5,
    }


BOILER = Kind(
    name="boiler",
    channels=_CHANNELS,
    faults=_FAULTS,
    modes=("low_steam", "normal_steam", "high_steam"),
    dwell_s=(900.0, 3600.0),
    physics=_physics,
    step_s=5.0,
    wears=("scale_on_tubes",),
)
