"""Which fields of the messages at one topic name the device that speaks. Pure.

Evidence, in this order: a field that is called so (`deviceId`, `node`, `slave`) and differs from message to message; a
field of any name without which two messages would say the same channel twice at one time. As many fields are taken as
it takes to tell all messages of a time apart, so that two devices never become one machine.
"""

import re
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

from edge_agent.formats.mapping.pointer import escaped

_ALWAYS = (
    "/deviceInfo/deviceName", "/end_device_ids/device_id", "/deviceInfo/devEui",
)  # fmt: skip
"""Places that name a device even where one alone has been heard."""
_SURELY = (
    "machine", "machinename", "machineid", "devicename", "device", "deviceid", "asset", "assetname", "assetid",
    "equipment", "equipmentid", "nodename", "node", "thing", "thingname", "thingid", "datasetwritername", "writername",
    "datasetwriterid", "deveui", "serialnumber", "serialno", "serial", "sn", "mac", "macaddress", "slaveid", "slave",
    "unitid", "plc", "robot", "stationid", "station", "sensorid", "clientid", "hostname", "host", "edgeid", "gatewayid",
    "devid",
)  # fmt: skip
"""What devices' names and numbers are called, in lower case and without marks between words; the surest first."""
_NEVER = frozenset({
    "quality", "statuscode", "status", "state", "unit", "units", "type", "messagetype", "datatype", "version", "level",
    "severity", "mode", "text", "message", "messageid", "seq", "sequencenumber", "value", "val", "v", "timestamp", "ts",
    "time", "t", "name", "tag", "id", "key", "topic",
})  # fmt: skip
"""Fields that differ from message to message for other reasons."""
_PLACES = frozenset(
    {"line", "area", "cell", "hall", "zone", "room", "site", "plant", "address", "addr", "unit", "no"}
)
"""Fields whose whole numbers may number a place."""
_LONGEST_NAME = 80
_LONGEST_NUMBER = 3
_DEEPEST = 3

Path = tuple[str, ...]


def device_pattern(
    messages: Sequence[Mapping[str, Any]], stamps: Sequence[Hashable], *, what: Sequence[Hashable] = ()
) -> tuple[str, tuple[str, ...]]:
    """(the pattern of machines' names, the fields that it takes); empty where nothing names a device.

    Args:
        messages: of one topic.
        stamps: of each message its own time; None where it has none.
        what: of each message what it says, where one says less than all: its channel.
    """
    fields = _fields(messages)
    named = _surely(fields, len(messages))
    about = what or [None] * len(messages)
    chosen = [named] if named else []
    others = [path for path in fields if path != named and _may_name(path, fields[path], len(messages))]
    clashes = _clashes(chosen, fields, stamps, about)
    while clashes and others:
        best = min(others, key=lambda path: (_clashes([*chosen, path], fields, stamps, about), len(path)))
        left = _clashes([*chosen, best], fields, stamps, about)
        if left >= clashes:
            break
        chosen, clashes = [*chosen, best], left
        others.remove(best)
    order = [path for path in fields if path in chosen]
    return ".".join(_hole(path, fields[path]) for path in order), tuple("/".join(path) for path in order)


def _fields(messages: Sequence[Mapping[str, Any]]) -> dict[Path, list[object]]:
    """What stands at each place for text or whole numbers, by message; None where nothing does."""
    found: dict[Path, list[object]] = {}
    for number, message in enumerate(messages):
        _gather(message, (), number, len(messages), found)
    return found


def _gather(
    item: Mapping[str, Any], front: Path, number: int, count: int, found: dict[Path, list[object]]
) -> None:
    for key, value in item.items():
        path = (*front, str(key))
        if isinstance(value, dict) and len(path) < _DEEPEST:
            _gather(value, path, number, count, found)
        elif isinstance(value, str | int) and not isinstance(value, bool):
            found.setdefault(path, [None] * count)[number] = value


def _called(path: Path) -> str:
    return "".join(one for one in path[-1].lower() if one.isalnum())


def _surely(fields: Mapping[Path, list[object]], count: int) -> Path:
    """The field that is called like a device's name and differs; () where none is."""
    for place in _ALWAYS:
        path = tuple(place.split("/")[1:])
        if path in fields:
            return path
    called = {_called(path): path for path in fields}
    for word in _SURELY:
        path = called.get(word, ())
        if path and len(_told(fields[path])) > 1 and _is_name(fields[path], count):
            return path
    return ()


def _told(values: Sequence[object]) -> set[object]:
    return {value for value in values if value not in (None, "")}


def _is_name(values: Sequence[object], count: int) -> bool:
    """Whether most messages have it, and it could be a name."""
    told = [value for value in values if value not in (None, "")]
    return 2 * len(told) > count and all(
        (len(value) <= _LONGEST_NAME if isinstance(value, str) else True) for value in told
    )


def _may_name(path: Path, values: Sequence[object], count: int) -> bool:
    """Whether a field of any name could tell devices apart: a few texts that come again and again."""
    told = _told(values)
    numbers = _called(path) in _PLACES
    return (
        (numbers or _called(path) not in _NEVER)
        and 1 < len(told) <= max(2, count // 2)
        and all(numbers if isinstance(value, int) else _is_word(str(value)) for value in told)
        and _is_name(values, count)
    )


def _is_word(text: str) -> bool:
    """Whether text is no measurement; a short whole number may be a name."""
    try:
        float(text.replace(",", "."))
    except ValueError:
        return True
    return text.isdigit() and len(text) <= _LONGEST_NUMBER


def named_alike(messages: Sequence[Mapping[str, Any]], pattern: str) -> tuple[str, ...]:
    """The fields of a pattern that names the devices of a like topic, where all messages have them; else none."""
    fields = _fields(messages)
    paths = [
        tuple(key.replace("~1", "/").replace("~0", "~") for key in place.split("/"))
        for place in _holes(pattern)
    ]
    known = bool(paths) and all(path in fields and None not in fields[path] for path in paths)
    return tuple("/".join(path) for path in paths) if known else ()


def different_in_each(messages: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    """The text that differs from object to object in every list of them: what says one channel again of another device.

    Args:
        messages: of each the objects, which say the same quantities; with one object a message none can be told.
    """
    lists = [items for items in messages if items]
    if not lists or max(map(len, lists)) < 2:
        return ""
    first = lists[0][0]
    alike = {key for key, value in first.items() if not isinstance(value, str)}
    if not all(alike <= item.keys() for items in lists for item in items):
        return ""
    texts = [key for key, value in first.items() if isinstance(value, str) and _is_word(value)]
    good = [
        key
        for key in texts
        if all(len({str(item.get(key)) for item in items}) == len(items) for items in lists)
    ]
    order = {word: number for number, word in enumerate((*_SURELY, "name", "id"))}
    return min(good, key=lambda key: order.get(_called((key,)), len(order)), default="")


def machine_tag(messages: Sequence[str]) -> str:
    """The tag of line protocol that names the machine: one that is called so, or that alone tells like lines apart."""
    for tag in _TAGS:
        if sum(f",{tag}=" in message for message in messages) * 2 > len(messages):
            return tag
    good: dict[str, None] | None = None
    for message in messages:
        found = _telling_tags(message)
        if found is not None:
            good = found if good is None else {tag: None for tag in good if tag in found}
    return next(iter(good or ()), "")


_TAGS = ("machine", "device", "asset", "line")


def _telling_tags(message: str) -> dict[str, None] | None:
    """The tags of which each like line of a message has another value; None where no two lines are alike."""
    alike: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for line in message.splitlines():
        series, _, rest = line.strip().partition(" ")
        measurement, *pairs = series.split(",")
        fields = (part.partition("=")[0] for part in rest.split(" ")[0].split(","))
        tags = dict(pair.partition("=")[::2] for pair in pairs)
        alike.setdefault((measurement, *fields), []).append(tags)
    crowds = [tags for tags in alike.values() if len(tags) > 1]
    if not crowds:
        return None
    return {
        tag: None
        for tag in crowds[0][0]
        if all(len({tags.get(tag) for tags in crowd}) == len(crowd) for crowd in crowds)
    }


_PARTS = re.compile(
    r"(?:phase|axis|ch|channel|switch|relay|input|output|in|out|em|em1|pm|pm1|cover|light|zone|bearing|port|l|t|p|x|y|z|"
    r"sensor|probe|value|val|data|group|pdi|pdo|register|reg|block|item|field|temperature|temp|pressure|flow|level)",
    re.IGNORECASE,
)
"""What parts of one device are called: phases, axes, inputs."""
_NUMBERED = re.compile(r"(?P<stem>.*?[^\W\d_])[\s_.:#-]*(?P<number>\d{1,4}|[A-Z])")


def numbered_alike(holders: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """The keys of objects that are devices of one kind: one word and numbers or letters, and the same fields in all."""
    told = {key: found for key in holders if (found := _NUMBERED.fullmatch(key)) is not None}
    stems = {found["stem"].lower().rstrip("-_ ") for found in told.values()}
    fields = {frozenset(holder) for holder in holders.values()}
    same = len(told) == len(holders) > 1 and len(stems) == 1 and len(fields) == 1 and len(min(fields)) > 1
    return tuple(holders) if same and _PARTS.fullmatch(min(stems)) is None else ()


def keys_of_devices(
    front: str, holder: Mapping[str, Any], *, values: Collection[str], names: Collection[str]
) -> tuple[str, ...]:
    """The keys of an object that name devices: they number one kind, stand below such a word, or each has its own time.

    Args:
        front: the key of the object itself, "" for the message.
        holder: the object.
        values: keys of a single value.
        names: keys of its name.
    """
    objects = {key: item for key, item in holder.items() if isinstance(item, dict)}
    lists = {key: item for key, item in holder.items() if isinstance(item, list) and item}
    if len(lists) > 1 and all(isinstance(one, dict) for listed in lists.values() for one in listed):
        told = [_said(listed, values, names) for listed in lists.values()]
        return tuple(lists) if told[0] and all(one == told[0] for one in told) else ()
    if len(objects) < 2 or any(key in item for item in objects.values() for key in values):
        return ()
    fields = {frozenset(item) for item in objects.values()}
    if len(fields) > 1 or all(field.lower() in _STATISTICS | _TIMES for field in min(fields)):
        return ()
    timed = any(field.lower() in _TIMES for field in min(fields)) and len(min(fields)) > 2
    if timed or front.lower() in _HOLDERS:
        return tuple(objects)
    return numbered_alike(objects)


_TIMES = frozenset({"ts", "t", "time", "timestamp", "datetime"})
_STATISTICS = frozenset(
    {"min", "max", "avg", "mean", "average", "std", "stddev", "sum", "count", "last", "first", "median"}
)
_HOLDERS = frozenset(
    {"devices", "machines", "assets", "equipment", "stations", "nodes", "units", "slaves", "lines", "cells"}
)
"""Keys below which devices stand by their names."""


def _said(
    listed: Sequence[Mapping[str, Any]], values: Collection[str], names: Collection[str]
) -> frozenset[str]:
    """The names of the values that a list says; empty where it is no list of named values."""
    name = next((key for key in names if all(isinstance(one.get(key), str) for one in listed)), "")
    valued = name and all(any(key in one for key in values) for one in listed)
    return frozenset(one[name] for one in listed) if valued else frozenset()


def _holes(pattern: str) -> list[str]:
    return [part.split("}")[0] for part in pattern.split("{/")[1:]]


def _clashes(
    chosen: Sequence[Path],
    fields: Mapping[Path, list[object]],
    stamps: Sequence[Hashable],
    what: Sequence[Hashable],
) -> int:
    """How many messages say a second time what was said of one device at one time."""
    seen: set[Hashable] = set()
    count = 0
    for number, stamp in enumerate(stamps):
        if stamp is None:
            continue
        key = (stamp, what[number], *(str(fields[path][number]) for path in chosen))
        count += key in seen
        seen.add(key)
    return count


def _hole(path: Path, values: Sequence[object]) -> str:
    """The field in a pattern; a bare number is told with what it numbers."""
    place = "/" + "/".join(map(escaped, path))
    numbers = all(isinstance(value, int) for value in _told(values))
    return f"{path[-1]}{{{place}}}" if numbers and path[-1].isidentifier() else f"{{{place}}}"
