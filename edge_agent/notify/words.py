"""What a message says: a title of one line and a text, the same for every receiver. Pure."""

from dataclasses import dataclass
from datetime import UTC, tzinfo
from urllib.parse import quote

from edge_agent.alarms.local_time import moment, span
from edge_agent.notify.book import CallSubject, PeopleCall
from edge_agent.notify.rules import rank
from edge_agent.records import Severity

_NAMED = 3
_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class CallWords:
    """Who speaks: the agent, the page's address as people reach it ("" where they cannot), and the zone of times."""

    agent: str
    page_url: str = ""
    zone: tzinfo = UTC

    def title(self, call: PeopleCall) -> str:
        """Who and how grave, in one line."""
        if call.event == "test":
            return f"Test message of {self.agent}"
        names = [_who(subject) for subject in call.subjects]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        who = ", ".join(names[:_NAMED]) + more
        if call.event == "over":
            return f"Over: {who}"
        gravest = worst(call).upper()
        return f"{gravest}: {who}" if len(names) == 1 else f"{gravest}: {len(names)} alarms: {who}"

    def text(self, call: PeopleCall) -> str:
        """What is wrong since when, what to do, and where to look."""
        if call.event == "test":
            return f"Calls of {self.agent} by [[notify]] {call.rule!r} arrive here. Nothing is wrong."
        lines = [self._line(call, subject) for subject in call.subjects]
        if call.unacknowledged_s:
            waited = span(int(call.unacknowledged_s * _S))
            which = "this alarm" if len(call.subjects) == 1 else "these alarms"
            lines.insert(0, f"Nobody has acknowledged {which} for {waited}.")
        return "\n".join(lines)

    def _line(self, call: PeopleCall, subject: CallSubject) -> str:
        if call.event == "over":
            return f"The alarm of {_who(subject)} of {moment(subject.onset_ns, self.zone)} is closed."
        place = f" ({subject.location})" if subject.location else ""
        called = f"{subject.name}{place}: " if place or subject.name != subject.machine else ""
        todo = f" What to do: {subject.todo}" if subject.todo else ""
        return f"{called}{subject.summary}{todo}"

    def link(self, call: PeopleCall) -> str:
        """The page of the machine, or of all where there are several; "" without an address."""
        if not self.page_url:
            return ""
        machines = {subject.machine for subject in call.subjects}
        base = f"{self.page_url.rstrip('/')}/"
        return f"{base}#/machine/{quote(machines.pop(), safe='')}" if len(machines) == 1 else base

    def identity(self, call: PeopleCall) -> str:
        """The same for every attempt of one message, and for no other message."""
        return f"{self.agent}/{call.rule}/{call.number}"


def worst(call: PeopleCall) -> Severity:
    """The gravest severity of its alarms; a notice where it has none."""
    return max((subject.severity for subject in call.subjects), key=rank, default="notice")


def _who(subject: CallSubject) -> str:
    return subject.name or subject.machine
