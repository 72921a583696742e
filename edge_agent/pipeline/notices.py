"""What a machine does that was never learnt and is no fault: told once, as a notice with a life of its own. Pure.

Standing still (`sensors.standstill`) is a state, not an anomaly: while it lasts, and until the machine has come back to
what it was, the score raises no alarm. A value or a restlessness of a state that was never learnt (`unseen_states`) is
over after a window, and known from then on. So is a fall of a counter (`refuted_kinds`), but it is told each time.
A level of one channel alone (`sensors.level_step`) is told while the alarm that it raised lasts. Notices go the way of
the findings about sensors, with kind `state`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.pipeline import acceptance
from edge_agent.pipeline.acceptance import Acceptance
from edge_agent.pipeline.refuted_kinds import FALLS, RefutedKinds
from edge_agent.pipeline.unseen_states import CHANGES, VALUE, News, UnseenState, UnseenStates
from edge_agent.records import Alarm, ChannelEvidence, Float32, Profile
from edge_agent.sensors.findings import closed, opened
from edge_agent.sensors.level_step import ChannelLevels, LevelStep
from edge_agent.sensors.standstill import ROWS, Standstill, StateSettings
from edge_agent.sensors.unseen_values import SPAN_ROWS, DiscreteChannels
from edge_agent.signals.channel_kinds import ANALOG

STANDSTILL, LEVEL = "standstill", "level never learnt"
_MOVING_ROWS = 32
"""Rows in which a machine surely moves end a standstill: one that is inched stands still."""
_RETURN_NS = 2 * 3600 * 1_000_000_000
"""Starting and warming up belong to the standstill for so long at most."""
_STOP_NS, _STOP_ROWS = 900 * 1_000_000_000, 128
"""An alarm that opened so shortly before a standstill, by the longer of the two, was the stop itself."""
_STOPPING = 0.15
"""Share of the way to where it stands that most channels have gone when a machine counts as being stopped."""
_MOST_STOPPING = 0.6
_FAR = 3.0
"""Usual spreads between running and standing from which on a channel shows the way."""
_NEWEST_ROWS = 3
_LASTING_NS = 1200 * 1_000_000_000
"""An alarm, and the level of a channel with it, lasts from so long on, and a window's length."""
_RECENT = 5
"""Notices that are over and can still be accepted."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CalmSettings:
    """When the score counts as calm again after a standstill: as when an alarm is over."""

    release: float
    windows: int


_Key = tuple[str, str]
"""What a notice says, and of which channel; of the machine: ""."""
_Told = tuple[str, str, str, float | None]


@dataclass(frozen=True, slots=True)
class NoticeState:
    """What outlives a restart.

    Attributes:
        count: notices so far; the next one's number.
        since_ns: when the machine came to a stand, the last time.
        standing: it stands still.
        moving_rows: for how many rows it has surely moved since.
        left_ns: when it was last seen standing; None where its return is over.
        calm_windows: windows in a row that were calm since.
        stopping_ns: since when it has seemed to come to a stand that is accepted; None: it does not.
        levels: [C] where the channels stood at the latest stand; empty before the first.
        recent: (id, fault, channel, value or offset) of the latest notices that are over, oldest first.
        unseen: what was told of states.
        until: (fault, channel, row count) at which notices about states are over.
    """

    count: int = 0
    open: tuple[Alarm, ...] = ()
    since_ns: int = 0
    standing: bool = False
    moving_rows: int = 0
    left_ns: int | None = None
    calm_windows: int = 0
    stopping_ns: int | None = None
    levels: tuple[float, ...] = ()
    recent: tuple[_Told, ...] = ()
    unseen: UnseenState = field(default_factory=UnseenState)
    until: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class NoticeReport:
    """Of R rows.

    Attributes:
        findings: revisions, in order.
        resting: [R] the machine stands still, or seems to: a quiet sensor need not be broken; None: never.
    """

    findings: tuple[Alarm, ...] = ()
    resting: Bools | None = None


class MachineNotices:
    """Looks at the rows and scores of one commissioned machine.

    Attributes:
        quiet: channels whose states are no news.
    """

    quiet: frozenset[str] = frozenset()

    def __init__(self, profile: Profile, settings: StateSettings, *, calm: CalmSettings, model: str) -> None:
        self._profile, self._settings, self._calm, self._model = profile, settings, calm, model
        self._standstill = None if settings.standstill == "off" else Standstill.read(profile.memory)
        self._tail = np.full((ROWS - 1, len(profile.channels)), np.nan, np.float32)
        discrete = DiscreteChannels.read(profile.memory)
        self._unseen = None if discrete is None else UnseenStates(profile.channels, discrete)
        self._refuted = RefutedKinds.read(profile.channels, profile.memory)
        self._channel_levels = ChannelLevels.read(profile.memory)
        self._open: dict[_Key, Alarm] = {}
        self._until: dict[_Key, int] = {}  # row counts
        self._count = 0
        self._since_ns = 0
        self._standing = False
        self._moving_rows = 0
        self._resting = False  # since `_since_ns`, for how long ever
        self._left_ns: int | None = None
        self._calm_windows = 0
        self._stopping_ns: int | None = None
        self._levels: tuple[float, ...] = ()
        self._recent: list[_Told] = []
        self._stands: tuple[Float32, ...] = ()  # [C] where it may stand: what people have accepted
        self.know(acceptance.read(profile.memory))
        self._stood: Bools = np.zeros(0, np.bool_)  # whether it stood still at the newest rows
        self._stood_from = 0

    @property
    def open_notices(self) -> tuple[Alarm, ...]:
        """The notices that hold."""
        return tuple(self._open.values())

    # -- what people say -------------------------------------------------------------------------------------

    def acceptance(self, alarm: str, *, by: str, time_ns: int) -> Acceptance | None:
        """The entry that makes what a notice told of normal; None where no notice of late has that id."""
        told = next((one for one in (*map(_told, self.open_notices), *self._recent) if one[0] == alarm), None)
        if told is None:
            return None
        _, fault, channel, value = told
        if fault == LEVEL and value is not None:
            return Acceptance(alarm=alarm, fault=fault, by=by, time_ns=time_ns, levels={channel: value})
        if fault != STANDSTILL:
            return Acceptance(alarm=alarm, fault=fault, by=by, time_ns=time_ns, channel=channel, value=value)
        levels = zip(self._profile.channels, self._levels, strict=bool(self._levels))
        known = {name: level for name, level in levels if np.isfinite(level)}
        return Acceptance(alarm=alarm, fault=fault, by=by, time_ns=time_ns, levels=known)

    def know(self, entries: Sequence[Acceptance]) -> None:
        """Take these things for normal, and nothing else that was not learnt."""
        channels = self._profile.channels
        self._stands = tuple(
            np.array([entry.levels.get(name, np.nan) for name in channels], np.float32)
            for entry in entries
            if entry.fault == STANDSTILL
        )
        if self._unseen is not None:
            self._unseen.accept(
                values=[(one.channel, one.value) for one in entries if one.value is not None],
                restless=[one.channel for one in entries if one.fault == CHANGES],
            )
        if self._refuted is not None:
            self._refuted.accept([one.channel for one in entries if one.fault == FALLS])
        known = {(one.fault, one.channel) for one in entries if one.fault != LEVEL}
        told = {one.alarm for one in entries}  # a level that is known may change again
        self._open = {
            key: notice for key, notice in self._open.items() if key not in known and notice.id not in told
        }

    # -- rows ------------------------------------------------------------------------------------------------

    def check(self, rows: Float32, times_ns: NDArray[np.int64], *, row_count: int) -> NoticeReport:
        """Look at the next rows [R, C] as they were observed, NaN elsewhere; `row_count` with them."""
        findings = self._check_states(rows, times_ns, row_count)
        if self._standstill is None:
            self._standing = False
            return NoticeReport((*findings, *self._close((STANDSTILL, ""), int(times_ns[-1]))))
        joined = np.concatenate([self._tail, rows])
        self._tail = joined[1 - ROWS :]
        self._stood, self._stood_from = np.zeros(len(rows), np.bool_), row_count - len(rows)
        if not (self._standing or self._resting) and not self._standstill.quiet(joined).any():
            return NoticeReport(tuple(findings))
        activity = self._standstill.observe(joined)
        for at, time_ns in enumerate(times_ns.tolist()):
            findings += self._advance(
                still=bool(activity.still[at]), moving=bool(activity.moving[at]), time_ns=time_ns
            )
            self._stood[at] = self._standing
        if activity.still[-1]:
            self._levels = tuple(self._tail.mean(axis=0).tolist())
        return NoticeReport(tuple(findings), activity.quiet | self._stood)

    def _check_states(self, rows: Float32, times_ns: NDArray[np.int64], row_count: int) -> list[Alarm]:
        """What begins and ends of states and counters: a notice is over after a window's length."""
        over = [key for key, until in self._until.items() if not 0 <= until - row_count <= SPAN_ROWS]
        found = [one for key in over for one in self._close(key, int(times_ns[-1]))]
        looks = [one.look(rows) for one in (self._unseen, self._refuted) if one is not None]
        for news in sorted((news for look in looks for news in look), key=lambda news: news.row):
            key = news.fault, news.channel
            if news.channel in self.quiet:
                continue
            if key in self._open:
                if news.fault == FALLS:  # the score leaves it out for longer
                    self._until[key] = row_count + SPAN_ROWS
                continue  # one notice of a channel at a time; what it says meanwhile is known from now on
            time_ns = int(times_ns[news.row])
            self._until[key] = row_count + SPAN_ROWS
            found.append(self._begin(news.fault, onset_ns=time_ns, time_ns=time_ns, evidence=_evidence(news)))
        return found

    def _advance(self, *, still: bool, moving: bool, time_ns: int) -> list[Alarm]:
        """What one row begins and ends."""
        was_resting = self._resting
        self._follow(still=still, moving=moving)
        if self._resting and not was_resting:
            self._since_ns = time_ns - (ROWS - 1) * self._profile.period_ns
        if self._standing and not self._resting:
            self._standing = False
            return self._close((STANDSTILL, ""), time_ns)
        self._standing = self._standing or (still and time_ns - self._since_ns >= self._patience_ns)
        return self._tell_standing(time_ns) if self._standing else []

    def _follow(self, *, still: bool, moving: bool) -> None:
        """Take in a row: it rests from one on that is still until it has surely moved for some."""
        if not self._resting:
            self._resting = still
            self._moving_rows = 0 if still else self._moving_rows
        else:
            self._moving_rows = self._moving_rows + 1 if moving else 0
            self._resting = self._moving_rows < _MOVING_ROWS

    @property
    def _patience_ns(self) -> int:
        """For how long it may rest before that is a standstill that was never learnt."""
        return 0 if self._standstill is None else self._standstill.patience_rows * self._profile.period_ns

    def _tell_standing(self, time_ns: int) -> list[Alarm]:
        """Say that it stands, unless that is known or has been said."""
        if self._stands or (STANDSTILL, "") in self._open:
            return []
        return [self._begin(STANDSTILL, onset_ns=self._since_ns, time_ns=time_ns)]

    # -- windows ---------------------------------------------------------------------------------------------

    def mutes(self, window: Float32, *, end_row: int, time_ns: int, score: float) -> bool:
        """Whether the score of the next window [C, T], which ends with that row, raises no alarm."""
        at = end_row - self._stood_from
        standing = bool(self._stood[at]) if 0 <= at < len(self._stood) else self._standing
        if standing:
            self._left_ns, self._calm_windows = time_ns, 0
        elif self._left_ns is not None:
            self._calm_windows = self._calm_windows + 1 if score < self._calm.release else 0
            if self._calm_windows >= self._calm.windows or not 0 <= time_ns - self._left_ns < _RETURN_NS:
                self._left_ns = None
        muted = self._left_ns is not None or self._stops(window, time_ns)
        return muted and self._settings.standstill == "notice"

    def _stops(self, window: Float32, time_ns: int) -> bool:
        """Whether the machine is on its way to where it may stand, and has not been for longer than a stop takes."""
        if not self._stands or not self._goes_to_stand(window):
            self._stopping_ns = None
            return False
        if self._stopping_ns is None:
            self._stopping_ns = time_ns
        return 0 <= time_ns - self._stopping_ns < self._stop_ns

    def _goes_to_stand(self, window: Float32) -> bool:
        """Whether most channels have gone a part of the way from their normal centre to a stand."""
        memory: Mapping[str, NDArray[Any]] = self._profile.memory
        centre, newest = memory["location"], window[:, -_NEWEST_ROWS:].mean(axis=1)
        analog = memory.get("kind_code", np.zeros(len(centre), np.uint8)) == ANALOG
        for stand in self._stands:
            way = stand - centre
            far = analog & (np.abs(way) > _FAR * memory["scale"])
            gone = (newest[far] - centre[far]) / way[far] >= _STOPPING
            if far.any() and gone.mean() >= _MOST_STOPPING:
                return True
        return False

    @property
    def _stop_ns(self) -> int:
        return max(_STOP_NS, _STOP_ROWS * self._profile.period_ns)

    def was_the_stop(self, onset_ns: int) -> bool:
        """Whether an alarm with that onset was the machine coming to its latest stand."""
        return onset_ns >= self._since_ns - self._stop_ns

    def check_level(
        self, window: Float32, *, hidden: Sequence[int], alarm: Alarm | None, time_ns: int
    ) -> list[Alarm]:
        """What the latest window [C, T] says of the level of one channel; `alarm`: the machine's, where one is open."""
        levels = self._channel_levels
        told = next((key for key in self._open if key[0] == LEVEL), None)
        if levels is None or (told is None and alarm is None):
            return []
        if told is not None:
            over = alarm is None or levels.gone_back(
                window, _step_of(self._open[told], self._profile.channels)
            )
            return self._close(told, time_ns) if over else []
        lasting_ns = max(_LASTING_NS, window.shape[1] * self._profile.period_ns)
        if alarm is None or time_ns - alarm.onset_ns < lasting_ns:
            return []
        step = levels.find(window, hidden=hidden)
        if step is None:
            return []
        evidence = _level_evidence(step, self._profile)
        return [self._begin(LEVEL, onset_ns=alarm.onset_ns, time_ns=time_ns, evidence=evidence)]

    # -- notices as alarms -----------------------------------------------------------------------------------

    def _begin(
        self, fault: str, *, onset_ns: int, time_ns: int, evidence: ChannelEvidence | None = None
    ) -> Alarm:
        self._count += 1
        channel = "" if evidence is None else evidence.name
        notice = self._open[fault, channel] = opened(
            self._profile.machine,
            fault,
            number=f"n{self._count}",
            onset_ns=onset_ns,
            time_ns=time_ns,
            model=self._model,
            channels=() if evidence is None else (evidence,),
            kind="state",
            severity="notice",
        )
        return notice

    def _close(self, key: _Key, time_ns: int) -> list[Alarm]:
        self._until.pop(key, None)
        notice = self._open.pop(key, None)
        if notice is None:
            return []
        self._recent = [*self._recent, _told(notice)][-_RECENT:]
        return [closed(notice, time_ns=time_ns)]

    # -- across restarts -------------------------------------------------------------------------------------

    def save(self) -> NoticeState:
        """What to give to `restore`."""
        return NoticeState(
            count=self._count,
            open=self.open_notices,
            since_ns=self._since_ns,
            standing=self._standing,
            moving_rows=self._moving_rows,
            left_ns=self._left_ns,
            calm_windows=self._calm_windows,
            stopping_ns=self._stopping_ns,
            levels=self._levels,
            recent=tuple(self._recent),
            unseen=UnseenState() if self._unseen is None else self._unseen.save(),
            until=tuple((*key, row) for key, row in self._until.items()),
        )

    @property
    def channels(self) -> tuple[str, ...]:
        """Those of the profile."""
        return self._profile.channels

    def restore(self, state: NoticeState) -> None:
        """Go on where another one stood; then `reread`."""
        self._count, self._since_ns = state.count, state.since_ns
        self._standing, self._moving_rows = state.standing, state.moving_rows
        self._resting = state.standing
        self._left_ns, self._calm_windows = state.left_ns, state.calm_windows
        self._stopping_ns, self._recent = state.stopping_ns, [*state.recent]
        self._levels = state.levels if len(state.levels) == len(self._profile.channels) else ()
        self._open = {_told(notice)[1:3]: notice for notice in state.open}
        self._until = {(fault, channel): row for fault, channel, row in state.until}
        if self._unseen is not None:
            self._unseen.restore(state.unseen)

    def reread(self, rows: Float32) -> None:
        """Remember the kept rows [R, C], as they were observed; what they said has been said."""
        joined = np.concatenate([self._tail, rows])
        self._tail = joined[1 - ROWS :]
        dated = (
            self._since_ns > 0 and not self._standing
        )  # where these rows say that it rests, it is known since when
        if dated and self._standstill is not None and self._standstill.patience_rows and len(rows):
            activity = self._standstill.observe(joined)
            for still, moving in zip(activity.still.tolist(), activity.moving.tolist(), strict=True):
                self._follow(still=still, moving=moving)
        for one in (self._unseen, self._refuted):
            if one is not None:
                one.reread(rows)


def _told(notice: Alarm) -> _Told:
    """What can be accepted of a notice."""
    seen = notice.channels[0] if notice.channels else None
    if seen is None:
        return notice.id, notice.fault, "", None
    value = seen.observed if notice.fault == VALUE else None
    return notice.id, notice.fault, seen.name, _offset(seen) if notice.fault == LEVEL else value


def _offset(seen: ChannelEvidence) -> float:
    """How much more a channel says than the others let expect."""
    return (seen.observed or 0.0) - (seen.normal_low + seen.normal_high) / 2


def _step_of(notice: Alarm, channels: Sequence[str]) -> LevelStep:
    """The step that a notice tells of."""
    seen = notice.channels[0]
    return LevelStep(
        channels.index(seen.name), _offset(seen), seen.observed or 0.0, seen.normal_low, seen.normal_high
    )


def _level_evidence(step: LevelStep, profile: Profile) -> ChannelEvidence:
    """What is usual is what the other channels let expect."""
    return ChannelEvidence(
        name=profile.channels[step.channel],
        contribution=0.0,
        observed=step.level,
        normal_low=step.low,
        normal_high=step.high,
        deviation=step.offset / float(np.asarray(profile.memory["scale"])[step.channel]),
        symptom="high" if step.offset > 0 else "low",
    )


def _evidence(news: News) -> ChannelEvidence:
    return ChannelEvidence(
        name=news.channel,
        contribution=0.0,
        observed=news.value if np.isfinite(news.value) else None,
        normal_low=news.low,
        normal_high=news.high,
        deviation=0.0,
        symptom="unusual pattern",
    )
