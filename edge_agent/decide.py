"""Scores to verdicts: threshold, on-delay and hysteresis. A pure state machine, one per machine.

A score says how near an alarm a window is: 1 is the threshold. A machine turns anomalous after `on_windows` windows in a
row above 1, and calm again after `off_windows` windows in a row below `release`: hovering at 1 does not chatter.
"""

from dataclasses import dataclass
from typing import Literal

from edge_agent.contract.records import THRESHOLD

Verdict = Literal["calm", "opened", "anomalous", "closed"]


@dataclass(frozen=True, slots=True)
class DecideSettings:
    """Delays, in windows, and the score below which an alarm may close."""

    on_windows: int = 2
    off_windows: int = 15
    release: float = 0.9


class Decider:
    """Remembers one machine's side of the threshold."""

    def __init__(self, settings: DecideSettings) -> None:
        self._settings = settings
        self._anomalous = False
        self._run = 0

    @property
    def anomalous(self) -> bool:
        """Whether the machine counts as anomalous."""
        return self._anomalous

    def step(self, score: float) -> Verdict:
        """The verdict on the next window."""
        if self._anomalous:
            self._run = self._run + 1 if score < self._settings.release else 0
            if self._run < self._settings.off_windows:
                return "anomalous"
            self._anomalous, self._run = False, 0
            return "closed"
        self._run = self._run + 1 if score > THRESHOLD else 0
        if self._run < self._settings.on_windows:
            return "calm"
        self._anomalous, self._run = True, 0
        return "opened"
