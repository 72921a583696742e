"""Times that are text in the forms of exports: dots, slashes, month names, AM and PM, zones by name. Reads no file.

Which of two numbers is the day is told by the days above 12, else by the order in which the dates follow each other,
else by AM and PM; where nothing tells, that is an error and no guess.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise

from edge_agent.formats.mapping.times import TimeRule, moment_ns, text_ns

NO_TIME = -(2**63)
"""What stands for a row without a time."""
_NUMERIC = re.compile(r"(\d{1,2})([/.\-])\s?(\d{1,2})\2\s?(\d{4}|\d{2})(?:[ T,]+(\S.*))?")
_DAY_NAMED = re.compile(
    r"(?:[^\W\d]{2,9}\.?,?\s+)?(\d{1,2})(?:[-. /]|\s)*([^\W\d_]{3,9})\.?[-,. /]+(\d{4}|\d{2})(?:[ T,:]+(\S.*))?"
)
_MONTH_NAMED = re.compile(
    r"(?:[^\W\d]{3,9},?\s+)?([^\W\d_]{3,9})\.?\s+(\d{1,2}),?\s+(\d{4})(?:[ ,]+(?:at\s+)?(\S.*))?"
)
_CTIME = re.compile(r"[^\W\d]{3}\s+([^\W\d]{3})\s+(\d{1,2})\s+(\d{1,2}:\d{2}:\d{2}(?:\.\d+)?)\s+(\d{4})")
_EAST_ASIAN = re.compile(
    r"(\d{4})\s*[年년./-]\s*(\d{1,2})\s*[月월./-]\s*(\d{1,2})\s*[日일]?\s*(上午|下午|午前|午後|오전|오후)?\s*"
    r"(?:(\d{1,2})\s*[:时時点시]\s*(\d{1,2})\s*[:分분]?\s*(?:(\d{1,2})(?:[.,](\d{1,6}))?\s*[秒초]?)?)?"
)
_AFTERNOON = ("下午", "午後", "오후")
_PLC = re.compile(
    r"(?:DTL|DT|LDT|DATE_AND_TIME|D)#(\d{4}-\d{2}-\d{2})-(\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?)\d*", re.ASCII
)
"""A literal of IEC 61131-3."""
_HOUR = re.compile(
    r"(\d{1,2})[:.](\d{2})(?:[:.](\d{2})(?:[.,:](\d{1,9}))?)?\s*([AaPp])?(?:\.?[Mm]\.?)?\s*(.*)", re.ASCII
)
_ZONE_NAME = re.compile(r"(.*?[\dMm.])\s*(?:\(?([A-Z]{3,4})\)?|\[[\w/+-]+\])", re.ASCII)
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?", re.ASCII)
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d{2})?", re.ASCII)
_ZONES_H = {
    "UTC": 0, "GMT": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "MEZ": 1, "CEST": 2, "MESZ": 2, "EET": 2, "EEST": 3,
    "EST": -5, "EDT": -4, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "JST": 9, "KST": 9,
}  # fmt: skip
"""Hours before UTC of names that mean one zone alone; others must be given as an offset."""
_MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan ene gen janv", "feb fév fev févr", "mar mär mrz mars mrt maa", "apr avr abr", "may mai mag maj mei",
         "jun giu juin juni", "jul lug juil juli", "aug ago aoû août", "sep set sept", "oct okt ott",
         "nov", "dec dez déc dic"),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_CENTURY = 2000


class TimeError(ValueError):
    """What cannot be read as times, in words."""


class DayError(TimeError):
    """Times of which nobody can tell day and month apart."""


@dataclass(frozen=True, slots=True)
class DayOrder:
    """Which number of a numeric date comes first, and why that is so, "" where the days tell it."""

    day_first: bool = True
    why: str = ""


def day_order(cells: Sequence[str]) -> DayOrder:
    """How dates with slashes or dashes are to be read; dots have the day first.

    Raises:
        DayError: nothing tells.
    """
    found = [one for one in map(_NUMERIC.fullmatch, cells) if one is not None and one[2] != "."]
    if not found:
        return DayOrder()
    pairs = [(int(one[1]), int(one[3]), _year(one[4])) for one in found]
    day_first, month_first = any(a > 12 for a, _, _ in pairs), any(b > 12 for _, b, _ in pairs)
    if day_first != month_first:
        return DayOrder(day_first)
    if not day_first and (steps := _steps(pairs)) is not None:
        by_day, by_month = steps
        if by_day * 2 <= by_month:
            return DayOrder(day_first=True, why="the day before the month, as the dates follow each other")
        if by_month * 2 <= by_day:
            return DayOrder(day_first=False, why="the month before the day, as the dates follow each other")
    if not day_first and any(re.search(r"\d\s*[AaPp]\.?[Mm]", one[5] or "") for one in found):
        return DayOrder(day_first=False, why="the month before the day, as AM and PM go (--time-format)")
    raise DayError(f"{found[0][0]!r}: which is the day? give --time-format, such as '%d/%m/%Y %H:%M:%S'")


def _steps(pairs: Sequence[tuple[int, int, int]]) -> tuple[int, int] | None:
    """The longest step between neighbouring dates in days, (day first, month first); None where none is a date."""
    try:
        by_day = [date(year, b, a).toordinal() for a, b, year in pairs]
        by_month = [date(year, a, b).toordinal() for a, b, year in pairs]
    except ValueError:
        return None
    longest = [max((abs(b - a) for a, b in pairwise(days)), default=0) for days in (by_day, by_month)]
    return (longest[0], longest[1]) if max(longest) else None


def cell_ns(cell: str, rule: TimeRule, order: DayOrder, *, near_ns: int) -> tuple[int | None, bool]:
    """(nanoseconds since 1970, whether the cell says no zone); None where it is no time."""
    if rule.format:
        return text_ns(cell, rule, near_ns=near_ns), True
    moment = _iso(cell) or _moment(cell, order)
    if moment is None and (found := _ZONE_NAME.fullmatch(cell)) is not None:
        moment = _iso(found[1]) or _moment(found[1], order)
        if moment is not None and moment.tzinfo is None and found[2] in _ZONES_H:
            moment = moment.replace(tzinfo=timezone(timedelta(hours=_ZONES_H[found[2]])))
        elif moment is not None and moment.tzinfo is None:
            return None, True
    if moment is None:
        if _NUMBER.fullmatch(cell):  # among times that are text it counts something else
            return None, True
        return text_ns(cell, rule, near_ns=near_ns), True
    return moment_ns(moment, rule.timezone, near_ns=near_ns), moment.tzinfo is None


def _iso(cell: str) -> datetime | None:
    if cell[:1] == "D" and (found := _PLC.fullmatch(cell)) is not None:
        cell = f"{found[1]}T{found[2]}"
    try:
        return datetime.fromisoformat(cell)
    except ValueError:
        return None


def _moment(cell: str, order: DayOrder) -> datetime | None:
    """The moment that a cell tells in one of the forms of exports."""
    if (found := _NUMERIC.fullmatch(cell)) is not None:
        first, mark, second, year, rest = found.groups()
        day_first = mark == "." or order.day_first
        day, month = (first, second) if day_first else (second, first)
        return _joined(_year(year), int(month), int(day), rest)
    if (found := _CTIME.fullmatch(cell)) is not None:
        return _joined(int(found[4]), _month(found[1]), int(found[2]), found[3])
    if (found := _DAY_NAMED.fullmatch(cell)) is not None:
        return _joined(_year(found[3]), _month(found[2]), int(found[1]), found[4])
    if (found := _MONTH_NAMED.fullmatch(cell)) is not None:
        return _joined(int(found[3]), _month(found[1]), int(found[2]), found[4])
    if not cell.isascii() and (found := _EAST_ASIAN.fullmatch(cell)) is not None:
        return _east_asian(found)
    return None


def _east_asian(found: re.Match[str]) -> datetime | None:
    """2026年3月2日 下午3:04:05 and its like; None where that is no time."""
    hour, minute, second = (int(found[at] or 0) for at in (5, 6, 7))
    if found[4]:
        if hour > 12:
            return None
        hour = hour % 12 + (12 if found[4] in _AFTERNOON else 0)
    try:
        return datetime(  # noqa: DTZ001 - the zone is the reader's to say
            int(found[1]),
            int(found[2]),
            int(found[3]),
            hour,
            minute,
            second,
            int((found[8] or "0").ljust(6, "0")),
        )
    except ValueError:
        return None


def _year(text: str) -> int:
    return int(text) if len(text) == 4 else _CENTURY + int(text)


def _month(name: str) -> int:
    short = name.lower()
    return _MONTHS.get(short) or _MONTHS.get(short[:4]) or _MONTHS.get(short[:3], 0)


def _joined(year: int, month: int, day: int, rest: str | None) -> datetime | None:
    """Day and hour together; None where they are none."""
    hour = minute = second = micro = 0
    zone: timezone | None = None
    if rest:
        found = _HOUR.fullmatch(rest)
        if found is None:
            return None
        hour, minute, second = int(found[1]), int(found[2]), int(found[3] or 0)
        micro = int((found[4] or "0")[:6].ljust(6, "0"))
        if found[5]:
            if not 1 <= hour <= 12:
                return None
            hour = hour % 12 + (12 if found[5] in "Pp" else 0)
        if found[6]:
            zone = _zone(found[6].strip(" ()"))
            if zone is None:
                return None
    try:
        return datetime(year, month, day, hour, minute, second, micro, tzinfo=zone)
    except ValueError:
        return None


def _zone(text: str) -> timezone | None:
    if text in ("Z", "z"):
        return UTC
    if text in _ZONES_H:
        return timezone(timedelta(hours=_ZONES_H[text]))
    found = _OFFSET.fullmatch(text)
    if found is None or int(found[2]) > 14:
        return None
    minutes = int(found[2]) * 60 + int(found[3] or 0)
    return timezone(timedelta(minutes=minutes if found[1] == "+" else -minutes))


def zone_in(name: str) -> str:
    """The zone that a column's name tells, as `TimeRule` takes it; "" where it tells none."""
    found = re.search(r"[(\[]\s*(?:in\s+)?([^)\]]+?)\s*[)\]]", name)
    told = found[1] if found is not None else ""
    if not told and (
        behind := re.search(r"(?:^|[\W_])(?:UTC|GMT)([+-]\d{1,2}(?::?\d{2})?)?$", name, re.IGNORECASE)
    ):
        told = behind[1] or "UTC"
    if (zone := _zone(told)) is not None:
        minutes = round((zone.utcoffset(None) or timedelta()).total_seconds() / 60)
        sign = "-" if minutes < 0 else "+"
        return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    if re.fullmatch(r"[A-Z][A-Za-z_]+/[A-Za-z_/+-]+", told):
        try:
            TimeRule(timezone=told)
        except ValueError:
            return ""
        return told
    return ""


_UNITS_S = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "msec": 1e-3, "s": 1.0, "sec": 1.0, "seconds": 1.0,
    "sek": 1.0, "min": 60.0, "minutes": 60.0, "h": 3600.0, "hours": 3600.0, "std": 3600.0,
}  # fmt: skip


def unit_in(name: str) -> float:
    """Seconds of the unit that a column's name tells in brackets or behind a line (`t [ms]`, `time_ms`); 0: none."""
    found = re.search(r"[(\[]\s*(?:in\s+)?([^)\]]+?)\s*[)\]]\s*$|_([a-z]+)$", name.strip(), re.IGNORECASE)
    return _UNITS_S.get((found[1] or found[2]).lower(), 0.0) if found is not None else 0.0
