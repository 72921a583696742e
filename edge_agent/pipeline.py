"""The street: deliveries in, alarms out. Pure and synchronous: no clock, socket, thread or file.

`run`, `replay` and the trainer's evaluation all drive this class, so that a published figure is about what ships.
A machine that is heard for the first time is commissioned: its rows are gathered, then asked to be learnt
(`CommissionRequest`); learning takes seconds, so whoever drives the pipeline does it where it pleases and
`install`s the profile between two steps.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from edge_agent.alarm import AlarmBook, AlarmSettings
from edge_agent.budget import shared
from edge_agent.contract.records import (
    THRESHOLD,
    Alarm,
    Delivery,
    Float32,
    Frame,
    Ledger,
    Profile,
    Reject,
    RejectReason,
    ScoreBlock,
    WindowBlock,
)
from edge_agent.decide import Decider, DecideSettings
from edge_agent.recalibrate import Follower, FollowSettings
from edge_agent.score import Scorer
from edge_agent.window import RowBuffer, WindowSettings

MachineState = Literal["commissioning", "learning", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the pipeline needs to know; the defaults are the product's.

    Attributes:
        commission_rows: N, calm rows that a new machine is learnt from.
        budget_per_week: false alarms that one machine may raise in a week.
        hop_s: a machine is scored at most once in this time.
        hold_rows: rows for which a missing value is held.
        grid_s: rows of machines whose channels come one by one without time are gathered on this grid.
        machines_limit, channels_limit: bounds against floods of topics and of channel names.
        seed: of everything random in learning.
    """

    commission_rows: int = 3600
    budget_per_week: float = 1.0
    hop_s: float = 1.0
    hold_rows: int = 30
    grid_s: float = 1.0
    machines_limit: int = 1000
    channels_limit: int = 256
    seed: int = 0
    decide: DecideSettings = field(default_factory=DecideSettings)
    alarm: AlarmSettings = field(default_factory=AlarmSettings)
    follow: FollowSettings = field(default_factory=FollowSettings)


@dataclass(frozen=True, slots=True)
class CommissionRequest:
    """A machine has given its calm rows and wants to be learnt.

    Attributes:
        rows: [R, C] in physical units, NaN where hidden.
        period_ns: median step between rows, 0 where times say nothing.
        time_ns: event time of the last row.
    """

    machine: str
    channels: tuple[str, ...]
    rows: Float32
    period_ns: int
    hop_rows: int
    time_ns: int


@dataclass(frozen=True, slots=True)
class Step:
    """What one step brought to light.

    Attributes:
        moved: profiles whose threshold has moved since they were last told of: worth keeping.
    """

    alarms: tuple[Alarm, ...] = ()
    scores: tuple[ScoreBlock, ...] = ()
    commissions: tuple[CommissionRequest, ...] = ()
    moved: tuple[Profile, ...] = ()


@dataclass(frozen=True, slots=True)
class MachineStatus:
    """What the status message says of one machine.

    Attributes:
        threshold_ratio: the threshold in use relative to the one that was learnt; None while nothing is learnt.
    """

    state: MachineState
    rows_heard: int
    rows_wanted: int
    channels: tuple[str, ...]
    last_time_ns: int | None
    last_score: float | None
    threshold: float | None
    open_alarm: str | None
    reason: str = ""
    threshold_ratio: float | None = None


@dataclass(slots=True)
class _Machine:
    rows: RowBuffer
    decider: Decider
    book: AlarmBook
    state: MachineState = "commissioning"
    wanted_at: int = 0
    """Row count from which the machine is learnt."""
    profile: Profile | None = None
    follower: Follower | None = None
    last_score: float | None = None
    reason: str = ""


class Pipeline:
    """Holds every machine's rows, profile and alarm, and the ledger of what became of each message."""

    def __init__(
        self,
        *,
        decode: Callable[[Delivery], Frame | Reject],
        scorer: Scorer,
        settings: Settings,
        profiles: Iterable[Profile] = (),
        template: Profile | None = None,
    ) -> None:
        """Begin with machines that have profiles; `template` fits every machine with its very channels."""
        self.ledger = Ledger()
        self._decode = decode
        self._scorer = scorer
        self._settings = settings
        self._template = template
        self._machines: dict[str, _Machine] = {}
        self._touched: dict[str, None] = {}  # an ordered set: machines with new rows in this step
        for profile in profiles:
            self.install(profile)

    def step(self, deliveries: Sequence[Delivery]) -> Step:
        """Take messages in and bring every machine they touch up to date."""
        for delivery in deliveries:
            self.ledger.received += 1
            decoded = self._decode(delivery)
            if isinstance(decoded, Reject):
                self._reject(decoded.reason)
            else:
                self._take(decoded)
        return self._advance()

    def feed(self, frames: Sequence[Frame]) -> Step:
        """The same for frames that need no decoding: recordings."""
        for frame in frames:
            self.ledger.received += 1
            self._take(frame)
        return self._advance()

    def install(self, profile: Profile) -> None:
        """Make a machine ready: from its next row on it is scored with this profile."""
        machine = self._machines.get(profile.machine) or self._add_machine(profile.machine)
        machine.profile, machine.state, machine.reason = profile, "ready", ""
        machine.follower = None
        machine.rows.arrange(profile.channels, period_ns=profile.period_ns, hop_rows=profile.hop_rows)

    def fail(self, name: str, reason: str) -> None:
        """Learning a machine did not work: gather the same number of rows again."""
        machine = self._machines[name]
        machine.state, machine.reason = "failed", reason
        machine.wanted_at = machine.rows.row_count + self._settings.commission_rows

    def machines(self) -> Mapping[str, MachineStatus]:
        """The state of every machine heard or restored."""
        return {name: self._status(machine) for name, machine in self._machines.items()}

    def open_alarms(self) -> tuple[Alarm, ...]:
        """The latest revision of every open alarm."""
        alarms = (machine.book.open_alarm for machine in self._machines.values())
        return tuple(alarm for alarm in alarms if alarm is not None)

    # -- messages to rows -----------------------------------------------------------------------------------

    def _take(self, frame: Frame) -> None:
        for _, reason in frame.bad_values:
            self._count_value(reason)
        machine = self._machines.get(frame.machine)
        if machine is None:
            if len(self._machines) >= self._settings.machines_limit:
                self._reject("too_many_machines")
                return
            machine = self._add_machine(frame.machine)
        known = self._known_channels(machine, frame)
        if known is None:
            return
        outcome = machine.rows.accept(known)
        if outcome == "accepted":
            self.ledger.accepted += 1
            self._touched[frame.machine] = None
        elif outcome == "late":
            self.ledger.late += 1
        else:
            self.ledger.duplicate += 1

    def _add_machine(self, name: str) -> _Machine:
        window = WindowSettings(
            window_rows=self._scorer.window_rows,
            hop_s=self._settings.hop_s,
            hold_rows=self._settings.hold_rows,
            grid_ns=int(self._settings.grid_s * 1e9),
        )
        machine = _Machine(
            rows=RowBuffer(name, window, keep_rows=self._settings.commission_rows),
            decider=Decider(self._settings.decide),
            book=AlarmBook(self._settings.alarm, model=self._scorer.bundle.digest),
            wanted_at=self._settings.commission_rows,
        )
        self._machines[name] = machine
        return machine

    def _known_channels(self, machine: _Machine, frame: Frame) -> Frame | None:
        """The frame without channels that the machine does not have; None where nothing is left."""
        rows = machine.rows
        unknown = [name for name in frame.channels if not rows.known(name)]
        if not unknown:
            return frame
        if machine.profile is None and len(rows.channels) + len(unknown) <= self._settings.channels_limit:
            rows.add_channels(unknown)
            if self._template is not None and set(rows.channels) == set(self._template.channels):
                self.install(replace(self._template, machine=frame.machine))
            return frame
        reason: RejectReason = "too_many_channels" if machine.profile is None else "unknown_channel"
        for _ in unknown:
            self._count_value(reason)
        keep = [at for at, name in enumerate(frame.channels) if rows.known(name)]
        if not keep:
            self._reject(reason)
            return None
        return Frame(
            machine=frame.machine,
            channels=tuple(frame.channels[at] for at in keep),
            times_ns=frame.times_ns,
            rows=[[row[at] for at in keep] for row in frame.rows],
            stamped=frame.stamped,
            partial=frame.partial,
        )

    def _reject(self, reason: RejectReason) -> None:
        self.ledger.rejected[reason] = self.ledger.rejected.get(reason, 0) + 1

    def _count_value(self, reason: RejectReason) -> None:
        self.ledger.values_rejected[reason] = self.ledger.values_rejected.get(reason, 0) + 1

    # -- rows to alarms -------------------------------------------------------------------------------------

    def _advance(self) -> Step:
        touched, self._touched = self._touched, {}
        blocks: list[WindowBlock] = []
        profiles: list[Profile] = []
        commissions: list[CommissionRequest] = []
        for name in touched:
            machine = self._machines[name]
            if machine.profile is None:
                commissions += self._ask_to_learn(name, machine)
            elif (block := machine.rows.take_windows()) is not None:
                blocks.append(block)
                profiles.append(machine.profile)
        scores = self._scorer.score(blocks, profiles)
        alarms: list[Alarm] = []
        judged: list[ScoreBlock] = []
        for score, profile in zip(scores, profiles, strict=True):
            judged.append(self._judge(score, profile, alarms=alarms))
        self.ledger.windows_scored += sum(len(score.value) for score in scores)
        return Step(
            alarms=tuple(alarms),
            scores=tuple(judged),
            commissions=tuple(commissions),
            moved=self._moved(profile.machine for profile in profiles),
        )

    def _ask_to_learn(self, name: str, machine: _Machine) -> list[CommissionRequest]:
        rows = machine.rows
        if machine.state == "learning" or rows.row_count < machine.wanted_at or rows.last_time_ns is None:
            return []
        machine.state = "learning"
        period_ns = rows.period_ns()
        return [
            CommissionRequest(
                machine=name,
                channels=tuple(rows.channels),
                rows=rows.history()[-self._settings.commission_rows :],
                period_ns=period_ns,
                hop_rows=rows.hop_rows(period_ns),
                time_ns=rows.last_time_ns,
            )
        ]

    def _judge(self, block: ScoreBlock, profile: Profile, *, alarms: list[Alarm]) -> ScoreBlock:
        """Add what the block's windows call for to `alarms`; returns the block by the thresholds now in use."""
        machine = self._machines[block.windows.machine]
        parts = block.value[:, np.newaxis] if block.parts is None else block.parts
        learnt = np.column_stack([parts, block.recent])  # B P+1, by the thresholds as they were learnt
        follower = machine.follower or self._follow(machine, profile, n_parts=parts.shape[1])
        block = replace(block, value=block.value.copy(), recent=block.recent.copy())
        for at, time_ns in enumerate(block.windows.times_ns.tolist()):
            *now, recent = (learnt[at] / follower.ratio).tolist()
            block.value[at], block.recent[at] = max(now), recent
            verdict = machine.decider.step(max(now), recent=recent)
            follower.note(time_ns, learnt[at], in_alarm=verdict != "calm")
            if verdict == "calm":
                continue
            alarm = machine.book.advance(verdict, block, at=at, profile=profile)
            if alarm is not None:
                alarms.append(alarm)
        machine.last_score = float(block.value[-1])
        return block

    def _follow(self, machine: _Machine, profile: Profile, *, n_parts: int) -> Follower:
        budget = self._settings.budget_per_week
        machine.follower = Follower(
            self._settings.follow,
            budgets_per_week=(*shared(budget, n_parts), budget),
            hop_ns=profile.hop_rows * profile.period_ns,
            memory=profile.memory,
        )
        return machine.follower

    def _moved(self, names: Iterable[str]) -> tuple[Profile, ...]:
        """Profiles of the named machines with thresholds that have moved, each once."""
        moved = []
        for name in names:
            machine = self._machines[name]
            if machine.profile is None or machine.follower is None or not machine.follower.worth_keeping():
                continue
            memory = {**machine.profile.memory, **machine.follower.memory()}
            machine.profile = replace(machine.profile, memory=memory)
            moved.append(machine.profile)
        return tuple(moved)

    def _status(self, machine: _Machine) -> MachineStatus:
        alarm = machine.book.open_alarm
        return MachineStatus(
            state=machine.state,
            rows_heard=machine.rows.row_count,
            rows_wanted=machine.wanted_at,
            channels=tuple(machine.rows.channels),
            last_time_ns=machine.rows.last_time_ns,
            last_score=machine.last_score,
            threshold=THRESHOLD if machine.profile else None,
            open_alarm=alarm.id if alarm else None,
            reason=machine.reason,
            threshold_ratio=None if machine.follower is None else float(machine.follower.ratio[0]),
        )
