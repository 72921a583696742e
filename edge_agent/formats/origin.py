"""Where a payload came from, and the checks of time and number that all wire formats share. Decodes nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from edge_agent.formats.mapping import times
from edge_agent.formats.mapping.reading import PLAIN, Reading
from edge_agent.formats.mapping.times import TimeUnit
from edge_agent.formats.mapping.values import LARGEST, hint
from edge_agent.records import Reject, RejectReason

EARLIEST_NS = int(datetime(1980, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
"""A device whose clock never was set says 1970; nothing was sampled before 1980."""
_SECONDS_BELOW = 1e11
"""A number that is larger is no time in seconds that any clock shows."""
_NO_LEVELS: Mapping[str, str] = {}


class Origin(NamedTuple):
    """What topic and clock say of a payload.

    Attributes:
        machine: its name, "" where the payload says it. channel: what the topic calls the channel, or None.
        received_ns: wall clock at arrival. future_tolerance_ns: how far ahead of it an event time may be.
        trusted: whether the source's clock counts; where not, any time that a calendar knows is read, and what is
            none is the arrival.
        reading: how the source writes names, numbers and times. levels: what the topic's placeholders stand for.
    """

    machine: str
    channel: str | None
    received_ns: int
    future_tolerance_ns: int
    trusted: bool = True
    reading: Reading = PLAIN
    levels: Mapping[str, str] = _NO_LEVELS


def number(value: object) -> float | RejectReason:
    """`value` as a float that float32 can hold, or why it is none; a truth value counts as 1 or 0."""
    if isinstance(value, bool | int | float):
        try:
            result = float(value)
        except OverflowError:
            return "not_finite"
        return result if abs(result) <= LARGEST else "not_finite"
    return "wrong_type"


def told(value: object, reason: RejectReason) -> str:
    """What to say of a value that was turned away, beside the reason; "" for nothing."""
    return hint(value) if reason == "not_a_number" and isinstance(value, str) else ""


def event_time_ns(stamp: object, origin: Origin, unit: TimeUnit = "auto") -> int | Reject:
    """Nanoseconds since 1970 of a stamp: a number of `unit`, or of the one that its size tells, or text.

    Where the source's clock does not count, a stamp that cannot be read is the arrival.
    """
    if isinstance(stamp, int | float) and not isinstance(stamp, bool):
        if unit == "auto":
            unit = origin.reading.time.unit
        if unit == "auto" and 0 <= stamp < _SECONDS_BELOW:
            # A double holds today's seconds to 0.2 microseconds: finer digits are noise that would make steps uneven.
            time_ns: int | None = round(stamp * 1e6) * 1000
        else:
            time_ns = times.number_ns(stamp, unit)
    elif isinstance(stamp, str):
        time_ns = _from_text(stamp, origin, unit)
    else:
        time_ns = None
    if time_ns is None:
        return origin.received_ns if not origin.trusted else Reject("bad_timestamp", _no_time(stamp, origin))
    if not origin.trusted:
        return time_ns
    ahead_ns = time_ns - origin.received_ns
    if time_ns < EARLIEST_NS:
        return Reject("bad_timestamp", f"{str(stamp)[:40]} lies before 1980", ahead_ns)
    if ahead_ns > origin.future_tolerance_ns and origin.received_ns >= EARLIEST_NS:
        return Reject("future_timestamp", f"{ahead_ns / 1e9:.0f} s ahead of its arrival", ahead_ns)
    return time_ns


def _from_text(stamp: str, origin: Origin, unit: TimeUnit) -> int | None:
    rule = origin.reading.time
    if unit not in ("auto", "rfc3339", rule.unit):
        rule = times.TimeRule(unit, rule.timezone, rule.format)
    return times.text_ns(stamp, rule, near_ns=origin.received_ns)


def _no_time(stamp: object, origin: Origin) -> str:
    if not isinstance(stamp, str):
        return f"a {type(stamp).__name__} is no time"
    if origin.reading.time.format:
        return f"{stamp[:40]!r} is not of time_format {origin.reading.time.format!r}"
    if times.lacks_zone(stamp):
        return f'{stamp[:40]!r} has no zone: say which is meant, timezone = "Europe/Berlin" in [[source]]'
    return f"{stamp[:40]!r} is no time"
