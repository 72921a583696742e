"""CSV of any dialect to columns of text: encoding, separator, header, row of units, decimal sign. Knows no channel.

What is assumed is noted in words, so that a person can see it; what fits no table is left out and counted.
"""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edge_agent.errors import RecordingError
from edge_agent.formats.mapping.times import TimeRule, text_ns
from edge_agent.formats.mapping.values import NO_VALUE, ValueReader, ValueRule, by_sign

_SEPARATORS = (",", ";", "\t", "|")
_LOOKED_AT = 200
"""Rows that tell the dialect."""
_NAMES: dict[str, str] = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_ANY = ValueReader(ValueRule(decimal="auto"))


@dataclass(slots=True)
class TextTable:
    """Columns of text.

    Attributes:
        columns: name -> cells, in the file's order. rows: how many.
        decimal: sign before the fraction in the numbers.
        notes: what was assumed, and what was left out.
    """

    columns: dict[str, list[str]]
    rows: int
    decimal: Literal[".", ","] = "."
    notes: list[str] = field(default_factory=list)


def read_csv(path: Path) -> TextTable:
    """The table in a file.

    Raises:
        RecordingError: it cannot be read, is empty, has two columns of one name, or no form of a table.
    """
    notes: list[str] = []
    lines = _text(path, notes).splitlines(keepends=True)
    separator = ""
    if lines and lines[0].lower().startswith("sep=") and len(lines[0].strip()) == 5:
        separator = lines.pop(0).strip()[4]
    try:
        separator, rows = _parsed(lines, separator)
    except csv.Error as error:
        raise RecordingError(path, f"not a CSV file: {error}") from error
    if not rows:
        raise RecordingError(path, "is empty")
    if separator != ",":
        notes.append(f"cells parted by {_NAMES.get(separator, separator)}")
    header, body = _header(path, rows, notes)
    body = _fitted(path, header, body, notes)
    if _is_units(body):
        notes.append("a row of units below the header")
        body = body[1:]
    columns = {name: [row[at].strip() for row in body] for at, name in enumerate(header)}
    decimal = _decimal(columns)
    if decimal == ",":
        notes.append("decimal commas")
    return TextTable(columns, len(body), decimal, notes)


def _text(path: Path, notes: list[str]) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise RecordingError(path, f"not a CSV file: {error}") from error
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if raw.startswith(mark):
            return raw.decode(encoding, "replace")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        notes.append("text in Windows-1252")
        return raw.decode("cp1252", "replace")


def _parsed(lines: Sequence[str], separator: str) -> tuple[str, list[list[str]]]:
    """(the separator, all rows that are not blank): the one that gives most rows of one width."""
    head = [line for line in lines if line.strip()][:_LOOKED_AT]
    best: tuple[float, int, str] = (0.0, 1, separator or ",")
    for candidate in () if separator else _SEPARATORS:
        widths = Counter(len(row) for row in csv.reader(head, delimiter=candidate))
        width, count = widths.most_common(1)[0] if widths else (1, 0)
        if width > 1 and (count / max(len(head), 1), width) > best[:2]:
            best = (count / len(head), width, candidate)
    return best[2], [row for row in csv.reader(lines, delimiter=best[2]) if any(cell.strip() for cell in row)]


def _header(path: Path, rows: list[list[str]], notes: list[str]) -> tuple[list[str], list[list[str]]]:
    """The first row that is as wide as most are, and the rows below it."""
    width = Counter(len(row) for row in rows[:_LOOKED_AT]).most_common(1)[0][0]
    at = next(number for number, row in enumerate(rows) if len(row) == width)
    if at and _is_data(rows[at]) and not _is_data(rows[at - 1]):
        below, above = len(rows[at]), len(rows[at - 1])
        if below > above:
            raise RecordingError(
                path,
                f"row 1 has {below} cells, the header has {above}: "
                "decimal commas between commas? part the cells by semicolons, or quote them",
            )
        at -= 1
    if at:
        notes.append(f"{at} lines above the header passed over")
    header = [name.strip() for name in rows[at]]
    while (
        len(header) > 1
        and not header[-1]
        and all(len(row) < len(header) or not row[len(header) - 1].strip() for row in rows[at + 1 :])
    ):
        header.pop()
    header = [name or f"column {number}" for number, name in enumerate(header, start=1)]
    refuse_duplicates(path, header)
    return header, rows[at + 1 :]


def _is_data(row: Sequence[str]) -> bool:
    return any(isinstance(_ANY.read_text(cell), float) for cell in row)


def _fitted(path: Path, header: Sequence[str], body: list[list[str]], notes: list[str]) -> list[list[str]]:
    """The rows with as many cells as the header has: missing ones are empty, rows with more are left out."""
    width, fitted, short, long = len(header), [], 0, 0
    for row in body:
        if len(row) == width:
            fitted.append(row)
        elif len(row) < width:
            short += 1
            fitted.append([*row, *[""] * (width - len(row))])
        elif any(cell.strip() for cell in row[width:]):
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


def _is_units(body: Sequence[Sequence[str]]) -> bool:
    """Whether the first row holds units: no number, no time, no word for a missing value, above rows of numbers."""
    if len(body) < 2 or not _is_data(body[1]):
        return False
    told = [cell.strip() for cell in body[0] if cell.strip()]
    if not told or any(cell.lower() in NO_VALUE for cell in told):
        return False
    rule = TimeRule(timezone="UTC")
    numbers = any(_ANY.read_text(cell) not in ("wrong_type", "not_a_number") for cell in told)
    return not numbers and all(len(cell) <= 12 and text_ns(cell, rule, near_ns=0) is None for cell in told)


def _decimal(columns: dict[str, list[str]]) -> Literal[".", ","]:
    comma = point = 0
    for cells in columns.values():
        for cell in cells[:_LOOKED_AT]:
            plain, grouped = by_sign(cell, "."), by_sign(cell, ",")
            comma += grouped is not None and "," in cell and (plain is None or "." not in cell)
            point += plain is not None and "." in cell
    return "," if comma > point else "."


def refuse_duplicates(path: Path, names: Sequence[str]) -> None:
    """Two columns of one name are no table.

    Raises:
        RecordingError: names them.
    """
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RecordingError(path, f"has more than one column named {', '.join(twice)}")
