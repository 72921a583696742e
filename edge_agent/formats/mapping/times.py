"""How a source writes times: zone, unit of numbers, text of several forms. Pure; what is plausible, others say."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

TimeUnit = Literal["auto", "s", "ms", "us", "ns", "rfc3339"]
UNITS_NS: Mapping[TimeUnit, int] = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM, _MICROSECONDS_FROM, _NANOSECONDS_FROM = 1e11, 1e14, 1e17
"""1973 in milliseconds, micro- and nanoseconds, and beyond the year 5000 in the unit before."""
_FARTHEST_NS = 10**21
"""Clamps absurd numbers; beyond any calendar."""
_LONGEST_CHARS = 64
_NUMBER = re.compile(r"-?\d{1,40}(?:\.\d{0,40})?", re.ASCII)
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{2}):?(\d{2})", re.ASCII)
_HOUR = r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?"
_ZONE = r"\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
_DAY_FIRST = re.compile(rf"(\d{{1,2}})\.(\d{{1,2}})\.(\d{{4}})[ T,]\s*{_HOUR}{_ZONE}", re.ASCII)
_LOOSE_ISO = re.compile(rf"(\d{{4}})[-/](\d{{1,2}})[-/](\d{{1,2}})(?:[ T]{_HOUR})?{_ZONE}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TimeRule:
    """How a source's times are written.

    Attributes:
        unit: of times that are numbers, or text that is a number; `auto`: by their size, or what the format says.
        timezone: of text without one: a name of the IANA data base, or an offset such as `+02:00`; "": it is no time.
        format: of text, as `datetime.strptime` has it; "": ISO 8601 and common forms with the year or the day first.
    """

    unit: TimeUnit = "auto"
    timezone: str = ""
    format: str = ""

    def __post_init__(self) -> None:
        """Refuse a zone that is not known, and a form that gives no day.

        Raises:
            ValueError: says which.
        """
        if self.timezone:
            zone(self.timezone)
        if self.format:
            try:
                told = datetime(2026, 11, 30, 13, 5, 9, tzinfo=UTC).strftime(self.format)
                back = datetime.strptime(told, self.format)  # noqa: DTZ007 - only the day is compared
            except (ValueError, re.error) as error:
                raise ValueError(f"time_format '{self.format}' cannot be read: {error}") from error
            if (back.year, back.month, back.day) != (2026, 11, 30):
                raise ValueError(f"time_format '{self.format}' gives no day: %Y, %m and %d are needed")


@lru_cache(maxsize=64)
def zone(name: str) -> tzinfo:
    """A zone by its name or offset.

    Raises:
        ValueError: it is not known.
    """
    if name.upper() in ("UTC", "Z"):
        return UTC
    if (found := _OFFSET.fullmatch(name)) is not None:
        minutes = int(found[2]) * 60 + int(found[3])
        if minutes < 24 * 60:
            return timezone(timedelta(minutes=minutes if found[1] == "+" else -minutes))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"timezone '{name}' is not known: a name such as Europe/Berlin, or an offset such as +01:00"
        ) from error


def size_unit(stamp: float) -> TimeUnit:
    """The unit of a number that is a time since 1970, by its size."""
    size = abs(stamp)
    if size < _MILLISECONDS_FROM:
        return "s"
    if size < _MICROSECONDS_FROM:
        return "ms"
    return "us" if size < _NANOSECONDS_FROM else "ns"


def number_ns(stamp: float, unit: TimeUnit) -> int | None:
    """Nanoseconds since 1970 of a number; integers are exact, fractions are rounded to a microsecond."""
    if isinstance(stamp, float) and not math.isfinite(stamp):
        return None
    unit = size_unit(stamp) if unit in ("auto", "rfc3339") else unit
    if isinstance(stamp, int):
        return min(max(stamp, -_FARTHEST_NS), _FARTHEST_NS) * UNITS_NS[unit]
    bounded = min(max(stamp, -1e21), 1e21)
    return round(bounded * (UNITS_NS[unit] / 1000)) * 1000


def text_ns(text: str, rule: TimeRule, *, near_ns: int) -> int | None:
    """Nanoseconds since 1970 of a text; None where it is no time, or lacks a zone that nobody said.

    Args:
        text: as it was sent.
        rule: of its source.
        near_ns: of the two times that an hour of autumn has, the nearer one to this is meant.
    """
    if rule.format:
        moment = _by_format(text, rule.format)
    else:
        short = text.strip()
        if len(short) > _LONGEST_CHARS:
            return None
        if _NUMBER.fullmatch(short):
            return number_ns(float(short) if "." in short else int(short), rule.unit)
        moment = _moment(short)
    return None if moment is None else moment_ns(moment, rule.timezone, near_ns=near_ns)


def moment_ns(moment: datetime, timezone_name: str, *, near_ns: int) -> int | None:
    """The same of a moment that may lack its zone."""
    try:
        if moment.tzinfo is not None:
            return _since(moment)
        if not timezone_name:
            return None
        local = moment.replace(tzinfo=zone(timezone_name))
        return min((_since(local.replace(fold=fold)) for fold in (0, 1)), key=lambda at: abs(at - near_ns))
    except OverflowError:
        return None


def lacks_zone(text: str) -> bool:
    """Whether a text is a time but for its zone."""
    short = text.strip()
    moment = _moment(short) if len(short) <= _LONGEST_CHARS else None
    return moment is not None and moment.tzinfo is None


def _since(moment: datetime) -> int:
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1) * 1000


def _by_format(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text.strip()[:200], form)  # noqa: DTZ007 - the zone is the rule's
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    if (found := _LOOSE_ISO.fullmatch(text)) is not None:
        year, month, day, *rest = found.groups()
    elif (found := _DAY_FIRST.fullmatch(text)) is not None:
        day, month, year, *rest = found.groups()
    else:
        return None
    hour, minute, second, fraction, offset = rest
    try:
        own = None if not offset else (UTC if offset.isalpha() else zone(offset))
        micro = int((fraction or "0")[:6].ljust(6, "0"))
        return datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            micro,
            tzinfo=own,
        )
    except ValueError:
        return None
