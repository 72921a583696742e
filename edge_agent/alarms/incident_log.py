"""What becomes history: the evidence of each open alarm, and what closed until the history has it. Pure, bounded.

Everything here is kept with the turn that brought it about (`take_changes`), so that a crash loses nothing: an alarm's
evidence under its id, what waits for the history under a number. The history takes what waits when it can and says so
(`confirm`); where it cannot for long, the oldest goes, and is counted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, tzinfo

import numpy as np
from msgspec import structs

from edge_agent.alarms import requests
from edge_agent.alarms.sentences import summary
from edge_agent.alarms.state import AlarmState, ClosedAlarm, Event, Notification
from edge_agent.records import THRESHOLD, Alarm, Kind, ScoreBlock, shown
from edge_agent.store.history import incident as incidents
from edge_agent.store.history.incident import (
    Amendment,
    Entry,
    Forgotten,
    Incident,
    IncidentAction,
    IncidentWindow,
)

OPEN, WAITING = "incident/", "history/"
"""Names under which they are kept on the disk."""
_WAITING_LIMIT = 1000
_WORSE = 1.1
"""A window takes the place of the one that is kept when it scored so much higher: a growing fault is not written down
again and again."""
_BY_PEOPLE: frozenset[Event] = frozenset({"updated", "acknowledged", "labelled", "shelved", "unshelved"})
"""Events that are no deeds, or whose command says more."""


class IncidentLog:
    """Open alarms' evidence, and the queue to the history. Belongs to the pipeline's thread."""

    def __init__(self, states: Mapping[str, bytes], *, zone: tzinfo = UTC) -> None:
        """Go on with what an earlier run had in `states`; what is said from now on tells times in `zone`."""
        self.zone = zone
        self.dropped = 0
        """Entries given up because the history could not be written for too long."""
        self.damaged: tuple[str, ...] = ()
        self._open: dict[str, Incident] = {}
        self._waiting: dict[str, Entry] = {}
        self._untaken: list[str] = []
        self._changes: dict[str, bytes | None] = {}
        self._restore(states)
        self._next = 1 + max((int(name.removeprefix(WAITING)) for name in self._waiting), default=0)

    def _restore(self, states: Mapping[str, bytes]) -> None:
        damaged = []
        for name in sorted(states):
            if not name.startswith((OPEN, WAITING)):
                continue
            entry = incidents.decode(states[name])
            if entry is None or (name.startswith(WAITING) and not name.removeprefix(WAITING).isdecimal()):
                damaged.append(name)
                self._changes[name] = None
            elif name.startswith(WAITING):
                self._waiting[name] = entry
            elif isinstance(entry, Incident):
                self._open[entry.id] = entry
        self.damaged = tuple(damaged)
        self._untaken = list(self._waiting)

    @property
    def waiting(self) -> tuple[Entry, ...]:
        """What the history does not have yet, oldest first."""
        return tuple(self._waiting.values())

    # -- what happens ----------------------------------------------------------------------------------------

    def begin(self, records: Iterable[AlarmState]) -> None:
        """After a restart: an alarm without evidence gets some, and evidence without an alarm becomes history."""
        alive = {record.alarm.id: record.alarm for record in records}
        for alarm in alive.values():
            if alarm.id not in self._open:
                self._keep(self._begun(alarm))
        for known in [incident for incident in self._open.values() if incident.id not in alive]:
            closed_ns = known.alarm.closed_ns or known.alarm.time_ns
            closed = replace(known.alarm, state="closed", closed_ns=closed_ns)
            self._file(structs.replace(known, alarm=closed, ended="restarted"))

    def take_notification(self, notification: Notification, *, now_ns: int) -> None:
        """A revision that is being told."""
        alarm, event = notification.alarm, notification.event
        known = self._open.get(alarm.id) or self._begun(alarm)
        worst = known.worst
        if alarm.state == "open" and (alarm.score > worst.score or not worst.channels):
            worst = alarm
        incident = structs.replace(
            known,
            alarm=alarm,
            worst=worst,
            summary=known.summary if worst is known.worst else summary(worst, zone=self.zone),
            actions=known.actions
            if event in _BY_PEOPLE
            else incidents.with_actions(known.actions, (IncidentAction(now_ns, event),)),
        )
        if alarm.state == "closed":
            self._file(structs.replace(incident, ended=event))
        elif incident != known or alarm.id not in self._open:
            self._keep(incident)

    def take_command(self, name: str, payload: bytes, *, now_ns: int) -> None:
        """A command that was obeyed: who did what about which alarm."""
        request = requests.decode(name, payload)
        if isinstance(request, requests.Refusal):
            return
        what = "unaccept" if getattr(request, "undo", False) else name
        action = IncidentAction(
            now_ns, what, request.by, request.comment, fault=getattr(request, "fault", "")
        )
        alarm, machine = getattr(request, "alarm", None), getattr(request, "machine", None)
        if alarm is not None and alarm not in self._open:
            self._enqueue(Amendment(alarm, action))
        for known in [*self._open.values()]:
            if known.id == alarm or (alarm is None and known.alarm.machine == machine):
                self._keep(incidents.amended(known, action))

    def take_scores(self, blocks: Iterable[ScoreBlock]) -> None:
        """Keep the worst window of machines that are in alarm."""
        if not self._open:
            return
        alarmed = {one.alarm.machine: one for one in self._open.values() if one.alarm.kind == "machine"}
        for block in blocks:
            known = alarmed.get(block.windows.machine)
            if known is None or not len(block.value):
                continue
            at = int(np.argmax(block.value))
            score = float(block.value[at])
            if score > THRESHOLD and (known.window is None or score > _WORSE * known.window.score):
                known = structs.replace(
                    known, window=_window(block, at), family=incidents.family_of(block.channels)
                )
                alarmed[known.alarm.machine] = known
                self._keep(known)

    # -- the way to the history ------------------------------------------------------------------------------

    def take_waiting(self) -> Sequence[tuple[str, Entry]]:
        """What waits and was not given out before, oldest first; call it when it is on the disk."""
        taken = [(name, self._waiting[name]) for name in self._untaken if name in self._waiting]
        self._untaken.clear()
        return taken

    def confirm(self, names: Iterable[str]) -> None:
        """The history has these."""
        for name in names:
            if self._waiting.pop(name, None) is not None:
                self._changes[name] = None

    def take_changes(self) -> Mapping[str, bytes | None]:
        """What is to be kept or forgotten since the last call, by name."""
        changes, self._changes = self._changes, {}
        return changes

    def _begun(self, alarm: Alarm) -> Incident:
        return Incident(alarm, alarm, summary(alarm, zone=self.zone))

    def _keep(self, incident: Incident) -> None:
        self._open[incident.id] = incident
        self._changes[OPEN + incident.id] = incidents.encode(incident)

    def _file(self, incident: Incident) -> None:
        if self._open.pop(incident.id, None) is not None:
            self._changes[OPEN + incident.id] = None
        self._enqueue(incident)

    def forget(self, machine: str) -> None:
        """Have all that was added of a machine until now taken out of the history."""
        for incident in [one for one in self._open.values() if one.alarm.machine == machine]:
            del self._open[incident.id]
            self._changes[OPEN + incident.id] = None
        self._enqueue(Forgotten(machine))

    def _enqueue(self, entry: Entry) -> None:
        name = f"{WAITING}{self._next:020d}"
        self._next += 1
        self._waiting[name] = entry
        self._untaken.append(name)
        self._changes[name] = incidents.encode(entry)
        while len(self._waiting) > _WAITING_LIMIT:
            self.confirm([next(iter(self._waiting))])
            self.dropped += 1


def earlier(past: ClosedAlarm, fault: str) -> Incident:
    """What is left of an alarm that closed before there was a history."""
    alarm = Alarm(
        id=past.id,
        revision=0,
        machine=past.machine,
        state="closed",
        severity=past.severity,
        onset_ns=past.onset_ns,
        time_ns=past.closed_ns,
        score=0.0,
        peak_score=0.0,
        threshold=THRESHOLD,
        fault=fault or past.finding.rpartition(": ")[2] or "unknown",
        fault_probability=1.0 if fault else 0.0,
        channels=(),
        model="",
        closed_ns=past.closed_ns,
        kind=_kind(past),
    )
    seen = past.acknowledgement
    actions = () if seen is None else (IncidentAction(seen.time_ns, "ack", seen.by, seen.comment),)
    return Incident(alarm, alarm, past.finding, actions, ended="closed", fault=fault, partial=True)


def _kind(past: ClosedAlarm) -> Kind:
    if not past.finding:
        return "machine"
    return "state" if past.severity == "notice" else "sensor"


def _window(block: ScoreBlock, at: int) -> IncidentWindow:
    """The rows of the guiltiest channels, as people see them."""
    order = np.argsort(-np.nan_to_num(block.contributions[at]), kind="stable")
    order = order[: incidents.WINDOW_CHANNELS]
    return IncidentWindow(
        time_ns=int(block.windows.times_ns[at]),
        score=float(block.value[at]),
        channels=tuple(block.channels[channel] for channel in order),
        rows=np.ascontiguousarray(shown(block.windows)[at][order].T, np.float32).tobytes(),
    )
