"""What a window looks like in numbers: pure functions of rows that know no machine.

Axes: B windows, C channels, T rows of a window, L rows of its newest part, F statistics.
"""

import functools

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

# Upper edges (share of the Nyquist frequency) of the spectral bands: narrow where machines move slowly.
_BAND_EDGES = (0.04, 0.09, 0.19, 0.38, 0.65, 1.0)
# Power below this (calm scale squared) is silence: keeps the logarithm of a flat window finite.
_SILENCE = 1e-4
N_STATISTICS = 5 + len(_BAND_EDGES)


def standardise(windows: Float32, *, location: Float32, scale: Float32, limit: Float32) -> Float32:
    """Windows [B, C, T] in units of the calm scale, hidden cells (NaN) filled.

    A hidden cell takes the last observed value before it, one before the first observed cell takes that
    one, and a channel hidden throughout is at its calm location: missing data alone is no anomaly.
    `limit` [C] bounds what one channel can say.
    """
    z = (windows - location[None, :, None]) / scale[None, :, None]
    hidden = ~np.isfinite(z)
    if hidden.any():
        z = _filled(z, hidden)
    bound = limit[None, :, None]
    bounded: Float32 = np.clip(z, -bound, bound).astype(np.float32, copy=False)
    return bounded


def statistics(z: Float32) -> Float32:
    """Mean, sd, minimum, maximum, mean absolute step and log-power in 6 bands: [B, C, L] -> [B, C, F]."""
    length = z.shape[-1]
    found = np.empty((*z.shape[:-1], N_STATISTICS), np.float32)
    mean = z.mean(axis=-1)
    centred = z - mean[..., None]
    found[..., 0] = mean
    found[..., 1] = np.sqrt(np.mean(centred * centred, axis=-1))
    found[..., 2] = z.min(axis=-1)
    found[..., 3] = z.max(axis=-1)
    found[..., 4] = np.abs(z[..., 1:] - z[..., :-1]).mean(axis=-1)
    spectrum = np.fft.rfft(centred, axis=-1)[..., 1:]
    power = (spectrum.real**2 + spectrum.imag**2) / length
    found[..., 5:] = np.log(power.astype(np.float32, copy=False) @ _bands(length) + _SILENCE)
    return found


def signed_log(values: Float32) -> Float32:
    """Logarithm of the magnitude with the sign kept: linear near 0, so that one huge value cannot rule."""
    squashed: Float32 = np.copysign(np.log1p(np.abs(values)), values)
    return squashed


@functools.cache
def _bands(length: int) -> Float32:
    """Matrix [L // 2, bands] that averages the power of the frequencies 1..L // 2."""
    share = np.arange(1, length // 2 + 1) / (length // 2)
    band = np.searchsorted(np.asarray(_BAND_EDGES), share - 1e-9)
    matrix = np.zeros((length // 2, len(_BAND_EDGES)), np.float32)
    matrix[np.arange(length // 2), band] = 1.0
    averaging: Float32 = matrix / np.maximum(matrix.sum(axis=0), np.float32(1.0))
    averaging.setflags(write=False)
    return averaging


def _filled(z: Float32, hidden: NDArray[np.bool_]) -> Float32:
    """`z` with hidden cells replaced by the last observed one, the first observed one, or 0."""
    last = np.maximum.accumulate(np.where(hidden, -1, np.arange(z.shape[-1])), axis=-1)
    first = np.argmin(hidden, axis=-1)[..., None]
    values = np.take_along_axis(z, np.where(last < 0, first, last), axis=-1)
    return np.where(np.isfinite(values), values, np.float32(0.0))
