"""A plant of one machine for tests of commands, and an alarm of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge_agent.alarms.command_handler import AcceptOutcome, LabelOutcome
from edge_agent.pipeline.machine import MachineStatus
from edge_agent.records import Alarm

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

    def recommission(self, machine: str) -> str:
        self.asked.append(("recommission", machine))
        return self.broken
