"""Broken readings of single rows: how many a sensor has in a day, beside how many it had while it was learnt. Pure.

A reading far outside of all that was learnt is held for at most two rows (`signals.channel_kinds`), so it says nothing
of the machine; many of them say that a sensor, a cable or a converter is failing. What stays out longer is none,
nor is what comes back to values that are unusual, too: those are the machine's.

Axes: R rows, C channels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32
from edge_agent.signals.channel_kinds import ChannelKinds

_DAY_NS = 24 * 3600 * 1_000_000_000
_HELD_ROWS = 2
_TIMES, _MORE = 3, 3
"""More in a day than so many times the learnt number, and so many, are a finding."""
_SPIKES = "quality/spikes"


@dataclass(frozen=True, slots=True)
class SpikeState:
    """What outlives a restart: of each channel the times of its latest spikes, and for how many rows it is far out."""

    times_ns: tuple[tuple[int, ...], ...] = ()
    run: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SpikeChange:
    """A channel has too many spikes from that row on, or no longer has; `value`: the worst of them."""

    row: int
    channel: int
    failing: bool
    value: float


def reference(rows: Float32, memory: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """How many spikes each channel has in normal rows [R, C], by the kinds in the memory; nothing without kinds."""
    kinds = ChannelKinds.read(memory)
    if kinds is None:
        return {}
    count = [_spikes(rows[:, at], kinds.low[at], kinds.high[at]) for at in range(rows.shape[1])]
    return {_SPIKES: np.array(count, np.int64)}


def _spikes(values: Float32, low: np.float32, high: np.float32) -> int:
    """Rows [R] far out that the next heard ones follow back after two rows at most."""
    heard = values[~np.isnan(values)]
    edges = np.diff(np.concatenate([[False], (heard < low) | (heard > high), [False]]).astype(np.int8))
    lengths = np.flatnonzero(edges < 0) - np.flatnonzero(edges > 0)
    return int(lengths[lengths <= _HELD_ROWS].sum())


class SpikeMonitor:
    """Counts one machine's."""

    def __init__(
        self, low: Float32, high: Float32, most: NDArray[np.int64], *, usual: tuple[Float32, Float32]
    ) -> None:
        """By bounds of each channel [C], how many spikes in a day are no finding [C], and the usual lows and highs."""
        self._low, self._high, self._most = low, high, most
        self._usual_low, self._usual_high = usual
        self._times: list[list[int]] = [[] for _ in most]
        self._run = np.zeros(len(most), np.int64)
        self._worst = [0.0] * len(most)

    @classmethod
    def read(cls, memory: Mapping[str, NDArray[Any]], *, learnt_ns: int) -> "SpikeMonitor | None":
        """By what was learnt in so much time; None of a machine that an older agent learnt."""
        kinds = ChannelKinds.read(memory)
        if kinds is None or _SPIKES not in memory:
            return None
        days = max(learnt_ns, 1) / _DAY_NS
        most = (_TIMES * memory[_SPIKES] / days + _MORE).astype(np.int64)
        return cls(kinds.low, kinds.high, most, usual=(memory["evidence/low"], memory["evidence/high"]))

    def check(self, rows: Float32, times_ns: NDArray[np.int64]) -> list[SpikeChange]:
        """What the next rows [R, C] begin and end."""
        far = (rows < self._low) | (rows > self._high)
        if not far.any() and not self._run.any():
            return self._forget(int(times_ns[-1]), row=len(rows) - 1)
        found: list[SpikeChange] = []
        for row, values in enumerate(rows):
            time_ns = int(times_ns[row])
            found += self._forget(time_ns, row=row)
            for channel in np.flatnonzero(far[row]).tolist():
                self._note_worst(channel, float(values[channel]))
            back = ~far[row] & ~np.isnan(values)
            well = back & (values >= self._usual_low) & (values <= self._usual_high)
            for channel in np.flatnonzero(well & (self._run > 0) & (self._run <= _HELD_ROWS)).tolist():
                found += self._count(channel, row=row, time_ns=time_ns)
            self._run = np.where(back, 0, self._run + far[row])
        return found

    def _count(self, channel: int, *, row: int, time_ns: int) -> list[SpikeChange]:
        """The readings that have just ended were spikes."""
        times, most = self._times[channel], int(self._most[channel])
        failed = len(times) > most
        times += [time_ns] * int(self._run[channel])
        del times[: -most - 1]
        if failed or len(times) <= most:
            return []
        return [SpikeChange(row, channel, failing=True, value=self._worst[channel])]

    def _note_worst(self, channel: int, value: float) -> None:
        middle = (float(self._low[channel]) + float(self._high[channel])) / 2
        first = not self._times[channel] and not self._run[channel]
        if first or abs(value - middle) > abs(self._worst[channel] - middle):
            self._worst[channel] = value

    def _forget(self, time_ns: int, *, row: int) -> list[SpikeChange]:
        """Spikes of a day ago count no more."""
        found = []
        for channel, times in enumerate(self._times):
            failed = len(times) > self._most[channel]
            while times and not 0 <= time_ns - times[0] < _DAY_NS:
                del times[0]
            if failed and len(times) <= self._most[channel]:
                found.append(SpikeChange(row, channel, failing=False, value=float("nan")))
        return found

    def save(self) -> SpikeState:
        """What to give to `restore`."""
        if not any(self._times):
            return SpikeState()
        return SpikeState(tuple(map(tuple, self._times)), tuple(self._run.tolist()))

    def restore(self, state: SpikeState) -> None:
        """Go on where another monitor of the same channels stood."""
        if len(state.times_ns) == len(self._times):
            self._times = [list(times) for times in state.times_ns]
            self._run = np.array(state.run, np.int64)
