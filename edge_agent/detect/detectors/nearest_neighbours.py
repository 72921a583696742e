"""Nearest neighbours over all channels: how far a window's statistics are from remembered normal windows.

A memory-bank detector (as PatchCore, Roth et al., CVPR 2022, is for pictures): no density is estimated, and what was
normal in several ways stays so. One raw score a view: short ones see a fault early, long ones see a slow one at all.
A distance is divided by what the nearest remembered window tolerates (`left_out`): what was seen once is no alarm when
it comes again, and makes no other window less strange. Where a machine has several operating modes, a window meets the
remembered ones of its own only.

Axes: P views of a window, B windows, M remembered windows, C channels, F statistics of a view.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.detector import Detector, DueWindows, NormalWindows, RawScore
from edge_agent.detect.left_out import tolerance
from edge_agent.detect.reference_bank import ReferenceBank, mean_of_nearest, square_of
from edge_agent.detect.view_scales import ALARM_KNEE, LENGTHS_ROWS
from edge_agent.signals.features import Float32


class NearestNeighbours(Detector[ReferenceBank]):
    """Raw scores `together_*` of the views."""

    name = "together"
    scores = tuple(f"together_{rows}" for rows in LENGTHS_ROWS)
    memory = ReferenceBank
    by_mode = LENGTHS_ROWS
    sums_over_channels = True

    def fit(self, normal: NormalWindows) -> tuple[ReferenceBank, dict[str, Float32]]:
        """Remember windows that are spread over the normal time, and what each of them tolerates."""
        lengths, chosen = normal.scales.lengths, normal.reference
        points = normal.points(knee=ALARM_KNEE, views=slice(len(lengths)))
        flat = points.reshape(len(points), len(normal.ends), -1)
        left_out = normal.left_out
        bank = np.ascontiguousarray(np.stack([view[own] for view, own in zip(flat, chosen, strict=True)]))
        tolerances = [
            tolerance(
                left_out.distance[view],
                ends=normal.ends,
                chosen=chosen[view],
                reach_rows=rows,
                kept=normal.kept,
                sets=normal.set_of(view),
            )
            for view, rows in enumerate(lengths)
        ]
        sets = None
        if normal.sets is not None:
            sets = np.take_along_axis(normal.sets, chosen, axis=1).astype(np.uint8)
        memory = ReferenceBank(square_of(bank), bank, tolerance=np.stack(tolerances), sets=sets)
        distance = memory.tolerated(left_out.distance, left_out.nearest)
        return memory, {f"{self.name}_{rows}": distance[view] for view, rows in enumerate(lengths)}

    def score(self, memories: Sequence[ReferenceBank], windows: DueWindows) -> dict[str, RawScore]:
        """Distance to the remembered windows; a channel contributes its part of the way to the nearest one."""
        points = windows.points(knee=ALARM_KNEE, views=slice(len(windows.lengths)))
        P, B, C, F = points.shape
        flat = points.reshape(P, B, C * F)
        likeness = np.empty((P, B, memories[0].square.shape[-1]), np.float32)
        nearest, apart = np.empty((P, B), np.int64), flat.copy()
        for memory, sets, part in zip(memories, windows.sets, windows.slices, strict=True):
            bank = memory.at_hand()  # let go of with the next machine's
            own = bank.products(flat[:, part])
            own *= np.float32(-2.0)
            own += bank.squares(sets)
            nearest[:, part] = own.argmin(axis=-1)
            apart[:, part] -= bank.nearest_windows(nearest[:, part])
            likeness[:, part] = own
        distance = mean_of_nearest(likeness, square_of(flat))
        for view, rows in enumerate(windows.lengths):
            windows.nearest.setdefault(rows, nearest[view])
        for memory, part in zip(memories, windows.slices, strict=True):
            distance[:, part] = memory.tolerated(distance[:, part], nearest[:, part])
        parts = square_of(apart.reshape(P, B, C, F))
        return {
            f"{self.name}_{rows}": RawScore(distance[view], parts[view])
            for view, rows in enumerate(windows.lengths)
        }

    def compact(self, memory: ReferenceBank) -> ReferenceBank:
        """Packed into bytes."""
        return memory.compacted()

    def mask(self, memory: ReferenceBank, channels: NDArray[np.int64], *, n_channels: int) -> ReferenceBank:
        """The remembered windows of the channels that can be seen."""
        return memory.masked(channels, n_channels=n_channels)

    def numbers(self, memory: ReferenceBank) -> int:
        """A distance to each remembered window in each view."""
        return memory.square.size
