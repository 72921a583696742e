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


def add(
    memory: Mapping[str, NDArray[Any]], patches: Float32, cells: NDArray[np.int32], *, number: int
) -> dict[str, NDArray[Any]]:
    """What is remembered with patches [P, D] that lay in those cells [P]; they go again by their `number`.

    All other places of it are infinitely far from anything. One picture lies farther from the next one like it than
    the nearest of many do: by `single` [G, G], what parts the learnt ones at most, it is made comparable.
    """
    places, origins = memory["places"], _origins(memory)
    further: NDArray[np.float16] = np.full_like(places[0], np.inf)
    further.reshape(-1, further.shape[-1])[cells] = (patches @ memory["projection"]).astype(np.float16)
    learnt = places[origins >= 0].astype(np.float32)
    apart = np.stack([_distances(learnt[:1], one, but=None) for one in learnt[1:]]).max(axis=0)
    single = memory["usual"] / np.maximum(apart, memory["usual"])
    return {
        "places": np.concatenate([places, further[np.newaxis]]),
        "places_from": np.append(origins, np.int32(-number)),
        "single": single.astype(np.float32),
    }


def remove(memory: Mapping[str, NDArray[Any]], *, number: int) -> dict[str, NDArray[Any]]:
    """What is remembered without a picture that was added."""
    origins = _origins(memory)
    kept = origins != -number
    return {"places": memory["places"][kept], "places_from": origins[kept]}


def _origins(memory: Mapping[str, NDArray[Any]]) -> NDArray[np.int32]:
    """Numbers of the learnt pictures, and of the added ones with a minus, [N]."""
    found: NDArray[np.int32] = memory.get("places_from", np.arange(len(memory["places"]), dtype=np.int32))
    return found


def compare(memory: Mapping[str, NDArray[Any]], patches: Float32) -> Float32:
    """How unusual each patch [G, G, D] is for its place, in that place's spreads, [G, G]."""
    projected, origins = patches @ memory["projection"], _origins(memory)
    distance = _distances(memory["places"][origins >= 0], projected, but=None)
    if (origins < 0).any():
        further = _distances(memory["places"][origins < 0], projected, but=None)
        distance = np.minimum(distance, further * memory["single"])
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
