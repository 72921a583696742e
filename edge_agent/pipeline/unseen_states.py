"""Values and changes of states and constants that were never learnt: which of them are news. Pure.

What was told once is known: a door opened in a new way is one notice, not one a day. A channel that is not heard
has not changed: states are often reported only when they do.

Axes: R rows, C channels, K states and constants.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from edge_agent.records import Float32
from edge_agent.sensors.unseen_values import LASTING_ROWS, SPAN_ROWS, DiscreteChannels

VALUE, CHANGES = "value never learnt", "changes never learnt"
_LIMIT = 200
"""Values that are remembered as told; a channel with more of them is no state."""


@dataclass(frozen=True, slots=True)
class UnseenState:
    """What outlives a restart: (channel, value) that were told, channels that were told to change too often."""

    values: tuple[tuple[str, float], ...] = ()
    restless: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class News:
    """Something that was never learnt: at which of the rows, of which channel, and the value there.

    Attributes:
        low, high: the least and the largest value that the channel had while it was learnt.
    """

    row: int
    fault: str
    channel: str
    value: float
    low: float
    high: float


class UnseenStates:
    """One machine's."""

    def __init__(self, channels: tuple[str, ...], discrete: DiscreteChannels) -> None:
        self._names = [channels[place] for place in discrete.places.tolist()]
        self._discrete = discrete
        self._tail = np.full((SPAN_ROWS - 1, len(self._names)), np.nan, np.float32)
        self._values: dict[tuple[str, float], None] = {}  # an ordered set of what is no news
        self._restless: dict[str, None] = {}
        self._accepted: tuple[frozenset[tuple[str, float]], frozenset[str]] = (frozenset(), frozenset())

    def accept(self, *, values: Iterable[tuple[str, float]], restless: Iterable[str]) -> None:
        """These are no news, and what was accepted before and is not any more is news again."""
        before, self._accepted = self._accepted, (frozenset(values), frozenset(restless))
        for key in before[0] - self._accepted[0]:
            self._values.pop(key, None)
        for channel in before[1] - self._accepted[1]:
            self._restless.pop(channel, None)
        self._values |= dict.fromkeys(self._accepted[0])
        self._restless |= dict.fromkeys(self._accepted[1])

    def look(self, rows: Float32) -> list[News]:
        """What is news in the next rows [R, C], as they were observed; each is told once."""
        joined = _held(np.concatenate([self._tail, rows[:, self._discrete.places]]))
        self._tail = joined[1 - SPAN_ROWS :]
        newest = joined[-len(rows) - LASTING_ROWS :]
        if ((newest[1:] == newest[:-1]) | np.isnan(newest[1:])).all():
            return []  # nothing has changed, so what there was to say has been said
        unseen = self._discrete.unseen(joined[1 - LASTING_ROWS - len(rows) :])
        found = [self._news(row, VALUE, at, value) for row, at, value in unseen if self._is_new(at, value)]
        restless = self._discrete.restless(joined)
        for at in np.flatnonzero(restless.any(axis=0)).tolist():
            if self._names[at] not in self._restless:
                self._restless[self._names[at]] = None
                row = int(restless[:, at].argmax())
                found.append(self._news(row, CHANGES, at, float(joined[SPAN_ROWS - 1 + row, at])))
        return sorted(found, key=lambda news: news.row)

    def _news(self, row: int, fault: str, at: int, value: float) -> News:
        low, high = self._discrete.usual(at)
        return News(row=row, fault=fault, channel=self._names[at], value=value, low=low, high=high)

    def _is_new(self, at: int, value: float) -> bool:
        key = self._names[at], value
        if key in self._values:
            return False
        self._values[key] = None
        while len(self._values) > _LIMIT:
            del self._values[next(iter(self._values))]
        return True

    # -- across restarts -------------------------------------------------------------------------------------

    def save(self) -> UnseenState:
        """What to give to `restore`."""
        return UnseenState(tuple(self._values), tuple(self._restless))

    def restore(self, state: UnseenState) -> None:
        """Go on where another one stood; then `reread`."""
        self._values |= dict.fromkeys(state.values)
        self._restless |= dict.fromkeys(state.restless)

    def reread(self, rows: Float32) -> None:
        """Remember the kept rows [R, C]; what they said has been said."""
        self._tail = _held(np.concatenate([self._tail, rows[:, self._discrete.places]]))[1 - SPAN_ROWS :]


def _held(values: Float32) -> Float32:
    """Values [R, K], each unknown one as the last known one before it."""
    unknown = np.isnan(values)
    if not unknown.any():
        return values
    last = np.maximum.accumulate(np.where(unknown, 0, np.arange(len(values))[:, np.newaxis]), axis=0)
    held: Float32 = np.take_along_axis(values, last, axis=0)
    return held
