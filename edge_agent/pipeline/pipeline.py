"""The street: deliveries in, alarms out. Pure and synchronous: no clock, socket, thread or file.

`run`, `replay` and the trainer's evaluation all drive this class, so that a published figure is about what ships.
A machine that is heard for the first time is commissioned: its rows are gathered, then asked to be learnt
(`CommissionRequest`); learning takes seconds, so whoever drives the pipeline does it where it pleases and
`install`s the profile between two steps.

Nothing that one message or one machine brings about stops the others: an exception is caught where it can be blamed on
one of them, counted as `internal_error` and handed out with the step.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from edge_agent.commissioning import accepted_rows
from edge_agent.cycles.rules import is_cycle
from edge_agent.detect.cycle_scores import knows_cycles
from edge_agent.detect.scorer import Scorer
from edge_agent.diagnose.fault_library import FaultLibrary
from edge_agent.diagnose.fault_naming import Refused
from edge_agent.pipeline.learning import learn_more_cycles
from edge_agent.pipeline.ledger import Bookkeeper
from edge_agent.pipeline.machine import Machine, Memento
from edge_agent.pipeline.machines import Machines
from edge_agent.pipeline.programs.machine_cycles import MachineCycles
from edge_agent.pipeline.relearning.relearner import Relearner
from edge_agent.pipeline.relearning.successor import without_channels
from edge_agent.pipeline.results import (
    CommissionRequest,
    Compared,
    Failure,
    Labelled,
    MachineStatus,
    StepResults,
)
from edge_agent.pipeline.settings import GATHERED_BYTES, GATHERED_SHARE, PipelineSettings
from edge_agent.pipeline.validation import (
    check_sensors,
    check_states,
    next_notices,
    next_sensor_monitor,
    take_due,
    visible_parts,
)
from edge_agent.records import (
    Alarm,
    Decoded,
    Delivery,
    Frame,
    FrameSet,
    Ledger,
    Profile,
    Reject,
    RejectReason,
    ScoreBlock,
    SourceEvents,
    Taken,
    WindowBlock,
)
from edge_agent.signals.machine_rules import MachineRule, facts_of
from edge_agent.signals.row_buffer import BufferState

_Outcome = Literal["accepted", "duplicate", "late"] | Reject
"""What the pipeline makes of a message."""


class Pipeline:
    """Holds every machine's rows, profile and alarm (`machines`), and books what became of each message (`books`)."""

    def __init__(
        self,
        *,
        decode: Callable[[Delivery], Decoded],
        scorer: Scorer,
        settings: PipelineSettings,
        profiles: Iterable[Profile] = (),
        template: Profile | None = None,
    ) -> None:
        """Begin with machines that have profiles; `template` fits every machine with its very channels."""
        self.books = Bookkeeper()
        self._decode = decode
        self._scorer = scorer
        self._settings = settings
        self._template = template
        self.machines = Machines()
        self.relearner = Relearner(self.machines, scorer=scorer, settings=settings)
        self.cycles = MachineCycles(settings)
        self._touched: dict[str, None] = {}  # an ordered set: machines with new rows in this step
        self._accepted: list[Frame] = []
        self._failures: list[Failure] = []
        self._ended: list[Alarm] = []  # findings about channels that are not watched any more
        self._turned_away: list[str] = []
        self._frames = 0
        self._gone: list[str] = []
        self._relearnt: list[Profile] = []
        self.no_place_for = ""
        """The latest machine for which there was no place; "" while there is one."""
        for profile in profiles:
            self.install(profile)

    def step(self, deliveries: Sequence[Delivery], source_events: Sequence[SourceEvents] = ()) -> StepResults:
        """Take messages in, and what other sources have decoded, and bring every machine they touch up to date."""
        for told in source_events:
            self._take_events(told)
        for delivery in deliveries:
            outcome: _Outcome
            try:
                decoded = self._decode(delivery)
                if isinstance(decoded, Frame):
                    outcome = self._take_frame(decoded)
                else:
                    outcome = decoded if isinstance(decoded, Reject) else self._take_set(decoded)
            except Exception as error:  # noqa: BLE001 - one message must not cost the others
                outcome = Reject("internal_error")
                self._failures.append(Failure(delivery.topic, repr(error)))
            self.books.book(outcome)
        return self._advance()

    def feed(self, frames: Sequence[Frame]) -> StepResults:
        """The same for frames that need no decoding: recordings."""
        for frame in frames:
            self.books.book(self._take_frame(frame))
        return self._advance()

    def install(self, profile: Profile) -> None:
        """Make a machine ready: from its next row on it is scored with this profile.

        With that row the rows are judged that came while it was learnt for the first time, or waited for that: a fault
        that began meanwhile is told at once, with its onset.
        """
        machine = self.machines.get(profile.machine) or self._add_machine(profile.machine)
        if machine.profile is not None and machine.profile.channels != profile.channels:
            machine.condition.change_model(self._scorer.bundle.digest)  # averages are of channels
        late = machine.state == "learning" and machine.profile is None
        machine.profile, machine.state, machine.reason = profile, "ready", ""
        machine.accepting = "wanted" if accepted_rows.to_be_known(profile.memory) else ""
        machine.resting = None
        machine.tracker = machine.drift_statistics = None
        machine.keep_budget(self._settings, judge=self._scorer.judge)
        machine.trigger.adopt(self._settings.delays(profile))
        machine.rows.arrange(
            profile.channels,
            period_ns=profile.period_ns,
            hop_rows=profile.hop_rows,
            since_row=machine.asked_row if late else None,
        )
        self._arrange_again(machine)
        if machine.sensor_monitor is not None:
            self._ended += machine.sensor_monitor.end_unknown(machine.rows.store.last_time_ns)

    def hear_of_machines(self, rules: Sequence[MachineRule]) -> None:
        """What people say of machines from now on, between two steps; it counts from the next window on."""
        self._settings = replace(self._settings, machine_rules=tuple(rules))
        self.relearner.adopt(scorer=self._scorer, settings=self._settings)
        for name, machine in self.machines.items():
            machine.condition.weight = facts_of(rules, name).weight
            machine.keep_budget(self._settings, judge=self._scorer.judge)

    def install_faults(self, library: FaultLibrary) -> None:
        """Begin with what was named before a restart; its machine needs no profile yet."""
        machine = self.machines.get(library.machine) or self._add_machine(library.machine)
        machine.naming.install(library)

    def label(self, machine: str, *, alarm: str, fault: str, by: str = "") -> Labelled | Refused:
        """Call an alarm by its fault: the machine's later alarms like it carry the name; see `Machines.label`."""
        return self.machines.label(machine, alarm=alarm, fault=fault, by=by)

    def fail(self, name: str, reason: str) -> None:
        """Learning did not work: gather as many rows again; where it was of what was accepted, go on as before."""
        machine = self.machines[name]
        if machine.profile is not None:
            machine.accepting = ""
            return
        machine.state, machine.reason = "failed", reason
        machine.wanted_at = machine.rows.store.row_count + self._settings.rows_to_learn(name)

    def relearn(self, name: str) -> None:
        """What was learnt of a machine meanwhile belongs to a model that has gone: ask again at its next row."""
        machine = self.machines[name]
        if machine.profile is not None:
            machine.accepting = "wanted"
            return
        machine.state = "commissioning"

    @property
    def settings(self) -> PipelineSettings:
        """What holds now."""
        return self._settings

    @property
    def ledger(self) -> Ledger:
        """What became of each message so far."""
        return self.books.ledger

    @property
    def window_rows(self) -> int:
        """T, rows in a window."""
        return self._scorer.window_rows

    def stranded(self, *, encoder: str, template: Profile | None) -> tuple[str, ...]:
        """Learnt machines that another network could not score: neither their own profile nor `template` fits."""
        return tuple(
            name
            for name, machine in self.machines.items()
            if machine.profile is not None
            and machine.profile.encoder != encoder
            and not knows_cycles(machine.profile.memory)
            and not _fits(template, machine.profile)
        )

    def adopt(
        self,
        *,
        decode: Callable[[Delivery], Decoded],
        scorer: Scorer,
        settings: PipelineSettings,
        template: Profile | None,
    ) -> None:
        """Go on with another decoder, model and settings; rows, alarms and the profiles that fit stay.

        Machines that live by the old template, or by a profile of another network, take the new template. Call it
        between two steps, with a model of the same `window_rows` that leaves no machine `stranded`.
        """
        self.relearner.adopt(scorer=scorer, settings=settings)
        self.cycles.adopt(settings)
        encoder, before = scorer.bundle.encoder, self._template
        self._decode, self._scorer, self._settings, self._template = decode, scorer, settings, template
        for name, machine in self.machines.items():
            machine.condition.change_model(scorer.bundle.digest)
            machine.condition.weight = facts_of(settings.machine_rules, name).weight
            machine.off_delay.adopt(settings.off_delay)
            profile = machine.profile
            if profile is not None:
                machine.trigger.adopt(settings.delays(profile))
                machine.keep_budget(settings, judge=scorer.judge)
                machine.notices = next_notices(machine, settings=settings, scorer=scorer)
            if profile is None or template is None or not _fits(template, profile):
                continue
            if profile.encoder != encoder or (before is not None and profile.memory is before.memory):
                machine.profile = replace(template, machine=name)
                machine.sensor_monitor = next_sensor_monitor(machine, settings=settings, scorer=scorer)
                machine.notices = next_notices(machine, settings=settings, scorer=scorer)
                if tuple(machine.rows.store.channels) != template.channels:
                    self.install(machine.profile)

    def take_successor(self, name: str) -> tuple[Profile, Profile] | None:
        """Watch a machine with its next profile; (that, the old one), None where none is learnt."""
        if (both := self.relearner.taken(name)) is not None:
            self.install(both[0])
        return both

    def forget(self, name: str) -> None:
        """Know nothing of a machine any more, its open alarm included: its next row begins a new one."""
        self.machines.pop(name, None)
        self.relearner.forget(name)
        self.cycles.forget(name)
        self._touched.pop(name, None)

    def statuses(self) -> Mapping[str, MachineStatus]:
        """The state of every machine heard or restored."""
        found = {name: machine.status() for name, machine in self.machines.items()}
        return {**found, **self.relearner.statuses(found)}

    def profiles(self) -> tuple[Profile, ...]:
        """What was learnt of the machines; not what they have from the template."""
        shared = None if self._template is None else self._template.memory
        known = (machine.profile for machine in self.machines.values())
        return tuple(profile for profile in known if profile is not None and profile.memory is not shared)

    # -- across restarts ------------------------------------------------------------------------------------

    def memento(self, name: str) -> Memento:
        """What to write down of a machine, beside its rows."""
        return self.machines[name].save(name)

    def buffer_state(self, name: str) -> BufferState:
        """What to write down of a machine's rows."""
        return self.machines[name].rows.save()

    def restore(self, memento: Memento, buffer: BufferState | None) -> bool:
        """Let a machine go on where it stood; call it before the first step.

        Returns:
            Whether it can: not if the profile that it was scored with is gone, or is another one now.

        Raises:
            ValueError: the buffer's arrays do not fit each other.
        """
        name, known = memento.machine, self.machines.get(memento.machine)
        profile = known.profile if known is not None else None
        if profile is None and self._template is not None and memento.profile:
            profile = replace(self._template, machine=name)
        if not memento.goes_on_with(profile):
            return False
        machine = known or self._add_machine(name)
        if profile is not None and machine.profile is None:
            self.install(profile)
        machine.restore(memento, buffer)
        if profile is not None and not memento.profile:  # it was learnt in the very moment of the end
            self.install(profile)
        return True

    def rest(self, memento: Memento, buffer: BufferState | None, *, reason: str) -> None:
        """Let a machine that cannot go on stand still, so that nothing is told closed that nobody saw end.

        Where it has another profile than it stood with it is watched by that, and its alarm goes on.
        """
        machine = self.machines.get(memento.machine) or self._add_machine(memento.machine)
        if machine.profile is not None:
            machine.trigger.restore(memento.decider)
            machine.condition.restore(memento.book)
            return
        try:
            machine.rest(memento, buffer, reason=reason)
        except ValueError:  # rows that make no sense
            machine.rest(memento, None, reason=reason)

    def recall(self, frames: Iterable[Frame]) -> None:
        """Take rows in again that were taken in, and scored, before a restart."""
        for frame in frames:
            machine = self.machines.get(frame.machine)
            if machine is None:
                continue
            if machine.profile is None:
                machine.rows.add_channels(frame.channels)
            if self.relearner.get(frame.machine) is not None:
                self.relearner.hear(machine, frame)
            machine.rows.accept(frame)
        for name, machine in self.machines.items():
            machine.go_on()
            self.cycles.reread(name, machine.rows.store)

    # -- messages to rows -----------------------------------------------------------------------------------

    def _take_frame(self, frame: Frame) -> _Outcome:
        """Take a frame into its machine's rows; what became of it."""
        for _, reason in frame.bad_values:
            self.books.book_values(reason)
        self._frames += 1
        machine = self.machines.get(frame.machine)
        if machine is None:
            if not self._room_for(frame):
                return Reject("too_many_machines")
            machine = self._add_machine(frame.machine)
        outcome = machine.rows.accept(frame)
        gathered = self._hear_beside(machine, frame, unknown=outcome is None)
        if outcome is None:
            known = self._known_channels(machine, frame, gathered=gathered)
            if not isinstance(known, Frame):
                return known
            frame, outcome = known, machine.rows.accept(known)
            assert outcome is not None  # noqa: S101 - all its channels are known now
        if outcome == "surplus":
            return Reject(outcome)
        machine.heard, machine.heard_ns = self._frames, frame.received_ns
        if outcome == "accepted":
            machine.turned_away = ""
            self._touched[frame.machine] = None
            self._accepted.append(frame)
            for cycle in self.cycles.take(frame.machine, machine.rows.store):
                self._take_frame(cycle)
        return outcome

    def _room_for(self, frame: Frame) -> bool:
        """Whether there is a place, and memory to learn from, for a machine that is new; silent ones give way."""
        limit, now_ns = self._settings.machines_limit, frame.received_ns
        while len(self.machines) >= limit or not self._room_to_gather(len(frame.channels)):
            name = self.machines.gives_way(frames=self._frames, quiet_frames=limit, now_ns=now_ns)
            if name is None:
                self.no_place_for = frame.machine
                return False
            self.forget(name)
            self._accepted = [frame for frame in self._accepted if frame.machine != name]
            self._gone.append(name)
        self.no_place_for = ""
        return True

    def _take_set(self, found: FrameSet) -> _Outcome:
        """Take the frames of a message for several machines: it is accepted where one of them is."""
        outcomes = [self._take_frame(frame) for frame in found.frames]
        return "accepted" if "accepted" in outcomes else outcomes[0]

    def _take_events(self, told: SourceEvents) -> None:
        """What a source with a state of its own tells: its message counts once, whatever came of it."""
        outcome: _Outcome | None = told.outcome
        taken: list[_Outcome] = []
        try:
            for event in told.events:
                if isinstance(event, Frame):
                    taken.append(self._take_frame(event))
                elif (machine := self.machines.get(event.machine)) is not None:
                    machine.rows.interrupt()
        except Exception as error:  # noqa: BLE001 - one message must not cost the others
            self._failures.append(Failure("a source with a state", repr(error)))
            outcome, taken = outcome and Reject("internal_error"), []
        if outcome == "accepted" and len(taken) == 1:  # a message is what its only frame is
            outcome = taken[0]
        if outcome is not None:
            self.books.book(outcome)

    def _add_machine(self, name: str) -> Machine:
        return self.machines.add(name, self._settings, scorer=self._scorer)

    def _room_to_gather(self, n_channels: int) -> bool:
        """Whether there is memory for the rows that so many more channels will be learnt from."""
        rows_to_learn = self._settings.rows_to_learn
        gathered = sum(
            len(machine.rows.store.channels) * rows_to_learn(name)
            for name, machine in self.machines.items()
            if machine.profile is None
        )
        wanted = (gathered + n_channels * self._settings.commission_rows) * GATHERED_BYTES
        return wanted <= self._settings.learning_bytes // GATHERED_SHARE

    def _hear_beside(self, machine: Machine, frame: Frame, *, unknown: bool) -> Taken | None:
        """Whether a machine's next profile has taken the frame, with channels that are unknown; None: there is none."""
        beside = unknown or self.relearner.get(frame.machine) is not None
        if machine.profile is None or not beside or is_cycle(frame.machine):
            return None
        gathered = self.relearner.hear(machine, frame)
        if gathered == "accepted":
            self._touched[frame.machine] = None
        return gathered

    def _known_channels(self, machine: Machine, frame: Frame, *, gathered: Taken | None) -> Frame | _Outcome:
        """The frame without channels that the machine does not have; what became of it where nothing is left."""
        rows, channels = machine.rows, machine.rows.store.channels
        unknown = rows.unknown(frame.channels)
        fit = len(channels) + len(unknown) <= self._settings.channels_limit
        if machine.profile is None and fit and self._room_to_gather(len(unknown)):
            rows.add_channels(unknown)
            if self._template is not None and set(channels) == set(self._template.channels):
                self.install(replace(self._template, machine=frame.machine))
            return frame
        reason: RejectReason = "too_many_channels" if machine.profile is None else "unknown_channel"
        if gathered is None:
            self.books.book_values(reason, len(unknown))
        known = without_channels(frame, unknown)
        if known is not None:
            return known
        if machine.profile is None and machine.turn_away(len(frame.channels), self._settings.channels_limit):
            self._turned_away.append(frame.machine)
        return Reject(reason) if gathered is None or gathered == "surplus" else gathered

    # -- rows to alarms -------------------------------------------------------------------------------------

    def _advance(self) -> StepResults:
        touched, self._touched = self._touched, {}
        blocks: list[WindowBlock] = []
        profiles: list[Profile] = []
        commissions: list[CommissionRequest] = []
        findings, self._ended = self._ended, []
        for name in touched:
            machine = self.machines[name]
            self._book_lost(machine)
            try:
                if machine.profile is None:
                    commissions += machine.ask_to_learn(
                        name, commission_rows=self._settings.rows_to_learn(name)
                    )
                    continue
                commissions += machine.ask_to_know()
                if not machine.due():
                    continue
                if machine.relevelled:
                    self._arrange_again(machine)
                parts, found = self._take_due(machine)
                findings += found
                self._learn_new_cycles(machine)
                blocks += parts
                profiles += [machine.profile] * len(parts)
            except Exception as error:  # noqa: BLE001 - one machine must not cost the others
                self._failures.append(Failure(name, repr(error)))
        alarms: list[Alarm] = []
        judged = (self._judge(score, alarms) for score in self._score(blocks, profiles))
        scores = [score for score in judged if score is not None]
        findings += [alarm for alarm in alarms if alarm.kind != "machine"]
        alarms = [alarm for alarm in alarms if alarm.kind == "machine"]
        self.books.book_scored(sum(len(score.value) for score in scores))
        relearnt, self._relearnt = self._relearnt, []
        moved = (*relearnt, *(moved for score in scores for moved in self._moved(score.windows.machine)))
        accepted, self._accepted = tuple(self._accepted), []
        relearn, compared = self._advance_beside(touched, scores=scores, alarms=alarms)
        failures, self._failures = tuple(self._failures), []
        turned_away, self._turned_away = tuple(self._turned_away), []
        gone, self._gone = tuple(self._gone), []
        return StepResults(
            alarms=tuple(alarms),
            findings=tuple(findings),
            scores=tuple(scores),
            commissions=tuple(commissions),
            relearn=relearn,
            compared=compared,
            accepted=accepted,
            touched=tuple(touched),
            failures=failures,
            turned_away=turned_away,
            gone=gone,
            moved=moved,
        )

    def _advance_beside(
        self, touched: Iterable[str], *, scores: Sequence[ScoreBlock], alarms: Sequence[Alarm]
    ) -> tuple[tuple[CommissionRequest, ...], tuple[Compared, ...]]:
        """(what is to be learnt beside, what was compared), and how the machines' own alarms bear on it."""
        self.relearner.note(scores=scores, alarms=alarms)
        requests: list[CommissionRequest] = []
        compared: list[Compared] = []
        for name in touched:
            successor = self.relearner.get(name)
            if successor is None:
                continue
            try:
                asked, told = self.relearner.advance(name, self.machines[name], successor)
            except Exception as error:  # noqa: BLE001 - what watches goes on
                self._failures.append(Failure(name, repr(error)))
                successor.fail(f"internal error: {error!r}")
            else:
                requests += asked
                compared += told
        return tuple(requests), tuple(compared)

    def _arrange_again(self, machine: Machine) -> None:
        """Hold a machine against its profile as that is now."""
        assert machine.profile is not None  # noqa: S101 - only then anything was accepted
        machine.relevelled = False
        machine.naming.arrange(machine.profile)
        machine.sensor_monitor = next_sensor_monitor(machine, settings=self._settings, scorer=self._scorer)
        machine.notices = next_notices(machine, settings=self._settings, scorer=self._scorer)

    def _learn_new_cycles(self, machine: Machine) -> None:
        """Learn the cycles that nobody knew, where there are enough of one kind."""
        if machine.profile is not None and (rows := machine.take_new_cycles()) is not None:
            self.install(learn_more_cycles(machine.profile, rows, settings=self._settings))
            self._relearnt.append(machine.profile)

    def _book_lost(self, machine: Machine) -> None:
        """Samples of accepted messages that no row rests on."""
        lost = machine.rows.lost
        for reason, count in lost.items():
            if count:
                self.books.book_values(reason, count)
        lost.clear()

    def _take_due(self, machine: Machine) -> tuple[list[WindowBlock], tuple[Alarm, ...]]:
        """(the windows of a machine that fell due, what its new rows say of its states and sensors)."""
        due = take_due(machine)
        try:
            told = check_states(machine.notices, due)
            report = check_sensors(machine, due, resting=told.resting)
        except Exception:
            self.books.book_skipped(0 if due.windows is None else len(due.windows.values))
            raise
        return visible_parts(due, report), (*told.findings, *report.findings)

    def _score(self, blocks: list[WindowBlock], profiles: list[Profile]) -> list[ScoreBlock]:
        """All machines in one call; where that fails, one by one, so that only the guilty machine is passed over."""
        try:
            return self._scorer.score(blocks, profiles)
        except Exception as error:  # noqa: BLE001 - see above
            if len(blocks) == 1:
                self._failures.append(Failure(blocks[0].machine, repr(error)))
                self.books.book_skipped(len(blocks[0].values))
                return []
        pairs = zip(blocks, profiles, strict=True)
        return [score for block, profile in pairs for score in self._score([block], [profile])]

    def _moved(self, name: str) -> list[Profile]:
        """A machine's profile where its threshold has moved; what fails here costs no alarm."""
        try:
            return self.machines[name].moved()
        except Exception as error:  # noqa: BLE001 - one machine must not cost the others
            self._failures.append(Failure(name, repr(error)))
            return []

    def _judge(self, block: ScoreBlock, alarms: list[Alarm]) -> ScoreBlock | None:
        """Add what the block's windows call for to `alarms`; returns the block by the thresholds now in use.

        None where that fails: its windows count as skipped.
        """
        name = block.windows.machine
        try:
            block, called = self.machines[name].judge(block, settings=self._settings)
        except Exception as error:  # noqa: BLE001 - one machine must not cost the others
            self._failures.append(Failure(name, repr(error)))
            self.books.book_skipped(len(block.windows.values))
            return None
        alarms += called
        return block


def _fits(template: Profile | None, profile: Profile) -> bool:
    """Whether the template can stand in for the profile of a machine."""
    return template is not None and set(template.channels) == set(profile.channels)
