"""What is measured of a picture as such, each a channel of the machine: a dark, blurred or dazzled camera shows."""

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32

NAMES = ("brightness", "contrast", "sharpness", "clipped")
"""Percent of white; standard deviation in percent of white; mean absolute Laplacian in percent of white; percent of
pixels that are black or white."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_DARKEST, _BRIGHTEST = 2.0, 253.0
_WHITE = 255.0


def luma(pixels: NDArray[np.uint8]) -> Float32:
    """Brightness of each pixel, [S, S, 3] -> [S, S], 0 to 255 (ITU-R BT.601)."""
    found: Float32 = pixels.astype(np.float32) @ _LUMA
    return found


def gauges(pixels: NDArray[np.uint8], counted: NDArray[np.bool_] | None = None) -> tuple[float, ...]:
    """The gauges of `NAMES`; `counted` [S, S] leaves out what is to be ignored."""
    grey = luma(pixels)
    edges = np.abs(4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:])
    if counted is not None and counted.any():
        edges, grey = edges[counted[1:-1, 1:-1]], grey[counted]
    clipped = np.mean((grey <= _DARKEST) | (grey >= _BRIGHTEST))
    sharp = float(edges.mean()) if edges.size else 0.0
    shares = (float(grey.mean()) / _WHITE, float(grey.std()) / _WHITE, sharp / _WHITE, float(clipped))
    return tuple(100.0 * share for share in shares)
