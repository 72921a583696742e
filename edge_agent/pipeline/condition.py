"""What triggers say to alarms: one id from opening to closing, revisions only where a reader learns something. Pure.

A revision is made when the alarm opens or closes, when its severity rises, when the fault's name or the guiltiest
channel changes, and otherwise at most once in `update_s` of machine time. That it is unsettled, or loud again, is said
at once a few times; an alarm that goes on flapping says so at most once in `update_s`, too, and counts.

While an alarm is unsettled, and when it closes, it keeps what was last said of its channels and fault: windows that
are quiet tell nothing of it. The last one that closed is remembered, to be reopened.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

import numpy as np

from edge_agent.detect.operating_modes import IN_TRANSIT
from edge_agent.diagnose.attribution import explain, guiltiest, mode_of
from edge_agent.diagnose.fault_naming import UNKNOWN, Belief, BeliefState, Opinion, head_opinion
from edge_agent.diagnose.severity import ScoreCourse, ScoreCourseState, gravity
from edge_agent.records import (
    THRESHOLD,
    Alarm,
    ChannelEvidence,
    Float32,
    Profile,
    ScoreBlock,
    ScoreTrend,
    Severity,
    shown,
)

_SEVERITIES: tuple[Severity, ...] = ("warning", "major", "critical")
SOMEBODY = "somebody"
"""Who has named a fault, where nobody knows."""
_FLAPS_TOLD = 3
"""So often an alarm that comes back is told at once."""

LoudChange = Literal["raised", "active", "returned", "reopened"]
"""What is said of a window that is loud, see `detect.off_delay`."""


@dataclass(frozen=True, slots=True)
class ConditionSettings:
    """How alarms speak.

    Attributes:
        update_s: least machine time between two revisions that only refresh figures.
        channels_named: how many channels an alarm names at most.
        major_ratio, critical_ratio: gravity from which on an alarm is graver, see `diagnose.severity`.
        unknown_below: probability under which a fault is not named by the model's own head.
        memory_windows: windows over which the channels' shares are averaged.
    """

    update_s: float = 60.0
    channels_named: int = 5
    major_ratio: float = 2.0
    critical_ratio: float = 4.0
    unknown_below: float = 0.5
    memory_windows: int = 30


@dataclass(frozen=True, slots=True)
class ConditionState:
    """All that an condition remembers, to be written down and given back after a restart.

    Attributes:
        count: alarms opened so far; the next one's number.
        shares: the running average, [C].
        beliefs: by source, what its fault may be; told: somebody has named it.
        history: of the open alarm's score.
        last: the latest alarm that closed, while none is open.
    """

    count: int = 0
    open: Alarm | None = None
    shares: tuple[float, ...] | None = None
    beliefs: Mapping[str, BeliefState] = field(default_factory=dict)
    told: bool = False
    history: ScoreCourseState = field(default_factory=ScoreCourseState)
    last: Alarm | None = None


class Condition:
    """One machine's alarms, of which at most one is open; `weight` says what the machine is worth."""

    def __init__(self, settings: ConditionSettings, *, model: str, weight: float = 1.0) -> None:
        self.weight = weight
        self._settings = settings
        self._model = model
        self._count = 0
        self._open: Alarm | None = None
        self._last: Alarm | None = None  # the latest that closed, while none is open
        self._shares: Float32 | None = None  # C
        self._beliefs: dict[str, Belief] = {}
        self._fault, self._fault_probability = UNKNOWN, 0.0
        self._told_by = ""  # who has named the open alarm
        self._history = ScoreCourse()
        self._last_ns = 0  # event time of the latest window that concerned an alarm

    def change_model(self, model: str) -> None:
        """Go on with another model's scores: an open alarm keeps its id, the averages begin afresh."""
        self._model = model
        self._shares = None

    def save(self) -> ConditionState:
        """What to give to `restore` so that the next revisions are the same."""
        if self._open is None and self._last is None:
            return ConditionState(count=self._count)
        return ConditionState(
            count=self._count,
            open=self._open,
            last=self._last,
            shares=None if self._shares is None else tuple(self._shares.tolist()),
            beliefs={source: belief.save() for source, belief in self._beliefs.items()},
            told=bool(self._told_by),
            history=self._history.save(),
        )

    def restore(self, state: ConditionState) -> None:
        """Go on where another condition stood: an open alarm keeps its id."""
        self._count, self._open, self._last, self._told_by = state.count, state.open, state.last, ""
        self._history.restore(state.history)
        self._shares = None if state.shares is None else np.array(state.shares, np.float32)
        self._beliefs = {source: Belief.restore(belief) for source, belief in state.beliefs.items()}
        if (known := state.open or state.last) is not None:
            self._fault, self._fault_probability = known.fault, known.fault_probability
            if state.told:  # an older agent did not write down who
                self._told_by = known.fault_by or SOMEBODY

    @property
    def open_alarm(self) -> Alarm | None:
        """The latest published revision of the open alarm."""
        return self._open

    @property
    def severity(self) -> Severity:
        """That of the open alarm."""
        return _SEVERITIES[0] if self._open is None else self._open.severity

    def advance(
        self,
        change: LoudChange,
        block: ScoreBlock,
        *,
        at: int,
        profile: Profile,
        named: Opinion | None = None,
        since_ns: int | None = None,
    ) -> Alarm | None:
        """The revision that window `at` of the block calls for, if any.

        Args:
            change: what is said of the window.
            block: what the windows scored.
            at: the window.
            profile: of the machine.
            named: what the machine's named alarms say of it.
            since_ns: when the loud run began that the window is in; None: with this window.
        """
        self._last_ns = int(block.windows.times_ns[at])
        self._begin(change)
        self._history.add(float(block.value[at]), time_ns=self._last_ns)
        self._average(block.contributions[at])
        least = self._settings.unknown_below
        self._name(head=head_opinion(block.classes[at], block.labels, least=least), named=named)
        latest = self._describe(block, at=at, since_ns=since_ns)
        shares = block.contributions[at] if self._shares is None else self._shares
        guilty = guiltiest(block.channels, shares)
        if self._open is not None and not self._says_more(latest, guilty, self._open):
            self._open = replace(self._open, peak_score=latest.peak_score, reopened=latest.reopened)
            return None
        # Most windows of an alarm say nothing new: only for those that do is it worked out why.
        mode = IN_TRANSIT if block.mode is None else int(block.mode[at])
        latest = replace(
            latest,
            channels=self._evidence(block, shares, at=at, profile=profile, mode=mode),
            mode=mode_of(profile.memory, channels=block.channels, mode=mode),
        )
        self._open = replace(latest, news=_news(latest, self._open))
        return self._open

    def _begin(self, change: LoudChange) -> None:
        """Make room for a new alarm, take the last one up again, or count that the open one has come back."""
        if change == "raised" or (self._open is None and self._last is None):
            self._beliefs, self._shares, self._told_by, self._open = {}, None, "", None
            self._history = ScoreCourse()
        elif self._open is None and self._last is not None:
            self._open = replace(self._last, state="open", closed_ns=None, unsettled=True)
        if change in ("returned", "reopened") and self._open is not None:
            self._open = replace(self._open, reopened=self._open.reopened + 1)
            self._shares = None  # what is guilty now
        self._last = None

    def quieten(self, score: float, *, time_ns: int) -> Alarm | None:
        """The open alarm is quiet and not over: the revision that says so, where that is to be said."""
        alarm = self._open
        if alarm is None or alarm.unsettled:
            return None
        if alarm.reopened >= _FLAPS_TOLD and not self._due(time_ns, alarm):
            return None
        self._open = replace(
            alarm,
            revision=alarm.revision + 1,
            time_ns=time_ns,
            score=score,
            trend=None,
            unsettled=True,
            news=(),
        )
        return self._open

    def close(self, score: float, *, time_ns: int) -> Alarm | None:
        """The open alarm is over: the closing revision, with what was last said of its channels."""
        if self._open is None:
            return None
        left, self._open = self._open, None
        self._last = replace(
            left,
            revision=left.revision + 1,
            state="closed",
            time_ns=time_ns,
            closed_ns=time_ns,
            score=score,
            fault_by=self._told_by,
            trend=None,
            unsettled=False,
            news=(),
        )
        return self._last

    def dismiss(self, fault: str, *, time_ns: int) -> Alarm | None:
        """The open alarm was something that is told elsewhere: the closing revision, None where none is open.

        It carries the name `fault`, unless somebody has said what it was.
        """
        if self._open is None:
            return None
        if not self._told_by:
            self._open = replace(self._open, fault=fault, fault_probability=1.0)
        left, self._open = self._open, None
        return replace(
            left,
            revision=left.revision + 1,
            state="closed",
            time_ns=time_ns,
            closed_ns=time_ns,
            trend=None,
            unsettled=False,
            news=(),
        )

    def name_fault(self, fault: str, *, by: str = "") -> Alarm | None:
        """Somebody who knows says what the open alarm is: the revision that passes it on, None where none is open."""
        if self._open is None:
            return None
        self._fault, self._fault_probability, self._told_by = fault, 1.0, by or SOMEBODY
        self._open = replace(
            self._open,
            revision=self._open.revision + 1,
            time_ns=self._last_ns,
            fault=fault,
            fault_probability=1.0,
            fault_by=self._told_by,
        )
        return self._open

    def _average(self, shares: Float32) -> None:
        """An exponential average: a single window's shares are noisy."""
        if self._shares is None:
            self._shares = shares.copy()
        self._shares += (shares - self._shares) / np.float32(self._settings.memory_windows)

    def _name(self, *, head: Opinion | None, named: Opinion | None) -> None:
        """The machine's own named alarms come first; where they know nothing, the model's head is asked."""
        if self._told_by:
            return
        self._fault, self._fault_probability = UNKNOWN, 0.0
        for source, opinion in (("head", head), ("cases", named)):
            if opinion is None:
                continue
            belief = self._beliefs.get(source)
            if belief is None or belief.names != opinion.names:
                belief = self._beliefs[source] = Belief(opinion.names)
            fault, probability = belief.add(opinion)
            if fault != UNKNOWN or self._fault == UNKNOWN:
                self._fault, self._fault_probability = fault, probability

    def _describe(self, block: ScoreBlock, *, at: int, since_ns: int | None) -> Alarm:
        """The alarm as it stands, still without its evidence."""
        time_ns, score = int(block.windows.times_ns[at]), float(block.value[at])
        before = self._open
        if before is None:
            self._count += 1
        peak = score if before is None else max(score, before.peak_score)
        began_ns = time_ns if since_ns is None else since_ns
        onset_ns, trend = before.onset_ns if before else began_ns, self._history.trend(now_ns=time_ns)
        return Alarm(
            id=before.id if before else _alarm_id(block.windows.machine, onset_ns, self._count),
            revision=before.revision + 1 if before else 1,
            machine=block.windows.machine,
            state="open",
            severity=self._severity(trend, lasted_ns=time_ns - onset_ns, before=before),
            onset_ns=onset_ns,
            time_ns=time_ns,
            score=score,
            peak_score=peak,
            threshold=THRESHOLD,
            fault=self._fault,
            fault_probability=self._fault_probability,
            fault_by=self._told_by,
            channels=(),
            model=self._model,
            hidden=tuple(block.channels[channel] for channel in block.windows.hidden),
            trend=trend,
            reopened=before.reopened if before else 0,
        )

    def _evidence(
        self, block: ScoreBlock, shares: Float32, *, at: int, profile: Profile, mode: int
    ) -> tuple[ChannelEvidence, ...]:
        return explain(
            profile.memory,
            channels=block.channels,
            window=shown(block.windows)[at],
            contributions=shares,
            mode=mode,
            most=self._settings.channels_named,
            period_s=profile.period_ns / 1e9,
        )

    def _severity(self, trend: ScoreTrend, *, lasted_ns: int, before: Alarm | None) -> Severity:
        """By how far, how long, how fast and of what worth; it never falls while the alarm is open."""
        found = gravity(trend, lasted_ns=lasted_ns, weight=self.weight)
        grave = (found >= self._settings.major_ratio) + (found >= self._settings.critical_ratio)
        return _SEVERITIES[max(grave, 0 if before is None else _SEVERITIES.index(before.severity))]

    def _says_more(self, latest: Alarm, guilty: str, published: Alarm) -> bool:
        """Whether the latest, of which the channel `guilty` is the guiltiest, tells what was not published."""
        if _SEVERITIES.index(latest.severity) > _SEVERITIES.index(published.severity):
            return True
        if published.unsettled and latest.reopened <= _FLAPS_TOLD:
            return True
        flaps = latest.reopened > _FLAPS_TOLD
        if not flaps and (latest.fault != published.fault or guilty != _guiltiest(published)):
            return True
        return self._due(latest.time_ns, published)

    def _due(self, time_ns: int, published: Alarm) -> bool:
        """Whether it is time to refresh what was said."""
        # Without the sign: a clock that was set back must not silence the alarm until it has caught up.
        return abs(time_ns - published.time_ns) >= self._settings.update_s * 1e9


def _news(latest: Alarm, published: Alarm | None) -> tuple[str, ...]:
    """Channels that were not named before, where an alarm has come back."""
    if published is None or latest.reopened == 0 or not published.unsettled:
        return ()
    known = {channel.name for channel in published.channels}
    return tuple(channel.name for channel in latest.channels if channel.name not in known)


def _guiltiest(alarm: Alarm) -> str:
    return alarm.channels[0].name if alarm.channels else ""


def _alarm_id(machine: str, onset_ns: int, count: int) -> str:
    """Readable, unique for the machine, and free of the characters that MQTT topics reserve."""
    onset = datetime.fromtimestamp(onset_ns / 1e9, UTC)
    return f"{machine.replace('/', '-')}-{onset:%Y%m%dT%H%M%S}Z-{count}"
