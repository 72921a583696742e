"""What the agent has to say of alarms: revisions into the outbox, openings and closings into the log. No MQTT."""

from collections.abc import Sequence

import structlog

from edge_agent import alert
from edge_agent.contract.records import Alarm
from edge_agent.outbox import OpenAlarm, Outbox
from edge_agent.topics import Template

log = structlog.get_logger()


class Announcer:
    """Tells alarms in one agent's name."""

    def __init__(self, *, agent: str, topic: Template, outbox: Outbox) -> None:
        self.opened = 0
        """Alarms opened by this process."""
        self._agent = agent
        self._topic = topic
        self._outbox = outbox

    def tell(self, alarms: Sequence[Alarm]) -> None:
        """Line up each revision."""
        for alarm in alarms:
            payload = alert.encode(alarm, agent=self._agent)
            told = OpenAlarm(alarm.id, self._topic_of(alarm.machine), payload, revision=alarm.revision)
            if alarm.state == "closed":
                self._outbox.close_alarm(told)
                log.info(
                    "alarm_closed", machine=alarm.machine, id=alarm.id, peak_score=round(alarm.peak_score, 3)
                )
                continue
            self._outbox.raise_alarm(told, revision=alarm.revision)
            if alarm.revision == 1:
                self._tell_opened(alarm)

    def go_on(self, still_open: Sequence[Alarm]) -> None:
        """After a restart: alarms that go on are known to the outbox, and those that nobody watches any more end."""
        known = {alarm.id: alarm for alarm in self._outbox.open_alarms()}
        for alarm in still_open:
            if alarm.id not in known:
                self.tell([alarm])
        for gone in known.keys() - {alarm.id for alarm in still_open}:
            closing = alert.closing_after_restart(known[gone].payload)
            if closing is None:
                log.warning("open_alarm_unreadable", id=gone)
                self._outbox.forget_alarm(gone)
                continue
            machine, payload = closing
            revision = known[gone].revision + 1
            self._outbox.close_alarm(OpenAlarm(gone, self._topic_of(machine), payload, revision=revision))
            log.warning("alarm_closed", machine=machine, id=gone, reason="its machine cannot go on")

    def _tell_opened(self, alarm: Alarm) -> None:
        self.opened += 1
        log.warning(
            "alarm_opened",
            machine=alarm.machine,
            id=alarm.id,
            severity=alarm.severity,
            fault=alarm.fault,
            channels=[channel.name for channel in alarm.channels],
            summary=alert.summary(alarm),
        )

    def _topic_of(self, machine: str) -> str:
        return self._topic.fill(machine=machine, agent=self._agent)
