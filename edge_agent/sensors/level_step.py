"""Whether one channel alone stands at another level than the others let expect: a window against what was learnt. Pure.

A sensor that was recalibrated, or a set point that somebody moved by hand, reads higher from one row on, and nothing
else changes. The rules it keeps:

1. The level of a channel is its mean over `LEVEL_ROWS` rows. What the others let expect of it is ridge regression
   (Hoerl and Kennard, Technometrics 12, 1970) on their levels, of all channels at once by the inverse of one
   covariance, shrunk towards its diagonal by the share that foretells left-out rows best.
2. How far it may be off is learnt by leaving out a quarter of the normal rows in turn.
3. It is a step of this channel where it is further off than ever, equally far in both halves of the window and no more
   restless than usual, its level an unusual one by itself, too, and where all others agree once it is left out.
4. Where two channels could be it, neither is told; nor is one while a channel is hidden or silent: that may be it.

Axes: R rows, C channels, N levels, K voices: the channels that are scored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32
from edge_agent.signals.channel_kinds import ANALOG, COUNTER, transform, transform_rows

Values = NDArray[np.float64]

LEVEL_ROWS = 64
_EVERY_ROWS = 16
_PARTS = 4
_FEWEST_LEVELS = 40
_MOST_LEVELS = 4000
_LEAST_KNOWN = 0.5
_FAR, _AGREEING = 5.0, 4.0
"""Spreads from which on a channel is off, and up to which the others agree."""
_BEYOND = 1.25
"""Times the most that was seen of normal rows, at least, that both of these are."""
_ALIKE = 0.3
"""Share of the step by which the halves of a window may differ, if levels do so, too; more, and it is on its way."""
_UNUSUAL = 3.0
"""Spreads of its level from which on it is one that the channel hardly had; within, others may have left it behind."""
_BACK = 0.5
"""Share of a step below which it has gone back."""
_RESTLESS = 2.0
"""Times the usual step from row to row from which on a channel is no healthy one at another level."""
_SHARES = (0.001, 0.01, 0.1, 0.5)
"""By which correlations are shrunk, the best of them."""
_LEAST_VARIANCE, _LEAST_SPREAD = 1e-6, 1e-4
_CENTRE, _COVARIANCE, _SPREAD, _MOST = (f"step_{part}" for part in ("centre", "covariance", "spread", "most"))


@dataclass(frozen=True, slots=True)
class LevelStep:
    """A channel, by its place, that reads `offset` more than the others let expect, in its unit.

    Attributes:
        level: mean of its newest rows.
        low, high: between which that would lie 98 % of the time, by the others.
    """

    channel: int
    offset: float
    level: float
    low: float
    high: float


class ChannelLevels:
    """What the levels of one machine's channels let expect of each other."""

    def __init__(self, memory: Mapping[str, NDArray[Any]]) -> None:
        self._memory = memory
        self._latest: tuple[bytes, Values] | None = None  # the same voices are seen for many windows

    @classmethod
    def read(cls, memory: Mapping[str, NDArray[Any]]) -> "ChannelLevels | None":
        """By what was learnt; None where that says nothing: of a single channel, of too few rows, by an older agent."""
        return cls(memory) if _CENTRE in memory else None

    def find(self, window: Float32, *, hidden: Sequence[int] = ()) -> LevelStep | None:
        """The step that a window [C, T] shows in all of its rows, where every voice can be seen."""
        levels, places = self._halves(window), np.flatnonzero(self._voices)
        if levels is None or not np.isfinite(np.add(*levels)[places]).all() or np.isin(places, hidden).any():
            return None
        older, newer = levels
        whole, precision = (older + newer) / 2, self._precision(places)
        off = self._off(whole, places, precision)
        far = np.flatnonzero(np.abs(off) > self._limit(places, precision, times=_FAR))
        alone = [at for at in far.tolist() if self._others_agree(whole, places, at, precision)]
        if len(alone) != 1:
            return None
        at, channel = alone[0], int(places[alone[0]])
        apart = abs(self._off(newer, places, precision)[at] - self._off(older, places, precision)[at])
        usual = self._limit(places, precision, times=_AGREEING)[at]
        lasting = apart <= min(usual, _ALIKE * abs(off[at]))
        unusual = abs(whole[channel]) > _UNUSUAL * np.sqrt(self._memory[_COVARIANCE][channel, channel])
        if not (lasting and unusual and self._analog[channel] and self._calm(window[channel], channel)):
            return None
        return self._told(channel, float(off[at]), level=float(newer[channel]))

    def gone_back(self, window: Float32, step: LevelStep) -> bool:
        """Whether nothing much is left of a step in the newest rows of a window; False where they say nothing."""
        levels = self._halves(window)
        if levels is None or not np.isfinite(levels[1][step.channel]):
            return False
        level = levels[1]
        places = np.flatnonzero(self._voices & np.isfinite(level))
        if len(places) < 2:
            return False
        off = self._off(level, places, self._precision(places))[places.tolist().index(step.channel)]
        return bool(abs(off * self._scale[step.channel]) < _BACK * abs(step.offset))

    # -- the arithmetic, in the machine's own scales ---------------------------------------------------------

    @property
    def _scale(self) -> Float32:
        return self._memory["scale"]

    @cached_property
    def _code(self) -> NDArray[np.uint8]:
        return _codes(self._memory)

    @property
    def _analog(self) -> NDArray[np.bool_]:
        return np.asarray(self._code == ANALOG)

    @property
    def _voices(self) -> NDArray[np.bool_]:
        return np.asarray(self._memory[_SPREAD] > 0)

    def _halves(self, window: Float32) -> tuple[Values, Values] | None:
        """The levels [C] of the older and of the newer half; None of a window that is too short."""
        if window.shape[1] < 2 * LEVEL_ROWS:
            return None
        scored = transform(window[np.newaxis], self._memory)[0][:, -2 * LEVEL_ROWS :]
        z = (scored - self._memory["location"][:, np.newaxis]) / self._scale[:, np.newaxis]
        older, newer = (_level(part.T) for part in (z[:, :LEVEL_ROWS], z[:, LEVEL_ROWS:]))
        return older - self._memory[_CENTRE], newer - self._memory[_CENTRE]

    def _precision(self, places: NDArray[np.int64]) -> Values:
        key = places.tobytes()
        if self._latest is None or self._latest[0] != key:
            covariance = self._memory[_COVARIANCE][np.ix_(places, places)].astype(np.float64)
            self._latest = key, _inverse(covariance)
        return self._latest[1]

    def _off(self, level: Values, places: NDArray[np.int64], precision: Values) -> Values:
        """[K] how far each level is from what the others let expect, in the channel's scale."""
        found: Values = (precision @ level[places]) / np.diag(precision)
        return found

    def _limit(self, places: NDArray[np.int64], precision: Values, *, times: float) -> Values:
        """[K] how far they may be; fewer voices than were learnt let expect less of each."""
        spread, most = (self._memory[name][places].astype(np.float64) for name in (_SPREAD, _MOST))
        whole = np.sqrt(np.diag(self._whole)[places])
        wider = np.maximum(whole / np.sqrt(np.diag(precision)), 1.0)
        found: Values = wider * np.maximum(times * spread, _BEYOND * most)
        return found

    @cached_property
    def _whole(self) -> Values:
        """The precision of all voices, [C, C]; 1 on the diagonal of the others."""
        places = np.flatnonzero(self._voices)
        found = np.eye(len(self._voices))
        found[np.ix_(places, places)] = self._precision(places)
        return found

    def _others_agree(self, level: Values, places: NDArray[np.int64], at: int, precision: Values) -> bool:
        """Whether all voices but one say the usual of each other."""
        rest = np.delete(places, at)
        # The inverse without a row and column, by those of the whole (Schur complement).
        kept = np.delete(np.arange(len(places)), at)
        without = precision[np.ix_(kept, kept)]
        without = without - np.outer(precision[kept, at], precision[at, kept]) / precision[at, at]
        off = self._off(level, rest, without)
        return bool((np.abs(off) <= self._limit(rest, without, times=_AGREEING)).all())

    def _calm(self, values: Float32, channel: int) -> bool:
        """Whether a channel [T] is about as restless as ever."""
        steps = np.diff(values.astype(np.float64))
        steps, usual = steps[np.isfinite(steps)], float(self._memory["evidence/step"][channel])
        now = float(np.sqrt(np.mean(steps**2))) if steps.size else 0.0
        return usual / _RESTLESS**2 <= now <= _RESTLESS * usual

    def _told(self, channel: int, off: float, *, level: float) -> LevelStep:
        memory, scale = self._memory, float(self._scale[channel])
        here = float(memory["location"][channel]) + scale * (level + float(memory[_CENTRE][channel]))
        offset, around = scale * off, 2.33 * scale * float(memory[_SPREAD][channel])
        return LevelStep(channel, offset, here, here - offset - around, here - offset + around)


def reference(rows: Float32, memory: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """What levels are compared with, learnt from normal rows [R, C]; nothing of too few rows, or of one channel."""
    code = _codes(memory)
    z = (transform_rows(rows, memory) - memory["location"]) / memory["scale"]
    voices = np.flatnonzero((code <= COUNTER) & (np.isfinite(z).mean(axis=0) >= _LEAST_KNOWN))
    if len(voices) < 2 or len(z) < LEVEL_ROWS + _EVERY_ROWS * _FEWEST_LEVELS:
        return {}
    every = max(_EVERY_ROWS, -(-len(z) // _MOST_LEVELS))
    starts = np.arange(0, len(z) - LEVEL_ROWS + 1, every)
    levels = np.stack([_level(z[at : at + LEVEL_ROWS, voices]) for at in starts.tolist()])  # N K
    levels = levels[np.isfinite(levels).all(axis=1)]
    if len(levels) < _FEWEST_LEVELS:
        return {}
    tried = [_left_out(levels, share) for share in _SHARES]
    best = int(np.argmin([np.log((off**2).mean(axis=0) + _LEAST_VARIANCE).sum() for off in tried]))
    off = tried[best]
    centre, spread, most = np.zeros((3, rows.shape[1]), np.float32)
    centre[voices], most[voices] = levels.mean(axis=0), np.abs(off).max(axis=0)
    spread[voices] = np.maximum(np.sqrt((off**2).mean(axis=0)), _LEAST_SPREAD)
    covariance = np.eye(rows.shape[1], dtype=np.float32)
    covariance[np.ix_(voices, voices)] = _covariance(levels, _SHARES[best])
    return {_CENTRE: centre, _COVARIANCE: covariance, _SPREAD: spread, _MOST: most}


def _left_out(levels: Values, share: float) -> Values:
    """[N, K] how far each level was from what the others let expect, by the levels of the other quarters."""
    found = np.empty_like(levels)
    gap = LEVEL_ROWS // _EVERY_ROWS
    for part in np.array_split(np.arange(len(levels)), _PARTS):
        rest = np.r_[: max(part[0] - gap, 0), min(part[-1] + 1 + gap, len(levels)) : len(levels)]
        precision = _inverse(_covariance(levels[rest], share))
        found[part] = (levels[part] - levels[rest].mean(axis=0)) @ precision / np.diag(precision)
    return found


def _covariance(levels: Values, share: float) -> Values:
    """Of levels [N, K], correlations shrunk by a share."""
    covariance = np.asarray(np.cov(levels, rowvar=False), np.float64)
    variance = np.maximum(np.diag(covariance), _LEAST_VARIANCE)
    found: Values = (1.0 - share) * covariance
    np.fill_diagonal(found, variance)
    return found


def _inverse(covariance: Values) -> Values:
    """Of a covariance that may be all but singular."""
    found: Values = np.asarray(
        np.linalg.inv(covariance + _LEAST_VARIANCE * np.eye(len(covariance))), np.float64
    )
    return found


def _level(rows: Float32) -> Values:
    """Mean of rows [R, C], NaN where fewer than half of them are known."""
    known = np.isfinite(rows)
    count = known.sum(axis=0)
    total = np.where(known, rows, 0.0).sum(axis=0, dtype=np.float64)
    found: Values = np.where(count >= _LEAST_KNOWN * len(rows), total / np.maximum(count, 1), np.nan)
    return found


def _codes(memory: Mapping[str, NDArray[Any]]) -> NDArray[np.uint8]:
    """[C] what the channels are; analog where nothing is known of it."""
    return memory.get("kind_code", np.zeros(len(memory["location"]), np.uint8))
