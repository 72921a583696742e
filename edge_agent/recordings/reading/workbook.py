"""The fullest sheet of a workbook (.xlsx) to rows of cells as text. Reads XML piece by piece; runs no formula.

A workbook is a zip archive of XML: the sheets' cells hold numbers, or point at a table of texts; whether a number is a
day or a time says the form in which it is shown.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

from edge_agent.errors import RecordingError
from edge_agent.recordings.reading.unpack import member_bytes

_COLUMN = re.compile(r"([A-Z]{1,3})\d*", re.ASCII)
_DAY_FORMS = frozenset({14, 15, 16, 17, 22, 27, 30, 36, 50, 57})
_HOUR_FORMS = frozenset({18, 19, 20, 21, 45, 46, 47})
"""Numbers of the forms that every workbook knows without saying."""
_QUOTED = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')
_MOST_COLUMNS = 16_384
_EPOCH, _EPOCH_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)  # noqa: DTZ001 - a sheet has no zone
_DAY_MS = 86_400_000


def rows_of(path: Path, raw: bytes, notes: list[str]) -> list[list[str]]:
    """The rows of the sheet that has most of them, without rows that are empty.

    Raises:
        RecordingError: it is no workbook, damaged, locked, or all sheets are empty.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            sheets = _sheets(path, archive)
            reader = _SheetReader(path, archive)
            best: tuple[str, list[list[str]]] = ("", [])
            for name, member in sheets:
                rows = reader.rows(member)
                if len(rows) > len(best[1]):
                    best = (name, rows)
    except (ET.ParseError, zipfile.BadZipFile, ValueError, KeyError, OverflowError) as error:
        raise RecordingError(path, f"not a workbook (.xlsx) that can be read: {error}") from error
    if not best[1]:
        raise RecordingError(path, "is empty")
    if len(sheets) > 1:
        notes.append(f"of {len(sheets)} sheets the fullest, {best[0]!r}")
    return best[1]


def _sheets(path: Path, archive: zipfile.ZipFile) -> list[tuple[str, str]]:
    """(name, member of the archive) of each sheet of cells."""
    targets = {}
    for one in _tags(path, archive, "xl/_rels/workbook.xml.rels", "Relationship"):
        target = one.get("Target", "")
        targets[one.get("Id", "")] = target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
    found = []
    for sheet in _tags(path, archive, "xl/workbook.xml", "sheet"):
        key = next((value for name, value in sheet.attrib.items() if name.endswith("}id")), "")
        if "worksheets/" in targets.get(key, ""):
            found.append((sheet.get("name", ""), targets[key]))
    return found


def _tags(path: Path, archive: zipfile.ZipFile, member: str, tag: str) -> Iterator[ET.Element]:
    """Elements of one name in a member, each forgotten after its turn."""
    for _, element in ET.iterparse(io.BytesIO(member_bytes(path, archive, member))):  # noqa: S314 - see below
        # expat itself refuses entities that swell (2.4.1, of 2021); nothing outside the file is ever loaded.
        if element.tag.rpartition("}")[2] == tag:
            yield element
            element.clear()


class _SheetReader:
    """Reads sheets of one workbook."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive
        names = set(archive.namelist())
        self._texts: list[str] = []
        if "xl/sharedStrings.xml" in names:
            self._texts = [_text(one) for one in _tags(path, archive, "xl/sharedStrings.xml", "si")]
        self._forms = _forms(path, archive) if "xl/styles.xml" in names else []
        old = (one.get("date1904", "0") for one in _tags(path, archive, "xl/workbook.xml", "workbookPr"))
        self._epoch = _EPOCH_1904 if next(old, "0") in ("1", "true") else _EPOCH

    def rows(self, member: str) -> list[list[str]]:
        """A sheet's rows that are not empty, all of one width."""
        rows: list[list[str]] = []
        for row in _tags(self._path, self._archive, member, "row"):
            cells: list[str] = []
            for cell in row:
                if cell.tag.rpartition("}")[2] != "c":
                    continue
                at = _place(cell.get("r", ""), len(cells))
                cells += [""] * (at - len(cells))
                cells.append(self._cell(cell))
            if any(cells):
                rows.append(cells)
        width = max(map(len, rows), default=0)
        return [[*cells, *[""] * (width - len(cells))] for cells in rows]

    def _cell(self, cell: ET.Element) -> str:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return _text(cell).strip()
        value = next((part.text or "" for part in cell if part.tag.rpartition("}")[2] == "v"), "").strip()
        if kind == "s" and value:
            return self._texts[int(value)].strip()
        if kind == "b":
            return {"1": "TRUE", "0": "FALSE"}.get(value, value)
        if kind != "n" or not value:
            return value
        style = int(cell.get("s", "0"))
        return self._number(value, self._forms[style] if style < len(self._forms) else "")

    def _number(self, value: str, form: str) -> str:
        """A number as it is; one that is shown as a day or a time, as that."""
        if not form:
            return value
        moment = self._epoch + timedelta(milliseconds=round(float(value) * _DAY_MS))
        shown = moment.strftime("%H:%M:%S" if form == "hour" else "%Y-%m-%d %H:%M:%S")
        return f"{shown}.{moment.microsecond // 1000:03d}" if moment.microsecond else shown


def _text(element: ET.Element) -> str:
    """All text of a cell, without what only says how it is spoken."""
    return "".join(part.text or "" for part in element.iter() if part.tag.rpartition("}")[2] == "t")


def _place(reference: str, after: int) -> int:
    """The number of a cell's column; behind the cell before where it does not say."""
    found = _COLUMN.match(reference)
    if found is None:
        return after
    number = 0
    for letter in found[1]:
        number = number * 26 + ord(letter) - 64
    if number > _MOST_COLUMNS or number - 1 < after:
        raise ValueError(f"cell {reference} is out of place")
    return number - 1


def _forms(path: Path, archive: zipfile.ZipFile) -> list[str]:
    """How each style shows numbers: "day", "hour" (no day), or "" for a number."""
    own: dict[int, str] = {}
    for one in _tags(path, archive, "xl/styles.xml", "numFmt"):
        own[int(one.get("numFmtId", "0"))] = one.get("formatCode", "")
    found: list[str] = []
    for styles in _tags(path, archive, "xl/styles.xml", "cellXfs"):
        for style in styles:
            number = int(style.get("numFmtId", "0"))
            found.append(_shown(own[number]) if number in own else _known(number))
    return found


def _known(number: int) -> str:
    return "day" if number in _DAY_FORMS else "hour" if number in _HOUR_FORMS else ""


def _shown(code: str) -> str:
    """What a form's code shows: letters of days, or of hours alone."""
    plain = _QUOTED.sub("", code.partition(";")[0]).lower()
    if (
        re.search(r"[yd]", plain)
        and "general" not in plain
        and not re.search(r"[#0]\.?[#0]*$", plain.replace(".000", ""))
    ):
        return "day"
    return "hour" if re.search(r"h|ss", plain) else ""
