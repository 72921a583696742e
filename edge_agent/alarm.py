"""Verdicts to alarms: one id from opening to closing, revisions only where a reader learns something. Pure.

A revision is made when the alarm opens or closes, when its severity rises, when the fault's name or the guiltiest
channel changes, and otherwise at most once in `update_s` of machine time.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from edge_agent.contract.records import (
    THRESHOLD,
    Alarm,
    ChannelEvidence,
    Float32,
    Profile,
    ScoreBlock,
    Severity,
)
from edge_agent.evidence import explain

UNKNOWN = "unknown"
_SEVERITIES: tuple[Severity, ...] = ("warning", "major", "critical")


@dataclass(frozen=True, slots=True)
class AlarmSettings:
    """How alarms speak.

    Attributes:
        update_s: least machine time between two revisions that only refresh figures.
        channels_named: how many channels an alarm names at most.
        major_ratio, critical_ratio: peak score from which an alarm is graver.
        unknown_below: probability under which a fault is not named.
        memory_windows: windows over which shares and class probabilities are averaged.
    """

    update_s: float = 60.0
    channels_named: int = 5
    major_ratio: float = 2.0
    critical_ratio: float = 4.0
    unknown_below: float = 0.5
    memory_windows: int = 30


@dataclass(frozen=True, slots=True)
class BookState:
    """All that an alarm book remembers, to be written down and given back after a restart.

    Attributes:
        count: alarms opened so far; the next one's number.
        shares, classes: the running averages, [C] and [K].
    """

    count: int = 0
    open: Alarm | None = None
    shares: tuple[float, ...] | None = None
    classes: tuple[float, ...] | None = None


class AlarmBook:
    """One machine's alarms, of which at most one is open."""

    def __init__(self, settings: AlarmSettings, *, model: str) -> None:
        self._settings = settings
        self._model = model
        self._count = 0
        self._open: Alarm | None = None
        self._shares: Float32 | None = None  # C
        self._classes: Float32 | None = None  # K

    def save(self) -> BookState:
        """What to give to `restore` so that the next revisions are the same."""
        shares, classes = self._shares, self._classes
        if self._open is None:  # the next alarm begins its averages afresh
            shares = classes = None
        return BookState(
            count=self._count,
            open=self._open,
            shares=None if shares is None else tuple(shares.tolist()),
            classes=None if classes is None else tuple(classes.tolist()),
        )

    def restore(self, state: BookState) -> None:
        """Go on where another book stood: an open alarm keeps its id."""
        self._count, self._open = state.count, state.open
        self._shares = None if state.shares is None else np.array(state.shares, np.float32)
        self._classes = None if state.classes is None else np.array(state.classes, np.float32)

    @property
    def open_alarm(self) -> Alarm | None:
        """The latest published revision of the open alarm."""
        return self._open

    def advance(
        self,
        verdict: Literal["opened", "anomalous", "closed"],
        block: ScoreBlock,
        *,
        at: int,
        profile: Profile,
    ) -> Alarm | None:
        """The revision that window `at` of the block calls for, if any."""
        self._average(block, at=at, afresh=verdict == "opened")
        latest = self._describe(block, at=at, profile=profile, afresh=verdict == "opened")
        if verdict == "closed":
            self._open = None
            return replace(latest, state="closed", closed_ns=latest.time_ns)
        if self._open is not None and not self._says_more(latest, self._open):
            self._open = replace(self._open, peak_score=latest.peak_score)
            return None
        self._open = latest
        return latest

    def _average(self, block: ScoreBlock, *, at: int, afresh: bool) -> None:
        """Exponential averages: a single window's shares and classes are noisy."""
        shares, classes = block.contributions[at], block.classes[at]
        if afresh or self._shares is None or self._classes is None:
            self._shares, self._classes = shares.copy(), classes.copy()
            return
        weight = 1.0 / self._settings.memory_windows
        self._shares += weight * (shares - self._shares)
        self._classes += weight * (classes - self._classes)

    def _describe(self, block: ScoreBlock, *, at: int, profile: Profile, afresh: bool) -> Alarm:
        time_ns, score = int(block.windows.times_ns[at]), float(block.value[at])
        before = None if afresh else self._open
        if before is None:
            self._count += 1
        peak = score if before is None else max(score, before.peak_score)
        fault, probability = self._name_fault(block)
        return Alarm(
            id=before.id if before else _alarm_id(block.windows.machine, time_ns, self._count),
            revision=before.revision + 1 if before else 1,
            machine=block.windows.machine,
            state="open",
            severity=self._severity(peak),
            onset_ns=before.onset_ns if before else time_ns,
            time_ns=time_ns,
            score=score,
            peak_score=peak,
            threshold=THRESHOLD,
            fault=fault,
            fault_probability=probability,
            channels=self._evidence(block, at=at, profile=profile),
            model=self._model,
        )

    def _evidence(self, block: ScoreBlock, *, at: int, profile: Profile) -> tuple[ChannelEvidence, ...]:
        shares = block.contributions[at] if self._shares is None else self._shares
        return explain(
            profile.memory,
            channels=block.channels,
            window=block.windows.values[at],
            contributions=shares,
            most=self._settings.channels_named,
        )

    def _name_fault(self, block: ScoreBlock) -> tuple[str, float]:
        """The likeliest fault and its probability among all classes, "unknown" where that is too small."""
        if self._classes is None or len(block.labels) < 2:
            return UNKNOWN, 0.0
        best = 1 + int(np.argmax(self._classes[1:]))
        probability = float(self._classes[best])
        if probability < self._settings.unknown_below:
            return UNKNOWN, probability
        return block.labels[best], probability

    def _severity(self, ratio: float) -> Severity:
        grave = (ratio >= self._settings.major_ratio) + (ratio >= self._settings.critical_ratio)
        return _SEVERITIES[grave]

    def _says_more(self, latest: Alarm, published: Alarm) -> bool:
        if _SEVERITIES.index(latest.severity) > _SEVERITIES.index(published.severity):
            return True
        if latest.fault != published.fault or _guiltiest(latest) != _guiltiest(published):
            return True
        # Without the sign: a clock that was set back must not silence the alarm until it has caught up.
        return abs(latest.time_ns - published.time_ns) >= self._settings.update_s * 1e9


def _guiltiest(alarm: Alarm) -> str:
    return alarm.channels[0].name if alarm.channels else ""


def _alarm_id(machine: str, onset_ns: int, count: int) -> str:
    """Readable, unique for the machine, and free of the characters that MQTT topics reserve."""
    onset = datetime.fromtimestamp(onset_ns / 1e9, UTC)
    return f"{machine}-{onset:%Y%m%dT%H%M%S}Z-{count}"
