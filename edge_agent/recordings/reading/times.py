"""Times of a table: which column holds them, and what its cells mean, text or numbers. Reads no file.

Numbers count from 1970 in the unit that their size tells; days of a spreadsheet, Windows' file times and .NET's ticks
are known by theirs. Text of any form goes through `time_text`, in one go where it is plain ISO 8601.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.formats.mapping.times import UNITS_NS, TimeRule, size_unit
from edge_agent.recordings.reading import clock_parts, time_text
from edge_agent.recordings.reading.time_order import second_hour
from edge_agent.recordings.reading.time_text import NO_TIME, DayError, TimeError, day_order

TIMESTAMP = "timestamp"
_NAMES = (
    "timestamp", "time", "datetime", "date", "ts", "zeitstempel", "zeit", "datum", "uhrzeit", "datumuhrzeit",
    "datumzeit", "lastchanged", "lastupdated", "timestamputc", "timeutc", "dateutc", "datetimeutc", "tstamp",
    "sampletime", "eventtime", "timestring", "logtime", "measuredat", "recordedat", "createdat", "localtime",
    "moment", "horodatage", "fecha", "fechahora", "dataeora", "dataora", "tijd", "tidpunkt", "czas", "epoch",
    "unixtime", "timems", "timestampms", "timestampns", "timestampus", "epochms", "sourcetimestamp",
    "servertimestamp", "datetimestamp", "时间", "時間", "时间戳", "日期时间",
    "采集时间", "记录时间", "日時", "日期", "時刻", "일시", "시간", "날짜",
)  # fmt: skip
"""In lower case, without anything but letters and digits."""
_ELAPSED = ("elapsed", "elapsedtime", "seconds", "sekunden", "timestep", "relativetime", "laufzeit")
_SINCE_1970_S = 3.2e8
"""Ten years; what is longer counts from 1970."""
_DATES, _HOURS = (
    ("date", "datum", "day", "fecha", "tag", "日期", "날짜"),
    ("time", "zeit", "uhrzeit", "hour", "hora", "heure", "时间", "時間", "時刻", "시간"),
)
_HOUR = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s*[AaPp]\.?[Mm]\.?)?", re.ASCII)
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?(?:[eE]\+?\d{1,2})?", re.ASCII)
_PLAIN_ISO = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?", re.ASCII)
_LOOKED_AT = 50
_BAD_SHARE = 0.05
_FEW = 3
"""So many rows without a time are no reason to doubt the column, however short the table."""
_SERIAL_FROM, _SERIAL_TO = 29_221.0, 73_050.0
"""1980 to 2100 in days since the end of 1899, as spreadsheets count."""
_SERIAL_1970 = 25_569
_DAY_NS, _SECOND_NS, _MILLISECOND_NS = 86_400_000_000_000, 1_000_000_000, 1_000_000
_EPOCHS = {  # (from, to) of years 2000 to 2040, and the same moment's value in 1970, of 100 ns ticks
    "Windows file times": (125_911_584_000_000_000, 138_535_000_000_000_000, 116_444_736_000_000_000),
    ".NET ticks": (630_822_816_000_000_000, 643_450_000_000_000_000, 621_355_968_000_000_000),
}


def plain_name(name: str) -> str:
    """A column's name in lower case, of letters and digits, without what stands in brackets."""
    short = re.sub(r"[(\[{].*?[)\]}]", "", name)
    return re.sub(r"[\W_]", "", short if re.search(r"\w", short) else name).lower()


def is_time_name(name: str) -> bool:
    """Whether a column is called as columns of times are."""
    return plain_name(name) in _NAMES


def time_column(columns: Mapping[str, Any], *, rule: TimeRule) -> tuple[str, Any, tuple[str, ...]]:
    """(its name, its cells, the columns that it is made of) of the column of times; "" where there is none.

    Args:
        columns: lists of text, or arrays of numbers or times.
        rule: how times are written.
    """
    by_name = {plain_name(name): name for name in reversed(list(columns))}
    if (found := _in_parts(columns, by_name, rule)) is not None:
        return found
    for name in (by_name[name] for name in _NAMES if name in by_name):
        if (told := _digits(columns[name], rule)) is not None:
            return name, told, (name,)
        if _is_numbers(columns[name]) or _are_times(columns[name], rule):
            return name, columns[name], (name,)
    if TIMESTAMP in columns:
        return TIMESTAMP, columns[TIMESTAMP], (TIMESTAMP,)
    for name, cells in columns.items():
        if not _is_numbers(cells) and _are_times(cells, rule):
            return name, cells, (name,)
    first = next(iter(columns), "")
    cells = _first_numbers(first, columns[first], rule) if first else None
    return ("", [], ()) if cells is None else (first, cells, (first,))


def _first_numbers(name: str, cells: Any, rule: TimeRule) -> Any:
    """The cells of a first column of numbers that are times, whatever it is called; None where they are none."""
    if not _is_numbers(cells):
        return None
    if (told := _digits(cells, rule)) is not None and len(set(told)) > 1:
        return told
    return cells if _counts_from_1970(cells) or (_is_elapsed(name) and _rises(cells)) else None


def _digits(cells: Any, rule: TimeRule) -> list[str] | None:
    return None if rule.format else clock_parts.digits(cells)


def _in_parts(
    columns: Mapping[str, Any], by_name: Mapping[str, str], rule: TimeRule
) -> tuple[str, list[str], tuple[str, ...]] | None:
    """The same of times that stand in several columns; None where there are none."""
    if not rule.format and (found := clock_parts.parts(columns, by_name)) is not None:
        return found
    date = next((by_name[name] for name in _DATES if name in by_name), "")
    hour = next((by_name[name] for name in _HOURS if name in by_name), "")
    if not date or not hour or date == hour:
        return None
    if _all_match(columns[hour], _HOUR):
        joined = [f"{day} {moment}" for day, moment in zip(_days(columns[date]), columns[hour], strict=True)]
        return f"{date} {hour}", joined, (date, hour)
    told = None if rule.format else clock_parts.day_and_hour(columns[date], columns[hour])
    return None if told is None else (f"{date} {hour}", told, (date, hour))


def _is_elapsed(name: str) -> bool:
    """Whether a column is called as time since a beginning is: `t [s]`, `elapsed`, `Sekunden`."""
    return plain_name(name) in _ELAPSED or (plain_name(name) in ("t", "x") and time_text.unit_in(name) > 0)


def _rises(cells: Any) -> bool:
    values = np.array([_float(cell) for cell in _told(cells)]) if not isinstance(cells, np.ndarray) else cells
    return len(values) > 1 and bool((np.diff(values.astype(np.float64)) > 0).all())


def elapsed_times(cells: Any, *, unit_s: float) -> NDArray[np.int64] | None:
    """[R] nanoseconds of numbers that count so many seconds each from a beginning; None where they are no such numbers.

    Text with a time in it is none, nor is what counts from 1970.
    """
    if not _is_numbers(cells):
        return None
    values = cells.astype(np.float64) if isinstance(cells, np.ndarray) else np.array([*map(_float, cells)])
    known = np.isfinite(values)
    if not known.any() or float(np.abs(values[known]).max()) * unit_s >= _SINCE_1970_S:
        return None
    found = np.full(len(values), NO_TIME, np.int64)
    found[known] = np.rint(values[known] * (unit_s * 1e9)).astype(np.int64)
    return found


def _days(cells: Sequence[str]) -> list[str]:
    """Days without the midnight that spreadsheets write behind them."""
    return [re.sub(r"[ T]0{1,2}:00(?::00(?:\.0+)?)?$", "", cell) for cell in cells]


def _told(cells: Sequence[str]) -> list[str]:
    return [cell for cell in cells[: 2 * _LOOKED_AT] if cell][:_LOOKED_AT]


def _all_match(cells: Any, form: re.Pattern[str]) -> bool:
    told = [] if isinstance(cells, np.ndarray) else _told(cells)
    return bool(told) and all(form.fullmatch(cell) for cell in told)


def _is_numbers(cells: Any) -> bool:
    if isinstance(cells, np.ndarray):
        return bool(np.issubdtype(cells.dtype, np.number))
    return _all_match(cells, _NUMBER)


def _counts_from_1970(cells: Any) -> bool:
    """Whether numbers do not fall and lie in the years 2000 to 2100, in some unit."""
    told = np.array([_float(cell) for cell in _told(cells)]) if not isinstance(cells, np.ndarray) else cells
    values = told.astype(np.float64)
    if len(values) < 2 or not np.isfinite(values).all() or (np.diff(values) < 0).any():
        return False
    scale = UNITS_NS[size_unit(float(values.max()))]
    seconds = values * (scale / 1e9)
    return bool(values.max() >= 1e9 and seconds.min() >= 946_684_800 and seconds.max() < 4_102_444_800)


def _are_times(cells: Any, rule: TimeRule) -> bool:
    if isinstance(cells, np.ndarray):
        return bool(np.issubdtype(cells.dtype, np.datetime64))
    told = _told(cells)
    if _all_match(cells, _HOUR):
        return True
    try:
        found, _ = text_times(told, rule)
    except DayError:
        return True
    except TimeError:
        return False
    return bool(told) and bool(np.mean(found != NO_TIME) >= 1 - _BAD_SHARE)


def text_times(cells: Sequence[str], rule: TimeRule) -> tuple[NDArray[np.int64], list[str]]:
    """([R] nanoseconds since 1970 of text, notes); a cell that is no time is the least integer.

    Raises:
        TimeError: too many cells are no times, or day and month cannot be told apart.
    """
    notes: list[str] = []
    told = [cell for cell in cells if cell]
    if told and not rule.format and all(_NUMBER.fullmatch(cell) for cell in told[:_LOOKED_AT]):
        integers = _integers(cells)
        numbers = np.array([_float(cell) for cell in cells]) if integers is None else integers
        return number_times(numbers, rule)
    if _all_match(cells, _HOUR) and not rule.format:
        return _hours_alone(cells)
    found = _all_at_once(cells, rule)
    naive = found is not None and not (told and told[0].endswith("Z"))
    if found is None:
        found, naive = _one_by_one(cells, rule, notes)
    bad = np.flatnonzero(found == NO_TIME)
    if len(bad) > max(_BAD_SHARE * len(cells), min(_FEW, len(cells) // 4)):
        row = int(bad[0])
        raise TimeError(
            f"row {row + 1}: {cells[row]!r} is no time (ISO 8601, dd.mm.yyyy or a number since 1970)"
        )
    if naive and not rule.timezone:
        notes.append("times without a zone taken as UTC (--timezone)")
        known = found != NO_TIME
        moved, said = second_hour(found[known])
        found[known] = moved
        notes += said
    return found, notes


def _all_at_once(cells: Sequence[str], rule: TimeRule) -> NDArray[np.int64] | None:
    """Plain ISO 8601 in UTC as numpy reads it, twenty times as fast; None for anything else."""
    if rule.format or rule.timezone not in ("", "UTC"):
        return None
    told = _told(cells)
    mark = "Z" if told and told[0].endswith("Z") else ""
    if not told or not all(_PLAIN_ISO.fullmatch(cell.removesuffix(mark)) for cell in told):
        return None
    if not all(cell.endswith(mark) and (mark or not cell.endswith("Z")) for cell in cells if cell):
        return None
    try:
        found = np.array([cell[: len(cell) - len(mark)] or "NaT" for cell in cells], "datetime64[ns]")
    except ValueError:
        return None
    return found.astype(np.int64)  # NaT is the least integer


def _one_by_one(cells: Sequence[str], rule: TimeRule, notes: list[str]) -> tuple[NDArray[np.int64], bool]:
    """(times, whether any said no zone)."""
    order = time_text.DayOrder() if rule.format else day_order(cells)
    if order.why:
        notes.append(f"dates with {order.why}")
    assumed = rule if rule.timezone else replace(rule, timezone="UTC")
    found = np.empty(len(cells), np.int64)
    naive, near_ns = False, 0
    for at, cell in enumerate(cells):
        time_ns, bare = time_text.cell_ns(cell, assumed, order, near_ns=near_ns) if cell else (None, False)
        naive |= bare and time_ns is not None
        found[at] = NO_TIME if time_ns is None or abs(time_ns) >= 2**63 else time_ns
        near_ns = near_ns if time_ns is None else time_ns
    return found, naive


def _hours_alone(cells: Sequence[str]) -> tuple[NDArray[np.int64], list[str]]:
    """Times of a day without the day: counted from 1970, a day on where they begin anew."""
    found = np.full(len(cells), NO_TIME, np.int64)
    day, before = 0, -1
    for at, cell in enumerate(cells):
        if (
            known := time_text.cell_ns(
                f"1970-01-01 {cell}", TimeRule(timezone="UTC"), time_text.DayOrder(), near_ns=0
            )[0]
        ) is None:
            continue
        day += before - known > _DAY_NS // 2
        before = known
        found[at] = day * _DAY_NS + known
    return found, ["times without a day: counted on from 1970-01-01"]


def _float(cell: str) -> float:
    try:
        return float(cell.replace(",", "."))
    except ValueError:
        return float("nan")


def _integers(cells: Sequence[str]) -> NDArray[np.int64] | None:
    """Whole numbers as they are: a float has no nanoseconds of today."""
    try:
        return np.array(cells).astype(np.int64)
    except (ValueError, OverflowError):
        return None


def number_times(numbers: NDArray[Any], rule: TimeRule) -> tuple[NDArray[np.int64], list[str]]:
    """([R] nanoseconds of numbers in the rule's unit or in the one that their size tells, notes).

    Raises:
        TimeError: too many are no numbers.
    """
    values = numbers.astype(np.float64)
    known = np.isfinite(values)
    if (~known).sum() > max(_BAD_SHARE * len(values), min(_FEW, len(values) // 4)) or not known.any():
        raise TimeError("column of times has empty cells")
    automatic = rule.unit in ("auto", "rfc3339")
    found = np.full(len(values), NO_TIME, np.int64)
    if automatic and _are_serials(values[known]):
        milliseconds = np.rint((values[known] - _SERIAL_1970) * (_DAY_NS / _MILLISECOND_NS))
        found[known] = milliseconds.astype(np.int64) * _MILLISECOND_NS
        return found, ["times are days of a spreadsheet, taken as UTC"]
    for name, (first, last, zero) in _EPOCHS.items() if automatic else ():
        if bool((values[known] > first).all() and (values[known] < last).all()):
            whole = numbers if np.issubdtype(numbers.dtype, np.integer) else np.rint(numbers)
            found[known] = (whole[known].astype(np.int64) - zero) * 100
            return found, [f"times are {name}"]
    unit = size_unit(float(np.abs(values[known]).max())) if automatic else rule.unit
    scale = UNITS_NS[unit]
    if np.issubdtype(numbers.dtype, np.integer):
        return numbers.astype(np.int64) * scale, []
    bounded = np.clip(values[known], -9e18 / scale, 9e18 / scale)
    found[known] = np.rint(bounded * (scale / 1000)).astype(np.int64) * 1000
    return found, []


def _are_serials(values: NDArray[np.float64]) -> bool:
    """Whether numbers are days of a spreadsheet: of this century's size, several a day, not whole."""
    if not bool((values >= _SERIAL_FROM).all() and (values < _SERIAL_TO).all()) or len(values) < 2:
        return False
    return bool(np.median(np.abs(np.diff(values))) < 1) and bool((values != np.round(values)).any())


def any_times(column: Any, rule: TimeRule) -> tuple[NDArray[np.int64], list[str]]:
    """Times of a column of Parquet or text: a type of time, numbers or text.

    Raises:
        TimeError: they cannot be read.
    """
    if not isinstance(column, np.ndarray):
        return text_times(column, rule)
    if np.issubdtype(column.dtype, np.datetime64):
        _refuse_gaps(np.isnat(column))
        return column.astype("datetime64[ns]").astype(np.int64), []
    if np.issubdtype(column.dtype, np.number):
        _refuse_gaps(~np.isfinite(column.astype(np.float64)))
        return number_times(column, rule)
    return text_times([str(cell) for cell in column], rule)


def _refuse_gaps(lacking: NDArray[np.bool_]) -> None:
    if lacking.sum() > max(_BAD_SHARE * len(lacking), min(_FEW, len(lacking) // 4)):
        raise TimeError("column timestamp has empty cells")


def paired(columns: Mapping[str, Any], *, rule: TimeRule) -> dict[str, list[str]]:
    """Column of times -> the columns of values behind it, where a table has several such; empty where it has one.

    Some historians export each tag with its own times beside it. The first column is one of times then, and none stands
    beside another or at the end.
    """
    if len(columns) < 4 or any(isinstance(cells, np.ndarray) for cells in columns.values()):
        return {}
    found: dict[str, list[str]] = {}
    for name, cells in columns.items():
        if _HOUR.fullmatch(next(iter(_told(cells)), "")):
            return {}  # an hour without its day
        named = plain_name(name) in _NAMES and _is_numbers(cells) and _counts_from_1970(cells)
        if (named or not _is_numbers(cells)) and _are_times(cells, rule):
            found[name] = []
        elif not found:
            return {}
        else:
            found[next(reversed(found))].append(name)
    return found if len(found) > 1 and all(found.values()) else {}
