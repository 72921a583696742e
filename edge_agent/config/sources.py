"""The `[[source]]` part of the configuration: where sensor data comes from and how it is read. Opens no connection."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from edge_agent.config.sections import Section
from edge_agent.formats.json_path import PayloadMap, TimeUnit, parse_pointer
from edge_agent.formats.routing import Clock, Route
from edge_agent.formats.table import FORMATS, SPARKPLUG
from edge_agent.formats.waveform import WaveformSettings
from edge_agent.signals.vibration import Bearing
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


class MapSection(Section):
    """Where a vendor's JSON keeps time and values: JSON pointers."""

    values: Annotated[tuple[str, ...], Field(min_length=1)] = ("",)
    time: str = ""
    time_unit: TimeUnit = "s"
    samples: str = ""
    name_key: str = "name"
    value_key: str = "value"
    time_key: str = ""
    rename: Mapping[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _pointers_parse(self) -> Self:
        for text in (*self.values, self.time, self.samples):
            parse_pointer(text)
        if bad := [name for name in self.rename.values() if not is_name(name)]:
            raise ValueError(f"rename: '{bad[0]}' is no channel name: printable, without / + #")
        return self

    @property
    def settings(self) -> PayloadMap:
        """The same in the decoder's words."""
        return PayloadMap(**dict(self))


class BearingSection(Section):
    """A rolling bearing; lengths in any one unit."""

    rollers: Annotated[int, Field(ge=3, le=200)]
    roller_diameter: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    pitch_diameter: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    contact_deg: Annotated[float, Field(ge=0, lt=90)] = 0.0

    @model_validator(mode="after")
    def _rollers_fit(self) -> Self:
        if self.roller_diameter >= self.pitch_diameter:
            raise ValueError("roller_diameter is not below pitch_diameter")
        return self


class WaveformSection(Section):
    """Blocks of fast samples, and what is known of the shaft that they listen to."""

    rate_hz: Annotated[float, Field(gt=0, le=10_000_000, allow_inf_nan=False)]
    frame_samples: Annotated[int, Field(ge=64, le=1_048_576)]
    channels: Annotated[tuple[str, ...], Field(max_length=16)] = ()
    scale: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] = 1.0
    rate_tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.02
    rpm: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    bearing: BearingSection | None = None

    @model_validator(mode="after")
    def _channels_are_names(self) -> Self:
        if bad := [name for name in self.channels if not is_name(name)]:
            raise ValueError(f"channels: '{bad[0]}' is no channel name: printable, without / + #")
        return self

    @property
    def settings(self) -> WaveformSettings:
        """The same in the decoder's words."""
        bearing = None if self.bearing is None else Bearing(**dict(self.bearing))
        return WaveformSettings(**{**dict(self), "bearing": bearing})


class SparkplugSection(Section):
    """How the agent hosts a Sparkplug namespace."""

    host_id: str
    groups: tuple[str, ...] = ()
    request_rebirth: bool = True
    rebirth_interval_s: Annotated[float, Field(ge=1, le=86_400)] = 30.0
    rebirth_jitter_s: Annotated[float, Field(ge=0, le=3600)] = 5.0
    reorder_timeout_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    payload_bytes: Annotated[int, Field(ge=1000, le=100_000_000)] = 1_048_576

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

    topic: str = ""
    format: str = "json"
    machine: str = "{machine}"
    share: str = ""
    clock: Clock = "source"
    clock_limit_s: Annotated[float, Field(ge=1, le=1e9)] | None = None
    map: MapSection | None = None
    waveform: WaveformSection | None = None
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
    def _options(self) -> Mapping[str, MapSection | WaveformSection | None]:
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
            decode=wire_format.decoder(None if options is None else options.settings),
            machine=parse_name(self.machine),
            clock=self.clock,
            clock_limit_s=self.clock_limit_s,
        )
