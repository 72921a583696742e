"""Families of univariate signals, each a function (rng, count, length) -> float32 [count, length]. No mixing here.

Every family is vectorised over the windows; only recursions walk over time. Scale and offset are left to the mixture,
except that `telegraph` gives exact 0 and 1, and `rare_steps` may give an exact constant.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

Signals = npt.NDArray[np.float32]
Shape = Callable[[np.random.Generator, int, int], Signals]

_BURN_IN = 64  # samples thrown away so that recursions forget their start
_TWO_PI = np.float32(2.0 * np.pi)


def _column(rng: np.random.Generator, count: int, low: float, high: float) -> Signals:
    """Uniform, one value per window: [count, 1]."""
    return rng.uniform(low, high, (count, 1)).astype(np.float32)


def _log_column(rng: np.random.Generator, count: int, low: float, high: float) -> Signals:
    """Log-uniform, one value per window: [count, 1]."""
    return np.exp(rng.uniform(np.log(low), np.log(high), (count, 1))).astype(np.float32)


def _noise(rng: np.random.Generator, count: int, length: int) -> Signals:
    return rng.standard_normal((count, length), dtype=np.float32)


def _resonate(drive: npt.NDArray[np.floating], near: npt.NDArray[np.floating], far: Signals) -> Signals:
    """y[t] = drive[t] + near * y[t-1] + far * y[t-2] for each window; drive [count, length], gains [count, 1]."""
    steps: Signals = np.ascontiguousarray(drive.T, dtype=np.float32)  # T B: each step contiguous
    one, two = near[:, 0].astype(np.float32, copy=False), far[:, 0]
    for t in range(1, len(steps)):
        steps[t] += one * steps[t - 1]
        if t > 1:
            steps[t] += two * steps[t - 2]
    return steps.T


def _follow(target: Signals, rise: Signals, fall: Signals) -> Signals:
    """First-order lag behind `target` that closes the share `rise` of the gap upwards and `fall` downwards."""
    steps = np.ascontiguousarray(target.T)  # T B
    up, down = rise[:, 0], fall[:, 0]
    for t in range(1, len(steps)):
        gap = steps[t] - steps[t - 1]
        steps[t] = steps[t - 1] + np.where(gap > 0.0, up, down) * gap
    return steps.T


def _phase(rng: np.random.Generator, count: int, length: int, *, shortest: float = 4.0) -> Signals:
    """Turns of an oscillator whose frequency drifts, [count, length]; periods from `shortest` to 3 windows."""
    frequency = 1.0 / _log_column(rng, count, shortest, 3.0 * length).astype(np.float64)
    time = np.arange(length)
    drift = rng.uniform(-0.3, 0.3, (count, 1)) * (rng.random((count, 1)) < 0.5)
    turns = frequency * time * (1.0 + 0.5 * drift * time / length) + rng.random((count, 1))
    return turns.astype(np.float32)


def _levels(rng: np.random.Generator, count: int, length: int, *, changes: float) -> Signals:
    """Piecewise constant, a new normal level at random instants, about log-uniform up to `changes` per window."""
    rate = _log_column(rng, count, 0.3, changes) / length
    jump = rng.random((count, length), dtype=np.float32) < rate
    return np.cumsum(jump * _noise(rng, count, length), axis=1, dtype=np.float32) + _noise(rng, count, 1)


def harmonics(rng: np.random.Generator, count: int, length: int) -> Signals:
    """Sum of up to five partials over a drifting fundamental, in harmony or not."""
    turns = _phase(rng, count, length)
    signal = np.zeros((count, length), dtype=np.float32)
    decay = _column(rng, count, 0.3, 2.0)
    for order in range(1, 6):
        ratio = order + _column(rng, count, -0.4, 0.4) * (rng.random((count, 1)) < 0.25)
        present = (rng.random((count, 1)) < 0.55) | (order == 1)
        weight = present * _column(rng, count, 0.2, 1.0) * order**-decay
        signal += weight * np.sin(_TWO_PI * ((ratio * turns + _column(rng, count, 0.0, 1.0)) % 1.0))
    return signal


def autoregressive(rng: np.random.Generator, count: int, length: int) -> Signals:
    """AR(1) to AR(3): a real pole and, for two windows of three, a damped complex pair."""
    noise = _noise(rng, count, length + _BURN_IN)
    real = 1.0 - _log_column(rng, count, 0.005, 1.5)
    radius = _column(rng, count, 0.4, 0.99) * (rng.random((count, 1)) < 0.67)
    angle = _column(rng, count, 0.02, 3.0)
    zero = np.zeros_like(real)
    signal = _resonate(_resonate(noise, real, zero), 2.0 * radius * np.cos(angle), -np.square(radius))
    return signal[:, _BURN_IN:]


def ramps(rng: np.random.Generator, count: int, length: int) -> Signals:
    """Triangles from symmetric to saw tooth, on a linear trend."""
    turns = _phase(rng, count, length, shortest=8.0) % 1.0
    peak = _column(rng, count, 0.0, 1.0)
    peak = np.clip(np.where(rng.random((count, 1)) < 0.4, np.round(peak), peak), 0.01, 0.99)
    tooth = np.where(turns < peak, turns / peak, (1.0 - turns) / (1.0 - peak))
    trend = _column(rng, count, -1.0, 1.0) * (rng.random((count, 1)) < 0.4) * np.linspace(-1.0, 1.0, length)
    return (tooth + trend).astype(np.float32)


def duty_cycles(rng: np.random.Generator, count: int, length: int) -> Signals:
    """On-off control seen through a lag with its own heating and cooling rate."""
    turns = _phase(rng, count, length, shortest=6.0)
    jitter = np.repeat(_noise(rng, count, length // 8 + 1), 8, axis=1)[:, :length] * np.float32(0.05)
    on = (turns + jitter) % 1.0 < _column(rng, count, 0.1, 0.9)
    rise, fall = (_log_column(rng, count, 0.02, 1.0) for _ in range(2))
    return _follow(on.astype(np.float32), rise, np.where(rng.random((count, 1)) < 0.5, rise, fall))


def step_responses(rng: np.random.Generator, count: int, length: int) -> Signals:
    """A controlled loop, sluggish to ringing, after changes of its set point and against load noise."""
    target = np.pad(_levels(rng, count, length, changes=5.0), ((0, 0), (_BURN_IN, 0)), mode="edge")
    radius, angle = np.exp(-_log_column(rng, count, 0.01, 0.7)), _log_column(rng, count, 0.01, 0.8)
    near, far = 2.0 * radius * np.cos(angle), -np.square(radius)
    load = _noise(rng, count, length + _BURN_IN) * _log_column(rng, count, 0.003, 0.2)
    start = target[:, :1]
    signal = _resonate((target - start + load) * (1.0 - near - far), near, far) + start
    return signal[:, _BURN_IN:]


def telegraph(rng: np.random.Generator, count: int, length: int) -> Signals:
    """Commands and states, exactly 0 or 1: from hardly ever changing to busy, some regular."""
    hazard = _log_column(rng, count, 0.1 / length, 0.2)
    flips = np.cumsum(rng.random((count, length), dtype=np.float32) < hazard, axis=1)
    free = (flips + rng.integers(0, 2, (count, 1))) % 2
    turns = _phase(rng, count, length, shortest=4.0)
    regular = turns % 1.0 < _column(rng, count, 0.03, 0.97)
    return np.where(rng.random((count, 1)) < 0.7, free, regular).astype(np.float32)


def staircase(rng: np.random.Generator, count: int, length: int) -> Signals:
    """Slow motion seen through a coarse transmitter: few distinct levels."""
    slow = np.where(
        rng.random((count, 1)) < 0.5, random_walks(rng, count, length), smooth_curves(rng, count, length)
    )
    extent = np.ptp(slow, axis=1, keepdims=True) + np.float32(1e-6)
    levels = np.round(_log_column(rng, count, 2.0, 24.0))
    stairs: Signals = np.round(slow / extent * levels) / levels
    return stairs


def rare_steps(rng: np.random.Generator, count: int, length: int) -> Signals:
    """Constant, often for the whole window, with a rare step; half of them with faint noise."""
    noisy = rng.random((count, 1)) < 0.5
    faint = _noise(rng, count, length) * _log_column(rng, count, 0.002, 0.1) * noisy
    return _levels(rng, count, length, changes=2.0) + faint


def heavy_tails(rng: np.random.Generator, count: int, length: int) -> Signals:
    """Student noise of 1.5 to 8 degrees of freedom, white or lightly coloured, one-sided for a third."""
    freedom = _column(rng, count, 1.5, 8.0)
    chi = rng.standard_gamma(np.broadcast_to(freedom / 2.0, (count, length)), dtype=np.float32)
    noise = _noise(rng, count, length) / np.sqrt(chi / freedom * 2.0 + np.float32(1e-3))
    noise = np.where(rng.random((count, 1)) < 0.33, np.abs(noise), noise).astype(np.float32, copy=False)
    keep = _column(rng, count, 0.0, 0.8) * (rng.random((count, 1)) < 0.5)
    return _resonate(noise, keep, np.zeros_like(keep))


def vibration_levels(rng: np.random.Generator, count: int, length: int) -> Signals:
    """Positive root-mean-square levels: noise proportional to a slow or stepping envelope."""
    slow = np.where(
        rng.random((count, 1)) < 0.5,
        smooth_curves(rng, count, length),
        _levels(rng, count, length, changes=4.0),
    )
    envelope = np.exp(_column(rng, count, 0.05, 0.6) * slow)
    level: Signals = envelope * np.exp(_log_column(rng, count, 0.02, 0.4) * _noise(rng, count, length))
    return level


def modulated(rng: np.random.Generator, count: int, length: int) -> Signals:
    """A carrier whose amplitude beats or fades."""
    carrier = np.sin(_TWO_PI * (_phase(rng, count, length, shortest=2.5) % 1.0))
    beat = np.sin(_TWO_PI * (_phase(rng, count, length, shortest=16.0) % 1.0))
    beating: Signals = carrier * (1.0 + _column(rng, count, 0.2, 1.0) * beat)
    return beating


def random_walks(rng: np.random.Generator, count: int, length: int) -> Signals:
    """Sums of noise, once or (a quarter) twice, with drift."""
    once = np.cumsum(_noise(rng, count, length) + _column(rng, count, -0.3, 0.3), axis=1)
    twice = np.cumsum(once - once.mean(axis=1, keepdims=True), axis=1) / np.float32(length**0.5)
    return np.where(rng.random((count, 1)) < 0.25, twice, once)


def smooth_curves(rng: np.random.Generator, count: int, length: int) -> Signals:
    """Gaussian processes of squared-exponential to rough power-law spectrum, by spectral synthesis.

    Twice the length is synthesised and one half kept: spectral synthesis is periodic, daily curves are not.
    """
    frequency = np.arange(1, length + 1, dtype=np.float32)
    corner = _log_column(rng, count, 0.7, max(1.0, length / 8.0))
    rough = (1.0 + np.square(frequency / corner)) ** -_column(rng, count, 0.5, 2.0)
    amplitude = np.where(rng.random((count, 1)) < 0.6, np.exp(-0.5 * np.square(frequency / corner)), rough)
    spectrum = np.zeros((count, length + 1), dtype=np.complex64)
    spectrum[:, 1:] = amplitude * (_noise(rng, count, length) + 1j * _noise(rng, count, length))
    return np.fft.irfft(spectrum, axis=1)[:, :length].astype(np.float32) * np.float32(length)


def impulses(rng: np.random.Generator, count: int, length: int) -> Signals:
    """Strokes at random or regular instants, each ringing a damped resonance."""
    rate = _log_column(rng, count, 1.0, 16.0) / length
    strokes = rng.random((count, length), dtype=np.float32) < rate
    regular = np.diff(np.floor(_phase(rng, count, length + 1, shortest=8.0)), axis=1) > 0.0
    strokes = np.where(rng.random((count, 1)) < 0.5, strokes, regular)
    size = 1.0 + _column(rng, count, 0.0, 0.6) * _noise(rng, count, length)
    radius, angle = np.exp(-_log_column(rng, count, 0.02, 0.8)), _column(rng, count, 0.0, 2.6)
    return _resonate(strokes * size, 2.0 * radius * np.cos(angle), -np.square(radius))


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "harmonics": harmonics,
        "autoregressive": autoregressive,
        "ramps": ramps,
        "duty_cycles": duty_cycles,
        "step_responses": step_responses,
        "telegraph": telegraph,
        "staircase": staircase,
        "rare_steps": rare_steps,
        "heavy_tails": heavy_tails,
        "vibration_levels": vibration_levels,
        "modulated": modulated,
        "random_walks": random_walks,
        "smooth_curves": smooth_curves,
        "impulses": impulses,
    }
)
