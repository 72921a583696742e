"""The `[[cycle]]` part of the configuration: when machines begin a cycle, and what tells the program. Parsing only."""

from fnmatch import fnmatchcase
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from edge_agent.config.sections import Section
from edge_agent.cycles.rules import CycleRule, CycleStart
from edge_agent.topics import is_name

_DAY_S = 86_400
_Span = Annotated[float, Field(gt=0, le=_DAY_S, allow_inf_nan=False)]


class CycleStartSection(Section):
    """What begins a cycle: one of three things that a channel does."""

    channel: str
    becomes: Annotated[float, Field(allow_inf_nan=False)] | None = None
    crosses: Annotated[float, Field(allow_inf_nan=False)] | None = None
    changes: bool = False

    @field_validator("channel")
    @classmethod
    def _names_a_channel(cls, value: str) -> str:
        if not is_name(value):
            raise ValueError("names no channel: printable, not empty, without / + #")
        return value

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if sum((self.becomes is not None, self.crosses is not None, self.changes)) != 1:
            raise ValueError("says one of becomes = number, crosses = number, changes = true")
        return self

    @property
    def start(self) -> CycleStart:
        """In the words of who counts cycles."""
        if self.becomes is not None:
            return CycleStart(self.channel, "becomes", self.becomes)
        if self.crosses is not None:
            return CycleStart(self.channel, "crosses", self.crosses)
        return CycleStart(self.channel, "changes")


class CycleSection(Section):
    """Cycles of the machines whose names match; the first section that matches counts."""

    machine: Annotated[str, Field(min_length=1, max_length=120)] = "*"
    start: CycleStartSection | None = None
    period_s: _Span | None = None
    step: Annotated[str, Field(max_length=120)] = ""
    recipe: Annotated[str, Field(max_length=120)] = ""
    given: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=120)], ...], Field(max_length=64)
    ] = ()
    shortest_s: _Span = 1.0
    longest_s: _Span = 3600.0
    points: Annotated[int, Field(ge=8, le=256)] = 32
    learn_cycles: Annotated[int, Field(ge=20, le=400)] = 60

    @field_validator("machine")
    @classmethod
    def _can_match(cls, value: str) -> str:
        if "/" in value or not value.isprintable():
            raise ValueError("matches no machine: a name is printable and holds no /")
        return value

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if (self.start is None) == (self.period_s is None):
            raise ValueError("a cycle begins by start = {…} or every period_s: say one of them")
        if self.shortest_s >= self.longest_s:
            raise ValueError("shortest_s must be below longest_s")
        if self.period_s is not None and not self.shortest_s <= self.period_s <= self.longest_s:
            raise ValueError("period_s must lie within shortest_s and longest_s")
        told = [one for one in (self.step, self.recipe) if one]
        if len(told) > 1 and self.step == self.recipe:
            raise ValueError("step and recipe are two channels")
        for name in told:
            if any(fnmatchcase(name, pattern) for pattern in self.given):
                raise ValueError(f"given names {name}, which is the step or the recipe already")
        return self

    @property
    def rule(self) -> CycleRule:
        """In the words of who counts cycles."""
        return CycleRule(**{**dict(self), "start": None if self.start is None else self.start.start})
