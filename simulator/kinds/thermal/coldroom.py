"""A cold store: a thermostat switches the compressor, frost grows on the coil and is melted every few hours. One room.

Two heat balances (coil, air with goods). The coil gives less as frost insulates it; each defrost puts heat in and takes
the frost away, which no controller calls a fault. At night nobody opens the door, and it stays cold. Temperatures in
degC, heat in kW, pressures in bar gauge.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from simulator.dynamics import bursts, gain_of, hall, lag, per_mode, roughness, spread, varied, wander
from simulator.records import Channel, Fault, Floats, Kind, Scene

_CHANNELS = (
    Channel("room_temperature", "degC", 0.05, 0.1),
    Channel("coil_temperature", "degC", 0.1, 0.1),
    Channel("goods_temperature", "degC", 0.03, 0.1),
    Channel("suction_pressure", "bar", 0.015, 0.01),
    Channel("head_pressure", "bar", 0.05, 0.01),
    Channel("compressor_current", "A", 0.12, 0.1),
    Channel("fan_current", "A", 0.015, 0.01),
    Channel("compressor_share", "%", 0.1, 0.1),
    Channel("vibration", "mm/s", 0.03, 0.01),
    Channel("compressor_on", "1", 0.0, 1.0, "state"),
    Channel("defrost", "1", 0.0, 1.0, "state"),
)
_FAULTS = (
    Fault("refrigerant_leak", ("compressor_share",), "low charge: it runs longer, at a low pressure"),
    Fault("condenser_dirty", ("head_pressure",), "dust on the condenser: high pressure"),
    Fault("fan_blade_iced", ("fan_current",), "ice drags on the coil's fan"),
    Fault("door_seal_torn", ("compressor_share",), "warm air comes in all the time"),
    Fault("compressor_wear", ("vibration",), "worn bearings: rough"),
    Fault(
        "thermostat_drift", ("goods_temperature",), "the thermostat reads too cold: room and goods are warm"
    ),
)
_DEFROST_S = 1080.0
_SHARE_S = 1800.0  # what the share of running is a mean of


@dataclass(frozen=True, slots=True)
class _ColdRoom:
    """Constants of one room."""

    target_degc: float
    band_k: float
    cooling_kw: float
    wall_kw_k: float
    room_kj_k: float
    coil_kw_k: float  # from the coil to the air
    defrost_every_s: float
    head_bar: float
    rated_a: float
    fan_a: float
    roughness: float


def _draw(rng: np.random.Generator) -> _ColdRoom:
    return _ColdRoom(
        target_degc=float(rng.uniform(-21.0, 4.0)),
        band_k=spread(rng, 1.6, 0.25),
        cooling_kw=spread(rng, 9.0, 0.1),
        wall_kw_k=spread(rng, 0.05, 0.15),
        room_kj_k=spread(rng, 1100.0, 0.2),
        coil_kw_k=spread(rng, 1.0, 0.12),
        defrost_every_s=spread(rng, 6.0, 0.3) * 3600.0,
        head_bar=spread(rng, 11.0, 0.1),
        rated_a=spread(rng, 15.0, 0.1),
        fan_a=spread(rng, 1.8, 0.1),
        roughness=spread(rng, 1.3, 0.25),
    )


def _march(
    room: _ColdRoom, scene: Scene, *, warmth: Floats, air: Floats, defrost: Floats, frost: Floats
) -> Floats:
    """March the thermostat, coil and air; returns room and coil in degC, compressor 0 or 1, [3, R].

    Args:
        room: The room.
        scene: Severities and rate.
        warmth: Heat of doors, people and fresh goods, kW [R].
        air: Outside, degC [R].
        defrost: 1 while the coil is melted free, [R].
        frost: How thick frost is, 0..1 [R].
    """
    dt_s, bad = scene.dt_s, scene.severity
    low, high = room.target_degc - 0.5 * room.band_k, room.target_degc + 0.5 * room.band_k
    capacity = room.cooling_kw * (1.0 - 0.3 * bad["refrigerant_leak"]) * (1.0 - 0.05 * bad["condenser_dirty"])
    colder = 3.5 * bad["thermostat_drift"]
    open_share = room.coil_kw_k * (1.0 - 0.3 * frost)
    coil_gain = gain_of(60.0, dt_s)
    inside, coil, on = room.target_degc, room.target_degc - 4.0, 0.0
    states = []
    rows = np.stack((warmth, air, defrost, open_share, capacity, colder), axis=1)
    for extra, outside, melting, link, full, misread in rows.tolist():
        seen = inside - misread
        on = 1.0 if seen >= high else 0.0 if seen <= low else on
        on *= 1.0 - melting
        # A coil of little mass settles where what it takes from the air is what the compressor takes from it.
        goal = 6.0 if melting else inside - on * full / link
        coil += coil_gain * (goal - coil)
        pull = 0.1 * link * (inside - coil) if melting else on * link * (inside - coil)
        gained = room.wall_kw_k * (outside - inside) + extra - pull
        inside += dt_s * gained / room.room_kj_k
        states.append((inside, coil, on))
    return np.asarray(states).T


def _physics(scene: Scene) -> Mapping[str, Floats]:
    rng, rows, dt_s, bad, run = scene.streams.process, scene.rows, scene.dt_s, scene.severity, scene.run
    room, air = _draw(scene.streams.machine), hall(scene)
    since = np.arange(rows) * dt_s + scene.streams.machine.uniform(0.0, room.defrost_every_s)
    since = since % room.defrost_every_s
    defrost = np.where(since < _DEFROST_S, 1.0, 0.0)
    frost = np.where(defrost > 0.0, 1.0 - since / _DEFROST_S, since / room.defrost_every_s)
    busy = lag(
        per_mode(scene.mode, (0.4, 0.9, 1.5)) * scene.demand * (0.15 + 0.85 * run), tau_s=600.0, dt_s=dt_s
    )
    doors = bursts(rng, rows, tau_s=120.0, dt_s=dt_s)
    warmth = busy * (0.8 + 0.35 * np.minimum(doors, 4.0)) + 1.6 * bad["door_seal_torn"]
    inside, coil, on = _march(room, scene, warmth=warmth, air=air, defrost=defrost, frost=frost)
    works = lag(on, tau_s=4.0, dt_s=dt_s)
    low_charge, dirty, worn = bad["refrigerant_leak"], bad["condenser_dirty"], bad["compressor_wear"]
    boiling = np.exp(0.033 * (coil - 3.0 - 14.0 * low_charge))
    suction = lag(np.where(on > 0.0, 3.2 * boiling, 3.6 * np.exp(0.03 * coil)), tau_s=25.0, dt_s=dt_s)
    pushed = room.head_bar * (1.0 + 0.022 * (air - 20.0)) * (1.0 + 0.28 * dirty)
    head = lag(np.where(on > 0.0, pushed, 0.6 * room.head_bar), tau_s=40.0, dt_s=dt_s)
    fan_on = 1.0 - defrost
    drag = 1.0 + 0.06 * frost + bad["fan_blade_iced"] * (0.4 + 0.12 * bursts(rng, rows, tau_s=8.0, dt_s=dt_s))
    fan = (
        room.fan_a
        * lag(fan_on, tau_s=3.0, dt_s=dt_s)
        * drag
        * varied(rng, rows, by=0.012, tau_s=60.0, dt_s=dt_s)
    )
    current = room.rated_a * works * (0.55 + 0.45 * head / room.head_bar)
    rough = room.roughness * (0.2 * fan_on + works * (0.8 + 1.2 * worn)) * roughness(rng, rows, dt_s=dt_s)
    heater = 6.0 * defrost
    return {
        "room_temperature": inside + 0.1 * wander(rng, rows, tau_s=30.0, dt_s=dt_s),
        "coil_temperature": coil,
        "goods_temperature": lag(inside, tau_s=2700.0, dt_s=dt_s),
        "suction_pressure": suction,
        "head_pressure": head,
        "compressor_current": current,
        "fan_current": fan,
        "compressor_share": 100.0 * lag(on, tau_s=_SHARE_S, dt_s=dt_s),
        "vibration": 0.04 + rough,
        "compressor_on": on,
        "defrost": defrost,
        "power_kw": 0.55 * current + 0.2 * fan + heater,
    }


COLDROOM = Kind(
    name="coldroom",
    channels=_CHANNELS,
    faults=_FAULTS,
    modes=("few_goods", "normal_goods", "many_goods"),
    dwell_s=(1800.0, 7200.0),
    physics=_physics,
    step_s=5.0,
    wears=("condenser_dirty",),
    keeps_on=True,
)
