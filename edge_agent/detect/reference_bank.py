"""Windows of a machine that are remembered, and how far others are from the nearest of them. Not a detector.

A bank as it is fitted is 3.2 MB for eight channels. Its numbers are squashed and need few digits: compacted, each of
its columns is kept as 256 levels between its least and its largest value, a quarter of the room, and compared with as
it is.

Axes: P views of a window, M remembered windows, B windows, K numbers of a window, W normal windows, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.detector import LeftLazy
from edge_agent.detect.left_out import LeftOut
from edge_agent.model.lazy_arrays import Lazy, held
from edge_agent.signals.features import Float32

# A window counts as far from the bank by its mean distance to this many remembered windows.
_NEIGHBOURS = 3
_LEVELS = 255
_LEAST_STEP = np.float32(1e-12)
_CHUNK_WINDOWS = 256


class ReferenceBank(NamedTuple):
    """Remembered windows, whole or packed.

    Attributes:
        square: squared length of each, [P, M].
        bank: the windows, [P, M, K].
        codes: where they are packed, [P, M, K] from 0 to 255; a window is `codes * step + least`, both [P, 1, K].
        tolerance: what a distance to each is divided by, [P, M], see `left_out`; None: by nothing.
        sets: the set that each was in, [P, M], see `operating_modes`; None: all are compared with all.
    """

    square: Float32
    bank: Float32 | None = None
    codes: LeftLazy | None = None
    least: Float32 | None = None
    step: Float32 | None = None
    tolerance: Float32 | None = None
    sets: NDArray[np.integer] | None = None

    def at_hand(self) -> "ReferenceBank":
        """The same with its codes asked for, once."""
        return self if self.codes is None else self._replace(codes=held(self.codes))

    def windows(self) -> Float32:
        """All remembered windows, unpacked where they are packed."""
        return self.bank if self.bank is not None else self._unpacked(slice(None))

    def nearest_windows(self, chosen: NDArray[np.int64]) -> Float32:
        """The remembered windows [P, B, K] that are `chosen` [P, B]."""
        place = np.arange(len(chosen))[:, None], chosen
        return self.bank[place] if self.bank is not None else self._unpacked(place)

    def squares(self, sets: NDArray[np.int64] | None) -> Float32:
        """Squared lengths [P, 1, M], or [P, B, M] for windows of these sets [P, B]: infinite of other sets' windows."""
        if sets is None or self.sets is None:
            return self.square[:, None]
        found: Float32 = np.where(
            self.sets[:, None] == sets[..., None], self.square[:, None], np.float32(np.inf)
        )
        return found

    def tolerated(self, distance: Float32, nearest: NDArray[np.int64]) -> Float32:
        """Distances [P, B] to the `nearest` windows [P, B], in what these tolerate."""
        if self.tolerance is None:
            return distance
        found: Float32 = distance / self.tolerance[np.arange(len(nearest))[:, None], nearest]
        return found

    def _unpacked(self, place: slice | tuple[NDArray[np.int64], NDArray[np.int64]]) -> Float32:
        codes, least, step = self._packed()
        unpacked: Float32 = codes[place].astype(np.float32)
        unpacked *= step
        unpacked += least
        return unpacked

    def products(self, points: Float32) -> Float32:
        """Scalar products of points [P, B, K] with the remembered windows: [P, B, M].

        A packed bank is not unpacked: with codes c, `q . (c * step + least)` is `(q * step) . c + q . least`, which
        reads and writes the bank once instead of four times.
        """
        if self.bank is not None:
            found: Float32 = points @ np.swapaxes(self.bank, -1, -2)
            return found
        packed, least, step = self._packed()
        codes = packed.astype(np.float32)
        # The larger factor first: the same sums, and BLAS takes two thirds of the time for a few windows.
        turned = codes @ np.swapaxes(points * step, -1, -2)  # P M B
        found = np.ascontiguousarray(np.swapaxes(turned, -1, -2))
        found += np.einsum("pbk,pxk->pb", points, least)[..., None]
        return found

    def compacted(self) -> "ReferenceBank":
        """The same, packed. On simulated plants distances to it differ by .1 % at most (benchmarks: memory)."""
        if self.bank is None:
            return self
        least = self.bank.min(axis=1, keepdims=True)
        step = np.maximum((self.bank.max(axis=1, keepdims=True) - least) / _LEVELS, _LEAST_STEP)
        codes = np.rint((self.bank - least) / step).astype(np.uint8)
        packed = self._replace(
            bank=None, codes=codes, least=least.astype(np.float32), step=step.astype(np.float32)
        )
        return packed._replace(square=packed.lengths_squared())

    def masked(self, channels: NDArray[np.int64], *, n_channels: int) -> "ReferenceBank":
        """The same windows by some of their channels; K is C times what a channel has."""

        def part(whole: NDArray[np.generic] | None) -> Float32 | None:
            return None if whole is None else columns(whole, channels, n_channels=n_channels)

        hand = self.at_hand()
        codes = None if hand.codes is None else columns(held(hand.codes), channels, n_channels=n_channels)
        found = self._replace(bank=part(self.bank), codes=codes, least=part(self.least), step=part(self.step))
        found = found._replace(square=found.lengths_squared())
        if self.codes is None:
            return found
        # Parted at each use, for a tenth of what scoring takes, rather than held.
        return found._replace(codes=partial(_columns_of, self.codes, channels, n_channels))

    def lengths_squared(self) -> Float32:
        """[P, M] as `square` should be."""
        windows = self.windows()
        found: Float32 = np.einsum("pmk,pmk->pm", windows, windows)
        return found

    def _packed(self) -> tuple[NDArray[np.uint8], Float32, Float32]:
        assert self.codes is not None and self.least is not None and self.step is not None  # noqa: S101, PT018 - no bank
        return held(self.codes), self.least, self.step


def columns(whole: NDArray[np.generic], channels: NDArray[np.int64], *, n_channels: int) -> NDArray[Any]:
    """What [P, M, C*F] says of some channels, copied run by run: five times as fast as channel by channel."""
    P, M, _ = whole.shape
    by_channel = whole.reshape(P, M, n_channels, -1)
    runs = np.split(channels, np.flatnonzero(np.diff(channels) != 1) + 1)
    return np.concatenate([by_channel[:, :, run[0] : run[-1] + 1] for run in runs], axis=2).reshape(P, M, -1)


def _columns_of(
    codes: NDArray[np.uint8] | Lazy, channels: NDArray[np.int64], n_channels: int
) -> NDArray[Any]:
    return columns(held(codes), channels, n_channels=n_channels)


def neighbours(
    points: Float32, bank: Float32, *, square: Float32, barred: NDArray[np.bool_] | None = None
) -> tuple[Float32, NDArray[np.int64]]:
    """(mean distance to the nearest remembered windows [..., B], index of the nearest [..., B]).

    `points` [..., B, K] and `bank` [..., M, K] hold K numbers a window, `square` [..., M] the squared length
    of the latter. `barred` [B, M] are pairs that do not count: in calibration a window may not meet its
    own rows.
    """
    squared = points @ np.swapaxes(bank, -1, -2)
    return nearest_of(squared, points, square=square[..., None, :], barred=barred)


def nearest_of(
    products: Float32, points: Float32, *, square: Float32, barred: NDArray[np.bool_] | None = None
) -> tuple[Float32, NDArray[np.int64]]:
    """The same from the points' scalar products [..., B, M] with the bank, which are overwritten.

    `square` is [..., 1, M], or [..., B, M] where each window has a bank of its own.
    """
    squared = products
    squared *= -2.0
    squared += square
    if barred is not None:
        squared = np.where(barred, np.float32(np.inf), squared)
    nearest = squared.argmin(axis=-1)
    return mean_of_nearest(squared, square_of(points)), nearest


def mean_of_nearest(squared: Float32, own: Float32) -> Float32:
    """Mean distance to the nearest windows [...], from squared distances less the points' `own` lengths [..., M] [...].

    The former are overwritten.
    """
    k = min(_NEIGHBOURS, squared.shape[-1])
    squared.partition(k - 1, axis=-1)
    closest = squared[..., :k] + own[..., None]
    distance: Float32 = np.sqrt(np.maximum(closest, 0.0)).sum(axis=-1) / np.float32(k)
    return distance


def square_of(points: Float32) -> Float32:
    """Squared lengths of points [..., K]."""
    squares: Float32 = np.einsum("...k,...k->...", points, points)
    return squares


def excess(distance: Float32, *, usual: Float32, reach: Float32) -> Float32:
    """How far [..., B] each channel is beyond its usual normal distance, in its normal reach; at least 0."""
    beyond: Float32 = np.maximum((distance - usual[..., None]) / reach[..., None], np.float32(0.0))
    return beyond


def usual_and_reach(distance: Float32, least: float) -> tuple[Float32, Float32]:
    """Median of normal distances [..., W], and the way from there to their 99 % point."""
    usual, high = np.quantile(distance, [0.5, 0.99], axis=-1).astype(np.float32)
    return usual, np.maximum(high - usual, np.float32(least))


@dataclass(frozen=True, slots=True)
class Barred:
    """Which remembered windows a normal window may not meet: those that share rows with it, or are of another set.

    Attributes:
        ends: row after each window's newest one, [W].
        chosen: which of the windows are remembered, [M].
        reach_rows: rows of what is compared.
        sets: of each window, [W]; None: one.
    """

    ends: NDArray[np.int64]
    chosen: NDArray[np.int64]
    reach_rows: int
    sets: NDArray[np.int64] | None = None

    def of(self, part: slice) -> NDArray[np.bool_]:
        """[part of W, M]; with few rows the far half of the recording counts in any case."""
        apart_rows = min(self.reach_rows, int(self.ends[-1] - self.ends[0]) // 4)
        near: NDArray[np.bool_] = np.abs(self.ends[part, None] - self.ends[self.chosen][None, :]) < apart_rows
        return near if self.sets is None else near | self.elsewhere(part)

    def elsewhere(self, part: slice | NDArray[np.int64]) -> NDArray[np.bool_]:
        """[part of W, M] those of another set."""
        if self.sets is None:
            return np.zeros((len(self.ends[part]), len(self.chosen)), dtype=bool)
        found: NDArray[np.bool_] = self.sets[part, None] != self.sets[self.chosen][None, :]
        return found


def held_out_distances(points: Float32, bank: Float32, barred: Barred) -> Float32:
    """Distance of each normal window [..., W, K] to the remembered ones [..., M, K] that it may meet."""
    return held_out_neighbours(points, bank, barred)[0]


def held_out_neighbours(points: Float32, bank: Float32, barred: Barred) -> tuple[Float32, NDArray[np.int64]]:
    """(the same, the nearest of those, [..., W])."""
    n_windows = points.shape[-2]
    parts: Sequence[slice] = [slice(at, at + _CHUNK_WINDOWS) for at in range(0, n_windows, _CHUNK_WINDOWS)]
    square = square_of(bank)
    found = [neighbours(points[..., part, :], bank, square=square, barred=barred.of(part)) for part in parts]
    distance, nearest = (np.concatenate(each, axis=-1) for each in zip(*found, strict=True))
    return distance, nearest


def leave_out(
    flat: Float32,
    *,
    ends: NDArray[np.int64],
    chosen: NDArray[np.int64],
    lengths: Sequence[int],
    sets: NDArray[np.int64] | None = None,
) -> LeftOut:
    """How far each normal window is from the remembered others of its set.

    A window that may meet none of them, because its set was seen only once, is as far as it is from the set's centre.

    Args:
        flat: points, one view a length, [P, W, K].
        ends: row after each window's newest one, [W].
        chosen: which windows are remembered, [P, M].
        lengths: rows of each view.
        sets: of each window in each view, [P, W]; None: one.
    """
    distances, places = [], []
    for view, (points, remembered, rows) in enumerate(zip(flat, chosen, lengths, strict=True)):
        barred = Barred(ends, remembered, rows, None if sets is None else sets[view])
        bank = points[remembered]
        distance, nearest = held_out_neighbours(points, bank, barred)
        alone = np.flatnonzero(~np.isfinite(distance))
        if alone.size:
            distance[alone] = np.sqrt(square_of(points[alone]))
            elsewhere = barred.elsewhere(alone)
            _, nearest[alone] = neighbours(points[alone], bank, square=square_of(bank), barred=elsewhere)
        distances.append(distance)
        places.append(nearest)
    return LeftOut(np.stack(distances), np.stack(places))
