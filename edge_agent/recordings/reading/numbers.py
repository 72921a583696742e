"""Cells of a column to numbers: decimal sign, units, words; odd cells and stand-ins for "no value" are gaps."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from edge_agent.formats.mapping.values import NO_VALUE, WORDS, ValueReader, ValueRule, by_sign
from edge_agent.records import Float32

Sign = Literal[".", ","]
_LOOKED_AT = 200
_SHARE_NUMBERS = 0.5
"""A column of which so many cells hold numbers, of those that hold anything, is a channel."""
_SHOWN = 3
"""Odd cells that a note shows."""
_SENTINELS = (
    -999.0, -9999.0, -99999.0, -999999.0, -999.25, -999.9, -9999.9, 9999.0, 99999.0, 999999.0,
    32767.0, -32768.0, 65535.0, -2147483648.0, 2147483647.0, 4294967295.0, 1e20, -1e20, 1e30, -1e30, 1e31, -1e31,
)  # fmt: skip
"""Numbers that loggers and historians write where they have no value."""
_FAR = 10.0
"""A stand-in is so many spans of all other values away from them."""
_ROW_NUMBERS = (
    "index",
    "no",
    "nr",
    "row",
    "rownumber",
    "sample",
    "samplenumber",
    "record",
    "recordnumber",
    "lfdnr",
    "id",
    "n",
    "number",
    "num",
    "#",
    "scan",
    "lineno",
)
_WORDS = frozenset(word for word in WORDS if not word.isdigit())


@dataclass(slots=True)
class Column:
    """What became of a column: numbers [R], NaN where missing; None where it is no channel. `notes` say why."""

    values: Float32 | None
    notes: list[str] = field(default_factory=list)


def decimal_sign(columns: Mapping[str, Any]) -> Sign:
    """The sign before the fraction in most numbers of a table."""
    comma = point = loose = 0
    for cells in columns.values():
        if not isinstance(cells, np.ndarray):
            a, b, c = _signs(cells)
            comma, point, loose = comma + a, point + b, loose + c
    return "," if comma > point or (not point and loose) else "."


def _signs(cells: Sequence[str]) -> tuple[int, int, int]:
    """(numbers that have a decimal comma, those that have a point, those whose comma may be either)."""
    comma = point = loose = 0
    for cell in cells[:_LOOKED_AT]:
        if "," not in cell and "." not in cell:
            continue
        plain, grouped = by_sign(cell, "."), by_sign(cell, ",")
        comma += plain is None and grouped is not None
        point += plain is not None and grouped is None
        loose += plain is not None and grouped is not None and "," in cell
    return comma, point, loose


def own_sign(cells: Sequence[str], sign: Sign) -> Sign:
    """The sign before the fraction in a column's numbers; `sign` where they do not tell."""
    comma, point, _ = _signs(cells)
    return sign if comma == point else "," if comma > point else "."


def numbers_of(name: str, cells: Sequence[str], *, sign: Sign) -> Column:
    """A column's numbers; `sign` is the table's, for a column that does not tell its own."""
    if sign == "." and (plain := _all_at_once(cells)) is not None:
        return without_stand_ins(name, plain)
    own = own_sign(cells, sign)
    reader = ValueReader(ValueRule(decimal=own))
    with_unit = ValueReader(ValueRule(decimal=own, strip_unit=True))
    values = np.full(len(cells), np.nan, np.float32)
    known: dict[str, float | None] = {}
    odd: dict[str, int] = {}
    numbers = words = units = 0
    for at, cell in enumerate(cells):
        if not cell:
            continue
        if cell not in known:
            read = reader.read_text(cell)
            if not isinstance(read, float) and read is not None:
                read = with_unit.read_text(cell)
            known[cell] = read if isinstance(read, float) else None
        number = known[cell]
        if number is None:
            odd[cell] = odd.get(cell, 0) + 1
            continue
        values[at] = number
        numbers += 1
        words += cell.lower() in _WORDS
        units += not cell[-1].isdigit() and cell[-1] not in ".,"
    unknown = sum(count for cell, count in odd.items() if cell.lower() not in NO_VALUE)
    shown = ", ".join(f"{cell[:20]!r}" for cell in list(odd)[:_SHOWN])
    # Words stand for numbers where all of them do; one that does not makes the column one of text.
    if not numbers or numbers < _SHARE_NUMBERS * (numbers + unknown) or (unknown and words == numbers):
        return Column(None, [f"{name} left out: {f'text ({shown})' if odd else 'empty'}"])
    found = without_stand_ins(name, values)
    if odd:
        found.notes.insert(0, f"{name}: {sum(odd.values())} cells that are no numbers are gaps ({shown})")
    if units > words:
        found.notes.insert(0, f"{name}: units behind numbers left out")
    return found


def is_row_number(plain_name: str, values: Float32) -> bool:
    """Whether a column of this name, in lower case without signs, counts its rows and measures nothing."""
    if plain_name not in _ROW_NUMBERS and not re.fullmatch(r"column\d+|unnamed\d*", plain_name):
        return False
    rows = np.arange(len(values))
    return len(values) > 2 and (np.array_equal(values, rows) or np.array_equal(values, rows + 1))


def _all_at_once(cells: Sequence[str]) -> Float32 | None:
    """Plain numbers and empty cells as numpy reads them; None for anything else."""
    try:
        values = np.array([cell or "nan" for cell in cells]).astype(np.float64)
    except ValueError:
        return None
    empty = sum(not cell for cell in cells)
    if (
        empty == len(cells)
        or int((~np.isfinite(values)).sum()) != empty
        or any("_" in cell for cell in cells)
    ):
        return None
    if np.abs(values[np.isfinite(values)]).max() > np.finfo(np.float32).max:
        return None
    return values.astype(np.float32)


def without_stand_ins(name: str, values: Float32) -> Column:
    """Numbers without those that stand for "no value"."""
    stand_in = stand_ins(values)
    if stand_in is None:
        return Column(values)
    hit = values == np.float32(stand_in)
    values[hit] = np.nan
    return Column(values, [f"{name}: {int(hit.sum())} cells of {stand_in:g} are gaps"])


def stand_ins(values: Float32) -> float | None:
    """A number of a column [R] that stands for "no value": known as one, and far from all others; None without."""
    known = values[np.isfinite(values)]
    if len(known) < 3:
        return None
    for at_end in (known.min(), known.max()):
        if not any(np.float32(one) == at_end for one in _SENTINELS):
            continue
        others = known[known != at_end]
        if len(others) * 2 < len(known) or not len(others):
            continue
        span = float(others.max()) - float(others.min())
        distance = min(abs(float(at_end) - float(others.min())), abs(float(at_end) - float(others.max())))
        if distance > _FAR * max(span, 1e-6 * abs(float(at_end))):
            return float(at_end)
    return None
