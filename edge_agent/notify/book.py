"""The book of calls: which are due, which wait, what became of each. Pure, bounded, kept over restarts by name.

Calls follow from how the alarms stand. A call is `waiting`, then `sending` (written down before it is sent), then
`confirmed` or `given_up`; an attempt that failed for certain waits again, longer each time. One of which it is not
known whether it arrived, because the answer or this process was lost, waits for the rule's cool-down: at least once,
and never twice within it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import Struct, field, structs

from edge_agent.alarms.state import AlarmState
from edge_agent.notify.rules import NotifyRule, rank
from edge_agent.records import Severity
from edge_agent.signals.machine_rules import MachineFacts

CALL, REACHED, COUNTS = "notify/call/", "notify/reached/", "notify/counts"
"""Names under which they are kept on the disk."""
WAITING_LIMIT = 500
"""Messages that wait, of all rules; beyond it the oldest is given up."""
ENDED_KEPT = 200
ALARMS_A_MESSAGE = 20
_RETRY_FIRST_S, _RETRY_LAST_S = 5.0, 60.0
_REFUSED_PAUSE_S = 5.0
"""A receiver that has refused one message gets no other for so long."""
_S = 1_000_000_000
_SAID_CHARACTERS = 300

CallEvent = Literal["alarm", "over", "test"]
CallState = Literal["waiting", "sending", "confirmed", "given_up"]


class CallSubject(Struct, frozen=True):
    """An alarm as a message tells it.

    Attributes:
        name: what people call the machine.
    """

    alarm: str
    machine: str
    name: str
    location: str
    kind: str
    fault: str
    severity: Severity
    onset_ns: int
    summary: str
    todo: str = ""


class PeopleCall(Struct, frozen=True):
    """One message of one rule.

    Attributes:
        unacknowledged_s: nobody has acknowledged what it tells of for so long; 0: it is the first call.
        tried_ns: when it was last sent. not_before_ns: when it may be sent again.
        said: what the last attempt came to.
    """

    number: int
    rule: str
    event: CallEvent
    subjects: tuple[CallSubject, ...]
    made_ns: int
    unacknowledged_s: float = 0.0
    state: CallState = "waiting"
    attempts: int = 0
    tried_ns: int = 0
    not_before_ns: int = 0
    said: str = ""
    ended_ns: int = 0


class Reached(Struct, frozen=True):
    """For what a rule has called about one alarm.

    Attributes:
        stage: rank of the severity, and whether it was the second call.
        over_ns: when the alarm was found to be over.
    """

    subject: CallSubject
    called_ns: int
    stage: tuple[int, bool]
    over_ns: int | None = None


class CallCounts(Struct):
    """What became of the messages of one rule, since its first: made = confirmed + given_up + those that wait."""

    made: int = 0
    confirmed: int = 0
    given_up: int = 0
    failures: int = 0


class _BookCounts(Struct):
    """All counts as they lie on the disk."""

    next: int = 1
    rules: dict[str, CallCounts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """What an attempt came to; `unknown`: it may have arrived, and nobody said so."""

    state: Literal["confirmed", "refused", "unknown"]
    said: str


class CallBook:
    """All calls of one agent. Belongs to one thread."""

    def __init__(self, states: Mapping[str, bytes], *, rules: Sequence[NotifyRule], now_ns: int) -> None:
        """Go on with what an earlier run had in `states`; what cannot be read is begun anew, and named."""
        self.damaged: tuple[str, ...] = ()
        self.calls: dict[int, PeopleCall] = {}
        """By number: those that wait, and the latest that ended."""
        self._reached: dict[tuple[str, str], Reached] = {}
        self._counts = _BookCounts()
        self._last_ns: dict[tuple[str, CallEvent], int] = {}
        self._refused_ns: dict[str, int] = {}
        self._changes: dict[str, bytes | None] = {}
        self._rules: dict[str, NotifyRule] = {}
        self._restore(states)
        self.adopt(rules, now_ns=now_ns)
        for call in [one for one in self.calls.values() if one.state == "sending"]:
            self.settle(
                call.number, SendOutcome("unknown", "the agent ended while it was sent"), now_ns=now_ns
            )

    def _restore(self, states: Mapping[str, bytes]) -> None:
        damaged = []
        for name in sorted(states):
            try:
                if name.startswith(CALL):
                    call = msgspec.msgpack.decode(states[name], type=PeopleCall)
                    self.calls[call.number] = call
                    self._last_ns[call.rule, call.event] = call.made_ns
                elif name.startswith(REACHED):
                    rule, _, alarm = name.removeprefix(REACHED).partition("/")
                    self._reached[rule, alarm] = msgspec.msgpack.decode(states[name], type=Reached)
                elif name == COUNTS:
                    self._counts = msgspec.msgpack.decode(states[name], type=_BookCounts)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                damaged.append(name)
                self._changes[name] = None
        self._counts.next = max(self._counts.next, max(self.calls, default=0) + 1)
        self.damaged = tuple(damaged)

    def adopt(self, rules: Sequence[NotifyRule], *, now_ns: int) -> None:
        """Go on by other rules; what waits for one that is gone is given up."""
        self._rules = {rule.name: rule for rule in rules}
        for call in self.waiting():
            if call.rule not in self._rules and call.state == "waiting":
                self._end(
                    call, "given_up", "the configuration has no such [[notify]] any more", now_ns=now_ns
                )
        self._counts.rules = {name: one for name, one in self._counts.rules.items() if name in self._rules}
        for key in [key for key in self._reached if key[0] not in self._rules]:
            self._forget(key)

    # -- what is due -----------------------------------------------------------------------------------------

    def plan(
        self,
        records: Iterable[AlarmState],
        *,
        subject: Callable[[AlarmState], CallSubject],
        facts: Callable[[str], MachineFacts],
        now_ns: int,
    ) -> None:
        """Make the messages that follow from how the alarms stand, and give up what waits for too long."""
        present = {record.alarm.id: record for record in records}
        on_its_way = {
            (call.rule, subject.alarm)
            for call in self.waiting()
            if call.event == "alarm"
            for subject in call.subjects
        }
        for rule in self._rules.values():
            due = [
                record
                for record in present.values()
                if rule.wants(record, facts(record.alarm.machine), now_ns=now_ns)
                and (rule.name, record.alarm.id) not in on_its_way
                and self._is_news(rule, record, now_ns=now_ns)
            ]
            due.sort(key=lambda record: (-rank(record.alarm.severity), record.alarm.onset_ns))
            size = 1 if rule.single else ALARMS_A_MESSAGE
            while due and self._may_speak(rule, "alarm", now_ns=now_ns):
                told, due = due[:size], due[size:]
                for record in told:
                    self._keep((rule.name, record.alarm.id), Reached(subject(record), now_ns, _stage(record)))
                self._make(rule, "alarm", [subject(record) for record in told], now_ns=now_ns)
            self._tell_ends(rule, present, now_ns=now_ns)
        self._give_up_old(now_ns)

    def _is_news(self, rule: NotifyRule, record: AlarmState, *, now_ns: int) -> bool:
        reached = self._reached.get((rule.name, record.alarm.id))
        if reached is None:
            return True
        if abs(now_ns - reached.called_ns) < rule.cool_down_s * _S:
            return False
        return reached.over_ns is not None or _stage(record) > reached.stage

    def _may_speak(self, rule: NotifyRule, event: CallEvent, *, now_ns: int) -> bool:
        if rule.single:
            return True
        last_ns = self._last_ns.get((rule.name, event))
        return last_ns is None or abs(now_ns - last_ns) >= rule.group_s * _S

    def _tell_ends(self, rule: NotifyRule, present: Mapping[str, AlarmState], *, now_ns: int) -> None:
        """Tell what is over, and forget what has been over for the cool-down."""
        over: list[CallSubject] = []
        size = ALARMS_A_MESSAGE if self._may_speak(rule, "over", now_ns=now_ns) else 0
        for key, reached in [one for one in self._reached.items() if one[0][0] == rule.name]:
            if key[1] in present:
                continue
            if reached.over_ns is None:
                if rule.over and not rule.single and len(over) >= size:
                    continue  # in the next message
                self._keep(key, structs.replace(reached, over_ns=now_ns))
                over.append(reached.subject)
            elif abs(now_ns - reached.called_ns) >= rule.cool_down_s * _S:
                self._forget(key)
        if over and rule.over:
            for told in [[one] for one in over] if rule.single else [over]:
                self._make(rule, "over", told, now_ns=now_ns)

    def _make(
        self, rule: NotifyRule, event: CallEvent, subjects: Sequence[CallSubject], *, now_ns: int
    ) -> None:
        number, self._counts.next = self._counts.next, self._counts.next + 1
        waited_s = rule.after_s if event == "alarm" else 0.0
        self._put(PeopleCall(number, rule.name, event, tuple(subjects), now_ns, waited_s))
        self._count(rule.name).made += 1
        self._last_ns[rule.name, event] = now_ns
        waiting = [call for call in self.waiting() if call.state == "waiting"]
        if len(waiting) > WAITING_LIMIT:
            self._end(waiting[0], "given_up", f"more than {WAITING_LIMIT} messages waited", now_ns=now_ns)

    def _give_up_old(self, now_ns: int) -> None:
        for call in self.waiting():
            limit_s = self._rules[call.rule].give_up_s if call.rule in self._rules else 0.0
            if call.state == "waiting" and now_ns - call.made_ns >= limit_s * _S:
                self._end(call, "given_up", call.said or "it was never sent", now_ns=now_ns)

    # -- what becomes of it ----------------------------------------------------------------------------------

    def waiting(self) -> list[PeopleCall]:
        """Those that have not ended, oldest first."""
        return [call for call in self.calls.values() if call.state in ("waiting", "sending")]

    def begin_next(self, *, busy: Iterable[str], now_ns: int) -> list[PeopleCall]:
        """The next message of each rule that is not busy, where it is time: from here on it counts as being sent."""
        taken = set(busy) | {call.rule for call in self.calls.values() if call.state == "sending"}
        taken |= {
            rule for rule, at_ns in self._refused_ns.items() if 0 <= now_ns - at_ns < _REFUSED_PAUSE_S * _S
        }
        held: set[tuple[str, str]] = set()
        begun = []
        for call in self.waiting():
            about = {(call.rule, subject.alarm) for subject in call.subjects}
            set_back = now_ns < call.tried_ns
            due = (set_back or now_ns >= call.not_before_ns) and not about & held
            if call.rule in taken or not due:
                held |= about  # what comes later about the same alarm must not overtake it
                continue
            taken.add(call.rule)
            call = structs.replace(  # noqa: PLW2901 - the same call, a step further
                call, state="sending", attempts=call.attempts + 1, tried_ns=now_ns
            )
            self._put(call)
            begun.append(call)
        return begun

    def settle(self, number: int, outcome: SendOutcome, *, now_ns: int) -> PeopleCall | None:
        """What an attempt came to; None where the call is not known any more."""
        call = self.calls.get(number)
        if call is None or call.state != "sending":
            return None
        said = outcome.said[:_SAID_CHARACTERS]
        if outcome.state == "confirmed":
            self._restart_cool_down(call, now_ns=now_ns)
            return self._end(call, "confirmed", said, now_ns=now_ns)
        self._count(call.rule).failures += 1
        self._refused_ns[call.rule] = now_ns
        rule = self._rules.get(call.rule)
        pause_s = min(_RETRY_LAST_S, _RETRY_FIRST_S * 2 ** min(call.attempts - 1, 10))
        earliest_ns = now_ns + int(pause_s * _S)
        if outcome.state == "unknown" and rule is not None:
            # From now on: it may have arrived at any time until now.
            earliest_ns = max(earliest_ns, now_ns + int(rule.cool_down_s * _S))
        call = structs.replace(call, state="waiting", said=said, not_before_ns=earliest_ns)
        if rule is None:
            return self._end(call, "given_up", said, now_ns=now_ns)
        self._put(call)
        return call

    def _restart_cool_down(self, call: PeopleCall, *, now_ns: int) -> None:
        """A call counts from its arrival on, which may be long after it was made."""
        for subject in call.subjects if call.event == "alarm" else ():
            if (reached := self._reached.get((call.rule, subject.alarm))) is not None:
                self._keep((call.rule, subject.alarm), structs.replace(reached, called_ns=now_ns))

    def _end(self, call: PeopleCall, state: CallState, said: str, *, now_ns: int) -> PeopleCall:
        ended = structs.replace(call, state=state, said=said, ended_ns=now_ns)
        counts = self._count(call.rule)
        counts.confirmed += state == "confirmed"
        counts.given_up += state == "given_up"
        self._put(ended)
        past = [one.number for one in self.calls.values() if one.ended_ns]
        for number in past[: max(0, len(past) - ENDED_KEPT)]:
            del self.calls[number]
            self._changes[f"{CALL}{number:020d}"] = None
        return ended

    def counts(self) -> Mapping[str, CallCounts]:
        """By rule, of those that are configured."""
        return {name: self._counts.rules.get(name, CallCounts()) for name in self._rules}

    def waiting_by_rule(self) -> Mapping[str, int]:
        """How many messages of each rule have not ended."""
        return Counter(call.rule for call in self.waiting())

    # -- what is kept ----------------------------------------------------------------------------------------

    def take_changes(self) -> Mapping[str, bytes | None]:
        """What is to be kept or forgotten since the last call, by name."""
        changes, self._changes = self._changes, {}
        if changes:
            changes[COUNTS] = msgspec.msgpack.encode(self._counts)
        return changes

    def _put(self, call: PeopleCall) -> None:
        self.calls[call.number] = call
        self._changes[f"{CALL}{call.number:020d}"] = msgspec.msgpack.encode(call)

    def _count(self, rule: str) -> CallCounts:
        return self._counts.rules.setdefault(rule, CallCounts())

    def _keep(self, key: tuple[str, str], reached: Reached) -> None:
        self._reached[key] = reached
        self._changes[f"{REACHED}{key[0]}/{key[1]}"] = msgspec.msgpack.encode(reached)

    def _forget(self, key: tuple[str, str]) -> None:
        del self._reached[key]
        self._changes[f"{REACHED}{key[0]}/{key[1]}"] = None


def kept_calls(states: Mapping[str, bytes]) -> list[PeopleCall]:
    """The calls among what an agent keeps, oldest first; what cannot be read stays out."""
    found = []
    for name in sorted(name for name in states if name.startswith(CALL)):
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            found.append(msgspec.msgpack.decode(states[name], type=PeopleCall))
    return found


def _stage(record: AlarmState) -> tuple[int, bool]:
    return rank(record.alarm.severity), record.recalled
