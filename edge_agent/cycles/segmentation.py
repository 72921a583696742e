"""Rows to cycles: a state chart of one machine that waits for a start, gathers, and ends at the next start. Pure.

Rules:
- The first start is waited for: what stands before it is no whole cycle.
- A channel that tells the program only when it changes is held for ever; it has no value before it was heard.
- A pause within a cycle of more than `_GAP_ROWS` of its rows, and of more than `shortest_s`, cuts it: nobody knows how
  long it took.

Axes: R rows, C channels.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_agent.cycles.rules import CycleRule

Outcome = Literal["finished", "too_short", "too_long", "too_many_rows", "gap", "mixed_recipe"]
"""What became of a cycle that began. Bounded: it labels a metric."""

_GAP_ROWS = 10
_MOST_ROWS = 20_000
_NS = 1_000_000_000
_LEAST_ROWS = 3
"""Rows that a curve needs at least."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """A whole cycle.

    Attributes:
        times_ns: [R] of its rows. end_ns: when the next one began.
        values: [R, C], NaN where nothing is known.
        steps: [R] of the program, NaN where unknown; None where no channel tells it.
        recipe: number of the program, NaN where no channel tells it.
    """

    channels: tuple[str, ...]
    times_ns: NDArray[np.int64]
    end_ns: int
    values: NDArray[np.float32]
    steps: NDArray[np.float64] | None
    recipe: float

    @property
    def duration_s(self) -> float:
        """From its start to the next one's."""
        return float(self.end_ns - int(self.times_ns[0])) / _NS


class _Place(NamedTuple):
    """Where the channels that tell the program stand in a row; -1: nowhere."""

    start: int
    step: int
    recipe: int


class Segmenter:
    """The state chart of one machine."""

    def __init__(self, rule: CycleRule) -> None:
        self._rule = rule
        self._channels: tuple[str, ...] = ()
        self._place = _Place(-1, -1, -1)
        self._told = [math.nan, math.nan, math.nan]  # start, step, recipe: the last known values
        self._slot: int | None = None  # of the period
        self._times: list[int] = []
        self._rows: list[NDArray[np.float32]] = []
        self._steps: list[float] = []
        self._recipes: list[float] = []
        self._last_ns: int | None = None

    @property
    def gathering(self) -> bool:
        """Whether a cycle has begun."""
        return bool(self._times)

    def arrange(self, channels: Sequence[str]) -> None:
        """The rows that come have these channels; a cycle of other ones is given up."""
        if tuple(channels) == self._channels:
            return
        self._give_up()
        self._channels, rule = tuple(channels), self._rule
        named = ("" if rule.start is None else rule.start.channel, rule.step, rule.recipe)
        self._place = _Place(*(self._channels.index(one) if one in self._channels else -1 for one in named))

    def take(
        self, times_ns: NDArray[np.int64], values: NDArray[np.float32]
    ) -> Iterator[tuple[Outcome, Cycle | None]]:
        """What became of the cycles that end with or within the next rows [R] and [R, C]."""
        for time_ns, row in zip(times_ns.tolist(), values, strict=True):
            if (cut := self._cut_before(time_ns)) is not None:
                self._give_up()
                yield cut, None
            before = self._told[0]
            self._hear(row)
            if self._begins(before, time_ns):
                if self._times:
                    yield self._finish(time_ns)
                self._give_up()
                self._add(time_ns, row)
            elif self._times:
                self._add(time_ns, row)
            self._last_ns = time_ns

    def _cut_before(self, time_ns: int) -> Outcome | None:
        """Why the cycle at hand can be none any more, now that the next row comes at this time."""
        if not self._times or self._last_ns is None:
            return None
        count, pause_ns = len(self._times), time_ns - self._last_ns
        step_ns = (self._last_ns - self._times[0]) / (count - 1) if count > 1 else math.inf
        if pause_ns < 0 or pause_ns > max(_GAP_ROWS * step_ns, self._rule.shortest_s * _NS):
            return "gap"
        if time_ns - self._times[0] > self._rule.longest_s * _NS:
            return "too_long"
        return "too_many_rows" if count >= _MOST_ROWS else None

    def _hear(self, row: NDArray[np.float32]) -> None:
        for at, place in enumerate(self._place):
            if place >= 0 and not math.isnan(value := float(row[place])):
                self._told[at] = value

    def _begins(self, before: float, time_ns: int) -> bool:
        """Whether a cycle begins with the row that was just heard."""
        start = self._rule.start
        if start is None:
            period_ns = round((self._rule.period_s or 0.0) * _NS)
            slot, known = time_ns // period_ns, self._slot
            self._slot = slot
            return time_ns % period_ns == 0 if known is None else slot != known
        now = self._told[0]
        if math.isnan(before) or math.isnan(now):
            return False
        if start.kind == "changes":
            return now != before
        if start.kind == "crosses":
            return before < start.value <= now
        return now == start.value != before

    def _add(self, time_ns: int, row: NDArray[np.float32]) -> None:
        self._times.append(time_ns)
        self._rows.append(row.copy())
        self._steps.append(self._told[1])
        self._recipes.append(self._told[2])

    def _finish(self, end_ns: int) -> tuple[Outcome, Cycle | None]:
        recipes = {value for value in self._recipes if not math.isnan(value)}
        if len(recipes) > 1:
            return "mixed_recipe", None
        cycle = Cycle(
            channels=self._channels,
            times_ns=np.array(self._times, np.int64),
            end_ns=end_ns,
            values=np.array(self._rows, np.float32),
            steps=np.array(self._steps) if self._rule.step else None,
            recipe=recipes.pop() if recipes else math.nan,
        )
        if cycle.duration_s < self._rule.shortest_s or len(cycle.values) < _LEAST_ROWS:
            return "too_short", None
        return "finished", cycle

    def _give_up(self) -> None:
        self._times, self._rows, self._steps, self._recipes = [], [], [], []
