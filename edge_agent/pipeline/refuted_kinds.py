"""Counters that fall as none does: the score leaves them out for a while, and people are told. Pure.

A function of the newest rows and of the kinds that were learnt: what the score hides (`signals.channel_kinds`) is told
by the same rule.

Axes: R rows, C channels, K counters.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.pipeline.unseen_states import News
from edge_agent.records import Float32
from edge_agent.signals.channel_kinds import COUNTER, ChannelKinds, falls_as_none

FALLS = "falls never learnt"


class RefutedKinds:
    """One machine's counters."""

    def __init__(self, channels: tuple[str, ...], kinds: ChannelKinds) -> None:
        self._places = np.flatnonzero(kinds.code == COUNTER)
        self._names = [channels[place] for place in self._places.tolist()]
        self._most_rise = kinds.most_rise[self._places, np.newaxis]
        self._heard = np.full(len(self._places), np.nan, np.float32)
        self._known: frozenset[str] = frozenset()

    @classmethod
    def read(cls, channels: tuple[str, ...], memory: Mapping[str, NDArray[Any]]) -> "RefutedKinds | None":
        """By what was learnt; None where there is no counter."""
        kinds = ChannelKinds.read(memory)
        return None if kinds is None or not (kinds.code == COUNTER).any() else cls(channels, kinds)

    def accept(self, channels: Iterable[str]) -> None:
        """Tell nothing of these, and of all others."""
        self._known = frozenset(channels)

    def look(self, rows: Float32) -> list[News]:
        """The falls in the next rows [R, C], as they were observed."""
        heard = self._taken(rows)
        falls = falls_as_none(heard, most_rise=self._most_rise)
        if not falls.any():
            return []
        found = [
            News(
                row=row,
                fault=FALLS,
                channel=self._names[at],
                value=float(heard[at, row + 1]),
                low=float(heard[at, row]),
                high=float(heard[at, row] + self._most_rise[at, 0]),
            )
            for at, row in np.argwhere(falls).tolist()
            if self._names[at] not in self._known
        ]
        return sorted(found, key=lambda news: news.row)

    def reread(self, rows: Float32) -> None:
        """Remember the kept rows [R, C]; what they said has been said."""
        self._taken(rows)

    def _taken(self, rows: Float32) -> Float32:
        """[K, R + 1] the counts, each unknown one as the last known one; first the one before the rows."""
        counts = np.column_stack([self._heard, rows[:, self._places].T])
        last = np.maximum.accumulate(np.where(np.isnan(counts), 0, np.arange(counts.shape[1])), axis=1)
        heard: Float32 = np.take_along_axis(counts, last, axis=1)
        self._heard = heard[:, -1]
        return heard
