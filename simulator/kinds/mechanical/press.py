"""A hydraulic press that moulds parts: close, press, cure, open. One machine; no flow of the moulded material.

Oil is nearly incompressible: pressure in the cylinder is lost by leakage and topped up by the pump. What the pump puts
in and does not leave as work heats the oil; a cooler takes it out. Lengths in mm, pressures in bar, flows in l/min.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.dynamics import bursts, hall, lag, per_mode, roughness, settling, spread, varied, wander
from simulator.records import Channel, Fault, Floats, Kind, Scene

_CHANNELS = (
    Channel("ram_position", "mm", 0.2, 0.1),
    Channel("cylinder_pressure", "bar", 0.6, 0.1),
    Channel("peak_pressure", "bar", 0.0, 0.1),
    Channel("pump_flow", "l/min", 0.4, 0.1),
    Channel("pump_power", "kW", 0.08, 0.01),
    Channel("accumulator_pressure", "bar", 0.5, 0.1),
    Channel("oil_temperature", "degC", 0.1, 0.1),
    Channel("oil_level", "mm", 0.5, 0.5),
    Channel("filter_dp", "bar", 0.02, 0.01),
    Channel("mould_temperature", "degC", 0.15, 0.1),
    Channel("mould_heater", "%", 0.4, 0.1),
    Channel("vibration", "mm/s", 0.04, 0.01),
)
_FAULTS = (
    Fault(
        "cylinder_seal_leak",
        (
            "pump_power",
            "oil_temperature",
            "pump_flow",
        ),
        "oil slips past the piston: topped up while it cures",
    ),
    Fault("pump_wear", ("vibration",), "the pump is worn: rough, and it delivers less"),
    Fault("cooler_fouled", ("oil_temperature",), "the oil cooler is dirty"),
    Fault("filter_clogged", ("filter_dp",), "the return filter is full"),
    Fault("accumulator_gas_loss", ("accumulator_pressure",), "nitrogen is lost: the pressure swings"),
    Fault(
        "mould_heater_failure",
        ("mould_temperature", "mould_heater"),
        "heating rods burn out: the rest runs at its limit, the mould is too cold",
    ),
    Fault("oil_leak", ("oil_level",), "a hose leaks: the tank empties"),
    Fault("relief_valve_low", ("peak_pressure", "cylinder_pressure"), "the relief valve opens too early"),
)
_OPEN, _CLOSE, _PRESS, _CURE, _RISE = range(5)
_PHASES = ("waiting", "closing", "pressing", "curing", "opening")


@dataclass(frozen=True, slots=True)
class _Press:
    """Constants of one press."""

    stroke_mm: float
    force_bar: float  # pressure in the cylinder while it cures
    rapid_l_min: float
    base_kw: float
    oil_k_kw: float  # warmth of the oil, K per kW lost
    level_mm: float
    filter_bar: float
    mould_degc: float
    mould_k: float  # rise at full heating
    roughness: float


def _draw(rng: np.random.Generator) -> _Press:
    return _Press(
        stroke_mm=spread(rng, 420.0, 0.2),
        force_bar=spread(rng, 185.0, 0.12),
        rapid_l_min=spread(rng, 72.0, 0.12),
        base_kw=spread(rng, 2.2, 0.2),
        oil_k_kw=spread(rng, 3.4, 0.15),
        level_mm=spread(rng, 310.0, 0.08),
        filter_bar=spread(rng, 0.8, 0.25),
        mould_degc=spread(rng, 165.0, 0.06),
        mould_k=spread(rng, 290.0, 0.06),
        roughness=spread(rng, 1.2, 0.25),
    )


def _last_peak(pressure: Floats, phase: Floats) -> Floats:
    """Highest pressure of the cycle before the present one, [R]; of the first cycle, its own."""
    starts = np.concatenate(([0], np.flatnonzero(np.diff(phase) < 0.0) + 1))
    peaks = np.maximum.reduceat(pressure, starts)
    shown = np.concatenate((peaks[:1], peaks[:-1]))
    return np.repeat(shown, np.diff(np.append(starts, len(pressure))))


def _mould(machine: _Press, scene: Scene, air: Floats) -> tuple[Floats, Floats]:
    """Temperature of the mould in degC and its heater 0..1, both [R]: in closed loop, warm within half an hour."""
    rng, rows, dt_s, bad, on = scene.streams.process, scene.rows, scene.dt_s, scene.severity, scene.run
    # The cold material takes heat while it is pressed and cures.
    drawn = lag(per_mode(scene.mode, (0.0, 0.02, 0.12, 0.06, 0.0)) * scene.demand, tau_s=20.0, dt_s=dt_s)
    wanted = (machine.mould_degc - air) / machine.mould_k + lag(drawn, tau_s=40.0, dt_s=dt_s)
    wanted = wanted * varied(rng, rows, by=0.01, tau_s=30.0, dt_s=dt_s)
    alive = 1.0 - 0.6 * bad["mould_heater_failure"]
    short = np.maximum(wanted - alive, 0.0) * machine.mould_k  # K that the heater cannot give
    goal = np.where(on > 0.0, machine.mould_degc - short, air)
    plates = settling(goal, np.where(on > 0.0, 500.0, 4200.0), dt_s=dt_s)
    heater = np.clip((wanted + (machine.mould_degc - plates) / 60.0) / alive, 0.0, 1.0)
    return plates - 45.0 * drawn * on, heater * on


def _physics(scene: Scene) -> Mapping[str, Floats]:
    rng, rows, dt_s, bad, on = scene.streams.process, scene.rows, scene.dt_s, scene.severity, scene.run
    machine, air, mode = _draw(scene.streams.machine), hall(scene), scene.mode
    leak, worn = bad["cylinder_seal_leak"], bad["pump_wear"]
    travel = 1.0 / (1.0 - 0.3 * worn)
    ram = settling(per_mode(mode, (1.0, 0.0, 0.0, 0.0, 1.0)), np.full(rows, 2.0) * travel, dt_s=dt_s)
    relief = 1.0 - 0.22 * bad["relief_valve_low"]
    force = machine.force_bar * scene.demand * relief * varied(rng, rows, by=0.006, tau_s=120.0, dt_s=dt_s)
    pressure = lag(per_mode(mode, (0.04, 0.1, 1.02, 1.0, 0.12)) * force * on, tau_s=1.5, dt_s=dt_s)
    pressure = pressure * (1.0 - 0.03 * leak * varied(rng, rows, by=0.3, tau_s=8.0, dt_s=dt_s))
    holding = per_mode(mode, (0.0, 0.0, 0.5, 1.0, 0.0))
    slip = leak * holding * (22.0 + 7.0 * bursts(rng, rows, tau_s=5.0, dt_s=dt_s))
    moved = machine.rapid_l_min * per_mode(mode, (0.06, 1.0, 0.35, 0.08, 0.9)) * on * (1.0 - 0.12 * worn)
    flow = lag(moved, tau_s=1.0, dt_s=dt_s) * varied(rng, rows, by=0.01, tau_s=4.0, dt_s=dt_s) + slip
    power = machine.base_kw * on + (flow * (pressure + 18.0 * on)) / 600.0 / (0.85 - 0.12 * worn)
    lost = lag(power, tau_s=300.0, dt_s=dt_s) * (1.0 + 0.8 * bad["cooler_fouled"])
    water = 1.5 * wander(rng, rows, tau_s=1500.0, dt_s=dt_s)
    oil = lag(air + (6.0 + water) * on + machine.oil_k_kw * lost, tau_s=1500.0, dt_s=dt_s)
    thin = np.exp(-0.02 * (oil - 45.0))  # viscosity
    swing = wander(rng, rows, tau_s=25.0, dt_s=dt_s)
    gas = 1.0 - 0.3 * bad["accumulator_gas_loss"]
    taken = lag(per_mode(mode, (0.0, 1.0, 0.7, 0.1, 0.6)), tau_s=6.0, dt_s=dt_s)
    charge = (165.0 + (8.0 * swing - 14.0 * taken) * on) * gas
    empty = 60.0 * bad["oil_leak"] + 7.0 * (1.0 - ram)
    mould, heater = _mould(machine, scene, air)
    rough = machine.roughness * (0.35 * on + 0.5 * flow / machine.rapid_l_min + 0.9 * on * worn)
    return {
        "ram_position": machine.stroke_mm * ram,
        "cylinder_pressure": pressure,
        "peak_pressure": _last_peak(pressure, mode.astype(np.float64)),
        "pump_flow": flow,
        "pump_power": power,
        "accumulator_pressure": charge,
        "oil_temperature": oil,
        "oil_level": machine.level_mm + 0.1 * (oil - 45.0) - empty,
        "filter_dp": machine.filter_bar
        * (flow / machine.rapid_l_min)
        * thin
        * (1.0 + 2.2 * bad["filter_clogged"]),
        "mould_temperature": mould,
        "mould_heater": 100.0 * heater,
        "vibration": 0.05 + rough * roughness(rng, rows, dt_s=dt_s),
        "power_kw": power + 12.0 * heater,
    }


PRESS = Kind(
    name="press",
    channels=_CHANNELS,
    faults=_FAULTS,
    modes=_PHASES,
    dwell_s=(3.0, 110.0),
    physics=_physics,
    cycle_s=((5.0, 20.0), (6.0, 9.0), (4.0, 6.0), (50.0, 65.0), (6.0, 9.0)),
    wears=("filter_clogged", "cooler_fouled"),
)
