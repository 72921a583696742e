"""What an alarm tells of a picture: where in it, as boxes, as a map and as cells of a grid of four by four. Pure."""

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.pictures import regions
from edge_agent.records import ChannelEvidence, Float32, PictureBox, PictureEvidence

MAP_SIDE = 32
"""Cells of the map that is told, each way."""
_FOUR_TIMES = 4.0
"""Of the threshold: what 255 in the map stands for."""
_CELLS = 4
_TOLD_CELLS = 4
_LEAST_SHARE = 0.02


def of_map(unusual: Float32, *, camera: str, time_ns: int, width: int, height: int) -> PictureEvidence:
    """Of a map [G, G] relative to the threshold."""
    return PictureEvidence(
        camera=camera,
        time_ns=time_ns,
        width=width,
        height=height,
        boxes=tuple(PictureBox(*map(_rounded, box)) for box in regions.boxes(unusual)),
        map=map_bytes(unusual),
    )


def map_bytes(unusual: Float32) -> bytes:
    """The map as 32 x 32 bytes by rows; 255 is four times the threshold or more."""
    grid = unusual.shape[0]
    at = (np.arange(MAP_SIDE) * grid) // MAP_SIDE
    small = np.clip(unusual[np.ix_(at, at)] / _FOUR_TIMES, 0.0, 1.0)
    levels: NDArray[np.uint8] = (255 * small).round().astype(np.uint8)
    return levels.tobytes()


def cells(unusual: Float32, *, camera: str) -> tuple[ChannelEvidence, ...]:
    """The cells of a grid of four by four that bear most of what is beyond the threshold."""
    side = unusual.shape[0] // _CELLS
    beyond = np.maximum(unusual - 1.0, 0.0) if (unusual > 1.0).any() else np.maximum(unusual, 0.0)
    blocks = beyond.reshape(_CELLS, side, _CELLS, side)
    shares = blocks.sum(axis=(1, 3)).ravel() / max(float(beyond.sum()), 1e-9)
    worst = unusual.reshape(_CELLS, side, _CELLS, side).max(axis=(1, 3)).ravel()
    order = np.argsort(-shares, kind="stable")[:_TOLD_CELLS]
    return tuple(
        ChannelEvidence(
            name=f"{camera} row {at // _CELLS + 1} column {at % _CELLS + 1}",
            contribution=_rounded(shares[at]),
            observed=_rounded(worst[at]),
            normal_low=0.0,
            normal_high=1.0,
            deviation=_rounded(worst[at]),
            symptom="unusual pattern",
        )
        for at in order.tolist()
        if shares[at] >= _LEAST_SHARE or at == order[0]
    )


def _rounded(value: float) -> float:
    return round(float(value), 4)
