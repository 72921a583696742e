"""Rows of one machine on one time axis: loose frames, parts of a day and whole days joined. Pure; knows no file.

Rules: times rise, each stands once; of two values for one cell the first counts; a channel that a row lacks is NaN.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32, Frame

DAY_NS = 86_400_000_000_000
_GRID_NS = 1_000_000_000
"""Messages with one channel and no time of their own meet in rows of a second, as in the agent's window."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """R rows of C channels at rising times; values [R, C], NaN where a row lacks a channel."""

    channels: tuple[str, ...]
    times_ns: NDArray[np.int64]
    values: Float32

    def between(self, start_ns: int, end_ns: int) -> "Timeline":
        """The rows in `[start_ns, end_ns)`."""
        low, high = np.searchsorted(self.times_ns, [start_ns, end_ns])
        return Timeline(self.channels, self.times_ns[low:high], self.values[low:high])

    @property
    def rate_hz(self) -> float:
        """Rows per second by the median step; 0 where there are not two rows."""
        if len(self.times_ns) < 2:
            return 0.0
        return float(1e9 / np.median(np.diff(self.times_ns)))


def of_frames(frames: Iterable[Frame]) -> Timeline:
    """All frames of one machine."""
    layouts: dict[tuple[str, ...], list[Frame]] = {}
    for frame in frames:
        layouts.setdefault(frame.channels, []).append(frame)
    return joined([_block(channels, members) for channels, members in layouts.items()])


def _block(channels: tuple[str, ...], frames: Sequence[Frame]) -> Timeline:
    """Frames of the same channels one after the other; their times need not rise."""
    times = [np.asarray(frame.times_ns, np.int64) for frame in frames]
    for at, frame in enumerate(frames):
        if frame.partial and not frame.stamped:
            times[at] = times[at] // _GRID_NS * _GRID_NS
    values = [np.asarray(frame.rows, np.float32).reshape(-1, len(channels)) for frame in frames]
    return Timeline(channels, np.concatenate(times), np.concatenate(values))


def joined(parts: Sequence[Timeline]) -> Timeline:
    """All rows of the parts, with all their channels, the oldest part's first."""
    channels = tuple(dict.fromkeys(name for part in parts for name in part.channels))
    nothing = np.empty(0, np.int64)
    times_ns = np.unique(np.concatenate([nothing, *(part.times_ns for part in parts)]))
    values = np.full((len(times_ns), len(channels)), np.nan, np.float32)
    column = {name: at for at, name in enumerate(channels)}
    for part in reversed(parts):
        # Backwards, so that the value that was heard first is written last and stays.
        rows = np.searchsorted(times_ns, part.times_ns)[::-1]
        for at, name in enumerate(part.channels):
            cells = part.values[::-1, at]
            seen = np.isfinite(cells)
            values[rows[seen], column[name]] = cells[seen]
    return Timeline(channels, times_ns, values)


def days(line: Timeline) -> list[tuple[int, Timeline]]:
    """(number of the day since 1970 UTC, its rows), oldest first."""
    numbers = line.times_ns // DAY_NS
    return [
        (int(day), line.between(int(day) * DAY_NS, (int(day) + 1) * DAY_NS)) for day in np.unique(numbers)
    ]
