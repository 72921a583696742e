"""A historian's long form, a line a value (`time, tag, value, quality`), to a column a tag. Reads no file.

Where tags share their times, these are the rows. Where each has times of its own, rows stand at the pace of the fastest
tag. A tag that is written down less often holds its value until the next one, a bad one or a pause of all tags.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.formats.mapping.quality import QualityReader, QualityRule
from edge_agent.formats.mapping.values import NO_VALUE, ValueReader, ValueRule
from edge_agent.recordings.reading import numbers
from edge_agent.recordings.reading.times import plain_name
from edge_agent.records import Float32

Ints = NDArray[np.int64]
_TAGS = (
    "tag", "tagname", "entityid", "pointname", "point", "pointid", "tagpath", "name", "variable", "variablename",
    "sensor", "sensorid", "signal", "signalname", "metric", "metricname", "channel", "parameter", "series", "itemid",
    "item", "itemname", "field", "node", "nodeid", "varname", "objectname", "datapoint", "measurement", "attribute",
    "topic", "path", "source", "kanal", "messstelle", "bezeichnung", "tagid", "id", "key",
)  # fmt: skip
OWNERS = (
    "device",
    "deviceid",
    "devicename",
    "asset",
    "machine",
    "equipment",
    "station",
    "location",
    "host",
    "line",
)
"""Columns that say whose tag it is."""
_VALUES = (
    "value", "state", "val", "reading", "varvalue", "wert", "messwert", "measurement", "vvalue", "valuefloat",
    "floatvalue", "numericvalue", "valuenum", "valuenumeric", "valuedouble", "processvalue", "pv", "istwert", "valor",
    "valeur", "average", "mean", "y",
)  # fmt: skip
_QUALITIES = (
    "quality", "q", "opcquality", "qc", "qualitycode", "statuscode", "status", "qualität", "qualitaet", "validity",
    "qualitystatus", "good", "isgood", "calidad", "confidence", "valid",
)  # fmt: skip
_GOOD_WORDS = ("good", "ok", "valid", "true", "yes", "gut", "normal")
_SMALL_CODE, _FULL = 9, 100
"""Qualities that are no codes of OPC: a few numbers, of which the usual one is good; shares of a hundred."""
_FEWEST_REPEATS = 2
_SHOWN = 5
_ALONE = 10
"""In more rows a single value is no channel: a program's own entry."""
_TAGS_LIMIT = 5000
_CELLS_LIMIT = 400_000_000
"""Rows times tags that are laid out: 1.6 GB."""
_OWN_TIMES = 1.5
"""So many more times than the fastest tag has values: the tags have times of their own."""
_SELDOM = 0.5
"""A tag with values in fewer of the rows is held."""
_PAUSE_ROWS = 30
"""A step so many times the usual one is a pause of all tags: nothing is held over it."""


@dataclass(frozen=True, slots=True)
class LongForm:
    """Names of the columns of a line: what ("" of whom), how much, how good ("" where that is not said)."""

    tag: str
    value: str
    quality: str
    owner: str = ""


def is_tag_name(name: str) -> bool:
    """Whether a column is called as columns of tags are."""
    return plain_name(name) in _TAGS + OWNERS


def long_form(columns: Mapping[str, Any], *, time: Sequence[str]) -> LongForm | None:
    """Which columns make the long form; None for a table with a column a channel."""
    by_name = {plain_name(name): name for name in reversed(list(columns)) if name not in time}
    tag = next((name for key in _TAGS if (name := by_name.get(key, "")) and _are_tags(columns[name])), "")
    value = next((by_name[key] for key in _VALUES if key in by_name and by_name[key] != tag), "")
    if not value:
        return None
    owner = next((name for key in OWNERS if (name := by_name.get(key, "")) and _are_tags(columns[name])), "")
    if not tag:
        tag, owner = owner, ""
    if not tag:
        return None
    if owner and len(set(columns[owner])) < 2:
        owner = ""
    quality = next(
        (by_name[key] for key in _QUALITIES if key in by_name and by_name[key] not in (tag, value)), ""
    )
    return LongForm(tag, value, quality, owner)


def _are_tags(cells: Any) -> bool:
    """Whether cells are names that come again and again."""
    if isinstance(cells, np.ndarray):
        return False
    told = [cell for cell in cells if cell]
    kinds = set(told)
    text = any(not cell.replace(".", "").replace("-", "").isdigit() for cell in kinds)
    return text and len(told) >= _FEWEST_REPEATS * len(kinds) and len(kinds) <= _TAGS_LIMIT


def pivoted(
    columns: Mapping[str, Any], form: LongForm, times_ns: Ints, *, sign: numbers.Sign
) -> tuple[dict[str, Float32], Ints, list[str]]:
    """(a column a tag, the times of the rows, notes). Values of bad quality and words are gaps, and counted.

    Raises:
        ValueError: the table would be too large.
    """
    tags = list(columns[form.tag])
    if form.owner:
        tags = [f"{owner}/{tag}" if tag else "" for owner, tag in zip(columns[form.owner], tags, strict=True)]
    names, code = np.unique(np.array(tags, dtype=np.str_), return_inverse=True)
    values, no_number = _values(columns[form.value], sign)
    good, said = good_cells(columns[form.quality]) if form.quality else (np.ones(len(tags), np.bool_), "")
    notes = [f"a line a value: {sum(map(bool, names))} tags of column {form.tag!r}"] + (
        [said] if said else []
    )
    values = np.where(good, values, np.float32(np.nan))
    kept = _kept(names, code, values, notes)
    there = np.isin(code, kept)
    counts = {
        "no numbers": int(no_number[there].sum()),
        "of bad quality": int((~good & ~no_number)[there].sum()),
    }
    samples = _Samples(np.asarray(times_ns)[there], np.searchsorted(kept, code[there]), values[there])
    stamps, pace = _rows(samples, len(kept))
    if pace:
        notes.append(
            f"tags have times of their own: a row every {pace / 1e9:g} s, the last value of each in it"
        )
    if len(stamps) * len(kept) > _CELLS_LIMIT:
        raise ValueError(f"{len(kept)} tags at {len(stamps)} times are too many for one table")
    table, counts["second ones of a tag and time"] = _laid_out(samples, stamps, len(kept), pace=pace)
    found: dict[str, Float32] = {}
    seldom = []
    first = {tag: at for at, tag in reversed(list(enumerate(tags)))}
    for at in sorted(range(len(kept)), key=lambda one: first[str(names[kept[one]])]):
        name = str(names[kept[at]])
        held = _held(samples, at, stamps, table[:, at], pace=pace)
        seldom += [name] if held is not None else []
        column = np.ascontiguousarray(table[:, at]) if held is None else held
        cleaned = numbers.without_stand_ins(name, column)
        found[name] = column if cleaned.values is None else cleaned.values
        notes += cleaned.notes
    if seldom:
        more = " and others" if len(seldom) > _SHOWN else ""
        notes.append(f"{', '.join(seldom[:_SHOWN])}{more}: each value held until the next")
    notes += [f"{count} values that are {what} are gaps" for what, count in counts.items() if count]
    return found, stamps, notes


def _kept(names: NDArray[np.str_], code: Ints, values: Float32, notes: list[str]) -> Ints:
    """Numbers of the tags that are channels; of the others it is noted why they are none."""
    known = np.bincount(code[np.isfinite(values)], minlength=len(names))
    kept = []
    for at, name in enumerate(names):
        if not name:
            continue
        if known[at] and (known[at] > 1 or known.max() <= _ALONE):
            kept.append(at)
        else:
            notes.append(f"{name} left out: holds {'one value alone' if known[at] else 'no number'}")
    return np.array(kept, np.int64)


@dataclass(frozen=True, slots=True)
class _Samples:
    """N values: nanoseconds, number of the tag, value or NaN; in the order of the file."""

    times: Ints
    code: Ints
    values: Float32


def _values(cells: Any, sign: numbers.Sign) -> tuple[Float32, NDArray[np.bool_]]:
    """(values [N], which cells hold none). Of a column of many tags a word says nothing of the others."""
    if isinstance(cells, np.ndarray):
        plain = cells.astype(np.float32)
        return plain, ~np.isfinite(plain)
    reader = ValueReader(ValueRule(decimal=numbers.own_sign(cells, sign), strip_unit=True))
    known: dict[str, float] = {}
    for cell in set(cells):
        read = reader.read_text(cell) if cell else None
        known[cell] = read if isinstance(read, float) else float("nan")
    values = np.array([known[cell] for cell in cells], np.float32)
    return values, ~np.isfinite(values)


def _rows(samples: _Samples, tags: int) -> tuple[Ints, int]:
    """(times of the rows, their pace in nanoseconds; 0 where the samples' own times are the rows')."""
    stamps = np.unique(samples.times)
    counts = np.bincount(samples.code, minlength=tags)
    if tags < 2 or len(stamps) <= _OWN_TIMES * counts.max():
        return stamps, 0
    fastest = samples.times[samples.code == int(counts.argmax())]
    steps = np.diff(np.unique(fastest))
    pace = _round(int(np.median(steps))) if len(steps) else 1_000_000_000
    return np.unique(-(-samples.times // pace)) * pace, pace


def _round(step_ns: int) -> int:
    """The step, to a millisecond, or to a second where it nearly is one."""
    for unit in (60_000_000_000, 1_000_000_000, 100_000_000, 1_000_000):
        whole = round(step_ns / unit) * unit
        if whole and abs(whole - step_ns) <= 0.05 * whole:
            return int(whole)
    return max(step_ns, 1)


def _laid_out(samples: _Samples, stamps: Ints, tags: int, *, pace: int) -> tuple[Float32, int]:
    """(values [R, tags], how many were left out for another one of the same tag and row).

    At times of their own the last value in a row counts; at shared times the first.
    """
    known = np.isfinite(samples.values)
    times = -(-samples.times // pace) * pace if pace else samples.times
    row = np.searchsorted(stamps, times)
    order = np.argsort(samples.times, kind="stable")
    order = order if pace else order[::-1]
    order = order[known[order]]
    table = np.full((len(stamps), tags), np.nan, np.float32)
    table[row[order], samples.code[order]] = samples.values[order]
    cells = np.isfinite(table).sum()
    return table, 0 if pace else int(known.sum() - cells)


def _held(samples: _Samples, tag: int, stamps: Ints, column: Float32, *, pace: int) -> Float32 | None:
    """A column [R] of a tag that is written down seldom, each value held; None for any other."""
    if len(column) < 2 or np.isfinite(column).mean() >= _SELDOM:
        return None
    own = samples.code == tag
    order = np.argsort(samples.times[own], kind="stable")
    times, values = samples.times[own][order], samples.values[own][order]
    newest = np.searchsorted(times, stamps, side="right") - 1
    held = np.where(newest >= 0, values[np.maximum(newest, 0)], np.float32(np.nan)).astype(np.float32)
    steps = np.diff(stamps)
    pauses = np.concatenate([[False], steps > _PAUSE_ROWS * max(int(np.median(steps)), pace)])
    if pauses.any():  # what was written before a pause says nothing after it
        begun = stamps[np.maximum.accumulate(np.where(pauses, np.arange(len(stamps)), 0))]
        stale = (newest >= 0) & (times[np.maximum(newest, 0)] < begun)
        held[stale] = np.nan
    return held


def good_cells(cells: Any) -> tuple[NDArray[np.bool_], str]:
    """([N] which values are good by the words or codes beside them, what was assumed); nothing beside one is good."""
    told = [_code(cell) for cell in cells]
    counts = Counter(cell for cell in told if cell)
    seen = {int(cell) for cell in counts if cell.isdigit()}
    highest = max(seen, default=0)
    reader = QualityReader(QualityRule("q", codes="opc_ua" if highest >= 2**30 or seen == {0} else "opc_da"))
    usual, said = "", ""
    if seen and seen != {0} and (highest <= _SMALL_CODE or highest == _FULL):
        usual = (
            str(highest)
            if highest == _FULL
            else max(filter(str.isdigit, counts), key=lambda cell: counts[cell])
        )
        said = f"quality {usual} taken as good"
    known = {"": True}
    for cell in counts:
        if cell.isdigit():
            known[cell] = cell == usual if usual else reader.is_good(cell)
        else:
            known[cell] = cell.lower().startswith(_GOOD_WORDS)
    return np.array([known[cell] for cell in told], np.bool_), said


def _code(cell: Any) -> str:
    """A quality as text; empty where it says nothing."""
    text = str(cell).strip()
    if text.lower() in NO_VALUE:
        return ""
    return text[:-2] if text.endswith(".0") and text[:-2].isdigit() else text
