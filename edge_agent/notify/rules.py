"""Whom an alarm is for: one `[[notify]]` of the configuration as a rule. Pure: the time is an argument."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import get_args

from edge_agent.alarms.maintenance import Weekly
from edge_agent.alarms.state import AlarmState
from edge_agent.records import Severity
from edge_agent.signals.machine_rules import MachineFacts

_SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_S = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyRule:
    """Who is called, when, and how often.

    Attributes:
        severity: the least that calls.
        kinds: of alarms, as messages tell them; none: all.
        machines: patterns of names. locations: patterns of places, or none for any.
        shifts: when somebody is on call; none: always. What happens outside waits, as long as it lasts.
        quiet: when only what is critical calls.
        after_s: call only for what nobody has acknowledged for so long: the escalation.
        cool_down_s: the same alarm calls again no sooner.
        group_s: messages follow each other no faster; what comes between is one message.
        single: each alarm is a message of its own.
        over: tell, too, when an alarm that called is over.
        give_up_s: a message that nobody takes for so long is given up.
    """

    name: str
    severity: Severity = "warning"
    kinds: Sequence[str] = ()
    machines: Sequence[str] = ("*",)
    locations: Sequence[str] = ()
    shifts: Sequence[Weekly] = field(default=())
    quiet: Sequence[Weekly] = field(default=())
    after_s: float = 0.0
    cool_down_s: float = 300.0
    group_s: float = 30.0
    single: bool = False
    over: bool = True
    give_up_s: float = 86_400.0

    def wants(self, record: AlarmState, facts: MachineFacts, *, now_ns: int) -> bool:
        """Whether somebody is to be called for an alarm that stands so."""
        alarm = record.alarm
        if not record.active or not record.told or record.hidden or record.acknowledgement is not None:
            return False
        if rank(alarm.severity) < rank(self.severity) or (self.kinds and alarm.told_kind not in self.kinds):
            return False
        if not any(fnmatchcase(alarm.machine, pattern) for pattern in self.machines):
            return False
        if self.locations and not any(fnmatchcase(facts.location, pattern) for pattern in self.locations):
            return False
        if self.after_s and (record.called_ns is None or abs(now_ns - record.called_ns) < self.after_s * _S):
            return False
        return self.on_call(alarm.severity, now_ns=now_ns)

    def on_call(self, severity: Severity, *, now_ns: int) -> bool:
        """Whether somebody may be called at this time."""
        if self.shifts and not any(shift.around(now_ns) for shift in self.shifts):
            return False
        return severity == _SEVERITIES[-1] or not any(time.around(now_ns) for time in self.quiet)


def rank(severity: Severity) -> int:
    """The gravest has the highest."""
    return _SEVERITIES.index(severity)
