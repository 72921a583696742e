"""What people say of a machine's cycles: when one begins, and which of its channels say where in the program it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

SUFFIX = "/cycle"
"""No machine's own name holds a slash."""

StartKind = Literal["becomes", "crosses", "changes"]


@dataclass(frozen=True, slots=True)
class CycleStart:
    """A row begins a cycle where a channel says so.

    Attributes:
        kind: it takes the value and had another before; it comes from below the value; or it changes at all.
        value: says nothing of "changes".
    """

    channel: str
    kind: StartKind
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class CycleRule:
    """Of the machines whose names match; patterns are those of file names (`*`, `?`).

    Attributes:
        start: what begins a cycle; None: cycles are as long as `period_s`, counted from 1970 UTC.
        step: channel with the step of the program; "" where there is none.
        recipe: channel with the number of the program; "" where there is one program.
        given: patterns of channels that are told to the machine, such as set-points: they explain, and never alarm.
        shortest_s, longest_s: what lasts less or longer is no cycle.
        points: of each channel's curve.
        learn_cycles: that a machine is learnt from.
    """

    machine: str = "*"
    start: CycleStart | None = None
    period_s: float | None = None
    step: str = ""
    recipe: str = ""
    given: tuple[str, ...] = ()
    shortest_s: float = 1.0
    longest_s: float = 3600.0
    points: int = 32
    learn_cycles: int = 60

    def gives(self, channel: str) -> bool:
        """Whether the channel is told to the machine."""
        return any(fnmatchcase(channel, pattern) for pattern in self.given)

    @property
    def own(self) -> frozenset[str]:
        """Channels that tell the program, and nothing that is measured."""
        told = {self.step, self.recipe, "" if self.start is None else self.start.channel}
        return frozenset(told - {""})


def is_cycle(machine: str) -> bool:
    """Whether the rows of a machine are another machine's cycles."""
    return machine.endswith(SUFFIX)


def rule_of(rules: Sequence[CycleRule], machine: str) -> CycleRule | None:
    """The first rule for a machine, or for the machine whose cycles it counts; None where it has no cycles."""
    own = machine.removesuffix(SUFFIX)
    return next((rule for rule in rules if fnmatchcase(own, rule.machine)), None)
