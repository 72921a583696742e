"""What an ordinary factory does to a machine, as parts that any kind of machine can have. No physics.

Each part is one file with one small class; `Habits` holds those that a machine has. `presets` names a few sets, `draw`
makes one at random.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.dynamics import cycles, schedule
from simulator.habits.hours import EVERY_DAY, WORKDAYS, Hours
from simulator.habits.meters import DailyEnergy, EnergyMeter, HoursMeter, PieceCounter, PulseCounter
from simulator.habits.reporting import Reporting
from simulator.habits.setpoints import SetPoints
from simulator.habits.signals import (
    AlarmWord,
    Auxiliary,
    Door,
    Fixed,
    Recipe,
    SetPoint,
    StateCode,
    Thermometer,
)
from simulator.habits.stops import Stops
from simulator.habits.surroundings import Appliance, Surroundings
from simulator.habits.transmitters import Transmitters
from simulator.habits.troubles import Trouble, TroubleRates
from simulator.habits.upkeep import Upkeep
from simulator.habits.weather import Weather
from simulator.plan import Clock, Plan
from simulator.records import Kind

__all__ = [
    "EVERY_DAY",
    "WORKDAYS",
    "AlarmWord",
    "Appliance",
    "Auxiliary",
    "DailyEnergy",
    "Door",
    "EnergyMeter",
    "Fixed",
    "Habits",
    "Hours",
    "HoursMeter",
    "PieceCounter",
    "PulseCounter",
    "Recipe",
    "Reporting",
    "SetPoint",
    "SetPoints",
    "StateCode",
    "Stops",
    "Surroundings",
    "Thermometer",
    "Transmitters",
    "Trouble",
    "TroubleRates",
    "Upkeep",
    "Weather",
    "planned",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """The parts that a machine has; with none of them it runs day and night, as `simulate` alone lets it.

    Attributes:
        hours: When it is wanted.
        stops: Short stops and changeovers.
        setpoints: How much is asked of it.
        weather: Temperature around it.
        upkeep: Wear and service.
        appliances: Channels beside its own: meters, counters, codes, doors.
        transmitters: How true its readings are.
        troubles: What befalls transmitters and lines.
        reporting: Which readings are said.
        modes: The modes that it has of those of its kind; empty: all.
        stay_s: Shortest and longest stay in a mode; None: as its kind's. Phases of a cycle keep their own.
    """

    hours: Hours | None = None
    stops: Stops | None = None
    setpoints: SetPoints | None = None
    weather: Weather | None = None
    upkeep: Upkeep | None = None
    appliances: tuple[Appliance, ...] = ()
    transmitters: Transmitters | None = None
    troubles: TroubleRates | None = None
    reporting: Reporting | None = None
    modes: tuple[int, ...] = ()
    stay_s: tuple[float, float] | None = None


def planned(
    kind: Kind, clock: Clock, habits: Habits, *, modes: np.random.Generator, days: np.random.Generator
) -> Plan:
    """The days of one machine.

    Args:
        kind: Whose.
        clock: The rows.
        habits: What its factory does.
        modes: Source of the modes.
        days: Source of all else.
    """
    # Each part has chance of its own: one more part leaves the others' days as they were.
    hours, stops, changeovers, setpoints, weather, upkeep = days.spawn(6)
    rows = clock.rows
    none = np.zeros(rows, dtype=np.int8)
    plan = Plan(clock, run=np.ones(rows, dtype=np.bool_), mode=none, demand=np.ones(rows), product=none)
    if habits.hours is not None:
        habits.hours.apply(plan, hours)
    if habits.upkeep is not None:
        habits.upkeep.apply(plan, upkeep, wears=kind.wears)
    if habits.stops is not None:
        habits.stops.apply(plan, stops)
    if kind.cycle_s:
        plan.mode = cycles(modes, plan.run, stays_s=kind.cycle_s, dt_s=clock.dt_s)
        plan.run |= plan.mode > 0  # what was begun is finished
    else:
        plan.mode = _any_order(kind, habits, clock, modes)
        if habits.stops is not None:
            habits.stops.change_over(plan, changeovers)
    if habits.setpoints is not None:
        habits.setpoints.apply(plan, setpoints)
    if kind.cycle_s:
        plan.keep_through_cycles()
    if habits.weather is not None:
        habits.weather.apply(plan, weather)
    return plan


def _any_order(kind: Kind, habits: Habits, clock: Clock, rng: np.random.Generator) -> npt.NDArray[np.int8]:
    chosen = habits.modes or tuple(range(len(kind.modes)))
    if len(chosen) == 1:
        return np.full(clock.rows, chosen[0], dtype=np.int8)
    stay_s = habits.stay_s or kind.dwell_s
    at = schedule(rng, clock.rows, modes=len(chosen), dwell_s=stay_s, dt_s=clock.dt_s)
    return np.asarray(chosen, dtype=np.int8)[at]
