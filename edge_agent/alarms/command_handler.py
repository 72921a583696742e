"""Where commands are obeyed or refused: allow-list, repetitions, audit log, and what each command does. Pure.

A request id counts once: the same command again gets the same answer and changes nothing. Whatever is refused is
answered with a reason, counted and logged by whoever drives the handler.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from msgspec import structs

from edge_agent.alarms import requests
from edge_agent.alarms.audit import AuditEntry, AuditLog
from edge_agent.alarms.lifecycle import AlarmLifecycle
from edge_agent.alarms.maintenance import EVERY_MACHINE, to_ns
from edge_agent.alarms.management.commands import ManagedMachines, ManagementCommands
from edge_agent.alarms.management.patterns import is_pattern, matching
from edge_agent.alarms.outcomes import CommandOutcome, done, joined, refuse, unknown_machine
from edge_agent.alarms.payload import rfc3339
from edge_agent.alarms.requests import NOBODY, Reason, Refusal, Reply, Request, encode_reply, until_ns
from edge_agent.alarms.state import Acknowledgement, AlarmState, Notification, Shelving, Suppression
from edge_agent.records import THRESHOLD, Alarm


@dataclass(frozen=True, slots=True)
class LabelOutcome:
    """What became of a label.

    Attributes:
        reason: why the name was not taken, with `detail` for people; empty where it was.
        alarm: the pipeline's revision that says the name, where the alarm is open.
    """

    reason: Reason = ""
    detail: str = ""
    alarm: Alarm | None = None


@dataclass(frozen=True, slots=True)
class AcceptOutcome:
    """What became of an acceptance, or of taking one back.

    Attributes:
        reason: why it was not done, with `detail` for people; empty where it was, or where it was so already.
        changed: whether something is normal now that was not, or the other way round.
    """

    reason: Reason = ""
    detail: str = ""
    changed: bool = True


class MachinesPort(ManagedMachines, Protocol):
    """What commands reach beside alarms."""

    def label(self, machine: str, *, alarm: str, fault: str, by: str) -> LabelOutcome:
        """Remember that the alarm was that fault."""

    def accept(self, machine: str, *, alarm: str, by: str, time_ns: int) -> AcceptOutcome:
        """Take what the alarm told of for normal from now on."""

    def take_back(self, alarm: str) -> AcceptOutcome:
        """What was accepted of the alarm is no longer normal."""

    def inspected(self, picture: str) -> str | None:
        """The machine whose unusual picture has that id; None where no such picture is kept."""

    def recommission(self, machine: str) -> str:
        """Forget what is normal for the machine and gather its rows anew; the reason where that is impossible."""


@dataclass(frozen=True, slots=True)
class CommandSettings:
    """What the handler obeys.

    Attributes:
        allow: names of the commands that are obeyed.
        shelve_max_s: longest time that a machine may be shelved.
        max_age_s: a command that says when it was sent, and that was longer ago, is refused.
    """

    agent: str
    allow: frozenset[str]
    shelve_max_s: float
    max_age_s: float


@dataclass(frozen=True, slots=True)
class HandledCommand:
    """The answer to publish: `reply_level` is the last level of its topic."""

    entry: AuditEntry
    reply_level: str
    repeated: bool = False
    notifications: tuple[Notification, ...] = ()


class CommandHandler:
    """Obeys commands one by one."""

    def __init__(
        self,
        settings: CommandSettings,
        *,
        lifecycle: AlarmLifecycle,
        machines: MachinesPort,
        audit: AuditLog | None,
    ) -> None:
        self.audit = audit or AuditLog()
        self._settings = settings
        self._lifecycle = lifecycle
        self._machines = machines
        managing = ManagementCommands(lifecycle=lifecycle, machines=machines)
        self._obey: Mapping[type[Request], Callable[[Request, int], CommandOutcome]] = dict(
            (
                _way(requests.Ack, self._ack),
                _way(requests.Shelve, self._shelve),
                _way(requests.Unshelve, self._unshelve),
                _way(requests.Suppress, self._suppress),
                _way(requests.Unsuppress, self._unsuppress),
                _way(requests.Label, self._label),
                _way(requests.Accept, self._accept),
                _way(requests.Recommission, self._recommission),
                _way(requests.Relearn, managing.relearn),
                _way(requests.Learn, managing.learn),
                _way(requests.Budget, managing.budget),
                _way(requests.Rename, managing.rename),
                _way(requests.Forget, managing.forget),
            )
        )

    def adopt(self, settings: CommandSettings) -> None:
        """Obey by other settings from the next command on."""
        self._settings = settings

    def handle(self, name: str, payload: bytes, *, now_ns: int) -> HandledCommand:
        """Obey or refuse the command `name`, and answer."""
        digest = hashlib.sha256(name.encode() + b"\0" + payload).digest()[:16]
        request = requests.decode(name, payload)
        known = self.audit.find(request.id) if request.id else None
        if known is not None and known.digest == digest:
            return HandledCommand(known, known.request or NOBODY, repeated=True)
        if isinstance(request, Refusal):
            outcome = CommandOutcome("refused", request.reason, request.detail)
        elif known is not None:
            outcome = refuse("id_reused", f"{request.id} was another command")
        else:
            outcome = self._decide(name, request, now_ns)
        entry = self._entry(name, request, outcome, digest, now_ns)
        if not outcome.in_part:
            self.audit.add(entry)
        return HandledCommand(entry, entry.request or NOBODY, notifications=outcome.notifications)

    def _decide(self, name: str, request: Request, now_ns: int) -> CommandOutcome:
        if name not in self._settings.allow:
            return refuse("not_allowed", f"[commands] allow does not name {name}")
        if request.sent is not None:
            age_s = (now_ns - to_ns(request.sent)) / 1e9
            if age_s > self._settings.max_age_s:
                return refuse("expired", f"sent {age_s:.0f} s ago")
        meant = self._meant(request)
        if isinstance(meant, CommandOutcome):
            return meant
        outcomes = {name: self._obey[type(each)](each, now_ns) for name, each in meant.items()}
        return joined(outcomes) if len(outcomes) > 1 else next(iter(outcomes.values()))

    def _meant(self, request: Request) -> Mapping[str, Request] | CommandOutcome:
        """The request for each machine that it is about, by name; a refusal where a pattern matches none."""
        machine = getattr(request, "machine", None)
        if not isinstance(machine, str) or machine in self._machines.statuses():
            return {"": request}
        if machine == EVERY_MACHINE and isinstance(request, requests.Suppress | requests.Unsuppress):
            return {"": request}
        names = matching(machine, self._machines.facts())
        if len(names) == 1 or (names and isinstance(request, requests.SEVERAL)):
            return {name: structs.replace(request, machine=name) for name in names}
        if not names and not is_pattern(machine):
            return {"": request}
        return refuse(
            "unknown_machine",
            f"{requests.target(request)} means {len(names)} machines: say one by its name"
            if names
            else f"no machine matches {machine}",
        )

    def _entry(
        self, name: str, request: Request | Refusal, outcome: CommandOutcome, digest: bytes, now_ns: int
    ) -> AuditEntry:
        command = name if name in requests.COMMANDS else "unknown"
        reply = Reply(
            agent=self._settings.agent,
            request=request.id,
            command=command,
            result=outcome.result,
            reason=outcome.reason,
            detail=outcome.detail,
            time=rfc3339(now_ns),
        )
        return AuditEntry(
            time_ns=now_ns,
            by=request.by,
            command=command,
            target="" if isinstance(request, Refusal) else requests.target(request),
            request=request.id,
            result=outcome.result,
            reason=outcome.reason,
            digest=digest,
            reply=encode_reply(reply),
        )

    # -- what each command does ------------------------------------------------------------------------------

    def _ack(self, request: requests.Ack, now_ns: int) -> CommandOutcome:
        found = self._lifecycle.find_alarm(request.alarm)
        if found is None:
            return _unknown_alarm(request.alarm)
        if found.acknowledgement is not None:
            return CommandOutcome("unchanged", detail=f"acknowledged before by {found.acknowledgement.by}")
        seen = Acknowledgement(request.by, now_ns, request.comment)
        notifications = self._lifecycle.acknowledge(request.alarm, seen, now_ns=now_ns)
        return done(notifications)

    def _shelve(self, request: requests.Shelve, now_ns: int) -> CommandOutcome:
        machine = self._machine_of(request.machine, request.alarm)
        if isinstance(machine, CommandOutcome):
            return machine
        end_ns = until_ns(request, now_ns=now_ns)
        if end_ns is not None and not now_ns < end_ns <= now_ns + self._settings.shelve_max_s * 1e9:
            return refuse("too_long", f"from 1 to {self._settings.shelve_max_s:.0f} s from now")
        record = self._lifecycle.state_of(machine)
        if request.once and (record is None or not record.active):
            return refuse("no_open_alarm", f"{machine} has no active alarm to shelve once")
        if not self._lifecycle.has_room:
            return refuse("too_many", "too many machines are shelved or suppressed")
        why = Shelving(request.by, now_ns, end_ns, request.comment)
        return done(self._lifecycle.shelve(machine, why, now_ns=now_ns))

    def _unshelve(self, request: requests.Unshelve, now_ns: int) -> CommandOutcome:
        machine = self._machine_of(request.machine, request.alarm)
        if isinstance(machine, CommandOutcome):
            return machine
        if self._lifecycle.shelving_of(machine, now_ns=now_ns) is None:
            return CommandOutcome("unchanged", detail=f"{machine} is not shelved")
        return done(self._lifecycle.unshelve(machine, now_ns=now_ns))

    def _suppress(self, request: requests.Suppress, now_ns: int) -> CommandOutcome:
        if request.machine != EVERY_MACHINE and request.machine not in self._machines.statuses():
            return unknown_machine(request.machine)
        end_ns = until_ns(request, now_ns=now_ns)
        if end_ns is not None and end_ns <= now_ns:
            return refuse("too_long", "ends before it begins")
        if not self._lifecycle.has_room:
            return refuse("too_many", "too many machines are shelved or suppressed")
        why = Suppression(request.by, now_ns, end_ns, request.comment)
        return done(self._lifecycle.suppress(request.machine, why, now_ns=now_ns))

    def _unsuppress(self, request: requests.Unsuppress, now_ns: int) -> CommandOutcome:
        if request.machine not in self._lifecycle.kept.suppressions:
            return CommandOutcome("unchanged", detail=f"no command suppresses {request.machine}")
        return done(self._lifecycle.unsuppress(request.machine, now_ns=now_ns))

    def _label(self, request: requests.Label, now_ns: int) -> CommandOutcome:
        machine = self._told_of(request.alarm)
        if machine is None:
            return _unknown_alarm(request.alarm)
        named = self._machines.label(machine, alarm=request.alarm, fault=request.fault, by=request.by)
        if named.reason:
            return refuse(named.reason, named.detail)
        if named.alarm is None:
            return done((), detail=named.detail)
        notifications = self._lifecycle.take_alarm(named.alarm, now_ns=now_ns, event="labelled")
        return done(notifications, detail=named.detail)

    def _accept(self, request: requests.Accept, now_ns: int) -> CommandOutcome:
        if request.undo:
            outcome = self._machines.take_back(request.alarm)
        else:
            machine = self._told_of(request.alarm)
            if machine is None:
                return _unknown_alarm(request.alarm)
            outcome = self._machines.accept(machine, alarm=request.alarm, by=request.by, time_ns=now_ns)
        if outcome.reason:
            return refuse(outcome.reason, outcome.detail)
        if not outcome.changed:
            return CommandOutcome("unchanged", detail=outcome.detail)
        if request.undo:
            return done((), detail=outcome.detail)
        if self._lifecycle.find_alarm(request.alarm) is None:  # a picture that no alarm showed
            return done((), detail=outcome.detail)
        seen = Acknowledgement(request.by, now_ns, request.comment)
        notifications = self._lifecycle.accept(request.alarm, seen, now_ns=now_ns)
        return done(notifications, detail=outcome.detail)

    def _recommission(self, request: requests.Recommission, _now_ns: int) -> CommandOutcome:
        status = self._machines.statuses().get(request.machine)
        if status is None:
            return unknown_machine(request.machine)
        if status.state == "learning":
            return refuse("busy", f"{request.machine} is being learnt right now")
        record = self._lifecycle.state_of(request.machine)
        if not request.force:
            if record is not None:
                return refuse(
                    "alarm_open", f"{record.alarm.id} is open; what is wrong would be learnt as normal"
                )
            if status.last_score is not None and status.last_score > THRESHOLD:
                return refuse("anomalous", "its latest score is above the threshold")
        if why_not := self._machines.recommission(request.machine):
            return refuse("failed", why_not)
        return done(self._lifecycle.end_alarms(request.machine))

    def _told_of(self, alarm: str) -> str | None:
        """The machine that an alarm, or an unusual picture, told of; None where neither is known."""
        found = self._lifecycle.find_alarm(alarm)
        if found is None:
            return self._machines.inspected(alarm)
        return found.alarm.machine if isinstance(found, AlarmState) else found.machine

    def _machine_of(self, machine: str | None, alarm: str | None) -> str | CommandOutcome:
        """The machine that is meant, or the refusal."""
        if machine is not None:
            return machine if machine in self._machines.statuses() else unknown_machine(machine)
        found = self._lifecycle.find_alarm(alarm or "")
        if found is None:
            return _unknown_alarm(alarm or "")
        return found.alarm.machine if isinstance(found, AlarmState) else found.machine


_R = TypeVar("_R", bound=Request)


def _way(
    kind: type[_R], obey: Callable[[_R, int], CommandOutcome]
) -> tuple[type[Request], Callable[[Request, int], CommandOutcome]]:
    """A kind of request and who obeys it, for the table."""

    def checked(request: Request, now_ns: int) -> CommandOutcome:
        assert isinstance(request, kind)  # noqa: S101 - the table is asked by type
        return obey(request, now_ns)

    return kind, checked


def _unknown_alarm(alarm: str) -> CommandOutcome:
    return refuse("unknown_alarm", f"no alarm {alarm} is open or among the latest that closed")
