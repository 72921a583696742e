"""The `[[source]]` part of the configuration: where sensor data comes from and how it is read. Opens no connection."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from edge_agent.config.sections import Section
from edge_agent.formats.json_path import PayloadMap
from edge_agent.formats.routing import Clock, Route
from edge_agent.formats.sparkplug.host import HostSettings
from edge_agent.formats.table import FORMATS, SPARKPLUG
from edge_agent.formats.waveform import WaveformSettings
from edge_agent.topics import Template, is_name, parse, parse_name

_PARTS: Mapping[str, tuple[Literal["group", "node", "device"], ...]] = {
    "{machine}": ("group", "node", "device"),
    "{group}.{node}.{device}": ("group", "node", "device"),
    "{node}.{device}": ("node", "device"),
    "{device}": ("device",),
    "{group}.{node}": ("group", "node"),
    "{node}": ("node",),
}
"""How Sparkplug machines may be called."""


_HOST = HostSettings("")
"""What holds where the file says nothing."""


class SparkplugSection(Section):
    """How the agent hosts a Sparkplug namespace."""

    host_id: str
    groups: tuple[str, ...] = ()
    request_rebirth: bool = _HOST.may_request_rebirth
    rebirth_interval_s: Annotated[float, Field(ge=1, le=86_400)] = _HOST.rebirth_interval_s
    rebirth_jitter_s: Annotated[float, Field(ge=0, le=3600)] = _HOST.rebirth_jitter_s
    reorder_timeout_s: Annotated[float, Field(gt=0, le=3600)] = _HOST.reorder_timeout_s
    payload_bytes: Annotated[int, Field(ge=1000, le=100_000_000)] = _HOST.payload_limit_bytes

    @field_validator("host_id")
    @classmethod
    def _is_a_level(cls, value: str) -> str:
        if not is_name(value):
            raise ValueError("becomes a topic level: printable, not empty, without / + #")
        return value

    @field_validator("groups")
    @classmethod
    def _are_levels(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if bad := [name for name in value if not is_name(name)]:
            raise ValueError(f"'{bad[0]}' is no group: printable, without / + #")
        return value


class SourceSection(Section):
    """A family of topics, the format of their payloads, and how their machines are called."""

    model_config = ConfigDict(allow_inf_nan=False)  # of the settings that are classes of other rooms

    topic: str = ""
    format: str = "json"
    machine: str = "{machine}"
    share: str = ""
    clock: Clock = "source"
    clock_limit_s: Annotated[float, Field(ge=1, le=1e9)] | None = None
    map: PayloadMap | None = None
    waveform: WaveformSettings | None = None
    sparkplug: SparkplugSection | None = None

    @field_validator("format")
    @classmethod
    def _is_known(cls, value: str) -> str:
        known = {*FORMATS, SPARKPLUG}
        if value not in known:
            raise ValueError(f"unknown format '{value}'; known: {', '.join(sorted(known))}")
        return value

    @field_validator("share")
    @classmethod
    def _is_a_group(cls, value: str) -> str:
        if value and not is_name(value):
            raise ValueError("names a group of subscribers: printable, without / + #")
        return value

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if (self.sparkplug is not None) != (self.format == SPARKPLUG):
            raise ValueError(
                f"format '{self.format}' "
                f"{'needs' if self.sparkplug is None else 'takes no'} [source.sparkplug]"
            )
        if self.format == SPARKPLUG:
            return self._sparkplug_fits()
        if not self.topic:
            raise ValueError(f"format '{self.format}' needs a topic")
        wire_format = FORMATS[self.format]
        names_channel = "channel" in self.template.placeholders
        if names_channel != wire_format.channel_in_topic:
            raise ValueError(
                f"format '{self.format}' {'takes no' if names_channel else 'needs'} {{channel}} in its topic"
            )
        for table, options in self._options.items():
            if (options is not None) != (table == wire_format.options):
                needs = "needs" if options is None else "takes no"
                raise ValueError(f"format '{self.format}' {needs} [source.{table}]")
        return self

    @property
    def _options(self) -> Mapping[str, PayloadMap | WaveformSettings | None]:
        """The tables that some format takes, by name."""
        return {"map": self.map, "waveform": self.waveform}

    def _sparkplug_fits(self) -> Self:
        if self.topic or self.share or self.map is not None:
            raise ValueError("format 'sparkplug' has topics of its own: no topic, share or map")
        if self.clock == "arrival" or self.clock_limit_s is not None:
            raise ValueError("format 'sparkplug' goes by its own stamps: no clock, no clock_limit_s")
        if self.machine not in _PARTS:
            raise ValueError(f"a Sparkplug machine is one of {', '.join(list(_PARTS)[1:])}")
        return self

    @property
    def machine_parts(self) -> tuple[Literal["group", "node", "device"], ...]:
        """Which parts of a Sparkplug address name a machine."""
        return _PARTS[self.machine]

    @property
    def template(self) -> Template:
        """The topic, parsed."""
        return parse(self.topic, allowed=None, required=parse_name(self.machine).placeholders, wildcards=True)

    @property
    def subscription(self) -> str:
        """The MQTT filter, with the group that shares it."""
        plain = self.template.subscription
        return f"$share/{self.share}/{plain}" if self.share else plain

    @property
    def route(self) -> Route:
        """What finds and reads the messages of this source."""
        wire_format = FORMATS[self.format]
        options = self._options.get(wire_format.options)
        return Route(
            template=self.template,
            decode=wire_format.decoder(options),
            machine=parse_name(self.machine),
            clock=self.clock,
            clock_limit_s=self.clock_limit_s,
        )
