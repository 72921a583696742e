"""Text of any dialect to rows of cells: what parts the cells, comments, annotations. Knows no header and no column."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from edge_agent.errors import RecordingError
from edge_agent.recordings.reading.header import is_data

_SEPARATORS = (",", ";", "\t", "|")
_LOOKED_AT = 200
"""Rows that tell the dialect."""
_NAMES = {";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
_ANNOTATIONS = ("#datatype", "#group", "#default")
"""Lines that InfluxDB writes above a table."""
_LONGEST_CELL = 1_000_000


def rows_of(path: Path, text: str, notes: list[str]) -> list[list[str]]:
    """All rows that are not blank, cells without blanks around them.

    Raises:
        RecordingError: it has no form of a table.
    """
    lines = text.splitlines(keepends=True)
    separator = ""
    if lines and lines[0].lower().startswith("sep=") and len(lines[0].strip()) == 5:
        separator = lines.pop(0).strip()[4]
    lines = _without_comments(lines, notes)
    csv.field_size_limit(_LONGEST_CELL)
    try:
        separator, rows = _parsed(lines, separator)
    except csv.Error as error:
        raise RecordingError(path, f"not a CSV file: {error}") from error
    if not rows:
        raise RecordingError(path, "is empty")
    if separator != ",":
        notes.append(f"cells parted by {_NAMES.get(separator, separator)}")
    return [[cell.strip() for cell in row] for row in rows]


def _without_comments(lines: list[str], notes: list[str]) -> list[str]:
    """The lines less comments; the last comment is the header where it has as many cells as the data below."""
    marked = [at for at, line in enumerate(lines) if line.startswith("#")]
    if not marked:
        return lines
    plain = [line for line in lines if not line.startswith("#")]
    if any(lines[at].startswith(_ANNOTATIONS) for at in marked):
        notes.append("annotations of InfluxDB passed over")
        return plain
    last = lines[marked[-1]].lstrip("# ")
    below = next((line for line in lines[marked[-1] + 1 :] if line.strip()), "")
    for separator in _SEPARATORS:
        row = below.split(separator)
        if len(row) > 1 and len(last.split(separator)) == len(row) and is_data(row):
            notes.append("the header is a comment")
            return [last, *plain]
    notes.append(f"{len(marked)} lines of comment passed over")
    return plain


def _parsed(lines: Sequence[str], separator: str) -> tuple[str, list[list[str]]]:
    """(the separator, all rows that are not blank): the one that gives most rows of one width."""
    head = [line for line in lines if line.strip()][:_LOOKED_AT]
    best: tuple[float, int, str] = (0.0, 1, separator or ",")
    for candidate in () if separator else _SEPARATORS:
        widths = Counter(len(row) for row in csv.reader(head, delimiter=candidate, skipinitialspace=True))
        width, count = widths.most_common(1)[0] if widths else (1, 0)
        if width > 1 and (count / max(len(head), 1), width) > best[:2]:
            best = (count / len(head), width, candidate)
    reader = csv.reader(lines, delimiter=best[2], skipinitialspace=True)
    return best[2], [row for row in reader if any(cell.strip() for cell in row)]
