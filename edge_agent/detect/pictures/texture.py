"""Texture: how far each patch is from the nearest of a few remembered ones, wherever in a picture those lay.

Roth et al., "Towards Total Recall in Industrial Anomaly Detection" (PatchCore), 2022. The patches that are
remembered are chosen greedily, each the farthest from those chosen before (k-centre), in a random projection. A
distance counts less where the remembered ones lie far apart themselves: there a good picture's patches do so, too.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32

REMEMBERED = 1000
_PROJECTED = 64
_NEIGHBOURS = 3
_LEAST_APART, _TINY = 0.1, 1e-9
_STARTS_FROM = 20_000
"""Patches that are chosen from at most, drawn by chance: more of them are hardly more different."""


def learn(
    patches: Float32, *, remembered: int = REMEMBERED, seed: int = 0
) -> tuple[dict[str, NDArray[Any]], Float32]:
    """What to remember of pictures [N, G, G, D], and their own maps [N, G, G].

    That is `bank` [K, D], which picture each is from, `bank_from` [K], and how far each is from those nearest to it,
    relative to the others, `bank_apart` [K].
    """
    count, grid = patches.shape[:2]
    rng = np.random.default_rng(seed)
    flat = patches.reshape(count * grid * grid, -1)
    drawn = rng.permutation(len(flat))[: max(_STARTS_FROM, 4 * remembered)]
    projection = rng.standard_normal((flat.shape[1], _PROJECTED)).astype(np.float32) / np.sqrt(_PROJECTED)
    chosen = drawn[k_centre(flat[drawn] @ projection.astype(np.float32), min(remembered, len(drawn)))]
    memory: dict[str, NDArray[Any]] = {
        "bank": flat[chosen].astype(np.float16),
        "bank_apart": _apart(flat[chosen]),
        "bank_from": (chosen // (grid * grid)).astype(np.int32),
    }
    return memory, np.stack([compare(memory, picture, but_from=at) for at, picture in enumerate(patches)])


def k_centre(points: Float32, count: int) -> NDArray[np.int64]:
    """Numbers of so many points [P, D], each the farthest from those before it; the first is the first."""
    squares = np.einsum("pd,pd->p", points, points)
    chosen = np.zeros(count, np.int64)
    distance = np.full(len(points), np.inf, np.float32)
    for at in range(1, count):
        last = chosen[at - 1]
        np.minimum(distance, squares - 2.0 * (points @ points[last]) + squares[last], out=distance)
        chosen[at] = int(distance.argmax())
    return chosen


def _apart(bank: Float32) -> Float32:
    """Mean distance of each remembered patch [K, D] from the three nearest others, over the median of all, [K]."""
    if len(bank) <= _NEIGHBOURS:
        return np.ones(len(bank), np.float32)
    squares = np.einsum("kd,kd->k", bank, bank)
    between = np.maximum(squares[:, np.newaxis] + squares - 2.0 * (bank @ bank.T), 0.0)
    np.fill_diagonal(between, np.inf)
    nearest = np.sqrt(np.partition(between, _NEIGHBOURS - 1, axis=1)[:, :_NEIGHBOURS]).mean(axis=1)
    found: Float32 = (nearest / max(float(np.median(nearest)), _TINY)).astype(np.float32)
    return np.maximum(found, np.float32(_LEAST_APART))


def add(
    memory: Mapping[str, NDArray[Any]], patches: Float32, _cells: NDArray[np.int32], *, number: int
) -> dict[str, NDArray[Any]]:
    """What is remembered with patches [P, D] of a further picture beside it; they go again by their `number`."""
    return {
        "bank": np.concatenate([memory["bank"], patches.astype(np.float16)]),
        "bank_from": np.concatenate([memory["bank_from"], np.full(len(patches), -number, np.int32)]),
        "bank_apart": np.concatenate([_known_apart(memory), np.ones(len(patches), np.float32)]),
    }


def remove(memory: Mapping[str, NDArray[Any]], *, number: int) -> dict[str, NDArray[Any]]:
    """What is remembered without a picture that was added."""
    kept = memory["bank_from"] != -number
    return {
        "bank": memory["bank"][kept],
        "bank_from": memory["bank_from"][kept],
        "bank_apart": _known_apart(memory)[kept],
    }


def _known_apart(memory: Mapping[str, NDArray[Any]]) -> Float32:
    """Older agents did not say."""
    found: Float32 = memory.get("bank_apart", np.ones(len(memory["bank"]), np.float32))
    return found


def compare(memory: Mapping[str, NDArray[Any]], patches: Float32, *, but_from: int | None = None) -> Float32:
    """How far each patch [G, G, D] is from the nearest remembered one, [G, G]; without those of one learnt picture."""
    bank, apart = memory["bank"].astype(np.float32), _known_apart(memory)
    if but_from is not None:
        others = memory["bank_from"] != but_from
        bank, apart = (bank[others], apart[others]) if others.any() else (bank, apart)
    grid = patches.shape[0]
    flat = patches.reshape(grid * grid, -1)
    squares = np.einsum("pd,pd->p", flat, flat)[:, np.newaxis] + np.einsum("kd,kd->k", bank, bank)
    squares -= 2.0 * (flat @ bank.T)
    nearest = squares.argmin(axis=1)
    distance = np.sqrt(np.maximum(squares[np.arange(len(flat)), nearest], 0.0) / apart[nearest])
    found: Float32 = distance.astype(np.float32).reshape(grid, grid)
    return found
