"""An ordinary factory at random: which habits a machine has, and how strongly. No physics.

The shares are guesses of what stands in halls, wide on purpose: a detector that learns from such machines should be
surprised by none.
"""

from typing import TypeVar
from zlib import crc32

import numpy as np

from simulator.dynamics import DAY_S
from simulator.habits import (
    EVERY_DAY,
    AlarmWord,
    Appliance,
    Auxiliary,
    DailyEnergy,
    Door,
    EnergyMeter,
    Fixed,
    Habits,
    Hours,
    HoursMeter,
    PieceCounter,
    PulseCounter,
    Recipe,
    Reporting,
    SetPoint,
    SetPoints,
    StateCode,
    Stops,
    Thermometer,
    Transmitters,
    TroubleRates,
    Upkeep,
    Weather,
)
from simulator.habits.troubles import What
from simulator.records import Kind

_Drawn = TypeVar("_Drawn")
_LEVELS = np.round(np.arange(0.82, 1.145, 0.02), 2)


def ordinary(kind: Kind, *, seed: int) -> Habits:
    """Habits of one machine of that kind; the same seed gives the same ones."""
    parts = np.random.default_rng([seed, crc32(kind.name.encode())]).spawn(11)
    return Habits(
        hours=_hours(parts[0]),
        stops=_sometimes(parts[1], 0.5, _stops(parts[1])),
        setpoints=_setpoints(parts[2]),
        weather=_weather(parts[3]),
        upkeep=_sometimes(parts[4], 0.3, _upkeep(parts[4])),
        appliances=_appliances(parts[5], kind),
        transmitters=_transmitters(parts[6]),
        troubles=_sometimes(parts[7], 0.5, _troubles(parts[7])),
        reporting=_sometimes(parts[8], 0.3, _reporting(parts[8])),
        modes=_modes(parts[9], kind),
        stay_s=_sometimes(parts[10], 0.6, _stay(parts[10])),
    )


def _log(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _sometimes(rng: np.random.Generator, share: float, what: _Drawn) -> _Drawn | None:
    return what if rng.uniform() < share else None


def _hours(rng: np.random.Generator) -> Hours | None:
    begin, jitter, free = rng.uniform(5.0, 8.0), rng.uniform(0.02, 0.3), 0.03 * float(rng.uniform() < 0.3)
    week = Hours(start_h=0.0, stop_h=24.0, jitter_h=0.0, free_share=free)
    two = Hours(start_h=begin, stop_h=begin + 16.0, jitter_h=jitter, free_share=free)
    rest = (begin + rng.uniform(3.5, 5.5), rng.uniform(0.4, 1.0))
    one = Hours(start_h=begin, stop_h=begin + 9.0, pause=rest, jitter_h=jitter, free_share=free)
    nights = Hours(days=EVERY_DAY, start_h=begin, stop_h=begin + rng.uniform(11.0, 17.0), jitter_h=jitter)
    which = int(rng.choice(5, p=(0.35, 0.15, 0.2, 0.15, 0.15)))
    return (None, week, two, one, nights)[which]


def _stops(rng: np.random.Generator) -> Stops:
    longest = rng.uniform(120.0, 1500.0) * float(rng.uniform() < 0.3)
    return Stops(
        per_hour=_log(rng, 0.03, 1.2),
        median_s=_log(rng, 60.0, 600.0),
        spread=rng.uniform(0.4, 1.1),
        changeover_s=(0.3 * longest, longest),
    )


def _setpoints(rng: np.random.Generator) -> SetPoints:
    count = int(rng.choice((1, 2, 3, 4), p=(0.55, 0.15, 0.2, 0.1)))
    levels = rng.choice(_LEVELS, count, replace=False) if count > 1 else np.ones(1)
    low_s = _log(rng, 1200.0, 20_000.0)
    lasting = (float(np.round(rng.uniform(0.84, 1.12), 2)), _log(rng, 2.0, 12.0) * DAY_S)
    return SetPoints(
        levels=tuple(levels.tolist()),
        stay_s=(low_s, low_s * rng.uniform(2.0, 6.0)),
        daily=rng.uniform(0.02, 0.12) * float(rng.uniform() < 0.25),
        fullest_h=rng.uniform(8.0, 19.0),
        wander=rng.uniform(0.01, 0.05) * float(rng.uniform() < 0.4),
        lasting=_sometimes(rng, 0.12, lasting),
    )


def _weather(rng: np.random.Generator) -> Weather:
    if rng.uniform() < 0.3:  # on a roof or in a yard
        return Weather(
            mean=rng.uniform(8.0, 16.0),
            season=rng.uniform(6.0, 12.0),
            day=rng.uniform(3.0, 7.0),
            fronts=rng.uniform(2.0, 4.0),
            warmth=0.0,
        )
    return Weather(
        mean=rng.uniform(18.0, 26.0),
        season=rng.uniform(0.5, 4.0),
        day=rng.uniform(0.5, 3.0),
        fronts=rng.uniform(0.3, 1.5),
        warmth=rng.uniform(0.0, 4.0),
    )


def _upkeep(rng: np.random.Generator) -> Upkeep:
    return Upkeep(every_s=_log(rng, 2.0, 28.0) * DAY_S, wear=rng.uniform(0.01, 0.06))


def _appliances(rng: np.random.Generator, kind: Kind) -> tuple[Appliance, ...]:
    codes = tuple(rng.permutation(np.arange(3, 12))[: len(kind.modes)].tolist())
    recipes = tuple(rng.choice(9000, len(kind.modes), replace=False).tolist())
    bits = tuple(rng.permutation(15)[:3].tolist())
    offered: list[tuple[float, Appliance]] = [
        (0.35, EnergyMeter(start=_log(rng, 10.0, 1e6), step=float(rng.choice((0.01, 0.1, 1.0))))),
        (0.15, DailyEnergy(step=float(rng.choice((0.01, 0.1, 1.0))))),
        (0.12, PulseCounter(start=int(rng.integers(65_536)), per_kwh=_log(rng, 10.0, 1000.0))),
        (0.3, PieceCounter(int(rng.integers(10**6)), _log(rng, 30.0, 5000.0), bool(rng.uniform() < 0.3))),
        (0.2, HoursMeter(start=_log(rng, 10.0, 80_000.0))),
        (0.35, StateCode(running=codes, starting=int(rng.choice((1, 2))))),
        (0.25, AlarmWord(_sometimes(rng, 0.5, bits[0]), bits[1:], _log(rng, 0.05, 3.0))),
        (0.2, Door(_log(rng, 0.5, 20.0), at_stops=bool(rng.uniform() < 0.5))),
        (0.2, Auxiliary("lubricator", _log(rng, 300.0, 3600.0), rng.uniform(0.03, 0.2))),
        (0.15, Auxiliary("fan_on", _log(rng, 600.0, 7200.0), rng.uniform(0.3, 0.7), always=True)),
        (0.25, SetPoint(float(np.round(_log(rng, 5.0, 2000.0), 1)), "1", 0.1)),
        (0.15, Recipe(recipes)),
        (0.2, Fixed(value=float(np.round(_log(rng, 1.0, 1000.0), 1)))),
        (0.2, Thermometer(tau_s=_log(rng, 60.0, 1200.0))),
    ]
    taken = rng.uniform(size=len(offered))
    return tuple(each for (share, each), luck in zip(offered, taken, strict=True) if luck < share)


def _transmitters(rng: np.random.Generator) -> Transmitters:
    tails = rng.uniform(2.4, 6.0) * float(rng.uniform() < 0.4)
    slow = (1, 1, 1, int(rng.integers(2, 30))) if rng.uniform() < 0.3 else (1,)
    return Transmitters(
        noise=(0.5, rng.uniform(1.0, 5.0)), tails=tails, gain=rng.uniform(0.0, 0.02), refresh_rows=slow
    )


def _troubles(rng: np.random.Generator) -> TroubleRates:
    most: dict[What, float] = {
        "spike": 8.0,
        "stuck": 0.3,
        "drift": 0.3,
        "noise": 0.3,
        "dropout": 2.0,
        "outage": 2.0,
        "recalibration": 0.5,
    }
    return TroubleRates(per_week={what: _log(rng, 0.02 * rate, rate) for what, rate in most.items()})


def _reporting(rng: np.random.Generator) -> Reporting:
    by_exception = rng.uniform() < 0.6
    return Reporting(
        deadband=rng.uniform(1.0, 6.0) if by_exception else 0.0,
        heartbeat_s=_log(rng, 120.0, 3600.0),
        lost=_log(rng, 0.0005, 0.03) * float(rng.uniform() < 0.6),
    )


def _stay(rng: np.random.Generator) -> tuple[float, float]:
    shortest_s = _log(rng, 1000.0, 20_000.0)
    return shortest_s, shortest_s * rng.uniform(1.5, 5.0)


def _modes(rng: np.random.Generator, kind: Kind) -> tuple[int, ...]:
    count = len(kind.modes)
    many = int(rng.integers(1, count + 1)) if rng.uniform() < 0.5 else count
    return tuple(sorted(rng.permutation(count)[:many].tolist()))
