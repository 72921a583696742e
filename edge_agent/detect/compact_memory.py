"""A machine's memory without what only ranks, and its bank packed into bytes: what a gateway holds. Pure; not a voice.

A memory as `commission` makes it is 3.2 MB for eight channels. Two thirds of it belong to voices that rank windows and
never alarm. The rest is nearly all one bank of remembered windows, whose numbers are squashed and need few digits: each
of its columns is kept as 256 levels between its least and its largest value. Packing what is packed changes nothing.

Axes: P views of a window, M remembered windows, K numbers a window.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.signals.features import Float32

Memory = Mapping[str, NDArray[Any]]

_RANKING = ("wide_", "alone_", "embedding_bank", "embedding_square", "embedding_usual", "embedding_reach")
_RANKING_ERRORS = "reconstruction_"
_FORGOTTEN = "settle_"
"""Calm rows that an older agent kept, to learn the machine again from."""
_BANK, _SQUARE, _CODES, _LEAST, _STEP = (
    f"together_{part}" for part in ("bank", "square", "codes", "least", "step")
)
_LEVELS = 255


def lean(memory: Memory) -> dict[str, NDArray[Any]]:
    """What alarming, evidence and naming read; windows can no longer be ranked by it.

    Alarms are judged by distances to the packed bank. On the simulated plants they differ from those to the whole bank
    by 0.1 % at most (`benchmarks/performance/memory.py`).
    """
    kept = {
        name: array
        for name, array in memory.items()
        if not name.startswith((*_RANKING, _RANKING_ERRORS, _FORGOTTEN))
    }
    if _BANK not in kept:
        return kept
    whole: Float32 = kept.pop(_BANK)  # P M K
    least = whole.min(axis=1, keepdims=True)
    step = np.maximum((whole.max(axis=1, keepdims=True) - least) / _LEVELS, np.float32(1e-12))
    kept[_CODES] = np.rint((whole - least) / step).astype(np.uint8)
    kept[_LEAST], kept[_STEP] = least.astype(np.float32), step.astype(np.float32)
    unpacked = bank(kept, "together")
    kept[_SQUARE] = np.einsum("pmk,pmk->pm", unpacked, unpacked)
    return kept


def bank(memory: Memory, name: str) -> Float32:
    """The remembered windows [P, M, K] of the voices `name`, unpacked where they are packed."""
    whole = memory.get(f"{name}_bank")
    if whole is not None:
        return whole
    unpacked: Float32 = memory[f"{name}_codes"].astype(np.float32)
    unpacked *= memory[f"{name}_step"]
    unpacked += memory[f"{name}_least"]
    return unpacked


def products(memory: Memory, name: str, points: Float32) -> Float32:
    """Scalar products of points [P, B, K] with the remembered windows of the voices `name`: [P, B, M].

    A packed bank is not unpacked: with codes c, `q . (c * step + least)` is `(q * step) . c + q . least`, which reads
    and writes the bank once instead of four times.
    """
    whole = memory.get(f"{name}_bank")
    if whole is not None:
        found: Float32 = points @ np.swapaxes(whole, -1, -2)
        return found
    codes = memory[f"{name}_codes"].astype(np.float32)
    # The larger factor first: the same sums, and BLAS takes two thirds of the time for a few windows.
    turned = codes @ np.swapaxes(points * memory[f"{name}_step"], -1, -2)  # P M B
    found = np.ascontiguousarray(np.swapaxes(turned, -1, -2))
    found += np.einsum("pbk,pxk->pb", points, memory[f"{name}_least"])[..., None]
    return found


def remembered(memory: Memory, name: str, chosen: NDArray[np.int64]) -> Float32:
    """The remembered windows [P, B, K] that are `chosen` [P, B] of the voices `name`."""
    view = np.arange(len(chosen))[:, None]
    whole = memory.get(f"{name}_bank")
    if whole is not None:
        return whole[view, chosen]
    unpacked: Float32 = memory[f"{name}_codes"][view, chosen].astype(np.float32)
    unpacked *= memory[f"{name}_step"]
    unpacked += memory[f"{name}_least"]
    return unpacked


def at_hand(memory: Memory, name: str) -> Memory:
    """What `products` and `remembered` read for the voices `name`, taken once: a memory may have it from a file."""
    parts = (f"{name}_{part}" for part in ("bank", "codes", "least", "step"))
    return {part: memory[part] for part in parts if part in memory}


def ranks(memory: Memory) -> bool:
    """Whether windows can be ranked by this memory."""
    return "wide_bank" in memory


def size_bytes(memory: Memory) -> int:
    """What the arrays take."""
    return sum(array.nbytes for array in memory.values())
