"""Steady machines beside which something ordinary is read: meters, doors, valves, quirks of sensors and lines."""

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
from simulator.habits import Reporting
from simulator.records import Channel

_DAYS = 8
_ROWS = _DAYS * DAY_ROWS
_BREAKS_AT = _ROWS - DAY_ROWS // 2
_KW_A_AMPERE = 0.4
_BROKEN_DEGC = -127.0  # what a thermometer reads whose wire is open


def meter(rng: np.random.Generator) -> Week:
    """Energy and pieces are counted, for ever."""
    columns = _steady(rng)
    columns["energy_kwh"] = np.floor(10.0 * (184_300.0 + _energy(columns))) / 10.0
    columns["pieces"] = np.floor(51_234.0 + np.cumsum(np.full(_ROWS, 0.35)))
    return _broken(columns)


def total_of_the_day(rng: np.random.Generator) -> Week:
    """Energy and pieces of the day begin again at midnight."""
    columns = _steady(rng)
    for name, total in {"energy_today": _energy(columns), "pieces_today": np.arange(_ROWS) * 0.35}.items():
        midnight = np.arange(_ROWS) // DAY_ROWS * DAY_ROWS
        columns[name] = np.floor(10.0 * (total - total[midnight])) / 10.0
    return _broken(columns)


def wrapping_counters(rng: np.random.Generator) -> Week:
    """Two registers of 16 bits: one wraps five times a day, one every other day and not while it is learnt."""
    columns = _steady(rng)
    columns["pulses"] = np.floor(20_000.0 + np.cumsum(0.74 * columns["flow"])) % 65_536.0
    columns["litres"] = np.floor(20_000.0 + np.arange(_ROWS) * 3.0) % 65_536.0
    return _broken(columns)


def door(rng: np.random.Generator) -> Week:
    """A door for two minutes thrice a day, a compressor that switches, a code of states, an alarm word of zeros."""
    columns = _steady(rng)
    opened = np.zeros(_ROWS)
    for at in moments(rng, days=_DAYS, a_day=3, longest=minutes(2)):
        opened[at : at + minutes(2)] = 1.0
    columns["door"] = opened
    columns["compressor"] = stays(rng, _ROWS, levels=(0.0, 1.0), shortest=20, longest=60)
    columns["state"] = stays(rng, _ROWS, levels=(2.0, 3.0, 5.0), shortest=60, longest=300)
    columns["alarm_word"] = np.zeros(_ROWS)
    return _broken(columns)


def valves(rng: np.random.Generator) -> Week:
    """Two valves that travel between 0 and 100 within half a minute; the one that moves often adds a little flow."""
    demand = even_demand(rng, _ROWS)
    positions = {}
    for name, a_day, longest in (("valve_1", 24, minutes(20)), ("valve_2", 3, minutes(15))):
        wanted = np.zeros(_ROWS)
        for at in moments(rng, days=_DAYS, a_day=a_day, longest=longest):
            wanted[at : at + int(rng.integers(minutes(5), longest))] = 100.0
        steps = np.concatenate([np.zeros(2), wanted])
        positions[name] = np.round((steps[2:] + steps[1:-1] + steps[:-2]) / 3.0)
    columns = drive(rng, np.ones(_ROWS), demand + 0.0003 * positions["valve_1"])
    return _broken(columns | positions)


def one_broken_reading(rng: np.random.Generator) -> Week:
    """The thermometer reads -127 for a single row about three times a day, also while it is learnt."""
    columns = _steady(rng)
    rows = np.cumsum(rng.exponential(DAY_ROWS / 3.0, 60)).astype(np.int64)
    columns["temperature"][rows[rows < _BREAKS_AT]] = _BROKEN_DEGC
    return _broken(columns)


def recalibrated(rng: np.random.Generator) -> Week:
    """On the fourth day the pressure is put right by .25 bar, for good."""
    columns = _steady(rng)
    columns["pressure"][3 * DAY_ROWS :] += 0.25
    return _broken(columns)


def by_exception(rng: np.random.Generator) -> Week:
    """A reading comes when it has moved, or after five minutes; the others are blank."""
    columns = _steady(rng)
    bands = {
        "speed": 4.0,
        "current": 0.15,
        "temperature": 0.3,
        "pressure": 0.06,
        "flow": 0.8,
        "vibration": 0.1,
    }
    channels = [Channel(name, "", band, 0.01) for name, band in bands.items()]
    fault = break_down(columns, at=_BREAKS_AT)
    values = np.stack([columns[name] for name in bands], axis=1)
    Reporting(deadband=1.0, heartbeat_s=300.0).silence(values, channels, rate_hz=1.0 / PERIOD_S, rng=rng)
    return Week(dict(zip(bands, values.T.copy(), strict=True)), fault)


def bad_line(rng: np.random.Generator) -> Week:
    """One row in fifty is lost, and every other day the line is down for a quarter to three quarters of an hour."""
    columns = _steady(rng)
    kept = rng.uniform(size=_ROWS) >= 0.02
    for day in range(1, _DAYS - 1, 2):
        at = day * DAY_ROWS + int(rng.integers(0, DAY_ROWS - HOUR_ROWS))
        kept[at : at + int(rng.integers(minutes(15), minutes(45)))] = False
    return Week(columns, break_down(columns, at=_BREAKS_AT), kept)


def slow_analyser(rng: np.random.Generator) -> Week:
    """An analyser tells a new value every quarter of an hour and a thermometer in whole degrees each minute."""
    demand = even_demand(rng, _ROWS)
    columns = drive(rng, np.ones(_ROWS), demand)
    row = np.arange(_ROWS)
    share = 12.0 + 6.0 * (smooth(demand, 60.0) - 1.0) + noise(rng, _ROWS, memory=1.0, size=0.05)
    columns["dry_matter"] = np.round(share, 2)[row // minutes(15) * minutes(15)]
    outlet = 48.0 + 25.0 * (smooth(demand, 30.0) - 1.0) + noise(rng, _ROWS, memory=20.0, size=0.5)
    columns["outlet"] = np.round(outlet)[row // 6 * 6]
    return _broken(columns)


def clogging_filter(rng: np.random.Generator) -> Week:
    """The fault comes slowly: within four hours a filter takes twice its pressure and a tenth of the flow."""
    demand = even_demand(rng, _ROWS)
    columns = drive(rng, np.ones(_ROWS), demand)
    clog, rows = np.zeros(_ROWS), 4 * HOUR_ROWS
    clog[_BREAKS_AT : _BREAKS_AT + rows] = np.linspace(0.0, 1.0, rows)
    loss = 0.4 * demand**2 * (1.0 + clog) + noise(rng, _ROWS, memory=2.0, size=0.015)
    columns["filter_loss"] = np.round(loss, 3)
    columns["flow"] *= 1.0 - 0.1 * clog
    return Week(columns, (_BREAKS_AT, _BREAKS_AT + rows))


def _steady(rng: np.random.Generator) -> Columns:
    return drive(rng, np.ones(_ROWS), even_demand(rng, _ROWS))


def _energy(columns: Columns) -> Floats:
    """Energy so far, kWh."""
    drawn: Floats = np.cumsum(np.maximum(columns["current"], 0.0)) * _KW_A_AMPERE * PERIOD_S / 3600.0
    return drawn


def _broken(columns: Columns) -> Week:
    return Week(columns, break_down(columns, at=_BREAKS_AT))
