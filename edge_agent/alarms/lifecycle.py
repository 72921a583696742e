"""The life of alarms after they opened: acknowledged, shelved, suppressed, latched, held, and who is called. Pure.

The pipeline says when an alarm opens, changes and closes; operators and maintenance windows say who wants to hear of
it; this file says what follows. It publishes nothing (`manager`), stores nothing (`state` has the bytes) and reads no
clock: times are arguments.

The states are those of ISA-18.2 and OPC UA Part 9 (4.8). Process and acknowledgement:

    normal ------opens------> unacknowledged        (B) active, and readers are called
    unacknowledged --ack----> acknowledged          (C) active, and somebody has seen it
    acknowledged --graver---> unacknowledged        a higher severity wants to be seen again
    acknowledged --normal---> normal                (A) the closing revision
    unacknowledged --normal-> normal                where alarms are not latched (auto-reset)
    unacknowledged --normal-> latched               (D) returned to normal, not acknowledged; `latched = true`
    latched -------ack------> normal
    normal ----comes back---> unacknowledged        the same id, where the pipeline takes it for the same incident
    unacknowledged -recall_s> unacknowledged        re-alarm: readers are called a second time, once

An alarm whose machine is quiet for a while is unsettled: active, and its acknowledgement holds while it comes back.

Beside these stands what keeps an alarm from calling: shelved (E, by an operator, for a time or once), suppressed (F,
by maintenance: a command or a window), and held (by flood control; not in the standard, which only counts floods).

Rules that are kept here:

- A machine has one alarm at most; findings about its sensors and notices stand beside it, under their own subjects.
- Whatever hides an alarm, it is tracked, retained and counted; when nothing hides it any more and it is still there,
  it is raised again.
- Every change is a revision, numbered without gaps, and every alarm that opened, or was reopened, ends with one
  closing. Whoever was called hears of the end, and nobody else.
- A critical alarm is never held.
- A shelving lasts at most as long as was asked for, even where the clock is set back: it then starts anew.

A short session:

    lifecycle = AlarmLifecycle(LifecycleSettings())
    lifecycle.take_alarm(opened, now_ns=0)                       # [Notification(event="opened", live=True)]
    lifecycle.shelve("pump-1", Shelving("anna", 1, 60), now_ns=1)  # [... "shelved"]: no calls from here on
    lifecycle.take_alarm(graver, now_ns=2)                       # [... "updated", live=False]: retained only
    lifecycle.tick(60)                                           # [... "unshelved", live=True]: called again
    lifecycle.take_alarm(closed, now_ns=70)                      # [... "closed", live=True]
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar, get_args

from msgspec import structs

from edge_agent.alarms.flood import FloodControl, FloodSettings
from edge_agent.alarms.maintenance import EVERY_MACHINE, MaintenanceWindow
from edge_agent.alarms.state import (
    Acknowledgement,
    AlarmState,
    ClosedAlarm,
    Event,
    KeptAlarms,
    Masking,
    Notification,
    Shelving,
    Suppression,
)
from edge_agent.records import Alarm, Severity

_TICK_NS = 1_000_000_000
_SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_TOLD_WHILE_MASKED: frozenset[Event] = frozenset({"acknowledged", "labelled", "latched"})
"""What readers of an alarm are told of it even while it is shelved or suppressed, beside a change of that."""


@dataclass(frozen=True, slots=True)
class LifecycleSettings:
    """How alarms live.

    Attributes:
        latched: an alarm stays until it is acknowledged, even if its machine is normal again.
        history: closed alarms that can still be acknowledged or named.
        masked_limit: machines that can be shelved, and that can be suppressed, at a time.
        recall_s: readers are called a second time for what nobody has acknowledged after so long; 0: never.
    """

    latched: bool = False
    history: int = 500
    masked_limit: int = 1000
    recall_s: float = 3600.0
    flood: FloodSettings = field(default_factory=FloodSettings)


class AlarmLifecycle:
    """Holds how every alarm stands. Each method returns the revisions that it calls for, in order."""

    def __init__(
        self,
        settings: LifecycleSettings,
        *,
        windows: Sequence[MaintenanceWindow] = (),
        kept: KeptAlarms | None = None,
    ) -> None:
        self.kept = kept or KeptAlarms()
        """What is to be kept over a restart (`state.encode`)."""
        self._settings = settings
        self._windows = tuple(windows)
        self._flood = FloodControl(settings.flood, self.kept.calls)
        self._ticked_ns: int | None = None
        self._open_windows: tuple[int | None, list[tuple[MaintenanceWindow, Suppression]]] = (None, [])

    def adopt(self, settings: LifecycleSettings, *, windows: Sequence[MaintenanceWindow]) -> None:
        """Go on by other settings; the next tick looks at everything by them."""
        self._settings = settings
        self._windows = tuple(windows)
        self._flood = FloodControl(settings.flood, self.kept.calls)
        self._ticked_ns = None
        self._open_windows = (None, [])

    # -- what the pipeline says ------------------------------------------------------------------------------

    def take_alarm(self, alarm: Alarm, *, now_ns: int, event: Event = "updated") -> list[Notification]:
        """A revision of the pipeline; `event` says why where the alarm is known and goes on."""
        notifications: list[Notification] = []
        record = self.kept.records.get(alarm.subject)
        if record is not None and record.alarm.id != alarm.id:
            notifications += self._close(record, "superseded")
            record = None
        if record is None:
            # A closing whose opening nobody here remembers was told before the memory was lost.
            told = alarm.state == "closed"
            past = self._take_past(alarm.id)
            before = alarm.revision - 1 if past is None else max(alarm.revision - 1, past.revision)
            record = AlarmState(replace(alarm, revision=before, unsettled=False), told=told)
            event = "opened" if past is None else "reopened"
        elif event == "updated" and alarm.unsettled != record.alarm.unsettled:
            event = "unsettled" if alarm.unsettled else "returned"
        if _graver(alarm, record.alarm):
            record = structs.replace(record, acknowledgement=None, called_ns=None, recalled=False)
        alarm_now = replace(alarm, revision=record.alarm.revision)
        record = structs.replace(record, alarm=alarm_now, active=True, ended_ns=None)
        if alarm.state == "closed":
            return notifications + self._return_to_normal(record, now_ns=now_ns)
        return notifications + self._review_state(record, event, now_ns=now_ns)

    def _take_past(self, alarm_id: str) -> ClosedAlarm | None:
        """A closed alarm that has come back, out of the history."""
        for at in range(len(self.kept.history) - 1, -1, -1):
            if self.kept.history[at].id == alarm_id:
                return self.kept.history.pop(at)
        return None

    def reconcile(self, open_ids: Collection[str], *, now_ns: int) -> list[Notification]:
        """After a restart: end the alarms that the pipeline does not go on with."""
        lost = [r for r in self.kept.records.values() if r.active and r.alarm.id not in open_ids]
        return [
            notification for record in lost for notification in self._close(record, "restarted")
        ] + self.tick(now_ns)

    def end_alarms(self, machine: str, *, why: Event = "recommissioned") -> list[Notification]:
        """The machine is learnt afresh, or another agent's: its alarm has lost its meaning."""
        mine = [record for record in self.kept.records.values() if record.alarm.machine == machine]
        return [each for record in mine for each in self._close(record, why)]

    def forget(self, machine: str) -> list[Notification]:
        """Nothing is known of the machine any more: its alarms end, and nothing of it is kept."""
        closings = self.end_alarms(machine)
        kept = self.kept
        kept.history = [past for past in kept.history if past.machine != machine]
        kept.shelvings.pop(machine, None)
        kept.suppressions.pop(machine, None)
        return closings

    def tick(self, now_ns: int) -> list[Notification]:
        """What follows from the time alone: shelvings and windows that end, held alarms that have room again."""
        ticked = self._ticked_ns
        if ticked is not None and 0 <= now_ns - ticked < _TICK_NS:
            return []
        self._ticked_ns = now_ns
        for machine in list(self.kept.shelvings):
            _refresh(self.kept.shelvings, machine, now_ns)
        for machine in list(self.kept.suppressions):
            _refresh(self.kept.suppressions, machine, now_ns)
        self._flood.forget_old_calls(now_ns)
        oldest_first = sorted(self.kept.records.values(), key=lambda record: record.alarm.onset_ns)
        return [
            notification
            for record in oldest_first
            for notification in self._review_state(record, self._recall(record, now_ns), now_ns=now_ns)
        ]

    def _recall(self, record: AlarmState, now_ns: int) -> Event | None:
        """Whether readers are to be called a second time for an alarm that nobody has acknowledged."""
        due = (
            self._settings.recall_s > 0
            and record.active
            and record.called_ns is not None
            and abs(now_ns - record.called_ns) >= self._settings.recall_s * 1e9
        )
        if not due or record.recalled or record.acknowledgement is not None or record.hidden:
            return None
        return None if record.alarm.kind != "machine" or record.alarm.unsettled else "recalled"

    # -- what people say -------------------------------------------------------------------------------------

    def acknowledge(self, alarm_id: str, seen: Acknowledgement, *, now_ns: int) -> list[Notification]:
        """Somebody has seen an alarm that `find` knows; ends a latched one whose machine is normal."""
        for at, past in enumerate(self.kept.history):
            if past.id == alarm_id and past.acknowledgement is None:
                self.kept.history[at] = replace(past, acknowledgement=seen)
        record = self.find_alarm(alarm_id)
        if not isinstance(record, AlarmState) or record.acknowledgement is not None:
            return []
        record = structs.replace(record, acknowledgement=seen)
        if not record.active:
            return self._close(record, "acknowledged")
        return self._review_state(record, "acknowledged", now_ns=now_ns)

    def accept(self, alarm_id: str, seen: Acknowledgement, *, now_ns: int) -> list[Notification]:
        """Somebody says that what an alarm told of is normal: it is over, and counts as acknowledged."""
        record = self.find_alarm(alarm_id)
        if not isinstance(record, AlarmState):
            return self.acknowledge(alarm_id, seen, now_ns=now_ns)
        return self._close(structs.replace(record, acknowledgement=seen), "accepted")

    def shelve(self, machine: str, why: Shelving, *, now_ns: int) -> list[Notification]:
        """Call nobody for a machine: until a time, or for as long as its present alarm is active."""
        self.kept.shelvings[machine] = why
        return self._review_machine(machine, now_ns)

    def unshelve(self, machine: str, *, now_ns: int) -> list[Notification]:
        """Call for the machine again."""
        self.kept.shelvings.pop(machine, None)
        return self._review_machine(machine, now_ns)

    def suppress(self, machine: str, why: Suppression, *, now_ns: int) -> list[Notification]:
        """A machine, or `EVERY_MACHINE`, is worked on."""
        self.kept.suppressions[machine] = why
        return self._review_machine(machine, now_ns)

    def unsuppress(self, machine: str, *, now_ns: int) -> list[Notification]:
        """The work is done."""
        self.kept.suppressions.pop(machine, None)
        return self._review_machine(machine, now_ns)

    # -- how things stand ------------------------------------------------------------------------------------

    def find_alarm(self, alarm_id: str) -> AlarmState | ClosedAlarm | None:
        """An alarm that is there, or one of the latest that have closed."""
        for record in self.kept.records.values():
            if record.alarm.id == alarm_id:
                return record
        return next((past for past in reversed(self.kept.history) if past.id == alarm_id), None)

    def state_of(self, machine: str) -> AlarmState | None:
        """The machine's alarm."""
        return self.kept.records.get(machine)

    def shelving_of(self, machine: str, *, now_ns: int) -> Shelving | None:
        """Why an operator wants no calls for the machine."""
        return _refresh(self.kept.shelvings, machine, now_ns)

    def suppression_of(self, machine: str, *, now_ns: int) -> Suppression | None:
        """Why maintenance wants no calls for the machine: by command first, then by window."""
        for key in (machine, EVERY_MACHINE):
            if (why := _refresh(self.kept.suppressions, key, now_ns)) is not None:
                return why
        if self._open_windows[0] != now_ns:  # the same for all machines of a turn
            found = [(window, window.when.around(now_ns)) for window in self._windows]
            self._open_windows = (
                now_ns,
                [
                    (w, Suppression("maintenance window", s[0], s[1], w.note))
                    for w, s in found
                    if s is not None
                ],
            )
        return next((why for window, why in self._open_windows[1] if window.covers(machine)), None)

    def raised_since(self, since_ns: int) -> Iterator[tuple[str, str]]:
        """(machine, id) of each alarm of a machine that began since then, of those that are there or remembered."""
        for record in self.kept.records.values():
            if record.alarm.kind == "machine" and record.alarm.onset_ns >= since_ns:
                yield record.alarm.machine, record.alarm.id
        for past in self.kept.history:
            if not past.finding and past.onset_ns >= since_ns:
                yield past.machine, past.id

    @property
    def has_room(self) -> bool:
        """Whether one more machine can be shelved or suppressed."""
        fullest = max(len(self.kept.shelvings), len(self.kept.suppressions))
        return fullest < self._settings.masked_limit

    def counts(self) -> Mapping[str, int]:
        """How many of the present alarms are in each state; one may be in several."""
        records = self.kept.records.values()
        return {
            "unacknowledged": sum(r.acknowledgement is None for r in records),
            "acknowledged": sum(r.acknowledgement is not None for r in records),
            "shelved": sum(r.shelving is not None for r in records),
            "suppressed": sum(r.suppression is not None for r in records),
            "held": sum(r.held for r in records),
            "latched": sum(not r.active for r in records),
        }

    def held_alarms(self) -> Iterable[AlarmState]:
        """Alarms kept back by flood control."""
        return [record for record in self.kept.records.values() if record.held]

    # -- transitions -----------------------------------------------------------------------------------------

    def _review_machine(self, machine: str, now_ns: int) -> list[Notification]:
        records = self.kept.records
        touched = [r for r in records.values() if machine in (EVERY_MACHINE, r.alarm.machine)]
        return [
            notification
            for record in touched
            for notification in self._review_state(record, None, now_ns=now_ns)
        ]

    def _review_state(self, record: AlarmState, event: Event | None, *, now_ns: int) -> list[Notification]:
        """Bring shelving, suppression and flood control up to date, and say the event or what has changed of them."""
        machine, was = record.alarm.machine, record
        shelving = self.shelving_of(machine, now_ns=now_ns)
        suppression = self.suppression_of(machine, now_ns=now_ns)
        record = structs.replace(record, shelving=shelving, suppression=suppression, held=was.held)
        change = _change_of_masking(was, record)
        if record.masked:
            record = structs.replace(record, held=False)
            live = was.told and (change is not None or event in _TOLD_WHILE_MASKED)
        elif was.told and not was.hidden:
            live = True
        else:
            urgent = record.alarm.severity == _SEVERITIES[-1]
            live = self._flood.admit_call(machine, now_ns=now_ns, urgent=urgent)
            record = structs.replace(record, held=not live)
            self.kept.held_total += record.held and not was.held
            change = "released" if live and was.held else change
        if event is None or (event == "updated" and change is not None):
            event = change
        if event is None:
            self.kept.records[record.alarm.subject] = record
            return []
        if live and record.called_ns is None:
            record = structs.replace(record, called_ns=now_ns)
        if event == "recalled":
            record = structs.replace(record, recalled=True)
        return [self._notify(record, event, live=live)]

    def _notify(self, record: AlarmState, event: Event, *, live: bool) -> Notification:
        first = live and not record.told
        alarm = replace(record.alarm, revision=record.alarm.revision + 1)
        record = structs.replace(record, alarm=alarm, told=record.told or live)
        self.kept.records[alarm.subject] = record
        return Notification(record, event, live=live, first=first)

    def _return_to_normal(self, record: AlarmState, *, now_ns: int) -> list[Notification]:
        """The machine behaves as usual again."""
        self._drop_one_shot(record.alarm)
        if not self._settings.latched or record.acknowledgement is not None:
            return self._close(record, "closed")
        alarm = record.alarm
        record = structs.replace(
            record,
            active=False,
            ended_ns=alarm.closed_ns or alarm.time_ns,
            alarm=replace(alarm, state="open", closed_ns=None),
        )
        return self._review_state(record, "latched", now_ns=now_ns)

    def _close(self, record: AlarmState, event: Event) -> list[Notification]:
        """The closing, live only where readers know of the alarm; the rest is history."""
        notification = self._notify(_closed(record), event, live=record.told)
        alarm = notification.alarm
        self._drop_one_shot(alarm)
        del self.kept.records[alarm.subject]
        self.kept.history.append(
            ClosedAlarm(
                id=alarm.id,
                machine=alarm.machine,
                severity=alarm.severity,
                onset_ns=alarm.onset_ns,
                closed_ns=alarm.closed_ns or alarm.time_ns,
                told=record.told,
                acknowledgement=record.acknowledgement,
                finding=_finding(alarm),
                revision=alarm.revision,
            )
        )
        del self.kept.history[: -self._settings.history]
        return [notification]

    def _drop_one_shot(self, alarm: Alarm) -> None:
        shelving = self.kept.shelvings.get(alarm.subject)
        if shelving is not None and shelving.until_ns is None:
            del self.kept.shelvings[alarm.machine]


_M = TypeVar("_M", bound=Masking)


def _refresh(table: dict[str, _M], machine: str, now_ns: int) -> _M | None:
    """The entry as it is now: gone when its time is over, begun anew when the clock was set back."""
    why = table.get(machine)
    if why is None or why.until_ns is None:
        return why
    if now_ns >= why.until_ns:
        del table[machine]
        return None
    if now_ns < why.since_ns:
        why = structs.replace(why, since_ns=now_ns, until_ns=now_ns + why.until_ns - why.since_ns)
        table[machine] = why
    return why


def _change_of_masking(was: AlarmState, now: AlarmState) -> Event | None:
    """What became of shelving and suppression."""
    if now.shelving != was.shelving:
        return "unshelved" if now.shelving is None else "shelved"
    if now.suppression != was.suppression:
        return "unsuppressed" if now.suppression is None else "suppressed"
    return None


def _closed(record: AlarmState) -> AlarmState:
    """The alarm at its end."""
    alarm = record.alarm
    at_ns = alarm.closed_ns or record.ended_ns or alarm.time_ns
    return structs.replace(record, active=False, alarm=replace(alarm, state="closed", closed_ns=at_ns))


def _graver(now: Alarm, before: Alarm) -> bool:
    return _SEVERITIES.index(now.severity) > _SEVERITIES.index(before.severity)


def _finding(alarm: Alarm) -> str:
    """What a closed alarm said of a sensor, or of a state of the machine."""
    if alarm.kind == "machine":
        return ""
    if alarm.kind == "state":
        return f"notice: {alarm.fault}"
    if alarm.pictured is not None:
        return f"{alarm.pictured.camera}: {alarm.fault}"
    return f"{', '.join(channel.name for channel in alarm.channels) or 'source'}: {alarm.fault}"
