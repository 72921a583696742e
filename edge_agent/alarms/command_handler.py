"""Where commands are obeyed or refused: allow-list, repetitions, audit log, and what each command does. Pure.

A request id counts once: the same command again gets the same answer and changes nothing. Whatever is refused is
answered with a reason, counted and logged by whoever drives the desk.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from edge_agent.alarms import requests
from edge_agent.alarms.audit import Audit, Entry
from edge_agent.alarms.lifecycle import Lifecycle
from edge_agent.alarms.maintenance import EVERY_MACHINE, to_ns
from edge_agent.alarms.payload import rfc3339
from edge_agent.alarms.requests import NOBODY, Reason, Refusal, Reply, Request, Result, encode_reply, until_ns
from edge_agent.alarms.state import Acknowledgement, Quiet, Record, Telling
from edge_agent.pipeline.machine import MachineStatus
from edge_agent.records import THRESHOLD, Alarm


@dataclass(frozen=True, slots=True)
class Named:
    """What became of a label.

    Attributes:
        reason: why the name was not taken, with `detail` for people; empty where it was.
        alarm: the pipeline's revision that says the name, where the alarm is open.
    """

    reason: Reason = ""
    detail: str = ""
    alarm: Alarm | None = None


class Plant(Protocol):
    """What commands reach beside alarms."""

    def machines(self) -> Mapping[str, MachineStatus]:
        """Every machine that is known."""

    def label(self, machine: str, *, alarm: str, fault: str) -> Named:
        """Remember that the alarm was that fault."""

    def recommission(self, machine: str) -> str:
        """Forget what is normal for the machine and gather its rows anew; the reason where that is impossible."""


@dataclass(frozen=True, slots=True)
class DeskSettings:
    """What the desk obeys.

    Attributes:
        allow: names of the commands that are obeyed.
        shelve_max_s: longest time that a machine may be shelved.
        max_age_s: a command that says when it was sent, and that was longer ago, is refused.
    """

    agent: str
    allow: frozenset[str]
    shelve_max_s: float = 86_400.0
    max_age_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command, and the alarm revisions that follow from it."""

    result: Result
    reason: Reason = ""
    detail: str = ""
    tellings: tuple[Telling, ...] = ()


@dataclass(frozen=True, slots=True)
class Handled:
    """The answer to publish: `reply_level` is the last level of its topic."""

    entry: Entry
    reply_level: str
    repeated: bool = False
    tellings: tuple[Telling, ...] = ()


class Desk:
    """Obeys commands one by one."""

    def __init__(
        self, settings: DeskSettings, *, lifecycle: Lifecycle, plant: Plant, audit: Audit | None
    ) -> None:
        self.audit = audit or Audit()
        self._settings = settings
        self._lifecycle = lifecycle
        self._plant = plant
        self._obey: Mapping[type[Request], Callable[[Request, int], Outcome]] = dict(
            (
                _way(requests.Ack, self._ack),
                _way(requests.Shelve, self._shelve),
                _way(requests.Unshelve, self._unshelve),
                _way(requests.Suppress, self._suppress),
                _way(requests.Unsuppress, self._unsuppress),
                _way(requests.Label, self._label),
                _way(requests.Recommission, self._recommission),
            )
        )

    def adopt(self, settings: DeskSettings) -> None:
        """Obey by other settings from the next command on."""
        self._settings = settings

    def handle(self, name: str, payload: bytes, *, now_ns: int) -> Handled:
        """Obey or refuse the command `name`, and answer."""
        digest = hashlib.sha256(name.encode() + b"\0" + payload).digest()[:16]
        request = requests.decode(name, payload)
        known = self.audit.find(request.id) if request.id else None
        if known is not None and known.digest == digest:
            return Handled(known, known.request or NOBODY, repeated=True)
        if isinstance(request, Refusal):
            outcome = Outcome("refused", request.reason, request.detail)
        elif known is not None:
            outcome = _refuse("id_reused", f"{request.id} was another command")
        else:
            outcome = self._decide(name, request, now_ns)
        entry = self._entry(name, request, outcome, digest, now_ns)
        self.audit.add(entry)
        return Handled(entry, entry.request or NOBODY, tellings=outcome.tellings)

    def _decide(self, name: str, request: Request, now_ns: int) -> Outcome:
        if name not in self._settings.allow:
            return _refuse("not_allowed", f"[commands] allow does not name {name}")
        if request.sent is not None:
            age_s = (now_ns - to_ns(request.sent)) / 1e9
            if age_s > self._settings.max_age_s:
                return _refuse("expired", f"sent {age_s:.0f} s ago")
        return self._obey[type(request)](request, now_ns)

    def _entry(
        self, name: str, request: Request | Refusal, outcome: Outcome, digest: bytes, now_ns: int
    ) -> Entry:
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
        return Entry(
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

    def _ack(self, request: requests.Ack, now_ns: int) -> Outcome:
        found = self._lifecycle.find(request.alarm)
        if found is None:
            return _unknown_alarm(request.alarm)
        if found.acknowledgement is not None:
            return Outcome("unchanged", detail=f"acknowledged before by {found.acknowledgement.by}")
        seen = Acknowledgement(request.by, now_ns, request.comment)
        tellings = self._lifecycle.acknowledge(request.alarm, seen, now_ns=now_ns)
        return Outcome("done", tellings=tuple(tellings))

    def _shelve(self, request: requests.Shelve, now_ns: int) -> Outcome:
        machine = self._machine(request.machine, request.alarm)
        if isinstance(machine, Outcome):
            return machine
        end_ns = until_ns(request, now_ns=now_ns)
        if end_ns is not None and not now_ns < end_ns <= now_ns + self._settings.shelve_max_s * 1e9:
            return _refuse("too_long", f"from 1 to {self._settings.shelve_max_s:.0f} s from now")
        record = self._lifecycle.record(machine)
        if request.once and (record is None or not record.active):
            return _refuse("no_open_alarm", f"{machine} has no active alarm to shelve once")
        if not self._lifecycle.has_room:
            return _refuse("too_many", "too many machines are shelved or suppressed")
        why = Quiet(request.by, now_ns, end_ns, request.comment)
        return Outcome("done", tellings=tuple(self._lifecycle.shelve(machine, why, now_ns=now_ns)))

    def _unshelve(self, request: requests.Unshelve, now_ns: int) -> Outcome:
        machine = self._machine(request.machine, request.alarm)
        if isinstance(machine, Outcome):
            return machine
        if self._lifecycle.shelf(machine, now_ns=now_ns) is None:
            return Outcome("unchanged", detail=f"{machine} is not shelved")
        return Outcome("done", tellings=tuple(self._lifecycle.unshelve(machine, now_ns=now_ns)))

    def _suppress(self, request: requests.Suppress, now_ns: int) -> Outcome:
        if request.machine != EVERY_MACHINE and request.machine not in self._plant.machines():
            return _unknown_machine(request.machine)
        end_ns = until_ns(request, now_ns=now_ns)
        if end_ns is not None and end_ns <= now_ns:
            return _refuse("too_long", "ends before it begins")
        if not self._lifecycle.has_room:
            return _refuse("too_many", "too many machines are shelved or suppressed")
        why = Quiet(request.by, now_ns, end_ns, request.comment)
        return Outcome("done", tellings=tuple(self._lifecycle.suppress(request.machine, why, now_ns=now_ns)))

    def _unsuppress(self, request: requests.Unsuppress, now_ns: int) -> Outcome:
        if request.machine not in self._lifecycle.memory.suppressions:
            return Outcome("unchanged", detail=f"no command suppresses {request.machine}")
        return Outcome("done", tellings=tuple(self._lifecycle.unsuppress(request.machine, now_ns=now_ns)))

    def _label(self, request: requests.Label, now_ns: int) -> Outcome:
        found = self._lifecycle.find(request.alarm)
        if found is None:
            return _unknown_alarm(request.alarm)
        machine = found.alarm.machine if isinstance(found, Record) else found.machine
        named = self._plant.label(machine, alarm=request.alarm, fault=request.fault)
        if named.reason:
            return _refuse(named.reason, named.detail)
        if named.alarm is None:
            return Outcome("done", detail=named.detail)
        tellings = self._lifecycle.take(named.alarm, now_ns=now_ns, event="labelled")
        return Outcome("done", detail=named.detail, tellings=tuple(tellings))

    def _recommission(self, request: requests.Recommission, _now_ns: int) -> Outcome:
        status = self._plant.machines().get(request.machine)
        if status is None:
            return _unknown_machine(request.machine)
        if status.state == "learning":
            return _refuse("busy", f"{request.machine} is being learnt right now")
        record = self._lifecycle.record(request.machine)
        if not request.force:
            if record is not None:
                return _refuse(
                    "alarm_open", f"{record.alarm.id} is open; what is wrong would be learnt as normal"
                )
            if status.last_score is not None and status.last_score > THRESHOLD:
                return _refuse("anomalous", "its latest score is above the threshold")
        if why_not := self._plant.recommission(request.machine):
            return _refuse("failed", why_not)
        return Outcome("done", tellings=tuple(self._lifecycle.end(request.machine)))

    def _machine(self, machine: str | None, alarm: str | None) -> str | Outcome:
        """The machine that is meant, or the refusal."""
        if machine is not None:
            return machine if machine in self._plant.machines() else _unknown_machine(machine)
        found = self._lifecycle.find(alarm or "")
        if found is None:
            return _unknown_alarm(alarm or "")
        return found.alarm.machine if isinstance(found, Record) else found.machine


_R = TypeVar("_R", bound=Request)


def _way(
    kind: type[_R], obey: Callable[[_R, int], Outcome]
) -> tuple[type[Request], Callable[[Request, int], Outcome]]:
    """A kind of request and who obeys it, for the table."""

    def checked(request: Request, now_ns: int) -> Outcome:
        assert isinstance(request, kind)  # noqa: S101 - the table is asked by type
        return obey(request, now_ns)

    return kind, checked


def _refuse(reason: Reason, detail: str) -> Outcome:
    return Outcome("refused", reason, detail)


def _unknown_alarm(alarm: str) -> Outcome:
    return _refuse("unknown_alarm", f"no alarm {alarm} is open or among the latest that closed")


def _unknown_machine(machine: str) -> Outcome:
    return _refuse("unknown_machine", f"no machine {machine} was ever heard")
