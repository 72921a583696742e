"""Windows kept of alarms, on disk: which are to be written and which to go, and the way back. Belongs to one thread.

Windows of an alarm that is over are held until they are written, and lazy from then on. Those of an open alarm are
held; they are written at a wanted end only, because they change until the alarm is over. Where nothing can be written
they stay held, as many as without a disk.
"""

import errno
from collections.abc import Iterator

from edge_agent.diagnose import alarm_windows
from edge_agent.diagnose.alarm_windows import AlarmWindows
from edge_agent.errors import DatabaseError
from edge_agent.model.lazy_arrays import Lazy
from edge_agent.pipeline.machine import Machine
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import StepResults
from edge_agent.records import Float32
from edge_agent.store.database import Database

_TURN_BYTES = 262_144
"""Written in one turn, and the machine that exceeds it: all machines fall due when a disk is back."""
_LAST_BYTES = 4_194_304
"""Written in one transaction at the end, when no message waits."""


class AlarmWindowStore:
    """Knows what has been written of which machine's alarms."""

    def __init__(self, database: Database, *, turn_bytes: int = _TURN_BYTES) -> None:
        self._database = database
        self._turn_bytes = turn_bytes
        self._written: dict[str, set[str]] = {}  # machine -> alarms
        self._due: dict[str, None] = {}  # an ordered set: machines to look at
        self._offered: dict[str, AlarmWindows] = {}  # by name: held until the transaction is on disk

    def restore(self, pipeline: Pipeline) -> list[str]:
        """Give the machines their alarms' windows back; returns names of those that are altered. It never fails.

        What is kept of machines that are not known any more goes with the next `names_to_keep`.
        """
        damaged = []
        try:
            for name in self._database.alarm_window_names():
                raw = self._database.read_alarm_windows(name)
                try:
                    machine, alarm, windows = alarm_windows.decode(raw or b"")
                except ValueError:
                    damaged.append(name)
                    continue
                if (known := pipeline.machines.get(machine)) is not None:
                    self._hand_back(known, name, alarm, windows)
                    self._written.setdefault(machine, set()).add(alarm)
        except DatabaseError as error:
            damaged.append(f"kept windows: {error.reason}")
        return damaged

    def _hand_back(self, machine: Machine, name: str, alarm: str, windows: AlarmWindows) -> None:
        if alarm != _open_alarm(machine):
            windows.rest(self._lazy_read(name))
        machine.naming.take_up(alarm, windows)

    def due_windows(self, step: StepResults, pipeline: Pipeline) -> dict[str, bytes | None]:
        """What to write and to forget after a step, by name; what there is no room for comes in the next turns."""
        self._due |= {alarm.machine: None for alarm in step.alarms}
        return self._offer(pipeline, limit_bytes=self._turn_bytes)

    def names_to_keep(self, pipeline: Pipeline) -> frozenset[str]:
        """Names of what may be on disk and stays there, for a new or a recovered database; the rest is due again."""
        self._offered.clear()
        self._due = dict.fromkeys(pipeline.machines)
        self._written = {name: set(known.naming.kept) for name, known in pipeline.machines.items()}
        return frozenset(_name(machine, alarm) for machine, those in self._written.items() for alarm in those)

    def last_windows(self, pipeline: Pipeline) -> Iterator[dict[str, bytes | None]]:
        """What is still to be written before a wanted end, open alarms' windows too, in parts."""
        self._due = dict.fromkeys(pipeline.machines)
        while self._due:
            if part := self._offer(pipeline, limit_bytes=_LAST_BYTES, even_open=True):
                yield part

    def mark_written(self) -> None:
        """What was offered is on disk: it is held no longer."""
        for name, windows in self._offered.items():
            windows.rest(self._lazy_read(name))
        self._offered.clear()

    def _offer(
        self, pipeline: Pipeline, *, limit_bytes: int, even_open: bool = False
    ) -> dict[str, bytes | None]:
        self._offered.clear()
        found: dict[str, bytes | None] = {}
        size = 0
        while self._due and size < limit_bytes:
            machine = next(iter(self._due))
            del self._due[machine]
            known = pipeline.machines.get(machine)
            alarms = {} if known is None else dict(known.naming.kept)
            before = self._written.pop(machine, set())
            found |= {_name(machine, alarm): None for alarm in before - alarms.keys()}
            is_open = "" if known is None else _open_alarm(known)
            held = {
                alarm: windows
                for alarm, windows in alarms.items()
                if windows.lazy is None and (even_open or alarm != is_open)
            }
            for alarm, windows in held.items():
                raw = found[_name(machine, alarm)] = alarm_windows.encode(machine, alarm, windows)
                size += len(raw)
            self._offered |= {_name(machine, a): windows for a, windows in held.items() if a != is_open}
            if there := held.keys() | (before & alarms.keys()):
                self._written[machine] = there
        return found

    def _lazy_read(self, name: str) -> Lazy:
        def read() -> Float32:
            try:
                raw = self._database.read_alarm_windows(name)
            except DatabaseError as error:
                raise OSError(errno.EIO, error.reason) from error
            if raw is None:
                raise OSError(errno.ENOENT, "they are not in the database any more")
            return alarm_windows.decode(raw)[2].stacked()

        return read


def _open_alarm(machine: Machine) -> str:
    """Its id; "" where none is open."""
    alarm = machine.condition.open_alarm
    return "" if alarm is None else alarm.id


def _name(machine: str, alarm: str) -> str:
    return f"{machine}/{alarm}"
