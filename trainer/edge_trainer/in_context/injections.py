"""What is done to a healthy machine's rows so that they are faulty: fifteen kinds, each with its label. No physics.

In the style of GutenTAG (Wenig et al., "TimeEval", 2022), over many channels and hundreds of rows, and with breaks of
the relation between channels or rows that no channel shows alone. Chance comes only from the generator passed in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SIZES = (0.7, 10.0)
"""Least and largest displacement in local scales, log-uniform."""
_FAINT = 0.35
"""Root-mean-square change in scales below which an injection would be a lie; it becomes a change of level."""
_VISIBLE = 0.1
"""Share of a slow change from which on it is labelled."""
_SOFT = 0.6
"""Noise and oscillation of one size show more than a level of it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows of one channel that are to be changed.

    Attributes:
        signal: the whole channel, [R]. start, stop: the rows.
        scale: local spread. middle: local level.
        size: displacement with its sign, in the channel's unit.
        other: another channel in this one's unit, [R].
    """

    signal: Floats
    start: int
    stop: int
    scale: float
    middle: float
    size: float
    other: Floats

    @property
    def rows(self) -> int:
        """How many."""
        return self.stop - self.start

    @property
    def values(self) -> Floats:
        """As they are, [n]."""
        return self.signal[self.start : self.stop]

    @property
    def mean(self) -> float:
        """Of the rows themselves."""
        return float(self.values.mean())

    def elsewhere(self, start: int) -> Floats:
        """As many rows from another place, which is moved where it does not fit."""
        start = int(np.clip(start, 0, len(self.signal) - self.rows))
        return self.signal[start : start + self.rows]


Change = Callable[[np.random.Generator, Cut], Floats]


def _one_of(rng: np.random.Generator, less: tuple[float, float], more: tuple[float, float]) -> float:
    return float(rng.uniform(*(less if rng.random() < 0.4 else more)))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between two, each order of magnitude as likely as another."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _spikes(rng: np.random.Generator, cut: Cut) -> Floats:
    hit = rng.random(cut.rows) < max(0.05, 1.0 / cut.rows)
    hit[rng.integers(cut.rows)] = True
    hit_hard: Floats = cut.values + 2.0 * cut.size * hit
    return hit_hard


def _level(_: np.random.Generator, cut: Cut) -> Floats:
    return cut.values + cut.size


def _ramp(_: np.random.Generator, cut: Cut) -> Floats:
    grown: Floats = cut.values + 1.3 * cut.size * np.arange(1, cut.rows + 1) / cut.rows
    return grown


def _spread(rng: np.random.Generator, cut: Cut) -> Floats:
    changed: Floats = cut.mean + (cut.values - cut.mean) * _one_of(rng, (0.0, 0.3), (2.0, 6.0))
    return changed


def _tempo(rng: np.random.Generator, cut: Cut) -> Floats:
    source = cut.signal[max(cut.start - 10, 0) :]
    at = np.arange(cut.rows) * _one_of(rng, (0.3, 0.65), (1.6, 3.0))
    found: Floats = np.interp(at % max(len(source) - 1, 1), np.arange(len(source)), source)
    return found


def _stuck(rng: np.random.Generator, cut: Cut) -> Floats:
    breath = 0.01 * cut.scale * float(rng.random() < 0.3)
    found: Floats = cut.signal[max(cut.start - 1, 0)] + breath * rng.standard_normal(cut.rows)
    return found


def _dropout(rng: np.random.Generator, cut: Cut) -> Floats:
    lost = rng.random(cut.rows) < rng.choice([0.3, 1.0])
    return np.where(lost, 0.0 if rng.random() < 0.6 else cut.middle - 6.0 * cut.scale, cut.values)


def _amplitude(rng: np.random.Generator, cut: Cut) -> Floats:
    changed: Floats = cut.middle + (cut.values - cut.middle) * _one_of(rng, (0.0, 0.5), (1.5, 4.0))
    return changed


def _foreign(rng: np.random.Generator, cut: Cut) -> Floats:
    return cut.elsewhere(int(rng.integers(len(cut.signal)))).copy()


def _late(rng: np.random.Generator, cut: Cut) -> Floats:
    return cut.elsewhere(cut.start - int(log_uniform(rng, 3, 200))).copy()


def _noise(rng: np.random.Generator, cut: Cut) -> Floats:
    return cut.values + _SOFT * cut.size * rng.standard_normal(cut.rows)


def _mirrored(_: np.random.Generator, cut: Cut) -> Floats:
    return 2.0 * cut.mean - cut.values


def _oscillation(rng: np.random.Generator, cut: Cut) -> Floats:
    turn = 2 * np.pi / log_uniform(rng, 4, 100)
    swing: Floats = _SOFT * cut.size * np.sin(turn * np.arange(cut.rows) + rng.uniform(0, 6))
    return cut.values + swing


def _other_channel(_: np.random.Generator, cut: Cut) -> Floats:
    return cut.other[cut.start : cut.stop].copy()


def _limited(_: np.random.Generator, cut: Cut) -> Floats:
    return np.clip(cut.values, cut.middle - 0.3 * cut.scale, cut.middle + 0.3 * cut.scale)


INJECTIONS: Mapping[str, Change] = MappingProxyType(
    {
        "spikes": _spikes,
        "level": _level,
        "ramp": _ramp,
        "spread": _spread,
        "tempo": _tempo,
        "stuck": _stuck,
        "dropout": _dropout,
        "amplitude": _amplitude,
        "foreign": _foreign,
        "late": _late,
        "noise": _noise,
        "mirrored": _mirrored,
        "oscillation": _oscillation,
        "other_channel": _other_channel,
        "limited": _limited,
    }
)


@dataclass(frozen=True, slots=True)
class Injected:
    """What was done.

    Attributes:
        name: kind of injection.
        start, stop: the rows that are labelled.
        guilty: the channels, bool [C].
    """

    name: str
    start: int
    stop: int
    guilty: npt.NDArray[np.bool_]


def scales_of(rows: npt.NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Robust (spread, level) of each channel of rows [R, C], each [C]; the spread is above 0."""
    low, first, middle, third, high = np.nan_to_num(
        np.nanquantile(rows.astype(np.float64), [0.02, 0.25, 0.5, 0.75, 0.98], axis=0)
    )
    spread = np.maximum((third - first) / 1.35, (high - low) / 4.1)
    return np.maximum(spread, 1e-3 * np.abs(middle) + 1e-6), middle


def inject(
    rng: np.random.Generator, rows: npt.NDArray[np.float32], *, start: int, stop: int, general: Floats
) -> Injected:
    """Change some channels of rows [R, C] in place.

    Args:
        rng: the only source of chance.
        rows: the whole machine's; finite.
        start: the first row that is changed.
        stop: the row after the last.
        general: each channel's spread over all calm rows, [C]; none counts as stiller than a part of it.
    """
    names = tuple(INJECTIONS)
    name = names[int(rng.integers(len(names)))]
    guilty = _guilty(rng, rows.shape[1])
    local, middle = scales_of(rows[max(start - 600, 0) : max(start, 8)])
    floor = 0.05 if rng.random() < 0.5 else 1.0
    scale = np.maximum(local, floor * general)
    slow = name == "ramp"
    for channel in np.flatnonzero(guilty):
        cut = _cut(rng, rows, int(channel), start=start, stop=stop, scale=scale, middle=middle)
        changed = INJECTIONS[name](rng, cut)
        if float(np.sqrt(np.mean(np.square(changed - cut.values)))) < _FAINT * cut.scale:
            changed, slow = _level(rng, cut), False
        rows[start:stop, channel] = changed
    visible = start + int(_VISIBLE * (stop - start)) if slow else start
    return Injected(name, visible, stop, guilty)


def _guilty(rng: np.random.Generator, n_channels: int) -> npt.NDArray[np.bool_]:
    """One channel, some, or half of them."""
    luck = rng.random()
    if luck < 0.5 or n_channels == 1:
        count = 1
    else:
        count = min(n_channels, 2 + int(rng.integers(3))) if luck < 0.8 else max(1, n_channels // 2)
    guilty = np.zeros(n_channels, np.bool_)
    guilty[rng.choice(n_channels, count, replace=False)] = True
    return guilty


def _cut(
    rng: np.random.Generator,
    rows: npt.NDArray[np.float32],
    channel: int,
    *,
    start: int,
    stop: int,
    scale: Floats,
    middle: Floats,
) -> Cut:
    other = int(rng.integers(rows.shape[1]))
    spread, level = float(scale[channel]), float(middle[channel])
    size = log_uniform(rng, *_SIZES) * float(rng.choice([-1.0, 1.0]))
    borrowed = level + (rows[:, other].astype(np.float64) - middle[other]) / scale[other] * spread
    return Cut(
        signal=rows[:, channel].astype(np.float64),
        start=start,
        stop=stop,
        scale=spread,
        middle=level,
        size=spread * size,
        other=borrowed,
    )
