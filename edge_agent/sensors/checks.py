"""What each sensor does, row by row: how long it has not changed or been heard, and how much noise is left. Pure.

Everything is compared with the machine's own normal rows. Axes: R rows, C channels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_agent.records import Float32

NOISE_ROWS = 10
"""Second differences that the noise is measured from: few, because a window of 16 rows hears a silence, too."""
BEFORE_ROWS = NOISE_ROWS + 1
_LEVELS = 8
"""Parts of the normal range, each with a least noise of its own: a machine at rest is quieter."""

_LEVEL_ROWS = 200
"""Normal rows from which on a part of the range is known; else the least noise of all counts."""

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Moves:
    """How R rows of C channels went on; each [R, C].

    Attributes:
        filled: the value, or the last one before it.
        previous: the value before that of the row.
        apart: so many rows lie from that to the row; one where both were observed.
        joined: the `BEFORE_ROWS` rows before these, and these, as they were observed.
        first_row: rows looked at before these.
    """

    filled: Float32
    previous: Float32
    apart: Ints
    joined: Float32
    first_row: int

    @property
    def step(self) -> Float32:
        """Absolute difference between a value and the one before it, NaN at a channel's first."""
        moved: Float32 = np.abs(self.filled - self.previous)
        return moved


@dataclass(frozen=True, slots=True)
class FullCheck(Moves):
    """What the full check finds besides; each [R, C].

    Attributes:
        run: observed values since the last that differed, this one included.
        gap: rows since the channel was observed.
        noise: root mean square second difference of the newest rows; NaN where some were not observed.
    """

    run: Ints
    gap: Ints
    noise: Float32


@dataclass(frozen=True, slots=True)
class QuickCheck:
    """Of R rows that are ordinary, but for how far they step.

    Attributes:
        joined: the `BEFORE_ROWS` rows before these, and these.
        run: [C] for how many values each channel has stood still.
        far: whether a value lies farther from the one before than normal ones do.
    """

    joined: Float32
    run: Ints
    far: bool


@dataclass(frozen=True, slots=True)
class Bounds:
    """Within which a row is ordinary, each [C].

    Attributes:
        low, high: of the values. step: of the difference to the value before. run: of rows without a change.
        power: least sum of squared second differences.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    step: NDArray[np.float64]
    run: NDArray[np.float64]
    power: NDArray[np.float64]


class ChannelHistory:
    """Remembers of each channel what the next rows are compared with."""

    def __init__(self, n_channels: int) -> None:
        self._last = np.full(n_channels, np.nan, np.float32)
        self.run = np.zeros(n_channels, np.int64)
        """[C] for how many values each channel has stood still."""
        self.gap = np.zeros(n_channels, np.int64)
        """[C] for how many rows each channel has been silent."""
        self.row = 0
        """Rows that were looked at, and those before."""
        self._tail = np.full((BEFORE_ROWS, n_channels), np.nan, np.float32)

    def check(self, rows: Float32) -> FullCheck:
        """At the next rows [R, C], NaN where a channel was not observed."""
        observed = ~np.isnan(rows)
        steps = np.arange(1, len(rows) + 1)[:, np.newaxis]
        newest = np.maximum.accumulate(np.where(observed, steps, 0), axis=0)
        before = np.concatenate([self._last[np.newaxis], rows])
        filled = np.take_along_axis(before, newest, axis=0)
        gap = np.where(newest > 0, steps - newest, self.gap + steps)
        previous = np.concatenate([self._last[np.newaxis], filled[:-1]])
        apart = np.concatenate([self.gap[np.newaxis], gap[:-1]]) + 1
        counted = np.cumsum(observed, axis=0)
        start = np.where(observed & (filled != previous), counted - 1, -self.run)
        run = counted - np.maximum.accumulate(start, axis=0)
        joined = np.concatenate([self._tail, rows])
        noise = rolling_noise(joined)
        self._last, self.run, self.gap, self._tail = filled[-1], run[-1], gap[-1], joined[-BEFORE_ROWS:]
        self.row += len(rows)
        return FullCheck(
            filled=filled,
            previous=previous,
            apart=apart,
            joined=joined,
            first_row=self.row - len(rows),
            run=run,
            gap=gap,
            noise=noise,
        )

    def quick_check(self, rows: Float32, bounds: Bounds) -> QuickCheck | None:
        """At the next rows [R, C]; None where they call for a full check. Cheap: most rows end here.

        Only after `pass_over` they count as looked at.
        """
        joined = np.concatenate([self._tail, rows])
        slope = joined[1:] - joined[:-1]
        moved = slope[-len(rows) :]
        # A cell that was not observed, now or lately, makes a comparison false.
        if not ((rows >= bounds.low) & (rows <= bounds.high)).all():
            return None
        run = self._runs(moved)
        if not (run <= bounds.run).all() or not (_power(slope) >= bounds.power).all():
            return None
        return QuickCheck(joined, run[-1], far=not (np.abs(moved) <= bounds.step).all())

    def moves(self, quick: QuickCheck) -> Moves:
        """What stepped how far in rows of a quick check."""
        rows = quick.joined[BEFORE_ROWS:]
        return Moves(
            filled=rows,
            previous=quick.joined[BEFORE_ROWS - 1 : -1],
            apart=np.ones(rows.shape, np.int64),
            joined=quick.joined,
            first_row=self.row,
        )

    def pass_over(self, quick: QuickCheck) -> None:
        """The rows of a quick check count as checked."""
        self._last, self.run, self._tail = quick.joined[-1], quick.run, quick.joined[-BEFORE_ROWS:]
        self.gap = np.zeros_like(self.gap)
        self.row += len(quick.joined) - BEFORE_ROWS

    def _runs(self, moved: Float32) -> Ints:
        """For how many values each channel has stood still, [R, C] or the same for all; all are observed."""
        if moved.all():
            return np.ones((1, moved.shape[1]), np.int64)
        steps = np.arange(1, len(moved) + 1)[:, np.newaxis]
        begun = np.maximum.accumulate(np.where(moved != 0, steps - 1, -self.run), axis=0)
        run: Ints = steps - begun
        return run


def _power(slope: Float32) -> Float32:
    """Sum of squared second differences of each `NOISE_ROWS + 2` rows in a row, from the rows' first differences."""
    bend = slope[1:] - slope[:-1]
    squared = bend * bend
    if len(squared) == NOISE_ROWS:
        single: Float32 = np.add.reduce(squared, axis=0, keepdims=True)
        return single
    # As ten sums: a running sum would lose what is small beside what has passed.
    power = squared[: len(squared) - NOISE_ROWS + 1].copy()
    for at in range(1, NOISE_ROWS):
        power += squared[at : len(squared) - NOISE_ROWS + 1 + at]
    return power


def rolling_noise(rows: Float32) -> Float32:
    """Root mean square second difference of each `NOISE_ROWS + 2` rows in a row: [R, C] -> [R - NOISE_ROWS - 1, C].

    A slow course leaves second differences almost alone, so what they measure is noise.
    """
    bend = np.diff(rows, n=2, axis=0)
    squared = bend * bend
    if len(squared) == NOISE_ROWS:  # one row at a time is the commonest case by far
        single: Float32 = np.sqrt(np.add.reduce(squared, axis=0, keepdims=True) / NOISE_ROWS)
        return single
    power: Float32 = sliding_window_view(squared, NOISE_ROWS, axis=0).mean(axis=-1)
    return np.sqrt(power)


def consecutive(flags: Bools, before: Ints, *, unknown: Bools) -> Ints:
    """For how many rows each flag [R, C] has been set without a break, the `before` [C] rows earlier included.

    Where it is `unknown` [R, C] the flag, which is not set there, neither goes on nor ends.
    """
    counted = np.cumsum(flags, axis=0)
    ended = np.maximum.accumulate(np.where(flags | unknown, -before, counted), axis=0)
    return counted - ended


def reference(rows: Float32, observed: Bools | None = None) -> dict[str, NDArray[np.generic]]:
    """What findings compare with, learnt from normal rows [R, C]; `observed` marks cells that were not merely held."""
    seen = ChannelHistory(rows.shape[1]).check(rows if observed is None else np.where(observed, rows, np.nan))
    count = np.arange(1, len(rows) + 1)[:, np.newaxis]
    heard = count > seen.gap  # not before the first value
    noise = np.where(np.isnan(seen.noise), np.inf, seen.noise)[BEFORE_ROWS:]
    quiet = noise.min(axis=0, initial=np.inf)
    low, high = -_largest(-rows), _largest(rows)
    return {
        "quality/run": seen.run.max(axis=0),
        "quality/gap": np.where(heard, seen.gap, 0).max(axis=0),
        "quality/noise": np.where(np.isfinite(quiet), quiet, 0.0).astype(np.float32),
        "quality/step": _largest(seen.step),
        "quality/noise_at": _noise_by_level(seen.filled[BEFORE_ROWS:], noise, low=low, high=high),
        "quality/drift": _drift(rows),
        "quality/low": low,
        "quality/high": high,
        "quality/observed": (seen.gap == 0).mean(axis=0).astype(np.float32),
    }


def level_of(values: Float32, *, low: Float32, high: Float32) -> Ints:
    """In which part of the normal range each value [R, C] lies, from 0; beyond it, in the outermost."""
    share = (values - low) / np.maximum(high - low, np.float32(1e-30))
    level: Ints = np.clip(np.nan_to_num(share * _LEVELS), 0, _LEVELS - 1).astype(np.int64)
    return level


def _noise_by_level(values: Float32, noise: Float32, *, low: Float32, high: Float32) -> Float32:
    """The least noise [L, C] while the value lay in each part of the normal range, or in one beside it."""
    level, channels = level_of(values, low=low, high=high), np.arange(values.shape[1])
    found = np.full((_LEVELS + 2, values.shape[1]), np.inf, np.float32)
    np.minimum.at(found, (level + 1, channels[np.newaxis]), noise)
    count = np.zeros(found.shape, np.int64)
    np.add.at(count, (level + 1, channels[np.newaxis]), np.isfinite(noise))
    least: Float32 = np.minimum(np.minimum(found[:-2], found[1:-1]), found[2:])
    overall = found.min(axis=0)
    enough = count[:-2] + count[1:-1] + count[2:] >= _LEVEL_ROWS
    least = np.where(enough, least, overall)
    return np.where(np.isfinite(least), least, np.float32(0.0))


def _drift(rows: Float32) -> Float32:
    """How far the median of `BEFORE_ROWS` rows moved from one such stretch to the next, at most, [C]."""
    if len(rows) < 2 * BEFORE_ROWS:
        return np.zeros(rows.shape[1], np.float32)
    level = np.median(sliding_window_view(rows, BEFORE_ROWS, axis=0), axis=-1)
    return _largest(np.abs(level[BEFORE_ROWS:] - level[:-BEFORE_ROWS]).astype(np.float32))


def _largest(values: Float32) -> Float32:
    found: Float32 = np.where(np.isnan(values), -np.inf, values).max(axis=0)
    return np.where(np.isfinite(found), found, np.float32(0.0))
