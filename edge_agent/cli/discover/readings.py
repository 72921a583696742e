"""One topic's messages to what reads them, tried with the agent's own decoders, or to why nothing does. Pure."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from edge_agent.cli.discover.columns import is_time, value_rule
from edge_agent.cli.discover.devices import machine_tag
from edge_agent.cli.discover.roles import Role, role_of, unit_of, units_beside
from edge_agent.cli.discover.shapes import shape
from edge_agent.config.sources import SourceSection
from edge_agent.formats import json_path, json_row, line_protocol, number
from edge_agent.formats.items import read_json
from edge_agent.formats.packing import unwrapped
from edge_agent.formats.routing import delivery_decoder
from edge_agent.formats.table import FORMATS
from edge_agent.records import Decoded, Delivery, Frame, Reject

_PAYLOAD_BYTES = 10_000_000
_FUTURE_S = 300.0
_SHARE_CONTRADICTED = 1 / 3
_UNIT_MESSAGES = 5
_ENTITIES = frozenset({"sensor", "binary_sensor", "switch", "number"})
"""Levels before the name of a quantity."""
_SHARE_READ = 0.5
"""So much of a topic's messages must be read."""


@dataclass(slots=True)
class HeardTopic:
    """What was said at one topic: all messages counted, the first kept."""

    count: int = 0
    retained: int = 0
    kept: list[Delivery] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TopicReading:
    """What reads a topic.

    Attributes:
        settings: as in `[[source]]`, without topic, machine and channel's place.
        machine: a pattern with places in the payload; "" where the topic is to say it.
        in_topic: whether the last level names the channel.
        channels: by machine; where the topic names it, under "".
        left_out: (name, why), of what is no channel.
        per_s: rows a second.
        roles, units: what channels seem to be, and units that are known; where the topic names the channel, under "".
    """

    topic: str
    settings: Mapping[str, Any]
    machine: str
    in_topic: bool
    channels: Mapping[str, tuple[str, ...]]
    left_out: tuple[tuple[str, str], ...]
    per_s: float
    roles: Mapping[str, Role] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[str, ...]:
        """The topic's levels, but for what says nothing at its end."""
        return tuple(self.topic.removesuffix(self.end).split("/"))

    @property
    def end(self) -> str:
        """What stands behind the last level that says something: a slash, a word for its state, or nothing."""
        return _end(self.topic, in_topic=self.in_topic)


def _end(topic: str, *, in_topic: bool) -> str:
    """An empty last level; or `/state` behind the name of a quantity, as in `press/sensor/temperature/state`."""
    parts = topic.split("/")
    stated = in_topic and len(parts) > 3 and parts[-1] == "state" and parts[-3] in _ENTITIES
    if stated and parts[-4] not in ("", "homeassistant"):
        return "/state"
    return "/" if topic.endswith("/") else ""


def read_topic(
    name: str, topic: HeardTopic, *, seconds: float, named: Sequence[str] = ()
) -> TopicReading | str:
    """What reads a topic, or the reason of the decoder that fits best; `named`: how other topics name devices."""
    if topic.retained == topic.count and topic.kept:
        return "kept by the broker (retained) since some time; nobody says it now"
    reasons: list[str] = []
    for candidate in _candidates(name, topic.kept, named):
        if isinstance(candidate, str):
            reasons.append(candidate)
            continue
        settings, machine, in_topic, left_out = candidate
        found = _tried(name, topic, settings, machine=machine, in_topic=in_topic, seconds=seconds)
        if isinstance(found, str):
            reasons.append(found)
        else:
            channels, per_s, values = found
            roles = {channel: role_of(channel, seen) for channel, seen in values.items()}
            units = _units(topic.kept, values)
            return TopicReading(name, settings, machine, in_topic, channels, left_out, per_s, roles, units)
    return reasons[-1] if reasons else "nothing that holds a number"


_Candidate = tuple[Mapping[str, Any], str, bool, tuple[tuple[str, str], ...]] | str
"""Settings, the machine's pattern, whether the topic names the channel, what is left out; or why there are none."""


def _candidates(name: str, kept: Sequence[Delivery], named: Sequence[str]) -> Iterator[_Candidate]:
    """Settings to try, the best first and the one whose reason says most last; text: why there are none."""
    payloads = [_bare(delivery.payload) for delivery in kept]
    items = [read_json(payload) for payload in payloads]
    good = [item for item in items if isinstance(item, dict | list)]
    near_ns = kept[0].received_ns
    if len(good) * 2 > len(items):
        yield from _of_json(name, good, near_ns, named)
        return
    text = [payload.decode("utf-8", "replace") for payload in payloads]
    if any(
        b"\0" in payload or b"\xef\xbf\xbd" in part.encode("utf-8", "replace")
        for payload, part in zip(payloads, text, strict=True)
    ):
        for each in FORMATS.values():
            if not each.options and each.document is not None and each.name not in _JSON:
                yield {"format": each.name}, "", False, ()
        return
    lines = any(" " in part.strip() and "=" in part for part in text)
    if lines:
        if tag := machine_tag(text):
            yield {"format": line_protocol.FORMAT.name}, f"{{/tags/{tag}}}", False, ()
        yield {"format": line_protocol.FORMAT.name}, "", False, ()
        return
    for each in FORMATS.values():
        if not each.options and each.document is not None and each.name not in _JSON:
            yield {"format": each.name}, "", False, ()
    rule = value_rule([part for part in text if part.strip()])
    yield {"format": number.FORMAT.name, **({"value": rule} if rule else {})}, "", True, ()


_JSON = frozenset(name for name, each in FORMATS.items() if each.document is read_json)


def _bare(payload: bytes) -> bytes:
    inner = unwrapped(payload, limit_bytes=_PAYLOAD_BYTES)
    return inner if isinstance(inner, bytes) else payload


def _of_json(name: str, items: Sequence[Any], near_ns: int, named: Sequence[str]) -> Iterator[_Candidate]:
    if _is_own_row(items[0], near_ns):
        texts = [
            value for item in items if isinstance(item, dict) for value in item.get("values", {}).values()
        ]
        rule = value_rule([text for text in texts if isinstance(text, str)])
        yield (
            {"format": json_row.FORMAT.name, **({"value": rule} if rule else {})},
            "",
            False,
            _text_left_out(items),
        )
    for each in _JSON - {json_row.FORMAT.name}:
        if isinstance(items[0], list):
            yield {"format": each}, "", False, ()
    found = shape(items, format_name=json_path.FORMAT.name, near_ns=near_ns, named=named)
    if isinstance(found, str):
        yield found
        return
    last = name.rsplit("/", 1)[-1].lower()
    flat = isinstance(items[0], dict) and found.settings["map"].get("values") == [""]
    columns = (
        [key for key, value in items[0].items() if key.lower() == last and not isinstance(value, dict)]
        if flat
        else []
    )
    yield found.settings, found.machine, found.alone or bool(columns and "/" in name), found.left_out


def _is_own_row(item: object, near_ns: int) -> bool:
    """Whether it is the agent's own form: a time where there is one is called `ts`, and nothing says the quality."""
    if not isinstance(item, dict) or not isinstance(item.get("values"), dict):
        return False
    others = [key for key in item if key not in ("ts", "values")]
    return "ts" in item or not any(is_time(item[key], near_ns) for key in others)


def _text_left_out(items: Sequence[Any]) -> tuple[tuple[str, str], ...]:
    values = items[0].get("values", {})
    return tuple((name, f"is text ({value[:24]!a})") for name, value in values.items() if _is_words(value))


def _is_words(value: object) -> bool:
    return isinstance(value, str) and not any(one.isdigit() for one in value) and len(value) > 3


@lru_cache(maxsize=256)
def _section(text: str) -> SourceSection:
    return SourceSection.model_validate(json.loads(text))


def _tried(
    name: str, topic: HeardTopic, settings: Mapping[str, Any], *, machine: str, in_topic: bool, seconds: float
) -> tuple[Mapping[str, tuple[str, ...]], float, Mapping[str, list[float]]] | str:
    """What the agent's decoder makes of the messages: channels by machine, rows a second, values; or its reason."""
    end = _end(name, in_topic=in_topic)
    levels = name.removesuffix(end).count("/") + 1
    if in_topic and levels < 2 and not machine:
        return "no level of the topic names the machine"
    holes = ["{machine}", "{channel}"] if in_topic else ["{machine}"]
    shown = "/".join(["+"] * (levels - len(holes)) + holes[-levels:]) + end
    table = {**settings, "topic": shown, "machine": machine or "{machine}"}
    try:
        route = _section(json.dumps(table)).route
    except ValueError as error:
        return str(error).splitlines()[-1][:120]
    decode = delivery_decoder([route], payload_limit_bytes=_PAYLOAD_BYTES, future_tolerance_s=_FUTURE_S)
    channels: dict[str, dict[str, None]] = {}
    values: dict[str, list[float]] = {}
    twice = _Twice()
    rows = read = 0
    reasons: Counter[str] = Counter()
    for delivery in topic.kept:
        decoded = decode(Delivery(name, delivery.payload, delivery.received_ns))
        if isinstance(decoded, Reject):
            reasons[f"{decoded.reason}: {decoded.detail}" if decoded.detail else decoded.reason] += 1
            continue
        read += 1
        for frame in _frames(decoded):
            rows += len(frame.rows)
            twice.take(frame)
            for row in frame.rows:
                for channel, value in zip(frame.channels, row, strict=True):
                    values.setdefault(channel, []).append(float(value))
            channels.setdefault(frame.machine if machine else "", {}).update(dict.fromkeys(frame.channels))
    if read < len(topic.kept) * _SHARE_READ or not read:
        return reasons.most_common(1)[0][0]
    if twice.contradicted:
        return (
            "the same channel twice at one time with two values: two devices, or a clock that is too coarse; nothing "
            'in topic or message tells them apart. machine = "{/field}" does where a field names them; '
            'clock = "arrival" where it is one device'
        )
    per_s = rows / len(topic.kept) * topic.count / seconds
    return {who: tuple(names) for who, names in channels.items()}, round(per_s, 3), values


def _units(kept: Sequence[Delivery], channels: Collection[str]) -> dict[str, str]:
    """Units of channels, as messages or names tell them."""
    payloads = [_bare(delivery.payload) for delivery in kept[:_UNIT_MESSAGES]]
    items = [read_json(payload) for payload in payloads]
    told = [
        payload.decode("utf-8", "replace") if isinstance(item, Reject) else item
        for item, payload in zip(items, payloads, strict=True)
    ]
    beside = {name.replace("/", "."): unit for name, unit in units_beside(told).items()}
    only = next(iter(channels)) if len(channels) == 1 else ""
    found = {
        name: beside.get(name) or (beside.get("", "") if name == only else "") or unit_of(name)
        for name in channels
    }
    return {name: unit for name, unit in found.items() if unit}


class _Twice:
    """Whether one channel of one machine has two values at one time, again and again."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str, int], float] = {}
        self._times: set[int] = set()
        self._against: set[int] = set()

    def take(self, frame: Frame) -> None:
        """Hold a frame's values against those before."""
        if not frame.stamped:
            return
        self._times.update(frame.times_ns)
        for time_ns, row in zip(frame.times_ns, frame.rows, strict=True):
            for channel, value in zip(frame.channels, row, strict=True):
                known = self._said.setdefault((frame.machine, channel, time_ns), float(value))
                if known == known and value == value and known != value:  # noqa: PLR0124 - NaN says nothing
                    self._against.add(time_ns)

    @property
    def contradicted(self) -> bool:
        """Whether a third of all times have two values."""
        return len(self._against) >= max(2, _SHARE_CONTRADICTED * len(self._times))


def _frames(decoded: Decoded) -> tuple[Frame, ...]:
    if isinstance(decoded, Reject):
        return ()
    return (decoded,) if isinstance(decoded, Frame) else decoded.frames
