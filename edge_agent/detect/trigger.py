"""Scores to alarms' beginnings and ends: a threshold with on-delay, off-delay and deadband, one machine each. Pure.

What it is not: it does not know what an alarm is called, who is told, or how a threshold was found. Which alarms call
people is `alarms`, when an incident is over is `off_delay`; a score of 1 is the threshold whatever the machine.

The rules it keeps, in the words of ISA-18.2:

1. On-delay. An alarm is raised by `on_delay_windows` windows in a row above the threshold, and by no fewer: one window
   alone is no evidence. How many that are is a matter of time: `on_delay_windows`.
2. Deadband. A score counts as back to normal only below `release`, which lies under the threshold. A score that hovers
   between the two neither raises an alarm nor clears one.
3. Off-delay. An alarm is cleared by `off_delay_windows` windows in a row below `release`, or, where its fault could be
   seen in the newest rows alone, by as many whose newest rows are: the rest of the window still holds the fault. Where
   the newest rows are still as far off as they were, two lengths of a window later.
4. No echo. The end of a fault is a change as large as its beginning, and a window that holds both sides of it looks
   like a fault. So after an alarm the next one takes newest rows that are above the threshold themselves, until no row
   of a window is left from before the end and the score has been below `release`.
5. An alarm that was raised is cleared before the next one is raised; nothing else is said in between but "active".
6. What it remembers can be written down after any window: a restart changes nothing that follows.

A session, with the default delays:

    trigger = Trigger(TriggerSettings())
    trigger.step(1.3, recent=1.3)   # "normal": one window above
    trigger.step(1.4, recent=1.5)   # "raised"
    trigger.step(0.9, recent=0.4)   # "active", and so on for 14 more windows below .9 ...
    trigger.step(0.2, recent=0.1)   # "cleared"
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval

from edge_agent.records import THRESHOLD

TriggerState = Literal["normal", "raised", "active", "cleared"]
"""Of one window: "raised" and "cleared" are the first and the last of an alarm."""


_FEWEST_WINDOWS, _MOST_WINDOWS = 2, 6
"""Of an on-delay: one window is no evidence, and more than six windows in a row tell little more than six do."""
_LASTING_SPANS = 2
"""So many lengths of a window longer does an alarm stay open whose fault is still seen in the newest rows. A window
that holds nothing but a fault holds no beginning of one any more, and looks like a machine that does something new."""


@dataclass(frozen=True, slots=True)
class OnDelaySettings:
    """What the file says of when an alarm opens: its section `[alarm]` is this class, with its keys and bounds.

    Attributes:
        on_s: the score is above the threshold for so long, but for 2 windows at least and 6 at most.
    """

    on_s: Annotated[float, Interval(ge=0, le=3600)] = 60.0


def on_delay_windows(settings: OnDelaySettings, *, hop_ns: int) -> int:
    """The windows in a row that raise an alarm, of a machine with so much time from one window to the next."""
    windows = math.ceil(settings.on_s * 1e9 / max(hop_ns, 1))
    return min(max(windows, _FEWEST_WINDOWS), _MOST_WINDOWS)


@dataclass(frozen=True, slots=True)
class TriggerSettings:
    """Delays in windows, and the score, a deadband below the threshold, under which an alarm may be cleared."""

    on_delay_windows: int = 2
    off_delay_windows: int = 15
    release: float = 0.9


@dataclass(frozen=True, slots=True)
class TriggerSnapshot:
    """All that a trigger remembers, to be written down and given back after a restart; its names are on disk."""

    anomalous: bool = False
    run: int = 0
    seen_recent: bool = False
    armed: bool = True
    echo_windows: int = 0


class Trigger:
    """Remembers one machine's side of the threshold."""

    def __init__(self, settings: TriggerSettings) -> None:
        self._settings = settings
        self._active = False
        self._run = 0  # windows in a row that speak for a change
        self._seen_recent = False  # the active alarm's fault could be seen in the newest rows alone
        self._armed = True  # the score has been below release since the last alarm
        self._echo_windows = 0  # windows still to come that hold rows of the last fault

    def adopt(self, settings: TriggerSettings) -> None:
        """Go by other delays from the next window on."""
        self._settings = settings

    def save(self) -> TriggerSnapshot:
        """What to give to `restore` so that the next states are the same."""
        return TriggerSnapshot(self._active, self._run, self._seen_recent, self._armed, self._echo_windows)

    def restore(self, snapshot: TriggerSnapshot) -> None:
        """Go on where another trigger stood."""
        self._active, self._run = snapshot.anomalous, snapshot.run
        self._seen_recent, self._armed = snapshot.seen_recent, snapshot.armed
        self._echo_windows = snapshot.echo_windows

    @property
    def active(self) -> bool:
        """Whether an alarm has been raised and not cleared."""
        return self._active

    @property
    def counting(self) -> bool:
        """Whether the latest windows speak for an alarm that has not been raised yet."""
        return not self._active and self._run > 0

    @property
    def seen_recent(self) -> bool:
        """Whether the fault of the latest alarm could be seen in the newest rows alone."""
        return self._seen_recent

    def step(self, score: float, *, recent: float, span_windows: int = 0) -> TriggerState:
        """Take in the next window.

        Args:
            score: of the window.
            recent: of its newest rows.
            span_windows: windows until every row of this one has been replaced.
        """
        release = self._settings.release
        self._armed = self._armed or score < release
        self._echo_windows = max(0, self._echo_windows - 1)
        if self._active:
            self._seen_recent = self._seen_recent or recent > THRESHOLD
            over = score < release or (self._seen_recent and recent < release)
            self._run = self._run + 1 if over else 0
            if not over:
                self._echo_windows = span_windows
            lasting = _LASTING_SPANS * span_windows if self._seen_recent and recent >= release else 0
            if self._run < self._settings.off_delay_windows + lasting:
                return "active"
            self._active, self._run, self._armed = False, 0, score < release
            return "cleared"
        clear = self._armed and self._echo_windows == 0
        self._run = self._run + 1 if score > THRESHOLD and (clear or recent > THRESHOLD) else 0
        if self._run < self._settings.on_delay_windows:
            return "normal"
        self._active, self._run, self._seen_recent, self._echo_windows = True, 0, False, span_windows
        return "raised"
