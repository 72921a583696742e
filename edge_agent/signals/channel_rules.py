"""What people know of channels before anything is learnt: ranges, kinds, and how samples meet the grid. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import inf
from typing import Literal

from edge_agent.signals.channel_kinds import ChannelKind

Align = Literal["mean", "hold", "linear", "count"]
"""How a channel's samples become one value a row: see `align`."""


@dataclass(frozen=True, slots=True)
class ChannelRule:
    """Of the channels whose names match; patterns are those of file names (`*`, `?`).

    Attributes:
        low, high: physical range, in the channel's unit.
        align: None leaves the choice to the next rule that matches.
        kind: the same; where no rule says it, it is found when the machine is learnt.
    """

    machine: str = "*"
    channel: str = "*"
    low: float = -inf
    high: float = inf
    align: Align | None = None
    kind: ChannelKind | None = None

    def covers(self, machine: str, channel: str) -> bool:
        """Whether it says something of the channel."""
        return fnmatchcase(machine, self.machine) and fnmatchcase(channel, self.channel)


def physical_range(rules: Sequence[ChannelRule], *, machine: str, channel: str) -> tuple[float, float]:
    """The narrowest range that the rules leave."""
    mine = [rule for rule in rules if rule.covers(machine, channel)]
    return max((rule.low for rule in mine), default=-inf), min((rule.high for rule in mine), default=inf)


def alignment(rules: Sequence[ChannelRule], *, machine: str, channel: str) -> Align:
    """By the first rule that says so; the mean where none does."""
    mine = (rule.align for rule in rules if rule.covers(machine, channel))
    return next((align for align in mine if align is not None), "mean")


def kind_of(rules: Sequence[ChannelRule], *, machine: str, channel: str) -> ChannelKind | None:
    """By the first rule that says so; None where none does."""
    mine = (rule.kind for rule in rules if rule.covers(machine, channel))
    return next((kind for kind in mine if kind is not None), None)
