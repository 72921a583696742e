"""What commands reach beside alarms: the pipeline's machines and what the store keeps of them. Called between steps."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from edge_agent.alarms.command_handler import AcceptOutcome, LabelOutcome
from edge_agent.alarms.management.next_profiles import Decision, NextProfiles
from edge_agent.alarms.management.notes import MachineNotes
from edge_agent.alarms.outcomes import MachineOutcome
from edge_agent.diagnose.fault_library import FaultLibrary
from edge_agent.diagnose.fault_naming import Refused
from edge_agent.errors import StateError
from edge_agent.logs import get_logger
from edge_agent.pipeline.acceptance import Accepted, NotAccepted
from edge_agent.pipeline.cameras.answers import PictureAnswer
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.relearning.successor import without_channels
from edge_agent.pipeline.results import CommissionRequest, MachineStatus
from edge_agent.pipeline.settings import GATHERED_BYTES, GATHERED_SHARE
from edge_agent.records import Frame, Profile
from edge_agent.signals.machine_rules import MachineFacts, facts_of
from edge_agent.store import fault_library
from edge_agent.store.state_dir import StateDir
from edge_agent.topics import is_name

log = get_logger()

_V = TypeVar("_V")
_CHANNELS_NAMED = 10


class PictureAnswers(Protocol):
    """Where answers to unusual pictures go; a picture has an id of its own and that of the alarm that showed it."""

    def machine_of(self, picture: str) -> str | None:
        """The machine that it shows; None where no such picture is kept."""

    def name(self, picture: str, fault: str, *, by: str) -> PictureAnswer:
        """It shows that."""

    def accept(self, picture: str) -> PictureAnswer:
        """It is good."""

    def take_back(self, picture: str) -> PictureAnswer:
        """It is not good after all."""


class PipelineMachines:
    """The agent's machines, as the command handler's `MachinesPort`."""

    def __init__(  # noqa: PLR0913 - each is the door to another part
        self,
        pipeline: Pipeline,
        store: StateDir,
        *,
        state_dir: Path,
        next_profiles: NextProfiles,
        notes: MachineNotes,
        on_changed: Callable[[Profile], None],
        on_forgotten: Callable[[str], None],
        on_said: Callable[[], None],
        on_rows: Callable[[CommissionRequest], None],
        pictures: PictureAnswers,
    ) -> None:
        """Begin.

        Args:
            pipeline: of the machines.
            store: what is kept of them.
            state_dir: where their named alarms are.
            next_profiles: of machines that are learnt anew beside the profile that watches them.
            notes: what people said of machines by command; changed here.
            on_changed: keeps a profile that has changed.
            on_forgotten: is called when a machine is gone, so that what is kept of it elsewhere goes, too.
            on_said: is called when `notes` have changed: they are to be kept, and to count.
            on_rows: has a machine learnt from rows of a recording.
            pictures: where answers to unusual pictures go.
        """
        self._next_profiles = next_profiles
        self._notes = notes
        self._on_said = on_said
        self._on_rows = on_rows
        self._pictures = pictures
        self._pipeline = pipeline
        self._on_changed = on_changed
        self._on_forgotten = on_forgotten
        self._store = store
        self._state_dir = state_dir

    def restore(self) -> None:
        """Give the pipeline the alarms that people have named before.

        Raises:
            StateError: the state directory cannot be read.
        """
        libraries, aside = fault_library.load(self._state_dir)
        for path, reason in aside:
            log.warning("state_file_set_aside", path=str(path), reason=reason)
        for library in libraries:
            self._pipeline.install_faults(library)

    def statuses(self) -> Mapping[str, MachineStatus]:
        """Every machine heard or restored."""
        return self._pipeline.statuses()

    def label(self, machine: str, *, alarm: str, fault: str, by: str) -> LabelOutcome:
        """The alarm's windows become examples of the fault; they are kept first, so that a restart knows it, too."""
        if self._pictures.machine_of(alarm) is not None:
            answer = self._pictures.name(alarm, fault, by=by)
            if not answer.reason:
                log.info("picture_named", machine=machine, picture=alarm, fault=fault)
            return LabelOutcome(answer.reason or "", answer.detail, answer.alarm)
        labelled = self._pipeline.label(machine, alarm=alarm, fault=fault, by=by)
        if isinstance(labelled, Refused):
            return LabelOutcome(labelled.reason, labelled.detail)
        detail = ""
        try:
            fault_library.save(self._state_dir, labelled.library)
        except StateError as error:
            detail = f"known until the agent restarts: {error.reason}"
            log.warning("state_not_saved", path=str(error.path), reason=error.reason)
        log.info("fault_named", machine=machine, alarm=alarm, fault=labelled.fault)
        return LabelOutcome(detail=detail, alarm=labelled.alarm)

    def accept(self, machine: str, *, alarm: str, by: str, time_ns: int) -> AcceptOutcome:
        """What the alarm told of lies in the machine's profile from now on; a picture in its camera's memory."""
        if self._pictures.machine_of(alarm) is not None:
            return self._answered(self._pictures.accept(alarm), picture=alarm, event="picture_accepted")
        found = self._pipeline.machines.accept(machine, alarm=alarm, by=by, time_ns=time_ns)
        return self._kept(found, alarm=alarm, event="accepted")

    def take_back(self, alarm: str) -> AcceptOutcome:
        """What was accepted of the alarm leaves the profile again."""
        answer = self._pictures.take_back(alarm)
        if answer.camera is not None:
            return self._answered(answer, picture=alarm, event="picture_taken_back")
        return self._kept(self._pipeline.machines.take_back(alarm), alarm=alarm, event="acceptance_undone")

    def inspected(self, picture: str) -> str | None:
        """The machine whose unusual picture has that id; None where there is none."""
        return self._pictures.machine_of(picture)

    def _answered(self, answer: PictureAnswer, *, picture: str, event: str) -> AcceptOutcome:
        if answer.camera is None:
            return AcceptOutcome(answer.reason or "", answer.detail, changed=False)
        log.info(event, machine=answer.camera.machine, picture=picture)
        return AcceptOutcome(detail=answer.detail)

    def _kept(self, found: Accepted | NotAccepted, *, alarm: str, event: str) -> AcceptOutcome:
        if isinstance(found, NotAccepted):
            return AcceptOutcome(found.reason or "", found.detail, changed=False)
        self._on_changed(found.profile)
        log.info(event, machine=found.machine, alarm=alarm)
        return AcceptOutcome(detail=found.detail)

    def recommission(self, machine: str) -> str:
        """First what is kept, then what is known: a crash in between finds a machine that is new."""
        try:
            self._store.forget_profile(machine)
        except StateError as error:
            return error.reason
        self._next_profiles.drop(machine)
        self._pipeline.forget(machine)
        self._on_forgotten(machine)
        return ""

    # -- machines as things to manage ------------------------------------------------------------------------

    def facts(self) -> Mapping[str, MachineFacts]:
        """What people say of every machine."""
        rules = self._pipeline.settings.machine_rules
        return {name: facts_of(rules, name) for name in self._pipeline.machines}

    def decide(self, machine: str, decision: Decision, *, by: str, force: bool) -> MachineOutcome:
        """Learn a machine anew beside its profile, or say what becomes of that."""
        return self._next_profiles.decide(machine, decision, by=by, force=force)

    def cells_limit(self) -> int:
        """As much as is gathered of all machines that are to be learnt."""
        return self._pipeline.settings.learning_bytes // GATHERED_SHARE // GATHERED_BYTES

    def learn(self, machine: str, frame: Frame, *, by: str) -> MachineOutcome:
        """Learn a machine from rows of a recording: for the first time, or beside the profile that watches it."""
        pipeline = self._pipeline
        known = pipeline.machines.get(machine)
        if not is_name(machine):
            return MachineOutcome("bad_name", "a machine's name is a level of its topic, without / + #")
        if known is None and len(pipeline.machines) >= pipeline.settings.machines_limit:
            return MachineOutcome("too_many", "limits.machines are taken; forget makes room")
        if known is not None and known.state == "learning" and known.profile is None:
            return MachineOutcome("busy", f"{machine} is being learnt right now")
        heard = () if known is None else tuple(known.rows.store.channels)
        unheard = [name for name in frame.channels if heard and name not in heard]
        rows = without_channels(frame, unheard) if unheard else frame
        if rows is None:
            sends = ", ".join(heard[:_CHANNELS_NAMED])
            return MachineOutcome(
                "not_acceptable", f"{machine} sends {sends}: no column is called so (--rename)"
            )
        if len(rows.channels) > pipeline.settings.channels_limit:
            return MachineOutcome("too_many", f"limits.channels are {pipeline.settings.channels_limit}")
        beside = known is not None and known.profile is not None
        if beside and (busy := self._next_profiles.begin_learning(machine, by=by)) is not None:
            return busy
        if known is None:
            pipeline.install_faults(FaultLibrary(machine))
        self._on_rows(pipeline.relearner.learn_from(rows, beside=beside))
        left_out = f"; left out, since {machine} does not send it: {', '.join(unheard)}" if unheard else ""
        how = " beside the profile that watches it" if beside else ""
        told = f"{machine} is being learnt{how} from {len(rows.rows)} rows of {len(rows.channels)} channels"
        return MachineOutcome(detail=f"{told}{left_out}")

    def say_budget(self, machine: str, per_week: float | None) -> MachineOutcome:
        """A budget of the machine's own."""
        if self._notes.budgets.get(machine) == per_week:
            return MachineOutcome(detail="it has this budget already", changed=False)
        _put(self._notes.budgets, machine, per_week)
        self._on_said()
        facts = facts_of(self._pipeline.settings.machine_rules, machine)
        plain = self._pipeline.settings.budget.false_alarms_per_week
        now = plain if facts.budget_per_week is None else facts.budget_per_week
        return MachineOutcome(detail=f"{now:g} false alarms a week are accepted of {machine}")

    def say_name(self, machine: str, name: str) -> MachineOutcome:
        """What people call a machine."""
        said = None if name in ("", machine) else name
        if self._notes.names.get(machine) == said:
            return MachineOutcome(detail="it is called so already", changed=False)
        _put(self._notes.names, machine, said)
        self._on_said()
        called = facts_of(self._pipeline.settings.machine_rules, machine).display_name or machine
        return MachineOutcome(
            detail=f"{machine} is called {called}; topics, metrics and files go by {machine}"
        )

    def forget(self, machine: str) -> str:
        """First what is kept, then what is known: a crash in between finds a machine that is new."""
        try:
            self._store.forget_machine(machine)
        except StateError as error:
            return f"{error.path}: {error.reason}"
        if self._notes.forget(machine):
            self._on_said()
        self._pipeline.forget(machine)
        self._on_forgotten(machine)
        log.warning("machine_forgotten", machine=machine)
        return ""


def _put(table: dict[str, _V], machine: str, value: _V | None) -> None:
    if value is None:
        table.pop(machine, None)
    else:
        table[machine] = value
