"""The street: deliveries in, alarms out. Pure and synchronous: no clock, socket, thread or file.

`run`, `replay` and the trainer's evaluation all drive this class, so that a published figure is about what ships.
A machine that is heard for the first time is commissioned: its rows are gathered, then asked to be learnt
(`CommissionRequest`); learning takes seconds, so whoever drives the pipeline does it where it pleases and
`install`s the profile between two steps.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from edge_agent.alarm import AlarmBook, AlarmSettings
from edge_agent.contract.casebook import Casebook
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
from edge_agent.decide import Decider, DecideSettings, Verdict
from edge_agent.naming import Naming, NamingSettings, Refused
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
    naming: NamingSettings = field(default_factory=NamingSettings)


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
    """What one step brought to light."""

    alarms: tuple[Alarm, ...] = ()
    scores: tuple[ScoreBlock, ...] = ()
    commissions: tuple[CommissionRequest, ...] = ()


@dataclass(frozen=True, slots=True)
class Labelled:
    """An alarm was named.

    Attributes:
        fault: the name as it is spelt from now on.
        casebook: all of the machine's named alarms, to be stored.
        alarm: the revision that says so, where the alarm is open.
    """

    fault: str
    casebook: Casebook
    alarm: Alarm | None


@dataclass(frozen=True, slots=True)
class MachineStatus:
    """What the status message says of one machine."""

    state: MachineState
    rows_heard: int
    rows_wanted: int
    channels: tuple[str, ...]
    last_time_ns: int | None
    last_score: float | None
    threshold: float | None
    open_alarm: str | None
    reason: str = ""


@dataclass(slots=True)
class _Machine:
    rows: RowBuffer
    decider: Decider
    book: AlarmBook
    naming: Naming
    state: MachineState = "commissioning"
    wanted_at: int = 0
    """Row count from which the machine is learnt."""
    profile: Profile | None = None
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
        machine.rows.arrange(profile.channels, period_ns=profile.period_ns, hop_rows=profile.hop_rows)
        machine.naming.arrange(profile)

    def install_faults(self, casebook: Casebook) -> None:
        """Begin with what was named before a restart; its machine needs no profile yet."""
        machine = self._machines.get(casebook.machine) or self._add_machine(casebook.machine)
        machine.naming.install(casebook)

    def machine_of(self, alarm: str) -> str:
        """The machine that has the alarm, open, lately closed or named; empty where none has."""
        return next((name for name, machine in self._machines.items() if machine.naming.has(alarm)), "")

    def label(self, machine: str, *, alarm: str, fault: str) -> Labelled | Refused:
        """Call an alarm by its fault: the machine's later alarms that look like it carry the name.

        Args:
            machine: whose alarm.
            alarm: id of one that is open or among the last that closed, or of one named before.
            fault: what it was.

        Returns:
            What must be stored and said, or why the name was not taken.
        """
        known = self._machines.get(machine)
        if known is None:
            return Refused("unknown_machine", f"no machine {machine!r} was heard")
        casebook = known.naming.name(alarm, fault)
        if isinstance(casebook, Refused):
            return casebook
        spelt = next(case.fault for case in casebook.cases if case.alarm == alarm)
        is_open = known.book.open_alarm is not None and known.book.open_alarm.id == alarm
        return Labelled(spelt, casebook, known.book.tell(spelt) if is_open else None)

    def fail(self, name: str, reason: str) -> None:
        """Learning a machine did not work: gather the same number of rows again."""
        machine = self._machines[name]
        machine.state, machine.reason = "failed", reason
        machine.wanted_at = machine.rows.row_count + self._settings.commission_rows

    def relearn(self, name: str) -> None:
        """What was learnt of a machine meanwhile belongs to a model that has gone: ask again at its next row."""
        self._machines[name].state = "commissioning"

    @property
    def window_rows(self) -> int:
        """T, rows in a window."""
        return self._scorer.window_rows

    def stranded(self, *, encoder: str, template: Profile | None) -> tuple[str, ...]:
        """Learnt machines that another network could not score: neither their own profile nor `template` fits."""
        return tuple(
            name
            for name, machine in self._machines.items()
            if machine.profile is not None
            and machine.profile.encoder != encoder
            and not _fits(template, machine.profile)
        )

    def adopt(
        self,
        *,
        decode: Callable[[Delivery], Frame | Reject],
        scorer: Scorer,
        settings: Settings,
        template: Profile | None,
    ) -> None:
        """Go on with another decoder, model and settings; rows, alarms and the profiles that fit stay.

        Machines that live by the old template, or by a profile of another network, take the new template. Call it
        between two steps, with a model of the same `window_rows` that leaves no machine `stranded`.
        """
        encoder, before = scorer.bundle.encoder, self._template
        self._decode, self._scorer, self._settings, self._template = decode, scorer, settings, template
        for name, machine in self._machines.items():
            machine.book.change_model(scorer.bundle.digest)
            profile = machine.profile
            if profile is None or template is None or not _fits(template, profile):
                continue
            if profile.encoder != encoder or (before is not None and profile.memory is before.memory):
                machine.profile = replace(template, machine=name)
                if tuple(machine.rows.channels) != template.channels:
                    self.install(machine.profile)

    def forget(self, name: str) -> None:
        """Know nothing of a machine any more, its open alarm included: its next row begins a new one."""
        self._machines.pop(name, None)
        self._touched.pop(name, None)

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
            naming=Naming(name, self._settings.naming),
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
        alarms = [
            alarm
            for score, profile in zip(scores, profiles, strict=True)
            for alarm in self._judge(score, profile)
        ]
        self.ledger.windows_scored += sum(len(score.value) for score in scores)
        return Step(alarms=tuple(alarms), scores=tuple(scores), commissions=tuple(commissions))

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

    def _judge(self, block: ScoreBlock, profile: Profile) -> list[Alarm]:
        machine = self._machines[block.windows.machine]
        verdicts: list[Verdict] = [
            machine.decider.step(score, recent=recent)
            for score, recent in zip(block.value.tolist(), block.recent.tolist(), strict=True)
        ]
        eventful = [at for at, verdict in enumerate(verdicts) if verdict != "calm"]
        named = machine.naming.judge(block.windows.values[eventful]) if eventful else None
        alarms = []
        for place, at in enumerate(eventful):
            verdict, opinion = verdicts[at], named[place] if named else None
            assert verdict != "calm"  # noqa: S101 - as chosen above
            alarm = machine.book.advance(verdict, block, at=at, profile=profile, named=opinion)
            if alarm is not None:
                alarms.append(alarm)
            if machine.book.open_alarm is not None:
                window, end_row = block.windows.values[at], int(block.windows.end_rows[at])
                machine.naming.keep(machine.book.open_alarm.id, window, end_row=end_row)
        machine.last_score = float(block.value[-1])
        return alarms

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
        )


def _fits(template: Profile | None, profile: Profile) -> bool:
    """Whether the template can stand in for the profile of a machine."""
    return template is not None and set(template.channels) == set(profile.channels)
