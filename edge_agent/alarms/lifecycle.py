"""The life of alarms after they opened: acknowledged, shelved, suppressed, latched, held, and who is called. Pure.

States after OPC UA Part 9 (4.8) and ISA-18.2. The pipeline says when an alarm opens, changes and closes; operators and
maintenance windows say who wants to hear of it. A machine has one alarm at most; findings about its sensors stand
beside it, under their ids. Whatever hides an alarm, it is
tracked, kept in its retained message and counted; when nothing hides it any more and it is still there, it is raised
again. Every change is a revision, numbered here without gaps, and every alarm that opened ends with one closing.

A shelf lasts at most as long as was asked for, even where the clock is set back: it then starts anew.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

from edge_agent.alarms.flood import FloodSettings, Gate
from edge_agent.alarms.maintenance import EVERY_MACHINE, Window
from edge_agent.alarms.state import (
    Acknowledgement,
    Event,
    Memory,
    Past,
    Quiet,
    Record,
    Telling,
    closed,
)
from edge_agent.records import Alarm, Severity

_TICK_NS = 1_000_000_000
_SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_SPOKEN_WHILE_MASKED: frozenset[Event] = frozenset({"acknowledged", "labelled", "latched"})
"""What readers of an alarm are told of it even while it is shelved or suppressed, beside a change of that."""


@dataclass(frozen=True, slots=True)
class LifecycleSettings:
    """How alarms live.

    Attributes:
        latched: an alarm stays until it is acknowledged, even if its machine is calm again.
        history: closed alarms that can still be acknowledged or named.
        quiets_limit: machines that can be shelved, and that can be suppressed, at a time.
    """

    latched: bool = False
    history: int = 500
    quiets_limit: int = 1000
    flood: FloodSettings = field(default_factory=FloodSettings)


class Lifecycle:
    """Holds how every alarm stands. Each method returns the revisions that it calls for, in order."""

    def __init__(
        self, settings: LifecycleSettings, *, windows: Sequence[Window] = (), memory: Memory | None = None
    ) -> None:
        self.memory = memory or Memory()
        """What is to be kept over a restart (`standing.encode`)."""
        self._settings = settings
        self._windows = tuple(windows)
        self._gate = Gate(settings.flood, self.memory.raised)
        self._ticked_ns: int | None = None
        self._open_windows: tuple[int | None, list[tuple[Window, Quiet]]] = (None, [])

    def adopt(self, settings: LifecycleSettings, *, windows: Sequence[Window]) -> None:
        """Go on by other settings; the next tick looks at everything by them."""
        self._settings = settings
        self._windows = tuple(windows)
        self._gate = Gate(settings.flood, self.memory.raised)
        self._ticked_ns = None
        self._open_windows = (None, [])

    # -- what the pipeline says ------------------------------------------------------------------------------

    def take(self, alarm: Alarm, *, now_ns: int, event: Event = "updated") -> list[Telling]:
        """A revision of the pipeline; `event` says why where the alarm is known and goes on."""
        said: list[Telling] = []
        record = self.memory.records.get(alarm.subject)
        if record is not None and record.alarm.id != alarm.id:
            said += self._end(record, "superseded")
            record = None
        if record is None:
            # A closing whose opening nobody here remembers was told before the memory was lost.
            told = alarm.state == "closed"
            record = Record(replace(alarm, revision=alarm.revision - 1), told=told)
            event = "opened"
        record = replace(
            record,
            alarm=replace(alarm, revision=record.alarm.revision),
            acknowledgement=None if _graver(alarm, record.alarm) else record.acknowledgement,
            active=True,
            ended_ns=None,
        )
        if alarm.state == "closed":
            return said + self._calm(record, now_ns=now_ns)
        return said + self._speak(record, event, now_ns=now_ns)

    def reconcile(self, open_ids: Collection[str], *, now_ns: int) -> list[Telling]:
        """After a restart: end the alarms that the pipeline does not go on with."""
        lost = [r for r in self.memory.records.values() if r.active and r.alarm.id not in open_ids]
        return [telling for record in lost for telling in self._end(record, "restarted")] + self.tick(now_ns)

    def end(self, machine: str, *, why: Event = "recommissioned") -> list[Telling]:
        """The machine is learnt afresh, or another agent's: its alarm has lost its meaning."""
        mine = [record for record in self.memory.records.values() if record.alarm.machine == machine]
        return [telling for record in mine for telling in self._end(record, why)]

    def tick(self, now_ns: int) -> list[Telling]:
        """What follows from the time alone: shelves and windows that end, held alarms that have room again."""
        ticked = self._ticked_ns
        if ticked is not None and 0 <= now_ns - ticked < _TICK_NS:
            return []
        self._ticked_ns = now_ns
        for table in (self.memory.shelves, self.memory.suppressions):
            for machine in list(table):
                _refresh(table, machine, now_ns)
        self._gate.forget(now_ns)
        oldest_first = sorted(self.memory.records.values(), key=lambda record: record.alarm.onset_ns)
        return [telling for record in oldest_first for telling in self._speak(record, None, now_ns=now_ns)]

    # -- what people say -------------------------------------------------------------------------------------

    def acknowledge(self, alarm_id: str, seen: Acknowledgement, *, now_ns: int) -> list[Telling]:
        """Somebody has seen an alarm that `find` knows; ends a latched one whose machine is calm."""
        for at, past in enumerate(self.memory.history):
            if past.id == alarm_id and past.acknowledgement is None:
                self.memory.history[at] = replace(past, acknowledgement=seen)
        record = self.find(alarm_id)
        if not isinstance(record, Record) or record.acknowledgement is not None:
            return []
        record = replace(record, acknowledgement=seen)
        if not record.active:
            return self._end(record, "acknowledged")
        return self._speak(record, "acknowledged", now_ns=now_ns)

    def shelve(self, machine: str, why: Quiet, *, now_ns: int) -> list[Telling]:
        """Call nobody for a machine: until a time, or for as long as its present alarm is active."""
        self.memory.shelves[machine] = why
        return self._review(machine, now_ns)

    def unshelve(self, machine: str, *, now_ns: int) -> list[Telling]:
        """Call for the machine again."""
        self.memory.shelves.pop(machine, None)
        return self._review(machine, now_ns)

    def suppress(self, machine: str, why: Quiet, *, now_ns: int) -> list[Telling]:
        """A machine, or `EVERY_MACHINE`, is worked on."""
        self.memory.suppressions[machine] = why
        return self._review(machine, now_ns)

    def unsuppress(self, machine: str, *, now_ns: int) -> list[Telling]:
        """The work is done."""
        self.memory.suppressions.pop(machine, None)
        return self._review(machine, now_ns)

    # -- how things stand ------------------------------------------------------------------------------------

    def find(self, alarm_id: str) -> Record | Past | None:
        """An alarm that is there, or one of the latest that have closed."""
        for record in self.memory.records.values():
            if record.alarm.id == alarm_id:
                return record
        return next((past for past in reversed(self.memory.history) if past.id == alarm_id), None)

    def record(self, machine: str) -> Record | None:
        """The machine's alarm."""
        return self.memory.records.get(machine)

    def shelf(self, machine: str, *, now_ns: int) -> Quiet | None:
        """Why an operator wants no calls for the machine."""
        return _refresh(self.memory.shelves, machine, now_ns)

    def suppression(self, machine: str, *, now_ns: int) -> Quiet | None:
        """Why maintenance wants no calls for the machine: by command first, then by window."""
        for key in (machine, EVERY_MACHINE):
            if (why := _refresh(self.memory.suppressions, key, now_ns)) is not None:
                return why
        if self._open_windows[0] != now_ns:  # the same for all machines of a turn
            found = [(window, window.when.around(now_ns)) for window in self._windows]
            self._open_windows = (
                now_ns,
                [(w, Quiet("maintenance window", s[0], s[1], w.note)) for w, s in found if s is not None],
            )
        return next((why for window, why in self._open_windows[1] if window.covers(machine)), None)

    @property
    def has_room(self) -> bool:
        """Whether one more machine can be shelved or suppressed."""
        fullest = max(len(self.memory.shelves), len(self.memory.suppressions))
        return fullest < self._settings.quiets_limit

    def counts(self) -> Mapping[str, int]:
        """How many of the present alarms are in each state; one may be in several."""
        records = self.memory.records.values()
        return {
            "unacknowledged": sum(r.acknowledgement is None for r in records),
            "acknowledged": sum(r.acknowledgement is not None for r in records),
            "shelved": sum(r.shelf is not None for r in records),
            "suppressed": sum(r.suppression is not None for r in records),
            "held": sum(r.held for r in records),
            "latched": sum(not r.active for r in records),
        }

    def held(self) -> Iterable[Record]:
        """Alarms kept back by flood control."""
        return [record for record in self.memory.records.values() if record.held]

    # -- transitions -----------------------------------------------------------------------------------------

    def _review(self, machine: str, now_ns: int) -> list[Telling]:
        records = self.memory.records
        touched = [r for r in records.values() if machine in (EVERY_MACHINE, r.alarm.machine)]
        return [telling for record in touched for telling in self._speak(record, None, now_ns=now_ns)]

    def _speak(self, record: Record, event: Event | None, *, now_ns: int) -> list[Telling]:
        """Bring the record's marks up to date, and say the event or what the marks have become."""
        machine, was = record.alarm.machine, record
        shelf = self.shelf(machine, now_ns=now_ns)
        suppression = self.suppression(machine, now_ns=now_ns)
        record = replace(record, shelf=shelf, suppression=suppression, held=was.held)
        change = _change(was, record)
        if record.masked:
            record = replace(record, held=False)
            live = was.told and (change is not None or event in _SPOKEN_WHILE_MASKED)
        elif was.told and not was.hidden:
            live = True
        else:
            urgent = record.alarm.severity == _SEVERITIES[-1]
            live = self._gate.admit(machine, now_ns=now_ns, urgent=urgent)
            record = replace(record, held=not live)
            self.memory.held_total += record.held and not was.held
            change = "released" if live and was.held else change
        if event is None or (event == "updated" and change is not None):
            event = change
        if event is None:
            self.memory.records[record.alarm.subject] = record
            return []
        return [self._say(record, event, live=live)]

    def _say(self, record: Record, event: Event, *, live: bool) -> Telling:
        first = live and not record.told
        alarm = replace(record.alarm, revision=record.alarm.revision + 1)
        record = replace(record, alarm=alarm, told=record.told or live)
        self.memory.records[alarm.subject] = record
        return Telling(record, event, live=live, first=first)

    def _calm(self, record: Record, *, now_ns: int) -> list[Telling]:
        """The machine behaves as usual again."""
        self._drop_one_shot(record.alarm)
        if not self._settings.latched or record.acknowledgement is not None:
            return self._end(record, "closed")
        alarm = record.alarm
        record = replace(
            record,
            active=False,
            ended_ns=alarm.closed_ns or alarm.time_ns,
            alarm=replace(alarm, state="open", closed_ns=None),
        )
        return self._speak(record, "latched", now_ns=now_ns)

    def _end(self, record: Record, event: Event) -> list[Telling]:
        """The closing, live only where readers know of the alarm; the rest is history."""
        telling = self._say(closed(record), event, live=record.told)
        alarm = telling.alarm
        self._drop_one_shot(alarm)
        del self.memory.records[alarm.subject]
        self.memory.history.append(
            Past(
                id=alarm.id,
                machine=alarm.machine,
                severity=alarm.severity,
                onset_ns=alarm.onset_ns,
                closed_ns=alarm.closed_ns or alarm.time_ns,
                told=record.told,
                acknowledgement=record.acknowledgement,
                finding=_finding(alarm),
            )
        )
        del self.memory.history[: -self._settings.history]
        return [telling]

    def _drop_one_shot(self, alarm: Alarm) -> None:
        shelf = self.memory.shelves.get(alarm.subject)
        if shelf is not None and shelf.until_ns is None:
            del self.memory.shelves[alarm.machine]


def _refresh(table: dict[str, Quiet], machine: str, now_ns: int) -> Quiet | None:
    """The entry as it is now: gone when its time is over, begun anew when the clock was set back."""
    why = table.get(machine)
    if why is None or why.until_ns is None:
        return why
    if now_ns >= why.until_ns:
        del table[machine]
        return None
    if now_ns < why.since_ns:
        why = replace(why, since_ns=now_ns, until_ns=now_ns + why.until_ns - why.since_ns)
        table[machine] = why
    return why


def _change(was: Record, now: Record) -> Event | None:
    """What became of the marks."""
    if now.shelf != was.shelf:
        return "unshelved" if now.shelf is None else "shelved"
    if now.suppression != was.suppression:
        return "unsuppressed" if now.suppression is None else "suppressed"
    return None


def _graver(now: Alarm, before: Alarm) -> bool:
    return _SEVERITIES.index(now.severity) > _SEVERITIES.index(before.severity)


def _finding(alarm: Alarm) -> str:
    """What a closed alarm said of a sensor."""
    if alarm.kind == "machine":
        return ""
    return f"{', '.join(channel.name for channel in alarm.channels) or 'source'}: {alarm.fault}"
