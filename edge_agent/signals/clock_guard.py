"""One source's clock against our own: a single time decides nothing for those that follow. Pure.

Rows must rise, so one row from the future would make every right one after it late. What leaps ahead of its arrival is
held back until a second row confirms that the clock has leapt; where the next is as the ones before, it is dropped. And
rows that are late one after another, though they come at the pace of their own times, tell of a clock that was set back
for good (winter time, a time server found again): the machine begins afresh.

How far a time is ahead of its arrival says both: a pause, a queue that is worked off and history that is sent again
change it in other ways, and are left alone. Frames that do not know their arrival (recordings) are, too.
"""

from dataclasses import dataclass

import numpy as np

from edge_agent.records import Frame

_AHEAD_NS = 5_000_000_000
"""Clocks that are less wrong, and messages that take less long, are no matter."""
_LEAP_NS = 10_000_000_000
_BACK_ROWS, _BACK_NS = 10, 3_000_000_000
"""Late rows, and the time from the first to the last of them, that tell of a clock that was set back."""


@dataclass(slots=True)
class ClockGuard:
    """Of one machine.

    Attributes:
        lost: samples of what was held back and dropped since it was last asked.
    """

    lost: int = 0
    _usual_ns: int | None = None
    """How far the last row that was taken was ahead of its arrival."""
    _held: Frame | None = None
    _late_rows: int = 0
    _late_ns: int = 0
    _first_late: tuple[int, int] = (0, 0)
    """Time of the first late row of the run, and how far it was ahead of its arrival."""

    def admit(self, frame: Frame) -> tuple[Frame, ...]:
        """The frames that are to be taken now, in this order; none where this one is held back."""
        ahead_ns = _ahead_ns(frame)
        held, self._held = self._held, None
        if self._usual_ns is None or ahead_ns <= _AHEAD_NS or ahead_ns - self._usual_ns <= _LEAP_NS:
            self._drop(held)
            return (frame,)
        if held is not None and abs(ahead_ns - _ahead_ns(held)) <= _LEAP_NS:
            return (held, frame)
        self._drop(held)
        self._held = frame
        return ()

    def was_taken(self, frame: Frame) -> None:
        """The frame was in time."""
        self._usual_ns, self._late_rows = _ahead_ns(frame), 0

    def was_late(self, frame: Frame) -> bool:
        """The frame was late; whether so many were in a row that the clock was set back."""
        time_ns, ahead_ns = max(frame.times_ns), _ahead_ns(frame)
        if self._late_rows and time_ns > self._late_ns:
            self._late_rows, self._late_ns = self._late_rows + 1, time_ns
        elif self._late_rows == 0 or time_ns < self._late_ns:
            self._late_rows, self._late_ns = 1, time_ns
            self._first_late = (time_ns, ahead_ns)
        span_ns = time_ns - self._first_late[0]
        at_its_pace = 2 * abs(ahead_ns - self._first_late[1]) <= span_ns  # not sent again all at once
        return self._late_rows >= _BACK_ROWS and span_ns >= _BACK_NS and at_its_pace

    def _drop(self, held: Frame | None) -> None:
        if held is not None:
            self.lost += int((~np.isnan(np.asarray(held.rows, np.float32))).sum())


def _ahead_ns(frame: Frame) -> int:
    return max(frame.times_ns) - frame.received_ns
