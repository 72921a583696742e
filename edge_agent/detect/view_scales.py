"""What the views of a machine's windows are compared with: centre and spread of each statistic while it was normal.

Shared by all detectors that look at statistics rather than at raw rows; it is no detector and judges nothing.

Axes: B windows, C channels, P views of a window, F statistics of a view, W normal windows.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.model.lazy_arrays import Lazy, held
from edge_agent.signals.features import Float32, signed_log

# Newest parts of a window that are described: short ones see a fault early, long ones see a slow one at all.
LENGTHS_ROWS = (16, 32, 64, 128)
# Newest parts that are compared with the longest one: a machine that drifts slowly changes neither.
CHANGE_ROWS = (16, 32)
# Normal spreads up to which a statistic counts nearly in full; beyond, its logarithm does. An alarm must not be
# ruled by one statistic that ran away; a ranking gains from hearing how far it ran.
ALARM_KNEE = 2.0
RANK_KNEE = 5.0
# Least normal spread of each statistic (normal scales; nats for the bands), so that a statistic that happened to
# stand still does not make a fault of every breath.
_LEAST_SPREAD = np.array([0.05, 0.05, 0.05, 0.05, 0.02] + [0.5] * 6, np.float32)


class ViewScales(NamedTuple):
    """Of one machine.

    Attributes:
        location, scale, limit: [C], see `signals.features.scales`.
        lengths: rows of the views, ascending; then follow the changes that `change_lengths` tells.
        centre, spread: of each statistic of each view of normal windows, [P, C, F].
    """

    location: Float32
    scale: Float32
    limit: Float32
    lengths: tuple[int, ...]
    centre: Float32
    spread: Float32

    @classmethod
    def read(cls, arrays: Mapping[str, NDArray[Any] | Lazy]) -> "ViewScales":
        """Those among a machine's arrays."""
        return cls(
            held(arrays["location"]),
            held(arrays["scale"]),
            held(arrays["limit"]),
            tuple(held(arrays["lengths"]).tolist()),
            held(arrays["view_centre"]),
            held(arrays["view_spread"]),
        )

    @property
    def change_lengths(self) -> tuple[int, ...]:
        """Newest rows of each view that is a change against the longest one."""
        return tuple(rows for rows in CHANGE_ROWS if rows < self.lengths[-1])

    def channels(self) -> dict[str, Float32]:
        """What channels are standardised by."""
        return {"location": self.location, "scale": self.scale, "limit": self.limit}

    def masked(self, channels: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """The arrays of some of the channels."""
        return {
            "location": np.ascontiguousarray(self.location[channels]),
            "scale": np.ascontiguousarray(self.scale[channels]),
            "limit": np.ascontiguousarray(self.limit[channels]),
            "view_centre": np.ascontiguousarray(self.centre[:, channels]),
            "view_spread": np.ascontiguousarray(self.spread[:, channels]),
        }


def fit_views(views: Float32) -> dict[str, Float32]:
    """`view_centre` and `view_spread` of normal views [P, W, C, F]."""
    centre, spread = centre_and_spread(views, _LEAST_SPREAD)
    return {"view_centre": centre, "view_spread": spread}


def centre_and_spread(seen: Float32, least: Float32) -> tuple[Float32, Float32]:
    """Robust centre and spread of normal views [P, W, C, F], each [P, C, F]."""
    low, centre, high = np.quantile(seen, [0.02, 0.5, 0.98], axis=1).astype(np.float32)
    deviation = np.median(np.abs(seen - centre[:, None]), axis=1)
    spread = np.maximum(np.maximum(1.4826 * deviation, (high - low) / 4.1), least)
    return centre, spread.astype(np.float32)


def describe(seen: Float32, *, centre: Float32, spread: Float32, knee: float) -> Float32:
    """Views [P, B, C, F] relative to normal ones, squashed beyond the knee: points in the space of a reference bank.

    Centre and spread are [P, C, F], or [P, B, C, F] for windows of several machines.
    """
    if centre.ndim < seen.ndim:
        centre, spread = centre[:, None], spread[:, None]
    bend = np.float32(knee)
    return bend * signed_log((seen - centre) / (bend * spread))
