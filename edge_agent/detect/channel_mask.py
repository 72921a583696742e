"""A machine's memory without some of its channels, so that voices compare over the channels that can be seen. Pure.

Distances over fewer channels are smaller; what is usual for them shrinks with the square root of the channels' share.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.compact_memory import at_hand, bank, ranks
from edge_agent.detect.detectors import VOICES
from edge_agent.detect.lazy_memory import Late, LateMemory

Memory = Mapping[str, NDArray[Any]]

_FIRST_AXIS = (
    "location",
    "scale",
    "limit",
    "jump_centre",
    "jump_spread",
    "embedding_bank",
    "embedding_square",
    "embedding_usual",
    "embedding_reach",
)
_SECOND_AXIS = (
    "view_centre",
    "view_spread",
    "alone_bank",
    "alone_square",
    "alone_usual",
    "alone_reach",
    "reconstruction_usual",
    "reconstruction_reach",
)
_SHRINKING = ("together", "wide", "shape", "contrast")
"""Voices whose distance sums over the channels; the others follow the loudest channel, or leave the healthy out."""


def narrowed(memory: Memory, visible: Sequence[int]) -> Memory:
    """The memory [of C channels] that compares the visible ones only, of which there is at least one."""
    kept, n_channels = np.asarray(visible), len(memory["location"])
    found: dict[str, NDArray[Any] | Late] = {}
    for name in _FIRST_AXIS:
        if name in memory:
            found[name] = np.ascontiguousarray(memory[name][kept])
    for name in _SECOND_AXIS:
        if name in memory:
            found[name] = np.ascontiguousarray(memory[name][:, kept])
    for name in ("together", "wide") if ranks(memory) else ("together",):
        parts = {part: _columns(array, kept, n_channels) for part, array in at_hand(memory, name).items()}
        seen = bank(parts, name)
        found[f"{name}_square"] = np.einsum("pmk,pmk->pm", seen, seen)
        found |= parts
        if (codes := f"{name}_codes") in parts:  # parted at each use, for a tenth of what scoring takes
            found[codes] = partial(_columns_of, memory, codes, kept, n_channels)
    found |= _narrowed_shape(memory, kept, n_channels)
    found["calibration"] = calibration = memory["calibration"].copy()
    share = np.sqrt(len(kept) / n_channels)
    for at, voice in enumerate(VOICES):
        if voice.startswith(_SHRINKING):
            calibration[:, at] *= share
    return LateMemory(memory).joined(found)


def _columns_of(memory: Memory, name: str, kept: NDArray[np.int64], n_channels: int) -> NDArray[Any]:
    return _columns(memory[name], kept, n_channels)


def _columns(whole: NDArray[Any], kept: NDArray[np.int64], n_channels: int) -> NDArray[Any]:
    """What [P, M, C*F] says of the kept channels, copied run by run: five times as fast as channel by channel."""
    P, M, _ = whole.shape
    by_channel = whole.reshape(P, M, n_channels, -1)
    runs = np.split(kept, np.flatnonzero(np.diff(kept) != 1) + 1)
    return np.concatenate([by_channel[:, :, run[0] : run[-1] + 1] for run in runs], axis=2).reshape(P, M, -1)


def _narrowed_shape(memory: Memory, kept: NDArray[np.int64], n_channels: int) -> dict[str, NDArray[Any]]:
    """The raw-window model of the visible channels: a marginal of a normal distribution."""
    rows = memory["shape_mean"].size // n_channels
    cells = (kept[:, np.newaxis] * rows + np.arange(rows)).ravel()
    covariance = np.linalg.inv(memory["shape_precision"].astype(np.float64))
    precision = np.linalg.inv(covariance[np.ix_(cells, cells)])
    blocks = [precision[at : at + rows, at : at + rows] for at in range(0, len(precision), rows)]
    return {
        "shape_mean": memory["shape_mean"][cells],
        "shape_precision": precision.astype(np.float32),
        "shape_relief": np.linalg.inv(np.stack(blocks)).astype(np.float32),
    }


class Narrowings:
    """Remembers narrowed memories: the same channels stay hidden for many windows."""

    _LIMIT = 64

    def __init__(self) -> None:
        self._found: dict[tuple[int, tuple[int, ...]], tuple[Memory, Memory]] = {}

    def of(self, memory: Memory, hidden: tuple[int, ...]) -> Memory:
        """The memory without the hidden channels."""
        known = self._found.get((id(memory), hidden))
        if known is not None and known[0] is memory:
            return known[1]
        if len(self._found) >= self._LIMIT:
            self._found.clear()
        visible = [at for at in range(len(memory["location"])) if at not in hidden]
        made = narrowed(memory, visible)
        self._found[id(memory), hidden] = memory, made
        return made
