"""How badly the pre-trained encoder reconstructs a window, over all of it and over its newest rows.

Heard for the record: no alarm counts on it (docs/experiments.md).

Axes: B windows, W normal windows, C channels, T rows.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.detector import Detector, DueWindows, NormalWindows, RawScore
from edge_agent.detect.reference_bank import excess, usual_and_reach
from edge_agent.signals.features import Float32, standardise

# Rows of the newest part whose error is a raw score of its own.
_NEWEST_ROWS = 16
_LEAST_REACH = 0.02


class UsualErrors(NamedTuple):
    """What is usual: median error of each channel and the way to its 99 % point, [2, C]: whole window, newest rows."""

    usual: Float32
    reach: Float32


class Reconstruction(Detector[UsualErrors]):
    """Largest error of a channel beyond its usual one: the mean drowns one faulty channel in many healthy ones."""

    name = "reconstruction"
    scores = ("reconstruction", "reconstruction_newest")
    memory = UsualErrors
    sums_over_channels = False

    def fit(self, normal: NormalWindows) -> tuple[UsualErrors, dict[str, Float32]] | None:
        """Learn the usual errors; None without an encoder."""
        if normal.errors is None:
            return None
        memory = UsualErrors(*usual_and_reach(normal.errors[..., normal.kept], _LEAST_REACH))
        largest = excess(normal.errors, usual=memory.usual, reach=memory.reach).max(axis=1)
        return memory, dict(zip(self.scores, largest, strict=True))

    def score(self, memories: Sequence[UsualErrors], windows: DueWindows) -> dict[str, RawScore]:
        """Errors beyond the usual ones; nothing without an encoder."""
        if windows.encoded is None:
            return {}
        found = [
            excess(
                reconstruction_errors(
                    windows.z[part], windows.encoded.reconstruction[part], scales.channels()
                ),
                usual=memory.usual,
                reach=memory.reach,
            )
            for memory, scales, part in zip(memories, windows.scales, windows.slices, strict=True)
        ]
        errors = found[0] if len(found) == 1 else np.concatenate(found, axis=2)
        return {
            name: RawScore(error.max(axis=0), (error**2).T)
            for name, error in zip(self.scores, errors, strict=True)
        }

    def mask(self, memory: UsualErrors, channels: NDArray[np.int64], *, n_channels: int) -> UsualErrors:  # noqa: ARG002
        """The channels that can be seen."""
        return UsualErrors(
            np.ascontiguousarray(memory.usual[:, channels]), np.ascontiguousarray(memory.reach[:, channels])
        )


def reconstruction_errors(z: Float32, reconstruction: Float32, scales: Mapping[str, Float32]) -> Float32:
    """Mean absolute error of each channel over the window and over its newest rows: [2, C, B], normal scales.

    Args:
        z: standardised windows, [B, C, T].
        reconstruction: of them in physical units, [B, C, T].
        scales: "location", "scale" and "limit" of the channels, [C].
    """
    error = np.abs(z - standardise(reconstruction, **scales))
    return np.stack([error.mean(axis=2).T, error[..., -_NEWEST_ROWS:].mean(axis=2).T])
