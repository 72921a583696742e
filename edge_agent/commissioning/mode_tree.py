"""Finds a machine's operating modes in its normal rows, where the evidence carries them; fits nothing to them.

A binary tree over the channels: a node is one channel and a valley between two humps of its histogram. It is split
where that says most of all channels, and only where both sides were visited often, or for long, or some times in the
same way: an hour's accident is no mode. No distances, no seed. The tests were chosen on simulated weeks
(docs/experiments.md).

Axes: R rows, C channels, N nodes, K modes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.operating_modes import OperatingModes, newest_mean
from edge_agent.signals.features import Float32

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

_MOST_MODES = 10
_BINS = 80
_SMOOTHED_BINS = 5
_RANGE = (0.001, 0.999)
_VALLEY = 0.05
"""A valley is less than this share of the lower of the humps on either side."""
_EDGES = (0.02, 0.98)
_WIDTH = (0.1, 0.9)
_SPREADS_IN_WIDTH = 2.563
_ABOUT_AS_MUCH = 0.9
_LEAST_GAP = 0.1
_LEAST_GAP_SPREADS = 1.5
_LEAST_SPREAD = 0.02
_FEWEST_VISITS = 8
_VISIT_ROWS = 15
_FEWEST_ALIKE, _ALIKE_SHARE = 4, 0.2
"""Visits that speak for a mode if they are spread over half of the rows, and their levels differ by no more than this
share of the gap: what happens by accident does not happen four times in the same way."""
_FEWEST_ROWS = 2000
_COMING_ROWS = 32
"""Rows after a side was come to, and before it is left, that tell little of where it ends."""
_NEAR_GAP, _MOST_NEAR_GAP = 0.02, 0.2
_TRANSIT_TIMES, _TRANSIT_MORE_ROWS = 1.5, 16
_FEWEST_SCORED = 16
"""Windows of a length that a set must have, so that some of them can be remembered."""


@dataclass(frozen=True, slots=True)
class Split:
    """A node: a channel, where its sides part, between which values it is on its way, and how far they are apart."""

    channel: int
    at: float
    transit: tuple[float, float]
    spreads_apart: float


def find(z: Float32, *, n_lengths: int) -> OperatingModes | None:
    """The modes of standardised normal rows [C, R]; None where nothing speaks for more than one."""
    values = newest_mean(z)
    members = [np.ones(z.shape[1], dtype=bool)]  # of each leaf
    open_splits = [_best_split(values, members[0])]
    where: list[tuple[int, int] | None] = [None]  # of each leaf: its node and side
    nodes: list[Split] = []
    sides: list[list[int]] = []
    while len(members) < _MOST_MODES:
        found = [-1.0 if split is None else split.spreads_apart for split in open_splits]
        leaf = int(np.argmax(found))
        split = open_splits[leaf]
        if split is None:
            break
        upper = members[leaf] & (values[split.channel] > split.at)
        lower = members[leaf] & ~upper
        parent = where[leaf]
        if parent is not None:
            sides[parent[0]][parent[1]] = len(nodes)
        new = len(members)
        sides.append([-1 - leaf, -1 - new])
        members[leaf], where[leaf], open_splits[leaf] = lower, (len(nodes), 0), _best_split(values, lower)
        members.append(upper)
        where.append((len(nodes), 1))
        open_splits.append(_best_split(values, upper))
        nodes.append(split)
    return _modes(nodes, sides, z, values, n_lengths=n_lengths) if nodes else None


def with_windows(modes: OperatingModes, sets: NDArray[np.int64]) -> OperatingModes | None:
    """The modes that enough of the normal windows are in, by their sets [P, W] if all modes are known.

    None where there are too few windows of transitions to compare others with, or of all modes.
    """
    counts = np.stack([np.bincount(of_length, minlength=modes.count + 1) for of_length in sets])
    known = counts[:, : modes.count] >= _FEWEST_SCORED
    transitions = counts[:, modes.count] + np.where(known, 0, counts[:, : modes.count]).sum(axis=1)
    if (transitions < _FEWEST_SCORED).any() or not known.any():
        return None
    return replace(modes, known=known)


def _stays(members: Bools, *, least_rows: int) -> tuple[Ints, Ints]:
    """(first row, rows) of each time that rows were members [R] for so long."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], members, [False]])))
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    long = lengths >= least_rows
    return starts[long], lengths[long]


def _modes(
    nodes: Sequence[Split], sides: Sequence[Sequence[int]], z: Float32, values: Float32, *, n_lengths: int
) -> OperatingModes:
    n_modes, n_channels = len(nodes) + 1, len(z)
    modes = OperatingModes(
        channel=np.array([node.channel for node in nodes]),
        split=np.array([node.at for node in nodes], np.float32),
        transit=np.array([node.transit for node in nodes], np.float32),
        sides=np.array(sides),
        transit_rows=z.shape[1],
        level=np.zeros((n_modes, n_channels), np.float32),
        level_spread=np.ones((n_modes, n_channels), np.float32),
        known=np.ones((n_lengths, n_modes), dtype=bool),
        by_newest_row=True,
    )
    mode, moving = (part[0] for part in modes.rows(z[None]))
    for number in range(n_modes):
        inside = (mode == number) & ~moving if ((mode == number) & ~moving).any() else mode == number
        low, middle, high = np.quantile(values[:, inside], [_WIDTH[0], 0.5, _WIDTH[1]], axis=1)
        modes.level[number] = middle
        modes.level_spread[number] = np.maximum((high - low) / _SPREADS_IN_WIDTH, _LEAST_SPREAD)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], moving, [False]])))
    longest = int(np.max(edges[1::2] - edges[::2], initial=0))
    return replace(modes, transit_rows=int(_TRANSIT_TIMES * longest) + _TRANSIT_MORE_ROWS)


def _best_split(values: Float32, members: Bools) -> Split | None:
    """Of all channels [C, R] the split that says most of the others, too, of those that the evidence carries.

    Several channels tell the same change, some of them late: of those that say about as much, the one whose sides are
    furthest apart.
    """
    if members.sum() < 2 * _FEWEST_ALIKE * _VISIT_ROWS:
        return None
    found = [
        split
        for channel, own in enumerate(values)
        for at in _valleys(own[members])
        if (split := _parted(own, members, channel=channel, at=at)) is not None
    ]
    told = [_told(values[:, members], values[split.channel, members] > split.at) for split in found]
    least = _ABOUT_AS_MUCH * max(told, default=0.0)
    likely = [split for split, much in zip(found, told, strict=True) if much >= least]
    return max(likely, key=lambda split: split.spreads_apart, default=None)


def _told(values: Float32, upper: Bools) -> float:
    """How much less channels [C, R] vary on the sides than in all rows: mean logarithm of the variances' ratio."""
    share = float(upper.mean())
    within = share * values[:, upper].var(axis=1) + (1.0 - share) * values[:, ~upper].var(axis=1)
    least = np.float32(_LEAST_SPREAD**2)
    return float(np.mean(np.log((values.var(axis=1) + least) / (within + least))))


def _valleys(own: Float32) -> list[float]:
    """Middles of the valleys between two humps of a channel's histogram."""
    low, high = np.quantile(own, _RANGE)
    if high - low <= _LEAST_GAP:
        return []
    counts, edges = np.histogram(own, bins=_BINS, range=(low, high))
    smooth = np.convolve(counts, np.ones(_SMOOTHED_BINS) / _SMOOTHED_BINS, mode="same")
    before = np.concatenate([[0.0], np.maximum.accumulate(smooth)[:-1]])
    after = np.concatenate([np.maximum.accumulate(smooth[::-1])[::-1][1:], [0.0]])
    deep = smooth < _VALLEY * np.minimum(before, after)
    ends = np.flatnonzero(np.diff(np.concatenate([[False], deep, [False]]))).tolist()
    return [float(edges[first] + edges[after_last]) / 2 for first, after_last in list(pairwise(ends))[::2]]


def _parted(own: Float32, members: Bools, *, channel: int, at: float) -> Split | None:
    """The split of a channel's rows [R] there; None where its sides are near, or were seen too seldom."""
    upper = members & (own > at)
    lower = members & ~upper
    if not (lower.any() and upper.any()):
        return None
    below, above = (np.quantile(own[side], [*_EDGES, *_WIDTH]) for side in (lower, upper))
    gap = float(above[0] - below[1])
    if not (_evident(own, lower, gap=gap) and _evident(own, upper, gap=gap)):
        return None
    widths = float(below[3] - below[2]), float(above[3] - above[2])
    spread = max(sum(widths) / 2 / _SPREADS_IN_WIDTH, _LEAST_SPREAD)
    if gap <= _LEAST_GAP or gap <= _LEAST_GAP_SPREADS * spread:
        return None
    near = [min(_NEAR_GAP * gap + width, _MOST_NEAR_GAP * gap) for width in widths]
    # On few rows of a side those of its comings and goings may be more than what its edge leaves out.
    low = min(float(below[1]), float(np.quantile(own[_stayed(lower)], _EDGES[1])))
    high = max(float(above[0]), float(np.quantile(own[_stayed(upper)], _EDGES[0])))
    return Split(channel, at, (low + near[0], high - near[1]), gap / spread)


def _stayed(side: Bools) -> Bools:
    """A side's rows [R] but those soon after it was come to or soon before it was left; all where few would remain."""
    before = np.concatenate([[0], np.cumsum(np.pad(side, _COMING_ROWS, mode="edge"))])
    width = 2 * _COMING_ROWS + 1
    found: Bools = before[width:] - before[:-width] == width
    return found if found.sum() >= side.sum() / 2 else side


def _evident(own: Float32, side: Bools, *, gap: float) -> bool:
    """Whether a side was visited often, or for long, or some times on a level that is the same each time."""
    starts, lengths = _stays(side, least_rows=_VISIT_ROWS)
    if len(starts) >= _FEWEST_VISITS or lengths.sum() >= _FEWEST_ROWS:
        return True
    if len(starts) < _FEWEST_ALIKE or starts[-1] - starts[0] < len(side) / 2:
        return False
    stays = zip(starts.tolist(), lengths.tolist(), strict=True)
    levels = [float(np.median(own[start : start + length])) for start, length in stays]
    return max(levels) - min(levels) <= _ALIKE_SHARE * gap
