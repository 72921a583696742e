"""The `[[source]]` part of the configuration: where sensor data comes from and how it is read. Opens no connection."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from edge_agent.config.findings import Fault, MisfitsError, meant, spelt_out
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
        if not isinstance(name, str) or name not in PRESETS:  # the field says so, beside all other findings
            return table
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
            raise ValueError(
                f"unknown format '{value}'; known: {', '.join(sorted(known))}{meant(value, known)}"
            )
        return value

    @field_validator("preset")
    @classmethod
    def _is_a_preset(cls, value: str) -> str:
        if value and value not in PRESETS:
            known = ", ".join(sorted(PRESETS))
            raise ValueError(f"preset '{value[:40]}' is not known; known: {known}{meant(value, PRESETS)}")
        return value

    @field_validator("share")
    @classmethod
    def _is_a_group(cls, value: str) -> str:
        if value and not is_name(value):
            raise ValueError("names a group of subscribers: printable, without / + #")
        return value

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if faults := tuple(self._faults()):
            raise MisfitsError(faults)
        return self

    def _faults(self) -> Iterator[Fault]:
        if (self.sparkplug is not None) != (self.format == SPARKPLUG):
            needs = "needs" if self.sparkplug is None else "takes no"
            yield ("format", "sparkplug"), f"format '{self.format}' {needs} [source.sparkplug]"
        if self.format == SPARKPLUG:
            yield from self._sparkplug_faults()
            return
        if self.will is not None and self.format != WILL:
            yield ("will", "format"), f"format '{self.format}' takes no [source.will]"
        alone = dict(self._faults_alone())
        yield from (((key,), what) for key, what in alone.items())
        if not self.topic:
            yield ("topic", "format"), f"format '{self.format}' needs a topic"
        elif "topic" not in alone:
            yield from self._topic_faults(alone)
        if self.format != WILL:
            yield from self._option_faults()

    def _faults_alone(self) -> Iterator[tuple[str, str]]:
        """(setting, what is wrong with it, whatever the others say)."""
        readers = {
            "machine": parse_template if self._is_named else parse_name,
            "channel": parse_template,
            "timezone": lambda text: TimeRule(timezone=text),
            "time_format": lambda text: TimeRule(format=text),
            "topic": _parsed,
        }
        for key, read in readers.items():
            text = getattr(self, key)
            if (text or key == "machine") and (what := _fault(read, text)):
                yield key, what

    def _topic_faults(self, alone: Collection[str]) -> Iterator[Fault]:
        """What topic and names lack of each other; the topic is in order, and the names that are not in `alone`."""
        named = "machine" in alone or self._is_named
        required = frozenset() if named else parse_name(self.machine).placeholders
        if lacking := _fault(partial(_parsed, required=required), self.topic):
            yield ("topic", "machine", "map"), lacking
        elif not {"machine", "channel"} & set(alone):
            yield from self._will_faults() if self.format == WILL else self._name_faults()

    def _will_faults(self) -> Iterator[Fault]:
        if extra := self.model_fields_set - {"topic", "format", "machine", "will"}:
            what = f"format 'will' tells whether machines are there, and carries no values: no {min(extra)}"
            yield (min(extra), "format"), what
        if self._is_named or not self.template:
            yield ("machine", "format"), "machine: format 'will' has no places in its payload"

    def _name_faults(self) -> Iterator[Fault]:
        """Names that nothing can stand for; topic, machine and channel are in order each."""
        wire_format = FORMATS[self.format]
        machine = parse_template(self.machine) if self._is_named else None
        channel = parse_template(self.channel) if self.channel else None
        reads = wire_format.names_itself or wire_format.document
        if machine is not None and not reads:
            yield ("machine", "format"), f"machine: format '{self.format}' has no places in its payload"
        known = self.template.placeholders | self._bound
        for key, template in (("machine", machine), ("channel", channel)):
            words = template.words - {"name"} if template is not None else frozenset()
            if missing := words - known:
                yield (key, "topic", "map"), f"{key}: lacks {{{min(missing)}}} in the topic"
        if channel is not None and channel.pointers and not reads:
            yield ("channel", "format"), f"channel: format '{self.format}' has no places in its payload"
        if wire_format.channel_in_topic and not self.channel and "channel" not in self.template.placeholders:
            what = f"format '{self.format}' needs {{channel}} in its topic, or channel = the name of its one channel"
            yield ("topic", "format", "channel"), what

    def _option_faults(self) -> Iterator[Fault]:
        if self.quality is not None and self.map is None:
            what = "[source.quality] goes with [source.map]: other formats say no quality"
            yield ("quality", "map", "format"), what
        for table, options in self._options.items():
            if (options is not None) != (table == FORMATS[self.format].options):
                needs = "needs" if options is None else "takes no"
                yield ("format", table), f"format '{self.format}' {needs} [source.{table}]"

    def _sparkplug_faults(self) -> Iterator[Fault]:
        own = [key for key in ("topic", "share", "map") if getattr(self, key)]
        if own:
            what = "format 'sparkplug' has topics of its own: no topic, share or map"
            yield (own[0], "format"), what
        if self.channel or self.quality is not None or self.value != ValueRule() or self.time_format:
            what = "format 'sparkplug' says names, types and quality itself: no channel, value, quality"
            yield ("format", "channel", "quality", "value", "time_format"), what
        if self.clock == "arrival" or self.clock_limit_s is not None:
            what = "format 'sparkplug' goes by its own stamps: no clock, no clock_limit_s"
            yield ("clock", "format", "clock_limit_s"), what
        if self.machine not in _PARTS:
            what = f"a Sparkplug machine is one of {', '.join(list(_PARTS)[1:])}"
            yield ("machine", "format"), what

    @property
    def _bound(self) -> frozenset[str]:
        """What the map's places remember of their keys."""
        return self.map.placeholders if self.map is not None else frozenset()

    @property
    def _is_named(self) -> bool:
        """Whether the payload has a part in the machine's name."""
        if has_places(self.machine):
            return True
        try:
            return bool(parse_template(self.machine).words & self._bound)
        except ValueError:  # no name at all, which is told by itself
            return False

    @property
    def reading(self) -> Reading:
        """How the names, numbers and times of this source are written."""
        return Reading(
            values=ValueReader(self.value),
            time=TimeRule(self.time_unit, self.timezone, self.time_format),
            quality=None if self.quality is None else QualityReader(self.quality),
            machine=parse_template(self.machine) if self._is_named else None,
            channel=parse_template(self.channel) if self.channel else None,
        )

    @property
    def _options(self) -> Mapping[str, PayloadMap | WaveformSettings | ImageSettings | None]:
        """The tables that some format takes, by name."""
        return {"map": self.map, "waveform": self.waveform, "image": self.image}

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
        return _parsed(self.topic, required=required)

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


def misfits(
    table: Mapping[str, Any], wrong: Collection[tuple[int | str, ...]]
) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """What else is wrong with a `[[source]]`, once what is wrong with single settings is left out.

    Args:
        table: as the file has it.
        wrong: places, within it, of settings that are wrong; what depends on them is not told.

    Yields:
        (place, what is wrong).
    """
    left: Mapping[str, Any] = table
    # A preset would have said what is not written.
    gone = set(SourceSection.model_fields) - set(table) if ("preset",) in wrong else set()
    while wrong:
        for place in wrong:
            left = _without(left, place)
        gone |= {str(place[0]) for place in wrong if place[0] not in left}
        wrong = []
        try:
            SourceSection.model_validate(left)
        except ValidationError as error:
            items = [item for item in error.errors(include_url=False) if item["type"] != "missing"]
            for item in items:
                for place, what, keys in spelt_out(item):
                    if not keys & gone:
                        yield place, what
            wrong = [item["loc"] for item in items if item["loc"]]


def _without(table: Mapping[str, Any], place: Sequence[int | str]) -> Mapping[str, Any]:
    """The table without the setting at a place; without the whole list where that is an item's."""
    key, *rest = place
    inner = table.get(str(key))
    if rest and isinstance(inner, dict) and rest[0] in inner:
        return {**table, str(key): _without(inner, rest)}
    return {name: value for name, value in table.items() if name != key}


def _parsed(topic: str, *, required: frozenset[str] = frozenset()) -> Template:
    return parse(topic, allowed=None, required=required, wildcards=True)


def _fault(read: Callable[[str], object], text: str) -> str:
    """Why it cannot be read; "" where it can."""
    try:
        read(text)
    except ValueError as error:
        return str(error)
    return ""
