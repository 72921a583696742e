"""One round of the service, without threads and MQTT: a turn's messages in, alarms lined up, state on disk.

What `process` has returned from may be acknowledged. Everything that outlives a restart goes through here.
"""

import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import attrgetter

from edge_agent import __version__
from edge_agent.alarms import state as alarm_state
from edge_agent.alarms.local_time import moment
from edge_agent.alarms.machines import PipelineMachines
from edge_agent.alarms.management.next_profiles import NextProfiles
from edge_agent.alarms.management.notes import MachineNotes, encode, restored
from edge_agent.alarms.manager import LIFECYCLE, AlarmManager
from edge_agent.config.file import Config
from edge_agent.cycles.rules import is_cycle
from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.formats.last_will import LastWills
from edge_agent.logs import Throttle, get_logger
from edge_agent.metrics.exporter import Exporter
from edge_agent.model.bundle import Bundle
from edge_agent.model.lazy_arrays import LazyArrays
from edge_agent.mqtt.inbox import Batch
from edge_agent.mqtt.outbox import Outbox
from edge_agent.pipeline.machine import Memento, profile_identity
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.programs.machine_cycles import kept_name
from edge_agent.pipeline.results import CommissionRequest, Failure, Observer, StepResults
from edge_agent.records import Alarm, Decoded, Delivery, Frame, Profile, ReceivedMessage, SourceEvents
from edge_agent.sensors.source_monitor import SourceMonitor
from edge_agent.sensors.watch_monitor import WatchMonitor
from edge_agent.service.cameras.running import Cameras
from edge_agent.service.learning_worker import Learner
from edge_agent.service.wiring import (
    TimedScorer,
    bundle_profile,
    machine_of,
    manager_settings,
    message_decoder,
    pipeline_settings,
)
from edge_agent.signals.machine_rules import MachineFacts, facts_of
from edge_agent.store.beside_profiles import BesideProfiles
from edge_agent.store.database import Database
from edge_agent.store.journal import Journal, JournalContents
from edge_agent.store.risky_work import RiskyWork
from edge_agent.store.state_dir import DATABASE, Loaded, StateDir
from edge_agent.store.state_writer import Report, StateWriter, restore

log = get_logger()

SOURCES, WATCH = "sources", "watch"
_RETELL_S = 1.0
_NAMED = 5
"""Machines that health names; the rest is a number."""
MACHINE_NOTES = "machine_notes"
LEARNING = "learning.json"
"""Which machines were being learnt when processes died."""
_AT_S = attrgetter("at_s")
_KIND_CHARACTERS = 60
_WEEK_NS = 7 * 24 * 3600 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Clocks:
    """What the time is: for spans in seconds from somewhere, and for people in nanoseconds since 1970."""

    monotonic_s: Callable[[], float] = time.monotonic
    wall_ns: Callable[[], int] = time.time_ns


CLOCKS = Clocks()
"""The computer's own."""


@dataclass(slots=True)
class Turn:
    """What goes into one round of the service; the agent's parts add to it and take out of it before it is made.

    Attributes:
        batch: sensor messages.
        commands: command messages, from people over MQTT or the page.
        source_events: what sources with a state of their own have decoded.
        hearing: whether sensor messages can reach us.
        listening: whether every source can be heard just now, so that a silence is the machine's own.
        living: machines that live though no rows of them may come.
    """

    batch: Batch = field(default_factory=lambda: Batch((), (), 0))
    commands: list[ReceivedMessage] = field(default_factory=list)
    source_events: list[SourceEvents] = field(default_factory=list)
    hearing: bool = True
    listening: bool = True
    living: frozenset[str] = frozenset()


class TurnProcessor:
    """Pipeline, learner, outbox and state writer of one agent. Belongs to one thread."""

    def __init__(
        self,
        config: Config,
        *,
        scorer: TimedScorer,
        store: StateDir,
        exporter: Exporter,
        report: Report,
        observers: Sequence[Observer] = (),
        learner: Learner | None = None,
        clocks: Clocks = CLOCKS,
    ) -> None:
        self.internal_errors = 0
        """Exceptions that were contained."""
        self.gave_way = 0  # machines that were not learnt and had gone silent, to new ones
        self.outbox = Outbox(
            limit=config.alerts.outbox_messages,
            bytes_limit=config.alerts.outbox_bytes,
            receipts=bool(config.alerts.receipt_topic),
            monotonic=clocks.monotonic_s,
        )
        self.state_writer = StateWriter(
            Database(store.path(DATABASE)),
            store=store,
            journal=Journal(config.journal.mode, snapshot_s=config.journal.snapshot_s),
            outbox=self.outbox,
            report=report,
            timed=exporter.commit_seconds.time,
        )
        circumstances = f"{__version__} {config.limits.learning_bytes} {scorer.bundle.digest}"
        self.learner = learner or Learner(
            scorer=scorer,
            settings=pipeline_settings(config),
            risky=RiskyWork(store.path(LEARNING), circumstances=circumstances),
        )
        self.pipeline: Pipeline
        self.alarm_manager: AlarmManager
        self.next_profiles: NextProfiles
        self._notes = MachineNotes()
        self._forgotten: list[str] = []
        self._beside: BesideProfiles
        self._config = config
        self._store = store
        self._scorer = scorer
        self._exporter = exporter
        self._observers = tuple(observers)
        self._monotonic = clocks.monotonic_s
        self._wall_clock_ns = clocks.wall_ns
        self.sources = SourceMonitor(machines_limit=config.limits.machines)
        self.watch = WatchMonitor()
        self._wills = LastWills(config.wills)
        self.cameras = Cameras(config, self.outbox)
        self._untold: dict[str, tuple[Alarm, str]] = {}
        """Alarms that could not be handed on, by id, with the reason: tried again."""
        self._retold_s = 0.0
        self._trouble = ""
        """What broke off the last turn."""
        self._watch_trouble = ""  # why it is not known whether machines are watched
        self._behind = False
        """Whether a turn broke off since alarms were last held against those that were told."""
        self._failure_lines = Throttle(monotonic=clocks.monotonic_s)

    def begin(self, loaded: Loaded) -> None:
        """Build the pipeline and let it go on where an earlier process stood.

        Raises:
            BundleError: the bundle's own profile cannot be read.
        """
        config = self._config
        self.pipeline = Pipeline(
            decode=self._decoder(config),
            scorer=self._scorer,
            settings=pipeline_settings(config),
            profiles=loaded.profiles,
            template=bundle_profile(self._scorer.bundle),
        )
        now_s = self._monotonic()
        self._beside = BesideProfiles(config.agent.state_dir)
        found = self.state_writer.load(now_s=now_s)
        self.pipeline.cycles.restore(self.state_writer.kept_values())
        self._restore_machines(loaded, found)
        self.state_writer.restore_alarm_windows(self.pipeline)
        machines_port = self._machines_port()
        machines_port.restore()
        self.state_writer.choose_value(LIFECYCLE, readable=lambda raw: alarm_state.decode(raw) is not None)
        states = self.state_writer.kept_values()
        self._restore_notes(states)
        self.cameras.restore(states)
        for name, monitor in ((SOURCES, self.sources), (WATCH, self.watch)):
            if not monitor.restore(states.get(name)):
                log.warning("state_value_unusable", name=name, bytes=len(states[name]))
        self.alarm_manager = AlarmManager(
            manager_settings(config), outbox=self.outbox, machines=machines_port, states=states
        )
        self.alarm_manager.resume(
            (*self.pipeline.machines.open_alarms(), *self.open_findings()), now_ns=self._wall_clock_ns()
        )
        self.state_writer.begin(self.pipeline, now_s=now_s)
        self.learner.start()

    def _decoder(self, config: Config) -> Callable[[Delivery], Decoded]:
        decode = message_decoder(config, monotonic=self._monotonic, stamped=self.sources.stamped)
        return self.cameras.reading(decode)

    def _restore_machines(self, loaded: Loaded, found: JournalContents) -> None:
        """Let the machines go on; one of which something is open and nothing usable is known stands still."""

        def find_aside(memento: Memento) -> Profile | None:
            return self._store.find_aside(
                memento.machine, wanted=lambda profile: profile_identity(profile) == memento.profile
            )

        def why_not(machine: str) -> str:
            foreign = loaded.why_not(machine)
            return "what was learnt of it is gone" if foreign is None else f"{foreign.why}: {foreign.reason}"

        beside = self._beside.load("next", encoder=self._scorer.bundle.encoder)
        stopped = restore(
            self.pipeline,
            found,
            find_aside=find_aside,
            why_not=why_not,
            beside={profile.machine: profile for profile in beside},
        )
        if stopped.afresh:
            log.warning(
                "machines_begin_afresh", machines=list(stopped.afresh), reason="nothing usable is known"
            )
        for machine, reason in stopped.resting.items():
            log.error("machine_not_watched", machine=machine, reason=reason)

    def _machines_port(self) -> PipelineMachines:
        """What commands reach of the machines."""
        self.next_profiles = NextProfiles(
            self.pipeline,
            self._beside,
            on_changed=self._keep,
            on_touched=self.state_writer.note_changed_machine,
        )
        self.next_profiles.restore(self._beside.load("previous", encoder=self._scorer.bundle.encoder))
        return PipelineMachines(
            self.pipeline,
            self._store,
            state_dir=self._config.agent.state_dir,
            next_profiles=self.next_profiles,
            notes=self._notes,
            on_changed=self._keep,
            on_forgotten=self._forgot_for_good,
            on_said=self._said,
            on_rows=self._learn_from,
            pictures=self.cameras,
        )

    def _learn_from(self, request: CommissionRequest) -> None:
        self.state_writer.note_changed_machine(request.machine)
        self.learner.submit(request)

    def _restore_notes(self, states: Mapping[str, bytes]) -> None:
        """What people said of machines in an earlier life."""
        notes = restored(states, MACHINE_NOTES)
        if notes is None:
            log.warning("state_value_unusable", name=MACHINE_NOTES, bytes=len(states[MACHINE_NOTES]))
            return
        self._notes.names.update(notes.names)
        self._notes.budgets.update(notes.budgets)
        self._hear_of_machines()

    def _said(self) -> None:
        self.state_writer.keep_value(MACHINE_NOTES, encode(self._notes))
        self._hear_of_machines()

    def _hear_of_machines(self) -> None:
        """What people said by command comes before what the configuration says."""
        configured = pipeline_settings(self._config)
        self.pipeline.hear_of_machines((*self._notes.rules(), *configured.machine_rules))
        self.learner.adopt(scorer=self._scorer, settings=self.pipeline.settings)

    def facts(self) -> Mapping[str, MachineFacts]:
        """What people say of every machine that is known."""
        rules = self.pipeline.settings.machine_rules
        return {name: facts_of(rules, name) for name in self.pipeline.machines} if rules else {}

    def open_findings(self) -> tuple[Alarm, ...]:
        """What is wrong with sensors and sources, and which machines are not watched."""
        findings = (*self.pipeline.machines.open_findings(), *self.cameras.desk.open_findings)
        return (*findings, *self.sources.open_findings, *self.watch.open_findings)

    def amiss(self) -> list[str]:
        """Which machines are not watched and which alarms nobody was told of, for health; from any thread."""
        unwatched, untold = dict(self.watch.unwatched), dict(self._untold)
        zone, now_ns = self._config.site.zone, self._wall_clock_ns()
        lines = [
            f"not watched: {name} since {moment(one.since_ns, zone, beside_ns=now_ns)}: {one.reason}"
            for name, one in [*unwatched.items()][:_NAMED]
        ]
        lines += [f"not watched: {len(unwatched) - _NAMED} more machines"] if len(unwatched) > _NAMED else []
        if trouble := self._watch_trouble:
            lines.append(f"it is not known which machines are watched: {trouble}")
        if no_place_for := self.pipeline.no_place_for:
            lines.append(
                f"no place for {no_place_for}: all {self._config.limits.machines} of limits.machines are taken, or "
                "the memory for rows to learn from is; `edge-agent machines forget` makes room"
            )
        lines += self.cameras.amiss()
        lines += [f"could not be told: {alarm} ({error})" for alarm, (_, error) in [*untold.items()][:_NAMED]]
        return lines

    def spent(self) -> Mapping[str, int]:
        """Alarms of the last week by machine, of each that had any, but for those that people called a fault."""
        raised = self.alarm_manager.lifecycle.raised_since(self._wall_clock_ns() - _WEEK_NS)
        named = self.pipeline.machines.fault_of
        return Counter(machine for machine, alarm in raised if not named(machine, alarm))

    def _forgot(self, machine: str) -> None:
        self.sources.forget(machine)
        self.watch.forget(machine)
        self.cameras.desk.forget(machine)
        self.learner.forgive(machine)
        self.state_writer.rewrite_next_turn()

    def _forgot_for_good(self, machine: str) -> None:
        self.cameras.drop_files(machine)
        self._forgot(machine)
        if kept_name(machine) in self.state_writer.kept_values():
            self.state_writer.keep_value(kept_name(machine), None)
        self._forgotten.append(machine)
        for observer in self._observers:
            observer.observe_forgotten(machine)

    def _forget_history(self) -> None:
        """What a person has forgotten goes from the history, too, behind what its forgetting has closed."""
        for machine in self._forgotten:
            self.alarm_manager.incidents.forget(machine)
        self._forgotten.clear()

    def adopt(self, config: Config, *, scorer: TimedScorer, template: Profile | None) -> None:
        """Go on by another configuration and model, between two turns."""
        settings = pipeline_settings(config)
        settings = replace(settings, machine_rules=(*self._notes.rules(), *settings.machine_rules))
        self._config, self._scorer = config, scorer
        self._wills = LastWills(config.wills)
        self.cameras.adopt(config)
        self.pipeline.adopt(decode=self._decoder(config), scorer=scorer, settings=settings, template=template)
        self.learner.adopt(scorer=scorer, settings=settings)
        self.alarm_manager.adopt(manager_settings(config))

    def process(self, turn: Turn) -> None:
        """Work a turn off: then its messages may be acknowledged. It never raises."""
        try:
            self._install_learnt()
        except Exception as error:  # noqa: BLE001 - the agent goes on
            self.contain("installing a profile", error)
        batch = turn.batch
        books = self.pipeline.books
        received = books.ledger.received + batch.shed + len(batch.arrivals)
        received += sum(events.outcome is not None for events in turn.source_events)
        books.book("shed", batch.shed)
        step, lost = StepResults(), bool(batch.arrivals or turn.source_events)
        try:
            self._interrupt(batch.passed_over)
            if lost:
                step, lost = self._step(turn), False
            now_ns = self._wall_clock_ns()
            pictured = self.cameras.turn(self.state_writer.keep_value)
            self._tell(
                (*step.alarms, *step.findings, *pictured), now_ns=now_ns
            )  # before all else that may fail
            for observer in self._observers:
                observer.observe_step(step)
            self._keep_what_is_learnt(step)
            self._tell(self._check_sources(turn, step, now_ns=now_ns), now_ns=now_ns)
            self.alarm_manager.incidents.take_scores(step.scores)
            if batch.arrivals or turn.source_events:
                self._trouble = ""
            self.alarm_manager.obey_commands(turn.commands, now_ns=now_ns)
            self._forget_history()
            self.alarm_manager.tick(now_ns=now_ns)
        except Exception as error:  # noqa: BLE001 - the agent goes on, and what it hit is not tried for ever
            self.contain("a turn", error)
            self._trouble, self._behind = repr(error), True
            self.watch.observe((), broke_off=repr(error) if lost else "")
            self.state_writer.rewrite_next_turn()
            books.book_rest(received)
        self._watch_over(step)
        self._keep_turn(step)

    def _interrupt(self, passed_over: Iterable[str]) -> None:
        """Machines that lost rows are told; where that fails, it costs no row of any."""
        try:
            self.pipeline.machines.interrupt(passed_over)
        except Exception as error:  # noqa: BLE001 - as above
            self.contain("interrupting", error)

    def _keep_turn(self, step: StepResults) -> None:
        """Write down what the turn has changed; whatever fails here is tried again."""
        try:
            changed = {**self.alarm_manager.take_states(), **self.pipeline.cycles.changes()}
            for name, value in changed.items():
                self.state_writer.keep_value(name, value)
            for name, monitor in ((SOURCES, self.sources), (WATCH, self.watch)):
                if (kept := monitor.changes()) is not None:
                    self.state_writer.keep_value(name, kept)
            self.state_writer.write_turn(step, now_s=self._monotonic())
        except Exception as error:  # noqa: BLE001 - as above; disks that fail are no exception here
            self.contain("keeping", error)
            self.state_writer.rewrite_next_turn()

    def _tell(self, alarms: Iterable[Alarm], *, now_ns: int) -> None:
        """Hand alarms on, each by itself; one that fails keeps back no other and is tried again every second."""
        now_s = self._monotonic()
        due = now_s - self._retold_s >= _RETELL_S
        again = [alarm for alarm, _ in self._untold.values()] if due else []
        self._retold_s = now_s if due else self._retold_s
        for alarm in (*again, *alarms):
            try:
                self.alarm_manager.take_alarms((alarm,), now_ns=now_ns)
            except Exception as error:  # noqa: BLE001 - one alarm must not cost the others
                self.contain(alarm.id, error)
                self._untold[alarm.id] = alarm, repr(error)
            else:
                self._untold.pop(alarm.id, None)

    def _machine_of(self, subject: str) -> str:
        """The machine that a failure is about: it names the machine, or the topic of its message."""
        if subject in self.pipeline.machines:
            return subject
        return machine_of(self._config)(subject) or subject

    def _watch_over(self, step: StepResults) -> None:
        """See from outside which machines are not watched, and tell alarms that a turn that broke off has lost."""
        try:
            now_s, now_ns = self._monotonic(), self._wall_clock_ns()
            self.watch.observe(
                (score.windows.machine for score in step.scores),
                ((self._machine_of(failure.subject), failure.error) for failure in step.failures),
            )
            if not self.watch.due(now_s=now_s):
                return
            found = self.watch.check(
                self.pipeline.machines.progress(window_rows=self.pipeline.window_rows),
                now_s=now_s,
                now_ns=now_ns,
                model=self._scorer.bundle.digest,
                trouble=self._trouble,
            )
            for name, machine in self.pipeline.machines.items():
                unwatched = self.watch.unwatched.get(name)
                machine.unwatched = "" if unwatched is None else f"not watched: {unwatched.reason}"
            lost: Iterable[Alarm] = ()
            if self._behind:
                told = {record.alarm.id for record in self.alarm_manager.lifecycle.kept.records.values()}
                there = (*self.pipeline.machines.open_alarms(), *self.open_findings())
                lost, self._behind = [alarm for alarm in there if alarm.id not in told], False
            self._tell((*lost, *found), now_ns=now_ns)
            self._watch_trouble = ""
        except Exception as error:  # noqa: BLE001 - the agent goes on
            self.contain("watching over the watch", error)
            self._watch_trouble = repr(error)

    def _keep_what_is_learnt(self, step: StepResults) -> None:
        """Have learnt what is to be, settle what was compared, and keep thresholds that have moved."""
        for request in (*step.commissions, *step.relearn):
            self.learner.submit(request)
        for told in step.compared:
            self.next_profiles.settle(told)
        for profile in step.moved:
            self._keep(profile)
            self._tell_of_drift(profile.machine)

    @property
    def bundle(self) -> Bundle:
        """The model bundle in use."""
        return self._scorer.bundle

    def release(self, machine: str) -> None:
        """Another agent has the machine now: end its alarm and forget it, between two turns; its file stays."""
        self.pipeline.forget(machine)
        self.alarm_manager.hand_over(machine)
        self._forgot(machine)

    def take_over(self, profile: Profile) -> None:
        """Go on with a machine by what another agent has learnt of it, between two turns."""
        profile = replace(profile, memory=LazyArrays(profile.memory))
        self.pipeline.install(profile)
        self.state_writer.note_changed_machine(profile.machine)
        self.state_writer.save_profile(profile, now_s=self._monotonic())

    def _keep(self, profile: Profile) -> None:
        self.state_writer.save_profile(profile, now_s=self._monotonic())
        for observer in self._observers:
            observer.observe_profile(profile)

    def contain(self, subject: str, error: Exception) -> None:
        """Count an exception that was caught, and name it in the log now and then."""
        self.internal_errors += 1
        where = "".join(traceback.format_tb(error.__traceback__, limit=-2))
        self._log_failures([Failure(subject, f"{error!r}\n{where}")])

    def _log_failures(self, failures: Iterable[Failure]) -> None:
        """One line for each kind of exception and minute."""
        for failure in failures:
            kind = failure.error.partition("(")[0][:_KIND_CHARACTERS]
            if self._failure_lines.passes(kind):
                log.error(
                    "internal_error",
                    subject=ascii(failure.subject[:120]),
                    error=failure.error[:500],
                    untold=self._failure_lines.kept_back(kind),
                )

    def _step(self, turn: Turn) -> StepResults:
        new, again = turn.batch.unused(self.state_writer.marks)
        self.pipeline.books.book("duplicate", again)
        deliveries, wills, there = self._wills.part(new)
        self.sources.observe_wills(there)
        started = time.perf_counter()
        step = self.pipeline.step(deliveries, [*turn.source_events, *wills])
        self._exporter.step_seconds.observe(time.perf_counter() - started)
        now_s = self._monotonic()
        for at_s, together in groupby(turn.batch.arrivals, key=_AT_S):
            self._exporter.decision_seconds.observe(now_s - at_s, times=sum(1 for _ in together))
        self.gave_way += len(step.gone)
        if step.gone and self._failure_lines.passes("gave way"):
            log.warning("machine_gave_way", machine=step.gone[-1], all=self.gave_way)
        for name in step.turned_away:
            log.warning("machine_turned_away", machine=name, reason=self.pipeline.machines[name].turned_away)
        if step.failures:
            self.internal_errors += len(step.failures)
            self._log_failures(step.failures)
        return step

    def _check_sources(self, turn: Turn, step: StepResults, *, now_ns: int) -> tuple[Alarm, ...]:
        """What begins and ends about the machines' sources; cycles have none of their own."""
        config = self._config
        machines = {name: one for name, one in self.pipeline.machines.items() if not is_cycle(name)}
        events = [event for events in turn.source_events for event in events.events]
        told = [event.machine for event in events if isinstance(event, Frame)]
        touched = machines.keys() & step.touched
        changes = {name for name in touched if machines[name].rows.store.values_stand}
        self.sources.observe_rows(touched, now_s=self._monotonic(), told=told, changes=changes)
        if not self.sources.due(now_s=self._monotonic()):
            return ()
        enabled = config.quality.enabled
        profiles = {name: machine.profile for name, machine in machines.items()} if enabled else {}
        found = self.sources.check(
            machines.keys(),
            learnt={name: known.period_ns / 1e9 for name, known in profiles.items() if known is not None},
            sources=[one.topic for one in config.source if one.clock == "source"] if enabled else (),
            living=turn.living,
            listening=turn.listening,
            now_s=self._monotonic(),
            now_ns=now_ns,
            model=self._scorer.bundle.digest,
        )
        for alarm in found:
            if alarm.state == "open" and (ahead_s := self.sources.ahead_s(alarm.id)) is not None:
                log.warning("clock_skew", machine=alarm.machine, id=alarm.id, ahead_s=round(ahead_s, 1))
        return found

    def _install_learnt(self) -> None:
        for learnt in self.learner.finished():
            self._exporter.commission_seconds.observe(learnt.took_s)
            self.state_writer.note_changed_machine(learnt.machine)
            if learnt.beside:
                self.next_profiles.learnt(learnt.machine, learnt.result)
                continue
            if not isinstance(learnt.result, str) and learnt.result.encoder != self._scorer.bundle.encoder:
                self.pipeline.relearn(learnt.machine)
                continue
            if isinstance(learnt.result, str):
                self.pipeline.fail(learnt.machine, learnt.result)
                log.warning("machine_failed", machine=learnt.machine, reason=learnt.result)
                continue
            # What is watched with now is what a restart will read.
            profile = replace(learnt.result, memory=LazyArrays(ENSEMBLE.compact(learnt.result.memory)))
            self.pipeline.install(profile)
            self._keep(profile)
            log.info(
                "machine_commissioned",
                machine=learnt.machine,
                channels=list(learnt.result.channels),
                rows=learnt.result.rows,
                threshold=round(learnt.result.threshold, 4),
                took_s=round(learnt.took_s, 2),
            )

    def _tell_of_drift(self, machine: str) -> None:
        """Say, each time a moved threshold is kept, about once in a day, that it has moved far."""
        status = self.pipeline.statuses()[machine]
        if status.drifted and status.threshold_ratio is not None:
            log.warning("machine_drifted", machine=machine, threshold_ratio=round(status.threshold_ratio, 2))
