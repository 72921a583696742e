"""The sections of the configuration that are about alarms and commands. Parsing only: see `config` for the file.

Times of day come as TOML's own local times (`22:00:00`) or as text, stretches as offset date-times.
"""

from datetime import time
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, field_validator, model_validator

from edge_agent.alarms.flood import FloodSettings
from edge_agent.alarms.lifecycle import LifecycleSettings
from edge_agent.alarms.maintenance import DAYS, EVERY_MACHINE, MaintenanceWindow, Once, Weekly, to_ns
from edge_agent.config.sections import Section, zone_of
from edge_agent.detect.off_delay import OffDelays, OffDelaySettings
from edge_agent.topics import is_name, parse

Command = Literal[
    "ack",
    "shelve",
    "unshelve",
    "suppress",
    "unsuppress",
    "label",
    "accept",
    "recommission",
    "relearn",
    "learn",
    "budget",
    "rename",
    "forget",
]
Limit = Annotated[int, Field(ge=0, le=10_000)]
Span = Annotated[float, Field(gt=0, le=86_400 * 366, allow_inf_nan=False)]


_LIFECYCLE, _OFF_DELAY = LifecycleSettings(), OffDelaySettings()
"""What holds where the file says nothing."""


class CommandsSection(Section):
    """What operators may do over MQTT, and where."""

    allow: tuple[Command, ...] = ("ack", "shelve", "unshelve", "label", "accept")
    topic: str = "agents/{agent}/cmd"
    reply_topic: str = "agents/{agent}/reply"
    max_age_s: Span = 300.0

    @field_validator("topic", "reply_topic")
    @classmethod
    def _topic_parses(cls, value: str) -> str:
        parse(value, allowed=frozenset({"agent"}), required=frozenset())
        return value

    @model_validator(mode="after")
    def _are_two_places(self) -> Self:
        if self.topic == self.reply_topic:
            raise ValueError("topic and reply_topic are the same")
        return self


class LifecycleSection(Section):
    """How alarms live after they opened, and how often people are called."""

    latched: bool = _LIFECYCLE.latched
    shelve_max_s: Span = 86_400.0
    flood_calls: Limit = _LIFECYCLE.flood.agent_limit
    flood_machine_calls: Limit = _LIFECYCLE.flood.machine_limit
    flood_window_s: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)] = _LIFECYCLE.flood.window_s
    flood_topic: str = "agents/{agent}/flood"

    @field_validator("flood_topic")
    @classmethod
    def _topic_parses(cls, value: str) -> str:
        parse(value, allowed=frozenset({"agent"}), required=frozenset())
        return value

    @property
    def settings(self) -> LifecycleSettings:
        """In the words of who obeys it."""
        flood = FloodSettings(self.flood_calls, self.flood_machine_calls, self.flood_window_s)
        return LifecycleSettings(latched=self.latched, flood=flood)


class AlarmsSection(Section):
    """How long an incident lasts, and when people are called a second time for it."""

    off_delay_s: OffDelays = _OFF_DELAY.off_delay_s
    reopen_s: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = _OFF_DELAY.reopen_s
    recall_s: Annotated[float, Field(ge=0, le=86_400 * 7, allow_inf_nan=False)] = _LIFECYCLE.recall_s

    @property
    def off_delay(self) -> OffDelaySettings:
        """In the words of who obeys it."""
        return OffDelaySettings(self.off_delay_s, self.reopen_s)


class MaintenanceSection(Section):
    """When machines are worked on: a stretch of time, or days of the week between two times of day."""

    machines: Annotated[tuple[str, ...], Field(min_length=1, max_length=1000)]
    begin: AwareDatetime | None = None
    end: AwareDatetime | None = None
    days: Annotated[
        tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...], Field(max_length=7)
    ] = ()
    begins: time | None = None
    ends: time | None = None
    zone: str = "UTC"
    note: Annotated[str, Field(max_length=200)] = ""

    @field_validator("machines")
    @classmethod
    def _name_machines(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name != EVERY_MACHINE and not is_name(name):
                raise ValueError(f"'{name}' names no machine; \"*\" stands for all")
        return value

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, value: str) -> str:
        zone_of(value)
        return value

    @model_validator(mode="after")
    def _is_one_of_two_kinds(self) -> Self:
        once = (self.begin, self.end)
        weekly = (self.begins, self.ends)
        if None not in once and weekly == (None, None) and not self.days:
            if self.begin is not None and self.end is not None and self.begin >= self.end:
                raise ValueError("ends before it begins")
            return self
        if None not in weekly and once == (None, None):
            if self.begins == self.ends:
                raise ValueError("begins and ends are the same time of day")
            return self
        raise ValueError("give begin and end, or begins and ends with days")

    @property
    def window(self) -> MaintenanceWindow:
        """The window, ready to be asked."""
        machines = frozenset(self.machines)
        if self.begin is not None and self.end is not None:
            return MaintenanceWindow(machines, Once(to_ns(self.begin), to_ns(self.end)), self.note)
        days = frozenset(DAYS.index(day) for day in self.days or DAYS)
        begins, ends = self.begins or time(), self.ends or time()
        return MaintenanceWindow(machines, Weekly(days, begins, ends, zone_of(self.zone)), self.note)
