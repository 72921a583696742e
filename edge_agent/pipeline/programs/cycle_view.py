"""A machine's latest whole cycle as people look at it: its course over its recipe's band, and its times. Pure.

Axes: N points of a cycle.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.cycles.cycle_row import DURATION
from edge_agent.cycles.maker import LastCycle
from edge_agent.cycles.rules import SUFFIX
from edge_agent.detect.cycle_scores import CycleMemory, knows_cycles
from edge_agent.pipeline.programs.machine_cycles import MachineCycles
from edge_agent.pipeline.results import MachineStatus
from edge_agent.records import Float32, Profile

Profiles = Callable[[str], Profile | None]
"""What was learnt of a machine, by its name."""
_SHOWN_CHANNELS = 4
_USUAL_SPREADS = 2.5


@dataclass(frozen=True, slots=True)
class TimeTaken:
    """How long the cycle, or one of its steps, took; what is usual in its recipe, None while that is not known."""

    step: str
    seconds: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Course:
    """One channel over the cycle, [N]; low and high of its recipe, None while too little is known."""

    channel: str
    values: Float32
    low: Float32 | None
    high: Float32 | None
    away: float | None
    """From the middle of the band, in half widths of it (root mean square)."""


@dataclass(frozen=True, slots=True)
class CycleView:
    """The latest cycle.

    Attributes:
        recipe: "" where no channel tells it.
        learning: cycles so far and wanted; None once they are learnt.
        duration: None of cycles that are all as long as a period.
        courses: of those channels that are furthest from their bands, the worst first. channel_count: of all.
    """

    recipe: str
    end_ns: int
    learning: tuple[int, int] | None
    duration: TimeTaken | None
    steps: tuple[TimeTaken, ...]
    courses: tuple[Course, ...]
    channel_count: int


def latest(
    name: str, *, cycles: MachineCycles, profiles: Profiles, statuses: Mapping[str, MachineStatus]
) -> CycleView | None:
    """Of a machine, or of the machine whose cycles it is; None where none was whole since the agent began."""
    owner = name.removesuffix(SUFFIX)
    maker = cycles.get(owner)
    if maker is None or maker.last is None:
        return None
    status = statuses.get(owner + SUFFIX)
    gathering = status is not None and status.threshold is None
    return view_of(
        maker.last,
        profile=profiles(owner + SUFFIX),
        learning=(min(status.rows_heard, status.rows_wanted), status.rows_wanted)
        if status is not None and gathering
        else None,
        timed=maker.rule.start is not None,
    )


def view_of(
    last: LastCycle, *, profile: Profile | None, learning: tuple[int, int] | None, timed: bool
) -> CycleView:
    """How a cycle is shown.

    Args:
        last: the cycle.
        profile: what was learnt of the machine's cycles.
        learning: cycles so far and wanted, while they are learnt.
        timed: whether its duration says something.
    """
    usual = _usual_times(last.recipe, profile)
    courses = sorted(
        (_course(last, at) for at in range(len(last.channels))), key=lambda one: -(one.away or 0.0)
    )
    return CycleView(
        recipe="" if math.isnan(last.recipe) else f"{last.recipe:g}",
        end_ns=last.end_ns,
        learning=learning,
        duration=_taken("", last.duration_s, usual, DURATION) if timed else None,
        steps=tuple(
            _taken(name.removeprefix("step_").removesuffix(f".{DURATION}"), seconds, usual, name)
            for name, seconds in sorted(last.steps_s, key=_by_number)
        ),
        courses=tuple(courses[:_SHOWN_CHANNELS]),
        channel_count=len(courses),
    )


def _by_number(step: tuple[str, float]) -> float:
    try:
        return float(step[0].removeprefix("step_").removesuffix(f".{DURATION}"))
    except ValueError:
        return math.inf


def _taken(step: str, seconds: float, usual: Mapping[str, tuple[float, float]], name: str) -> TimeTaken:
    return TimeTaken(step, seconds, *usual.get(name, (None, None)))


def _usual_times(recipe: float, profile: Profile | None) -> dict[str, tuple[float, float]]:
    """Seconds that durations of a recipe usually have, by the channel's name; none of a recipe that nobody knows."""
    if profile is None or not knows_cycles(profile.memory):
        return {}
    cycles = CycleMemory.read(profile.memory)
    (same,) = (
        np.nonzero(np.isclose(cycles.recipes, recipe)) if int(cycles.recipe) >= 0 else (np.zeros(1, int),)
    )
    if not len(same):
        return {}
    found = {}
    for at in np.flatnonzero(cycles.duration).tolist():
        middle, spread = float(cycles.centre[same[0], at]), _USUAL_SPREADS * float(cycles.spread[at])
        if math.isfinite(middle):
            found[profile.channels[int(cycles.features[at])]] = max(middle - spread, 0.0), middle + spread
    return found


def _course(last: LastCycle, at: int) -> Course:
    values = last.curve[:, at]
    if last.low is None or last.high is None:
        return Course(last.channels[at], values, None, None, None)
    low, high = last.low[:, at], last.high[:, at]
    return Course(last.channels[at], values, low, high, _away(values, low, high))


def _away(values: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> float | None:
    with np.errstate(all="ignore"):
        away = np.square((values - (low + high) / 2) / np.maximum((high - low) / 2, 1e-9))
    seen = away[np.isfinite(away)]
    return float(np.sqrt(seen.mean())) if len(seen) else None
