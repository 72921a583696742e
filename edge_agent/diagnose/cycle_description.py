"""What diagnosis sees of cycles: each feature relative to its recipe's middle, in usual spreads. Pure.

So a fault points the same way whichever recipe it is met in.

Axes: B windows of one cycle each, C channels, F features, M learnt cycles.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.cycle_scores import CycleMemory
from edge_agent.signals.features import Float32, signed_log

_CLIP = 1000.0


def describe(memory: Mapping[str, NDArray[Any]], windows: Float32) -> Float32:
    """Of windows [B, C, 1] of cycles, [B, F]; 0 is usual, and magnitudes are logarithmic."""
    return _described(CycleMemory.read(memory), windows[:, :, -1])


def normal_of(memory: Mapping[str, NDArray[Any]]) -> Float32:
    """The same of the cycles that were learnt from, [M, F]."""
    cycles = CycleMemory.read(memory)
    return _described(cycles, cycles.rows)


def _described(cycles: CycleMemory, rows: Float32) -> Float32:
    rest = np.clip(cycles.standardised(rows) - cycles.mean, -_CLIP, _CLIP)
    return signed_log(rest.astype(np.float32))
