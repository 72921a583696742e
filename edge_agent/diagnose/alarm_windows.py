"""Windows kept of one alarm, so that it can be named later: few, from its beginning to its end. Pure.

They are held while the alarm is open; once it is over and they are written down, they are lazy: read when somebody
asks.

Axes: C channels, T rows, W windows.
"""

import sys
from dataclasses import dataclass, field

import msgspec
import numpy as np

from edge_agent.model.lazy_arrays import Lazy
from edge_agent.records import Float32

_WINDOWS = 12
"""Of one alarm; neighbours tell the same, and a machine's memory is small."""
_EVERY_ROWS = 8
"""Between two kept windows at first: much is new in the second, the fault is mostly the same."""


@dataclass(slots=True)
class AlarmWindows:
    """Windows of one alarm, as far apart as it takes to hold few of its whole life.

    Attributes:
        windows: W times [C, T]; none where they are lazy.
        ends: row count at each window's end.
        start_ns, end_ns: event times of the alarm's first and last window; 0 where they were not noted.
        lazy: gives the windows [W, C, T]; None while they are held.
    """

    channels: tuple[str, ...]
    windows: list[Float32] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    every_rows: int = _EVERY_ROWS
    start_ns: int = 0
    end_ns: int = 0
    lazy: Lazy | None = None

    def takes(self, window: Float32, channels: tuple[str, ...]) -> bool:
        """Whether a window of these channels goes with those that are held."""
        alike = all(known.shape == window.shape for known in self.windows[:1])
        return alike and self.lazy is None and self.channels == channels

    def add(self, window: Float32, end_row: int) -> None:
        """Keep a window, if it is far enough from the one before; rows are counted afresh where they were lost."""
        if self.ends and 0 <= end_row - self.ends[-1] < self.every_rows:
            return
        self.windows.append(np.array(window, np.float32))
        self.ends.append(end_row)
        if len(self.windows) > _WINDOWS:
            self.windows, self.ends = self.windows[::2], self.ends[::2]
            self.every_rows *= 2

    def stacked(self) -> Float32:
        """All windows [W, C, T]; ask once.

        Raises:
            OSError: they are lazy and cannot be read.
        """
        return np.stack(self.windows) if self.lazy is None else self.lazy()

    def pieces(self) -> list[Float32]:
        """The rows of the windows, [R, C] each; those that overlap are one piece.

        Raises:
            OSError: they are lazy and cannot be read.
        """
        windows = self.stacked()
        ends = self.ends if len(self.ends) == len(windows) else []
        found: list[Float32] = []
        for at, window in enumerate(windows):
            new = ends[at] - ends[at - 1] if at and ends else len(window[0])
            if at and 0 < new < len(window[0]):
                found[-1] = np.concatenate([found[-1], window.T[-new:]])
            else:
                found.append(np.ascontiguousarray(window.T))
        return found

    def rest(self, lazy: Lazy) -> None:
        """Hold the windows no longer: they can be had from there."""
        self.windows, self.lazy = [], lazy


class _Form(msgspec.Struct, array_like=True):
    machine: str
    alarm: str
    channels: tuple[str, ...]
    ends: list[int]
    every_rows: int
    start_ns: int
    end_ns: int
    windows: bytes


def encode(machine: str, alarm: str, kept: AlarmWindows) -> bytes:
    """Windows that are held, and of what they are."""
    windows = np.stack(kept.windows).tobytes()
    return msgspec.msgpack.encode(
        _Form(machine, alarm, kept.channels, kept.ends, kept.every_rows, kept.start_ns, kept.end_ns, windows)
    )


def decode(raw: bytes) -> tuple[str, str, AlarmWindows]:
    """(machine, alarm, its windows, held).

    Raises:
        ValueError: the bytes are not what `encode` gives.
    """
    form = msgspec.msgpack.decode(raw, type=_Form)  # its errors are ValueErrors
    shape = (len(form.ends), len(form.channels), -1)
    windows = np.frombuffer(form.windows, np.float32).reshape(shape)
    if not windows.size:
        raise ValueError("no windows")
    # Channels' names are the same for all alarms of a machine, and are held once.
    channels = tuple(sys.intern(name) for name in form.channels)
    held = [np.array(window) for window in windows]
    return (
        form.machine,
        form.alarm,
        AlarmWindows(channels, held, form.ends, form.every_rows, form.start_ns, form.end_ns),
    )
