"""The machines of a pipeline by name, and what others ask of them between two steps. Pure; scores nothing."""

from collections.abc import Iterable

from edge_agent.diagnose.fault_naming import Refused
from edge_agent.pipeline.acceptance import Accepted, NotAccepted
from edge_agent.pipeline.machine import Machine
from edge_agent.pipeline.results import Labelled, MachineView
from edge_agent.records import Alarm
from edge_agent.sensors.watch_monitor import Progress

_FEW_ROWS = 8


class Machines(dict[str, Machine]):
    """Every machine heard or restored."""

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

    def gives_way(self, *, frames: int, quiet_frames: int) -> str | None:
        """Who makes room for a new machine: one that sent a few rows once and nothing for long, never a learnt one.

        Args:
            frames: heard of all machines so far.
            quiet_frames: so many of others since its last are long.
        """
        quiet = (
            (machine.heard, name)
            for name, machine in self.items()
            if machine.profile is None
            and machine.resting is None
            and machine.state == "commissioning"
            and machine.rows.store.row_count <= _FEW_ROWS
            and frames - machine.heard >= quiet_frames
            and not machine.naming.library.cases
        )
        return min(quiet, default=(0, None))[1]

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
                window_rows=window_rows,
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
