"""The `[[source]]` part of the configuration: where sensor data comes from and how it is read. Opens no connection."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from edge_agent.config.presets import PRESETS
from edge_agent.config.sections import Section
from edge_agent.formats.image.decoder import FORMAT as IMAGE_FORMAT
from edge_agent.formats.image.decoder import ImageSettings
from edge_agent.formats.last_will import WILL, WillSettings, WillTopic
from edge_agent.formats.mapping.names import has_places, parse_template
from edge_agent.formats.mapping.payload_map import PayloadMap
from edge_agent.formats.mapping.quality import QualityReader, QualityRule
from edge_agent.formats.mapping.reading import Reading
from edge_agent.formats.mapping.times import TimeRule, TimeUnit
from edge_agent.formats.mapping.values import ValueReader, ValueRule
from edge_agent.formats.routing import Clock, Reports, Retained, Route
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
    reports: Reports = "rows"
    preset: str = ""
    channel: str = ""
    retain: Retained = "ignore"
    time_unit: TimeUnit = "auto"
    timezone: str = ""
    time_format: str = ""
    value: ValueRule = ValueRule()
    quality: QualityRule | None = None
    map: PayloadMap | None = None
    waveform: WaveformSettings | None = None
    image: ImageSettings | None = None
    will: WillSettings | None = None
    sparkplug: SparkplugSection | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_preset(cls, table: Any) -> Any:
        """What a preset says holds where the table says nothing."""
        if isinstance(table, dict) and table.get("format") == IMAGE_FORMAT.name:
            table = {"image": {}, **table}  # whose every key has a default
        name = table.get("preset", "") if isinstance(table, dict) else ""
        if not name:
            return table
        if not isinstance(name, str) or name not in PRESETS:
            known = ", ".join(sorted(PRESETS))
            raise ValueError(f"preset '{str(name)[:40]}' is not known; known: {known}")
        merged = {**PRESETS[name].table, **table}
        for key, value in PRESETS[name].table.items():
            if isinstance(value, Mapping) and isinstance(own := table.get(key), Mapping):
                merged[key] = {**value, **own}
        return merged

    @field_validator("format")
    @classmethod
    def _is_known(cls, value: str) -> str:
        known = {*FORMATS, SPARKPLUG, WILL}
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
        if self.will is not None and self.format != WILL:
            raise ValueError(f"format '{self.format}' takes no [source.will]")
        if self.format == WILL:
            return self._will_fits()
        wire_format = FORMATS[self.format]
        self._names_fit()
        if wire_format.channel_in_topic and not self.channel and "channel" not in self.template.placeholders:
            raise ValueError(
                f"format '{self.format}' needs {{channel}} in its topic, or channel = the name of its one channel"
            )
        for table, options in self._options.items():
            if (options is not None) != (table == wire_format.options):
                needs = "needs" if options is None else "takes no"
                raise ValueError(f"format '{self.format}' {needs} [source.{table}]")
        return self

    def _will_fits(self) -> Self:
        if self.model_fields_set - {"topic", "format", "machine", "will"}:
            extra = min(self.model_fields_set - {"topic", "format", "machine", "will"})
            raise ValueError(
                f"format 'will' tells whether machines are there, and carries no values: no {extra}"
            )
        if self.reading.machine is not None or not self.template:
            raise ValueError("machine: format 'will' has no places in its payload")
        return self

    def _names_fit(self) -> None:
        """Refuse names that nothing can stand for.

        Raises:
            ValueError: says which.
        """
        wire_format, rule = FORMATS[self.format], self.reading
        if rule.machine is not None and not (wire_format.names_itself or wire_format.document):
            raise ValueError(f"machine: format '{self.format}' has no places in its payload")
        known = self.template.placeholders | (self.map.placeholders if self.map else frozenset())
        for key, template in (("machine", rule.machine), ("channel", rule.channel)):
            words = template.words - {"name"} if template is not None else frozenset()
            if missing := words - known:
                raise ValueError(f"{key}: lacks {{{min(missing)}}} in the topic")
        if (
            rule.channel is not None
            and rule.channel.pointers
            and not (wire_format.names_itself or wire_format.document)
        ):
            raise ValueError(f"channel: format '{self.format}' has no places in its payload")
        if self.quality is not None and self.map is None:
            raise ValueError("[source.quality] goes with [source.map]: other formats say no quality")

    @property
    def reading(self) -> Reading:
        """How the names, numbers and times of this source are written."""
        bound = self.map.placeholders if self.map is not None else frozenset()
        named = has_places(self.machine) or parse_template(self.machine).words & bound
        return Reading(
            values=ValueReader(self.value),
            time=TimeRule(self.time_unit, self.timezone, self.time_format),
            quality=None if self.quality is None else QualityReader(self.quality),
            machine=parse_template(self.machine) if named else None,
            channel=parse_template(self.channel) if self.channel else None,
        )

    @property
    def _options(self) -> Mapping[str, PayloadMap | WaveformSettings | ImageSettings | None]:
        """The tables that some format takes, by name."""
        return {"map": self.map, "waveform": self.waveform, "image": self.image}

    def _sparkplug_fits(self) -> Self:
        if self.topic or self.share or self.map is not None:
            raise ValueError("format 'sparkplug' has topics of its own: no topic, share or map")
        if self.channel or self.quality is not None or self.value != ValueRule() or self.time_format:
            raise ValueError(
                "format 'sparkplug' says names, types and quality itself: no channel, value, quality"
            )
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
        required = (
            frozenset()
            if self.format == SPARKPLUG or self.reading.machine is not None
            else parse_name(self.machine).placeholders
        )
        return parse(self.topic, allowed=None, required=required, wildcards=True)

    @property
    def subscription(self) -> str:
        """The MQTT filter, with the group that shares it."""
        plain = self.template.subscription
        return f"$share/{self.share}/{plain}" if self.share else plain

    @property
    def takes_rows(self) -> bool:
        """Whether its messages are sensor data that a route reads: not Sparkplug's, not wills."""
        return self.format not in (SPARKPLUG, WILL)

    @property
    def will_topic(self) -> WillTopic:
        """What reads the wills of this source, whose format is `will`."""
        return WillTopic(self.template, parse_name(self.machine), self.will or WillSettings())

    @property
    def route(self) -> Route:
        """What finds and reads the messages of this source."""
        wire_format, reading = FORMATS[self.format], self.reading
        template = self.template
        names = "channel" in template.placeholders or reading.channel is not None
        elsewhere = wire_format.names_itself or wire_format.channel_in_topic
        places = reading.machine is not None or (reading.channel is not None and reading.channel.pointers)
        return Route(
            template=template,
            decode=wire_format.decoder(self._options.get(wire_format.options)),
            machine=None if reading.machine is not None else parse_name(self.machine),
            clock=self.clock,
            clock_limit_s=self.clock_limit_s,
            retained=self.retain,
            reports=self.reports,
            reading=reading,
            document=wire_format.document if places and not wire_format.names_itself else None,
            names=names and not elsewhere,
        )
