"""At which operating points an incident was loud: calm is believed where the fault would show. Pure.

A fault that shows at full load is silent in idling, and so is a machine that is well: calm there says little. So an
incident keeps the levels of the machine's channels while it is loud, a few of them, the latest last. A later window is
at one of these *operating points* where the channels that do not bear the incident lie as they did there. Those that
bear it are not asked: the fault itself has moved them.

Not an operating mode (`operating_modes`): those are learnt, have names, and a machine that was watched for an hour has
none. Levels are the means of the newest rows in the machine's normal scales, [C]; NaN: hidden, or of a kind that has no
level.
"""

import math
from collections.abc import Sequence

import numpy as np

from edge_agent.detect.detector import Arrays
from edge_agent.records import WindowBlock
from edge_agent.signals.channel_kinds import STATE

LEVEL_ROWS = 32
"""Newest rows of a window whose mean is a level."""
POINTS_LIMIT = 4
_MOVED = 1.0
"""Normal scales from which on a channel counts as moved altogether, by half of it as half moved."""
_ELSEWHERE, _SAME = 0.4, 0.2
"""Share of the channels that have moved from which on a window is at no point, and below which it is at this very one.
Chosen on forty simulated machines that are not scored."""
_LEAST_COUNTED = 0.2
"""Share of the channels that must count at least, for there to be anything to tell a point by."""
_FAR = 10.0

Level = tuple[float, ...]


def level_of(windows: WindowBlock, at: int, arrays: Arrays) -> Level:
    """The level of window `at` of a machine with these arrays, as people see it, [C]."""
    rows = (windows.values if windows.shown is None else windows.shown)[at]  # C T
    newest = rows[:, -LEVEL_ROWS:].mean(axis=1, dtype=np.float64)
    found = (newest - arrays["location"]) / arrays["scale"]
    if windows.kinds is not None:
        found[windows.kinds >= STATE] = math.nan
    found[list(windows.hidden)] = math.nan
    return tuple(np.clip(found, -_FAR, _FAR).tolist())


def is_elsewhere(level: Level, points: Sequence[Level], *, bearers: Sequence[float]) -> bool:
    """Whether a window of this level is at none of the points; False where there is nothing to tell it by.

    Args:
        level: of the window.
        points: where the incident was loud.
        bearers: how much each channel bears the incident, [C].
    """
    return bool(points) and all(_moved(level, point, bearers) >= _ELSEWHERE for point in points)


def with_level(
    points: Sequence[Level], level: Level, *, bearers: Sequence[float], weight: float
) -> tuple[Level, ...]:
    """The points after a loud window of this level, which moves the one that it is at by `weight` of the way."""
    if not level:
        return tuple(points)
    kept = [point for point in points if len(point) == len(level)]
    nearest = min(kept, key=lambda point: _moved(level, point, bearers), default=None)
    if nearest is None or _moved(level, nearest, bearers) >= _SAME:
        return (*kept, level)[-POINTS_LIMIT:]
    kept.remove(nearest)
    moved = tuple(
        new if math.isnan(old) else old if math.isnan(new) else old + (new - old) * weight
        for old, new in zip(nearest, level, strict=True)
    )
    return (*kept, moved)


def _moved(level: Level, point: Level, bearers: Sequence[float]) -> float:
    """Share of the channels that have moved from the point, each counting the less the more it bears the incident.

    One that bears an even share of it or more does not count. 0 where too few are left: a fault of all channels tells
    nothing of where the machine is.
    """
    if len(level) != len(point):
        return 0.0
    total = sum(bearers) if len(bearers) == len(level) else 0.0
    moved = counted = seen = 0.0
    for at, (now, then) in enumerate(zip(level, point, strict=True)):
        if math.isnan(now) or math.isnan(then):
            continue
        counts = max(1.0 - bearers[at] * len(level) / total, 0.0) if total > 0.0 else 1.0
        seen += 1.0
        counted += counts
        moved += counts * min(abs(now - then) / _MOVED, 1.0)
    return moved / counted if counted > 0.0 and counted >= _LEAST_COUNTED * seen else 0.0
