"""What the views of a machine's windows are compared with: centre and spread of each statistic while it was normal.

Shared by all detectors that look at statistics rather than at raw rows; it is no detector and judges nothing.

Axes: B windows, C channels, P views of a window, F statistics of a view, W normal windows.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.operating_modes import OperatingModes
from edge_agent.model.lazy_arrays import Lazy, held
from edge_agent.signals.features import Float32, signed_log

# Newest parts of a window that are described: short ones see a fault early, long ones see a slow one at all.
LENGTHS_ROWS = (16, 32, 64, 128)
# Newest parts that are compared with the longest one: a machine that drifts slowly changes neither.
CHANGE_ROWS = (16, 32)
# Normal spreads up to which a statistic counts nearly in full; beyond, its logarithm does. An alarm must not be
# ruled by one statistic that ran away; a judge that hears many of them is told how far it ran.
ALARM_KNEE = 2.0
JUDGE_KNEE = 5.0
# Least normal spread of each statistic (normal scales; nats for the bands), so that a statistic that happened to
# stand still does not make a fault of every breath.
_LEAST_SPREAD = np.array([0.05, 0.05, 0.05, 0.05, 0.02] + [0.5] * 6, np.float32)
# Least spread of a statistic in one mode, as a share of the machine's, and the rows from which a mode's own begins to
# count for more than its visits do.
_LEAST_SHARE = 0.02
_ROWS_OF_DOUBT = 500.0


class ViewScales(NamedTuple):
    """Of one machine.

    Attributes:
        location, scale, limit: [C], see `signals.features.scales`.
        lengths: rows of the views, ascending; then follow the changes that `change_lengths` tells.
        centre, spread: of each statistic of each view of normal windows, [P, C, F].
        modes: of operation; None: one.
        mode_centre, mode_spread: centre and spread in each set of windows, [P, K + 1, C, F]; the last of transitions.
    """

    location: Float32
    scale: Float32
    limit: Float32
    lengths: tuple[int, ...]
    centre: Float32
    spread: Float32
    modes: OperatingModes | None = None
    mode_centre: Float32 | None = None
    mode_spread: Float32 | None = None

    @classmethod
    def read(cls, arrays: Mapping[str, NDArray[Any] | Lazy]) -> "ViewScales":
        """Those among a machine's arrays."""
        modes = OperatingModes.read(arrays)
        return cls(
            held(arrays["location"]),
            held(arrays["scale"]),
            held(arrays["limit"]),
            tuple(held(arrays["lengths"]).tolist()),
            held(arrays["view_centre"]),
            held(arrays["view_spread"]),
            modes,
            None if modes is None else held(arrays["mode_centre"]),
            None if modes is None else held(arrays["mode_spread"]),
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
        found = {
            "location": np.ascontiguousarray(self.location[channels]),
            "scale": np.ascontiguousarray(self.scale[channels]),
            "limit": np.ascontiguousarray(self.limit[channels]),
            "view_centre": np.ascontiguousarray(self.centre[:, channels]),
            "view_spread": np.ascontiguousarray(self.spread[:, channels]),
        }
        if self.modes is not None and self.mode_centre is not None and self.mode_spread is not None:
            found |= self.modes.masked(channels).arrays()
            found["mode_centre"] = np.ascontiguousarray(self.mode_centre[:, :, channels])
            found["mode_spread"] = np.ascontiguousarray(self.mode_spread[:, :, channels])
        return found

    def of_sets(self, sets: NDArray[np.int64], views: slice) -> tuple[Float32, Float32]:
        """(centre, spread) of some views for windows of these sets [lengths, B], [P, B, C, F] each.

        Views that are changes go by the set of the longest length.
        """
        if self.mode_centre is None or self.mode_spread is None:
            shape = len(self.centre[views]), sets.shape[1], *self.centre.shape[1:]
            return tuple(np.broadcast_to(one[views][:, None], shape) for one in (self.centre, self.spread))  # type: ignore[return-value]
        n_views = len(self.mode_centre)
        numbers = sets[np.minimum(np.arange(n_views), len(sets) - 1)][views]
        place = np.arange(n_views)[views][:, None], numbers
        return self.mode_centre[place], self.mode_spread[place]


def fit_views(views: Float32) -> dict[str, Float32]:
    """`view_centre` and `view_spread` of normal views [P, W, C, F]."""
    centre, spread = centre_and_spread(views, _LEAST_SPREAD)
    return {"view_centre": centre, "view_spread": spread}


def share_of_doubt(inside: NDArray[np.bool_], *, stride: int) -> np.float32:
    """How much of the machine's spread a mode has at least, by which windows [W] were in it, `stride` rows apart.

    All of it where a mode was visited once, and briefly: that tells little of how much it varies from visit to visit.
    Less with the root of the visits, and where it was seen for long: it is then known as a machine that does no other.
    """
    places = np.flatnonzero(inside)
    visits, rows = 1 + np.count_nonzero(np.diff(places) > 1), len(places) * stride
    share = min(1.0, _ROWS_OF_DOUBT / max(rows, 1)) / np.sqrt(visits)
    return np.float32(max(share, _LEAST_SHARE))


def stride_of(ends: NDArray[np.int64]) -> int:
    """Rows from one normal window to the next, by the rows that windows end before, [W]."""
    return int(np.diff(ends).min()) if len(ends) > 1 else 1


def fit_mode_views(
    views: Float32, sets: NDArray[np.int64], *, scales: ViewScales, n_modes: int, stride: int
) -> dict[str, Float32]:
    """Centre and spread of normal views [P, W, C, F] in each set, by the windows' sets [lengths, W].

    A mode's spread is at least a share of the machine's, see `share_of_doubt`. Transitions are compared as the machine
    is. The windows are `stride` rows apart.
    """
    centre, spread = (np.repeat(one[:, None], n_modes + 1, axis=1) for one in (scales.centre, scales.spread))
    for view, seen in enumerate(views):
        numbers = sets[min(view, len(sets) - 1)]
        for number in range(n_modes):
            inside = numbers == number
            if not inside.any():
                continue
            own_centre, own_spread = centre_and_spread(seen[None, inside], _LEAST_SPREAD)
            share = share_of_doubt(inside, stride=stride)
            centre[view, number] = own_centre[0]
            spread[view, number] = np.maximum(own_spread[0], share * scales.spread[view])
    return {"mode_centre": centre, "mode_spread": spread}


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
