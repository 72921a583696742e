"""Windows for pre-training: shapes alone, added, multiplied or switched, then transmitter, scale and offset."""

import numpy as np
import numpy.typing as npt

from edge_agent.errors import UsageError
from edge_trainer.data.synthetic.shapes import SHAPES, Signals

MIN_LENGTH = 8  # below, most shapes have nothing to show
_BLOCK = 4096  # windows drawn together: enough to drown the cost of a call, few enough for the cache
_EXACT = np.array([name in {"telegraph", "rare_steps", "staircase"} for name in SHAPES])
_ALONE, _ADDED, _MULTIPLIED, _SWITCHED = range(4)
_HOW = (0.45, 0.35, 0.10, 0.10)  # share of each of the four


def windows(rng: np.random.Generator, *, count: int, length: int) -> Signals:
    """Draw diverse synthetic sensor windows.

    Args:
        rng: The only source of chance.
        count: Number of windows N, 0 or more.
        length: Samples per window T, at least 8.

    Returns:
        Finite float32 [N, T]. Some windows are exactly constant, some exactly 0 and 1, as real channels are.

    Raises:
        UsageError: A number is outside its range.
    """
    if count < 0 or length < MIN_LENGTH:
        raise UsageError(
            f"count must be 0 or more and length at least {MIN_LENGTH}, got {count} and {length}"
        )
    blocks = [min(_BLOCK, count - done) for done in range(0, count, _BLOCK)]
    empty = np.empty((0, length), dtype=np.float32)
    return np.concatenate([_block(rng, rows, length) for rows in blocks] or [empty])


def _block(rng: np.random.Generator, count: int, length: int) -> Signals:
    first = rng.integers(len(SHAPES), size=count)
    how = rng.choice(len(_HOW), size=count, p=_HOW)
    how[_EXACT[first] & (rng.random(count) < 0.6)] = _ALONE
    signal = _draw(rng, first, length)
    raw = signal.copy()
    mixed = np.flatnonzero(how != _ALONE)
    signal = _standard(signal)
    second = _standard(_draw(rng, rng.integers(len(SHAPES), size=len(mixed)), length))
    signal[mixed] = _standard(_combine(rng, signal[mixed], second, how[mixed]))
    exact = _EXACT[first] & (how == _ALONE)
    noisy = ~exact & (rng.random(count) < 0.6)
    signal = _transmit(rng, signal, noisy)
    return _place(rng, np.where(exact[:, None], raw, signal), exact)


def _draw(rng: np.random.Generator, shape: npt.NDArray[np.int64], length: int) -> Signals:
    """One window of each named shape: indices [N] -> [N, T]."""
    signal = np.empty((len(shape), length), dtype=np.float32)
    for index, generate in enumerate(SHAPES.values()):
        chosen = np.flatnonzero(shape == index)
        if len(chosen):
            signal[chosen] = generate(rng, len(chosen), length)
    return signal


def _standard(signal: Signals) -> Signals:
    """Zero mean and unit deviation per window; constants become 0. [N, T] -> [N, T]."""
    centred = signal - signal.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    # A float32 mean leaves dust on a constant; dust is no signal.
    dust = np.float32(1e-5) * np.abs(signal).max(axis=1, keepdims=True, initial=0.0)
    return np.where(spread > dust, centred / np.maximum(spread, np.float32(1e-30)), np.float32(0.0))


def _combine(
    rng: np.random.Generator, first: Signals, second: Signals, how: npt.NDArray[np.int64]
) -> Signals:
    """Join two standardised windows each: [M, T] -> [M, T]."""
    count, length = first.shape
    weight = np.exp(rng.uniform(np.log(0.1), np.log(1.5), (count, 1))).astype(np.float32)
    joined = first + weight * second
    rows = np.flatnonzero(how == _MULTIPLIED)
    joined[rows] = first[rows] * (1.0 + 0.4 * np.clip(second[rows], -3.0, 3.0))
    rows = np.flatnonzero(how == _SWITCHED)
    flips = rng.random((len(rows), length), dtype=np.float32) < 2.0 / length
    elsewhere = 0.6 * second[rows] + rng.uniform(-2.0, 2.0, (len(rows), 1)).astype(np.float32)
    joined[rows] = np.where(np.logical_xor.accumulate(flips, axis=1), elsewhere, first[rows])
    return joined


def _transmit(rng: np.random.Generator, signal: Signals, noisy: npt.NDArray[np.bool_]) -> Signals:
    """Sensor noise for the `noisy` windows, rounding to a grid for a fifth of them: [N, T] -> [N, T]."""
    count, length = signal.shape
    level = np.exp(rng.uniform(np.log(0.003), np.log(0.3), (count, 1))) * noisy[:, None]
    signal = signal + level.astype(np.float32) * rng.standard_normal((count, length), dtype=np.float32)
    step = np.exp(rng.uniform(np.log(0.01), np.log(0.5), (count, 1))).astype(np.float32)
    rounded = (rng.random(count) < 0.2) & noisy
    signal[rounded] = np.round(signal[rounded] / step[rounded]) * step[rounded]
    return signal


def _place(rng: np.random.Generator, signal: Signals, exact: npt.NDArray[np.bool_]) -> Signals:
    """Random unit and working point; half of the exact windows keep theirs, so that 0 and 1 occur as such."""
    count = len(signal)
    scale = np.exp(rng.uniform(np.log(1e-2), np.log(1e3), count)) * rng.choice([-1.0, 1.0], count)
    offset = scale * rng.standard_normal(count) * np.exp(rng.uniform(np.log(0.1), np.log(30.0), count))
    kept = exact & (rng.random(count) < 0.5)
    scale, offset = np.where(kept, 1.0, scale), np.where(kept, 0.0, offset)
    return signal * scale[:, None].astype(np.float32) + offset[:, None].astype(np.float32)
