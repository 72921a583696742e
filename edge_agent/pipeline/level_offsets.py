"""What was learnt of a machine, for channels that stand at another level since: accepted steps of one channel. Pure.

Taking the offset from every value would be the same as adding it to every level that the values are compared with.
The latter is done, once, where a step is accepted: nothing is to be worked out for each window, values stay what the
sensor says, and an agent of an earlier release scores such a profile rightly.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.pipeline.acceptance import Acceptance
from edge_agent.pipeline.notices import LEVEL

_OFFSET = "level_offset"
_OF_CHANNELS = (
    "location",
    "kind_low",
    "kind_high",
    "evidence/low",
    "evidence/high",
    "evidence/mode_low",
    "evidence/mode_high",
    "evidence/mode_location",
    "quality/low",
    "quality/high",
)
"""Levels in the channels' own units, the channels last."""
_EDGES = "drift/edges"
"""Of the classes of each channel's values, the channels first; then those of the score."""


def total(entries: Sequence[Acceptance], channels: Sequence[str]) -> NDArray[np.float32]:
    """How much higher the channels read by all steps that are accepted, [C]."""
    found = np.zeros(len(channels), np.float32)
    for entry in entries:
        if entry.fault == LEVEL:
            found += np.array([entry.levels.get(name, 0.0) for name in channels], np.float32)
    return found


def arrays(memory: Mapping[str, NDArray[Any]], offsets: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """What changes in a memory so that it is of channels that read so much higher than while it was learnt, [C].

    Nothing where it is of such channels already.
    """
    before = memory.get(_OFFSET, np.zeros(len(offsets), np.float32))
    more = offsets - before
    if not more.any():
        return {}
    found = {
        name: (memory[name] + more).astype(memory[name].dtype) for name in _OF_CHANNELS if name in memory
    }
    if _EDGES in memory:
        found[_EDGES] = memory[_EDGES].copy()
        found[_EDGES][: len(more)] += more[:, np.newaxis]
    return {**found, _OFFSET: np.asarray(offsets, np.float32)}
