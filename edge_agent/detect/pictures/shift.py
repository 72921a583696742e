"""How far a camera has moved: phase correlation of a small grey picture with the one that was learnt first.

Kuglin and Hines, "The Phase Correlation Image Alignment Method", 1975.
"""

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32

SIDE = 64
"""Pixels of a thumbnail each way."""
_SURE = 0.12
"""Height of the correlation's peak from which on a shift is believed; two pictures of nothing in common reach .05."""


def thumbnail(grey: Float32) -> NDArray[np.uint8]:
    """A picture's brightness [S, S], S a multiple of 64, to [64, 64]."""
    cell = grey.shape[0] // SIDE
    found: NDArray[np.uint8] = grey.reshape(SIDE, cell, SIDE, cell).mean(axis=(1, 3)).round().astype(np.uint8)
    return found


def shift(now: NDArray[np.uint8], then: NDArray[np.uint8]) -> tuple[float, float]:
    """(to the right, down) in percent of the picture, -50 to 50; nothing where that cannot be told."""
    window = np.hanning(SIDE)[:, np.newaxis] * np.hanning(SIDE)
    spectra = [
        np.fft.rfft2(window * (one - one.mean())) for one in (now.astype(np.float64), then.astype(np.float64))
    ]
    cross = spectra[0] * np.conj(spectra[1])
    peak = np.fft.irfft2(cross / (np.abs(cross) + 1e-9), s=(SIDE, SIDE))
    at = int(peak.argmax())
    if peak.flat[at] < _SURE:
        return 0.0, 0.0
    down, right = ((step + SIDE // 2) % SIDE - SIDE // 2 for step in divmod(at, SIDE))
    return 100.0 * right / SIDE, 100.0 * down / SIDE
