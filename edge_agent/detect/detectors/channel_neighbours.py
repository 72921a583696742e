"""Nearest neighbours of each channel by itself: its statistics, and how its newest rows differ from the rest.

Beside the neighbours over all channels it sees a channel that is strange alone, and remembers more of its states.

Axes: P views of a window, W normal windows, B windows, M remembered windows, C channels, K numbers of a channel.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.detector import Detector, DueWindows, NormalWindows, RawScore
from edge_agent.detect.reference_bank import (
    Barred,
    excess,
    held_out_distances,
    neighbours,
    norm,
    square_of,
    usual_and_reach,
)
from edge_agent.detect.view_scales import CHANGE_ROWS, LENGTHS_ROWS, RANK_KNEE
from edge_agent.signals.features import Float32

# Least reach of a channel's distances, so that one that happened to stand still does not make a fault of every breath.
_LEAST_REACH = 0.3


class ChannelBank(NamedTuple):
    """Remembered windows of each channel.

    Attributes:
        bank: [P, C, M, K]. square: squared length of each, [P, C, M].
        usual, reach: normal distance of each channel and the way to its 99 % point, [P, C].
    """

    bank: Float32
    square: Float32
    usual: Float32
    reach: Float32

    def beyond(self, points: Float32) -> Float32:
        """How far points [P, C, B, K] are beyond each channel's usual distance, [P, C, B]."""
        distance, _ = neighbours(points, self.bank, square=self.square)
        return excess(distance, usual=self.usual, reach=self.reach)


def fit_channel_bank(
    points: Float32, *, barred: Sequence[Barred], kept: NDArray[np.bool_], least_reach: float
) -> tuple[ChannelBank, Float32]:
    """Remember each channel of points [P, C, W, K]; (the bank, what is beyond the usual [P, W])."""
    bank = np.ascontiguousarray(points[:, :, barred[0].chosen])
    distance = np.stack(
        [held_out_distances(view, bank[index], barred[index]) for index, view in enumerate(points)]
    )  # P C W
    usual, reach = usual_and_reach(distance[..., kept], least_reach)
    beyond = excess(distance, usual=usual, reach=reach)
    return ChannelBank(bank, square_of(bank), usual, reach), np.stack([norm(view) for view in beyond])


class ChannelNeighbours(Detector[ChannelBank]):
    """Raw scores `alone_*` of the views and `change_*` of the newest rows against the window's own past."""

    name = "alone"
    scores = (
        *(f"alone_{rows}" for rows in LENGTHS_ROWS),
        *(f"change_{rows}" for rows in CHANGE_ROWS),
    )
    memory = ChannelBank
    sums_over_channels = False

    def fit(self, normal: NormalWindows) -> tuple[ChannelBank, dict[str, Float32]]:
        """Remember windows that are spread over the normal time."""
        lengths, changes = normal.scales.lengths, normal.scales.change_lengths
        alone = np.swapaxes(normal.points(knee=RANK_KNEE), 1, 2)  # P C W F
        reaches = [*lengths, *(lengths[-1] for _ in changes)]
        barred = [Barred(normal.ends, normal.reference_channel, rows) for rows in reaches]
        bank, beyond = fit_channel_bank(alone, barred=barred, kept=normal.kept, least_reach=_LEAST_REACH)
        return bank, dict(zip(_names(lengths, changes), beyond, strict=True))

    def score(self, memories: Sequence[ChannelBank], windows: DueWindows) -> dict[str, RawScore]:
        """What the channels are beyond their usual distances, as one length."""
        points = np.swapaxes(windows.points(knee=RANK_KNEE), 1, 2)  # P C B F
        slices = windows.slices
        found = [memory.beyond(points[:, :, part]) for memory, part in zip(memories, slices, strict=True)]
        beyond = found[0] if len(found) == 1 else np.concatenate(found, axis=2)
        names = _names(windows.lengths, windows.scales[0].change_lengths)
        return {name: RawScore(norm(view), (view**2).T) for name, view in zip(names, beyond, strict=True)}

    def mask(self, memory: ChannelBank, channels: NDArray[np.int64], *, n_channels: int) -> ChannelBank:  # noqa: ARG002
        """The channels that can be seen."""
        return ChannelBank(
            *(
                np.ascontiguousarray(part[:, channels])
                for part in (memory.bank, memory.square, memory.usual, memory.reach)
            )
        )

    def numbers(self, memory: ChannelBank) -> int:
        """A distance to each remembered window of each channel in each view."""
        return memory.square.size


def _names(lengths: Sequence[int], changes: Sequence[int]) -> list[str]:
    return [*(f"alone_{rows}" for rows in lengths), *(f"change_{rows}" for rows in changes)]
