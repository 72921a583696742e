"""Stretches of the learnt rows that were unlike all others, for people to say whether one was a fault. Pure.

They are remembered, and set neither scale nor threshold (`detect.left_out`), so that what was wrong in one of them is
normal for the machine from then on. Nobody but a person knows.

Axes: S stretches, W normal windows.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.detector import NormalWindows
from edge_agent.records import Profile
from edge_agent.signals.features import Float32

_MOST = 20
"""Stretches that are kept, the longest; more of them are no exceptions."""
_ROWS, _CHANNEL = "seen_once_rows", "seen_once_channel"


@dataclass(frozen=True, slots=True)
class SeenOnce:
    """From when to when, by event time, and the channel that was furthest from its middle."""

    start_ns: int
    end_ns: int
    channel: str


def reference(normal: NormalWindows, *, location: Float32, scale: Float32) -> dict[str, NDArray[Any]]:
    """The stretches, as rows from the first learnt one on, [S, 2] half-open, and the place of the channel, [S]."""
    window_rows = normal.scales.lengths[-1]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], ~normal.kept, [False]]).astype(np.int8)))
    stretches = [
        _within(int(normal.ends[first]), int(normal.ends[after - 1]), window_rows)
        for first, after in edges.reshape(-1, 2).tolist()
    ]
    longest = sorted(stretches, key=lambda rows: rows[0] - rows[1])[:_MOST]
    rows = np.array(sorted(longest), np.int64).reshape(-1, 2)
    far = [np.abs((normal.rows[start:end] - location) / scale) for start, end in rows.tolist()]
    channel = [int(np.nan_to_num(each).max(axis=0).argmax()) for each in far]
    return {_ROWS: rows, _CHANNEL: np.array(channel, np.int64)}


def _within(first: int, last: int, window_rows: int) -> tuple[int, int]:
    """The newest rows of the windows that were rare by themselves, by the ends of those and half a window around."""
    start, end = first + window_rows // 2 - 1, last - window_rows // 2
    return (start, end) if start < end else ((first + last) // 2 - 1, (first + last) // 2)


def read(profile: Profile) -> tuple[SeenOnce, ...]:
    """Those of a profile, the earliest first; none by an older agent.

    Times are counted back from the last learnt row at the machine's pace: where rows were missing they lie too late.
    """
    memory = profile.memory
    if _ROWS not in memory:
        return ()
    pairs = zip(memory[_ROWS].tolist(), memory[_CHANNEL].tolist(), strict=True)
    first_ns = profile.learnt_ns - (profile.rows - 1) * profile.period_ns
    return tuple(
        SeenOnce(
            first_ns + start * profile.period_ns, first_ns + end * profile.period_ns, profile.channels[at]
        )
        for (start, end), at in pairs
    )
