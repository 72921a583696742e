"""A plain step of one channel: how far the level of a window's newest half is from the whole window's.

Many statistics together drown such a step; and unlike the level itself, a step is no larger on a machine that has
drifted since it was learnt.

Axes: B windows, W normal windows, C channels, P views of a window, F statistics of a view.
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


class UsualSteps(NamedTuple):
    """How far each channel's level moves within a normal window.

    Attributes:
        centre, spread: of each channel's step, [C].
        tolerance: what a step is divided by near each remembered window, [M, C], see `left_out`; None: by nothing.
    """

    centre: ByChannel
    spread: ByChannel
    tolerance: Float32 | None = None


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
        return UsualSteps(centre, spread, known), {"jump": apart.max(axis=1)}

    def score(self, memories: Sequence[UsualSteps], windows: DueWindows) -> dict[str, RawScore]:
        """The largest step."""
        centre = windows.by_window([memory.centre for memory in memories])
        spread = windows.by_window([memory.spread for memory in memories])
        apart = np.abs((_steps(windows.views, len(windows.lengths)) - centre) / spread)
        apart = windows.tolerated(apart, [memory.tolerance for memory in memories], rows=windows.lengths[-1])
        return {"jump": RawScore(apart.max(axis=1), np.square(apart))}

    def mask(self, memory: UsualSteps, channels: NDArray[np.int64], *, n_channels: int) -> UsualSteps:  # noqa: ARG002
        """The channels that can be seen."""
        return UsualSteps(
            np.ascontiguousarray(memory.centre[channels]),
            np.ascontiguousarray(memory.spread[channels]),
            None if memory.tolerance is None else np.ascontiguousarray(memory.tolerance[:, channels]),
        )


def _steps(views: Float32, n_lengths: int) -> Float32:
    """Level of the second longest view less that of the longest: views [P, B, C, F] -> [B, C]."""
    found: Float32 = views[max(n_lengths - 2, 0), ..., 0] - views[n_lengths - 1, ..., 0]
    return found
