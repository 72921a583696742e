"""Topic and clock around the formats: which source a delivery belongs to, and whose time counts. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, Protocol

from edge_agent.formats.origin import EARLIEST_NS, Origin
from edge_agent.formats.wire_format import Decoder
from edge_agent.records import Delivery, Frame, Reject
from edge_agent.topics import NamePattern, Template, is_name

Clock = Literal["source", "arrival"]
_TOPICS_REMEMBERED = 4096
_TOPIC_REMEMBERED_CHARS = 300
"""Together they bound what a flood of topics can make us remember."""


@dataclass(frozen=True, slots=True)
class Route:
    """A family of topics, what reads their payloads, how their machine is called, and whose clock counts.

    Attributes:
        clock_limit_s: how far its stamps may be from their arrival; None: as far as any may be ahead of it.
    """

    template: Template
    decode: Decoder
    machine: NamePattern
    clock: Clock = "source"
    clock_limit_s: float | None = None


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
) -> Callable[[Delivery], Frame | Reject]:
    """The function that finds a delivery's source by its topic and decodes it; it never raises.

    Args:
        routes: the first whose template matches wins.
        payload_limit_bytes: longer payloads are turned away unread.
        future_tolerance_s: how far ahead of its arrival an event time may be.
        stamped: compares the stamps with their arrival.
    """
    tolerance_ns = round(future_tolerance_s * 1e9)

    def find(topic: str) -> tuple[Route, str, str | None] | Reject:
        return _find(routes, topic)

    remembered = lru_cache(maxsize=_TOPICS_REMEMBERED)(find)

    def decode(delivery: Delivery) -> Frame | Reject:
        if len(delivery.payload) > payload_limit_bytes:
            return Reject("too_large", f"more than {payload_limit_bytes} bytes")
        topic = delivery.topic
        known = remembered(topic) if len(topic) <= _TOPIC_REMEMBERED_CHARS else find(topic)
        if isinstance(known, Reject):
            return known
        route, machine, channel = known
        origin = Origin(
            machine=machine,
            channel=channel,
            received_ns=delivery.received_ns,
            future_tolerance_ns=tolerance_ns,
            trusted=route.clock == "source",
        )
        decoded = route.decode(delivery.payload, origin)
        if stamped is not None and delivery.received_ns >= EARLIEST_NS:
            ahead_ns = _ahead_ns(decoded, received_ns=delivery.received_ns)
            if ahead_ns is not None:
                limit_ns = tolerance_ns if route.clock_limit_s is None else round(route.clock_limit_s * 1e9)
                wrong = origin.trusted and not -limit_ns <= ahead_ns <= limit_ns
                stamped(
                    machine, route.template.text, ahead_ns=ahead_ns, wrong=wrong, at_ns=delivery.received_ns
                )
        return decoded if origin.trusted else at_arrival(decoded, received_ns=delivery.received_ns)

    return decode


def _ahead_ns(decoded: Frame | Reject, *, received_ns: int) -> int | None:
    """How far the newest stamp of a message is ahead of its arrival; None where it has none that can be read."""
    if isinstance(decoded, Reject):
        return decoded.ahead_ns
    return max(decoded.times_ns) - received_ns if decoded.stamped else None


def machine_finder(routes: Sequence[Route]) -> Callable[[str], str | None]:
    """The function that tells a machine by its topic alone; None where no source takes the topic."""

    def machine_of(topic: str) -> str | None:
        known = _find(routes, topic)
        return None if isinstance(known, Reject) else known[1]

    return machine_of


def _find(routes: Sequence[Route], topic: str) -> tuple[Route, str, str | None] | Reject:
    for route in routes:
        found = route.template.match(topic)
        if found is None:
            continue
        machine = route.machine.fill(found)
        if not (is_name(machine) and all(is_name(name) for name in found.values())):
            return Reject("bad_topic", ascii(topic[:120]))
        return route, machine, found.get("channel")
    return Reject("no_source", ascii(topic[:120]))


def at_arrival(decoded: Frame | Reject, *, received_ns: int) -> Frame | Reject:
    """The same by the time of arrival. Rows of one message keep their distances: the newest has arrived now."""
    if isinstance(decoded, Reject) or not decoded.stamped:
        return decoded
    ahead_ns = max(decoded.times_ns) - received_ns
    times_ns = [time_ns - ahead_ns for time_ns in decoded.times_ns]
    if min(times_ns) < EARLIEST_NS <= received_ns:
        return Reject("bad_timestamp", "rows of one message lie decades apart")
    return replace(decoded, times_ns=times_ns, stamped=False)
