"""A plain step of one channel: how far the level of a window's newest half is from the whole window's.

Many statistics together drown such a step; and unlike the level itself, a step is no larger on a machine that has
drifted since it was learnt. Where a machine has several operating modes, a window that was in more than one holds the
steps between their levels: only what goes beyond these is a jump.

Axes: B windows, W normal windows, C channels, K modes, P views of a window, F statistics of a view.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.detector import ByChannel, Detector, DueWindows, NormalWindows, RawScore
from edge_agent.detect.left_out import tolerance
from edge_agent.detect.view_scales import LENGTHS_ROWS, centre_and_spread
from edge_agent.signals.features import Float32

_LEAST_SPREAD = np.array(0.05, np.float32)
_LARGEST_SHARE = np.float32(0.5)
"""Of the way between two levels, in the difference of the newest half's mean from the whole window's."""


class UsualSteps(NamedTuple):
    """How far each channel's level moves within a normal window.

    Attributes:
        centre, spread: of each channel's step, [C].
        tolerance: what a step is divided by near each remembered window, [M, C], see `left_out`; None: by nothing.
        mode_level: level of each channel in each mode, normal scales, [K, C]; None: no change of mode explains a step.
    """

    centre: ByChannel
    spread: ByChannel
    tolerance: Float32 | None = None
    mode_level: Float32 | None = None


class LevelJump(Detector[UsualSteps]):
    """The largest step of a channel, in its normal spreads."""

    name = "jump"
    scores = ("jump",)
    memory = UsualSteps
    by_mode = (LENGTHS_ROWS[-1],)
    sums_over_channels = False

    def fit(self, normal: NormalWindows) -> tuple[UsualSteps, dict[str, Float32]]:
        """Learn the usual steps, and which remembered windows hold a larger one."""
        step, view = _steps(normal.views, len(normal.scales.lengths)), len(normal.scales.lengths) - 1
        level = None if normal.scales.modes is None else normal.scales.modes.level
        step = _unexplained(step, level, normal.visited)
        centre, spread = (part[0] for part in centre_and_spread(step[None, normal.kept], _LEAST_SPREAD))
        apart = np.abs((step - centre) / spread)
        known = tolerance(
            apart,
            ends=normal.ends,
            chosen=normal.reference[view],
            reach_rows=normal.scales.lengths[view],
            kept=normal.kept,
            sets=normal.set_of(view),
        )
        apart /= known[normal.left_out.nearest[view]]
        return UsualSteps(centre, spread, known, level), {"jump": apart.max(axis=1)}

    def score(self, memories: Sequence[UsualSteps], windows: DueWindows) -> dict[str, RawScore]:
        """The largest step."""
        centre = windows.by_window([memory.centre for memory in memories])
        spread = windows.by_window([memory.spread for memory in memories])
        step = _steps(windows.views, len(windows.lengths))
        for memory, visited, part in zip(memories, windows.visited, windows.slices, strict=True):
            step[part] = _unexplained(step[part], memory.mode_level, visited)
        apart = np.abs((step - centre) / spread)
        apart = windows.tolerated(apart, [memory.tolerance for memory in memories], rows=windows.lengths[-1])
        return {"jump": RawScore(apart.max(axis=1), np.square(apart))}

    def mask(self, memory: UsualSteps, channels: NDArray[np.int64], *, n_channels: int) -> UsualSteps:  # noqa: ARG002
        """The channels that can be seen."""
        return UsualSteps(
            np.ascontiguousarray(memory.centre[channels]),
            np.ascontiguousarray(memory.spread[channels]),
            None if memory.tolerance is None else np.ascontiguousarray(memory.tolerance[:, channels]),
            None if memory.mode_level is None else np.ascontiguousarray(memory.mode_level[:, channels]),
        )


def _steps(views: Float32, n_lengths: int) -> Float32:
    """Level of the second longest view less that of the longest: views [P, B, C, F] -> [B, C]."""
    found: Float32 = views[max(n_lengths - 2, 0), ..., 0] - views[n_lengths - 1, ..., 0]
    return found


def _unexplained(step: Float32, level: Float32 | None, visited: NDArray[np.bool_] | None) -> Float32:
    """Steps [B, C] less what a change between the levels [K, C] of the modes that a window was in may have made.

    A change from one level to another that lies anywhere in the window moves the newest half's mean from the whole
    window's by at most half of the way, whether at once or slowly.
    """
    if level is None or visited is None:
        return step
    several = np.flatnonzero(visited.sum(axis=1) > 1)
    if several.size == 0:
        return step
    seen = visited[several, :, np.newaxis]
    highest = np.where(seen, level, -np.inf).max(axis=1)
    lowest = np.where(seen, level, np.inf).min(axis=1)
    found = step.copy()
    beyond = np.maximum(np.abs(step[several]) - (highest - lowest) * _LARGEST_SHARE, 0.0)
    found[several] = np.copysign(beyond, step[several])
    return found
