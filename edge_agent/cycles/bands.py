"""What the curves of a recipe are like: the middle and spread of each channel at each place of the cycle. Pure.

A band learns from each cycle that looks like it, so a fault does not become usual; the first `KNOWN_CYCLES` of a recipe
are taken as they are. The older a cycle, the less it counts.

Axes: N points, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KNOWN_CYCLES = 20
"""Of a recipe, from which on a cycle is compared with it."""
_MEMORY_CYCLES = 200
_LEAST_SHARE = 0.02
"""Of a channel's range over the cycle, below which a spread says nothing."""
_ALIKE = 3.0
"""Spreads by which a cycle that still tells what is usual may be away."""
_TINY = 1e-9
Float32 = NDArray[np.float32]


@dataclass(slots=True)
class Band:
    """One recipe's.

    Attributes:
        channels: C names.
        middle: [N, C], NaN where nothing was seen. variance: the same.
        cycles: that it was learnt from.
    """

    channels: tuple[str, ...]
    middle: Float32
    variance: Float32
    cycles: int = 0

    @classmethod
    def new(cls, channels: Sequence[str], points: int) -> "Band":
        """Of no cycle yet."""
        shape = points, len(channels)
        return cls(tuple(channels), np.full(shape, np.nan, np.float32), np.zeros(shape, np.float32))

    @property
    def known(self) -> bool:
        """Whether cycles are compared with it."""
        return self.cycles >= KNOWN_CYCLES

    def spread(self) -> Float32:
        """[N, C], never so small that noise stands out of it."""
        with np.errstate(invalid="ignore"):
            reach = np.nanmax(np.where(np.isnan(self.middle), -np.inf, self.middle), axis=0) - np.nanmin(
                np.where(np.isnan(self.middle), np.inf, self.middle), axis=0
            )
        least = np.where(np.isfinite(reach), _LEAST_SHARE * reach, 0.0)
        found: Float32 = np.maximum(np.sqrt(self.variance), least + _TINY).astype(np.float32)
        return found

    def shape(self, curve: Float32) -> Float32:
        """How far each channel's curve is from the middle, in spreads [C]; NaN while too little is known."""
        if not self.known:
            return np.full(len(self.channels), np.nan, np.float32)
        away = np.square((curve - self.middle) / self.spread())
        seen = np.isfinite(away)
        total = np.where(seen, away, 0.0).sum(axis=0)
        count = seen.sum(axis=0)
        found: Float32 = np.where(count > 0, np.sqrt(total / np.maximum(count, 1)), np.nan).astype(np.float32)
        return found

    def learn(self, curve: Float32) -> None:
        """Take in a cycle's curve [N, C], if it is like those before."""
        shape = self.shape(curve)
        if self.known and bool((shape[np.isfinite(shape)] > _ALIKE).any()):
            return
        self.cycles += 1
        share = np.float32(1.0 / min(self.cycles, _MEMORY_CYCLES))
        new = np.isnan(self.middle)
        step = np.where(new | np.isnan(curve), np.float32(0), curve - np.where(new, curve, self.middle))
        self.variance = ((1 - share) * (self.variance + share * np.square(step))).astype(np.float32)
        self.middle = np.where(new, curve, self.middle + share * step).astype(np.float32)
