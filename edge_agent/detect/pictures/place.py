"""Place: how far each patch is from the same place, and the eight around it, in the learnt pictures of one scene.

Each place has its own scale: what is usual for it is told by the learnt pictures, each compared with the others.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32

_PROJECTED = 48
_TOGETHER = 4
"""Learnt pictures that are compared with at a time: what is computed in between fits a small processor's cache."""
_LEAST_SPREAD = 1e-3
"""Of a picture that never changes, such as a drawn one."""
_AROUND = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1))


def learn(patches: Float32, *, seed: int = 0) -> tuple[dict[str, NDArray[Any]], Float32]:
    """What to remember of pictures [N, G, G, D], and their own maps [N, G, G].

    That is `places` [N, G, G, P], and of each cell `usual` and `spread` [G, G].
    """
    rng = np.random.default_rng(seed)
    projection = (rng.standard_normal((patches.shape[-1], _PROJECTED)) / np.sqrt(_PROJECTED)).astype(
        np.float32
    )
    places = patches @ projection
    distances = np.stack([_distances(places, picture, but=at) for at, picture in enumerate(places)])
    usual, spread = distances.mean(axis=0), distances.std(axis=0)
    spread = np.maximum(spread, np.median(spread)) + _LEAST_SPREAD
    memory: dict[str, NDArray[Any]] = {
        "projection": projection,
        "places": places.astype(np.float16),
        "usual": usual.astype(np.float32),
        "spread": spread.astype(np.float32),
    }
    return memory, ((distances - usual) / spread).astype(np.float32)


def compare(memory: Mapping[str, NDArray[Any]], patches: Float32) -> Float32:
    """How unusual each patch [G, G, D] is for its place, in that place's spreads, [G, G]."""
    distance = _distances(memory["places"], patches @ memory["projection"], but=None)
    found: Float32 = (distance - memory["usual"]) / memory["spread"]
    return found


def _distances(places: NDArray[np.floating[Any]], picture: Float32, *, but: int | None) -> Float32:
    """Of each cell of a picture [G, G, P] from the nearest of the same cells and their neighbours, [G, G]."""
    grid = picture.shape[0]
    nearest = np.full((grid, grid), np.inf, np.float32)
    for start in range(0, len(places), _TOGETHER):
        numbers = [at for at in range(start, min(start + _TOGETHER, len(places))) if at != but]
        some = places[numbers].astype(np.float32)
        padded = np.pad(some, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
        for down, right in _AROUND if numbers else ():
            apart = padded[:, 1 + down : 1 + down + grid, 1 + right : 1 + right + grid] - picture
            np.minimum(nearest, np.einsum("nijp,nijp->nij", apart, apart).min(axis=0), out=nearest)
    return np.sqrt(nearest)
