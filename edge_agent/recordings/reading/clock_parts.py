"""Times as digits or in parts, as PLC loggers write them: `20260302060000`, `20260302;60000`. Reads no file."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

_PARTS = {
    "year": ("year", "jahr", "yyyy", "yy", "anno", "année", "año"),
    "month": ("month", "monat", "mm", "mon", "mese", "mois", "mes"),
    "day": ("day", "tag", "dd", "giorno", "jour", "dia", "día"),
    "hour": ("hour", "hours", "stunde", "hh", "std", "ora", "heure", "hora"),
    "minute": ("minute", "minutes", "min", "mi", "minuto"),
    "second": ("second", "seconds", "sekunde", "sec", "sek", "ss", "secondo", "seconde", "segundo"),
}
_NEEDED = ("year", "month", "day", "hour", "minute")
_DIGITS = re.compile(r"(\d{4})(\d{2})(\d{2})[T_ -]?(\d{2})(\d{2})(\d{2})?(\d{3})?", re.ASCII)
_DAY = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)
_HOUR = re.compile(r"\d{1,6}", re.ASCII)
_YEARS = range(1990, 2100)


def digits(cells: Any) -> list[str] | None:
    """Times written as digits alone (year to minute, second or millisecond) as ISO 8601; None for anything else."""
    return _each(cells, _of_digits)


def day_and_hour(days: Any, hours: Any) -> list[str] | None:
    """A column of days and one of hours, both as digits, as ISO 8601; None where they are none."""
    first = _each(days, _of_day)
    if first is None or not isinstance(hours, list) or not all(_HOUR.fullmatch(one) for one in hours if one):
        return None
    width = 4 if max(map(len, hours), default=0) <= 4 and len(set(hours)) > 1 else 6
    told = []
    for day, hour in zip(first, hours, strict=True):
        text = hour.zfill(width)
        told.append(
            f"{day}T{':'.join(text[at : at + 2] for at in range(0, width, 2))}" if day and hour else ""
        )
    return told if _each(told, lambda cell: cell if _valid(cell) else "") else None


def parts(
    columns: Mapping[str, Any], plain: Mapping[str, str]
) -> tuple[str, list[str], tuple[str, ...]] | None:
    """(name, cells, columns) of times that stand a column a unit; None where there are none.

    Args:
        columns: the table's.
        plain: their names by what these are in lower case.
    """
    used = {
        part: plain[next(word for word in words if word in plain)]
        for part, words in _PARTS.items()
        if any(word in plain for word in words)
    }
    if any(part not in used for part in _NEEDED) or len(set(used.values())) < len(used):
        return None
    told = [_joined(row) for row in zip(*(columns[name] for name in used.values()), strict=True)]
    if not told or not all(told):
        return None
    return " ".join(used.values()), told, tuple(used.values())


def _joined(row: Sequence[Any]) -> str:
    """One row's parts, year first; "" where they are no time."""
    try:
        numbers = [float(cell) for cell in row]
        year, month, day, hour, minute = map(int, numbers[:5])
        second = numbers[5] if len(numbers) > 5 else 0.0
        year += 2000 if year < 100 else 0
        moment = datetime(year, month, day, hour, minute, int(second), round(second % 1 * 1e6))  # noqa: DTZ001
    except (ValueError, OverflowError):
        return ""
    return moment.isoformat() if year in _YEARS else ""


def _each(cells: Any, read: Any) -> list[str] | None:
    """Each cell as `read` has it, empty ones as they are; None where one cannot be read, or none is there."""
    if not isinstance(cells, list):
        return None
    told = []
    for cell in cells:
        text = read(cell) if cell else ""
        if cell and not text:
            return None
        told.append(text)
    return told if any(told) else None


def _of_digits(cell: str) -> str:
    found = _DIGITS.fullmatch(cell)
    if found is None:
        return ""
    year, month, day, hour, minute, second, milli = found.groups()
    text = f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}" + (f".{milli}" if milli else "")
    return text if _valid(text) else ""


def _of_day(cell: str) -> str:
    found = _DAY.fullmatch(cell)
    text = "" if found is None else "-".join(found.groups())
    return text if text and _valid(text) else ""


def _valid(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).year in _YEARS
    except ValueError:
        return False
