"""The street: deliveries in, alarms out. Pure and synchronous: no clock, socket, thread or file.

`run`, `replay` and the trainer's evaluation all drive this class, so that a published figure is about what ships.
A machine that is heard for the first time is commissioned: its rows are gathered, then asked to be learnt
(`CommissionRequest`); learning takes seconds, so whoever drives the pipeline does it where it pleases and
`install`s the profile between two steps.

Nothing that one message or one machine brings about stops the others: an exception is caught where it can be blamed on
one of them, counted as `internal_error` and handed out with the step.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edge_agent.alarm import AlarmBook, AlarmSettings
from edge_agent.contract.records import (
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
from edge_agent.machine import Machine, MachineStatus, Memento
from edge_agent.score import Scorer
from edge_agent.window import RingState, RowBuffer, WindowSettings


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
class Failure:
    """An exception that one message (named by its topic) or one machine brought about: a bug, contained."""

    subject: str
    error: str


@dataclass(frozen=True, slots=True)
class Step:
    """What one step brought to light."""

    alarms: tuple[Alarm, ...] = ()
    scores: tuple[ScoreBlock, ...] = ()
    commissions: tuple[CommissionRequest, ...] = ()
    accepted: tuple[Frame, ...] = ()
    """What went into the machines' rows, in this order."""
    touched: tuple[str, ...] = ()
    """Machines that may have changed."""
    failures: tuple[Failure, ...] = ()


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
        self._machines: dict[str, Machine] = {}
        self._touched: dict[str, None] = {}  # an ordered set: machines with new rows in this step
        self._accepted: list[Frame] = []
        self._failures: list[Failure] = []
        for profile in profiles:
            self.install(profile)

    def step(self, deliveries: Sequence[Delivery]) -> Step:
        """Take messages in and bring every machine they touch up to date."""
        for delivery in deliveries:
            self.ledger.received += 1
            try:
                decoded = self._decode(delivery)
                if isinstance(decoded, Reject):
                    self._reject(decoded.reason)
                else:
                    self._take(decoded)
            except Exception as error:  # noqa: BLE001 - one message must not cost the others
                self._reject("internal_error")
                self._failures.append(Failure(delivery.topic, repr(error)))
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

    def fail(self, name: str, reason: str) -> None:
        """Learning a machine did not work: gather the same number of rows again."""
        machine = self._machines[name]
        machine.state, machine.reason = "failed", reason
        machine.wanted_at = machine.rows.row_count + self._settings.commission_rows

    def machines(self) -> Mapping[str, MachineStatus]:
        """The state of every machine heard or restored."""
        return {name: machine.status() for name, machine in self._machines.items()}

    def open_alarms(self) -> tuple[Alarm, ...]:
        """The latest revision of every open alarm."""
        alarms = (machine.book.open_alarm for machine in self._machines.values())
        return tuple(alarm for alarm in alarms if alarm is not None)

    # -- across restarts ------------------------------------------------------------------------------------

    def memento(self, name: str) -> Memento:
        """What to write down of a machine, beside its rows."""
        return self._machines[name].save(name)

    def ring(self, name: str) -> RingState:
        """What to write down of a machine's rows."""
        return self._machines[name].rows.save()

    def restore(self, memento: Memento, ring: RingState | None) -> bool:
        """Let a machine go on where it stood; call it before the first step.

        Returns:
            Whether it can: not if the profile that it was scored with is gone, or is another one now.

        Raises:
            ValueError: the ring's arrays do not fit each other.
        """
        name, known = memento.machine, self._machines.get(memento.machine)
        profile = known.profile if known is not None else None
        if profile is None and self._template is not None and memento.profile:
            profile = replace(self._template, machine=name)
        if not memento.goes_on_with(profile):
            return False
        machine = known or self._add_machine(name)
        if profile is not None and machine.profile is None:
            self.install(profile)
        machine.restore(memento, ring)
        if profile is not None and not memento.profile:  # it was learnt in the very moment of the end
            self.install(profile)
        return True

    def recall(self, frames: Iterable[Frame]) -> None:
        """Take rows in again that were taken in, and scored, before a restart."""
        for frame in frames:
            machine = self._machines.get(frame.machine)
            if machine is None:
                continue
            if machine.profile is None:
                machine.rows.add_channels(frame.channels)
            if all(machine.rows.known(name) for name in frame.channels):
                machine.rows.accept(frame)
        for machine in self._machines.values():
            machine.rows.settle()

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
            self._accepted.append(known)
        elif outcome == "late":
            self.ledger.late += 1
        else:
            self.ledger.duplicate += 1

    def _add_machine(self, name: str) -> Machine:
        window = WindowSettings(
            window_rows=self._scorer.window_rows,
            hop_s=self._settings.hop_s,
            hold_rows=self._settings.hold_rows,
            grid_ns=int(self._settings.grid_s * 1e9),
        )
        machine = Machine(
            rows=RowBuffer(name, window, keep_rows=self._settings.commission_rows),
            decider=Decider(self._settings.decide),
            book=AlarmBook(self._settings.alarm, model=self._scorer.bundle.digest),
            wanted_at=self._settings.commission_rows,
        )
        self._machines[name] = machine
        return machine

    def _known_channels(self, machine: Machine, frame: Frame) -> Frame | None:
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
            try:
                if machine.profile is None:
                    commissions += self._ask_to_learn(name, machine)
                elif (block := machine.rows.take_windows()) is not None:
                    blocks.append(block)
                    profiles.append(machine.profile)
            except Exception as error:  # noqa: BLE001 - one machine must not cost the others
                self._failures.append(Failure(name, repr(error)))
        alarms: list[Alarm] = []
        scores = self._score(blocks, profiles)
        for score in scores:
            self._judge(score, alarms)
        self.ledger.windows_scored += sum(len(score.value) for score in scores)
        accepted, self._accepted = tuple(self._accepted), []
        failures, self._failures = tuple(self._failures), []
        return Step(tuple(alarms), tuple(scores), tuple(commissions), accepted, tuple(touched), failures)

    def _score(self, blocks: list[WindowBlock], profiles: list[Profile]) -> list[ScoreBlock]:
        """All machines in one call; where that fails, one by one, so that only the guilty machine is passed over."""
        try:
            return self._scorer.score(blocks, profiles)
        except Exception as error:  # noqa: BLE001 - see above
            if len(blocks) == 1:
                self._failures.append(Failure(blocks[0].machine, repr(error)))
                self._skip_windows(len(blocks[0].values))
                return []
        pairs = zip(blocks, profiles, strict=True)
        return [score for block, profile in pairs for score in self._score([block], [profile])]

    def _skip_windows(self, count: int) -> None:
        skipped = self.ledger.windows_skipped
        skipped["internal_error"] = skipped.get("internal_error", 0) + count

    def _ask_to_learn(self, name: str, machine: Machine) -> list[CommissionRequest]:
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

    def _judge(self, block: ScoreBlock, alarms: list[Alarm]) -> None:
        name = block.windows.machine
        machine = self._machines[name]
        try:
            for at, (score, recent) in enumerate(
                zip(block.value.tolist(), block.recent.tolist(), strict=True)
            ):
                verdict = machine.decider.step(score, recent=recent)
                if verdict == "calm" or machine.profile is None:
                    continue
                alarm = machine.book.advance(verdict, block, at=at, profile=machine.profile)
                if alarm is not None:
                    alarms.append(alarm)
        except Exception as error:  # noqa: BLE001 - one machine must not cost the others
            self._failures.append(Failure(name, repr(error)))
        machine.last_score = float(block.value[-1])
