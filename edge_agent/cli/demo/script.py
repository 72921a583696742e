"""What a demonstration plays: machines, faults, and when; and how it is judged in the end. Starts nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from edge_agent.cycles.rules import SUFFIX

_GROWTH_ROWS = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """What is going to break.

    Attributes:
        machine: its name. kind: the simulator's kind of machine. name: the simulator's fault.
        guilty: channels that a technician would look at for this fault.
        start_row: first row of the fault. end_row: first row after it, None where it lasts.
        named: whether it was named before, so that its alert must say the name.
    """

    machine: str
    kind: str
    name: str
    guilty: tuple[str, ...]
    start_row: int
    end_row: int | None = None
    named: bool = False


@dataclass(frozen=True, slots=True)
class Script:
    """Simulated machines, each of them broken at least once.

    Attributes:
        faults: in the order in which they begin; the last one that is `named` had its name from the first alarm of
            its machine.
        commission_rows: that a machine is learnt from.
        after_rows: from the last fault's beginning to the end.
        seed: of the plant.
        config: more of the agent's configuration, TOML.
        programmed: machines whose cycles are counted by that configuration.
    """

    faults: tuple[Fault, ...]
    commission_rows: int = 3600
    after_rows: int = 300
    seed: int = 7
    config: str = ""
    programmed: tuple[str, ...] = ()

    @property
    def machines(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(dict.fromkeys(fault.machine for fault in self.faults))

    @property
    def shown(self) -> tuple[str, ...]:
        """What has scores: the machines, and the cycles of those that run programs."""
        return (*self.machines, *(name + SUFFIX for name in self.programmed))

    @property
    def rows(self) -> int:
        """Of each machine, in all."""
        return max(fault.start_row for fault in self.faults) + self.after_rows

    @property
    def again(self) -> Fault:
        """The fault that comes back, and is called by its name.

        Raises:
            StopIteration: none does.
        """
        return next(fault for fault in reversed(self.faults) if fault.named)

    def plant_arguments(self, start_ts: float) -> list[str]:
        """The simulator's command line."""
        arguments = ["--rows", str(self.rows), "--seed", str(self.seed), "--start-ts", str(start_ts)]
        for kind in dict.fromkeys(f"{fault.machine}={fault.kind}" for fault in self.faults):
            arguments += ["--machine", kind]
        for fault in self.faults:
            end = "" if fault.end_row is None else f":1.0:{fault.end_row}"
            arguments += ["--fault", f"{fault.machine}:{fault.name}:{fault.start_row}:{_GROWTH_ROWS}{end}"]
        return arguments


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one fault.

    Attributes:
        delay_s: machine time from the fault's beginning to the alert; None where none came.
        channels: the first two that the alert names. said: the fault's name in the alert's latest revision.
        good: alerted, after the fault began, with a guilty channel among the first two, by its name if it has one.
    """

    fault: Fault
    delay_s: float | None
    channels: tuple[str, ...]
    said: str
    good: bool


@dataclass(frozen=True, slots=True)
class IncidentCount:
    """How many incidents the machines had, and how steady these were.

    Attributes:
        faults: how many there were.
        reopened: times that one was over, and came back: a failure.
        returned: times that one came back while it was unsettled.
    """

    faults: int
    incidents: int
    reopened: int
    returned: int

    @property
    def good(self) -> bool:
        """One for each fault, none of them over too early."""
        return self.incidents == self.faults and not self.reopened


def judge(fault: Fault, alerts: Sequence[dict[str, Any]], *, start_ts: float) -> Outcome:
    """The first alert on the fault's machine, or on its cycles, since the fault began."""
    begin = start_ts + fault.start_row
    for alert in alerts:
        delay_s = datetime.fromisoformat(alert["onset"]).timestamp() - begin
        ours = machine_of(alert) == fault.machine and _is_alarm(alert)
        if ours and alert["revision"] == 1 and delay_s >= 0:
            channels = tuple(channel["name"] for channel in alert["channels"][:2])
            said = [later["fault"]["name"] for later in alerts if later["id"] == alert["id"]][-1]
            shown = {name.partition(".")[0] for name in channels}
            good = bool(shown & set(fault.guilty)) and (not fault.named or said == fault.name)
            return Outcome(fault, delay_s, channels, said, good)
    return Outcome(fault, None, (), "", good=False)


def false_alarms(
    alerts: Sequence[dict[str, Any]], *, start_ts: float, faults: Sequence[Fault]
) -> list[dict[str, Any]]:
    """Alarms that opened before anything was broken on their machine."""
    begin = {fault.machine: start_ts + fault.start_row for fault in reversed(faults)}
    return [
        alert
        for alert in alerts
        if alert["revision"] == 1
        and _is_alarm(alert)
        and datetime.fromisoformat(alert["onset"]).timestamp() < begin.get(machine_of(alert), float("inf"))
    ]


def count_incidents(alerts: Sequence[dict[str, Any]], *, faults: int) -> IncidentCount:
    """What all alerts of machines come to."""
    told = [alert for alert in alerts if alert.get("kind", "machine") == "machine"]
    reopened = {
        (alert["id"], alert["revision"])
        for alert in told
        if alert.get("lifecycle", {}).get("event") == "reopened"
    }
    returned = {alert["id"]: alert.get("reopened", 0) for alert in told}
    return IncidentCount(faults, len(returned), len(reopened), sum(returned.values()) - len(reopened))


def machine_of(alert: dict[str, Any]) -> str:
    """The machine that an alert tells of, or whose cycles."""
    return str(alert["machine"]).removesuffix(SUFFIX)


def is_of_source(alert: dict[str, Any]) -> bool:
    """Whether it tells of a silent source: on a busy computer a learnt machine waits for the others to be learnt."""
    return bool(alert["fault"]["name"] == "silent")


def _is_alarm(alert: dict[str, Any]) -> bool:
    """Whether it tells of the machine, and not of its source or of a state that is new."""
    return not is_of_source(alert) and alert.get("kind", "machine") != "state"
