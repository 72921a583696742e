"""Labelled anomalies for windows of any origin, in the style of GutenTAG (Wenig et al., 2022). Not machine faults.

Sizes are relative to the window's own robust scale. A window whose drawn anomaly would hardly show (a flat line in a
constant, a dropout of a signal near zero) gets a level shift or a trend instead, so that no label lies.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from edge_agent.errors import UsageError
from edge_trainer.data.synthetic.mixture import MIN_LENGTH, windows
from edge_trainer.data.synthetic.shapes import Signals

Floats = npt.NDArray[np.float64]

_LEAST_CHANGE = 0.5  # largest displacement of an anomaly, in robust scales, below which it is replaced
_LEAST_ROWS = 6  # of anything but a spike; shorter ones drown in noise
_SIGMA_PER_IQR = 1.349  # of the normal distribution


@dataclass(frozen=True, slots=True)
class _Cut:
    """Windows that get one kind of anomaly, and where.

    Attributes:
        values: The windows, float64 [n, T].
        start: First row of the anomaly, [n, 1].
        stop: Row after its last, [n, 1].
        scale: Robust scale, [n, 1].
        middle: Median, [n, 1].
    """

    values: Floats
    start: npt.NDArray[np.int64]
    stop: npt.NDArray[np.int64]
    scale: Floats
    middle: Floats

    @property
    def time(self) -> npt.NDArray[np.int64]:
        """Row numbers, [1, T]."""
        return np.arange(self.values.shape[1])[None, :]

    def size(self, rng: np.random.Generator, low: float, high: float) -> Floats:
        """Log-uniform displacement of random sign, in the unit of the window, [n, 1]."""
        shape = self.scale.shape
        magnitude = np.exp(rng.uniform(np.log(low), np.log(high), shape))
        displacement: Floats = self.scale * magnitude * rng.choice([-1.0, 1.0], shape)
        return displacement

    def factor(
        self, rng: np.random.Generator, less: tuple[float, float], more: tuple[float, float]
    ) -> Floats:
        """A factor from one of two ranges, [n, 1]."""
        shape = self.scale.shape
        return np.where(rng.random(shape) < 0.5, rng.uniform(*less, shape), rng.uniform(*more, shape))

    def read(self, position: Floats) -> Floats:
        """The windows at fractional rows [n, T], mirrored at their ends, interpolated."""
        last = self.values.shape[1] - 1
        folded = np.abs((position + last) % (2.0 * last) - last)
        below = np.minimum(folded.astype(np.int64), last - 1)
        share = folded - below
        left, right = (np.take_along_axis(self.values, below + step, axis=1) for step in (0, 1))
        between: Floats = left + share * (right - left)
        return between


def _spike(rng: np.random.Generator, cut: _Cut) -> Floats:
    return cut.values + cut.size(rng, 3.0, 15.0) * rng.uniform(0.5, 1.0, cut.values.shape)


def _level_shift(rng: np.random.Generator, cut: _Cut) -> Floats:
    return cut.values + cut.size(rng, 1.0, 8.0)


def _trend(rng: np.random.Generator, cut: _Cut) -> Floats:
    progress = (cut.time - cut.start + 1) / (cut.stop - cut.start)
    drifting: Floats = cut.values + cut.size(rng, 1.5, 8.0) * progress
    return drifting


def _variance_change(rng: np.random.Generator, cut: _Cut) -> Floats:
    padded = np.pad(cut.values, ((0, 0), (2, 2)), mode="edge")
    smooth = np.lib.stride_tricks.sliding_window_view(padded, 5, axis=1).mean(axis=-1)
    rough: Floats = smooth + cut.factor(rng, (0.0, 0.2), (2.5, 8.0)) * (cut.values - smooth)
    return rough


def _frequency_change(rng: np.random.Generator, cut: _Cut) -> Floats:
    return cut.read(cut.start + (cut.time - cut.start) * cut.factor(rng, (0.3, 0.65), (1.6, 3.0)))


def _flat_line(rng: np.random.Generator, cut: _Cut) -> Floats:
    held = np.take_along_axis(cut.values, np.maximum(cut.start - 1, 0), axis=1)
    jitter = 0.01 * cut.scale * (rng.random(held.shape) < 0.3) * rng.standard_normal(cut.values.shape)
    return np.broadcast_to(held, cut.values.shape) + jitter


def _dropout(rng: np.random.Generator, cut: _Cut) -> Floats:
    lost = rng.random(cut.values.shape) < rng.choice([0.5, 1.0], cut.scale.shape)
    return np.where(lost, 0.0, cut.values)


def _amplitude_change(rng: np.random.Generator, cut: _Cut) -> Floats:
    return cut.middle + cut.factor(rng, (0.0, 0.4), (1.8, 4.0)) * (cut.values - cut.middle)


def _pattern_swap(rng: np.random.Generator, cut: _Cut) -> Floats:
    foreign = windows(rng, count=len(cut.values), length=cut.values.shape[1]).astype(np.float64)
    foreign -= foreign.mean(axis=1, keepdims=True)
    swapped: Floats = cut.middle + cut.scale * foreign / np.maximum(foreign.std(axis=1, keepdims=True), 1e-12)
    return swapped


def _pattern_shift(rng: np.random.Generator, cut: _Cut) -> Floats:
    return cut.read(cut.time + rng.uniform(2.0, cut.values.shape[1] / 2.0, cut.scale.shape))


def _noise_burst(rng: np.random.Generator, cut: _Cut) -> Floats:
    return cut.values + cut.size(rng, 0.7, 5.0) * rng.standard_normal(cut.values.shape)


def _mean_reversal(_: np.random.Generator, cut: _Cut) -> Floats:
    return 2.0 * cut.middle - cut.values


ANOMALIES: Mapping[str, Callable[[np.random.Generator, _Cut], Floats]] = MappingProxyType(
    {
        "spike": _spike,
        "level_shift": _level_shift,
        "trend": _trend,
        "variance_change": _variance_change,
        "frequency_change": _frequency_change,
        "flat_line": _flat_line,
        "dropout": _dropout,
        "amplitude_change": _amplitude_change,
        "pattern_swap": _pattern_swap,
        "pattern_shift": _pattern_shift,
        "noise_burst": _noise_burst,
        "mean_reversal": _mean_reversal,
    }
)
_SPIKE, _SHIFT, _TREND = (list(ANOMALIES).index(name) for name in ("spike", "level_shift", "trend"))


def inject(
    rng: np.random.Generator, clean: Signals, *, share: float = 1.0
) -> tuple[Signals, npt.NDArray[np.bool_], npt.NDArray[np.int8]]:
    """Put one anomaly into each window, or into a share of them.

    Args:
        rng: The only source of chance.
        clean: Finite windows, float32 [N, T], T at least 8; left as they are.
        share: Probability that a window gets an anomaly, 0 to 1.

    Returns:
        The corrupted windows float32 [N, T]; the label bool [N, T], from the first to the last changed cell; the kind
        int8 [N], 0 where nothing was injected, else 1 + index into `ANOMALIES`.

    Raises:
        UsageError: Wrong shape or share.
    """
    if clean.ndim != 2 or clean.shape[1] < MIN_LENGTH or not 0.0 <= share <= 1.0:
        raise UsageError(
            f"wants windows [N, {MIN_LENGTH} or more] and a share 0..1, got {clean.shape} and {share}"
        )
    count, length = clean.shape
    kind = np.where(rng.random(count) < share, rng.integers(len(ANOMALIES), size=count), -1)
    start, stop = _segments(rng, kind == _SPIKE, length)
    cut = _cut(clean, start, stop)
    changed = _apply(rng, cut, kind)
    inside = (cut.time >= start) & (cut.time < stop)
    largest = np.where(inside, np.abs(changed - cut.values), 0.0).max(axis=1, initial=0.0)
    faint = (kind >= 0) & (largest < _LEAST_CHANGE * cut.scale[:, 0])
    kind[faint] = rng.choice([_SHIFT, _TREND], int(faint.sum()))
    changed[faint] = _apply(rng, cut, np.where(faint, kind, -1))[faint]
    corrupted = np.where(inside & (kind >= 0)[:, None], changed, clean).astype(np.float32)
    return corrupted, _hull(corrupted != clean), (kind + 1).astype(np.int8)


def _cut(clean: Signals, start: npt.NDArray[np.int64], stop: npt.NDArray[np.int64]) -> _Cut:
    values = clean.astype(np.float64)
    low, middle, high = np.percentile(values, [25.0, 50.0, 75.0], axis=1, keepdims=True)
    robust, spread = (high - low) / _SIGMA_PER_IQR, values.std(axis=1, keepdims=True)
    magnitude = np.abs(middle)
    # Rounding of float32 must not swallow the anomaly, hence the floor relative to the magnitude.
    scale = np.where(robust > 1e-4 * magnitude, robust, spread)
    blank = np.where(magnitude > 0.0, 0.05 * magnitude, 1.0)
    return _Cut(values, start, stop, np.where(scale > 1e-4 * magnitude, scale, blank), middle)


def _segments(
    rng: np.random.Generator, short: npt.NDArray[np.bool_], length: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where the anomalies lie, start and stop [N, 1]: 1 to 3 cells if `short`, else 6 cells to half a window."""
    count = len(short)
    extent = np.exp(
        rng.uniform(np.log(_LEAST_ROWS), np.log(max(_LEAST_ROWS, length / 2.0 + 1.0)), count)
    ).astype(np.int64)
    extent = np.where(short, rng.integers(1, 4, count), np.minimum(extent, length // 2))
    start = (rng.random(count) * (length - extent + 1)).astype(np.int64)
    # Real faults last: a third of the long ones reach the end of the window.
    lasting = ~short & (rng.random(count) < 0.33)
    return np.where(lasting, length - extent, start)[:, None], np.where(lasting, length, start + extent)[
        :, None
    ]


def _apply(rng: np.random.Generator, cut: _Cut, kind: npt.NDArray[np.int64]) -> Floats:
    """The windows as if the whole of each were anomalous, by kind; kind -1 is left alone. [N, T]."""
    changed = cut.values.copy()
    for index, corrupt in enumerate(ANOMALIES.values()):
        rows = np.flatnonzero(kind == index)
        if len(rows):
            part = _Cut(cut.values[rows], cut.start[rows], cut.stop[rows], cut.scale[rows], cut.middle[rows])
            changed[rows] = corrupt(rng, part)
    return changed


def _hull(different: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Per window, everything from the first to the last true cell: [N, T] -> [N, T]."""
    forward = np.logical_or.accumulate(different, axis=1)
    return forward & np.logical_or.accumulate(different[:, ::-1], axis=1)[:, ::-1]
