"""Of a map of unusual places: smoothed, its score, and boxes around what stands out."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32

BOXES = 5
"""That are told at most, the gravest first."""
_SMOOTHING_CELLS = 1.0
_REACH_CELLS = 3
_CORE_SHARE = 1.0 / 3.0
"""Of its worst cell, that a cell must reach to be inside the box: the network sees a gross fault from far around it."""
_WIDE_SHARE = 0.05
"""Of the cells whose mean is the score of a scene: a change of a few cells must not be one of a single cell's noise."""


class Box(NamedTuple):
    """A rectangle as shares of the picture; `score` of its worst cell, 1 is the threshold."""

    x: float
    y: float
    width: float
    height: float
    score: float


def smooth(unusual: Float32) -> Float32:
    """A map [G, G] with each cell a Gaussian mean of those around it."""
    steps = np.arange(-_REACH_CELLS, _REACH_CELLS + 1)
    weights = np.exp(-0.5 * (steps / _SMOOTHING_CELLS) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    grid = unusual.shape[0]
    padded = np.pad(unusual, _REACH_CELLS, mode="edge")
    rows = sum(weight * padded[at : at + grid] for at, weight in enumerate(weights))
    found: Float32 = sum(weight * rows[:, at : at + grid] for at, weight in enumerate(weights))
    return found


def score(unusual: Float32, counted: NDArray[np.bool_] | None, *, wide: bool) -> float:
    """Of a smoothed map [G, G]: its greatest value, or the mean of its greatest twentieth (`wide`)."""
    values = unusual.ravel() if counted is None else unusual[counted]
    if values.size == 0:
        return 0.0
    count = max(1, round(_WIDE_SHARE * unusual.size)) if wide else 1
    count = min(count, values.size)
    return float(np.partition(values, values.size - count)[-count:].mean())


def boxes(relative: Float32) -> tuple[Box, ...]:
    """Around the connected cells of a map [G, G] that are above 1, and within them near the worst."""
    grid = relative.shape[0]
    loud, found = relative > 1.0, []
    while loud.any():
        region = _connected(loud, int(np.argmax(np.where(loud, relative, -np.inf))))
        loud &= ~region
        worst = float(relative[region].max())
        core = region & (relative >= _CORE_SHARE * worst)
        rows, columns = np.flatnonzero(core.any(axis=1)), np.flatnonzero(core.any(axis=0))
        x, y = int(columns[0]), int(rows[0])
        width, height = int(columns[-1]) - x + 1, int(rows[-1]) - y + 1
        found.append(Box(x / grid, y / grid, width / grid, height / grid, worst))
        if len(found) == BOXES:
            break
    return tuple(found)


def _connected(loud: NDArray[np.bool_], start: int) -> NDArray[np.bool_]:
    """The loud cells that hang together with the one of that number, edges and corners alike."""
    region = np.zeros_like(loud)
    region.ravel()[start] = True
    while True:
        padded = np.pad(region, 1)
        grown = np.zeros_like(region)
        for down in range(3):
            for right in range(3):
                grown |= padded[down : down + loud.shape[0], right : right + loud.shape[1]]
        grown &= loud
        if (grown == region).all():
            return region
        region = grown
