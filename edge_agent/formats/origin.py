"""Where a payload came from, and the checks of time and number that all wire formats share. Decodes nothing."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from edge_agent.records import Reject, RejectReason

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST_NS = int(datetime(1980, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
"""A device whose clock never was set says 1970; nothing was sampled before 1980."""
_FARTHEST_S = 10**12
"""Beyond any calendar; keeps absurd stamps from overflowing on their way to being turned away."""
LARGEST = 3.4028234663852886e38
"""The largest float32: a value beyond it is finite here and infinite in the model."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What topic and clock say of a payload.

    Attributes:
        machine: its name. channel: the one channel that the topic names, or None.
        received_ns: wall clock at arrival. future_tolerance_ns: how far ahead of it an event time may be.
        trusted: whether the source's clock counts; where not, any time that a calendar knows is read.
    """

    machine: str
    channel: str | None
    received_ns: int
    future_tolerance_ns: int
    trusted: bool = True


def number(value: object) -> float | RejectReason:
    """`value` as a float that float32 can hold, or why it is none; a truth value counts as 1 or 0."""
    if isinstance(value, bool | int | float):
        try:
            result = float(value)
        except OverflowError:
            return "not_finite"
        return result if abs(result) <= LARGEST else "not_finite"
    return "wrong_type"


def event_time_ns(stamp: object, origin: Origin) -> int | Reject:
    """Nanoseconds since 1970 of a stamp in seconds or in RFC 3339 text."""
    if isinstance(stamp, str):
        time_ns = _from_text(stamp)
    elif isinstance(stamp, int | float) and not isinstance(stamp, bool):
        time_ns = _from_seconds(stamp)
    else:
        return Reject("bad_timestamp", f"a {type(stamp).__name__} is no time")
    if time_ns is None:
        return Reject("bad_timestamp", f"{str(stamp)[:40]!r} is no time")
    if not origin.trusted:
        return time_ns
    ahead_ns = time_ns - origin.received_ns
    if time_ns < EARLIEST_NS:
        return Reject("bad_timestamp", f"{str(stamp)[:40]} lies before 1980", ahead_ns)
    if ahead_ns > origin.future_tolerance_ns and origin.received_ns >= EARLIEST_NS:
        hint = "; milliseconds instead of seconds?" if ahead_ns > 1e19 else ""
        return Reject("future_timestamp", f"{ahead_ns / 1e9:.0f} s ahead of its arrival{hint}", ahead_ns)
    return time_ns


def _from_seconds(stamp: float) -> int | None:
    if 0 <= stamp <= _FARTHEST_S:
        bounded = stamp
    elif isinstance(stamp, float) and not math.isfinite(stamp):
        return None
    else:
        bounded = 0 if stamp < 0 else _FARTHEST_S
    # A double holds today's seconds to 0.2 microseconds: finer digits are noise that would make steps uneven.
    return round(bounded * 1e6) * 1000


def _from_text(stamp: str) -> int | None:
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
