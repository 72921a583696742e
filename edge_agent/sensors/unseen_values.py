"""What states and constants say that they never said while the machine was learnt. A function of newest rows. Pure.

1. A value that no learnt row had is unseen once it has lasted for three rows: one in passing is not.
2. A channel is restless where it changes more often within `SPAN_ROWS` rows than twice the most that was learnt + 4.

Axes: R rows, C channels, K channels that are looked at.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_agent.records import Float32
from edge_agent.signals.channel_kinds import CONSTANT, STATE, ChannelKinds

SPAN_ROWS = 128
LASTING_ROWS = 3
_TIMES, _MORE = 2, 4


class DiscreteChannels:
    """The states and constants of one machine whose learnt values are known."""

    def __init__(
        self, places: NDArray[np.int64], values: Sequence[Float32], most_changes: NDArray[np.int64]
    ) -> None:
        """Of K channels: where each stands, what it said while it was learnt, and how often it changed at most."""
        self.places = places
        self._values, self._most = values, _TIMES * most_changes + _MORE

    @classmethod
    def read(cls, memory: Mapping[str, NDArray[Any]]) -> "DiscreteChannels | None":
        """By what was learnt; None where there is no such channel."""
        kinds = ChannelKinds.read(memory)
        if kinds is None:
            return None
        discrete = (kinds.code == STATE) | (kinds.code == CONSTANT)
        places = np.flatnonzero(discrete & (kinds.value_count > 0))
        if not places.size:
            return None
        return cls(places, [kinds.known_values(at) for at in places.tolist()], kinds.most_changes[places])

    def unseen(self, values: Float32) -> list[tuple[int, int, float]]:
        """(row, which of the channels, value) of unseen values [R + LASTING_ROWS - 1, K], each at its third row."""
        found = []
        for at, known in enumerate(self._values):
            column = values[:, at]
            if np.isin(column, known).all():
                continue
            parts = sliding_window_view(column, LASTING_ROWS)
            lasting = (parts == parts[:, :1]).all(axis=1) & ~np.isin(parts[:, 0], known)
            found += [(row, at, float(parts[row, 0])) for row in np.flatnonzero(lasting).tolist()]
        return sorted(found)

    def restless(self, values: Float32) -> NDArray[np.bool_]:
        """[R, K] whether a channel is restless at rows [R + SPAN_ROWS - 1, K]; what is unknown is no change."""
        changed = (values[1:] != values[:-1]) & ~np.isnan(values[1:]) & ~np.isnan(values[:-1])
        count = np.count_nonzero(sliding_window_view(changed, SPAN_ROWS - 1, axis=0), axis=-1)
        found: NDArray[np.bool_] = count > self._most
        return found

    def usual(self, at: int) -> tuple[float, float]:
        """The least and the largest learnt value of one of the channels."""
        known = self._values[at]
        return float(known.min()), float(known.max())
