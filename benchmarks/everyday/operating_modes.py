"""Machines that do different things at different hours: products, set points, batches, cycles, weather."""

import numpy as np

from benchmarks.everyday.parts import (
    DAY_ROWS,
    HOUR_ROWS,
    PERIOD_S,
    Columns,
    Floats,
    Week,
    break_down,
    drive,
    even_demand,
    minutes,
    moments,
    noise,
    smooth,
    stays,
)
from simulator.dynamics import settling

_DAYS = 8
_ROWS = _DAYS * DAY_ROWS
_BREAKS_AT = _ROWS - DAY_ROWS // 2
_TWO_HOURS = 2 * HOUR_ROWS

# phase: (shortest, longest, level at its end, temperature aimed at, time constant, agitator, power)
_BATCH = {
    "fill": (40, 55, 80.0, 25.0, 25.0, 0.0, 1.0),
    "heat": (80, 110, 80.0, 85.0, 25.0, 120.0, 18.0),
    "hold": (60, 75, 80.0, 85.0, 25.0, 60.0, 6.0),
    "drain": (30, 45, 0.0, 60.0, 25.0, 0.0, 2.0),
    "idle": (30, 180, 0.0, 25.0, 66.0, 0.0, 0.2),
}


def set_points(rng: np.random.Generator) -> Week:
    """An extruder's zone that people move between 180, 185 and 190 degC every two to six hours."""
    wanted = stays(rng, _ROWS, levels=(180.0, 185.0, 190.0), shortest=540, longest=2160)
    return _zone(rng, wanted, lag=60.0)


def ramped_set_point(rng: np.random.Generator) -> Week:
    """A furnace's set point climbs and falls by one kelvin a minute between holds, some five times a day."""
    levels = stays(rng, _ROWS, levels=(640.0, 690.0, 740.0), shortest=1200, longest=2400)
    wanted = levels.copy()
    most = PERIOD_S / 60.0
    value = float(levels[0])
    for row, level in enumerate(levels.tolist()):
        value += min(max(level - value, -most), most)
        wanted[row] = value
    held = smooth(wanted, 12.0)
    climb = np.gradient(held) / most
    power = 60.0 + 0.16 * (held - 640.0) + 14.0 * climb + noise(rng, _ROWS, memory=3.0, size=0.8)
    columns = {
        "setpoint": np.round(wanted, 1),
        "zone": np.round(held + noise(rng, _ROWS, memory=20.0, size=0.4), 1),
        "power": np.round(power, 1),
        "shell": np.round(0.09 * smooth(held, 360.0) + noise(rng, _ROWS, memory=60.0, size=0.3), 1),
        "gas_flow": np.round(0.5 * power + noise(rng, _ROWS, memory=2.0, size=0.5), 1),
    }
    part = slice(_BREAKS_AT, _BREAKS_AT + _TWO_HOURS)
    columns["power"][part] *= 1.15  # a lining that has cracked
    columns["shell"][part] += 6.0
    return Week(columns, (part.start, part.stop))


def batch(rng: np.random.Generator) -> Week:
    """Fill, heat, hold, drain, wait; the fault lies across phases: a third more power and six kelvin less."""
    level, aim, lag, agitator, power = (np.empty(_ROWS) for _ in range(5))
    at, last = 0, 0.0
    while at < _ROWS:
        for shortest, longest, end, degc, tau, turns, kw in _BATCH.values():
            stop = at + int(rng.integers(shortest, longest))
            part = slice(at, stop)
            count = len(level[part])
            level[part] = np.linspace(last, end, stop - at)[:count]
            aim[part], lag[part], agitator[part], power[part] = degc, tau * PERIOD_S, turns, kw
            at, last = stop, end
    warm = settling(aim, lag, dt_s=PERIOD_S)
    columns = {
        "level": level + noise(rng, _ROWS, memory=1.5, size=0.3),
        "temperature": warm + noise(rng, _ROWS, memory=9.0, size=0.2),
        "agitator": smooth(agitator, 3.0) + 0.4 * rng.standard_normal(_ROWS),
        "power": smooth(power, 3.0) * (1.0 + 0.03 * rng.standard_normal(_ROWS)),
        "jacket": smooth(warm, 12.0) + noise(rng, _ROWS, memory=9.0, size=0.3),
    }
    part = slice(_BREAKS_AT, _BREAKS_AT + _TWO_HOURS)
    columns["power"][part] *= 1.35
    columns["temperature"][part] -= 6.0
    return Week(columns, (part.start, part.stop))


def three_products(rng: np.random.Generator) -> Week:
    """Three products that ask for other loads, each for two to five hours."""
    product = stays(rng, _ROWS, levels=(0.8, 1.0, 1.25), shortest=720, longest=1800)
    return _driven(rng, smooth(product, 6.0) * even_demand(rng, _ROWS))


def load_taken_away(rng: np.random.Generator) -> Week:
    """Five times a day there is little to do for ten to twenty-five minutes."""
    share = np.ones(_ROWS)
    for at in moments(rng, days=_DAYS, a_day=5, longest=minutes(25)):
        share[at : at + int(rng.integers(minutes(10), minutes(25)))] = 0.3
    return _driven(rng, share * even_demand(rng, _ROWS))


def busy_days(rng: np.random.Generator) -> Week:
    """More to do at noon than at night, every day another amount."""
    hour = 2.0 * np.pi * np.arange(_ROWS) / DAY_ROWS
    swing = 0.12 + noise(rng, _ROWS, memory=DAY_ROWS, size=0.02)
    return _driven(rng, even_demand(rng, _ROWS) - swing * np.cos(hour))


def weather_of_the_hall(rng: np.random.Generator) -> Week:
    """The hall is warm in the afternoon, and fronts pass: some days are warmer than the one that was learnt."""
    hour = 2.0 * np.pi * np.arange(_ROWS) / DAY_ROWS
    hall = 20.0 - 3.0 * np.cos(hour - 0.8) + noise(rng, _ROWS, memory=2.0 * DAY_ROWS, size=1.5)
    columns = drive(rng, np.ones(_ROWS), even_demand(rng, _ROWS), hall=hall)
    columns["hall"] = np.round(hall + noise(rng, _ROWS, memory=30.0, size=0.1), 1)
    return Week(columns, break_down(columns, at=_BREAKS_AT))


def loading_compressor(rng: np.random.Generator) -> Week:
    """It loads below 6.6 bar and unloads above 7.2, less often at night. The fault: rough and six kelvin warmer."""
    hour = 2.0 * np.pi * np.arange(_ROWS) / DAY_ROWS
    drawn = 0.55 - 0.12 * np.cos(hour) + noise(rng, _ROWS, memory=60.0, size=0.06)
    loaded, pressure, on, bar = np.empty(_ROWS), np.empty(_ROWS), 1.0, 6.9
    for row, taken in enumerate(drawn.tolist()):
        bar += 0.06 * (on - taken)
        on = 1.0 if bar < 6.6 else 0.0 if bar > 7.2 else on
        loaded[row], pressure[row] = on, bar
    columns = {
        "receiver": np.round(pressure + 0.01 * rng.standard_normal(_ROWS), 2),
        "current": np.round(22.0 + 40.0 * loaded + noise(rng, _ROWS, memory=2.0, size=0.5), 1),
        "air_flow": np.round(12.0 * loaded + 0.1 * rng.standard_normal(_ROWS), 1),
        "oil": np.round(62.0 + 25.0 * smooth(loaded, 90.0) + noise(rng, _ROWS, memory=30.0, size=0.3), 1),
        "vibration": (1.2 + 0.8 * loaded) * np.exp(noise(rng, _ROWS, memory=1.0, size=0.07)),
        "loaded": loaded,
    }
    part = slice(_BREAKS_AT, _BREAKS_AT + _TWO_HOURS)
    columns["vibration"][part] *= 1.6
    columns["oil"][part] += 6.0
    return Week(columns, (part.start, part.stop))


def defrosting(rng: np.random.Generator) -> Week:
    """A cold store whose coil is warmed for eighteen minutes every six hours. The fault: ice drags on the fan."""
    melting = np.zeros(_ROWS)
    for at in range(HOUR_ROWS, _ROWS, 6 * HOUR_ROWS):
        begin = at + int(rng.integers(-minutes(10), minutes(10)))
        melting[begin : begin + minutes(18)] = 1.0
    goods = noise(rng, _ROWS, memory=360.0, size=0.25)
    cooling = 1.0 - melting
    columns = {
        "room": -18.0 + 1.6 * smooth(melting, 90.0) / 0.7 + goods + noise(rng, _ROWS, memory=10.0, size=0.08),
        "coil": smooth(-26.0 + 33.0 * melting, 20.0) + goods + noise(rng, _ROWS, memory=5.0, size=0.15),
        "suction": smooth(1.4 * cooling + 2.2 * melting, 8.0) + noise(rng, _ROWS, memory=3.0, size=0.015),
        "compressor_current": smooth(15.0 * cooling, 2.0) + noise(rng, _ROWS, memory=3.0, size=0.15),
        "heater_current": smooth(9.0 * melting, 1.0) + 0.02 * rng.standard_normal(_ROWS),
        "fan_current": smooth(1.9 * cooling, 2.0) + noise(rng, _ROWS, memory=3.0, size=0.02),
    }
    part = slice(_BREAKS_AT, _BREAKS_AT + _TWO_HOURS)
    columns["fan_current"][part] *= 1.2
    columns["coil"][part] -= 2.5
    return Week({name: np.round(column, 2) for name, column in columns.items()}, (part.start, part.stop))


def two_pumps_in_turn(rng: np.random.Generator) -> Week:
    """Two pumps work in turn and change over at six in the morning and in the evening. One of them breaks down."""
    turn = (np.arange(_ROWS) + 6 * HOUR_ROWS + int(rng.integers(-60, 61))) // (12 * HOUR_ROWS) % 2
    demand = even_demand(rng, _ROWS)
    pumps = [drive(rng, (turn == pump).astype(np.float64), demand) for pump in (0, 1)]
    both = {name: pumps[0][name] + pumps[1][name] for name in ("flow", "pressure")}
    own: Columns = {
        f"{name}_{'ab'[pump]}": pumps[pump][name] for pump in (0, 1) for name in ("current", "vibration")
    }
    columns = both | own
    part = slice(_BREAKS_AT, _BREAKS_AT + HOUR_ROWS)
    guilty = "ab"[int(turn[_BREAKS_AT])]
    columns[f"vibration_{guilty}"][part] *= 1.8
    columns[f"current_{guilty}"][part] *= 1.15
    return Week(columns, (part.start, part.stop))


def cleaned_at_night(rng: np.random.Generator) -> Week:
    """A filler is rinsed with hot lye for forty minutes every night. The fault: a strainer that is half blocked."""
    rinsing = np.zeros(_ROWS)
    for day in range(_DAYS):
        at = day * DAY_ROWS + 2 * HOUR_ROWS + int(rng.integers(-90, 91))
        rinsing[at : at + int(rng.integers(minutes(38), minutes(42)))] = 1.0
    demand = even_demand(rng, _ROWS)
    flow = smooth(demand * (40.0 + 14.0 * rinsing), 3.0) + noise(rng, _ROWS, memory=2.0, size=0.5)
    columns = {
        "flow": flow,
        "pressure": 0.0014 * flow**2 + noise(rng, _ROWS, memory=2.0, size=0.04),
        "temperature": smooth(8.0 + 67.0 * rinsing, 25.0) + noise(rng, _ROWS, memory=10.0, size=0.15),
        "conductivity": smooth(2.1 + 40.0 * rinsing, 8.0) + noise(rng, _ROWS, memory=6.0, size=0.03),
        "pump_current": 2.5 + 0.11 * flow + noise(rng, _ROWS, memory=2.0, size=0.08),
        "lye_valve": rinsing,
    }
    part = slice(_BREAKS_AT, _BREAKS_AT + _TWO_HOURS)
    columns["flow"][part] *= 0.88
    columns["pressure"][part] *= 1.2
    return Week({name: np.round(column, 2) for name, column in columns.items()}, (part.start, part.stop))


def _zone(rng: np.random.Generator, wanted: Floats, *, lag: float) -> Week:
    """A heated zone of an extruder; the fault: 14 bar more before the screen for two hours."""
    zone = smooth(wanted, lag)
    heat = np.clip(0.4 + 0.01 * (zone - 180.0) + 0.3 * np.gradient(zone), 0.0, 1.0)
    columns = {
        "setpoint": wanted,
        "zone": np.round(zone + noise(rng, _ROWS, memory=20.0, size=0.3), 1),
        "heater": np.round(100.0 * heat + noise(rng, _ROWS, memory=3.0, size=1.5), 1),
        "screw_speed": np.round(80.0 + noise(rng, _ROWS, memory=9.0, size=0.5), 1),
        "melt_pressure": np.round(120.0 - 0.6 * (zone - 180.0) + noise(rng, _ROWS, memory=9.0, size=1.0), 1),
    }
    columns["melt_pressure"][_BREAKS_AT : _BREAKS_AT + _TWO_HOURS] += 14.0
    return Week(columns, (_BREAKS_AT, _BREAKS_AT + _TWO_HOURS))


def _driven(rng: np.random.Generator, demand: Floats) -> Week:
    columns = drive(rng, np.ones(_ROWS), demand)
    return Week(columns, break_down(columns, at=_BREAKS_AT))
