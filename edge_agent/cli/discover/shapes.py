"""A vendor's JSON to the settings that read it: where values, names, times and quality stand. Pure.

A guess is made from the messages of one topic. What lies in the envelope, counts up, or is a time or text is no channel
(`columns`); each such thing is named with the reason, so that nothing is passed over without a word.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge_agent.cli.discover.columns import (
    ABOUT,
    TIMES,
    Guess,
    Shape,
    has_numbers,
    is_number,
    is_time,
    leaves,
    time_key,
    time_place,
    value_rule,
    weigh,
)
from edge_agent.cli.discover.devices import (
    device_pattern,
    different_in_each,
    keys_of_devices,
    named_alike,
)
from edge_agent.cli.discover.qualities import QUALITIES, quality_key, quality_rule
from edge_agent.formats.mapping.pointer import ABSENT, at, escaped, parse_pointer
from edge_agent.formats.mapping.times import size_unit
from edge_agent.formats.mapping.values import ValueReader, ValueRule

_NAMES = (
    "DisplayName", "displayName", "id", "name", "tag", "Name", "Id", "n", "symbol", "NodeId", "nodeId", "key", "sensor",
    "TagName", "tagName", "tagname", "Tagname", "tag_name", "Tag", "VarName", "varName", "variable", "Variable",
    "pointName", "PointName", "point", "item", "ItemName", "itemName", "ItemId", "signal", "parameter", "path",
)  # fmt: skip
_VALUES = (
    "v", "value", "Value", "val", "Val", "Measurement", "measurement", "reading", "Wert", "wert", "Messwert", "valeur",
)  # fmt: skip
_INNER = (
    "object", "decoded_payload", "values", "fields", "Payload", "payload", "data", "measurements", "telemetry",
    "params", "body", "d", "metrics", "sensors", "Values", "Data", "tags",
)  # fmt: skip
_TOLD = 5
"""Things left out that a reason names."""
_MACHINE_TAGS = ("machine", "device", "asset", "equipment", "line", "station", "unit", "host")


def shape(
    messages: Sequence[Any], *, format_name: str, near_ns: int, named: Sequence[str] = ()
) -> Shape | str:
    """The best guess for a topic's messages, which are JSON, or why none of what they hold is a channel.

    Args:
        messages: parsed, one at least.
        format_name: of the format that takes a map.
        near_ns: when they were heard.
        named: patterns by which other topics' messages name their devices.
    """
    rule = value_rule(
        [value for message in messages for _, value in leaves(message) if isinstance(value, str)]
    )
    guess = Guess(rule=rule, reader=ValueReader(ValueRule(**rule)), named=named)
    first = messages[0]
    if isinstance(first, list):
        found = _list(guess, [message for message in messages if isinstance(message, list)], near_ns)
    elif isinstance(first, dict):
        found = _object(guess, [message for message in messages if isinstance(message, dict)], near_ns)
    else:
        return "nothing that holds a number"
    if found:
        return guess.shape(format_name)
    told = [f"{name} {why}" for name, why in [*guess.left_out.items()][:_TOLD]]
    return f"no channel: {'; '.join(told)}" if told else "nothing that holds a number"


# -- lists ------------------------------------------------------------------------------------------------------------


def _list(guess: Guess, messages: Sequence[Sequence[Any]], near_ns: int) -> bool:
    """A list at the root: of named values, or of rows."""
    rows = [item for message in messages for item in message if isinstance(item, dict)]
    if not rows:
        return False
    guess.map["values"] = [""]
    if _single_values(guess, rows, near_ns):
        return True
    tag = _one_of(_NAMES, rows[0]) if _one_of(_VALUES, rows[0]) else ""
    _name_device(guess, rows, near_ns, what=[str(item.get(tag, "")) for item in rows] if tag else ())
    if _named(guess, rows, near_ns):
        return True
    name = "" if guess.machine else different_in_each([_dicts(message) for message in messages])
    if name and not time_key(Guess(), rows[0], near_ns):
        guess.machine = f"{{/{escaped(name)}}}"
    found = _row(guess, rows, rows, near_ns)
    if found and name and guess.machine:
        _names_machine(guess, name, within=True)
    return found


def _dicts(items: Sequence[Any]) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)]


def _single_values(guess: Guess, items: Sequence[Mapping[str, Any]], near_ns: int) -> bool:
    """A list of one value each, of several devices: [{"device", "name", "value", "ts"}]."""
    value, name = _one_of(_VALUES, items[0]), _one_of(_NAMES, items[0])
    if not value or isinstance(items[0][value], list | dict):
        return False
    _name_device(guess, items, near_ns, what=[str(item.get(name, "")) for item in items])
    if not guess.machine or not name:
        return False
    guess.map.update(samples="/*", values=[f"/{escaped(value)}"])
    guess.settings["channel"] = f"{{/{escaped(name)}}}"
    return _timed_value(guess, items, value, near_ns)


def _one_of(keys: Sequence[str], item: Mapping[str, Any]) -> str:
    return next((key for key in keys if key in item), "")


def _named(guess: Guess, items: Sequence[Mapping[str, Any]], near_ns: int) -> bool:
    """Objects that name their quantity: [{"id", "v", "q", "t"}], also with the value in an object of its own."""
    first = items[0]
    value = next((key for key in _VALUES if key in first), "")
    if not value or isinstance(first[value], list):
        return False
    name = next((key for key in _NAMES if isinstance(first.get(key), str)), "")
    inside = isinstance(first[value], dict)
    if inside:
        inner = next((key for key in _VALUES if key in first[value]), "")
        if not inner:
            return False
        guess.map["value_key"] = f"/{escaped(value)}/{escaped(inner)}"
    else:
        guess.map["value_key"] = value
    guess.map["name_key"] = name
    holder = first[value] if inside else first
    front = f"/{escaped(value)}/" if inside else ""
    if (time := time_key(guess, holder, near_ns)) != "":
        guess.map["time_key"] = f"{front}{escaped(time) if inside else time}"
    holders = [_holder(item, value, inside=inside) for item in items]
    if quality := quality_key(holders):
        place = f"{front}{escaped(quality) if inside else quality}"
        guess.settings["quality"] = quality_rule(place, quality, [one.get(quality) for one in holders])
    pointer = parse_pointer(guess.map["value_key"]) if inside else (value,)
    names: dict[str, list[object]] = {}
    for item in items:
        names.setdefault(str(item.get(name, "")), []).append(at(item, pointer))
    weigh(guess, names, near_ns, words=True)
    return any(label not in guess.left_out for label in names)


def _holder(item: Mapping[str, Any], value: str, *, inside: bool) -> Mapping[str, Any]:
    inner = item.get(value)
    return inner if inside and isinstance(inner, dict) else item


# -- objects ----------------------------------------------------------------------------------------------------------


def _object(guess: Guess, messages: Sequence[Mapping[str, Any]], near_ns: int) -> bool:
    first = messages[0]
    for attempt in (_telegraf, _by_device, _devices_as_keys, _columns, _inner_list, _one_value):
        if attempt(guess, messages, near_ns):
            return True
        if guess.map or guess.machine:
            guess.machine = ""
            guess.map.clear()
            guess.settings.clear()
            guess.left_out.clear()
    place = _container(first)
    if place and has_numbers(at(first, parse_pointer(place))):
        inner = [at(message, parse_pointer(place)) for message in messages]
        holders = [item for item in inner if isinstance(item, dict)]
        guess.map["values"] = [place]
        _name_device(guess, messages, near_ns)
        _outer(guess, messages, place)
        if _row(guess, holders, messages, near_ns, place=place):
            return True
        guess.left_out.clear()
    guess.map["values"] = [""]
    _name_device(guess, messages, near_ns)
    return _row(guess, messages, messages, near_ns)


def _telegraf(guess: Guess, messages: Sequence[Mapping[str, Any]], near_ns: int) -> bool:
    """{name, tags, fields, timestamp}, single or in a batch."""
    batch = isinstance(messages[0].get("metrics"), list)
    metrics = [
        item
        for message in messages
        for item in (message["metrics"] if batch and isinstance(message.get("metrics"), list) else [message])
    ]
    metrics = [item for item in metrics if isinstance(item, dict)]
    if not metrics or not all(
        isinstance(item.get("fields"), dict) and isinstance(item.get("tags", {}), dict) for item in metrics
    ):
        return False
    if batch:
        guess.map["samples"] = "/metrics"
    guess.map["values"] = ["/fields"]
    if (time := time_key(guess, metrics[0], near_ns)) != "":
        guess.map["time"] = f"/{time}"
    if len({item.get("name") for item in metrics}) > 1 or isinstance(metrics[0].get("name"), str):
        guess.settings["channel"] = "{/name}.{name}"
    tags: dict[str, set[object]] = {}
    for item in metrics:
        for key, value in item.get("tags", {}).items():
            tags.setdefault(key, set()).add(value)
    tag = next((key for key in _MACHINE_TAGS if key in tags), "")
    tag = tag if tag != "host" or len(tags.get("host", ())) > 1 else ""
    if tag:
        guess.machine = f"{{/tags/{escaped(tag)}}}"
    columns: dict[str, list[object]] = {}
    for item in metrics:
        for key, value in item["fields"].items():
            columns.setdefault(key, []).append(value)
    weigh(guess, columns, near_ns)
    return True


def _by_device(guess: Guess, messages: Sequence[Mapping[str, Any]], near_ns: int) -> bool:
    """{"Device A": [{"ts", "values"}], "Device B": …}: devices as keys."""
    samples: list[Mapping[str, Any]] = []
    for message in messages:
        for inner in message.values():
            listed = inner if isinstance(inner, list) else [inner]
            if not listed or not all(isinstance(item, dict) for item in listed):
                return False
            samples += listed
    if not samples or any(key in messages[0] for key in _INNER):
        return False
    holder = next((key for key in _INNER if all(isinstance(item.get(key), dict) for item in samples)), "")
    time = time_key(guess, samples[0], near_ns)
    if not holder or not time:
        return False
    guess.map.update(samples="/{machine}", values=[f"/{escaped(holder)}"], time=f"/{escaped(time)}")
    guess.machine = "{machine}"
    columns: dict[str, list[object]] = {}
    for item in samples:
        for path, value in leaves(item[holder]):
            columns.setdefault(path, []).append(value)
    weigh(guess, columns, near_ns)
    return any(name not in guess.left_out for name in columns)


def _devices_as_keys(guess: Guess, messages: Sequence[Mapping[str, Any]], near_ns: int) -> bool:
    """{"ts", "press_1": {"temp", "flow"}, "press_2": …}: devices as keys, also below a key or of lists of values."""
    first = messages[0]
    inner = [(f"/{escaped(key)}", value) for key, value in first.items() if isinstance(value, dict)]
    for front, holder in [("", first), *inner]:
        keys = keys_of_devices(front.removeprefix("/"), holder, values=_VALUES, names=_NAMES)
        if keys:
            told = [
                item for message in messages if isinstance(item := at(message, parse_pointer(front)), dict)
            ]
            return _of_keys(guess, messages, front=front, near_ns=near_ns, said=[
                item[key] for item in told for key in keys if key in item
            ])  # fmt: skip
    return False


def _of_keys(
    guess: Guess, messages: Sequence[Mapping[str, Any]], *, front: str, said: Sequence[Any], near_ns: int
) -> bool:
    """What devices say whose names are keys."""
    guess.machine = "{machine}"
    for key, value in messages[0].items():
        if not front and is_number(value) and key not in TIMES:
            guess.left_out[key] = "stands in the envelope"
    if isinstance(said[0], list):
        guess.map["values"] = [f"{front}/{{machine}}"]
        found = _named(guess, [item for listed in said for item in _dicts(listed)], near_ns)
        outer = "" if "time_key" in guess.map else time_key(guess, messages[0], near_ns)
        if outer:
            guess.map["time"] = f"/{escaped(outer)}"
        return found
    guess.map["samples"], guess.map["values"] = f"{front}/{{machine}}", [""]
    items = [item for item in said if isinstance(item, dict)]
    return _row(guess, items, messages, near_ns, outside=True)


def _columns(guess: Guess, messages: Sequence[Mapping[str, Any]], near_ns: int) -> bool:
    """{"time": [t1, t2, …], "temp": [1.5, 1.6, …]}: a column a quantity."""
    first = messages[0]
    time = next((key for key in TIMES if isinstance(first.get(key), list) and first[key]), "")
    if not time or not is_time(first[time][0], near_ns):
        return False
    stamps = first[time]
    names = [
        key
        for key, column in first.items()
        if key != time
        and isinstance(column, list)
        and len(column) == len(stamps)
        and any(map(is_number, column))
    ]
    if not isinstance(stamps[0], str):
        guess.map["time_unit"] = size_unit(stamps[0])
    guess.map.update(values=[f"/{escaped(name)}" for name in names], time=f"/{escaped(time)}")
    weigh(
        guess,
        {name: [value for message in messages for value in message.get(name, ())] for name in names},
        near_ns,
    )
    guess.map["values"] = [f"/{escaped(name)}" for name in names if name not in guess.left_out]
    for key, value in first.items():
        if key not in (*names, time) and is_number(value):
            guess.left_out[key] = "stands beside columns, once a message"
    return bool(guess.map["values"])


def _inner_list(guess: Guess, messages: Sequence[Mapping[str, Any]], near_ns: int) -> bool:
    """A list of named values or of rows somewhere inside."""
    first = messages[0]
    for place, _ in _lists(first):
        pointer = parse_pointer(place)
        items = [item for message in messages for item in _rows_at(message, pointer)]
        if not items:
            continue
        deeper = next(
            (
                key
                for key, value in items[0].items()
                if isinstance(value, list) and value and isinstance(value[0], dict)
            ),
            "",
        )
        if deeper:
            if _lists_in_a_list(guess, messages, place, deeper=deeper, near_ns=near_ns):
                return True
        elif _named(guess, items, near_ns):
            guess.map["values"] = [place]
            if "time_key" not in guess.map and (time := time_key(guess, first, near_ns)) != "":
                guess.map["time"] = f"/{escaped(time)}"
            if not guess.map["name_key"]:
                guess.alone = True
            _outer(guess, messages, place)
            return True
        elif has_numbers(items[0]) and _rows_inside(guess, messages, place, near_ns):
            return True
    return False


def _lists_in_a_list(
    guess: Guess, messages: Sequence[Mapping[str, Any]], place: str, *, deeper: str, near_ns: int
) -> bool:
    """{"records": [{"ts", "vals": [{"id", "val"}]}]}: samples of named values, or devices of them."""
    lists = [_rows_at(message, parse_pointer(place)) for message in messages]
    items = [item for listed in lists for item in listed]
    inner = [row for item in items for row in _rows_at(item, (deeper,))]
    if not inner or not _named(guess, inner, near_ns):
        return False
    guess.map.update(samples=place, values=[f"/{escaped(deeper)}"])
    if "time_key" not in guess.map and (time := time_key(guess, items[0], near_ns)) != "":
        guess.map["time"] = f"/{escaped(time)}"
    elif name := different_in_each(lists):
        guess.machine = f"{{/{escaped(name)}}}"
        guess.left_out[name] = "names the machine"
    _outer(guess, messages, place)
    return True


def _rows_inside(guess: Guess, messages: Sequence[Mapping[str, Any]], place: str, near_ns: int) -> bool:
    """Rows in a list: each with a time of its own, or each of another device."""
    lists = [_rows_at(message, parse_pointer(place)) for message in messages]
    items = [item for listed in lists for item in listed]
    if time_key(guess, items[0], near_ns) == "":
        name = different_in_each(lists)
        return bool(name) and _list_of_devices(guess, messages, place, name=name, near_ns=near_ns)
    holder = _container(items[0])
    guess.map.update(samples=place, values=[holder])
    _outer(guess, messages, place)
    _name_device(guess, items, near_ns)
    inside = [at(item, parse_pointer(holder)) for item in items]
    held = [item for item in inside if isinstance(item, dict)]
    return _row(guess, held, items, near_ns, place=holder)


def _list_of_devices(
    guess: Guess, messages: Sequence[Mapping[str, Any]], place: str, *, name: str, near_ns: int
) -> bool:
    """{"time", "devices": [{"name", "data": {...}}, …]}: rows of several devices, of one time."""
    items = [item for message in messages for item in _rows_at(message, parse_pointer(place))]
    holder = _container(items[0])
    held = [at(item, parse_pointer(holder)) for item in items]
    guess.map.update(samples=place, values=[holder])
    guess.machine = f"{{/{escaped(name)}}}"
    _outer(guess, messages, place)
    if not _row(guess, [item for item in held if isinstance(item, dict)], items, near_ns, place=holder):
        return False
    if "time" not in guess.map and (time := time_key(guess, messages[0], near_ns)) != "":
        guess.map["time"] = f"/{escaped(time)}"
    _names_machine(guess, name, within=not holder)
    return True


def _names_machine(guess: Guess, name: str, *, within: bool) -> None:
    """Note that a field names the machine, and that it is no channel where it stands among the values."""
    guess.left_out[name] = "names the machine"
    if within:
        guess.map["skip"] = list(dict.fromkeys([*guess.map.get("skip", ()), name]))


def _rows_at(message: Mapping[str, Any], pointer: tuple[str, ...]) -> list[dict[str, Any]]:
    listed = at(message, pointer)
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def _lists(message: Mapping[str, Any], *, front: str = "", depth: int = 0) -> Iterator[tuple[str, list[Any]]]:
    for key, value in message.items():
        if (
            isinstance(value, list)
            and value
            and isinstance(value[0], dict)
            and key not in ("rxInfo", "rx_metadata")
        ):
            yield f"{front}/{escaped(key)}", value
        elif isinstance(value, dict) and depth < 2:
            yield from _lists(value, front=f"{front}/{escaped(key)}", depth=depth + 1)


def _one_value(guess: Guess, messages: Sequence[Mapping[str, Any]], near_ns: int) -> bool:
    """{"Value", "Timestamp", "Quality", "Name"}: one value a message."""
    first = messages[0]
    value = next((key for key in _VALUES if key in first and not isinstance(first[key], dict | list)), "")
    others = [
        key
        for key, item in first.items()
        if key != value and isinstance(item, int | float) and not isinstance(item, bool)
    ]
    others = [key for key in others if key not in TIMES and key not in QUALITIES and key.lower() not in ABOUT]
    objects = [key for key, item in first.items() if isinstance(item, dict) and key not in QUALITIES]
    if not value or others or objects:
        return False
    guess.map["values"] = [f"/{escaped(value)}"]
    name = _one_of(_NAMES, first)
    names = [str(message.get(name, "")) for message in messages]
    _name_device(guess, messages, near_ns, what=names)
    guess.alone = len(set(names)) < 2
    if not guess.alone:
        guess.settings["channel"] = f"{{/{escaped(name)}}}"
    return _timed_value(guess, messages, value, near_ns)


def _timed_value(guess: Guess, messages: Sequence[Mapping[str, Any]], value: str, near_ns: int) -> bool:
    """What stands beside the only value of a message: its time and its quality."""
    if (time := time_key(guess, messages[0], near_ns)) != "":
        guess.map["time"] = f"/{escaped(time)}"
    if quality := quality_key(messages):
        seen = [message.get(quality) for message in messages]
        guess.settings["quality"] = quality_rule(quality, quality, seen)
    seen_values = [message.get(value) for message in messages]
    weigh(guess, {value: seen_values}, near_ns, words=True)
    return value not in guess.left_out


def _container(message: Mapping[str, Any]) -> str:
    """Where the object is that gateways put decoded values into; "" where the values lie beside everything else."""
    for key in _INNER:
        inner = message.get(key)
        if isinstance(inner, dict) and has_numbers(inner):
            deeper = _container(inner) if not _flat_numbers(inner) else ""
            return f"/{escaped(key)}{deeper}"
    for key, inner in message.items():
        if (
            isinstance(inner, dict)
            and key not in ("deviceInfo", "end_device_ids")
            and (deeper := _known_inside(inner))
        ):
            return f"/{escaped(key)}{deeper}"
    return ""


def _known_inside(inner: Mapping[str, Any]) -> str:
    found = next(
        (key for key in _INNER[:5] if isinstance(inner.get(key), dict) and has_numbers(inner[key])), ""
    )
    return f"/{escaped(found)}" if found else ""


def _flat_numbers(item: Mapping[str, Any]) -> bool:
    return any(
        is_number(value) for key, value in item.items() if key not in TIMES and key.lower() not in ABOUT
    )


def _name_device(
    guess: Guess, messages: Sequence[Mapping[str, Any]], near_ns: int, *, what: Sequence[str] = ()
) -> None:
    """Note what names the device, where messages of several devices, or with a well-known name, are at hand."""
    place = parse_pointer(time_place(Guess(), messages[0], near_ns))
    told = {
        repr(message): number for number, message in enumerate(messages)
    }  # what the broker sent twice counts once
    once = sorted(told.values())
    stamps = [
        repr(stamp) if place and (stamp := at(messages[number], place)) is not ABSENT else None
        for number in once
    ]
    pattern, fields = device_pattern(
        [messages[number] for number in once], stamps, what=[what[number] for number in once] if what else ()
    )
    if not pattern:
        alike = ((one, named_alike(messages, one)) for one in guess.named)
        pattern, fields = next(((one, found) for one, found in alike if found), ("", ()))
    guess.machine = pattern
    guess.left_out.update(dict.fromkeys(fields, "names the machine"))


def _outer(guess: Guess, messages: Sequence[Mapping[str, Any]], place: str) -> None:
    """Name the numbers of the envelope, which are no channels."""
    outside = place.removeprefix("/").split("/")[0]
    for key, value in leaves(messages[0]):
        if key.split("/")[0] != outside and is_number(value) and key.split("/")[-1] not in TIMES:
            guess.left_out[key] = "stands in the envelope"


def _wrapped(
    guess: Guess, holders: Sequence[Mapping[str, Any]], samples: Sequence[Mapping[str, Any]], near_ns: int
) -> bool:
    """Objects whose values lie in objects of their own: {"Temp": {"Value", "SourceTimestamp", "StatusCode"}}."""
    named = [(name, inner) for item in holders for name, inner in item.items() if isinstance(inner, dict)]
    value = next((key for key in _VALUES if named and all(key in inner for _, inner in named)), "")
    if not value or any(is_number(inner) for item in holders for inner in item.values()):
        return False
    guess.map["value_key"] = value
    time = next((key for _, inner in named if (key := time_key(guess, inner, near_ns))), "")
    if time:
        guess.map["time_key"] = time
    if outer := time_place(guess, samples[0], near_ns):
        guess.map["time"] = outer
    if quality := quality_key([inner for _, inner in named]):
        seen = [inner.get(quality) for _, inner in named]
        guess.settings["quality"] = quality_rule(quality, quality, seen)
    columns: dict[str, list[object]] = {}
    for name, inner in named:
        columns.setdefault(name, []).append(inner[value])
    weigh(guess, columns, near_ns, words=True)
    if skip := [name for name in guess.left_out if name in columns]:
        guess.map["skip"] = skip
    return any(name not in guess.left_out for name in columns)


def _row(
    guess: Guess,
    holders: Sequence[Mapping[str, Any]],
    samples: Sequence[Mapping[str, Any]],
    near_ns: int,
    *,
    place: str = "",
    outside: bool = False,
) -> bool:
    """Objects of numbers: their time, in them or (`outside`) around them, and which of the numbers are channels."""
    if not holders:
        return False
    if _wrapped(guess, holders, samples, near_ns):
        return True
    inside = time_key(guess, holders[0], near_ns)
    if inside:
        guess.map["time"] = f"{place}/{escaped(inside)}"
    elif (place or outside) and (around := time_place(guess, samples[0], near_ns)):
        guess.map["time"] = around
    elif not place and (nested := time_place(guess, samples[0], near_ns)):
        guess.map["time"] = nested
    columns: dict[str, list[object]] = {}
    for item in holders:
        for path, value in leaves(item):
            columns.setdefault(path, []).append(value)
    if inside:
        columns.pop(inside, None)
    time = guess.map.get("time", "")
    columns.pop(time.removeprefix(f"{place}/").replace("~1", "/").replace("~0", "~"), None)
    weigh(guess, columns, near_ns)
    skip = [name for name in guess.left_out if name in columns]
    if skip:
        guess.map["skip"] = skip
    return any(name not in guess.left_out for name in columns)
