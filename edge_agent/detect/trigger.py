"""Scores to verdicts: threshold, delays and hysteresis. A pure state machine, one per machine.

A score says how near an alarm a window is: 1 is the threshold. A machine turns anomalous after `on_windows` windows
in a row above it. It is calm again after `off_windows` windows in a row below `release`, or, where the fault could be
seen in the newest rows alone, after as many whose newest rows are below it: the rest of the window still holds the
fault that has ended.

The end of a fault is a change as large as its beginning, and a window that holds both sides of it looks like a fault.
So the next alarm takes newest rows that are above the threshold themselves, until no row of a window is left from
before the end and the score has been below `release`.
"""

from dataclasses import dataclass
from typing import Literal

from edge_agent.records import THRESHOLD

Verdict = Literal["calm", "opened", "anomalous", "closed"]


@dataclass(frozen=True, slots=True)
class DecideSettings:
    """Delays, in windows, and the score below which an alarm may close."""

    on_windows: int = 2
    off_windows: int = 15
    release: float = 0.9


@dataclass(frozen=True, slots=True)
class DeciderState:
    """All that a decider remembers, to be written down and given back after a restart."""

    anomalous: bool = False
    run: int = 0
    seen_recent: bool = False
    armed: bool = True
    echo_windows: int = 0


class Decider:
    """Remembers one machine's side of the threshold."""

    def __init__(self, settings: DecideSettings) -> None:
        self._settings = settings
        self._anomalous = False
        self._run = 0
        self._seen_recent = False  # the open alarm's fault could be seen in the newest rows alone
        self._armed = True  # the score has been below release since the last alarm
        self._echo_windows = 0  # windows still to come that hold rows of the last fault

    def save(self) -> DeciderState:
        """What to give to `restore` so that the next verdicts are the same."""
        return DeciderState(self._anomalous, self._run, self._seen_recent, self._armed, self._echo_windows)

    def restore(self, state: DeciderState) -> None:
        """Go on where another decider stood."""
        self._anomalous, self._run = state.anomalous, state.run
        self._seen_recent, self._armed = state.seen_recent, state.armed
        self._echo_windows = state.echo_windows

    @property
    def anomalous(self) -> bool:
        """Whether the machine counts as anomalous."""
        return self._anomalous

    def step(self, score: float, *, recent: float, span_windows: int = 0) -> Verdict:
        """The verdict on the next window.

        Args:
            score: of the window.
            recent: of its newest rows.
            span_windows: windows until every row of this one has been replaced.
        """
        release = self._settings.release
        self._armed = self._armed or score < release
        self._echo_windows = max(0, self._echo_windows - 1)
        if self._anomalous:
            self._seen_recent = self._seen_recent or recent > THRESHOLD
            over = score < release or (self._seen_recent and recent < release)
            self._run = self._run + 1 if over else 0
            if not over:
                self._echo_windows = span_windows
            if self._run < self._settings.off_windows:
                return "anomalous"
            self._anomalous, self._run, self._armed = False, 0, score < release
            return "closed"
        clear = self._armed and self._echo_windows == 0
        self._run = self._run + 1 if score > THRESHOLD and (clear or recent > THRESHOLD) else 0
        if self._run < self._settings.on_windows:
            return "calm"
        self._anomalous, self._run, self._seen_recent, self._echo_windows = True, 0, False, span_windows
        return "opened"
