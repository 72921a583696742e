"""One machine as the pipeline holds it: rows, profile, trigger, condition, and what survives a restart. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

from edge_agent.commissioning import accepted_rows, seen_once
from edge_agent.commissioning.accepted_rows import AcceptedRows
from edge_agent.commissioning.drift import Drift, DriftStatistics
from edge_agent.commissioning.threshold_tracking import ThresholdTracker
from edge_agent.detect.fusion import joined
from edge_agent.detect.judge import Judge
from edge_agent.detect.off_delay import IncidentState, OffDelay, OffDelaySnapshot, ScoredWindow
from edge_agent.detect.operating_modes import mode_names
from edge_agent.detect.operating_point import Level, level_of
from edge_agent.detect.trigger import Trigger, TriggerSnapshot
from edge_agent.diagnose.fault_naming import FaultNaming, Opinion
from edge_agent.model.lazy_arrays import LazyArrays
from edge_agent.pipeline import acceptance, level_offsets
from edge_agent.pipeline.acceptance import Acceptance, Accepted, NotAccepted
from edge_agent.pipeline.condition import Condition, ConditionState, LoudChange
from edge_agent.pipeline.machine_budget import MachineBudget
from edge_agent.pipeline.notices import STANDSTILL, MachineNotices, NoticeState
from edge_agent.pipeline.programs.cycle_notices import CycleNotices
from edge_agent.pipeline.results import CommissionRequest, MachineState, MachineStatus, MachineView
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import THRESHOLD, Alarm, Float32, Profile, ScoreBlock, WindowBlock
from edge_agent.sensors.monitor import QualityState, SensorMonitor
from edge_agent.signals.channel_kinds import COUNTER, ChannelKinds, remarkable_kinds
from edge_agent.signals.row_buffer import BufferState, RowBuffer

_CHECK_ROWS = 32
"""New rows that wait to be checked at most."""
_SECOND_NS = 1_000_000_000
_FEW_ROWS = 8
_QUIET_NS, _QUIET_STEPS = 3600 * _SECOND_NS, 20
"""A machine that sent more than a few rows is silent after an hour, or twenty of its own steps, without one."""
_ONCE_NS, _ONCE_PLACES = 600 * _SECOND_NS, 3
"""Who sent one row has no pace: silent after so long, or after frames of others for so many times all places."""

_WindowState = IncidentState | Literal["muted", "dismissed"]
"""Muted: the score raises no alarm just now; dismissed: so, and the open alarm was what the notice tells of."""


@dataclass(frozen=True, slots=True)
class Memento:
    """What a machine remembers across restarts, beside its rows and its profile.

    Attributes:
        profile: which profile it was scored with, see `profile_identity`; "" while there is none.
        decider, book: of its trigger and its condition, under the names that they have on disk. While an incident is
            unsettled the trigger is written down as in an alarm, so that agents that know of no such thing close it.
        off_delay: of its latest incident; None: an older agent wrote this down.
    """

    machine: str
    state: MachineState
    wanted_at: int
    reason: str
    profile: str
    decider: TriggerSnapshot
    book: ConditionState
    quality: QualityState = field(default_factory=QualityState)
    notices: NoticeState = field(default_factory=NoticeState)
    off_delay: OffDelaySnapshot | None = None

    @property
    def tells(self) -> bool:
        """Whether something is open that people were told of."""
        return bool(self.book.open or self.quality.open or self.notices.open)

    def goes_on_with(self, profile: Profile | None) -> bool:
        """Whether scores by this profile mean what they meant when this was written down."""
        return not self.profile or self.profile == profile_identity(profile)


def profile_identity(profile: Profile | None) -> str:
    """Equal for profiles whose scores mean the same: another model or another learning makes another one."""
    if profile is None:
        return ""
    return "/".join([profile.encoder, str(profile.learnt_ns), *profile.channels])


@dataclass(slots=True)
class Machine:
    """What the pipeline knows of a machine."""

    rows: RowBuffer
    trigger: Trigger
    off_delay: OffDelay
    condition: Condition
    naming: FaultNaming
    state: MachineState = "commissioning"
    wanted_at: int = 0
    """Row count from which the machine is learnt."""
    asked_row: int = 0
    """Row count when it was asked to be learnt: the rows since then have yet to be judged."""
    profile: Profile | None = None
    tracker: ThresholdTracker | None = None
    drift_statistics: DriftStatistics | None = None
    last_score: float | None = None
    reason: str = ""
    turned_away: str = ""
    """Why every message of the machine is turned away, until one is accepted."""
    sensor_monitor: SensorMonitor | None = None
    notices: MachineNotices | None = None
    checked_row: int = 0
    """Row count at which the rows were last checked."""
    budgeting: MachineBudget | None = None
    heard: int = 0
    """The pipeline's count of frames when it was heard last."""
    heard_ns: int = 0
    """Wall clock then; 0 where that is not known."""
    resting: Memento | None = None
    """Where it stood when it was watched last; kept as it is while nothing usable is known of the machine."""
    unwatched: str = ""
    """Why it is not watched though it was learnt, as who watches over that has found."""
    accepting: Literal["", "wanted", "asked"] = ""
    """Whether what people accepted is still to be learnt: until then the score raises no alarm."""
    relevelled: bool = False
    """Levels of its profile have moved: what was made of them is to be made again."""

    def due(self) -> bool:
        """Whether rows are to be checked now: a window ends in the new ones, or a second's worth of them waits.

        Checking twenty rows costs little more than checking a single one, and finds the same.
        """
        if self.profile is None:
            return True
        before, count, hop = self.checked_row, self.rows.store.row_count, max(self.profile.hop_rows, 1)
        waiting = min(_CHECK_ROWS, _SECOND_NS // max(self.profile.period_ns, 1))
        if count // hop == before // hop and 0 <= count - before < waiting:
            return False
        self.checked_row = count
        return True

    def gives_way(self, *, quiet_ns: int, others_heard: float) -> bool:
        """Whether it may be forgotten for a new one: never learnt, nothing of it named, and silent.

        Where more machines send in turn than there are places, each hears one of all others between two of its own
        rows: who keeps its pace is not silent then, else nobody would ever be learnt.

        Args:
            quiet_ns: since its last row by the wall clock.
            others_heard: frames of others since, in places; from one on that is silence for one that sent a few rows
                and has lost its pace, or sent one row ten minutes ago; of one row, from three on.
        """
        if self.profile is not None or self.resting is not None or self.naming.library.cases:
            return False
        if self.state not in ("commissioning", "failed"):
            return False
        count, pace_ns = self.rows.store.row_count, self.rows.pace_ns()
        if count > 1:
            passed_over = others_heard >= 1 and quiet_ns > _QUIET_STEPS * pace_ns
        else:
            passed_over = others_heard >= _ONCE_PLACES or (others_heard >= 1 and quiet_ns > _ONCE_NS)
        return (count <= _FEW_ROWS and passed_over) or quiet_ns > max(_QUIET_NS, _QUIET_STEPS * pace_ns)

    def ask_to_learn(self, name: str, *, commission_rows: int) -> list[CommissionRequest]:
        """The request to be learnt, where it is time for one."""
        rows, time_ns = self.rows.store, self.rows.store.last_time_ns
        if (
            self.resting is not None
            or self.state == "learning"
            or rows.row_count < self.wanted_at
            or time_ns is None
        ):
            return []
        self.state, self.asked_row = "learning", rows.row_count
        history = self.rows.history(commission_rows)
        return [
            CommissionRequest(
                machine=name,
                channels=tuple(rows.channels),
                rows=history.rows,
                period_ns=history.period_ns,
                hop_rows=history.hop_rows,
                time_ns=time_ns,
                observed=history.observed,
            )
        ]

    def judge(self, block: ScoreBlock, *, settings: PipelineSettings) -> tuple[ScoreBlock, list[Alarm]]:
        """(the scored windows by the thresholds now in use, the revisions of alarms and notices that they call for)."""
        if self.profile is None:
            return block, []
        tracker = self.tracker or self._tracking(self.profile, block, settings)
        span_windows = -(-block.windows.values.shape[-1] // self.profile.hop_rows)
        block, states = self._states(block, tracker, span_windows=span_windows)
        self.last_score = float(block.value[-1])
        loud = [at for at, (state, _) in enumerate(states) if state in get_args(LoudChange)]
        named = self.naming.judge(block.windows.values[loud]) if loud else None
        opinions = dict(zip(loud, named or (), strict=False))
        alarms = []
        for at, (state, since_ns) in enumerate(states):
            if state == "normal":
                continue
            alarm = self._revision(state, block, at=at, named=opinions.get(at), since_ns=since_ns)
            if alarm is not None:
                alarms.append(alarm)
            if self.condition.open_alarm is not None and state in get_args(LoudChange):
                window, end_row = block.windows.values[at], int(block.windows.end_rows[at])
                time_ns = int(block.windows.times_ns[at])
                self.naming.keep(self.condition.open_alarm.id, window, end_row=end_row, time_ns=time_ns)
        return block, [*alarms, *self._level_notices(block.windows)]

    def _revision(
        self, state: _WindowState, block: ScoreBlock, *, at: int, named: Opinion | None, since_ns: int | None
    ) -> Alarm | None:
        """What window `at` of the block calls for."""
        assert self.profile is not None  # noqa: S101 - only scored windows get here
        time_ns, score = int(block.windows.times_ns[at]), float(block.value[at])
        if state == "dismissed":
            return self.condition.dismiss(STANDSTILL, time_ns=time_ns)
        if state == "unsettled":
            return self.condition.quieten(score, time_ns=time_ns)
        if state == "cleared":
            return self.condition.close(score, time_ns=time_ns)
        if state == "normal" or state == "muted":  # noqa: PLR1714 - mypy sees through no tuple
            return None
        return self.condition.advance(
            state, block, at=at, profile=self.profile, named=named, since_ns=since_ns
        )

    def _level_notices(self, windows: WindowBlock) -> list[Alarm]:
        """What the latest of the windows say of the level of one channel, one in so many at the most."""
        if self.notices is None:
            return []
        return self.notices.check_level(
            windows.values[-1],
            hidden=windows.hidden,
            alarm=self.condition.open_alarm,
            time_ns=int(windows.times_ns[-1]),
        )

    def _states(
        self, block: ScoreBlock, tracker: ThresholdTracker, *, span_windows: int
    ) -> tuple[ScoreBlock, list[tuple[_WindowState, int | None]]]:
        """(the block by the thresholds now in use, of each window its state and when its loud run began)."""
        parts = block.value[:, np.newaxis] if block.parts is None else block.parts
        learnt = np.column_stack([parts, block.recent])  # B P+1, by the thresholds as they were learnt
        by_learnt = joined(learnt[:, :-1])
        block = replace(block, value=block.value.copy(), recent=block.recent.copy())
        states: list[tuple[_WindowState, int | None]] = []
        raised_ns = None if self.condition.open_alarm is None else self.condition.open_alarm.onset_ns
        for at, time_ns in enumerate(block.windows.times_ns.tolist()):
            now = learnt[at] / tracker.in_use
            value, recent = float(joined(now[:-1])), float(now[-1])
            block.value[at], block.recent[at] = value, recent
            end_row = int(block.windows.end_rows[at])
            window = block.windows.values[at]
            if self.accepting:
                states.append(("muted", None))
                continue
            if self.notices is not None and self.notices.mutes(
                window, end_row=end_row, time_ns=time_ns, score=value
            ):
                states.append((self._mute(self.notices, raised_ns), None))
                continue
            shares, level = block.contributions[at].tolist(), self._level(block.windows, at)
            scored = ScoredWindow(value, recent, shares, time_ns, level)
            state = self._step(scored, span_windows=span_windows)
            states.append((state, self.off_delay.since_ns))
            raised_ns = self.off_delay.since_ns if state == "raised" else raised_ns
            tracker.observe_window(time_ns, learnt[at], in_alarm=state != "normal")
        normal = np.array([state == "normal" for state, _ in states])
        self._statistics().observe_scores(block.windows, by_learnt, normal=normal)
        return block, states

    def _level(self, windows: WindowBlock, at: int) -> Level:
        """At which operating point the machine is, where an incident is open or near."""
        assert self.profile is not None  # noqa: S101 - only scored windows get here
        if self.off_delay.phase == "normal" and not self.trigger.counting:
            return ()
        return level_of(windows, at, self.profile.memory)

    def _step(self, window: ScoredWindow, *, span_windows: int) -> IncidentState:
        """What the trigger and the off-delay make of a window."""
        assert self.profile is not None  # noqa: S101 - only scored windows get here
        heard = self.trigger.step(window.value, recent=window.recent, span_windows=span_windows)
        hop_ns = self.profile.hop_rows * self.profile.period_ns
        return self.off_delay.step(
            heard, window, trigger=self.trigger, hop_ns=hop_ns, span_windows=span_windows
        )

    def _mute(self, notices: MachineNotices, raised_ns: int | None) -> _WindowState:
        """The state of a window whose score raises no alarm, with an alarm since `raised_ns` or none."""
        if self.off_delay.phase == "normal" or raised_ns is None or not notices.was_the_stop(raised_ns):
            return "muted"  # an alarm that was there before the machine stopped stays as it is
        self.trigger.restore(TriggerSnapshot(armed=False))
        self.off_delay.dismiss()
        return "dismissed"

    def _statistics(self) -> DriftStatistics:
        profile = self.profile
        assert profile is not None  # noqa: S101 - only scored windows are counted
        if self.drift_statistics is None:
            self.drift_statistics = DriftStatistics(
                profile.memory, hop_rows=profile.hop_rows, period_ns=profile.period_ns
            )
        return self.drift_statistics

    def _tracking(self, profile: Profile, block: ScoreBlock, settings: PipelineSettings) -> ThresholdTracker:
        n_parts = 1 if block.parts is None else block.parts.shape[1]
        budgeting = self.budgeting or MachineBudget.of(profile, settings)
        self.tracker = ThresholdTracker(
            settings.budget,
            budgets_per_week=budgeting.of_parts(n_parts),
            hop_ns=profile.hop_rows * profile.period_ns,
            memory=profile.memory,
            factors=budgeting.factors(n_parts),
            scales=budgeting.scales(n_parts),
        )
        return self.tracker

    def keep_budget(self, settings: PipelineSettings, *, judge: Judge | None) -> None:
        """Hold scores against what its budget asks for now, from the next window on."""
        if self.profile is None:
            self.budgeting = None
            return
        self.budgeting = MachineBudget.of(self.profile, settings, judge=judge)
        if self.tracker is not None:
            n_parts = len(self.tracker.ratio) - 1
            self.tracker.adopt(
                settings.budget,
                budgets_per_week=self.budgeting.of_parts(n_parts),
                factors=self.budgeting.factors(n_parts),
                scales=self.budgeting.scales(n_parts),
            )

    def accept(self, alarm: str, *, by: str, time_ns: int) -> Accepted | NotAccepted:
        """Take what a notice told of for normal from now on."""
        if self.profile is None or self.notices is None:
            return NotAccepted("not_acceptable", "the machine is not learnt yet")
        entries = acceptance.read(self.profile.memory)
        known = next((entry for entry in entries if entry.alarm == alarm), None)
        if known is not None:
            return NotAccepted(None, f"accepted before by {known.by}")
        if len(entries) >= acceptance.LIMIT:
            return NotAccepted(
                "too_many", f"{acceptance.LIMIT} things are accepted: learn the machine afresh"
            )
        entry = self.notices.acceptance(alarm, by=by, time_ns=time_ns)
        if entry is None:
            return self._accept_state(alarm, entries, by=by, time_ns=time_ns)
        return self._know([*entries, entry], detail=f"{entry.fault} is known from now on; undo takes it back")

    def _accept_state(
        self, alarm: str, entries: Sequence[Acceptance], *, by: str, time_ns: int
    ) -> Accepted | NotAccepted:
        """What an alarm of the machine told of is one more state of it: its rows join what is remembered."""
        profile = self.profile
        assert profile is not None  # noqa: S101 - asked by who called
        if self.accepting:
            return NotAccepted("busy", "what was accepted just now is being learnt; ask again in a moment")
        accepted = AcceptedRows.read(profile.memory, n_channels=len(profile.channels))
        pieces = acceptance.rows_of(
            self.naming, alarm, profile, room=accepted_rows.room(profile.memory, accepted)
        )
        if isinstance(pieces, NotAccepted):
            return pieces
        offset = level_offsets.total(entries, profile.channels)
        joined = accepted.with_pieces(alarm, [piece - offset for piece in pieces])
        memory = LazyArrays(profile.memory).joined(joined.arrays())
        self.profile = replace(profile, memory=memory)
        open_alarm = self.condition.open_alarm
        if open_alarm is not None and open_alarm.id == alarm:
            self.condition.dismiss(acceptance.STATE, time_ns=open_alarm.time_ns)
            self.trigger.restore(TriggerSnapshot(armed=False))
            self.off_delay.dismiss()
        entry = Acceptance(alarm=alarm, fault=acceptance.STATE, by=by, time_ns=time_ns)
        return self._know(
            [*entries, entry], detail="its rows are remembered as normal in a moment; undo takes that back"
        )

    def ask_to_know(self) -> list[CommissionRequest]:
        """The request to learn what people have accepted or taken back, where that is not done yet."""
        profile, time_ns = self.profile, self.rows.store.last_time_ns
        if self.accepting != "wanted" or profile is None or time_ns is None:
            return []
        self.accepting = "asked"
        return [
            CommissionRequest(
                machine=profile.machine,
                channels=profile.channels,
                rows=np.empty((0, len(profile.channels)), np.float32),
                period_ns=profile.period_ns,
                hop_rows=profile.hop_rows,
                time_ns=time_ns,
                known=profile,
            )
        ]

    def take_back(self, alarm: str) -> Accepted | None:
        """What was accepted of an alarm is no longer normal; None where nothing was."""
        entries = [] if self.profile is None else acceptance.read(self.profile.memory)
        rest = [entry for entry in entries if entry.alarm != alarm]
        if len(rest) == len(entries):
            return None
        return self._know(rest, detail="it is told again when it comes again")

    def _know(self, entries: list[Acceptance], *, detail: str) -> Accepted:
        assert self.profile is not None  # noqa: S101 - asked by who called
        memory = LazyArrays(self.profile.memory).joined(acceptance.arrays(entries))
        rows = AcceptedRows.read(memory, n_channels=len(self.profile.channels))
        if rows.alarms:
            memory.put(rows.only({entry.alarm for entry in entries}).arrays())
        self.accepting = "wanted" if accepted_rows.to_be_known(memory) else ""
        offsets = level_offsets.total(entries, self.profile.channels)
        if moved := level_offsets.arrays(memory, offsets):
            memory.put({**moved, **self._statistics().arrays()})
            self.relevelled, self.drift_statistics = True, None
        self.profile = replace(self.profile, memory=memory)
        if self.notices is not None:
            self.notices.know(entries)
        return Accepted(self.profile.machine, self.profile, detail)

    def take_new_cycles(self) -> Float32 | None:
        """[R, C] cycles of a recipe or operating point that nobody knew, enough to be learnt; each once."""
        if not isinstance(self.notices, CycleNotices):
            return None
        found, self.notices.to_learn = self.notices.to_learn, None
        return found

    def moved(self) -> list[Profile]:
        """The profile with thresholds that have moved, where that is worth keeping; each time once."""
        if self.profile is None or self.tracker is None or not self.tracker.worth_keeping():
            return []
        moved = {**self.tracker.arrays(), **self._statistics().arrays()}
        memory = LazyArrays(self.profile.memory).joined(moved)
        self.profile = replace(self.profile, memory=memory)
        return [self.profile]

    def save(self, name: str) -> Memento:
        """What to write down beside the rows. Learning does not survive a restart: it is asked for again."""
        if self.resting is not None:
            return self.resting
        trigger, off_delay = self.trigger.save(), self.off_delay.save()
        return Memento(
            machine=name,
            state="commissioning" if self.state == "learning" else self.state,
            wanted_at=self.wanted_at,
            reason=self.reason,
            profile=profile_identity(self.profile),
            decider=replace(trigger, anomalous=off_delay.phase != "normal"),
            book=self.condition.save(),
            quality=QualityState() if self.sensor_monitor is None else self.sensor_monitor.save(),
            notices=NoticeState() if self.notices is None else self.notices.save(),
            off_delay=off_delay,
        )

    def restore(self, memento: Memento, buffer: BufferState | None) -> None:
        """Go on where the memento was taken.

        Raises:
            ValueError: the buffer's arrays do not fit each other.
        """
        if buffer is not None:
            self.rows.restore(buffer)
        self.state, self.reason = memento.state, memento.reason
        if memento.state == "failed" and buffer is not None:
            self.wanted_at = memento.wanted_at
        known = OffDelaySnapshot(phase="loud") if memento.decider.anomalous else OffDelaySnapshot()
        off_delay = memento.off_delay or known
        self.trigger.restore(replace(memento.decider, anomalous=off_delay.phase == "loud"))
        self.off_delay.restore(off_delay)
        self.condition.restore(memento.book)
        if self.sensor_monitor is not None:
            self.sensor_monitor.restore(memento.quality)
        if self.notices is not None:
            self.notices.restore(memento.notices)

    def rest(self, memento: Memento, buffer: BufferState | None, *, reason: str) -> None:
        """Stand still where the memento was taken: an alarm that is open stays open, and nothing is learnt anew.

        Raises:
            ValueError: the buffer's arrays do not fit each other.
        """
        if buffer is not None:
            self.rows.restore(buffer)
        self.condition.restore(memento.book)
        self.resting, self.state, self.reason = memento, "failed", reason

    @property
    def open_findings(self) -> tuple[Alarm, ...]:
        """What is wrong with its sensors, and the notices that hold."""
        if self.resting is not None:
            return (*self.resting.quality.open, *self.resting.notices.open)
        findings = () if self.sensor_monitor is None else self.sensor_monitor.open_findings
        notices = () if self.notices is None else self.notices.open_notices
        return (*findings, *notices)

    def go_on(self) -> None:
        """Take the kept rows for inspected and scored."""
        self.rows.skip_due()
        if self.sensor_monitor is not None:
            self.sensor_monitor.reread(*self.rows.inspected_rows())
        if self.notices is not None:
            self.notices.reread(self.rows.inspected_rows()[0])

    def turn_away(self, channels: int, limit: int) -> bool:
        """Note that every message is turned away for its many channels; whether that is new."""
        new = not self.turned_away
        said = f"its messages have {channels} channels, limits.channels allows {limit}"
        self.turned_away = f"{said}: all of them are turned away"
        return new

    def status(self) -> MachineStatus:
        """What the status message says."""
        alarm = self.condition.open_alarm
        return MachineStatus(
            state="failed" if self.unwatched else self.state,
            rows_heard=self.rows.store.row_count,
            rows_wanted=self.wanted_at,
            channels=tuple(self.rows.store.channels),
            last_time_ns=self.rows.store.last_time_ns,
            last_score=self.last_score,
            threshold=THRESHOLD if self.profile else None,
            open_alarm=alarm.id if alarm else None,
            reason=self.unwatched or self.turned_away or self.reason,
            unwatched=bool(self.unwatched),
            turned_away=bool(self.turned_away),
            by_exception=self.rows.store.values_stand,
            threshold_ratio=None if self.tracker is None else float(self.tracker.ratio[0]),
            drift=Drift() if self.drift_statistics is None else self.drift_statistics.drift(),
            learnt_ns=None if self.profile is None else self.profile.learnt_ns,
            kinds=()
            if self.profile is None
            else remarkable_kinds(self.profile.memory, self.profile.channels),
            notices=() if self.notices is None else tuple(one.id for one in self.notices.open_notices),
            seen_once=() if self.profile is None else seen_once.read(self.profile),
            ready_ns=self._ready_ns(),
            promise=None if self.budgeting is None else self.budgeting.promise(self.tracker),
            unsettled=self.off_delay.phase == "quiet",
            reopened=0 if alarm is None else alarm.reopened,
        )

    def _ready_ns(self) -> int | None:
        """When the rows to be learnt from will be here, about."""
        last_ns, missing = self.rows.store.last_time_ns, self.wanted_at - self.rows.store.row_count
        if self.state not in ("commissioning", "failed") or last_ns is None or missing < 0:
            return None
        pace_ns = self.rows.pace_ns()
        return last_ns + missing * pace_ns if pace_ns else None

    def view(self, latest_rows: int) -> MachineView:
        """The latest rows beside what is usual."""
        profile = self.profile
        low, high = (None, None) if profile is None else _usual_range(profile)
        return MachineView(
            channels=tuple(self.rows.store.channels),
            rows=self.rows.latest(latest_rows),
            low=low,
            high=high,
            last_time_ns=self.rows.store.last_time_ns,
            period_ns=profile.period_ns if profile else self.rows.period_ns(),
            learnt_ns=profile.learnt_ns if profile else None,
            learnt_rows=profile.rows if profile else 0,
            faults=self.naming.library.faults,
            hidden=() if self.sensor_monitor is None else self.sensor_monitor.hidden,
            kinds=() if profile is None else remarkable_kinds(profile.memory, profile.channels),
            modes=() if profile is None else mode_names(profile.memory, profile.channels),
            accepted=() if profile is None else acceptance.read(profile.memory),
        )


def _usual_range(profile: Profile) -> tuple[Float32, Float32]:
    """Where normal values lay, [C] each; a counter's lie nowhere: evidence knows the range of its rate."""
    low, high = (np.array(profile.memory[f"evidence/{end}"], np.float32) for end in ("low", "high"))
    if (kinds := ChannelKinds.read(profile.memory)) is not None:
        low[kinds.code == COUNTER] = high[kinds.code == COUNTER] = np.nan
    return low, high
