"""Formats of vendors: any JSON in which a map says where time and values stand. Knows no vendor.

Places are JSON pointers (RFC 6901): `/header/time`, `/samples/0`; the empty pointer is the whole. What stands at a
place of values may be a number, an object of numbers or of objects of numbers, or a list of objects that name their
quantity: `[{"name": "flow", "value": 1.5}]`. Where the time is a list, numbers are lists of the same length.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import MinLen

from edge_agent.formats.items import read_json
from edge_agent.formats.origin import Origin, event_time_ns
from edge_agent.formats.samples import Samples, channel_name, stamp_ns
from edge_agent.formats.wire_format import WireFormat
from edge_agent.records import Frame, Reject
from edge_agent.topics import is_name

TimeUnit = Literal["s", "ms", "us", "ns", "rfc3339"]
_UNITS_NS: Mapping[TimeUnit, int] = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_DEPTH_LIMIT = 8
"""Objects within objects at a place of values; deeper ones are not meant."""
_ABSENT = object()

Pointer = tuple[str, ...]
Time = int | Reject | None


@dataclass(frozen=True, slots=True)
class PayloadMap:
    """Where a vendor's message keeps what: the section `[source.map]`, with its defaults and bounds.

    Attributes:
        values: places of values, in each sample.
        time: place of the time, in each sample or else in the message; "" where the arrival counts.
        time_unit: unit of times that are numbers; text is RFC 3339 with any of them.
        samples: place of a list of samples, each with its own time; "" where the message is one sample.
        name_key, value_key, time_key: in lists of objects that name their quantity; no `time_key`, no own time.
        rename: channel by the name that the message gives.
    """

    values: Annotated[tuple[str, ...], MinLen(1)] = ("",)
    time: str = ""
    time_unit: TimeUnit = "s"
    samples: str = ""
    name_key: str = "name"
    value_key: str = "value"
    time_key: str = ""
    rename: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse places that are no JSON pointers, and names that no channel can have.

        Raises:
            ValueError: says which.
        """
        for place in (*self.values, self.time, self.samples):
            parse_pointer(place)
        if bad := [name for name in self.rename.values() if not is_name(name)]:
            raise ValueError(f"rename: '{bad[0]}' is no channel name: printable, without / + #")


def mapped(places: PayloadMap) -> Callable[[bytes, Origin], Frame | Reject]:
    """The decoder that `places` describes.

    Raises:
        ValueError: a place is no JSON pointer.
    """
    values = tuple(parse_pointer(text) for text in places.values)
    time, samples = parse_pointer(places.time), parse_pointer(places.samples)

    def decode(payload: bytes, origin: Origin) -> Frame | Reject:
        message = read_json(payload)
        if isinstance(message, Reject):
            return message
        listed = _at(message, samples) if samples else [message]
        if not isinstance(listed, list):
            return Reject("wrong_type", f"no list at {places.samples!r}")
        reader = _Reader(places, time, origin, Samples(origin))
        for sample in listed:
            stamp = _at(sample, time) if time else None
            reader.take(sample, values, _at(message, time) if stamp is _ABSENT else stamp)
        return reader.samples.frame()

    return decode


def parse_pointer(text: str) -> Pointer:
    """The keys of a JSON pointer.

    Raises:
        ValueError: it does not begin with a slash, or a tilde stands without 0 or 1.
    """
    if text and not text.startswith("/"):
        raise ValueError(f"'{text}' is no JSON pointer: it begins with '/'")
    if "~" in text.replace("~0", "").replace("~1", ""):
        raise ValueError(f"'{text}' is no JSON pointer: '~' is written '~0'")
    return tuple(key.replace("~1", "/").replace("~0", "~") for key in text.split("/")[1:])


def _at(item: object, pointer: Pointer) -> object:
    """What stands at a place, or `_ABSENT`."""
    for key in pointer:
        if isinstance(item, dict):
            item = item.get(key, _ABSENT)
        elif isinstance(item, list) and key.isascii() and key.isdigit() and len(key) < 10:
            item = item[int(key)] if int(key) < len(item) else _ABSENT
        else:
            return _ABSENT
    return item


@dataclass(frozen=True, slots=True)
class _Reader:
    """Walks the places of one message's samples."""

    places: PayloadMap
    time: Pointer
    origin: Origin
    samples: Samples

    def take(self, sample: object, pointers: Sequence[Pointer], stamp: object) -> None:
        times = [self._time(each) for each in stamp] if isinstance(stamp, list) else self._time(stamp)
        for pointer in pointers:
            item = _at(sample, pointer)
            if isinstance(item, dict) and self.time and self.time[:-1] == pointer:
                item = {key: value for key, value in item.items() if key != self.time[-1]}
            if item is not _ABSENT:
                self._walk(item, path=pointer[-1:], times=times, depth=0)

    def _time(self, stamp: object) -> Time:
        if stamp is None:
            return None
        if stamp is _ABSENT:
            return Reject("bad_timestamp", f"nothing stands at {self.places.time!r}")
        if isinstance(stamp, str) or self.places.time_unit == "rfc3339":
            return event_time_ns(stamp, self.origin) if isinstance(stamp, str) else Reject("bad_timestamp")
        return stamp_ns(stamp, _UNITS_NS[self.places.time_unit], self.origin)

    def _walk(self, item: object, *, path: Pointer, times: Time | list[Time], depth: int) -> None:
        if isinstance(item, dict) and self.places.value_key in item:
            self._named(item, path=path, times=times)
        elif isinstance(item, dict) and depth < _DEPTH_LIMIT:
            for key, inner in item.items():
                self._walk(inner, path=(*path, key) if depth else (key,), times=times, depth=depth + 1)
        elif isinstance(item, list) and any(isinstance(each, dict) for each in item):
            for each in item:
                self._named(each, path=path, times=times)
        else:
            self._put(path, item, times)

    def _named(self, item: object, *, path: Pointer, times: Time | list[Time]) -> None:
        """An object that holds a value, and maybe its name and time."""
        if not isinstance(item, dict) or self.places.value_key not in item:
            self.samples.refuse("/".join(path), "wrong_type", f"an object without {self.places.value_key!r}")
            return
        name = item.get(self.places.name_key, _ABSENT)
        if name is not _ABSENT and not isinstance(name, str):
            self.samples.refuse("/".join(path), "unknown_channel", "a name is text")
            return
        timed = self.places.time_key and self.places.time_key in item
        own = self._time(item[self.places.time_key]) if timed else times
        self._put(path if name is _ABSENT else (str(name),), item[self.places.value_key], own)

    def _put(self, path: Pointer, value: object, times: Time | list[Time]) -> None:
        name = "/".join(path)
        channel = self.places.rename.get(name, channel_name(name))
        if not isinstance(times, list):
            self.samples.add(channel, value, time=times, series=name)
        elif not isinstance(value, list) or len(value) != len(times):
            self.samples.refuse(
                channel, "wrong_type", f"as many numbers as times were expected: {len(times)}"
            )
        else:
            for time, each in zip(times, value, strict=True):
                self.samples.add(channel, each, time=time, series=name)


FORMAT = WireFormat("json_path", mapped, options="map")
