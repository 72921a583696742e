"""Readings of topics to sources: topics that are read alike become one template, and no two devices one name. Pure.

A level that varies is a placeholder, and stands in the machine's name. Where a template would take the messages of
another source, topics are parted until it does not; what cannot be told apart so stands as it is.
"""

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edge_agent.cli.discover.readings import TopicReading
from edge_agent.cli.discover.roles import Role, unit_of

_WORDS = frozenset({
    "data", "up", "event", "events", "rpc", "messages", "message", "telemetry", "upload", "sensor", "sensors",
    "state", "status", "tele", "stat", "json", "attributes", "values", "metrics", "device", "devices", "v1", "v3",
    "application", "gateway", "raw", "me", "report", "out", "publish", "info", "shadow", "update", "updates", "uplink",
    "notify", "notification", "reported", "payload", "msg", "measurement", "measurements", "readings", "binary_sensor",
    "switch", "number",
})  # fmt: skip
"""Levels that name a kind of message, not a machine."""
_PART = re.compile(r"\d+|[a-z]+\d*:\d+", re.IGNORECASE)
"""A level that numbers a part of a device: 0, switch:1."""
_IDENTITY = re.compile(r"[0-9A-Fa-f:-]{12,}")
"""A level that is a device's number; another device has another."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Family:
    """A source.

    Attributes:
        source: TOML values of `[[source]]`. machines: their channels, in order. rates: rows a second.
        left_out: what is no channel, and why. roles, units: of channels.
    """

    source: Mapping[str, Any]
    machines: Mapping[str, Mapping[str, None]]
    rates: Mapping[str, float]
    left_out: Mapping[str, str]
    topics: tuple[str, ...]
    roles: Mapping[str, Role]
    units: Mapping[str, str]


def families(readings: Sequence[TopicReading]) -> list[Family]:
    """One family for topics that are read alike and can be told from all others."""
    groups: dict[str, list[TopicReading]] = defaultdict(list)
    for reading in readings:
        groups[_key(reading)].append(reading)
    # The first source that matches wins: few topics come before many, and must not take theirs.
    ordered = sorted(groups.values(), key=len)
    found: list[Family] = []
    for number, members in enumerate(ordered):
        others = [other.parts for group in ordered[number + 1 :] for other in group]
        found += [_family(part, others) for part in _parted(members, others)]
    return _told_apart(found)


def _key(reading: TopicReading) -> str:
    """What must be alike: form, depth of the topic and its beginning; not the rule for numbers, which is joined."""
    settings = {key: value for key, value in reading.settings.items() if key != "value"}
    if isinstance(places := settings.get("map"), Mapping):
        settings["map"] = {key: value for key, value in places.items() if key != "skip"}
    depth = len(reading.parts)
    return json.dumps(
        [
            settings,
            reading.machine,
            reading.in_topic,
            reading.end,
            depth,
            reading.parts[: 2 if reading.parts[0] == "" else 1],
        ]
    )


def _parted(members: Sequence[TopicReading], others: Sequence[tuple[str, ...]]) -> list[list[TopicReading]]:
    """The members in parts whose templates take none of the other topics."""
    levels = list(zip(*(member.parts for member in members), strict=True))
    varying = [at for at, texts in enumerate(levels) if len(set(texts)) > 1]
    fixed = {at: texts[0] for at, texts in enumerate(levels) if at not in varying}
    for at in varying if len(varying) > 1 else ():
        if _is_kind(members, at):
            return [part for group in _by_level(members, at) for part in _parted(group, others)]
    rivals = [
        parts
        for parts in others
        if len(parts) == len(levels) and all(parts[at] == text for at, text in fixed.items())
    ]
    if not rivals or not varying:
        return [list(members)]

    def cost(at: int) -> tuple[int, int]:
        """How many rivals parting by this level leaves, and into how many parts."""
        texts = set(levels[at])
        return sum(parts[at] in texts for parts in rivals), len(texts)

    return [part for group in _by_level(members, min(varying, key=cost)) for part in _parted(group, others)]


def _by_level(members: Sequence[TopicReading], at: int) -> list[list[TopicReading]]:
    parts: dict[str, list[TopicReading]] = defaultdict(list)
    for member in members:
        parts[member.parts[at]].append(member)
    return list(parts.values())


def _is_kind(members: Sequence[TopicReading], at: int) -> bool:
    """Whether a level tells kinds of messages apart, not machines: by its words, or as no two share a channel."""
    if members[0].in_topic and at == len(members[0].parts) - 1:
        return False
    if all(member.parts[at].lower() in _WORDS for member in members):
        return True
    groups = _by_level(members, at)
    if len(groups) == len(members):
        return False
    channels = [
        {name for member in group for names in member.channels.values() for name in names} for group in groups
    ]
    return sum(map(len, channels)) == len(set().union(*channels))


def _family(members: Sequence[TopicReading], others: Sequence[tuple[str, ...]]) -> Family:
    first = members[0]
    levels = list(zip(*(member.parts for member in members), strict=True))
    template = [texts[0] for texts in levels]
    end = len(levels) - first.in_topic
    varying = [at for at in range(end) if len(set(levels[at])) > 1]
    source: dict[str, Any] = {}
    if first.in_topic:
        template[-1] = (
            "{channel}"
            if len(set(levels[-1])) > 1 or not _takes(template, len(levels) - 1, others)
            else template[-1]
        )
        if not template[-1].startswith("{"):
            source["channel"] = first.parts[-1]
    if first.machine:
        apart = _same_names(members)
        for at in range(end):
            if at in varying or (_IDENTITY.fullmatch(template[at]) and not _takes(template, at, others)):
                template[at] = f"{{level_{_LETTERS[at % 26]}}}" if apart and at in varying else "+"
        pattern = ".".join([*(template[at] for at in varying if apart), first.machine])
    else:
        chosen = varying or _machine_level(first.parts[:end], template, others)
        for at in chosen:
            template[at] = "{machine}" if at == chosen[-1] else f"{{level_{_LETTERS[at % 26]}}}"
        pattern = ".".join(template[at] for at in chosen) or _literal_name(first.parts[:end])
    source = {"topic": "/".join(template) + first.end, "machine": pattern, **first.settings, **source}
    _join_rules(source, members)
    machines: dict[str, dict[str, None]] = {}
    rates: dict[str, float] = {}
    for member in members:
        for who, channels in member.channels.items():
            name = _filled(pattern.replace(first.machine, who) if who else pattern, template, member.parts)
            named = (
                [member.parts[-1]]
                if first.in_topic and source.get("channel") is None and len(channels) == 1
                else channels
            )
            machines.setdefault(name, {}).update(dict.fromkeys(named))
            rates[name] = max(rates.get(name, 0.0), member.per_s)
    left_out = {name: why for member in members for name, why in member.left_out}
    roles, units = _told(members, source)
    return Family(source, machines, rates, left_out, tuple(member.topic for member in members), roles, units)


def _told(
    members: Sequence[TopicReading], source: Mapping[str, Any]
) -> tuple[dict[str, Role], dict[str, str]]:
    """(roles, units) of the members' channels; roles that differ are measurements, units that differ are none."""
    roles: dict[str, Role] = {}
    units: dict[str, str] = {}
    for member in members:
        alone = member.in_topic and source.get("channel") is None and len(member.roles) == 1
        for name, role in member.roles.items():
            channel = member.parts[-1] if alone else name
            roles[channel] = role if roles.get(channel, role) == role else "measurement"
            unit = member.units.get(name) or unit_of(channel)
            if unit:
                units[channel] = unit if units.get(channel, unit) == unit else ""
    return roles, {name: unit for name, unit in units.items() if unit}


def _same_names(members: Sequence[TopicReading]) -> bool:
    """Whether two topics give the same channel of a machine of one name: two devices, told by topic alone."""
    said: set[tuple[str, str]] = set()
    for member in members:
        here = {(who, channel) for who, channels in member.channels.items() for channel in channels}
        if said & here:
            return True
        said |= here
    return False


def _takes(template: Sequence[str], at: int, others: Sequence[tuple[str, ...]]) -> bool:
    """Whether a placeholder at this level would take a topic of another source."""
    return any(
        len(parts) == len(template)
        and all(text == parts[level] or level == at for level, text in enumerate(template))
        for parts in others
    )


def _machine_level(
    parts: Sequence[str], template: Sequence[str], others: Sequence[tuple[str, ...]]
) -> list[int]:
    """The level of a lone topic that may be a placeholder: the last one that is no word for a kind of message."""
    named = [at for at, text in enumerate(parts) if text in _naming(parts)]
    free = [at for at in named if not _takes(template, at, others)]
    return free[-1:] if named and free and free[-1] == named[-1] else []


def _literal_name(parts: Sequence[str]) -> str:
    return (_naming(parts) or [text for text in parts if text] or ["machine"])[-1]


def _naming(parts: Sequence[str]) -> list[str]:
    """The levels that may name a machine; what numbers a part of one does only where nothing else can."""
    named = [text for text in parts if text and text.lower() not in _WORDS]
    return [text for text in named if not _PART.fullmatch(text)] or named


def _filled(pattern: str, template: Sequence[str], parts: Sequence[str]) -> str:
    name = pattern
    for hole, text in zip(template, parts, strict=True):
        if hole.startswith("{"):
            name = name.replace(hole, text)
    return name


def _join_rules(source: dict[str, Any], members: Sequence[TopicReading]) -> None:
    """The rule for numbers that reads what each of the members' rules does, and all names that are left out."""
    rules = [member.settings.get("value", {}) for member in members]
    signs = {rule["decimal"] for rule in rules if "decimal" in rule}
    joined: dict[str, Any] = {}
    if signs:
        plain = any("decimal" not in rule for rule in rules) and "," in signs
        joined["decimal"] = signs.pop() if len(signs) == 1 and not plain else "auto"
    if any(rule.get("strip_unit") for rule in rules):
        joined["strip_unit"] = True
    if nothing := sorted({number for rule in rules for number in rule.get("nothing", ())}):
        joined["nothing"] = nothing
    source.pop("value", None)
    if joined:
        source["value"] = joined
    if isinstance(places := source.get("map"), Mapping):
        skip = list(
            dict.fromkeys(name for member in members for name in member.settings["map"].get("skip", ()))
        )
        source["map"] = {**places, **({"skip": skip} if skip else {})}


def _told_apart(found: Sequence[Family]) -> list[Family]:
    """Names with more of their topics where two sources would give one machine that may be two devices."""
    named: dict[str, list[Family]] = defaultdict(list)
    for family in found:
        for name in family.machines:
            named[name].append(family)
    told: list[Family] = []
    for family in found:
        rivals = {
            id(other): other
            for name in family.machines
            for other in named[name]
            if other is not family and not _one_device(family, other, name)
        }
        told.append(_longer(family, list(rivals.values())) if rivals else family)
    return told


def _one_device(one: Family, other: Family, name: str) -> bool:
    """Whether two sources speak of one device: its topics begin alike, and no channel stands in both."""
    return _front(one) == _front(other) and not set(one.machines[name]) & set(other.machines[name])


def _front(family: Family) -> list[str]:
    """The topic's levels down to the one that names the machine; all of them where the payload does."""
    parts = str(family.source["topic"]).split("/")
    machine = str(family.source["machine"])
    for named in ("{machine}", machine):
        if named in parts:
            return parts[: parts.index(named) + 1]
    return parts


def _longer(family: Family, rivals: Sequence[Family]) -> Family:
    """The same family with the levels in its machines' names by which its topic differs from its rivals'."""
    parts = str(family.source["topic"]).split("/")
    if family.source.get("channel") is None and "{channel}" in parts:
        parts = parts[:-1]
    differing = [
        text
        for at, text in enumerate(parts)
        if text
        and not text.startswith("{")
        and text != "+"
        and any(
            (others := str(rival.source["topic"]).split("/")) and (at >= len(others) or others[at] != text)
            for rival in rivals
        )
    ]
    old = str(family.source["machine"])
    extra = [text for text in differing if text != old]
    if not extra:
        return family
    machine = ".".join([*extra, old])
    names = {f"{'.'.join([*extra, name])}": channels for name, channels in family.machines.items()}
    rates = {f"{'.'.join([*extra, name])}": rate for name, rate in family.rates.items()}
    return replace(family, source={**family.source, "machine": machine}, machines=names, rates=rates)
