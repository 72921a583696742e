"""Vibration of rotating machines, sound or with a beginning fault, for pre-training; no labels, and no real bearing.

Shaft with imbalance, gear mesh with sidebands, and a bearing whose damage strikes a resonance at its own rate (the
model of McFadden & Smith, J. Sound Vib. 96, 1984, with slipping rollers), in coloured noise. Frequencies are shares of
the sampling rate. Chance comes only from the generator passed in.

Axes: S samples, J strikes.
"""

import numpy as np
from numpy.typing import NDArray

_TURNING = (1e-3, 2e-2)  # turns per sample: 12 to 240 Hz at 12 kHz
_EVENTS_A_TURN = (2.0, 7.0)  # of rolling elements on either ring, or of a roller's own turn
_TEETH = (11, 47)
_HIGHEST_MESH = 0.45
_RESONANCE = (0.08, 0.42)
_SLIP = 0.01
_RING_LENGTHS = 6.0


def vibration(rng: np.random.Generator, *, n_samples: int) -> NDArray[np.float32]:
    """One accelerometer on one machine, [S]; its load wanders, and half of the machines have a damaged bearing."""
    load = _wander(rng, n_samples, size=0.15)
    speed = np.exp(np.log(_log_uniform(rng, *_TURNING)) + 0.1 * _wander(rng, n_samples, size=0.05))
    angle = 2.0 * np.pi * np.cumsum(speed)
    total = _noise(rng, n_samples) + _shaft(rng, angle) * np.exp(load)
    if rng.random() < 0.5:
        total += _gear(rng, angle, speed=float(speed.mean())) * np.exp(load)
    if rng.random() < 0.5:
        total += _bearing(rng, angle) * np.exp(load)
    return (total * _log_uniform(rng, 1e-2, 1e2)).astype(np.float32)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _wander(rng: np.random.Generator, n_samples: int, *, size: float) -> NDArray[np.float64]:
    """A slow random movement about 0 [S], now and then with a step of load."""
    knots = size * rng.standard_normal(rng.integers(3, 12)) * rng.random()
    path: NDArray[np.float64] = np.interp(np.linspace(0, 1, n_samples), np.linspace(0, 1, len(knots)), knots)
    if rng.random() < 0.3:
        path[rng.integers(n_samples) :] += rng.normal(0.0, 2.0 * size)
    return path


def _noise(rng: np.random.Generator, n_samples: int) -> NDArray[np.float64]:
    """Noise whose spectrum falls and has a few broad hills [S]."""
    share = np.fft.rfftfreq(n_samples)
    shape = (share + 0.01) ** -rng.uniform(0.0, 0.7)
    for _ in range(rng.integers(0, 4)):
        shape *= 1.0 + rng.uniform(0.5, 6.0) * np.exp(
            -(((share - rng.uniform(0.02, 0.48)) / rng.uniform(0.01, 0.05)) ** 2)
        )
    white = np.fft.rfft(rng.standard_normal(n_samples))
    coloured: NDArray[np.float64] = np.fft.irfft(white * shape, n_samples)
    coloured /= coloured.std()
    return coloured


def _shaft(rng: np.random.Generator, angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Imbalance and misalignment: the first harmonics of the turning [S]."""
    strength = rng.exponential(1.0, 3) / np.array([1.0, 2.0, 4.0])
    return np.asarray(
        sum(
            size * np.sin(order * angle + rng.uniform(0, 2 * np.pi))
            for order, size in enumerate(strength, start=1)
        )
    )


def _gear(rng: np.random.Generator, angle: NDArray[np.float64], *, speed: float) -> NDArray[np.float64]:
    """Mesh of a gear, its strength and phase modulated once a turn [S]."""
    teeth = min(int(rng.integers(*_TEETH)), max(1, int(_HIGHEST_MESH / speed)))
    uneven = rng.uniform(0.0, 0.8) * np.sin(angle)
    return np.asarray(rng.exponential(0.7) * (1.0 + uneven) * np.sin(teeth * angle + 0.5 * uneven))


def _bearing(rng: np.random.Generator, angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """A damage that is struck some times a turn and rings at a resonance; inside the load zone louder [S]."""
    events = angle / (2.0 * np.pi) * rng.uniform(*_EVENTS_A_TURN)
    count = int(events[-1])
    slipping = np.arange(count) + _SLIP * np.cumsum(rng.standard_normal(count))
    at = np.searchsorted(events, slipping).clip(0, len(angle) - 1)
    strength = np.exp(0.2 * rng.standard_normal(count))
    if rng.random() < 0.5:  # the damage turns with the shaft, in and out of the load
        strength *= 1.0 + rng.uniform(0.3, 1.0) * np.cos(angle[at])
    strikes = np.zeros(len(angle))
    np.add.at(strikes, at, strength)
    resonance, damping = rng.uniform(*_RESONANCE), _log_uniform(rng, 0.01, 0.08)
    since = np.arange(int(_RING_LENGTHS / damping))
    ring = np.exp(-damping * since) * np.sin(2.0 * np.pi * resonance * since)
    n_padded = len(angle) + len(ring)
    spectrum = np.fft.rfft(strikes, n_padded) * np.fft.rfft(ring, n_padded)
    return np.asarray(_log_uniform(rng, 0.2, 6.0) * np.fft.irfft(spectrum, n_padded)[: len(angle)])
