"""A cycle to one row: how long it and its steps took, and of each channel mean, peak, energy and course. Pure.

The course is told on the cycle's own scale: a place from 0 to 1 on which each visit of a step takes an equal share, or,
where no channel tells the step, time itself. So a step that takes longer is a longer step, and no other shape.

Axes: R rows, C channels, P phases, N points of a curve.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_agent.cycles.segmentation import Cycle

DURATION, RECIPE = "duration_s", "recipe"
MOST_PHASES = 10
MOST_STEPS = 32
"""Different steps of which the time is told."""
_NS = 1e9
_OF_CHANNEL = 5
"""Numbers of a channel beside its phases: mean, peak, energy, shape, and room for one more."""
Float64 = NDArray[np.float64]


def phases_that_fit(channels: int, *, limit: int) -> int:
    """How many phases a cycle's row has room for, with so many measured channels and `limit` channels in all."""
    room = limit - 2 - MOST_STEPS - _OF_CHANNEL * channels
    return int(min(max(room // (2 * max(channels, 1)), 0), MOST_PHASES))


def places(cycle: Cycle) -> Float64:
    """Where in the cycle each of its rows is, [R], from 0 up to below 1."""
    times = (cycle.times_ns - cycle.times_ns[0]) / _NS
    if cycle.steps is None:
        return np.asarray(times / max(cycle.duration_s, 1e-9))
    steps = np.nan_to_num(cycle.steps, nan=-1.0)
    visit = np.concatenate([[0], np.cumsum(steps[1:] != steps[:-1])])
    begins = times[np.searchsorted(visit, np.arange(visit[-1] + 1))]
    lengths = np.diff(begins, append=cycle.duration_s)
    within = (times - begins[visit]) / np.maximum(lengths[visit], 1e-9)
    return np.asarray((visit + np.minimum(within, 1.0)) / (visit[-1] + 1))


def steps_s(cycle: Cycle) -> dict[str, float]:
    """How long the cycle was in each of its steps, by the channel's name, of the first `MOST_STEPS` different ones."""
    if cycle.steps is None:
        return {}
    lasted = np.diff(cycle.times_ns, append=cycle.end_ns) / _NS
    found: dict[str, float] = {}
    for step, seconds in zip(cycle.steps.tolist(), lasted.tolist(), strict=True):
        if step != step:  # noqa: PLR0124 - NaN: not heard yet
            continue
        name = step_name(step)
        if name in found or len(found) < MOST_STEPS:
            found[name] = found.get(name, 0.0) + seconds
    return found


def step_name(step: float) -> str:
    """The channel that says how long a step took."""
    return f"step_{step:g}.{DURATION}"


def curves(values: NDArray[np.float32], place: Float64, *, points: int) -> NDArray[np.float32]:
    """The columns of [R, C] at so many places of the cycle, [N, C]; NaN where a column says nothing."""
    wanted = (np.arange(points) + 0.5) / points
    found = np.full((points, values.shape[1]), np.nan, np.float32)
    for at, column in enumerate(values.T):
        seen = np.isfinite(column)
        if seen.any():
            found[:, at] = np.interp(wanted, place[seen], column[seen])
    return found


def summaries(cycle: Cycle, columns: Sequence[int]) -> dict[str, float]:
    """Mean, peak (the largest value) and energy (its square over time, in unit squared times seconds) of channels."""
    found: dict[str, float] = {}
    for at in columns:
        seen = cycle.values[:, at].astype(np.float64)
        seen = seen[np.isfinite(seen)]
        name = cycle.channels[at]
        known = len(seen) > 0
        found[f"{name}.mean"] = float(seen.mean()) if known else np.nan
        found[f"{name}.peak"] = float(seen.max()) if known else np.nan
        found[f"{name}.energy"] = float(np.square(seen).mean()) * cycle.duration_s if known else np.nan
    return found


def phase_numbers(cycle: Cycle, columns: Sequence[int], place: Float64, *, phases: int) -> dict[str, float]:
    """Mean and spread of channels in each phase of the cycle."""
    found: dict[str, float] = {}
    phase = np.minimum((place * phases).astype(int), phases - 1) if phases else np.zeros(len(place), int)
    for at in columns:
        column, name = cycle.values[:, at].astype(np.float64), cycle.channels[at]
        for number in range(phases):
            seen = column[phase == number]
            seen = seen[np.isfinite(seen)]
            found[f"{name}.phase_{number + 1}"] = float(seen.mean()) if len(seen) else np.nan
            found[f"{name}.phase_{number + 1}_spread"] = float(seen.std()) if len(seen) else np.nan
    return found
