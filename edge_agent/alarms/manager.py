"""Alarms and commands between the pipeline and the outbox: what is said of an alarm, to whom, and what is answered.

Joins `lifecycle` and `desk` and puts their words into messages. Reads no clock and opens no connection; `service`
drives it and keeps its `states` over restarts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from edge_agent.alarms import audit, state
from edge_agent.alarms import payload as alert
from edge_agent.alarms.command_handler import Desk, DeskSettings, Handled, Plant
from edge_agent.alarms.lifecycle import Lifecycle, LifecycleSettings
from edge_agent.alarms.maintenance import Window
from edge_agent.alarms.state import Calls, Telling
from edge_agent.logs import get_logger
from edge_agent.metrics.snapshot import ControlSeries
from edge_agent.mqtt.outbox import Message, OpenAlarm, Outbox
from edge_agent.records import Alarm, ReceivedMessage
from edge_agent.topics import Template

log = get_logger()

LIFECYCLE = "lifecycle"
AUDIT = "audit"
COMMANDS_PER_TURN = 5
"""A turn is 20 ms: commands come from people and pages, and a flood of them must not hold up the sensors."""
WAITING_LIMIT = 200
"""Commands that wait for their turn; more come from no people, and are dropped and counted."""
_REFUSALS_TOLD_EVERY_NS = 1_000_000_000
_HELD_NAMED = 50
"""Alarms that the flood's message names; the rest is a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerSettings:
    """Where alarms and replies are published, and what the parts obey.

    Attributes:
        agent: the agent's name, as messages say it.
        alert_topic: template of an alarm's topic, with {machine} and perhaps {agent}.
        command_topic: topic below which commands are heard, a level a command.
        reply_topic: topic below which they are answered.
        flood_topic: where a flood of alarms is told.
        lifecycle: see `LifecycleSettings`.
        desk: see `DeskSettings`.
        maintenance: windows in which nobody is called.
    """

    agent: str
    alert_topic: Template
    command_topic: str
    reply_topic: str
    flood_topic: str
    lifecycle: LifecycleSettings
    desk: DeskSettings
    maintenance: Sequence[Window] = field(default=())


class Control:
    """Says what is to be said of alarms, and obeys commands."""

    def __init__(
        self, settings: ManagerSettings, *, outbox: Outbox, plant: Plant, states: Mapping[str, bytes]
    ) -> None:
        """Begin with what an earlier run had in `states`; what cannot be read is logged and begun anew."""
        self.alarms_opened = 0
        self._settings = settings
        self._outbox = outbox
        memory, log_book = _read(states)
        self.lifecycle = Lifecycle(settings.lifecycle, windows=settings.maintenance, memory=memory)
        self._desk = Desk(settings.desk, lifecycle=self.lifecycle, plant=plant, audit=log_book)
        self._counts: dict[tuple[str, str], int] = {}
        self._waiting: list[ReceivedMessage] = []
        self._dropped = 0
        self._changed = False
        self._flooded = False
        self._flood_told = b""
        self._refusal_told_ns = 0
        self._untold = 0

    @property
    def filters(self) -> Sequence[str]:
        """What to subscribe to."""
        return (f"{self._settings.command_topic}/+",)

    @property
    def audit(self) -> audit.Audit:
        """Who asked for what, and what became of it."""
        return self._desk.audit

    def adopt(self, settings: ManagerSettings) -> None:
        """Go on by other settings: alarms, shelves and the audit log stay as they are, and so do the topics."""
        self.lifecycle.adopt(settings.lifecycle, windows=settings.maintenance)
        self._desk.adopt(settings.desk)

    # -- alarms ----------------------------------------------------------------------------------------------

    def announce(self, alarms: Iterable[Alarm], *, now_ns: int) -> None:
        """Say what the pipeline has to say."""
        for alarm in alarms:
            self._tell(self.lifecycle.take(alarm, now_ns=now_ns))

    def go_on(self, still_open: Sequence[Alarm], *, now_ns: int) -> None:
        """After a restart: go on with the alarms that the pipeline goes on with, and end the others."""
        known = {record.alarm.id for record in self.lifecycle.memory.records.values()}
        self.announce([alarm for alarm in still_open if alarm.id not in known], now_ns=now_ns)
        waiting = {alarm.id: alarm for alarm in self._outbox.open_alarms()}
        for record in self.lifecycle.memory.records.values():
            if record.alarm.id not in waiting:
                told = Telling(record, "updated", live=record.told and not record.hidden)
                self._outbox.raise_alarm(self._message(told), first=False)
        self._tell(self.lifecycle.reconcile({alarm.id for alarm in still_open}, now_ns=now_ns))
        known = {record.alarm.id for record in self.lifecycle.memory.records.values()}
        for alarm in [alarm for alarm in self._outbox.open_alarms() if alarm.id not in known]:
            self._close_unknown(alarm)

    def release(self, machine: str) -> None:
        """Another agent watches the machine: its alarm here is over."""
        self._tell(self.lifecycle.end(machine, why="handed_over"))

    def _close_unknown(self, left: OpenAlarm) -> None:
        """An alarm that the outbox still says and that nobody knows any more."""
        closing = alert.closing_after_restart(left.payload)
        if closing is None:
            log.warning("open_alarm_unreadable", id=left.id)
            self._outbox.forget_alarm(left.id)
            return
        machine, payload = closing
        self._outbox.close_alarm(replace(left, payload=payload, revision=left.revision + 1))
        log.warning("alarm_closed", machine=machine, id=left.id, why="nobody watches it any more")

    def _tell(self, tellings: Iterable[Telling]) -> None:
        for telling in tellings:
            self._changed = True
            message = self._message(telling)
            if telling.alarm.state == "closed":
                self._outbox.close_alarm(message)
            else:
                self._outbox.raise_alarm(message, first=telling.first)
            self._log(telling)

    def _message(self, telling: Telling) -> OpenAlarm:
        alarm = telling.alarm
        topic = self._settings.alert_topic.fill(machine=alarm.machine, agent=self._settings.agent)
        payload = alert.encode_telling(telling, agent=self._settings.agent)
        return OpenAlarm(alarm.id, topic, payload, revision=alarm.revision, live=telling.live)

    def _log(self, telling: Telling) -> None:
        alarm = telling.alarm
        if alarm.state == "closed":
            log.info(
                "alarm_closed",
                machine=alarm.machine,
                id=alarm.id,
                why=telling.event,
                peak_score=round(alarm.peak_score, 3),
            )
        elif telling.event == "opened":
            self.alarms_opened += alarm.kind == "machine"
            log.warning(
                "alarm_opened",
                machine=alarm.machine,
                id=alarm.id,
                kind=alarm.kind,
                severity=alarm.severity,
                fault=alarm.fault,
                channels=[channel.name for channel in alarm.channels],
                summary=alert.summary(alarm),
                called=telling.live,
            )
        elif telling.event != "updated":
            log.info("alarm_changed", machine=alarm.machine, id=alarm.id, why=telling.event)

    # -- commands --------------------------------------------------------------------------------------------

    def obey(self, heard: Iterable[ReceivedMessage], *, now_ns: int) -> None:
        """Answer the commands among the messages heard, a few at a time."""
        self._waiting += heard
        self._dropped += max(0, len(self._waiting) - WAITING_LIMIT)
        del self._waiting[WAITING_LIMIT:]
        now, self._waiting = self._waiting[:COMMANDS_PER_TURN], self._waiting[COMMANDS_PER_TURN:]
        for message in now:
            name = message.topic.removeprefix(f"{self._settings.command_topic}/")
            if message.retain or not message.payload:
                # A retained command would be obeyed again at each connection; the broker is not a memory of orders.
                self._count("unknown", "ignored")
                reason = "retained" if message.retain else "empty"
                log.warning("command_ignored", command=ascii(name[:60]), reason=reason)
                continue
            handled = self._desk.handle(name, message.payload, now_ns=now_ns)
            self._answer(handled, now_ns=now_ns)
            self._tell(handled.tellings)

    def _answer(self, handled: Handled, *, now_ns: int) -> None:
        entry = handled.entry
        self._changed = True
        self._count(entry.command, "repeated" if handled.repeated else entry.result)
        topic = f"{self._settings.reply_topic}/{handled.reply_level}"
        self._outbox.put(Message(("reply", handled.reply_level), topic, entry.reply))
        if entry.result == "refused":
            self._untold += 1
            if now_ns - self._refusal_told_ns < _REFUSALS_TOLD_EVERY_NS:
                return
            self._refusal_told_ns = now_ns
        told = log.warning if entry.result == "refused" else log.info
        told(
            "command",
            command=entry.command,
            by=entry.by,
            target=entry.target,
            request=entry.request,
            result=entry.result,
            reason=entry.reason,
            repeated=handled.repeated,
        )

    def _count(self, command: str, result: str) -> None:
        self._counts[command, result] = self._counts.get((command, result), 0) + 1

    # -- time and memory -------------------------------------------------------------------------------------

    def tick(self, *, now_ns: int) -> None:
        """What follows from the time alone."""
        self._tell(self.lifecycle.tick(now_ns))
        self._tell_flood()

    def _tell_flood(self) -> None:
        """One retained message for all alarms that nobody is called for: how many, and which."""
        held = sorted(self.lifecycle.held(), key=lambda record: record.alarm.onset_ns)
        if not held and not self._flooded:
            return
        said = msgspec.json.encode(
            {
                "schema_version": 1,
                "agent": self._settings.agent,
                "active": bool(held),
                "held": len(held),
                "held_total": self.lifecycle.memory.held_total,
                "alarms": [
                    {"id": r.alarm.id, "machine": r.alarm.machine, "severity": r.alarm.severity}
                    for r in held[:_HELD_NAMED]
                ],
            }
        )
        if said == self._flood_told:
            return
        if bool(held) != self._flooded:
            log.warning("alarm_flood", active=bool(held), held=len(held))
        self._flooded, self._flood_told = bool(held), said
        self._outbox.put(Message(("flood",), self._settings.flood_topic, said, retain=True))

    def states(self) -> Mapping[str, bytes]:
        """What is to be kept, where it has changed since the last call."""
        if not self._changed:
            return {}
        self._changed = False
        return {
            LIFECYCLE: state.encode(self.lifecycle.memory),
            AUDIT: audit.encode(self._desk.audit),
        }

    def calls(self, machines: Iterable[str], *, now_ns: int) -> Mapping[str, Calls]:
        """What the status says of each machine, where there is something to say."""
        found = {
            name: Calls(
                self.lifecycle.record(name),
                self.lifecycle.shelf(name, now_ns=now_ns),
                self.lifecycle.suppression(name, now_ns=now_ns),
            )
            for name in machines
        }
        return {name: calls for name, calls in found.items() if calls != Calls()}

    def figures(self, *, dropped: int) -> ControlSeries:
        """What metrics say; `dropped` commands never got here."""
        held = self.lifecycle.memory.held_total
        return ControlSeries(dict(self._counts), self.lifecycle.counts(), held, dropped + self._dropped)


def _read(states: Mapping[str, bytes]) -> tuple[state.Memory | None, audit.Audit | None]:
    memory = state.decode(states[LIFECYCLE]) if LIFECYCLE in states else None
    book = audit.decode(states[AUDIT]) if AUDIT in states else None
    for name, value in ((LIFECYCLE, memory), (AUDIT, book)):
        if name in states and value is None:
            log.warning("state_value_unusable", name=name, bytes=len(states[name]))
    return memory, book
