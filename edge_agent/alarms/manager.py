"""Alarms and commands between the pipeline and the outbox: what is said of an alarm, to whom, and what is answered.

Joins `lifecycle` and `command_handler` and puts their words into messages; retained commands are refused here. Reads no
clock and opens no connection; `service` drives it and keeps what `take_states` gives over restarts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo

import msgspec

from edge_agent.alarms import audit, sentences, state
from edge_agent.alarms import payload as alarm_payload
from edge_agent.alarms.command_handler import CommandHandler, CommandSettings, HandledCommand, MachinesPort
from edge_agent.alarms.incident_log import IncidentLog
from edge_agent.alarms.lifecycle import AlarmLifecycle, LifecycleSettings
from edge_agent.alarms.maintenance import MaintenanceWindow
from edge_agent.alarms.state import MachineCalls, Notification
from edge_agent.logs import get_logger
from edge_agent.metrics.snapshot import AlarmManagerSeries
from edge_agent.mqtt.outbox import Message, OpenAlarm, Outbox
from edge_agent.records import Alarm, ReceivedMessage
from edge_agent.signals.machine_rules import MachineRule, facts_of
from edge_agent.topics import Template

log = get_logger()

LIFECYCLE = "lifecycle"
AUDIT = "audit"
COMMANDS_PER_TURN = 5
"""A turn is 20 ms: commands come from people and pages, and a flood of them must not hold up the sensors."""
WAITING_LIMIT = 200
"""Commands that wait for their turn; more come from no people, and are dropped and counted."""
_REFUSALS_LOGGED_EVERY_NS = 1_000_000_000
_HELD_NAMED = 50
"""Alarms that the flood's message names; the rest is a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerSettings:
    """Where alarms and replies are published, and what the parts obey.

    Attributes:
        agent: the agent's name, as messages say it.
        alert_topic: template of an alarm's topic, with {machine} and perhaps {agent}.
        command_topic: topic below which commands are received, a level a command.
        reply_topic: topic below which they are answered.
        flood_topic: where a flood of alarms is told.
        lifecycle: see `LifecycleSettings`.
        commands: see `CommandSettings`.
        maintenance: windows in which nobody is called.
        zone: in which sentences for people tell times.
        machine_rules: what people say of machines; of it alerts tell what to do.
    """

    agent: str
    alert_topic: Template
    command_topic: str
    reply_topic: str
    flood_topic: str
    lifecycle: LifecycleSettings
    commands: CommandSettings
    maintenance: Sequence[MaintenanceWindow] = field(default=())
    zone: tzinfo = UTC
    machine_rules: Sequence[MachineRule] = field(default=())


class AlarmManager:
    """Publishes what there is to say of alarms, and obeys commands."""

    def __init__(
        self,
        settings: ManagerSettings,
        *,
        outbox: Outbox,
        machines: MachinesPort,
        states: Mapping[str, bytes],
    ) -> None:
        """Begin with what an earlier run had in `states`; what cannot be read is logged and begun anew."""
        self.alarms_opened = 0
        self._settings = settings
        self._outbox = outbox
        kept, log_book = _read(states)
        self.lifecycle = AlarmLifecycle(settings.lifecycle, windows=settings.maintenance, kept=kept)
        self._handler = CommandHandler(
            settings.commands, lifecycle=self.lifecycle, machines=machines, audit=log_book
        )
        self.incidents = IncidentLog(states, zone=settings.zone)
        if damaged := self.incidents.damaged:
            log.warning("state_damaged", names=damaged[:10], count=len(damaged))
        self._counts: dict[tuple[str, str], int] = {}
        self._waiting: list[ReceivedMessage] = []
        self._dropped = 0
        self._changed = False
        self._flooded = False
        self._flood_published = b""
        self._refusal_logged_ns = 0
        self._unlogged = 0

    @property
    def command_filters(self) -> Sequence[str]:
        """What to subscribe to."""
        return (f"{self._settings.command_topic}/+",)

    @property
    def audit(self) -> audit.AuditLog:
        """Who asked for what, and what became of it."""
        return self._handler.audit

    def adopt(self, settings: ManagerSettings) -> None:
        """Go on by other settings: alarms, shelves and the audit log stay as they are, and so do the topics."""
        self._settings = replace(self._settings, zone=settings.zone, machine_rules=settings.machine_rules)
        self.incidents.zone = settings.zone
        self.lifecycle.adopt(settings.lifecycle, windows=settings.maintenance)
        self._handler.adopt(settings.commands)

    # -- alarms ----------------------------------------------------------------------------------------------

    def take_alarms(self, alarms: Iterable[Alarm], *, now_ns: int) -> None:
        """Say what the pipeline has to say."""
        for alarm in alarms:
            self._publish(self.lifecycle.take_alarm(alarm, now_ns=now_ns), now_ns=now_ns)

    def resume(self, still_open: Sequence[Alarm], *, now_ns: int) -> None:
        """After a restart: go on with the alarms that the pipeline goes on with, and end the others."""
        known = {record.alarm.id for record in self.lifecycle.kept.records.values()}
        self.take_alarms([alarm for alarm in still_open if alarm.id not in known], now_ns=now_ns)
        waiting = {alarm.id: alarm for alarm in self._outbox.open_alarms()}
        for record in self.lifecycle.kept.records.values():
            if record.alarm.id not in waiting:
                told = Notification(record, "updated", live=record.told and not record.hidden)
                self._outbox.raise_alarm(self._message(told), first=False)
        self._publish(
            self.lifecycle.reconcile({alarm.id for alarm in still_open}, now_ns=now_ns), now_ns=now_ns
        )
        self.incidents.begin(self.lifecycle.kept.records.values())
        known = {record.alarm.id for record in self.lifecycle.kept.records.values()}
        for alarm in [alarm for alarm in self._outbox.open_alarms() if alarm.id not in known]:
            self._close_unknown(alarm)

    def hand_over(self, machine: str) -> None:
        """Another agent watches the machine: its alarm here is over."""
        self._publish(self.lifecycle.end_alarms(machine, why="handed_over"))

    def _close_unknown(self, left: OpenAlarm) -> None:
        """An alarm that the outbox still says and that nobody knows any more."""
        closing = alarm_payload.closing_after_restart(left.payload)
        if closing is None:
            log.warning("open_alarm_unreadable", id=left.id)
            self._outbox.forget_alarm(left.id)
            return
        machine, payload = closing
        self._outbox.close_alarm(replace(left, payload=payload, revision=left.revision + 1))
        log.warning("alarm_closed", machine=machine, id=left.id, why="nobody watches it any more")

    def _publish(self, notifications: Iterable[Notification], *, now_ns: int | None = None) -> None:
        """Say revisions, and write them down for later; without `now_ns` the alarm's own time counts."""
        for notification in notifications:
            self._changed = True
            self.incidents.take_notification(notification, now_ns=now_ns or notification.alarm.time_ns)
            message = self._message(notification)
            if notification.alarm.state == "closed":
                self._outbox.close_alarm(message)
            else:
                self._outbox.raise_alarm(message, first=notification.first)
            self._log(notification)

    def _message(self, notification: Notification) -> OpenAlarm:
        alarm = notification.alarm
        topic = self._settings.alert_topic.fill(machine=alarm.machine, agent=self._settings.agent)
        rules = self._settings.machine_rules
        payload = alarm_payload.encode_notification(
            notification,
            agent=self._settings.agent,
            zone=self._settings.zone,
            what_to_do=facts_of(rules, alarm.machine).what_to_do(alarm.fault) if rules else "",
        )
        return OpenAlarm(alarm.id, topic, payload, revision=alarm.revision, live=notification.live)

    def _log(self, notification: Notification) -> None:
        alarm = notification.alarm
        if alarm.state == "closed":
            log.info(
                "alarm_closed",
                machine=alarm.machine,
                id=alarm.id,
                why=notification.event,
                peak_score=round(alarm.peak_score, 3),
            )
        elif notification.event == "opened":
            self.alarms_opened += alarm.kind == "machine"
            log.warning(
                "alarm_opened",
                machine=alarm.machine,
                id=alarm.id,
                kind=alarm.kind,
                severity=alarm.severity,
                fault=alarm.fault,
                channels=[channel.name for channel in alarm.channels],
                summary=sentences.summary(alarm, zone=self._settings.zone),
                called=notification.live,
            )
        elif notification.event != "updated":
            log.info("alarm_changed", machine=alarm.machine, id=alarm.id, why=notification.event)

    # -- commands --------------------------------------------------------------------------------------------

    def obey_commands(self, received: Iterable[ReceivedMessage], *, now_ns: int) -> None:
        """Answer the commands among the messages received, a few at a time."""
        self._waiting += received
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
            handled = self._handler.handle(name, message.payload, now_ns=now_ns)
            self._answer(handled, now_ns=now_ns)
            if handled.entry.result == "done" and not handled.repeated:
                self.incidents.take_command(name, message.payload, now_ns=now_ns)
            self._publish(handled.notifications, now_ns=now_ns)

    def _answer(self, handled: HandledCommand, *, now_ns: int) -> None:
        entry = handled.entry
        self._changed = True
        self._count(entry.command, "repeated" if handled.repeated else entry.result)
        topic = f"{self._settings.reply_topic}/{handled.reply_level}"
        self._outbox.put(Message(("reply", handled.reply_level), topic, entry.reply))
        if entry.result == "refused":
            self._unlogged += 1
            if now_ns - self._refusal_logged_ns < _REFUSALS_LOGGED_EVERY_NS:
                return
            self._refusal_logged_ns = now_ns
        write = log.warning if entry.result == "refused" else log.info
        write(
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
        self._publish(self.lifecycle.tick(now_ns), now_ns=now_ns)
        self._publish_flood()

    def _publish_flood(self) -> None:
        """One retained message for all alarms that nobody is called for: how many, and which."""
        held = sorted(self.lifecycle.held_alarms(), key=lambda record: record.alarm.onset_ns)
        if not held and not self._flooded:
            return
        message = msgspec.json.encode(
            {
                "schema_version": 1,
                "agent": self._settings.agent,
                "active": bool(held),
                "held": len(held),
                "held_total": self.lifecycle.kept.held_total,
                "alarms": [
                    {"id": r.alarm.id, "machine": r.alarm.machine, "severity": r.alarm.severity}
                    for r in held[:_HELD_NAMED]
                ],
            }
        )
        if message == self._flood_published:
            return
        if bool(held) != self._flooded:
            log.warning("alarm_flood", active=bool(held), held=len(held))
        self._flooded, self._flood_published = bool(held), message
        self._outbox.put(Message(("flood",), self._settings.flood_topic, message, retain=True))

    def take_states(self) -> Mapping[str, bytes | None]:
        """What is to be kept, where it has changed since the last call; None where it is to be forgotten."""
        told = self.incidents.take_changes()
        if not self._changed:
            return told
        self._changed = False
        return {
            **told,
            LIFECYCLE: state.encode(self.lifecycle.kept),
            AUDIT: audit.encode(self._handler.audit),
        }

    def machine_calls(self, machines: Iterable[str], *, now_ns: int) -> Mapping[str, MachineCalls]:
        """What the status says of each machine, where there is something to say."""
        found = {
            name: MachineCalls(
                self.lifecycle.state_of(name),
                self.lifecycle.shelving_of(name, now_ns=now_ns),
                self.lifecycle.suppression_of(name, now_ns=now_ns),
            )
            for name in machines
        }
        return {name: calls for name, calls in found.items() if calls != MachineCalls()}

    def series(self, *, dropped: int) -> AlarmManagerSeries:
        """What metrics say; `dropped` commands never got here."""
        held = self.lifecycle.kept.held_total
        return AlarmManagerSeries(dict(self._counts), self.lifecycle.counts(), held, dropped + self._dropped)


def _read(states: Mapping[str, bytes]) -> tuple[state.KeptAlarms | None, audit.AuditLog | None]:
    kept = state.decode(states[LIFECYCLE]) if LIFECYCLE in states else None
    book = audit.decode(states[AUDIT]) if AUDIT in states else None
    for name, value in ((LIFECYCLE, kept), (AUDIT, book)):
        if name in states and value is None:
            log.warning("state_value_unusable", name=name, bytes=len(states[name]))
    return kept, book
