"""How much the newest rows differ from the window's own past, however unusual that past is.

Axes: B windows, C channels, F statistics of a view.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.detector import Detector, DueWindows, NormalWindows, RawScore
from edge_agent.detect.reference_bank import square_of
from edge_agent.detect.view_scales import CHANGE_ROWS, RANK_KNEE
from edge_agent.signals.features import Float32


class Nothing(NamedTuple):
    """A detector that learns no more than what views are compared with."""


class Contrast(Detector[Nothing]):
    """Length of the views that are changes."""

    name = "contrast"
    scores = tuple(f"contrast_{rows}" for rows in CHANGE_ROWS)
    memory = Nothing
    sums_over_channels = True

    def fit(self, normal: NormalWindows) -> tuple[Nothing, dict[str, Float32]]:
        """Nothing is learnt."""
        changes = normal.scales.change_lengths
        points = normal.points(knee=RANK_KNEE, views=slice(len(normal.scales.lengths), None))
        return Nothing(), {
            f"contrast_{rows}": _contrast(view).value for rows, view in zip(changes, points, strict=True)
        }

    def score(self, memories: Sequence[Nothing], windows: DueWindows) -> dict[str, RawScore]:  # noqa: ARG002
        """Length of the change in all channels."""
        points = windows.points(knee=RANK_KNEE, views=slice(len(windows.lengths), None))
        changes = windows.scales[0].change_lengths
        return {f"contrast_{rows}": _contrast(view) for rows, view in zip(changes, points, strict=True)}

    def mask(self, memory: Nothing, channels: NDArray[np.int64], *, n_channels: int) -> Nothing:  # noqa: ARG002
        """As it is."""
        return memory


def _contrast(points: Float32) -> RawScore:
    """Size of a change's points [B, C, F], and the channels' parts of its square."""
    parts = square_of(points)
    return RawScore(np.sqrt(parts.sum(axis=1)), parts)
