"""A historian's long form, a line a value (`time, tag, value, quality`), to a column a tag. Reads no file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.formats.mapping.quality import QualityReader, QualityRule
from edge_agent.formats.mapping.values import ValueReader
from edge_agent.records import Float32

_TAGS = (
    "tag", "tagname", "tag_name", "tag name", "entity_id", "name", "point", "pointname", "variable", "sensor", "signal",
    "metric", "channel", "parameter", "measurement", "series", "itemid", "item", "_field", "node", "varname",
)  # fmt: skip
_VALUES = ("value", "state", "val", "reading", "_value", "varvalue", "wert", "measurement", "vvalue")
_QUALITIES = ("quality", "q", "opcquality", "qc", "quality_code", "statuscode", "status")
_FEWEST_REPEATS = 2
_TAGS_LIMIT = 5000


@dataclass(frozen=True, slots=True)
class LongForm:
    """Names of the columns of a line: what, how much, how good ("" where that is not said)."""

    tag: str
    value: str
    quality: str


def long_form(columns: Mapping[str, Sequence[str]], *, time: Sequence[str]) -> LongForm | None:
    """Which columns make the long form; None for a table with a column a channel."""
    by_name = {name.strip().lower(): name for name in columns if name not in time}
    tag = next((by_name[name] for name in _TAGS if name in by_name), "")
    value = next((by_name[name] for name in _VALUES if name in by_name and by_name[name] != tag), "")
    if not tag or not value:
        return None
    told = [cell for cell in columns[tag] if cell]
    kinds = set(told)
    text = any(not cell.replace(".", "").replace("-", "").isdigit() for cell in kinds)
    if not told or not text or len(told) < _FEWEST_REPEATS * len(kinds) or len(kinds) > _TAGS_LIMIT:
        return None
    return LongForm(tag, value, next((by_name[name] for name in _QUALITIES if name in by_name), ""))


def pivoted(
    columns: Mapping[str, Sequence[str]], form: LongForm, times_ns: NDArray[np.int64], reader: ValueReader
) -> tuple[dict[str, Float32], NDArray[np.int64], list[str]]:
    """(a column a tag, the times of the rows, notes). Values of bad quality and words are gaps, and counted."""
    tags, cells = columns[form.tag], columns[form.value]
    good = _good(columns[form.quality]) if form.quality else np.ones(len(cells), np.bool_)
    order = np.argsort(times_ns, kind="stable")
    stamps, row_of = np.unique(times_ns[order], return_inverse=True)
    rows = np.empty(len(cells), np.int64)
    rows[order] = row_of
    found: dict[str, Float32] = {}
    counts = {"no numbers": 0, "of bad quality": 0, "second ones of a tag and time": 0}
    for at, (tag, cell) in enumerate(zip(tags, cells, strict=True)):
        if not tag:
            continue
        column = found.get(tag)
        if column is None:
            column = found[tag] = np.full(len(stamps), np.nan, np.float32)
        number, row = reader.read_text(cell), int(rows[at])
        if not isinstance(number, float):
            counts["no numbers"] += 1
        elif not good[at]:
            counts["of bad quality"] += 1
        elif np.isnan(column[row]):
            column[row] = number
        else:
            counts["second ones of a tag and time"] += 1
    notes = [f"a line a value: {len(found)} tags of column {form.tag!r}"]
    for tag in [tag for tag, column in found.items() if np.isnan(column).all()]:
        del found[tag]
        notes.append(f"{tag} left out: holds no number")
    notes += [f"{count} values that are {what} are gaps" for what, count in counts.items() if count]
    return found, stamps, notes


def _good(cells: Sequence[str]) -> NDArray[np.bool_]:
    told = [cell for cell in cells if cell]
    numbers = {int(cell) for cell in told if cell.isdigit()}
    codes = "opc_ua" if numbers and (numbers == {0} or max(numbers) >= 2**30) else "opc_da"
    rule = QualityRule("q", codes=codes if numbers else "none")  # type: ignore[arg-type]
    reader = QualityReader(rule)
    known = {cell: reader.is_good(cell or None) for cell in set(cells)}
    return np.array([known[cell] for cell in cells], np.bool_)
