"""Rows and scores to minutes: the highest score, and of each channel how many values, their mean and extremes. Pure.

A stretch is gathered from what comes in whatever order: late rows make a second part of a minute, and two parts of a
stretch, or minutes of an hour, are one by `add`.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32, Frame

MINUTE_S, HOUR_S = 60, 3600
MOMENT_S = 3
"""The latest scores are kept closer: the highest of each so many seconds."""
_CHANNELS_LIMIT = 200
_LATE_S = 120
_SECOND_NS = 1_000_000_000
_NOTHING = (0.0, 0.0, math.inf, -math.inf)

Float64 = NDArray[np.float64]
Scored = tuple[str, NDArray[np.int64], Float32]
"""A machine, and times and scores of its windows."""


@dataclass(slots=True)
class Stretch:
    """What is known of one stretch of one machine.

    Attributes:
        peak: the highest score; NaN where none was scored.
        names: C channels.
        sums: [C, 4] number of values, their sum, lowest and highest.
    """

    peak: float = math.nan
    names: tuple[str, ...] = ()
    sums: Float64 = field(default_factory=lambda: np.empty((0, 4)))

    def take_score(self, score: float) -> None:
        """A window has scored so much."""
        self.peak = score if math.isnan(self.peak) else max(self.peak, score)

    def take_rows(self, names: tuple[str, ...], rows: Float32) -> None:
        """Rows [R, C]; NaN and infinity count for nothing."""
        known = np.isfinite(rows)
        sums = np.empty((len(names), 4))
        sums[:, 0] = known.sum(axis=0)
        sums[:, 1] = np.where(known, rows, 0.0).sum(axis=0, dtype=np.float64)
        sums[:, 2] = np.where(known, rows, np.inf).min(axis=0, initial=np.inf)
        sums[:, 3] = np.where(known, rows, -np.inf).max(axis=0, initial=-np.inf)
        self._add(names, sums)

    def add(self, other: "Stretch") -> None:
        """Another part of the same stretch."""
        if not math.isnan(other.peak):
            self.take_score(other.peak)
        self._add(other.names, other.sums)

    def _add(self, names: tuple[str, ...], sums: Float64) -> None:
        if names != self.names:
            every = dict.fromkeys((*self.names, *names))
            self.names, before, held = tuple(itertools.islice(every, _CHANNELS_LIMIT)), self.names, self.sums
            self.sums = np.tile(np.array(_NOTHING), (len(self.names), 1))
            self.sums[: len(before)] = held
            at = {name: place for place, name in enumerate(self.names)}
            chosen = [place for place, name in enumerate(names) if name in at]
            into = np.array([at[names[place]] for place in chosen], np.intp)
            sums = sums[chosen]
        else:
            into = np.arange(len(names))
        self.sums[into, :2] += sums[:, :2]
        self.sums[into, 2] = np.minimum(self.sums[into, 2], sums[:, 2])
        self.sums[into, 3] = np.maximum(self.sums[into, 3], sums[:, 3])

    def pack(self) -> bytes:
        """[C, 4] number of values, mean, lowest, highest, in single precision."""
        packed = self.sums.copy()
        packed[:, 1] /= np.maximum(packed[:, 0], 1)
        return packed.astype(np.float32).tobytes()

    @classmethod
    def unpack(cls, peak: float | None, names: tuple[str, ...], raw: bytes) -> "Stretch":
        """What `pack` gave; what does not fit the names is left out."""
        sums = unpacked(raw, len(names)).astype(np.float64) if names else np.empty((0, 4))
        if len(sums):
            sums[:, 1] *= sums[:, 0]
        return cls(math.nan if peak is None else peak, names if len(sums) else (), sums)


def unpacked(raw: bytes, n_channels: int) -> Float32:
    """[C, 4] as `Stretch.pack` wrote them; [0, 4] where the bytes are of another size."""
    if len(raw) != 16 * n_channels:
        return np.empty((0, 4), np.float32)
    return np.frombuffer(raw, np.float32).reshape(n_channels, 4)


Place = tuple[str, int]
"""A machine and the beginning of a stretch, in seconds since 1970."""


class MinuteGatherer:
    """Minutes that are still being filled, and moments that are not written yet. Belongs to one thread."""

    def __init__(self) -> None:
        self.open: dict[Place, Stretch] = {}
        self.changed: set[Place] = set()
        """Open minutes that are not written as they are."""
        self.moments: dict[int, dict[str, float]] = {}
        self._newest: dict[str, int] = {}
        self._names: dict[
            str, tuple[str, ...]
        ] = {}  # so that a minute that lacks a channel is laid out as others

    def restore(self, known: Iterable[tuple[Place, Stretch]]) -> None:
        """Go on with minutes that an earlier process left open."""
        for place, stretch in known:
            self.open.setdefault(place, Stretch()).add(stretch)
            self._heard(place)

    def forget(self, machine: str) -> None:
        """Nothing was gathered of a machine."""
        gone = [place for place in self.open if place[0] == machine]
        for place in gone:
            del self.open[place]
        self.changed.difference_update(gone)
        for peaks in self.moments.values():
            peaks.pop(machine, None)
        self._newest.pop(machine, None)
        self._names.pop(machine, None)

    def take_scores(self, scored: Iterable[Scored]) -> None:
        """What windows came to."""
        for machine, times_ns, scores in scored:
            for time_ns, score in zip(times_ns.tolist(), scores.tolist(), strict=True):
                if not math.isfinite(score):
                    continue
                time_s = time_ns // _SECOND_NS
                self._at(machine, time_s).take_score(score)
                moment = self.moments.setdefault(time_s - time_s % MOMENT_S, {})
                moment[machine] = max(score, moment.get(machine, score))

    def take_frames(self, frames: Iterable[Frame]) -> Iterator[None]:
        """Rows; gives way after each machine, so that nobody waits for all of them."""
        together: dict[tuple[str, tuple[str, ...]], list[Frame]] = {}
        for frame in frames:
            together.setdefault((frame.machine, frame.channels), []).append(frame)
        for (machine, channels), some in together.items():
            self._take_rows(machine, channels, some)
            yield

    def give_up(self, place: Place) -> int:
        """Hold a minute no longer, though it is not written; returns how many rows it had."""
        self.changed.discard(place)
        return int(self.open.pop(place).sums[:, 0].max(initial=0))

    def forget_moments(self, *, but: int) -> None:
        """Hold the latest moments only, where they cannot be written."""
        for start_s in sorted(self.moments)[: max(0, len(self.moments) - but)]:
            del self.moments[start_s]

    def _take_rows(self, machine: str, channels: tuple[str, ...], frames: Sequence[Frame]) -> None:
        times_s = np.array([time for frame in frames for time in frame.times_ns], np.int64) // _SECOND_NS
        if all(isinstance(frame.rows, np.ndarray) for frame in frames):
            rows = np.concatenate([np.asarray(frame.rows, np.float32) for frame in frames])
        else:
            rows = np.array([row for frame in frames for row in frame.rows], np.float32)
        starts = times_s - times_s % MINUTE_S
        for start in np.unique(starts).tolist():
            at = starts == start
            stretch = self._at(machine, start)
            stretch.take_rows(channels, rows if at.all() else rows[at])
            self._names[machine] = stretch.names

    def _at(self, machine: str, time_s: int) -> Stretch:
        place = (machine, time_s - time_s % MINUTE_S)
        self.changed.add(place)
        self._heard(place)
        stretch = self.open.get(place)
        if stretch is None:
            names = self._names.get(machine, ())
            stretch = self.open[place] = Stretch(
                names=names, sums=np.tile(np.array(_NOTHING), (len(names), 1))
            )
        return stretch

    def _heard(self, place: Place) -> None:
        machine, start = place
        self._newest[machine] = max(start, self._newest.get(machine, start))

    def finished(self, *, now_s: float) -> list[Place]:
        """Minutes that are over: their machine is in a later one, or nothing came for long."""
        return [
            (machine, start)
            for machine, start in self.open
            if start < self._newest[machine] or start + MINUTE_S + _LATE_S < now_s
        ]

    def written(self, places: Iterable[Place]) -> None:
        """These minutes are over and on the disk; what is still open is, too."""
        for place in places:
            self.open.pop(place, None)
        open_machines = {machine for machine, _ in self.open}
        self._newest = {name: start for name, start in self._newest.items() if name in open_machines}
        self._names = {name: known for name, known in self._names.items() if name in open_machines}
        self.changed.clear()
        self.moments.clear()
