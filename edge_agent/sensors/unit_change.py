"""Whether a sensor began to speak in another unit: its value jumped by a conversion that people mix up. Pure.

A conversion is only told where chance is ruled out: the jump must be far larger than any normal step, and the value
must land where the conversion of the value before it lies, as close as normal steps alone would leave it. A channel
that steps wildly when all is well is judged by `_STRETCH` rows on either side: level and noise must have changed by the
same factor at once, and the factor's inverse must bring every value back among the normal ones. Nobody is blamed who
was unusual before the jump.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32
from edge_agent.sensors.checks import BEFORE_ROWS, Moves

Values = NDArray[np.float64]

_FACTORS = (
    10.0,  # a decimal point
    100.0,  # bar and kPa, a share and per cent
    1000.0,  # kilo, milli
    1e6,  # mega, micro
    60.0,  # seconds, minutes
    3600.0,
    3.6,  # m/s and km/h, m³/h and l/s
    14.5038,  # bar and psi
    6.89476,  # psi and kPa
    25.4,  # inch and mm
    3.28084,  # m and ft
    3.78541,  # gallon and litre
    2.20462,  # kg and lb
    9.80665,  # kgf and N
    9.5493,  # rad/s and rpm
)
_AFFINE = ((1.8, 32.0), (1.0, 273.15))  # °C to °F, °C to K
CONVERSIONS: tuple[tuple[float, float], ...] = (
    *((factor, 0.0) for factor in _FACTORS),
    *((1.0 / factor, 0.0) for factor in _FACTORS),
    *_AFFINE,
    *((1.0 / gain, -offset / gain) for gain, offset in _AFFINE),
)
"""(gain, offset) pairs, both ways. kW and hp are too near to each other: a machine fault jumps by a third as easily."""
_FAR = 3.0
"""A jump counts from so many of the largest normal steps on, of the unit before and after."""
_NEAR = 1.5
_SHARPEST = 0.2
"""Share of the jump that the largest normal step may be in the new unit; more, and chance hits a conversion."""
_MARGIN = 0.25
"""Share of the normal range by which it may be left without being left."""
_WIDE = 1.0
"""The same where level and noise are compared: a slow channel wanders."""
_BACK_ROWS = 3
_STRETCH = 10
"""Rows after a jump that are compared with those before it."""
_LEAST_GAIN = 3.5
"""Level and noise that change by less may well be the machine's."""
_ALIKE = 2.5
"""Noise, brought back, may differ so many times from that before: so few rows measure it roughly."""
_LEFT = 0.1
"""Share of the jump that a gain may leave: a machine that starts and stops wanders so far that any gain would do."""
_KNOWN_ROWS = BEFORE_ROWS // 2 + 1
"""So many of the rows before a jump must have been observed: a lost sample does not make them say nothing."""
_BARRED_ROWS = 300
"""A channel whose jump was no change of unit is not doubted again for so long: a machine fault must be seen."""


@dataclass(frozen=True, slots=True)
class UnitState:
    """What outlives a restart: it may have begun before the rows that a machine keeps.

    Attributes:
        changed: (channel, gain, offset) of channels that speak in another unit.
        barred: (channel, row count) until which a channel is not doubted again.
    """

    changed: tuple[tuple[int, float, float], ...] = ()
    barred: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class _Changed:
    """A channel speaks in another unit: value = gain * before + offset, for so many rows."""

    gain: float
    offset: float
    rows: int = 1
    back_rows: int = 0

    def back(self, value: float) -> float:
        return (value - self.offset) / self.gain


_GAINS = tuple(
    gain for gain, offset in CONVERSIONS if offset == 0 and not 1 / _LEAST_GAIN < gain < _LEAST_GAIN
)


def _noise(values: Values) -> float:
    """Root mean square second difference."""
    return float(np.sqrt(np.mean(np.diff(values, n=2) ** 2)))


def _median(values: Values) -> float:
    """As numpy's, to the bit, of a few values: its own takes ten times as long."""
    ranked: list[float] = sorted(values.tolist())
    half = len(ranked) // 2
    return (ranked[half] + ranked[-half - 1]) / 2


def _held(values: Float32) -> Values:
    """The values from the first that was observed on, each lost one as the last before it; none where few were."""
    observed = ~np.isnan(values)
    if observed.sum() < _KNOWN_ROWS:
        return np.empty(0)
    first = int(observed.argmax())
    latest = np.maximum.accumulate(np.where(observed, np.arange(len(values)), first))
    return values[latest][first:].astype(np.float64)


def conversion(before: float, now: float, *, step: float) -> tuple[float, float] | None:
    """(gain, offset) that takes the value before to the value now; None where none does, or chance may.

    Args:
        before: the last value in the old unit.
        now: the next value.
        step: the largest step between two normal rows, in the old unit.
    """
    jump = abs(now - before)
    if jump < _FAR * step:  # too near for any
        return None
    best, closest = None, _NEAR
    for gain, offset in CONVERSIONS:
        if jump < _FAR * step * (1.0 + gain) or gain * step > _SHARPEST * jump:
            continue
        miss = abs(now - (gain * before + offset)) / (gain * step + 1e-6 * abs(now) + 1e-30)
        if miss <= closest:
            best, closest = (gain, offset), miss
    return best


@dataclass(slots=True)
class _Doubt:
    """A channel jumped: the values before, and those since."""

    before: Values
    after: list[float]


class UnitMonitor:
    """Remembers which channels speak in another unit."""

    def __init__(self, memory: Mapping[str, NDArray[Any]], *, unitless: Sequence[bool] = ()) -> None:
        """Begin; `unitless` are channels, of C, that nobody measures and whose unit nobody can mistake."""
        self._step = memory["quality/step"].astype(np.float64)
        self._step[np.flatnonzero(unitless)] = np.inf
        low, high = memory["quality/low"].astype(np.float64), memory["quality/high"].astype(np.float64)
        self._low, self._high = low - _MARGIN * (high - low), high + _MARGIN * (high - low)
        self._wide_low, self._wide_high = low - _WIDE * (high - low), high + _WIDE * (high - low)
        self._drift = memory.get("quality/drift", np.zeros(len(low))).astype(np.float64)
        self._farthest = self._step + self._drift
        self._changed: dict[int, _Changed] = {}
        self._doubts: dict[int, _Doubt] = {}
        self._barred: dict[int, int] = {}
        self.reach: NDArray[np.float64] = np.where(self._step > 0, self._step, np.inf)
        """[C] steps up to here are nothing to look at."""

    @property
    def idle(self) -> bool:
        """Whether every channel speaks in its own unit."""
        return not self._changed and not self._doubts

    @property
    def changed(self) -> bool:
        """Whether a channel speaks in another unit."""
        return bool(self._changed)

    def save(self, *, row: int) -> UnitState:
        """What to give to `restore`, so many rows after a machine's first."""
        return UnitState(
            changed=tuple((at, now.gain, now.offset) for at, now in sorted(self._changed.items())),
            barred=tuple((at, until) for at, until in sorted(self._barred.items()) if until > row),
        )

    def restore(self, state: UnitState) -> None:
        """Go on where another monitor stood."""
        n_channels = len(self._step)
        self._changed |= {at: _Changed(gain, offset) for at, gain, offset in state.changed if at < n_channels}
        self._barred |= {at: until for at, until in state.barred if at < n_channels}

    def check(self, seen: Moves) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """(for how many rows each channel has been in another unit, 0: its own; whether that is in doubt), [R, C]."""
        rows, doubted = np.zeros(seen.filled.shape, np.int64), np.zeros(seen.filled.shape, np.bool_)
        steps = self._steps(seen)
        jumped = (seen.step > steps) & (steps > 0)
        for channel in sorted({*np.flatnonzero(jumped.any(axis=0)).tolist(), *self._changed, *self._doubts}):
            values, before = seen.filled[:, channel].tolist(), seen.previous[:, channel].tolist()
            leaps = jumped[:, channel].tolist()
            at = self._next_row(channel, leaps, 0)
            while at < len(leaps):
                changed, value = self._changed.get(channel), values[at]
                step = float(steps[at, channel])
                rows[at, channel] = self._follow(
                    channel, changed, step=step, previous=before[at], value=value
                )
                if channel not in self._changed:
                    rows[at, channel] = self._weigh(channel, seen, at=at, value=value)
                    doubted[at, channel] = channel in self._doubts
                at = self._next_row(channel, leaps, at + 1)
        return rows, doubted

    def _next_row(self, channel: int, leaps: list[bool], at: int) -> int:
        """The first row from `at` on that may say something of the channel's unit; their number where none does."""
        if channel in self._changed or channel in self._doubts:
            return at
        return leaps.index(True, at) if True in leaps[at:] else len(leaps)

    def _steps(self, seen: Moves) -> Values:
        """[R, C] the largest steps that normal rows allow; where rows were lost in between, so many times one row's."""
        steps: Values = np.minimum(self._step * seen.apart, self._farthest)
        return steps

    def _weigh(self, channel: int, seen: Moves, *, at: int, value: float) -> int:
        """Rows in another unit by what `_STRETCH` rows say; 0 while they are gathered, or say no."""
        doubt = self._doubts.get(channel)
        if doubt is None:
            if seen.first_row + at < self._barred.get(channel, 0):
                return 0
            before = _held(seen.joined[at : at + BEFORE_ROWS, channel])
            low, high = self._wide_low[channel], self._wide_high[channel]
            normal = len(before) > 0 and bool(((low <= before) & (before <= high)).all())
            if not normal:
                return 0
            doubt = self._doubts[channel] = _Doubt(before, [])
        doubt.after.append(value)
        if len(doubt.after) < _STRETCH:
            return 0
        del self._doubts[channel]
        gain = self._scaled(channel, doubt.before, np.array(doubt.after))
        if gain is None:
            self._barred[channel] = seen.first_row + at + _BARRED_ROWS
            return 0
        self._changed[channel] = _Changed(gain, 0.0, rows=_STRETCH)
        return _STRETCH

    def _scaled(self, channel: int, before: Values, after: Values) -> float | None:
        """The factor that level and noise changed by, at once; None where there is none."""
        low, high = float(self._wide_low[channel]), float(self._wide_high[channel])
        least, most = float(after.min()), float(after.max())
        noise, level = _noise(before), _median(before)
        usual = self._low[channel] <= least and most <= self._high[channel]
        if usual and abs(_median(after) - level) <= self._drift[channel]:
            return None  # normal rows went as far in their own unit
        best, closest = None, np.inf
        for gain in _GAINS:
            if not (low <= least / gain and most / gain <= high):
                continue
            back = after / gain
            apart = min(_ALIKE, np.sqrt(max(gain, 1.0 / gain)))  # a small factor must be told from none
            alike = 1.0 / apart <= (_noise(back) + 1e-30) / (noise + 1e-30) <= apart
            miss = abs(_median(back) - level)
            if alike and miss <= min(self._drift[channel], _LEFT * abs(_median(after) - level), closest):
                best, closest = gain, miss
        return best

    def _follow(
        self, channel: int, changed: _Changed | None, *, step: float, previous: float, value: float
    ) -> int:
        """Rows in another unit with this one."""
        if changed is None:
            if channel in self._doubts:
                return 0
            # A value that was unusual before it jumped speaks of the machine, not of a unit.
            normal = self._low[channel] <= previous <= self._high[channel]
            found = conversion(previous, value, step=step) if normal else None
            if found is None:
                return 0
            self._changed[channel] = _Changed(*found)
            return 1
        returned = abs(value - previous) > _FAR * step and (
            abs(value - changed.back(previous)) <= _NEAR * step * (1.0 + 1.0 / changed.gain)
        )
        own = self._low[channel] <= value <= self._high[channel]
        other = self._low[channel] <= changed.back(value) <= self._high[channel]
        changed.back_rows = 0 if other else changed.back_rows + 1
        if returned or changed.back_rows >= (_BACK_ROWS if own else 20 * _BACK_ROWS):
            del self._changed[channel]
            return 0
        changed.rows += 1
        return changed.rows
