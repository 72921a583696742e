"""What a window looks like in numbers: pure functions of rows that know no machine.

Axes: B windows, C channels, T rows of a window, L rows of its newest part, F statistics,
P views (statistics of one newest part, or their change).
"""

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]

# Upper edges (share of the Nyquist frequency) of the spectral bands: narrow where machines move slowly.
_BAND_EDGES = (0.04, 0.09, 0.19, 0.38, 0.65, 1.0)
# Power below this (normal scale squared) is silence: keeps the logarithm of a flat window finite.
_SILENCE = 1e-4
# Bounds of a standardised value: a channel that never moved says little by moving, but not nothing.
_LIMIT = 100.0
_LIMIT_CONSTANT = 5.0
N_STATISTICS = 5 + len(_BAND_EDGES)


def scales(rows: Float32) -> dict[str, Float32]:
    """Robust "location", "scale" and "limit" of each channel of rows [R, C]; one never observed is constant at 0."""
    n_channels = rows.shape[1]
    location, spread = np.zeros(n_channels), np.zeros(n_channels)
    for channel in range(n_channels):
        values = rows[np.isfinite(rows[:, channel]), channel].astype(np.float64)
        if values.size:
            location[channel], spread[channel] = _location_and_spread(values)
    constant = spread <= 1e-6 * np.maximum(np.abs(location), 1e-3)
    scale = np.where(constant, np.maximum(0.01 * np.abs(location), 1e-3), spread)
    return {
        "location": location.astype(np.float32),
        "scale": scale.astype(np.float32),
        "limit": np.where(constant, _LIMIT_CONSTANT, _LIMIT).astype(np.float32),
    }


def _location_and_spread(values: NDArray[np.float64]) -> tuple[float, float]:
    """Median and robust sd; where most rows are equal, the sd of all of them."""
    low, middle, high = np.quantile(values, [0.02, 0.5, 0.98])
    spread = max(1.4826 * float(np.median(np.abs(values - middle))), float(high - low) / 4.1)
    return float(middle), spread if spread > 0 else float(values.std())


def standardise(windows: Float32, *, location: Float32, scale: Float32, limit: Float32) -> Float32:
    """Windows [B, C, T] in units of the normal scale, hidden cells (NaN) filled.

    A hidden cell takes the last observed value before it, one before the first observed cell takes that
    one, and a channel hidden throughout is at its normal location: missing data alone is no anomaly.
    `limit` bounds what one channel can say. Location, scale and limit are [C], or [B, C] for windows of
    several machines.
    """
    z = (windows - location[..., None]) / scale[..., None]
    hidden = ~np.isfinite(z)
    gappy = hidden.any(axis=-1)
    if gappy.any():
        z[gappy] = _filled(z[gappy], hidden[gappy])
    bound = limit[..., None]
    bounded: Float32 = np.clip(z, -bound, bound).astype(np.float32, copy=False)
    return bounded


def statistics(z: Float32) -> Float32:
    """Mean, sd, minimum, maximum, mean absolute step and log-power in 6 bands: [B, C, L] -> [B, C, F]."""
    length = z.shape[-1]
    found = np.empty((*z.shape[:-1], N_STATISTICS), np.float32)
    # Sums instead of mean(): the same figures for a fraction of the time when there is one window.
    share = np.float32(1.0 / length)
    mean = z.sum(axis=-1) * share
    centred = z - mean[..., None]
    found[..., 0] = mean
    found[..., 1] = np.sqrt(np.einsum("...l,...l->...", centred, centred) * share)
    found[..., 2] = z.min(axis=-1)
    found[..., 3] = z.max(axis=-1)
    found[..., 4] = np.abs(z[..., 1:] - z[..., :-1]).sum(axis=-1) / np.float32(length - 1)
    spectrum = np.fft.rfft(centred, axis=-1)[..., 1:]
    power = (spectrum.real**2 + spectrum.imag**2) * share
    found[..., 5:] = np.log(power.astype(np.float32, copy=False) @ _bands(length) + np.float32(_SILENCE))
    return found


def views(z: Float32, *, lengths_rows: Sequence[int], change_rows: Sequence[int]) -> Float32:
    """Views of windows [B, C, T]: statistics of the newest rows, then how the newest differ from the longest.

    Returns:
        [P, B, C, F]: one view for each of `lengths_rows` (ascending, none above T), then one for each of
        `change_rows` that is shorter than the longest.
    """
    found = {rows: statistics(z[..., -rows:]) for rows in lengths_rows}
    longest = max(lengths_rows)
    changes = [found[rows] - found[longest] for rows in change_rows if rows < longest]
    return np.stack([*found.values(), *changes])


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
