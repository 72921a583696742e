"""A plant of one machine for tests of commands, and an alarm of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_agent.alarms.audit import AuditLog
from edge_agent.alarms.command_handler import (
    AcceptOutcome,
    CommandHandler,
    CommandSettings,
    HandledCommand,
    LabelOutcome,
)
from edge_agent.alarms.lifecycle import AlarmLifecycle, LifecycleSettings
from edge_agent.alarms.outcomes import MachineOutcome
from edge_agent.alarms.requests import COMMANDS
from edge_agent.pipeline.results import MachineStatus
from edge_agent.records import Alarm, Frame
from edge_agent.signals.machine_rules import MachineFacts

SECOND = 1_000_000_000
NOW_NS = 1_800_000_000 * SECOND
READY = MachineStatus("ready", 500, 300, ("flow",), NOW_NS, 0.4, 1.0, None)
ALARM = Alarm(
    id="pump-1-a",
    revision=1,
    machine="pump-1",
    state="open",
    severity="warning",
    onset_ns=NOW_NS,
    time_ns=NOW_NS,
    score=1.5,
    peak_score=1.5,
    threshold=1.0,
    fault="unknown",
    fault_probability=0.0,
    channels=(),
    model="digest",
)


@dataclass
class Hall:
    """A plant of one machine that notes what it is asked."""

    status: dict[str, MachineStatus] = field(default_factory=lambda: {"pump-1": READY})
    asked: list[tuple[str, ...]] = field(default_factory=list)
    named: LabelOutcome = field(default_factory=LabelOutcome)
    accepted: AcceptOutcome = field(default_factory=AcceptOutcome)
    broken: str = ""
    said: dict[str, MachineFacts] = field(default_factory=dict)
    managed: MachineOutcome = field(default_factory=MachineOutcome)

    def statuses(self) -> Mapping[str, MachineStatus]:
        return self.status

    def label(self, machine: str, *, alarm: str, fault: str, by: str) -> LabelOutcome:
        self.asked.append(("label", machine, alarm, fault, by))
        return self.named

    def accept(self, machine: str, *, alarm: str, by: str, time_ns: int) -> AcceptOutcome:
        self.asked.append(("accept", machine, alarm, by, str(time_ns)))
        return self.accepted

    def take_back(self, alarm: str) -> AcceptOutcome:
        self.asked.append(("take_back", alarm))
        return self.accepted

    def inspected(self, picture: str) -> str | None:
        return "pump-1" if picture == "picture-1" else None

    def recommission(self, machine: str) -> str:
        self.asked.append(("recommission", machine))
        return self.broken

    def facts(self) -> Mapping[str, MachineFacts]:
        return {name: self.said.get(name, MachineFacts()) for name in self.status}

    def decide(self, machine: str, decision: str, *, by: str, force: bool) -> MachineOutcome:
        self.asked.append(("decide", machine, decision, by, str(force)))
        return self.managed

    def cells_limit(self) -> int:
        return 10_000

    def learn(self, machine: str, frame: Frame, *, by: str) -> MachineOutcome:
        self.asked.append(("learn", machine, by, ",".join(frame.channels), str(len(frame.rows))))
        return self.managed

    def say_budget(self, machine: str, per_week: float | None) -> MachineOutcome:
        self.asked.append(("budget", machine, str(per_week)))
        return self.managed

    def say_name(self, machine: str, name: str) -> MachineOutcome:
        self.asked.append(("name", machine, name))
        return self.managed

    def forget(self, machine: str) -> str:
        self.asked.append(("forget", machine))
        return self.broken


class Office:
    """A handler with all commands allowed unless said otherwise, over a machine with an open alarm."""

    def __init__(self, *allow: str, book: AuditLog | None = None) -> None:
        self.hall = Hall()
        self.life = AlarmLifecycle(LifecycleSettings())
        self.life.take_alarm(ALARM, now_ns=NOW_NS)
        settings = CommandSettings(
            "hall", allow=frozenset(allow or COMMANDS), shelve_max_s=3600, max_age_s=300
        )
        self.handler = CommandHandler(settings, lifecycle=self.life, machines=self.hall, audit=book)

    def ask(self, name: str, /, *, request: str = "r", now_ns: int = NOW_NS, **fields: Any) -> HandledCommand:
        payload = json.dumps({"id": request, "by": "anna"} | fields).encode()
        return self.handler.handle(name, payload, now_ns=now_ns)

    def result(self, name: str, /, **fields: Any) -> tuple[str, str]:
        entry = self.ask(name, **fields).entry
        return entry.result, entry.reason
