"""Columns of text or arrays to channels: times, a line a value, pairs of time and value, numbers. Reads no file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.errors import RecordingError
from edge_agent.formats.mapping.times import TimeRule
from edge_agent.recordings.reading import times
from edge_agent.recordings.reading.beside import without_bad
from edge_agent.recordings.reading.long_form import LongForm, long_form, pivoted
from edge_agent.recordings.reading.numbers import (
    Sign,
    decimal_sign,
    is_row_number,
    numbers_of,
    without_stand_ins,
)
from edge_agent.recordings.reading.owners import as_lines, owner_column
from edge_agent.recordings.reading.time_order import missing
from edge_agent.recordings.reading.time_text import TimeError, unit_in, zone_in
from edge_agent.records import Float32


@dataclass(slots=True)
class Columns:
    """What a table holds.

    Attributes:
        columns: numbers [R] or the cells of the labels. candidates: columns that can be channels.
        times: the column of times as `times.any_times` takes it, None where there is none.
        notes: what was assumed, and what is a gap or left out.
    """

    columns: dict[str, Any]
    candidates: tuple[str, ...]
    rows: int
    times: Any = None
    notes: list[str] = field(default_factory=list)


def of_columns(
    path: Path,
    columns: Mapping[str, Any],
    rule: TimeRule,
    *,
    named: Sequence[str] | None,
    label: str,
    notes: list[str],
) -> Columns:
    """What columns of one length hold.

    Args:
        path: for errors.
        columns: lists of text, or arrays.
        rule: how times are written.
        named: channels that somebody named; a column a channel then.
        label: the column that is none of numbers for channels.
        notes: what was assumed so far; goes on.

    Raises:
        RecordingError: a named column is no number, or times cannot be read.
    """
    sign = decimal_sign(columns)
    if sign == ",":
        notes.append("decimal commas")
    if named is None and (paired := times.paired(columns, rule=rule)):
        notes.append(f"{len(paired)} columns of times, each of the columns behind it")
        return _pivoted(path, *_as_lines(columns, paired), rule=rule, sign=sign, notes=notes)
    if named is None:
        columns = without_bad(columns, notes)
    time, cells, used = times.time_column(columns, rule=rule)
    cells = _told_times(path, time, cells, rule, notes)
    form = long_form(columns, time=used) if time and named is None else None
    if form is not None:
        return _pivoted(path, columns, form, cells, rule=rule, sign=sign, notes=notes)
    if time and named is None and (lines := _of_owners(columns, cells, (*used, label), label, notes)):
        return _pivoted(path, *lines, rule=rule, sign=sign, notes=notes)
    return _wide(path, columns, cells if time else None, used, sign, named=named, label=label, notes=notes)


def _of_owners(
    columns: Mapping[str, Any], cells: Any, besides: Sequence[str], label: str, notes: list[str]
) -> tuple[dict[str, Any], LongForm, Any] | None:
    """Rows of several machines as a line a value; None where they are of one, or carry labels."""
    owner = "" if label in columns else owner_column(columns, cells, besides=besides)
    if not owner:
        return None
    whose = len({*map(str, columns[owner])} - {""})
    notes.append(f"rows of {whose} machines, told apart by column {owner!r}: channels of each")
    return as_lines(columns, owner, cells, besides=besides)


def _wide(
    path: Path,
    columns: Mapping[str, Any],
    cells: Any,
    used: Sequence[str],
    sign: Sign,
    *,
    named: Sequence[str] | None,
    label: str,
    notes: list[str],
) -> Columns:
    """A column a channel."""
    found: dict[str, Any] = {}
    candidates: list[str] = []
    for name, column in columns.items():
        if name in used:
            continue
        if name == label:
            found[name] = column
            continue
        values = _channel(
            path, name, column, sign=sign, strict=named is not None and name in named, notes=notes
        )
        if values is None:
            continue
        found[name] = values
        if named is None and is_row_number(times.plain_name(name), values):
            notes.append(f"{name} left out: counts the rows")
        else:
            candidates.append(name)
    return Columns(found, tuple(candidates), _length(columns), cells, notes)


def _told_times(path: Path, time: str, cells: Any, rule: TimeRule, notes: list[str]) -> Any:
    """The column of times, in the zone that its name may say; what was found is noted.

    Raises:
        RecordingError: they cannot be read.
    """
    if not time:
        notes.append("no column of times: a row a second")
        return cells
    if time != times.TIMESTAMP:
        notes.append(f"times in column {time!r}")
    unit_s = unit_in(time) if rule.unit == "auto" else 0.0
    if unit_s and (elapsed := times.elapsed_times(cells, unit_s=unit_s)) is not None:
        notes.append("counted from a beginning, in the unit that the column's name says")
        return elapsed.view("datetime64[ns]")
    if rule.timezone or not (zone := zone_in(time)):
        return cells
    notes.append(f"times in the zone {zone} that the column's name says")
    try:
        times_ns, said = times.any_times(cells, replace(rule, timezone=zone))
    except TimeError as error:
        raise RecordingError(path, str(error)) from error
    notes += said
    return times_ns.view("datetime64[ns]")


def _length(columns: Mapping[str, Any]) -> int:
    return len(next(iter(columns.values()), ()))


def _channel(
    path: Path, name: str, column: Any, *, sign: Sign, strict: bool, notes: list[str]
) -> Float32 | None:
    """A column's numbers; None where it is no channel, which is noted.

    Raises:
        RecordingError: somebody named it, and it is none.
    """
    if isinstance(column, np.ndarray):
        if column.dtype.kind not in "fiub":
            notes.append(f"{name} left out: no numbers")
            return None
        values = column.astype(np.float32)
        values[~np.isfinite(values)] = np.nan
        if np.isnan(values).all() and not strict:
            notes.append(f"{name} left out: empty")
            return None
        read = without_stand_ins(name, values)
    else:
        read = numbers_of(name, column, sign=sign)
    if read.values is None and strict:
        raise RecordingError(path, f"column {name} is not numeric")
    notes += read.notes
    return read.values


def _pivoted(
    path: Path,
    columns: Mapping[str, Any],
    form: LongForm,
    cells: Any,
    *,
    rule: TimeRule,
    sign: Sign,
    notes: list[str],
) -> Columns:
    """A column a tag of lines with a value each."""
    try:
        times_ns, said = times.any_times(cells, rule)
    except TimeError as error:
        raise RecordingError(path, str(error)) from error
    if (lacking := missing(times_ns)).any():
        said.append(f"{int(lacking.sum())} lines without a time left out")
        keep = np.flatnonzero(~lacking)
        columns = {
            name: column[keep] if isinstance(column, np.ndarray) else [column[at] for at in keep]
            for name, column in columns.items()
        }
        times_ns = times_ns[keep]
    try:
        found, stamps, told = pivoted(columns, form, times_ns, sign=sign)
    except ValueError as error:
        raise RecordingError(path, str(error)) from error
    all_notes = [*notes, *said, *told]
    return Columns(dict(found), tuple(found), len(stamps), stamps.view("datetime64[ns]"), all_notes)


def _as_lines(
    columns: Mapping[str, Any], paired: Mapping[str, Sequence[str]]
) -> tuple[dict[str, Any], LongForm, list[str]]:
    """(columns of a line a value, which they are, their times) of columns of times with columns of values each."""
    moments: list[str] = []
    tags: list[str] = []
    values: list[str] = []
    for time, names in paired.items():
        for name in names:
            known = [at for at, cell in enumerate(columns[time]) if cell]
            moments += [columns[time][at] for at in known]
            values += [columns[name][at] for at in known]
            tags += [name] * len(known)
    return {"tag": tags, "value": values}, LongForm("tag", "value", ""), moments
