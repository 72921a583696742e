"""Topic and clock around the formats: which source a delivery belongs to, and whose time counts. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Literal, Protocol

from edge_agent.formats.mapping.reading import PLAIN, Reading
from edge_agent.formats.origin import EARLIEST_NS, Origin
from edge_agent.formats.packing import unwrapped
from edge_agent.formats.wire_format import Decoder
from edge_agent.records import Decoded, Delivery, Frame, FrameSet, Reject, RejectReason
from edge_agent.topics import NamePattern, Template, is_name

Clock = Literal["source", "arrival"]
Retained = Literal["ignore", "state"]
Reports = Literal["rows", "changes"]
_UNREADABLE: frozenset[RejectReason] = frozenset({"not_utf8", "not_json", "not_a_number", "malformed"})
"""Reasons that may lie in what stands around the payload."""
_TOPICS_REMEMBERED = 4096
_TOPIC_REMEMBERED_CHARS = 300
"""Together they bound what a flood of topics can make us remember."""


@dataclass(frozen=True, slots=True)
class Route:
    """A family of topics, what reads their payloads, how their machine is called, and whose clock counts.

    Attributes:
        machine: None where the payload says it.
        clock_limit_s: how far its stamps may be from their arrival; None: as far as any may be ahead of it.
        retained: what a message is that the broker kept and that has no time of its own: none, or a row of its arrival.
        reports: whether what is not said has not changed (`changes`), so that a pause says nothing.
        reading: how its names, numbers and times are written.
        document: where a format does not know of names in the payload, what reads it for them.
        names: whether a channel's name in the topic stands before those of the payload.
    """

    template: Template
    decode: Decoder
    machine: NamePattern | None
    clock: Clock = "source"
    clock_limit_s: float | None = None
    retained: Retained = "ignore"
    reports: Reports = "rows"
    reading: Reading = PLAIN
    document: Callable[[bytes], Any] | None = None
    names: bool = False


class Stamped(Protocol):
    """Is told of each message with a time of its own, also of those turned away for that."""

    def __call__(self, machine: str, source: str, *, ahead_ns: int, wrong: bool, at_ns: int) -> None:
        """The newest stamp is so far ahead of the arrival at `at_ns`, and whether that is too far."""


def delivery_decoder(
    routes: Sequence[Route],
    *,
    payload_limit_bytes: int,
    future_tolerance_s: float,
    stamped: Stamped | None = None,
) -> Callable[[Delivery], Decoded]:
    """The function that finds a delivery's source by its topic and decodes it; it never raises.

    Args:
        routes: the first whose template matches wins.
        payload_limit_bytes: longer payloads are turned away unread, also where they become so long unpacked.
        future_tolerance_s: how far ahead of its arrival an event time may be.
        stamped: compares the stamps with their arrival.
    """
    tolerance_ns = round(future_tolerance_s * 1e9)

    def find(topic: str) -> tuple[Route, str, str | None, Mapping[str, str], Decoder] | Reject:
        known = _find(routes, topic)
        return known if isinstance(known, Reject) else (*known, _reader(known[0]))

    remembered = lru_cache(maxsize=_TOPICS_REMEMBERED)(find)

    def decode(delivery: Delivery) -> Decoded:
        if len(delivery.payload) > payload_limit_bytes:
            return Reject("too_large", f"more than {payload_limit_bytes} bytes")
        topic = delivery.topic
        known = remembered(topic) if len(topic) <= _TOPIC_REMEMBERED_CHARS else find(topic)
        if isinstance(known, Reject):
            return known
        route, machine, channel, levels, read = known
        origin = Origin(
            machine,
            channel,
            delivery.received_ns,
            tolerance_ns,
            route.clock == "source",
            route.reading,
            levels,
        )
        decoded = read(delivery.payload, origin)
        if isinstance(decoded, Reject) and decoded.reason in _UNREADABLE:
            decoded = _unwrapped(route, delivery.payload, origin, decoded, limit_bytes=payload_limit_bytes)
        if stamped is not None and delivery.received_ns >= EARLIEST_NS:
            _compare(decoded, route, origin, stamped)
        if not origin.trusted:
            decoded = at_arrival(decoded, received_ns=delivery.received_ns)
        elif delivery.received_ns >= EARLIEST_NS:
            decoded = _with_arrival(decoded, received_ns=delivery.received_ns)
        if delivery.retain and route.retained == "ignore" and not isinstance(decoded, Reject):
            return _news(decoded)
        return decoded

    return decode


def _reader(route: Route) -> Decoder:
    """The source's decoder, with the names that it does not know of where there are any."""
    plain = route.document is None and not route.names and route.reports == "rows"
    return route.decode if plain else partial(_decoded, route)


def _decoded(route: Route, payload: bytes, origin: Origin) -> Decoded:
    """What the source makes of a payload."""
    decoded = _named(route, payload, origin)
    return decoded if route.reports == "rows" else _by_exception(decoded)


def _named(route: Route, payload: bytes, origin: Origin) -> Decoded:
    """What the source's decoder makes of a payload, with the names that it does not know of."""
    if route.document is None and not route.names:
        return route.decode(payload, origin)
    document = None
    if route.document is not None:
        document = route.document(payload)
        if isinstance(document, Reject):
            return document
        documents = (document, document[0]) if isinstance(document, list) and document else (document,)
        if (template := route.reading.machine) is not None:
            machine = template.fill(origin.levels, documents)
            if machine is None or not is_name(machine):
                return Reject("unknown_machine", f"nothing that machine = {template.text!r} can stand for")
            origin = origin._replace(machine=machine)
    decoded = route.decode(payload, origin)
    if not isinstance(decoded, Frame) or not route.names:
        return decoded
    names = [
        route.reading.channel_name(
            name,
            topic_channel=origin.channel,
            words=origin.levels,
            documents=(document,),
            alone=len(decoded.channels) == 1,
        )
        for name in decoded.channels
    ]
    if len(set(names)) < len(names) or not all(map(is_name, names)):
        return Reject("unknown_channel", f"two channels, or none, of the name {min(names)[:40]!r}")
    return replace(decoded, channels=tuple(names), partial=origin.channel is not None)


def _unwrapped(route: Route, payload: bytes, origin: Origin, first: Reject, *, limit_bytes: int) -> Decoded:
    """What a payload says that could not be read as it came; `first` where nothing stands around it."""
    inner = unwrapped(payload, limit_bytes=limit_bytes)
    if inner is None:
        return first
    if isinstance(inner, Reject):
        return inner
    decoded = _decoded(route, inner, origin)
    if isinstance(decoded, Reject) and decoded.reason in _UNREADABLE:
        again = unwrapped(inner, limit_bytes=limit_bytes)  # a mark inside what was packed
        if again is not None and not isinstance(again, Reject):
            return _decoded(route, again, origin)
    return decoded


def _with_arrival(decoded: Decoded, *, received_ns: int) -> Decoded:
    """The same with the time of arrival, against which `signals.clock_guard` holds a source's own times."""
    if isinstance(decoded, Frame):
        known = decoded.received_ns or not decoded.stamped
        return decoded if known else replace(decoded, received_ns=received_ns)
    if isinstance(decoded, FrameSet):
        return FrameSet(tuple(replace(frame, received_ns=received_ns) for frame in decoded.frames))
    return decoded


def _by_exception(decoded: Decoded) -> Decoded:
    """The same of a source that says only what has changed."""
    if isinstance(decoded, Frame):
        return replace(decoded, by_exception=True)
    if isinstance(decoded, FrameSet):
        return FrameSet(tuple(replace(frame, by_exception=True) for frame in decoded.frames))
    return decoded


def _news(decoded: Frame | FrameSet) -> Decoded:
    """What a retained message says with a time of its own; without one it is of nobody knows when."""
    frames = decoded.frames if isinstance(decoded, FrameSet) else (decoded,)
    told = tuple(frame for frame in frames if frame.stamped)
    if not told:
        return Reject("retained", 'kept by the broker, without a time of its own; retain = "state" takes it')
    return told[0] if len(told) == 1 else FrameSet(told)


def _compare(decoded: Decoded, route: Route, origin: Origin, stamped: Stamped) -> None:
    """Tell how far the newest stamp of each machine is ahead of its arrival, where there is one."""
    if isinstance(decoded, Reject):
        if decoded.ahead_ns is not None and origin.machine:
            _tell(stamped, route, origin, origin.machine, decoded.ahead_ns)
        return
    for frame in (decoded,) if isinstance(decoded, Frame) else decoded.frames:
        if frame.stamped:
            _tell(stamped, route, origin, frame.machine, max(frame.times_ns) - origin.received_ns)


def _tell(stamped: Stamped, route: Route, origin: Origin, machine: str, ahead_ns: int) -> None:
    limit_ns = origin.future_tolerance_ns if route.clock_limit_s is None else round(route.clock_limit_s * 1e9)
    wrong = origin.trusted and not -limit_ns <= ahead_ns <= limit_ns
    stamped(machine, route.template.text, ahead_ns=ahead_ns, wrong=wrong, at_ns=origin.received_ns)


def machine_finder(routes: Sequence[Route]) -> Callable[[str], str | None]:
    """The function that tells a machine by its topic alone; None where no source takes the topic."""

    def machine_of(topic: str) -> str | None:
        known = _find(routes, topic)
        return None if isinstance(known, Reject) else known[1] or None

    return machine_of


def _find(routes: Sequence[Route], topic: str) -> tuple[Route, str, str | None, Mapping[str, str]] | Reject:
    for route in routes:
        found = route.template.match(topic)
        if found is None:
            continue
        machine = "" if route.machine is None else route.machine.fill(found)
        named = route.machine is None or is_name(machine)
        if not (named and all(is_name(name) for name in found.values())):
            return Reject("bad_topic", ascii(topic[:120]))
        return route, machine, found.get("channel"), found
    return Reject("no_source", ascii(topic[:120]))


def at_arrival(decoded: Decoded, *, received_ns: int) -> Decoded:
    """The same by the time of arrival. Rows of one message keep their distances: the newest has arrived now."""
    if isinstance(decoded, Reject):
        return decoded
    frames = (decoded,) if isinstance(decoded, Frame) else decoded.frames
    newest_ns = [max(frame.times_ns) for frame in frames if frame.stamped]
    if not newest_ns:
        return decoded
    ahead_ns = max(newest_ns) - received_ns
    moved = []
    for frame in frames:
        times_ns = [time_ns - ahead_ns for time_ns in frame.times_ns] if frame.stamped else frame.times_ns
        if min(times_ns) < EARLIEST_NS <= received_ns:
            return Reject("bad_timestamp", "rows of one message lie decades apart")
        moved.append(replace(frame, times_ns=times_ns, stamped=False))
    return moved[0] if len(moved) == 1 else FrameSet(tuple(moved))
