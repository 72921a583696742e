"""What the commands about machines as things to manage do: relearn, learn, budget, rename, forget. Stores nothing."""

from collections.abc import Mapping
from typing import Protocol

from edge_agent.alarms import requests
from edge_agent.alarms.lifecycle import AlarmLifecycle
from edge_agent.alarms.management.next_profiles import Decision
from edge_agent.alarms.management.uploads import Uploads
from edge_agent.alarms.outcomes import CommandOutcome, MachineOutcome, done, refuse, unknown_machine
from edge_agent.pipeline.results import MachineStatus
from edge_agent.records import THRESHOLD, Frame
from edge_agent.signals.machine_rules import MachineFacts

_SENDING_S = 60.0
"""A machine whose latest row is younger still sends."""


class ManagedMachines(Protocol):
    """What these commands reach."""

    def statuses(self) -> Mapping[str, MachineStatus]:
        """Every machine that is known."""

    def facts(self) -> Mapping[str, MachineFacts]:
        """What people say of every machine that is known."""

    def decide(self, machine: str, decision: Decision, *, by: str, force: bool) -> MachineOutcome:
        """Learn the machine anew beside the profile that watches it, or say what becomes of that."""

    def learn(self, machine: str, frame: Frame, *, by: str) -> MachineOutcome:
        """Learn the machine from rows of a recording."""

    def cells_limit(self) -> int:
        """Rows times channels that can be learnt from at once."""

    def say_budget(self, machine: str, per_week: float | None) -> MachineOutcome:
        """So many false alarms a week are accepted of the machine; None: as the configuration says."""

    def say_name(self, machine: str, name: str) -> MachineOutcome:
        """People call the machine so; empty: as the configuration says."""

    def forget(self, machine: str) -> str:
        """Know nothing of the machine any more, here and on disk; the reason where that is impossible."""


class ManagementCommands:
    """Obeys the commands about one machine each."""

    def __init__(self, *, lifecycle: AlarmLifecycle, machines: ManagedMachines) -> None:
        self._lifecycle = lifecycle
        self._machines = machines
        self._uploads = Uploads()

    def relearn(self, request: requests.Relearn, _now_ns: int) -> CommandOutcome:
        """Learn a machine anew, beside the profile that watches it."""
        status = self._machines.statuses().get(request.machine)
        if status is None:
            return unknown_machine(request.machine)
        if request.decision == "begin" and not request.force:
            record = self._lifecycle.state_of(request.machine)
            if record is not None:
                return refuse(
                    "alarm_open",
                    f"{record.alarm.id} is open; with force its rows are learnt as normal",
                )
            if status.last_score is not None and status.last_score > THRESHOLD:
                return refuse("anomalous", "its latest score is above the threshold")
        return _told(
            self._machines.decide(request.machine, request.decision, by=request.by, force=request.force)
        )

    def learn(self, request: requests.Learn, now_ns: int) -> CommandOutcome:
        """Learn a machine from a recording, once all of it is here."""
        taken = self._uploads.take(request, now_ns=now_ns, cells_limit=self._machines.cells_limit())
        if isinstance(taken, CommandOutcome):
            return taken
        return _told(self._machines.learn(request.machine, taken, by=request.by))

    def budget(self, request: requests.Budget, _now_ns: int) -> CommandOutcome:
        """Say how many false alarms of a machine are accepted."""
        if request.machine not in self._machines.statuses():
            return unknown_machine(request.machine)
        return _told(self._machines.say_budget(request.machine, request.per_week))

    def rename(self, request: requests.Rename, _now_ns: int) -> CommandOutcome:
        """Say what people call a machine; topics and files go by its own name."""
        facts, name = self._machines.facts(), request.name.strip()
        if request.machine not in facts:
            return unknown_machine(request.machine)
        for other, known in facts.items():
            taken = {other.casefold(), known.display_name.casefold()}
            if other != request.machine and name and name.casefold() in taken:
                return refuse("bad_name", f"{other} is called so already")
        return _told(self._machines.say_name(request.machine, name))

    def forget(self, request: requests.Forget, now_ns: int) -> CommandOutcome:
        """Remove all that is known of a machine."""
        machine = request.machine
        status = self._machines.statuses().get(machine)
        if status is None:
            return unknown_machine(machine)
        if not request.confirm:
            return refuse(
                "malformed",
                "this removes the profile, named faults, alarms, shelving and history of the machine for good: "
                'say "confirm": true',
            )
        if status.state == "learning":
            return refuse("busy", f"{machine} is being learnt right now: try again in a minute")
        closings = self._lifecycle.forget(machine)
        if why_not := self._machines.forget(machine):
            return refuse("failed", why_not)
        return done(closings, detail=f"{machine} is forgotten; {_learnt_afresh(status, now_ns)}")


def _learnt_afresh(status: MachineStatus, now_ns: int) -> str:
    since_s = None if status.last_time_ns is None else (now_ns - status.last_time_ns) / 1e9
    if since_s is not None and 0 <= since_s < _SENDING_S:
        return f"it still sends ({since_s:.0f} s ago): it is learnt afresh from its next row"
    return "if it sends again it is learnt afresh"


def _told(outcome: MachineOutcome) -> CommandOutcome:
    if outcome.reason:
        return refuse(outcome.reason, outcome.detail)
    return (
        done(detail=outcome.detail) if outcome.changed else CommandOutcome("unchanged", detail=outcome.detail)
    )
