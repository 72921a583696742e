"""Samples of different rates, late, lost and twice, to rows on one grid. Pure: event times are the only clock.

Row k stands at `k * period_ns` for the half-open interval of the samples after row k - 1 up to and with row k. A row
is given out when samples have been heard that are `lateness_ns` younger, so that the order within that time does not
matter; what comes later is late. Each channel meets the grid by its rule: the mean of its samples in the interval, the
last one (hold), the course between its neighbours at the row's time (linear), or how many there were (count).
A row without any sample is given out hidden; more than `bridge_rows` of them in a row are left out, and the time jumps.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32, Frame, Taken
from edge_agent.signals.channel_rules import Align

Ints = NDArray[np.int64]
Loss = Literal["late", "duplicate"]
_NOTHING = np.empty(0, np.int64), np.empty(0, np.float32)


@dataclass(frozen=True, slots=True)
class AlignState:
    """What waits for its row: by channel, times [N] int64 and values [N] float32 as bytes, and how far rows went."""

    waiting: dict[str, tuple[bytes, bytes]]
    newest_ns: int | None
    given_row: int | None


class Aligner:
    """One machine's samples that wait for their row."""

    def __init__(
        self, *, period_ns: int, lateness_ns: int, bridge_rows: int, rule: Callable[[str], Align]
    ) -> None:
        """Begin; `rule` says how a channel meets the grid."""
        self._period_ns, self._lateness_ns, self._bridge_rows = period_ns, lateness_ns, bridge_rows
        self._rule = rule
        self._waiting: dict[str, list[tuple[Ints, Float32]]] = {}
        self._newest_ns: int | None = None
        self._given: int | None = None  # the last row given out
        self.lost: Counter[Loss] = Counter()
        """Samples of accepted frames that no row rests on."""

    @property
    def newest_ns(self) -> int | None:
        """Time of the newest sample."""
        return self._newest_ns

    def add(self, frame: Frame) -> Taken:
        """Take samples in: "accepted" where one is in time, else "late"."""
        times = np.asarray(frame.times_ns, np.int64)
        rows = np.asarray(frame.rows, np.float32).reshape(len(times), len(frame.channels))
        timely = np.ones(len(times), np.bool_)
        if self._given is not None:
            timely = times > self._given * self._period_ns
        if not timely.any():
            return "late"
        self.lost["late"] += int((~np.isnan(rows[~timely])).sum())
        newest = int(times.max())
        self._newest_ns = newest if self._newest_ns is None else max(newest, self._newest_ns)
        for at, channel in enumerate(frame.channels):
            kept = timely & ~np.isnan(rows[:, at])
            if kept.any():
                self._waiting.setdefault(channel, []).append((times[kept], rows[kept, at]))
        return "accepted"

    def take(self, channels: Sequence[str]) -> tuple[Ints, Float32]:
        """(times [R], rows [R, C]) that are complete, NaN where a channel had no sample."""
        return self._take(channels, waited=True)

    def begin_afresh(self, channels: Sequence[str]) -> tuple[Ints, Float32]:
        """As `take`, of everything that waits; from now on any time is taken."""
        given = self._take(channels, waited=False)
        self._waiting, self._newest_ns, self._given = {}, None, None
        return given

    def _take(self, channels: Sequence[str], *, waited: bool) -> tuple[Ints, Float32]:
        empty = np.empty((0, len(channels)), np.float32)
        if self._newest_ns is None:
            return _NOTHING[0], empty
        # A straight line needs the sample behind the row.
        linear = any(self._rule(channel) == "linear" for channel in channels)
        reach = self._lateness_ns + (self._period_ns if linear else 0)
        last = (
            (self._newest_ns - reach) // self._period_ns if waited else -(-self._newest_ns // self._period_ns)
        )
        if self._given is not None and last <= self._given:
            return _NOTHING[0], empty
        samples = [self._sorted(channel) for channel in channels]
        waiting = sum(len(times) for channel in channels for times, _ in self._waiting.get(channel, ()))
        self.lost["duplicate"] += waiting - sum(len(times) for times, _ in samples)
        heard = [self._rows(times) for times, _ in samples]
        grid = self._grid(np.unique(np.concatenate([*heard, _NOTHING[0]])), last)
        rows = np.full((len(grid), len(channels)), np.nan, np.float32)
        for at, (channel, (times, values), bins) in enumerate(zip(channels, samples, heard, strict=True)):
            if len(grid):
                rows[:, at] = self._meet(self._rule(channel), grid, bins=bins, times=times, values=values)
            # The newest sample given out stays: a line may begin there.
            first = max(0, int(np.searchsorted(bins, last, side="right")) - 1)
            self._waiting[channel] = [(times[first:], values[first:])] if len(times) else []
        if len(grid):
            self._given = int(grid[-1])
        return grid * self._period_ns, rows

    def _rows(self, times: Ints) -> Ints:
        rows: Ints = -(-times // self._period_ns)
        return rows

    def _sorted(self, channel: str) -> tuple[Ints, Float32]:
        """The channel's samples by time, each time once."""
        parts = self._waiting.get(channel)
        if not parts:
            return _NOTHING
        times, values = np.concatenate([t for t, _ in parts]), np.concatenate([v for _, v in parts])
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
        first = np.concatenate([[True], times[1:] != times[:-1]])
        return times[first], values[first]

    def _grid(self, heard: Ints, last: int) -> Ints:
        """Rows to give out, up to `last`: those with samples, and the short pauses between them."""
        if self._given is not None:
            heard = np.concatenate([[self._given], heard[heard > self._given]])
        heard = heard[heard <= last]
        if len(heard) == 0:
            return heard
        pauses = np.diff(heard)
        runs = [
            np.arange(a + 1, a + step + 1)
            for a, step in zip(heard, pauses, strict=False)
            if step <= self._bridge_rows
        ]
        if (pauses <= self._bridge_rows).all():
            grid = np.arange(heard[0], heard[-1] + 1)
        else:
            grid = np.unique(np.concatenate([heard, *runs]))
        return grid if self._given is None else grid[grid > self._given]

    def _meet(
        self, rule: Align, grid: Ints, *, bins: Ints, times: Ints, values: Float32
    ) -> NDArray[np.float64]:
        """One channel's samples on the grid rows [R]."""
        start, end = np.searchsorted(bins, grid), np.searchsorted(bins, grid, side="right")
        count = end - start
        if rule == "count":
            return count.astype(np.float64)
        if len(values) == 0:
            return np.full(len(grid), np.nan)
        if rule == "linear":
            return self._line(grid, times=times, values=values)
        if rule == "hold":
            return np.where(count > 0, values[np.maximum(end, 1) - 1], np.nan)
        total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
        return np.where(count > 0, (total[end] - total[start]) / np.maximum(count, 1), np.nan)

    def _line(self, grid: Ints, *, times: Ints, values: Float32) -> NDArray[np.float64]:
        """The course between the neighbours, where both are within one period of the row."""
        at = grid * self._period_ns
        right = np.searchsorted(times, at)
        after, before = np.minimum(right, len(times) - 1), np.maximum(right - 1, 0)
        exact = (right < len(times)) & (times[after] == at)
        near = (right < len(times)) & (right > 0)
        near &= (times[after] - at <= self._period_ns) & (at - times[before] <= self._period_ns)
        span = np.maximum(times[after] - times[before], 1)
        share = (at - times[before]) / span
        course = values[before] + share * (values[after].astype(np.float64) - values[before])
        return np.where(exact, values[after], np.where(near, course, np.nan))

    # -- across restarts -------------------------------------------------------------------------------------

    def save(self) -> AlignState:
        """What to give to `restore` so that the next rows are the same."""
        waiting = {channel: self._sorted(channel) for channel in self._waiting}
        raw = {name: (times.tobytes(), values.tobytes()) for name, (times, values) in waiting.items()}
        return AlignState(raw, self._newest_ns, self._given)

    def restore(self, state: AlignState) -> None:
        """Go on where another aligner stood."""
        self._newest_ns, self._given = state.newest_ns, state.given_row
        self._waiting = {
            name: [(np.frombuffer(times, np.int64), np.frombuffer(values, np.float32))]
            for name, (times, values) in state.waiting.items()
        }
