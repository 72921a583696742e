"""Formats of vendors: any JSON in which a map says where names, times, values and quality stand. Knows no vendor.

Places are JSON pointers (RFC 6901): `/header/time`, `/samples/0`; the empty pointer is the whole. What stands at a
place of values may be a number, an object of numbers or of objects of numbers, or a list of objects that name their
quantity: `[{"name": "flow", "value": 1.5}]`. Where the time is a list, numbers are lists of the same length.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge_agent.formats.items import read_json
from edge_agent.formats.mapping.binary import BinaryField
from edge_agent.formats.mapping.payload_map import PayloadMap
from edge_agent.formats.mapping.pointer import (
    ABSENT,
    OpenPointer,
    Pointer,
    at,
    parse_key,
    parse_place,
    parse_pointer,
)
from edge_agent.formats.origin import Origin, event_time_ns
from edge_agent.formats.samples import MachineSamples, Samples, channel_name
from edge_agent.formats.wire_format import WireFormat
from edge_agent.records import Decoded, Reject

_DEPTH_LIMIT = 8
"""Objects within objects at a place of values; deeper ones are not meant."""
_SAMPLES_LIMIT = 100_000
"""Of one message."""

Time = int | Reject | None
_NOTHING_BOUND: Mapping[str, str] = {}


def mapped(places: PayloadMap) -> Callable[[bytes, Origin], Decoded]:
    """The decoder that `places` describes.

    Raises:
        ValueError: a place is no JSON pointer.
    """
    compiled = _Compiled.of(places)

    def decode(payload: bytes, origin: Origin) -> Decoded:
        message = read_json(payload)
        if isinstance(message, Reject):
            return message
        whole = compiled.one_sample and isinstance(message, dict)
        listed = ((_NOTHING_BOUND, message),) if whole else compiled.samples_of(message)
        if isinstance(listed, Reject):
            return listed
        named = origin.reading.machine is not None
        machines = MachineSamples(origin) if named else None
        rule = origin.reading
        simple = compiled.unbound and not named and not rule.channel and not rule.quality
        simple = simple and origin.channel is None
        reader = _Reader(
            compiled, origin, machines, Samples(origin), message, None, _NOTHING_BOUND, simple=simple
        )
        for count, (bound, sample) in enumerate(listed):
            if count >= _SAMPLES_LIMIT:
                return Reject("too_large", f"more than {_SAMPLES_LIMIT} samples in one message")
            reader.take(sample, bound)
        return reader.samples.frame() if machines is None else machines.frames()

    return decode


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A map's places, taken apart once."""

    places: PayloadMap
    values: tuple[tuple[Pointer | None, OpenPointer], ...]
    time: Pointer
    samples: tuple[OpenPointer, ...]
    name: Pointer
    value: Pointer
    own_time: Pointer
    binary: tuple[tuple[OpenPointer, Pointer], ...]
    skip: frozenset[str]
    unbound: bool
    one_sample: bool

    @classmethod
    def of(cls, places: PayloadMap) -> "_Compiled":
        values = tuple(map(parse_place, places.values))
        return cls(
            places=places,
            values=tuple((place.plain, place) for place in values),
            time=parse_pointer(places.time),
            samples=tuple(map(parse_place, places.sample_places)),
            name=parse_key(places.name_key),
            value=parse_key(places.value_key),
            own_time=parse_key(places.time_key),
            binary=tuple(map(_parent, places.binary)),
            skip=frozenset(places.skip),
            unbound=not places.placeholders,
            one_sample=not places.sample_places[0],
        )

    def samples_of(self, message: object) -> Sequence[tuple[Mapping[str, str], object]] | Reject:
        """Each sample of a message, and what placeholders stand for there."""
        for place in self.samples:
            if not place.keys:
                return self._whole(message)
            found = [(bound, sample) for bound, _, item in place.find(message) for sample in _listed(item)]
            if found:
                return found
        return Reject("wrong_type", f"no list at {' or '.join(map(repr, self.places.sample_places))}")

    def _whole(self, message: object) -> Sequence[tuple[Mapping[str, str], object]]:
        """The message as one sample, or as the list of samples that it is."""
        rows = isinstance(message, list) and bool(message) and all(isinstance(row, dict) for row in message)
        if (
            rows
            and isinstance(message, list)
            and not any(at(row, self.value) is not ABSENT for row in message)
        ):
            return [(_NOTHING_BOUND, row) for row in message]
        return [(_NOTHING_BOUND, message)]

    def time_left_out(self, item: object, pointer: Pointer) -> object:
        """An object of values without the time that stands in it."""
        if isinstance(item, dict) and self.time and self.time[:-1] == pointer and self.time[-1] in item:
            return {key: value for key, value in item.items() if key != self.time[-1]}
        return item


def _parent(field: BinaryField) -> tuple[OpenPointer, Pointer]:
    """Where the object is that holds a packed text, beside which its quality stands, and the key in it."""
    place = parse_place(field.place)
    *_, key = place.keys or (None,)
    if key is None:
        return place, ()
    return OpenPointer(place.text, place.keys[:-1], place.words[:-1]), (key,)


def _listed(item: object) -> Iterator[object]:
    if isinstance(item, list):
        yield from item
    elif isinstance(item, dict):
        yield item


@dataclass(slots=True)
class _Reader:
    """Walks the places of one message's samples.

    Attributes:
        machines: where the payload names machines; None: `samples` are the topic's machine's.
        sample, bound: the one that is being read, and what placeholders stand for in it.
        simple: whether names and quality need no look at anything but the value.
    """

    map: _Compiled
    origin: Origin
    machines: MachineSamples | None
    samples: Samples
    message: object
    sample: object
    bound: Mapping[str, str]
    simple: bool

    def take(self, sample: object, bound: Mapping[str, str]) -> None:
        """One sample: all its places."""
        self.sample, self.bound = sample, bound
        if self.map.time:
            stamp = at(sample, self.map.time)
            stamp = at(self.message, self.map.time) if stamp is ABSENT else stamp
        else:
            stamp = None
        times = [self._time(each) for each in stamp] if isinstance(stamp, list) else self._time(stamp)
        for pointer, place in self.map.values:
            if pointer is not None:
                item = at(sample, pointer)
                if item is not ABSENT:
                    item = self.map.time_left_out(item, pointer)
                    self._walk(item, path=pointer[-1:], times=times, depth=0)
                continue
            for more, path, item in place.find(sample):
                self.bound = {**bound, **more} if more else bound
                self._walk(self.map.time_left_out(item, path), path=path[-1:], times=times, depth=0)
            self.bound = bound
        for field, (place, key) in zip(self.map.places.binary, self.map.binary, strict=True):
            own = None if isinstance(times, list) else times
            for _, _, item in place.find(sample):
                self._put((field.name,), field.read(at(item, key)), own, item)

    def _time(self, stamp: object) -> Time:
        if stamp is None:
            return None
        if stamp is ABSENT:
            if not self.origin.trusted:
                return None
            return Reject("bad_timestamp", f"nothing stands at {self.map.places.time!r}")
        if self.map.places.time_unit == "rfc3339" and not isinstance(stamp, str) and self.origin.trusted:
            return Reject("bad_timestamp", f"a {type(stamp).__name__} is no text of RFC 3339")
        return event_time_ns(stamp, self.origin, self.map.places.time_unit)

    def _walk(self, item: object, *, path: Pointer, times: Time | list[Time], depth: int) -> None:
        if isinstance(item, dict) and at(item, self.map.value) is not ABSENT:
            self._named(item, path=path, times=times, depth=depth)
        elif isinstance(item, dict) and depth < _DEPTH_LIMIT:
            for key, inner in item.items():
                self._walk(inner, path=(*path, key) if depth else (key,), times=times, depth=depth + 1)
        elif isinstance(item, list) and any(isinstance(each, dict) for each in item):
            for each in item:
                self._named(each, path=path, times=times, depth=depth)
        else:
            self._put(path, item, times, None, alone=not depth and bool(path))

    def _named(self, item: object, *, path: Pointer, times: Time | list[Time], depth: int) -> None:
        """An object that holds a value, and maybe its name, time and quality."""
        value = at(item, self.map.value) if isinstance(item, dict) else ABSENT
        if isinstance(value, dict):  # the value, its time and its quality lie in an object of their own
            inner = at(value, self.map.value)
            value = at(value, ("value",)) if inner is ABSENT else inner
        name = at(item, self.map.name) if self.map.name else ABSENT
        if value is ABSENT:
            if self.origin.reading.quality is None or self._good(item):
                said = f"an object without {self.map.places.value_key!r}"
                self._of(item).refuse(self._told_name(path, name), "wrong_type", said)
            else:
                self._of(item).refuse(self._told_name(path, name), "bad_quality")
            return
        if name is not ABSENT and not isinstance(name, str):
            self._of(item).refuse("/".join(path), "unknown_channel", "a name is text")
            return
        stamp = at(item, self.map.own_time) if self.map.own_time else ABSENT
        own = times if stamp is ABSENT else self._time(stamp)
        alone = name is ABSENT and not depth and bool(path)
        self._put(path if name is ABSENT else (str(name),), value, own, item, alone=alone)

    def _told_name(self, path: Pointer, name: object) -> str:
        return name if isinstance(name, str) else "/".join(path)

    def _good(self, item: object) -> bool:
        """Whether what says the quality of a value says that it is good."""
        rule = self.origin.reading.quality
        if rule is None:
            return True
        for place in (item, self.sample, self.message):
            found = at(place, rule.pointer)
            if found is not ABSENT and found is not None:
                return rule.is_good(found)
        return rule.is_good(None)

    def _of(self, item: object) -> Samples:
        """The samples of the machine that a value belongs to."""
        template = self.origin.reading.machine
        if self.machines is None or template is None:
            return self.samples
        name = template.fill({**self.origin.levels, **self.bound}, (item, self.sample, self.message))
        if name is None:
            self.machines.unnamed(f"nothing stands where machine = {template.text!r} looks for its name")
            return self.samples
        return self.machines.of(name)

    def _put(
        self, path: Pointer, value: object, times: Time | list[Time], item: object, *, alone: bool = False
    ) -> None:
        name = path[0] if len(path) == 1 else "/".join(path)
        if self.map.skip and name in self.map.skip:
            return
        if self.simple and not isinstance(times, list):
            channel = self.map.places.rename.get(name, channel_name(name))
            self.samples.add(channel, value, time=times, series=name)
            return
        samples = self._of(item)
        channel = self.map.places.rename.get(name, channel_name(name))
        told = self.bound.get("channel", self.origin.channel) if self.bound else self.origin.channel
        if told is not None or self.origin.reading.channel is not None:
            channel = self.origin.reading.channel_name(
                channel,
                topic_channel=told,
                words={**self.origin.levels, **self.bound},
                documents=(item, self.sample, self.message),
                alone=alone and len(self.map.values) == 1,
            )
            channel = channel_name(channel)
        if self.origin.reading.quality is not None and not self._good(item):
            samples.refuse(channel, "bad_quality", f"channel {channel[:40]!r} is of bad quality")
        elif not isinstance(times, list):
            samples.add(channel, value, time=times, series=name)
        elif not isinstance(value, list) or len(value) != len(times):
            samples.refuse(channel, "wrong_type", f"as many numbers as times were expected: {len(times)}")
        else:
            for time, each in zip(times, value, strict=True):
                samples.add(channel, each, time=time, series=name)


FORMAT = WireFormat("json_path", mapped, options="map", names_itself=True)
