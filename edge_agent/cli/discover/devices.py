"""Which fields of the messages at one topic name the device that speaks. Pure.

Evidence, in this order: a field that is called so (`deviceId`, `node`, `slave`) and differs from message to message; a
field of any name without which two messages would say the same channel twice at one time. As many fields are taken as
it takes to tell all messages of a time apart, so that two devices never become one machine.
"""

from collections.abc import Hashable, Mapping, Sequence
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
