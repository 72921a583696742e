"""The machines of a pipeline by name, and what others ask of them between two steps. Pure; scores nothing."""

from collections.abc import Iterable

from edge_agent.detect.off_delay import OffDelay
from edge_agent.detect.scorer import Scorer
from edge_agent.detect.trigger import Trigger
from edge_agent.diagnose.fault_naming import FaultNaming, Refused
from edge_agent.pipeline.acceptance import Accepted, NotAccepted
from edge_agent.pipeline.condition import Condition
from edge_agent.pipeline.machine import Machine
from edge_agent.pipeline.results import Labelled, MachineView
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.pipeline.validation import new_rows
from edge_agent.records import Alarm, Profile
from edge_agent.sensors.watch_monitor import Progress
from edge_agent.signals.machine_rules import facts_of

_LOOKS = 8
"""Times that all machines are looked at for who gives way, while as many frames come as make one quiet."""


class Machines(dict[str, Machine]):
    """Every machine heard or restored."""

    def __init__(self) -> None:
        super().__init__()
        self._quiet: list[str] = []  # who may give way, as of the last look; first at the end
        self._looked_frames = -(10**9)
        self._full_ns = 0  # when there was no room first: since then a machine of an earlier process is quiet

    def add(self, name: str, settings: PipelineSettings, *, scorer: Scorer) -> Machine:
        """A machine of which nothing is known yet."""
        condition = Condition(
            settings.alarm,
            model=scorer.bundle.digest,
            weight=facts_of(settings.machine_rules, name).weight,
        )
        machine = self[name] = Machine(
            rows=new_rows(name, settings, scorer=scorer),
            trigger=Trigger(settings.trigger),
            condition=condition,
            off_delay=OffDelay(settings.off_delay, grade=lambda: condition.severity),
            naming=FaultNaming(name, settings.naming),
            wanted_at=settings.rows_to_learn(name),
        )
        return machine

    def label(self, name: str, *, alarm: str, fault: str, by: str = "") -> Labelled | Refused:
        """Call an alarm by its fault: the machine's later alarms that look like it carry the name.

        Args:
            name: of the machine.
            alarm: id of one that is open or among the last that closed, or of one named before.
            fault: what it was.
            by: who says so.

        Returns:
            What must be stored and said, or why the name was not taken.
        """
        known = self.get(name)
        if known is None:
            return Refused("unknown_machine", f"no machine {name!r} was heard")
        library = known.naming.name(alarm, fault)
        if isinstance(library, Refused):
            return library
        spelt = next(case.fault for case in library.cases if case.alarm == alarm)
        is_open = known.condition.open_alarm is not None and known.condition.open_alarm.id == alarm
        return Labelled(spelt, library, known.condition.name_fault(spelt, by=by) if is_open else None)

    def accept(self, name: str, *, alarm: str, by: str, time_ns: int) -> Accepted | NotAccepted:
        """Take what a notice of the machine told of for normal from now on; what must be kept, or why not."""
        machine = self.get(name)
        if machine is None:
            return NotAccepted("unknown_machine", f"no machine {name!r} was heard")
        return machine.accept(alarm, by=by, time_ns=time_ns)

    def take_back(self, alarm: str) -> Accepted | NotAccepted:
        """What was accepted of an alarm, of whichever machine, is no longer normal."""
        found = (machine.take_back(alarm) for machine in self.values())
        none = NotAccepted(None, f"nothing was accepted of {alarm}")
        return next((one for one in found if one is not None), none)

    def view(self, name: str, *, latest_rows: int) -> MachineView | None:
        """A machine's latest rows beside what is usual; None where the machine is not known."""
        machine = self.get(name)
        return None if machine is None else machine.view(latest_rows)

    def profile_of(self, name: str) -> Profile | None:
        """What was learnt of a machine; None while nothing is."""
        machine = self.get(name)
        return None if machine is None else machine.profile

    def fault_of(self, name: str, alarm: str) -> str:
        """What people called the machine's alarm; empty where nobody did."""
        machine = self.get(name)
        cases = () if machine is None else machine.naming.library.cases
        return next((case.fault for case in cases if case.alarm == alarm), "")

    def interrupt(self, names: Iterable[str]) -> None:
        """These machines lost rows: no window of theirs bridges what is missing."""
        for name in names:
            if (machine := self.get(name)) is not None:
                machine.rows.interrupt()

    def gives_way(self, *, frames: int, quiet_frames: int, now_ns: int) -> str | None:
        """Who makes room for a new machine: one that sent little and nothing for long, never a learnt one.

        All are looked at together now and then, so that a flood of new names costs little for each.

        Args:
            frames: heard of all machines so far.
            quiet_frames: of others, since the last of a machine: by these its silence is measured.
            now_ns: wall clock; 0 where it is not known.
        """
        self._full_ns = self._full_ns or now_ns

        def is_quiet(name: str) -> bool:
            machine = self.get(name)
            return machine is not None and machine.gives_way(
                quiet_ns=now_ns - (machine.heard_ns or self._full_ns),
                others_heard=(frames - machine.heard) / quiet_frames,
            )

        for looked in (False, True):
            while self._quiet:
                if is_quiet(name := self._quiet.pop()):
                    return name
            if looked or frames - self._looked_frames < quiet_frames // _LOOKS:
                return None
            self._looked_frames = frames
            quiet = [
                (self[name].rows.store.row_count, self[name].heard, name) for name in self if is_quiet(name)
            ]
            self._quiet = [name for _, _, name in sorted(quiet, reverse=True)]
        return None

    def progress(self, *, window_rows: int) -> dict[str, Progress]:
        """How far the rows of each machine are that was learnt, or that stands still."""
        found = {}
        for name, machine in self.items():
            profile, store = machine.profile, machine.rows.store
            held = "" if machine.resting is None else machine.reason
            if profile is None and not held:
                continue
            found[name] = Progress(
                rows=store.row_count,
                segment_rows=store.row_count - store.segment_row,
                window_rows=min(window_rows, machine.rows.window_rows),
                hop_rows=1 if profile is None else profile.hop_rows,
                period_s=0.0 if profile is None else profile.period_ns / 1e9,
                held=held,
            )
        return found

    def open_alarms(self) -> tuple[Alarm, ...]:
        """The latest revision of every open alarm."""
        alarms = (machine.condition.open_alarm for machine in self.values())
        return tuple(alarm for alarm in alarms if alarm is not None)

    def open_findings(self) -> tuple[Alarm, ...]:
        """What is wrong with sensors, and what machines do that was never learnt."""
        return tuple(alarm for machine in self.values() for alarm in machine.open_findings)
