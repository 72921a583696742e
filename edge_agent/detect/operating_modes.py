"""In which operating mode a window was: a tree of thresholds on single channels, which people can read.

A machine that stands at night, or does one thing after another, is not one machine: what is usual, how much it varies
and what is rare belong to a mode. The tree is found by `commissioning.mode_tree`; each node asks whether the mean of a
channel's newest rows is above a valley between two humps of its histogram ("speed below 640").

A window belongs to a *set*, one for each length that is looked at: its mode, where all of those rows and two before
them were in that mode; else the set of transitions, whose number is the number of modes. Between the sides of a node
lies a zone of transit. A transit longer than any that was learnt is none: the nearest mode judges it.

All of it follows from the window's own rows and what was learnt; nothing is remembered from one window to the next.
Pure. Axes: B windows, C channels, T rows, N nodes, K modes, P lengths that are looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.model.lazy_arrays import Lazy, held
from edge_agent.signals.channel_kinds import transform
from edge_agent.signals.features import Float32, standardise

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_MEAN_ROWS = 3
SETTLING_ROWS = 2
"""Rows before those of a view that must be of the same mode: the mean of the newest rows lags."""
_HIDDEN = -1
IN_TRANSIT = -1
"""In the place of a mode's number."""
_NEAR_WAY, _NEAR_SPREADS = 0.02, 3.0
"""A row is in a mode within this share of the way to the next one, and within so many spreads more."""
_LEAST_DISTANCE = 1e-6


class WindowModes(NamedTuple):
    """The modes of B windows.

    Attributes:
        sets: of each window for each length, [P, B]: its mode's number, or K for the set of transitions.
        newest: mode of its newest row, `IN_TRANSIT` where that is, [B].
        visited: in which modes some of its rows were, or on their way to or from, [B, K], see `longer_than_learnt`.
    """

    sets: Ints
    newest: Ints
    visited: Bools


@dataclass(frozen=True, slots=True)
class OperatingModes:
    """The modes of one machine.

    Attributes:
        channel: of each node, parents before children, [N]; -1: one that cannot be seen.
        split: in normal scales, [N]; above it lies the upper side.
        transit: between which values the channel is on its way, [N, 2].
        sides: what lies below and above: a node, or a mode m as -1 - m, [N, 2].
        transit_rows: longest run of rows in transit that is one.
        level, level_spread: of each channel's rows in each mode, in normal scales, [K, C].
        known: of which modes windows of each length are remembered, [P, K].
        by_newest_row: whether a window whose newest row by itself is in another mode is in transit; not so of machines
            that were learnt by an agent that did not ask.
    """

    channel: Ints
    split: Float32
    transit: Float32
    sides: Ints
    transit_rows: int
    level: Float32
    level_spread: Float32
    known: Bools
    by_newest_row: bool = False

    @classmethod
    def read(cls, arrays: Mapping[str, NDArray[Any] | Lazy]) -> "OperatingModes | None":
        """Those among a machine's arrays; None where it has one mode, or was learnt by an agent that knew none."""
        if "mode_channel" not in arrays:
            return None
        known = {name: arrays.get(f"mode_{name}") for name in cls.__slots__}
        found: dict[str, Any] = {name: held(array) for name, array in known.items() if array is not None}
        plain = {
            "transit_rows": int(found["transit_rows"]),
            "by_newest_row": bool(found.get("by_newest_row")),
        }
        return cls(**{**found, **plain})

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What `read` reads."""
        return {f"mode_{name}": np.asarray(getattr(self, name)) for name in self.__slots__}

    @property
    def count(self) -> int:
        """K; also the number of the set of transitions."""
        return len(self.level)

    def masked(self, channels: Ints) -> "OperatingModes":
        """By the channels that can be seen; where the tree asks another one, the nearest level decides."""
        place = {channel: at for at, channel in enumerate(channels.tolist())}
        return replace(
            self,
            channel=np.array([place.get(channel, _HIDDEN) for channel in self.channel.tolist()]),
            level=np.ascontiguousarray(self.level[:, channels]),
            level_spread=np.ascontiguousarray(self.level_spread[:, channels]),
        )

    def sets(self, z: Float32, lengths: Sequence[int]) -> Ints:
        """The set of each standardised window [B, C, T] for each length, [P, B]."""
        return self.observe(z, lengths).sets

    def observe(self, z: Float32, lengths: Sequence[int]) -> "WindowModes":
        """The modes of standardised windows [B, C, T], and the sets that they are in for each length."""
        mode, moving, visited = self._told(z)
        T, newest = z.shape[-1], mode[:, -1]
        unlike = moving | (mode != newest[:, np.newaxis])
        held_rows = T - (unlike * np.arange(1, T + 1)).max(axis=1)
        least = np.minimum(np.asarray(lengths) + SETTLING_ROWS, T)[:, np.newaxis]
        sets = np.where((held_rows >= least) & self.known[:, newest], newest, self.count)
        visited[np.arange(len(z))[:, np.newaxis], mode] = True
        return WindowModes(
            sets, np.where(moving[:, -1], IN_TRANSIT, newest), longer_than_learnt(visited, sets[-1])
        )

    def rows(self, z: Float32) -> tuple[Ints, Bools]:
        """Of each row of standardised windows [B, C, T]: (its mode, whether it is in transit), [B, T] each."""
        mode, moving, _ = self._told(z)
        return mode, moving

    def _told(self, z: Float32) -> tuple[Ints, Bools, Bools]:
        """(the same two, between which modes some row is in transit, [B, K])."""
        if (self.channel == _HIDDEN).any():
            return self._nearest_level(z)
        seen = z[:, self.channel]  # B N T
        values = newest_mean(seen)
        if self.by_newest_row:
            values = np.concatenate([values, seen[..., -1:]], axis=-1)
        mode, on_path = self._walked(values)
        newest, mode, values = mode[:, -1], mode[:, : z.shape[-1]], values[..., : z.shape[-1]]
        between = (values > self.transit[:, :1]) & (values < self.transit[:, 1:])
        moving = np.zeros(mode.shape, dtype=bool)
        visited = np.zeros((len(z), self.count), dtype=bool)
        if between.any():
            between &= np.swapaxes(on_path[mode], 1, 2)
            moving = self._short(np.asarray(between.any(axis=1)))
            nodes = np.asarray((between & moving[:, np.newaxis]).any(axis=2))
            visited |= (nodes[:, np.newaxis] & on_path).any(axis=2)
        if self.by_newest_row:
            # The mean is late: the machine is on its way to where its newest row by itself is.
            moving[:, -1] |= newest != mode[:, -1]
            visited[np.arange(len(z)), newest] = True
        return mode, moving, visited

    def _walked(self, values: Float32) -> tuple[Ints, Bools]:
        """(the modes that the nodes' values [B, N, T] lead to, [B, T], which nodes lead to each mode, [K, N])."""
        turns, depth, on_path = _paths(self.sides.astype(np.int64, copy=False).tobytes())
        agreed = turns @ np.where(values > self.split[:, np.newaxis], np.float32(1), np.float32(-1))
        mode: Ints = (agreed - depth[:, np.newaxis]).argmax(axis=1)
        return mode, on_path

    def _short(self, moving: Bools) -> Bools:
        """Rows [B, T] that look like transit, but for stretches longer than any that was learnt."""
        return np.asarray(moving & (_run_rows(moving) <= self.transit_rows))

    def _nearest_level(self, z: Float32) -> tuple[Ints, Bools, Bools]:
        """What `_told` tells, by the mode whose levels each row is nearest to.

        In transit is what lies between the levels of the two nearest modes, on the line from one to the other, and
        further from both than a mode's own rows are. Of modes that are too near to each other for that, nothing is.
        """
        values = newest_mean(z)
        apart = np.stack(
            [
                np.square((values - level[:, None]) / spread[:, None]).sum(axis=1)
                for level, spread in zip(self.level, self.level_spread, strict=True)
            ]
        )
        mode, other = np.argsort(apart, axis=0)[:2]  # a tree has two modes or more
        moving = np.zeros(mode.shape, dtype=bool)
        for first in range(self.count):
            for second in range(first + 1, self.count):
                pair = np.minimum(mode, other), np.maximum(mode, other)
                here = (pair[0] == first) & (pair[1] == second)
                if here.any():
                    moving |= here & self._between(values, first, second)
        moving = self._short(moving)
        visited = np.zeros((len(z), self.count), dtype=bool)
        window, row = np.nonzero(moving)
        visited[window, other[window, row]] = True
        return mode.astype(np.int64), moving, visited

    def _between(self, values: Float32, first: int, second: int) -> Bools:
        """Whether rows [B, C, T] are between the levels of two modes, [B, T]."""
        way = self.level[second] - self.level[first]
        weight = way / (np.square(self.level_spread[first]) + np.square(self.level_spread[second]))
        square = float(way @ weight)  # of their distance, in spreads
        edge = _NEAR_WAY + _NEAR_SPREADS / max(np.sqrt(square), _LEAST_DISTANCE)
        share = np.einsum("bct,c->bt", values - self.level[first][:, None], weight) / max(
            square, _LEAST_DISTANCE
        )
        return np.asarray((share > edge) & (share < 1.0 - edge))


@lru_cache(maxsize=64)
def _paths(sides: bytes) -> tuple[Float32, Float32, Bools]:
    """Of a tree's `sides` [N, 2] the paths to its modes.

    Returns:
        (which way each turns at each node, 1 up and -1 down and 0 where it does not pass, [K, N]; how many nodes it
        passes, [K]; which ones, [K, N]).
    """
    below_and_above = np.frombuffer(sides, np.int64).reshape(-1, 2)
    n_nodes = len(below_and_above)
    turns = np.zeros((n_nodes + 1, n_nodes), np.float32)
    before = np.zeros((n_nodes, n_nodes), np.float32)  # of each node, as `turns` of a mode
    for node, ways in enumerate(below_and_above.tolist()):  # parents before children
        for turn, next_node in zip((-1.0, 1.0), ways, strict=True):
            path = before[node].copy()
            path[node] = turn
            if next_node < 0:
                turns[-1 - next_node] = path
            else:
                before[next_node] = path
    on_path = turns != 0
    return turns, on_path.sum(axis=1).astype(np.float32), on_path


def longer_than_learnt(visited: Bools, sets: Ints) -> Bools:
    """Which modes windows may show, [B, K], by those that their rows were in and the sets of the longest view, [B].

    A window that was in one mode alone for longer than ever while the machine was learnt is of the set of transitions:
    what changed before it may go on in what is slow, from whatever mode.
    """
    n_modes = visited.shape[1]
    beyond = (sets == n_modes) & (visited.sum(axis=1) == 1)
    return np.asarray(visited | beyond[:, np.newaxis])


def newest_mean(z: Float32) -> Float32:
    """Mean of each row [..., T] and the two before it, as far as there are any."""
    found = z.copy()
    for back in range(1, _MEAN_ROWS):
        found[..., back:] += z[..., :-back]
    found /= _rows_in_mean(z.shape[-1])
    return found


@lru_cache(maxsize=8)
def _rows_in_mean(n_rows: int) -> Float32:
    found: Float32 = np.minimum(np.arange(1, n_rows + 1), _MEAN_ROWS).astype(np.float32)
    found.setflags(write=False)
    return found


def _run_rows(flags: Bools) -> Ints:
    """Of each flag that is set, how many are in its row [B, T]; of others, 0 or less."""
    T = flags.shape[1]
    place = np.arange(T)
    before = np.maximum.accumulate(np.where(flags, -1, place), axis=1)
    after = np.minimum.accumulate(np.where(flags, T, place)[:, ::-1], axis=1)[:, ::-1]
    found: Ints = after - before - 1
    return found


def row_modes(arrays: Mapping[str, NDArray[Any]], rows: Float32) -> Ints | None:
    """The mode of each row [R, C] in physical units, -1 in transit, [R]; None where the machine has one mode."""
    modes = OperatingModes.read(arrays)
    if modes is None:
        return None
    usual = {name: arrays[name] for name in ("location", "scale", "limit")}
    mode, moving = modes.rows(standardise(transform(rows.T[np.newaxis], arrays), **usual))
    found: Ints = np.where(moving, IN_TRANSIT, mode)[0]
    return found


def mode_names(arrays: Mapping[str, NDArray[Any]], channels: Sequence[str]) -> tuple[str, ...]:
    """What `told` says of a machine's modes; empty where it has one."""
    modes = OperatingModes.read(arrays)
    if modes is None:
        return ()
    return tuple(told(modes, channels=channels, location=arrays["location"], scale=arrays["scale"]))


def told(modes: OperatingModes, *, channels: Sequence[str], location: Float32, scale: Float32) -> list[str]:
    """In words what each mode is, for instance "speed below 640 and power above 3", in the channels' own units."""
    words = [""] * modes.count

    def walk(node: int, path: tuple[str, ...]) -> None:
        if node < 0:
            words[-1 - node] = " and ".join(path)
            return
        channel = int(modes.channel[node])
        limit = float(modes.split[node] * scale[channel] + location[channel])
        for side, next_node in zip(("below", "above"), modes.sides[node].tolist(), strict=True):
            walk(next_node, (*path, f"{channels[channel]} {side} {limit:.3g}"))

    walk(0, ())
    return words
