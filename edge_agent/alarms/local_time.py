"""Times and stretches of time as people read them: in the zone of the machine's site, which is always said. Pure.

Messages carry their times in UTC; only sentences are for people. A time of another day says which day.
"""

from datetime import UTC, datetime, timedelta, tzinfo

_NS = 1_000_000_000
_NAMED_DAYS = 6
"""So many days back the day of the week is enough: before, it would be taken for the latest one."""


def moment(time_ns: int, zone: tzinfo, *, beside_ns: int | None = None) -> str:
    """`22:13 CET`; of another day than `beside_ns`: `Tue 22:13 CET`, and further away: `Tue 14 Nov 22:13 CET`.

    Without `beside_ns` the day is always said.
    """
    at = datetime.fromtimestamp(time_ns // _NS, zone)
    clock = f"{at:%H:%M} {zone_name(at)}"
    if beside_ns is None:
        return f"{at:%a} {clock}"
    beside = datetime.fromtimestamp(beside_ns // _NS, zone)
    if at.date() == beside.date():
        return clock
    near = timedelta(0) < beside - at < timedelta(days=_NAMED_DAYS)
    if near:
        return f"{at:%a} {clock}"
    year = "" if at.year == beside.year else f" {at.year}"
    return f"{at:%a} {at.day} {at:%b}{year} {clock}"


def zone_name(at: datetime) -> str:
    """What people call the time's zone; those without a name are said by their offset, `UTC-03`."""
    name = at.tzname() or ""
    return f"UTC{name}" if name[:1] in "+-" else name


def span(length_ns: int) -> str:
    """`40 s`, `10 min`, `3 h 5 min`, `2 days 3 h`."""
    seconds = max(0, round(length_ns / _NS))
    if seconds < 90:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h" + (f" {minutes} min" if minutes else "")
    days, hours = divmod(hours, 24)
    return f"{days} days" + (f" {hours} h" if hours else "")


def parsed_ns(text: str) -> int:
    """The time of an RFC 3339 text.

    Raises:
        ValueError: it is none, or has no zone.
    """
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no zone")
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * _NS + since.microseconds * 1000
