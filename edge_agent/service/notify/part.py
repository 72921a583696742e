"""Calling people as a part of the agent: a look at the alarms once a second, and one attempt a rule at a time.

What the book wants kept goes into the state's database with the turn; a message is handed to a thread a turn later,
when it is there. A thread that hangs holds up its own rule alone, and health says so.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edge_agent.alarms.local_time import moment
from edge_agent.alarms.sentences import summary
from edge_agent.alarms.state import AlarmState
from edge_agent.config.file import Config
from edge_agent.metrics.snapshot import NotifySeries, Snapshot
from edge_agent.mqtt.connection import Report
from edge_agent.notify.book import CallBook, CallSubject, PeopleCall, SendOutcome
from edge_agent.notify.rules import NotifyRule
from edge_agent.notify.sender import NotifyTarget, send
from edge_agent.notify.words import CallWords
from edge_agent.service.parts import AgentPart
from edge_agent.service.turn import CLOCKS, Clocks, TurnProcessor
from edge_agent.signals.machine_rules import MachineFacts

_ROUND_S = 1.0
_ATTEMPT_S = 60.0
"""An attempt without an outcome by then counts as unknown; its thread ends by its own time limits."""
_PATIENCE_S = 3.0
"""How long a leaving agent waits for attempts that are under way."""
_TODO_CHARACTERS = 300
_NOBODY = MachineFacts()

Send = Callable[[NotifyTarget, PeopleCall, CallWords], SendOutcome]


@dataclass(slots=True)
class _Attempt:
    """One message on its way; the thread writes `outcome` alone."""

    number: int
    began_s: float
    thread: threading.Thread
    outcome: SendOutcome | None = None
    told: bool = False


@dataclass(slots=True)
class _Threads:
    """Attempts under way, by rule."""

    send: Send
    attempts: dict[str, _Attempt] = field(default_factory=dict)

    def start(self, call: PeopleCall, target: NotifyTarget, words: CallWords, *, now_s: float) -> None:
        """Send in a thread of its own."""

        def work() -> None:
            try:
                outcome = self.send(target, call, words)
            except Exception as error:  # noqa: BLE001 - a thread's edge: a bug in here is an attempt that failed
                outcome = SendOutcome("unknown", f"internal error: {error!r}")
            attempt.outcome = outcome

        thread = threading.Thread(target=work, name=f"notify-{call.rule}", daemon=True)
        self.attempts[call.rule] = attempt = _Attempt(call.number, now_s, thread)
        thread.start()

    def drain(self, *, now_s: float) -> list[tuple[int, SendOutcome]]:
        """What has come to an outcome, or to the end of its time."""
        found = []
        for rule, attempt in [*self.attempts.items()]:
            if attempt.outcome is not None:
                del self.attempts[rule]
            elif attempt.told or now_s - attempt.began_s < _ATTEMPT_S:
                continue
            if not attempt.told:
                late = SendOutcome("unknown", f"no outcome within {_ATTEMPT_S:.0f} s")
                found.append((attempt.number, attempt.outcome or late))
            attempt.told = True
        return found


class NotifyPart(AgentPart):
    """The calls of one agent."""

    name = "notify"

    def __init__(self, config: Config, *, report: Report, clocks: Clocks = CLOCKS, send: Send = send) -> None:
        self._config = config
        self._report = report
        self._clocks = clocks
        self._threads = _Threads(send)
        self._book: CallBook | None = None
        self._processor: TurnProcessor | None = None
        self._begun: list[PeopleCall] = []
        self._round_s = -_ROUND_S
        self._trouble: tuple[str, ...] = ()

    def adopt(self, config: Config) -> None:
        """Call by another configuration; what waits for a rule that is gone is given up."""
        self._config = config
        if self._book is not None:
            self._book.adopt(self._rules(), now_ns=self._clocks.wall_ns())

    def finish(self, processor: TurnProcessor) -> None:
        """Hand out what is on the disk by now, take in what came of it, and once a second see who is to be called."""
        self._processor = processor
        book = self._opened(processor)
        now_s, now_ns = self._clocks.monotonic_s(), self._clocks.wall_ns()
        for call in self._begun:
            self._start(book, call, now_s=now_s)
        self._begun = []
        self._take_outcomes(book)
        if now_s - self._round_s >= _ROUND_S:
            self._round_s = now_s
            if self._config.notify:
                facts = processor.facts()
                book.plan(
                    processor.alarm_manager.lifecycle.kept.records.values(),
                    subject=lambda record: self._subject(record, facts),
                    facts=lambda machine: facts.get(machine, _NOBODY),
                    now_ns=now_ns,
                )
            self._trouble = self._lines(book)
        self._begun = book.begin_next(busy=self._threads.attempts, now_ns=now_ns)
        self._keep(book)

    def stop(self) -> None:
        """Wait a little for what is under way; what is not known by then is told again after the cool-down."""
        for attempt in [*self._threads.attempts.values()]:
            attempt.thread.join(_PATIENCE_S)
        if self._book is not None:
            self._take_outcomes(self._book)
            unsent = SendOutcome("refused", "the agent was stopped before it was sent")
            for call in self._begun:
                self._book.settle(call.number, unsent, now_ns=self._clocks.wall_ns())
            self._begun = []
            self._keep(self._book)

    def add_figures(self, snapshot: Snapshot) -> Snapshot:
        """What became of the messages, by rule; nothing where none is configured."""
        if self._book is None or not self._config.notify:
            return snapshot
        waiting = self._book.waiting_by_rule()
        series = {
            name: NotifySeries(one.made, one.confirmed, one.given_up, waiting.get(name, 0), one.failures)
            for name, one in self._book.counts().items()
        }
        return replace(snapshot, notify=series)

    def amiss(self) -> Sequence[str]:
        """Which messages do not arrive, and why."""
        return self._trouble

    # -- one step --------------------------------------------------------------------------------------------

    def _rules(self) -> Sequence[NotifyRule]:
        return [section.rule(self._config.site.zone) for section in self._config.notify]

    def _opened(self, processor: TurnProcessor) -> CallBook:
        if self._book is None:
            states, now_ns = processor.state_writer.kept_values(), self._clocks.wall_ns()
            self._book = CallBook(states, rules=self._rules(), now_ns=now_ns)
            if self._book.damaged:
                self._report("state_damaged", names=self._book.damaged[:10], count=len(self._book.damaged))
        return self._book

    def _start(self, book: CallBook, call: PeopleCall, *, now_s: float) -> None:
        targets = {section.name: section.target for section in self._config.notify}
        if call.rule not in targets:
            gone = SendOutcome("refused", "the configuration has no such [[notify]] any more")
            book.settle(call.number, gone, now_ns=self._clocks.wall_ns())
            return
        self._threads.start(call, targets[call.rule], words(self._config), now_s=now_s)

    def _take_outcomes(self, book: CallBook) -> None:
        for number, outcome in self._threads.drain(now_s=self._clocks.monotonic_s()):
            call = book.settle(number, outcome, now_ns=self._clocks.wall_ns())
            if call is None:
                continue
            confirmed = call.state == "confirmed"
            self._report(
                "call_confirmed" if confirmed else "call_failed",
                rule=call.rule,
                number=call.number,
                about=call.event,
                alarms=[subject.alarm for subject in call.subjects],
                attempts=call.attempts,
                said=call.said,
            )

    def _keep(self, book: CallBook) -> None:
        if self._processor is not None:
            for name, value in book.take_changes().items():
                self._processor.state_writer.keep_value(name, value)

    def _subject(self, record: AlarmState, facts: Mapping[str, MachineFacts]) -> CallSubject:
        alarm = record.alarm
        known = facts.get(alarm.machine, _NOBODY)
        todo = known.what_to_do(alarm.fault) or known.notes
        return CallSubject(
            alarm=alarm.id,
            machine=alarm.machine,
            name=known.display_name or alarm.machine,
            location=known.location,
            kind=alarm.told_kind,
            fault=alarm.fault,
            severity=alarm.severity,
            onset_ns=alarm.onset_ns,
            summary=summary(alarm, zone=self._config.site.zone),
            todo=todo if len(todo) <= _TODO_CHARACTERS else todo[: _TODO_CHARACTERS - 1] + "…",
        )

    def _lines(self, book: CallBook) -> tuple[str, ...]:
        """A line for each rule whose oldest waiting message has failed."""
        lines: dict[str, str] = {}
        waiting = book.waiting_by_rule()
        for call in book.waiting():
            if call.said and call.rule not in lines:
                count = waiting[call.rule]
                since = moment(call.made_ns, self._config.site.zone)
                what = "1 message waits" if count == 1 else f"{count} messages wait"
                lines[call.rule] = f"notify: {call.rule}: {what} since {since}: {call.said}"
        return tuple(lines.values())


def words(config: Config) -> CallWords:
    """Who speaks."""
    return CallWords(config.agent.name, config.page.url, config.site.zone)
