"""Machines that stop: at night, at noon, at weekends, for a moment."""

import numpy as np

from benchmarks.everyday.parts import (
    DAY_ROWS,
    HOUR_ROWS,
    Floats,
    Week,
    break_down,
    drive,
    even_demand,
    minutes,
    moments,
    shift,
    started_softly,
)

_DAYS = 8
_TWO_WEEKS = 15
_SATURDAY, _SUNDAY = 5, 6
_NOON = 12 * HOUR_ROWS


def steady(rng: np.random.Generator) -> Week:
    """Day and night, all the same."""
    return _ran(rng, np.ones(_DAYS * DAY_ROWS))


def off_every_night(rng: np.random.Generator) -> Week:
    """From six to ten in the evening, ten minutes earlier or later."""
    return _ran(rng, _nights(rng))


def break_at_noon(rng: np.random.Generator) -> Week:
    """As that, with half an hour or more of rest at noon."""
    run = np.zeros(_DAYS * DAY_ROWS)
    for day in range(_DAYS):
        shift(rng, run, day=day, start_h=6.0, stop_h=22.0)
        begin = day * DAY_ROWS + _NOON + int(rng.integers(-30, 31))
        run[begin : begin + int(rng.integers(minutes(30), minutes(50)))] = 0.0
    return _ran(rng, run, at=(_DAYS - 1) * DAY_ROWS + 15 * HOUR_ROWS)


def an_hour_earlier(rng: np.random.Generator) -> Week:
    """Off every night; from the fifth day on everybody comes and goes an hour earlier."""
    run = np.zeros(_DAYS * DAY_ROWS)
    for day in range(_DAYS):
        moved = 1.0 if day >= _DAYS // 2 else 0.0
        shift(rng, run, day=day, start_h=6.0 - moved, stop_h=22.0 - moved)
    return _ran(rng, run)


def no_weekend_work(rng: np.random.Generator) -> Week:
    """Day and night from Monday to Friday, for two weeks; learnt on a Monday."""
    run = np.ones(_TWO_WEEKS * DAY_ROWS)
    for day in range(_TWO_WEEKS):
        if day % 7 in (_SATURDAY, _SUNDAY):
            run[day * DAY_ROWS : (day + 1) * DAY_ROWS] = 0.0
    return _ran(rng, run)


def two_shifts_and_saturday(rng: np.random.Generator) -> Week:
    """Two shifts, on Saturdays one, on Sundays none; two weeks, learnt on a Monday."""
    run = np.zeros(_TWO_WEEKS * DAY_ROWS)
    for day in range(_TWO_WEEKS):
        if day % 7 != _SUNDAY:
            shift(rng, run, day=day, start_h=6.0, stop_h=14.0 if day % 7 == _SATURDAY else 22.0)
    return _ran(rng, run)


def twenty_short_stops(rng: np.random.Generator) -> Week:
    """A jam twenty times a day, for one to eight minutes."""
    run = np.ones(_DAYS * DAY_ROWS)
    for at in moments(rng, days=_DAYS, a_day=20, longest=minutes(8)):
        run[at : at + int(rng.integers(minutes(1), minutes(8)))] = 0.0
    return _ran(rng, run, ramp=6)


def serviced(rng: np.random.Generator) -> Week:
    """Day and night, but for an hour or two of service every third day, the first on the day it is learnt."""
    run = np.ones(_DAYS * DAY_ROWS)
    for day in range(0, _DAYS, 3):
        at = day * DAY_ROWS + int(rng.integers(7 * HOUR_ROWS, 10 * HOUR_ROWS))
        run[at : at + int(rng.integers(minutes(60), minutes(120)))] = 0.0
    return _ran(rng, run)


def _nights(rng: np.random.Generator) -> Floats:
    run = np.zeros(_DAYS * DAY_ROWS)
    for day in range(_DAYS):
        shift(rng, run, day=day, start_h=6.0, stop_h=22.0)
    return run


def _ran(rng: np.random.Generator, run: Floats, *, at: int | None = None, ramp: int = 30) -> Week:
    """The drive with these hours; it breaks down at noon of the last day."""
    columns = drive(rng, started_softly(run, rows=ramp), even_demand(rng, len(run)))
    return Week(columns, break_down(columns, at=len(run) - DAY_ROWS + _NOON if at is None else at))
