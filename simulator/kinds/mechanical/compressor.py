"""An oil-injected screw compressor with a receiver: it loads and unloads between two pressures. One machine.

The receiver is isothermal, V dp/dt = p0 (q_in - q_out); loaded power rises with the pressure ratio, unloaded it is
about a quarter (Compressed Air Challenge, "Improving compressed air system performance", DOE 2003). Pressures in bar
gauge, flows in m3/s of free air, temperatures in degC.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.dynamics import bursts, hall, lag, per_mode, roughness, spread, varied, wander
from simulator.records import Channel, Fault, Floats, Kind, Scene

_CHANNELS = (
    Channel("receiver_pressure", "bar", 0.008, 0.01),
    Channel("motor_current", "A", 0.4, 0.1),
    Channel("air_flow", "m3/min", 0.04, 0.01),
    Channel("oil_temperature", "degC", 0.1, 0.1),
    Channel("outlet_temperature", "degC", 0.15, 0.1),
    Channel("separator_dp", "bar", 0.004, 0.001),
    Channel("intake_vacuum", "mbar", 0.3, 0.1),
    Channel("load_share", "%", 0.1, 0.1),
    Channel("vibration", "mm/s", 0.03, 0.01),
    Channel("dew_point", "degC", 0.05, 0.1),
    Channel("loaded", "1", 0.0, 1.0, "state"),
)
_FAULTS = (
    Fault("air_leak", ("load_share",), "the network leaks: it loads longer for the same work"),
    Fault("intake_filter_clogged", ("intake_vacuum",), "the filter holds dust: deep vacuum, less air"),
    Fault("separator_clogged", ("separator_dp",), "the oil separator is full: pressure is lost in it"),
    Fault(
        "oil_cooler_fouled", ("oil_temperature", "outlet_temperature"), "the cooler is dirty: oil runs hot"
    ),
    Fault(
        "unloading_valve_leaks",
        ("motor_current",),
        "the intake valve does not close: unloaded it draws nearly as much as loaded",
    ),
    Fault("bearing_wear", ("vibration", "outlet_temperature"), "the air end's bearing is rough and warm"),
    Fault("dryer_failure", ("dew_point",), "the dryer's cold circuit fails: wet air"),
)
_P0 = 1.013
_NETWORK_LEAK = 0.04  # of the rated flow, in any network


@dataclass(frozen=True, slots=True)
class _Compressor:
    """Constants of one compressor and its network."""

    rated_m3_s: float
    volume_m3: float
    low_bar: float
    band_bar: float
    loaded_kw: float
    unloaded_share: float
    oil_rise_k: float
    outlet_rise_k: float
    separator_bar: float
    vacuum_mbar: float
    roughness: float  # vibration when loaded, mm/s
    dew_degc: float


def _draw(rng: np.random.Generator) -> _Compressor:
    return _Compressor(
        rated_m3_s=spread(rng, 0.12),
        volume_m3=spread(rng, 9.0, 0.2),
        low_bar=spread(rng, 6.6, 0.05),
        band_bar=spread(rng, 0.8, 0.2),
        loaded_kw=spread(rng, 45.0),
        unloaded_share=spread(rng, 0.26, 0.15),
        oil_rise_k=spread(rng, 48.0),
        outlet_rise_k=spread(rng, 16.0, 0.15),
        separator_bar=spread(rng, 0.22, 0.2),
        vacuum_mbar=spread(rng, 22.0, 0.2),
        roughness=spread(rng, 2.4, 0.2),
        dew_degc=spread(rng, 4.0, 0.3),
    )


def _receiver(machine: _Compressor, scene: Scene, *, drawn: Floats, pumped: Floats) -> tuple[Floats, Floats]:
    """March pressure in bar [R] and whether it is loaded, 0 or 1 [R].

    Args:
        machine: The compressor.
        scene: When it runs, and the severity of leaks.
        drawn: What consumers draw, m3/s [R].
        pumped: What it delivers when loaded, m3/s [R].
    """
    per_m3 = _P0 * scene.dt_s / machine.volume_m3
    low, high = machine.low_bar, machine.low_bar + machine.band_bar
    hole = machine.rated_m3_s * (_NETWORK_LEAK + 0.3 * scene.severity["air_leak"])
    pressure, loading = low + 0.5 * machine.band_bar, 0.0
    pressures, loads = [], []
    rows = zip(drawn.tolist(), pumped.tolist(), hole.tolist(), scene.run.tolist(), strict=True)
    for wanted, flow, leak, on in rows:
        if pressure <= low:
            loading = 1.0
        elif pressure >= high:
            loading = 0.0
        loading *= on
        # A hole lets through in proportion to the absolute pressure; nobody draws from an empty network.
        lost = leak * (pressure + _P0) / 8.0 * min(pressure, 1.0)
        pressure = max(pressure + per_m3 * (flow * loading - wanted * min(pressure, 1.0) - lost), 0.0)
        pressures.append(pressure)
        loads.append(loading)
    return np.asarray(pressures), np.asarray(loads)


def _physics(scene: Scene) -> Mapping[str, Floats]:
    rng, rows, dt_s, bad, on = scene.streams.process, scene.rows, scene.dt_s, scene.severity, scene.run
    machine, air = _draw(scene.streams.machine), hall(scene)
    asked = lag(per_mode(scene.mode, (0.3, 0.5, 0.7)) * scene.demand, tau_s=60.0, dt_s=dt_s)
    asked = asked * varied(rng, rows, by=0.05, tau_s=20.0, dt_s=dt_s)
    asked = np.maximum(asked * varied(rng, rows, by=0.04, tau_s=600.0, dt_s=dt_s), 0.0)
    dusty = bad["intake_filter_clogged"]
    pumped = machine.rated_m3_s * (1.0 - 0.06 * dusty)
    # While the factory is off its valves are shut: what is left goes through the leaks.
    drawn = machine.rated_m3_s * asked * on
    pressure, loaded = _receiver(machine, scene, drawn=drawn, pumped=pumped)
    unload = machine.unloaded_share + 0.55 * bad["unloading_valve_leaks"]
    full = ((pressure + _P0) / 8.0) ** 0.3 * (1.0 + 0.05 * bad["separator_clogged"])
    power = machine.loaded_kw * on * np.where(loaded > 0.0, full, unload)
    power = lag(power, tau_s=2.0, dt_s=dt_s)
    duty = lag(loaded, tau_s=600.0, dt_s=dt_s)
    through = lag(loaded, tau_s=3.0, dt_s=dt_s)
    work = 0.75 * through + 0.25 * power / machine.loaded_kw
    hot = 1.0 + 0.45 * bad["oil_cooler_fouled"]
    oil = lag(machine.oil_rise_k * (0.45 * on + 0.55 * work) * hot, tau_s=420.0, dt_s=dt_s)
    knock = bad["bearing_wear"] * (0.7 + 0.4 * bursts(rng, rows, tau_s=10.0, dt_s=dt_s))
    outlet = machine.outlet_rise_k * (0.25 * on + 0.75 * work) + 9.0 * on * bad["bearing_wear"]
    rough = machine.roughness * (0.55 * on + 0.45 * through + on * knock) * roughness(rng, rows, dt_s=dt_s)
    wet = 16.0 * bad["dryer_failure"] * (1.0 + 0.5 * duty)
    dew = (
        machine.dew_degc
        + 0.4 * wander(rng, rows, tau_s=900.0, dt_s=dt_s)
        + 0.12 * (air - 20.0)
        + 1.5 * duty
        + wet
    )
    return {
        "receiver_pressure": pressure,
        "motor_current": power * 1.75 + 3.0 * on,
        "air_flow": 60.0 * pumped * through,
        "oil_temperature": air + oil,
        "outlet_temperature": air + oil + lag(outlet, tau_s=40.0, dt_s=dt_s),
        "separator_dp": machine.separator_bar * np.square(through) * (1.0 + 2.5 * bad["separator_clogged"]),
        "intake_vacuum": machine.vacuum_mbar * np.square(through) * (1.0 + 2.8 * dusty),
        "load_share": 100.0 * duty,
        "vibration": 0.05 + rough,
        "dew_point": lag(dew, tau_s=300.0, dt_s=dt_s),
        "loaded": loaded,
        "power_kw": power,
    }


COMPRESSOR = Kind(
    name="compressor",
    channels=_CHANNELS,
    faults=_FAULTS,
    modes=("low_demand", "normal_demand", "high_demand"),
    dwell_s=(300.0, 1800.0),
    physics=_physics,
    wears=("intake_filter_clogged", "separator_clogged"),
)
