"""A pre-trained network's judgement of a window relative to the machine's own normal rows.

It was trained on thousands of other machines, with injected faults and benign changes, to tell the two apart by
`context_features`; of this machine it is told only what those say. Listed after nearest neighbours and Mahalanobis,
whose raw scores it reads.

Axes: B windows, C channels, W normal windows.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.context_features import Context, learn, masked
from edge_agent.detect.detector import Detector, DueWindows, NormalWindows, RawScore
from edge_agent.signals.features import Float32


class InContext(Detector[Context]):
    """The logit that a window is of a fault."""

    name = "in_context"
    scores = ("in_context",)
    memory = Context
    sums_over_channels = False

    def fit(self, normal: NormalWindows) -> tuple[Context, dict[str, Float32]] | None:
        """Remember the machine; None for windows of other lengths than the network reads."""
        learnt = learn(normal)
        return None if learnt is None else (learnt[0], {})

    def score(self, memories: Sequence[Context], windows: DueWindows) -> dict[str, RawScore]:
        """Nothing without a network."""
        del memories, windows
        return {}

    def compact(self, memory: Context) -> Context:
        """The remembered windows packed into bytes."""
        return memory.remembering(memory.remembered().compacted())

    def mask(self, memory: Context, channels: NDArray[np.int64], *, n_channels: int) -> Context:
        """The channels that can be seen."""
        return masked(memory, channels, n_channels=n_channels)

    def numbers(self, memory: Context) -> int:
        """A distance to each remembered window of each channel in each view."""
        return memory.square.size
