"""Finds a machine's operating modes in its normal rows, where the evidence carries them; fits nothing to them.

A binary tree over the channels: a node is one channel and a valley between two humps of its histogram. It is split
where the sides are furthest apart in their own spreads, and only where both sides were visited often, or for long:
an hour's accident is no mode. No distances, no seed. The tests were chosen on simulated weeks (docs/experiments.md).

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

_MOST_MODES = 10
_BINS = 80
_SMOOTHED_BINS = 5
_RANGE = (0.001, 0.999)
_VALLEY = 0.05
"""A valley is less than this share of the lower of the humps on either side."""
_EDGES = (0.02, 0.98)
_WIDTH = (0.1, 0.9)
_SPREADS_IN_WIDTH = 2.563
_LEAST_GAP = 0.1
_LEAST_GAP_SPREADS = 1.5
_LEAST_SPREAD = 0.02
_FEWEST_VISITS = 8
_VISIT_ROWS = 15
_FEWEST_ROWS = 2000
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


def visits(members: Bools, *, least_rows: int = 1) -> tuple[int, int]:
    """(how often rows were members for so long at a time, [R], how many rows that was)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], members, [False]])))
    lengths = edges[1::2] - edges[::2]
    long = lengths[lengths >= least_rows]
    return len(long), int(long.sum())


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
    """Of all channels [C, R] the split whose sides are furthest apart, of those that the evidence carries."""
    if members.sum() < 2 * _FEWEST_VISITS * _VISIT_ROWS:
        return None
    best: Split | None = None
    for channel, own in enumerate(values):
        for at in _valleys(own[members]):
            split = _parted(own, members, channel=channel, at=at)
            if split is not None and (best is None or split.spreads_apart > best.spreads_apart):
                best = split
    return best


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
    if not (_evident(lower) and _evident(upper)):
        return None
    below, above = (np.quantile(own[side], [*_EDGES, *_WIDTH]) for side in (lower, upper))
    gap = float(above[0] - below[1])
    widths = float(below[3] - below[2]), float(above[3] - above[2])
    spread = max(sum(widths) / 2 / _SPREADS_IN_WIDTH, _LEAST_SPREAD)
    if gap <= _LEAST_GAP or gap <= _LEAST_GAP_SPREADS * spread:
        return None
    near = [min(_NEAR_GAP * gap + width, _MOST_NEAR_GAP * gap) for width in widths]
    return Split(channel, at, (float(below[1]) + near[0], float(above[0]) - near[1]), gap / spread)


def _evident(side: Bools) -> bool:
    times, rows = visits(side, least_rows=_VISIT_ROWS)
    return times >= _FEWEST_VISITS or rows >= _FEWEST_ROWS
