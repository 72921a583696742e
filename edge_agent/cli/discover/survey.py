"""What is said at a broker, message by message, to a proposed configuration. Pure: no connection, no clock.

Formats are guessed by trying the decoders; the first that reads every message kept of a topic is taken. Topics that
nothing reads are kept with the reason, never passed over. Templates are guesses: a level that varies is a placeholder.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge_agent.formats import json_path
from edge_agent.formats.items import read_json
from edge_agent.formats.mapping.payload_map import PayloadMap
from edge_agent.formats.mapping.times import TimeUnit
from edge_agent.formats.origin import Origin
from edge_agent.formats.sparkplug.payload import NAMESPACE, decode, read_address
from edge_agent.formats.table import FORMATS, SPARKPLUG
from edge_agent.formats.wire_format import Decoder
from edge_agent.records import Delivery, Frame, Reject
from edge_agent.topics import is_name

_KEPT = 20
"""Messages of a topic that are looked at; all are counted."""
_TOPICS_LIMIT = 20_000
_TIMES = ("ts", "time", "timestamp", "t", "datetime")
_FUTURE_NS = 300 * 10**9


@dataclass(slots=True)
class _Topic:
    count: int = 0
    kept: list[Delivery] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ReadableTopic:
    """A topic that a decoder reads: its format, the map for `json_path`, and the channels and rows it gave."""

    topic: str
    format: str
    map: PayloadMap | None
    channels: tuple[str, ...]
    per_s: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """What to write down: TOML tables of sources, machines with channels and rates, and what nobody could read."""

    sources: Sequence[Mapping[str, Any]]
    machines: Sequence[Mapping[str, Any]]
    undecodable: Sequence[Mapping[str, Any]]


class Survey:
    """Gathers messages; `propose` says what they are."""

    def __init__(self, *, own: Callable[[str], bool] = lambda _topic: False) -> None:
        """`own` tells whether a topic is one that agents use themselves."""
        self.untold = 0
        """Messages of topics beyond the limit."""
        self._own = own
        self._topics: dict[str, _Topic] = {}

    def take_message(self, delivery: Delivery) -> None:
        """Take a message in."""
        topic = self._topics.get(delivery.topic)
        if topic is None:
            if len(self._topics) >= _TOPICS_LIMIT:
                self.untold += 1
                return
            topic = self._topics[delivery.topic] = _Topic()
        topic.count += 1
        if len(topic.kept) < _KEPT:
            topic.kept.append(delivery)

    def propose(self, *, seconds: float, host_id: str) -> Proposal:
        """Sources, machines and leftovers of what was heard in `seconds`."""
        reads: list[ReadableTopic] = []
        lost: list[Mapping[str, Any]] = []
        sparkplug = {name: topic for name, topic in self._topics.items() if name.startswith(f"{NAMESPACE}/")}
        for name, topic in sorted(self._topics.items()):
            if name in sparkplug:
                continue
            found: ReadableTopic | str = "an agent's own" if self._own(name) else _read(name, topic, seconds)
            if isinstance(found, str):
                lost.append({"topic": name, "messages": topic.count, "reason": found})
            else:
                reads.append(found)
        sources, machines = _sources(reads)
        _host(sparkplug, sources, machines, lost, seconds=seconds, host_id=host_id)
        return Proposal(sources, machines, lost)


def _read(name: str, topic: _Topic, seconds: float) -> ReadableTopic | str:
    """What reads a topic, or why nothing does."""
    parts = name.split("/")
    if name.startswith("$") or not all(is_name(part) for part in parts):
        return "bad_topic"
    reasons: Counter[str] = Counter()
    for label, decoder, places in _candidates(topic.kept[0].payload):
        if FORMATS[label].channel_in_topic and len(parts) < 2:
            continue
        channels: dict[str, None] = {}
        n_rows = 0
        for delivery in topic.kept:
            channel = "value" if FORMATS[label].channel_in_topic else None
            origin = Origin(parts[-1], channel, delivery.received_ns, _FUTURE_NS)
            frame = decoder(delivery.payload, origin)
            if not isinstance(frame, Frame):
                reasons[frame.reason if isinstance(frame, Reject) else "several machines"] += 1
                break
            n_rows += len(frame.rows)
            channels.update(dict.fromkeys(frame.channels))
        else:
            per_s = n_rows / len(topic.kept) * topic.count / seconds
            return ReadableTopic(name, label, places, tuple(channels), round(per_s, 3))
    return reasons.most_common(1)[0][0] if reasons else "no level of the topic names the machine"


def _candidates(payload: bytes) -> Iterable[tuple[str, Decoder, PayloadMap | None]]:
    yield from ((each.name, each.decoder(None), None) for each in FORMATS.values() if not each.options)
    mapped = json_path.FORMAT
    yield from ((mapped.name, mapped.decoder(places), places) for places in _places(payload))


def _places(payload: bytes) -> Iterable[PayloadMap]:
    """Guesses where a vendor's JSON keeps time and values, the best first."""
    message = read_json(payload)
    if not isinstance(message, dict):
        return
    inner = [(f"/{_escaped(key)}", value) for key, value in message.items() if isinstance(value, dict)]
    time, unit = "", "s"
    for place, table in [*inner, ("", message)]:
        for key in _TIMES:
            if key in table and (guess := _unit(table[key])):
                time, unit = f"{place}/{key}", guess
    numbers = [
        f"/{_escaped(key)}"
        for key, value in message.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and f"/{key}" != time
    ]
    tables = [place for place, table in inner if not time.startswith(f"{place}/")]
    lists = [f"/{_escaped(key)}" for key, value in message.items() if isinstance(value, list)]
    for values in ([*tables, *numbers], numbers, tables, lists):
        if values:
            yield PayloadMap(values=tuple(values), time=time, time_unit=unit)  # type: ignore[arg-type]


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _unit(stamp: object) -> TimeUnit | None:
    if isinstance(stamp, str):
        return "rfc3339"
    if isinstance(stamp, bool) or not isinstance(stamp, (int, float)) or stamp < 3e8:
        return None
    return "ns" if stamp > 1e17 else "us" if stamp > 1e14 else "ms" if stamp > 1e11 else "s"


def _sources(reads: Sequence[ReadableTopic]) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """One source a family of topics: same format, map, first level and length; else one a topic."""
    families: dict[tuple[str, str, int, str], list[ReadableTopic]] = {}
    for read in reads:
        parts = read.topic.split("/")
        key = (read.format, "" if read.map is None else repr(read.map), len(parts), parts[0])
        families.setdefault(key, []).append(read)
    sources: list[Mapping[str, Any]] = []
    machines: dict[str, dict[str, Any]] = {}
    for key, family in families.items():
        shared = any(other[2:] == key[2:] for other in families if other != key)
        # Where another format speaks at topics of the same shape, a template would take its messages.
        for members in [[read] for read in family] if shared else [family]:
            template, pattern = _template(members, literal=shared)
            source = {
                "topic": "/".join(template),
                "format": key[0],
                "machine": pattern,
                "map": members[0].map,
            }
            if source not in sources:
                sources.append(source)
            for read in members:
                found = dict(zip(template, read.topic.split("/"), strict=True))
                name = pattern
                for hole, text in found.items():
                    name = name.replace(hole, text) if hole.startswith("{") else name
                numbered = FORMATS[read.format].channel_in_topic
                machine = machines.setdefault(
                    name, {"machine": name, "format": key[0], "channels": [], "per_s": 0}
                )
                machine["channels"] += [found["{channel}"]] if numbered else list(read.channels)
                machine["per_s"] = max(machine["per_s"], read.per_s)
    return sources, list(machines.values())


def _template(family: Sequence[ReadableTopic], *, literal: bool) -> tuple[list[str], str]:
    """(levels with placeholders, how the machine is called)."""
    levels = list(zip(*(read.topic.split("/") for read in family), strict=True))
    numbered = FORMATS[family[0].format].channel_in_topic
    end = len(levels) - numbered
    template = [texts[0] for texts in levels]
    varying = [at for at in range(end) if len(set(levels[at])) > 1] or ([] if literal else [end - 1])
    for at in varying:
        template[at] = (
            "{machine}" if at == varying[-1] else f"{{level_{'abcdefghijklmnopqrstuvwxyz'[at % 26]}}}"
        )
    if numbered:
        template[-1] = "{channel}"
    return template, ".".join(template[at] for at in varying) or template[end - 1]


def _host(
    topics: Mapping[str, _Topic],
    sources: list[Mapping[str, Any]],
    machines: list[Mapping[str, Any]],
    lost: list[Mapping[str, Any]],
    *,
    seconds: float,
    host_id: str,
) -> None:
    """Add what Sparkplug nodes said: one source for all groups, a machine each node or device with data."""
    groups: set[str] = set()
    found: dict[str, dict[str, Any]] = {}
    for name, topic in topics.items():
        address = read_address(name)
        payload = decode(topic.kept[0].payload) if not isinstance(address, Reject) else address
        if isinstance(address, Reject) or isinstance(payload, Reject):
            if not name.startswith(f"{NAMESPACE}/STATE/"):
                reason = payload.reason if isinstance(payload, Reject) else "bad_topic"
                lost.append({"topic": name, "messages": topic.count, "reason": reason})
            continue
        if address.kind in {"NCMD", "DCMD"}:
            continue
        groups.add(address.group)
        label = ".".join(part for part in (address.group, address.node, address.device) if part)
        machine = found.setdefault(label, {"machine": label, "format": SPARKPLUG, "channels": [], "per_s": 0})
        if address.kind.endswith("BIRTH"):
            names = [metric.name for metric in payload.metrics if metric.name is not None]
            machine["channels"] = [text for text in names if text != "bdSeq" and "Control/" not in text]
        elif address.kind.endswith("DATA"):
            machine["per_s"] = round(topic.count / seconds, 3)
    if groups:
        sources.append({"format": SPARKPLUG, "sparkplug": {"host_id": host_id, "groups": sorted(groups)}})
        machines += [machine for machine in found.values() if machine["channels"] or machine["per_s"]]
