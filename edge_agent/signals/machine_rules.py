"""What people say of machines, apart from anything learnt: names, places, units, weight and budget. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What is known of one machine.

    Attributes:
        display_name: what people call it; empty: by its name, which topics and metrics go by anyway.
        location, type, notes: for people.
        units: pattern of channel names -> unit; the first that matches counts.
        runbooks: pattern of faults -> what to do, a sentence or a link; the first that matches counts.
        weight: how much an hour of its standing costs, beside a machine of weight 1.
        budget_per_week: false alarms a week that are accepted of it; None: as `[budget]` says.
    """

    display_name: str = ""
    location: str = ""
    type: str = ""
    notes: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    runbooks: Mapping[str, str] = field(default_factory=dict)
    weight: float = 1.0
    budget_per_week: float | None = None

    def unit(self, channel: str) -> str:
        """The unit of a channel; empty where nobody says it."""
        found = (unit for pattern, unit in self.units.items() if fnmatchcase(channel, pattern))
        return self.units.get(channel) or next(found, "")

    def what_to_do(self, fault: str) -> str:
        """What people say is to be done about a fault; empty where nobody says it."""
        found = (said for pattern, said in self.runbooks.items() if fnmatchcase(fault, pattern))
        return self.runbooks.get(fault) or next(found, "")


@dataclass(frozen=True, slots=True)
class MachineRule:
    """What is said of the machines whose names match; None, or no unit for a channel, leaves it to the next rule.

    Attributes:
        match: a machine's name, or a pattern as of file names (`*`, `?`).
    """

    match: str
    display_name: str | None = None
    location: str | None = None
    type: str | None = None
    notes: str | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    runbooks: Mapping[str, str] = field(default_factory=dict)
    weight: float | None = None
    budget_per_week: float | None = None

    def covers(self, machine: str) -> bool:
        """Whether it says something of the machine."""
        return machine == self.match or fnmatchcase(machine, self.match)


def facts_of(rules: Sequence[MachineRule], machine: str) -> MachineFacts:
    """Each fact by the first rule that says it."""
    mine = [rule for rule in rules if rule.covers(machine)]
    units: dict[str, str] = {}
    runbooks: dict[str, str] = {}
    for rule in mine:
        runbooks = {**runbooks, **{one: said for one, said in rule.runbooks.items() if one not in runbooks}}
        units = {**units, **{channel: unit for channel, unit in rule.units.items() if channel not in units}}
    weight = _first(rule.weight for rule in mine)
    return MachineFacts(
        display_name=_first(rule.display_name for rule in mine) or "",
        location=_first(rule.location for rule in mine) or "",
        type=_first(rule.type for rule in mine) or "",
        notes=_first(rule.notes for rule in mine) or "",
        units=units,
        runbooks=runbooks,
        weight=1.0 if weight is None else weight,
        budget_per_week=_first(rule.budget_per_week for rule in mine),
    )


def _first(said: Iterable[_T | None]) -> _T | None:
    return next((value for value in said if value is not None), None)
