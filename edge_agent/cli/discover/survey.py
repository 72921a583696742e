"""What is said at a broker, message by message, to a proposed configuration. Pure: no connection, no clock.

Formats are guessed by trying the decoders (`readings`, `shapes`); topics that are read alike become templates
(`families`). Topics that nothing reads are kept with the reason, never passed over.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge_agent.cli.discover.families import Family, families
from edge_agent.cli.discover.readings import HeardTopic, TopicReading, read_topic
from edge_agent.cli.discover.wills import will_place, will_sources
from edge_agent.formats.sparkplug.payload import NAMESPACE, decode, read_address
from edge_agent.formats.table import SPARKPLUG
from edge_agent.records import Delivery, Reject
from edge_agent.topics import is_name

_KEPT, _KEPT_OF_FEW = 20, 200
"""Messages of a topic that are looked at; more where topics are few: many devices may speak at one. All are counted."""
_FEW_TOPICS = 50
_TOPICS_LIMIT = 20_000


@dataclass(frozen=True, slots=True)
class Proposal:
    """What to write down.

    Attributes:
        sources: TOML tables. machines: with their channels and rates. undecodable: what nobody could read, and why.
        left_out: (topic, name, why) of what is heard and is no channel.
    """

    sources: Sequence[Mapping[str, Any]]
    machines: Sequence[Mapping[str, Any]]
    undecodable: Sequence[Mapping[str, Any]]
    left_out: Sequence[tuple[str, str, str]] = ()


class Survey:
    """Gathers messages; `propose` says what they are."""

    def __init__(
        self,
        *,
        own: Callable[[str], bool] = lambda _topic: False,
        beside: Callable[[str], bool] = lambda _topic: False,
    ) -> None:
        """`own` tells whether a topic is one that agents use themselves, `beside` whether it is read already."""
        self.untold = 0
        """Messages of topics beyond the limit."""
        self._own = own
        self._beside = beside
        self._topics: dict[str, HeardTopic] = {}

    def take_message(self, delivery: Delivery) -> None:
        """Take a message in."""
        topic = self._topics.get(delivery.topic)
        if topic is None:
            if self._beside(delivery.topic):
                return
            if len(self._topics) >= _TOPICS_LIMIT:
                self.untold += 1
                return
            topic = self._topics[delivery.topic] = HeardTopic()
        topic.count += 1
        topic.retained += delivery.retain
        if len(topic.kept) < (_KEPT if len(self._topics) > _FEW_TOPICS else _KEPT_OF_FEW):
            topic.kept.append(delivery)

    def propose(self, *, seconds: float, host_id: str) -> Proposal:
        """Sources, machines and leftovers of what was heard in `seconds`."""
        reads: list[TopicReading] = []
        lost: list[Mapping[str, Any]] = []
        sparkplug = {name: topic for name, topic in self._topics.items() if name.startswith(f"{NAMESPACE}/")}
        wills: dict[str, str] = {}
        for name, topic in sorted(self._topics.items()):
            if name in sparkplug:
                continue
            if (place := will_place(topic)) is not None and not self._own(name):
                wills[name] = place
                continue
            found = self._read(name, topic, seconds)
            if isinstance(found, str):
                lost.append({"topic": name, "messages": topic.count, "reason": found})
            else:
                reads.append(found)
        told = families([self._read_alike(one, reads, seconds) for one in reads])
        telling, homeless = will_sources(wills, told)
        lost += [
            {
                "topic": name,
                "messages": self._topics[name].count,
                "reason": "tells whether somebody is there, and of no machine that was heard",
            }
            for name in homeless
        ]
        sources: list[Mapping[str, Any]] = [*telling, *(family.source for family in told)]
        machines = _machines(told)
        left_out = [
            (str(family.source["topic"]), name, why)
            for family in told
            for name, why in family.left_out.items()
        ]
        _host(sparkplug, sources, machines, lost, seconds=seconds, host_id=host_id)
        return Proposal(sources, machines, lost, left_out)

    def _read_alike(
        self, reading: TopicReading, all_reads: Sequence[TopicReading], seconds: float
    ) -> TopicReading:
        """The same where one device speaks at a topic, named as at topics where several do."""
        named = dict.fromkeys(one.machine for one in all_reads if one.machine)
        if reading.machine or reading.in_topic or not named:
            return reading
        again = read_topic(reading.topic, self._topics[reading.topic], seconds=seconds, named=[*named])
        return reading if isinstance(again, str) or not again.machine else again

    def _read(self, name: str, topic: HeardTopic, seconds: float) -> TopicReading | str:
        if self._own(name):
            return "an agent's own"
        levels = [level for level in name.split("/") if level]
        if name.startswith("$") or not levels or not all(map(is_name, levels)):
            return "bad_topic"
        if set("{}") & set(name):
            return "a level with braces cannot be written in a template"
        return read_topic(name, topic, seconds=seconds)


def _machines(told: Sequence[Family]) -> list[Mapping[str, Any]]:
    machines: dict[str, dict[str, Any]] = {}
    for family in told:
        for name, channels in family.machines.items():
            machine = machines.setdefault(
                name,
                {
                    "machine": name,
                    "format": family.source["format"],
                    "channels": [],
                    "per_s": 0,
                    "roles": {},
                    "units": {},
                },
            )
            machine["roles"] |= {one: family.roles[one] for one in channels if one in family.roles}
            machine["units"] |= {one: family.units[one] for one in channels if one in family.units}
            machine["channels"] += [channel for channel in channels if channel not in machine["channels"]]
            machine["per_s"] = max(machine["per_s"], family.rates[name])
    return list(machines.values())


def _host(
    topics: Mapping[str, HeardTopic],
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
