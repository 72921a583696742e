"""Rows of cells to named columns: lines above the header, several lines of header, units, ragged and repeated lines.

What fits no table is left out, counted and noted.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_agent.errors import RecordingError
from edge_agent.formats.mapping.times import TimeRule
from edge_agent.formats.mapping.values import NO_VALUE, ValueReader, ValueRule
from edge_agent.recordings.reading import time_text

_LOOKED_AT = 200
_MOST_HEADER_ROWS = 6
_ANY = ValueReader(ValueRule(decimal="auto"))
_UTC = TimeRule(timezone="UTC")
_DAY_FIRST = time_text.DayOrder()


@dataclass(slots=True)
class TextTable:
    """Columns of text, in the file's order, R cells each; what was assumed, and what was left out."""

    columns: dict[str, list[str]]
    rows: int
    notes: list[str] = field(default_factory=list)


def table_of(path: Path, rows: list[list[str]], notes: list[str]) -> TextTable:
    """The table that rows of cells are.

    Raises:
        RecordingError: it has no form of a table.
    """
    above, body = _parts(path, rows, notes)
    names = _names(above, notes) if above else [f"column {at}" for at in range(1, len(body[0]) + 1)]
    if not above:
        notes.append("no header: columns are called by their number")
    while len(names) > 1 and not names[-1] and not any(any(row[len(names) - 1 :]) for row in body):
        names.pop()
    body = _fitted(path, names, body, notes)
    repeated = [row for row in body if row == names]
    names = [name or f"column {at}" for at, name in enumerate(names, start=1)]
    if repeated:
        body = [row for row in body if row != repeated[0]]
        notes.append(f"{len(repeated)} repeated headers left out")
    return TextTable(_columns(names, body, notes), len(body), notes)


def _parts(path: Path, rows: list[list[str]], notes: list[str]) -> tuple[list[list[str]], list[list[str]]]:
    """(the rows of the header, none where there is none; the rows below)."""
    width = Counter(len(row) for row in rows[:_LOOKED_AT]).most_common(1)[0][0]
    at = next(number for number, row in enumerate(rows) if len(row) == width)
    if at and is_data(rows[at]) and not is_data(rows[at - 1]):
        below, above = len(rows[at]), len(rows[at - 1])
        if below > above:
            raise RecordingError(
                path,
                f"row 1 has {below} cells, the header has {above}: "
                "decimal commas between commas? part the cells by semicolons, or quote them",
            )
        at -= 1
    if _is_headless(rows[at:]):
        first = at
    else:
        first = at + 1
        while first < min(len(rows), at + _MOST_HEADER_ROWS) and _is_more_header(rows, first, width):
            first += 1
        at += _title_rows(rows[at:first])
    if at:
        notes.append(f"{at} lines above the header passed over")
    return rows[at:first], rows[first:]


def _title_rows(above: Sequence[Sequence[str]]) -> int:
    """How many rows at the beginning hold one cell alone, as titles of spreadsheets do."""
    titles = 0
    while titles < len(above) - 1 and len(above[titles]) > 2 and sum(map(bool, above[titles])) == 1:
        titles += 1
    return titles


def _is_headless(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is one of data like the next: all its cells are numbers or times."""
    if len(rows) < 2 or not any(rows[0]) or rows[0] == [str(at) for at in range(len(rows[0]))]:
        return False
    values = [cell for cell in rows[0] if cell]
    return (
        is_data(values)
        and all(_is_number(cell) or is_time(cell) for cell in values)
        and len(rows[1]) == len(rows[0])
    )


def _is_more_header(rows: Sequence[Sequence[str]], at: int, width: int) -> bool:
    """Whether a row below the first of the header belongs to it: no number, no time, and rows of numbers follow."""
    told = [cell for cell in rows[at] if cell]
    if len(rows[at]) < min(width, 2) or not told or is_data(told) or any(map(is_time, told)):
        return False
    if any(cell.lower() in NO_VALUE for cell in told) or any(
        _ANY.read_text(cell) in (None, "not_finite") for cell in told
    ):
        return False
    return any(is_data(row) for row in rows[at + 1 : at + _MOST_HEADER_ROWS])


def _names(above: Sequence[Sequence[str]], notes: list[str]) -> list[str]:
    """The columns' names of one or several rows: the first of which no two cells are alike; else they are joined."""
    if len(above) == 1:
        return list(above[0])
    for row in above:
        told = [cell for cell in row if cell]
        if len(set(told)) == len(told) >= len(row) - 1:
            if (more := len(above) - 1) == 1 and row is above[0] and _are_units(above[1]):
                notes.append("a row of units below the header")
            else:
                notes.append(f"{more} more rows of header passed over")
            return list(row)
    notes.append(f"names joined of {len(above)} rows of header")
    width = max(map(len, above))
    joined: list[list[str]] = [[] for _ in range(width)]
    for number, row in enumerate(above):
        group = ""
        for at in range(width):
            cell = row[at] if at < len(row) else ""
            group = cell or ("" if number == len(above) - 1 else group)
            if group and group not in joined[at] and not (number and _are_units(row)):
                joined[at].append(group)
    return [" ".join(parts) for parts in joined]


def _are_units(row: Sequence[str]) -> bool:
    return all(len(cell) <= 12 for cell in row)


def _fitted(path: Path, names: Sequence[str], body: list[list[str]], notes: list[str]) -> list[list[str]]:
    """The rows with as many cells as the header has: missing ones are empty, rows with more are left out."""
    width, fitted, short, long = len(names), [], 0, 0
    for row in body:
        if len(row) == width:
            fitted.append(row)
        elif len(row) < width:
            short += 1
            fitted.append([*row, *[""] * (width - len(row))])
        elif any(row[width:]):
            long += 1
        else:
            fitted.append(row[:width])
    if short:
        notes.append(f"{short} rows with cells missing")
    if long:
        if long * 2 > len(body):
            raise RecordingError(path, f"most rows have more cells than the header, which has {width}")
        notes.append(f"{long} rows with more cells than the header left out")
    return fitted


def _columns(names: Sequence[str], body: Sequence[Sequence[str]], notes: list[str]) -> dict[str, list[str]]:
    """A list of cells a name; a name that stands twice gets a number, or goes where the cells are the same."""
    found: dict[str, list[str]] = {}
    cells = [list(column) for column in zip(*body, strict=True)] if body else [[] for _ in names]
    for name, column in zip(names, cells, strict=True):
        if name not in found:
            found[name] = column
            continue
        alike = [known for known in found if known == name or known.startswith(f"{name} (")]
        if body and any(found[known] == column for known in alike):
            notes.append(f"{name} stands twice and says the same: taken once")
            continue
        number = 2
        while f"{name} ({number})" in found:
            number += 1
        found[f"{name} ({number})"] = column
        notes.append(f"{name} stands twice: the later one is called {name} ({number})")
    return found


def is_data(row: Sequence[str]) -> bool:
    """Whether a row holds a number."""
    return any(isinstance(_ANY.read_text(cell), float) and any(map(str.isdigit, cell)) for cell in row)


def is_time(cell: str) -> bool:
    """Whether a cell is a time or a day."""
    return bool(cell) and time_text.cell_ns(cell, _UTC, _DAY_FIRST, near_ns=0)[0] is not None


def _is_number(cell: str) -> bool:
    return isinstance(_ANY.read_text(cell), float)


def refuse_duplicates(path: Path, names: Sequence[str]) -> None:
    """Two columns of one name are no table.

    Raises:
        RecordingError: names them.
    """
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RecordingError(path, f"has more than one column named {', '.join(twice)}")
