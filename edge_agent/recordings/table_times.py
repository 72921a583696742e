"""Times of a table: which column holds them, what they mean, and rows that rise. Reads no file.

Times stay as they are: a weekend's gap and a night's second hour are kept. Rows that share a stamp are spread over the
time to the next one, rows out of order are brought into theirs; both are said.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.formats.mapping.times import UNITS_NS, TimeRule, moment_ns, size_unit, text_ns

TIMESTAMP = "timestamp"
_NAMES = (
    "timestamp", "time", "datetime", "date", "ts", "zeitstempel", "zeit", "datum", "uhrzeit", "date_time",
    "date/time", "last_changed", "last_updated", "_time", "timestamp_utc", "time_utc", "t_stamp", "sampletime",
    "eventtime", "moment", "horodatage", "fecha", "data e ora",
)  # fmt: skip
_DATES, _HOURS = ("date", "datum", "day"), ("time", "zeit", "uhrzeit", "hour")
_HOUR = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?", re.ASCII)
_SLASHES = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})[ T](.*)", re.ASCII)
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?", re.ASCII)
_LOOKED_AT = 50
_BAD_SHARE = 0.05
_NO_TIME = np.iinfo(np.int64).min
_SECOND_NS = 1_000_000_000


class TimeError(ValueError):
    """What cannot be read as times, in words."""


class DayError(TimeError):
    """Times of which nobody can tell day and month apart."""


def time_column(
    columns: Mapping[str, Sequence[str]], *, rule: TimeRule
) -> tuple[str, list[str], tuple[str, ...]]:
    """(its name, its cells, the columns that it is made of) of the column of times; "" where there is none."""
    by_name = {name.strip().lower(): name for name in reversed(list(columns))}
    date = next((by_name[name] for name in _DATES if name in by_name), "")
    hour = next((by_name[name] for name in _HOURS if name in by_name), "")
    if date and hour and date != hour and _all_match(columns[hour], _HOUR):
        joined = [f"{day} {moment}" for day, moment in zip(columns[date], columns[hour], strict=True)]
        return f"{date} {hour}", joined, (date, hour)
    for name in (by_name[name] for name in _NAMES if name in by_name):
        if _all_match(columns[name], _NUMBER) or _are_times(columns[name], rule):
            return name, list(columns[name]), (name,)
    if TIMESTAMP in columns:
        return TIMESTAMP, list(columns[TIMESTAMP]), (TIMESTAMP,)
    for name, cells in columns.items():
        if not _all_match(cells, _NUMBER) and _are_times(cells, rule):
            return name, list(cells), (name,)
    return "", [], ()


def _told(cells: Sequence[str]) -> list[str]:
    return [cell for cell in cells[: 2 * _LOOKED_AT] if cell][:_LOOKED_AT]


def _all_match(cells: Sequence[str], form: re.Pattern[str]) -> bool:
    told = _told(cells)
    return bool(told) and all(form.fullmatch(cell) for cell in told)


def _are_times(cells: Sequence[str], rule: TimeRule) -> bool:
    told = _told(cells)
    try:
        found, _ = text_times(told, rule)
    except DayError:
        return True
    except TimeError:
        return False
    return bool(told) and bool(np.all(found != _NO_TIME))


def text_times(cells: Sequence[str], rule: TimeRule) -> tuple[NDArray[np.int64], list[str]]:
    """([R] nanoseconds since 1970 of text, notes); a cell that is no time is the least integer.

    Raises:
        TimeError: too many cells are no times, or day and month cannot be told apart.
    """
    notes: list[str] = []
    told = [cell for cell in cells if cell]
    if told and not rule.format and all(_NUMBER.fullmatch(cell) for cell in told[:_LOOKED_AT]):
        numbers = [_float(cell) for cell in cells]
        return number_times(np.array(numbers), rule), notes
    cells = _slashes(cells, rule)
    assumed = rule if rule.timezone else TimeRule(rule.unit, "UTC", rule.format)
    found = np.empty(len(cells), np.int64)
    naive, near_ns = False, 0
    for at, cell in enumerate(cells):
        time_ns, bare = _one(cell, assumed, near_ns)
        naive |= bare
        found[at] = _NO_TIME if time_ns is None else time_ns
        near_ns = near_ns if time_ns is None else time_ns
    if naive and not rule.timezone:
        notes.append("times without a zone taken as UTC (--timezone)")
    bad = np.flatnonzero(found == _NO_TIME)
    if len(bad) > _BAD_SHARE * len(cells):
        row = int(bad[0])
        raise TimeError(
            f"row {row + 1}: {cells[row]!r} is no time (ISO 8601, dd.mm.yyyy or a number since 1970)"
        )
    return found, notes


def _one(cell: str, rule: TimeRule, near_ns: int) -> tuple[int | None, bool]:
    """(the time of a cell, whether it says no zone)."""
    if not rule.format:
        try:
            moment = datetime.fromisoformat(cell)
        except ValueError:
            pass
        else:
            return moment_ns(moment, rule.timezone, near_ns=near_ns), moment.tzinfo is None
    return text_ns(cell, rule, near_ns=near_ns), True


def _slashes(cells: Sequence[str], rule: TimeRule) -> Sequence[str]:
    """Dates with slashes with the year first, where the days tell which of the two others is the day.

    Raises:
        DayError: no day is above 12.
    """
    if rule.format:
        return cells
    found = [_SLASHES.fullmatch(cell) for cell in cells]
    pairs = [(int(one[1]), int(one[2])) for one in found if one is not None]
    if not pairs:
        return cells
    day_first, month_first = any(a > 12 for a, _ in pairs), any(b > 12 for _, b in pairs)
    if day_first == month_first:
        first = next(one for one in found if one is not None)
        raise DayError(f"{first[0]!r}: which is the day? give --time-format, such as '%d/%m/%Y %H:%M:%S'")
    return [
        cell
        if one is None
        else f"{one[3]}-{one[2 if day_first else 1]:0>2}-{one[1 if day_first else 2]:0>2} {one[4]}"
        for cell, one in zip(cells, found, strict=True)
    ]


def _float(cell: str) -> float:
    try:
        return float(cell.replace(",", "."))
    except ValueError:
        return float("nan")


def number_times(numbers: NDArray[np.generic], rule: TimeRule) -> NDArray[np.int64]:
    """[R] nanoseconds of numbers, in the rule's unit or in the one that the largest tells.

    Raises:
        TimeError: too many are no numbers.
    """
    values = numbers.astype(np.float64)
    known = np.isfinite(values)
    if (~known).sum() > _BAD_SHARE * len(values) or not known.any():
        raise TimeError("column of times has empty cells")
    unit = size_unit(float(np.abs(values[known]).max())) if rule.unit in ("auto", "rfc3339") else rule.unit
    found = np.full(len(values), _NO_TIME, np.int64)
    scale = UNITS_NS[unit]
    if np.issubdtype(numbers.dtype, np.integer):
        return numbers.astype(np.int64) * scale
    bounded = np.clip(values[known], -9e18 / scale, 9e18 / scale)
    found[known] = np.rint(bounded * (scale / 1000)).astype(np.int64) * 1000
    return found


def rising(times_ns: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[str]]:
    """([R] times in order, of which each is later than the one before, what was done).

    Rows of one stamp are spread evenly over the time to the next stamp, at most over an ordinary step.
    """
    steps = np.diff(times_ns)
    if not len(steps) or bool(np.all(steps > 0)):
        return times_ns, []
    ordered = np.maximum.accumulate(times_ns)
    stamps, first, counts = np.unique(ordered, return_index=True, return_counts=True)
    later = np.diff(stamps)
    step = int(np.sort(later)[(len(later) - 1) // 2]) if len(later) else _SECOND_NS
    room = np.minimum(np.append(later, step), step)
    place = np.arange(len(ordered)) - np.repeat(first, counts)
    spread = ordered + place * np.repeat(room, counts) // np.repeat(counts, counts)
    spread = np.maximum(spread, ordered + place)  # where there are more rows than nanoseconds
    repeated = int((counts - 1).sum())
    return spread, [f"{repeated} rows with the time of the row before spread up to the next time"]


def order_of(times_ns: NDArray[np.int64]) -> tuple[NDArray[np.intp] | None, list[str]]:
    """(the order in which times do not fall, None where they are in it; what was done)."""
    falls = int((np.diff(times_ns) < 0).sum())
    if not falls:
        return None, []
    if falls == len(times_ns) - 1:
        return np.arange(len(times_ns))[::-1], ["newest first: turned round"]
    return np.argsort(times_ns, kind="stable"), [f"{falls} rows out of order brought into theirs"]


def missing(times_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[R] which rows have no time."""
    found: NDArray[np.bool_] = times_ns == _NO_TIME
    return found


def any_times(column: Any, rule: TimeRule) -> tuple[NDArray[np.int64], list[str]]:
    """Times of a column of Parquet or CSV: a type of time, numbers or text.

    Raises:
        TimeError: they cannot be read.
    """
    if not isinstance(column, np.ndarray):
        return text_times(list(column), rule)
    if np.issubdtype(column.dtype, np.datetime64):
        if np.isnat(column).any():
            raise TimeError("column timestamp has empty cells")
        return column.astype("datetime64[ns]").astype(np.int64), []
    if np.issubdtype(column.dtype, np.number):
        if not np.isfinite(column.astype(np.float64)).all():
            raise TimeError("column timestamp has empty cells")
        return number_times(column, rule), []
    return text_times([str(cell) for cell in column], rule)
