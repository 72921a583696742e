"""Tables of sensor data on disk, Parquet or CSV, as arrays; not a parser of messages and not a split data set.

A table has a column of times, found by its name and content, one column per channel and an optional integer `label`
column (0 normal, above 0 a fault); or it is a historian's long form, a line a value. The channels are the columns
that the file's own metadata names (key `series`, JSON with `channels`), else all numeric columns, until told otherwise.
What was assumed, and what is a gap or left out, is noted in words.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import RecordingError
from edge_agent.formats.mapping.times import TimeRule
from edge_agent.formats.mapping.values import ValueReader, ValueRule
from edge_agent.recordings.csv_table import read_csv, refuse_duplicates
from edge_agent.recordings.long_form import long_form, pivoted
from edge_agent.recordings.table_times import (
    TIMESTAMP,
    TimeError,
    any_times,
    missing,
    order_of,
    rising,
    time_column,
)
from edge_agent.records import Float32

LABEL = "label"
SUFFIXES = (".parquet", ".csv")
_TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
SERIES = b"series"
_SHARE_NUMBERS = 0.5
"""A column of which so many cells hold numbers, of those that hold anything, is a channel."""
_PLAIN = ValueReader(ValueRule())
_SHOWN = 3
"""Odd cells that a note shows."""


@dataclass(frozen=True, slots=True)
class Recording:
    """R rows of C channels.

    Attributes:
        name: the file's name without its suffix.
        channels: C names.
        times_ns: [R] nanoseconds since 1970 UTC, or None where the table has no timestamps.
        values: [R, C], NaN where missing.
        label: [R] 0 normal, above 0 a fault, or None where the table has no labels.
        notes: what was assumed of the table, and what of it is a gap or left out.
    """

    name: str
    channels: tuple[str, ...]
    times_ns: NDArray[np.int64] | None
    values: Float32
    label: NDArray[np.int16] | None
    notes: tuple[str, ...] = ()


def read(
    path: Path,
    *,
    channels: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    times: TimeRule | None = None,
) -> Recording:
    """The recording in a `.parquet` file or one of text.

    Args:
        path: the file.
        channels: which columns to take, in this order; all that can be channels where None.
        exclude: columns that are no channels (`changepoint`, a row number, …).
        times: zone and form of its times; None: what their text says, else UTC.

    Raises:
        RecordingError: missing file, empty, duplicate columns, no channel, or a channel or time that cannot be read.
    """
    if not path.is_file():
        raise RecordingError(path, "no such file")
    rule = times or TimeRule()
    if path.suffix == ".parquet":
        table = _read_parquet(path)
    elif path.suffix.lower() in _TEXT_SUFFIXES:
        table = _read_text(path, rule, channels=channels)
    else:
        raise RecordingError(path, f"neither {' nor '.join(SUFFIXES)}")
    names = _choose(path, table, channels=channels, exclude=exclude)
    if table.rows == 0:
        raise RecordingError(path, "has no rows")
    label = table.columns.get(LABEL)
    found = Recording(
        name=path.stem,
        channels=names,
        times_ns=None,
        values=np.stack([numbers(path, name, table.columns[name]) for name in names], axis=1),
        label=None if label is None else _labels(path, label),
        notes=tuple(note for note in table.notes if note.split(" left out", 1)[0] not in exclude),
    )
    return found if table.times is None else _timed(path, found, table.times, rule)


def _timed(path: Path, recording: Recording, column: Any, rule: TimeRule) -> Recording:
    """The recording with its times, in their order: each later than the one before, and none of them invented."""
    try:
        times_ns, notes = any_times(column, rule)
    except TimeError as error:
        raise RecordingError(path, str(error)) from error
    values, label = recording.values, recording.label
    if (lacking := missing(times_ns)).any():
        notes.append(f"{int(lacking.sum())} rows without a time left out")
        times_ns, values = times_ns[~lacking], values[~lacking]
        label = None if label is None else label[~lacking]
    order, moved = order_of(times_ns)
    if order is not None:
        times_ns, values = times_ns[order], np.ascontiguousarray(values[order])
        label = None if label is None else label[order]
    times_ns, spread = rising(times_ns)
    return replace(
        recording,
        times_ns=times_ns,
        values=values,
        label=label,
        notes=(*recording.notes, *notes, *moved, *spread),
    )


def find(folder: Path) -> tuple[Path, ...]:
    """Every recording under a folder in a fixed order; the file itself where `folder` is one.

    Raises:
        RecordingError: nothing there.
    """
    if folder.is_file():
        return (folder,)
    paths = tuple(
        sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.stem != "index")
    )
    if not paths:
        raise RecordingError(folder, f"holds no {' or '.join(SUFFIXES)} file")
    return paths


@dataclass(frozen=True, slots=True)
class _Table:
    """Columns as they came: numpy arrays from Parquet, numbers or lists of text from text.

    Attributes:
        times: the column of times, None where there is none. candidates: columns that can be channels.
    """

    columns: dict[str, Any]
    candidates: tuple[str, ...]
    rows: int
    times: Any = None
    notes: list[str] = field(default_factory=list)


def _read_parquet(path: Path) -> _Table:
    try:
        import pyarrow as pa  # noqa: PLC0415  an optional dependency: a gateway does without
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise RecordingError(path, "reading Parquet needs pyarrow: install edge-agent[recordings]") from error
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise RecordingError(path, f"not a Parquet file: {error}") from error
    candidates = parquet_candidates(path, table.schema)
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    times = next((one for one in columns.values() if np.issubdtype(one.dtype, np.datetime64)), None)
    return _Table(columns, candidates, table.num_rows, columns.get(TIMESTAMP, times))


def parquet_candidates(path: Path, schema: Any) -> tuple[str, ...]:
    """The columns of a Parquet file that can be channels.

    Raises:
        RecordingError: two columns have one name.
    """
    import pyarrow as pa  # noqa: PLC0415  whoever has a schema has pyarrow

    refuse_duplicates(path, schema.names)
    numeric = [
        field.name
        for field in schema
        if pa.types.is_floating(field.type)
        or pa.types.is_integer(field.type)
        or pa.types.is_boolean(field.type)
    ]
    candidates = _named_channels(schema.metadata or {}, schema.names) or numeric
    return tuple(name for name in candidates if name not in {TIMESTAMP, LABEL})


def _named_channels(metadata: Mapping[bytes, bytes], columns: Sequence[str]) -> list[str]:
    """Channels that the file's metadata names and that are there; none where it says nothing usable."""
    try:
        named = json.loads(metadata.get(SERIES, b"{}")).get("channels", [])
    except (ValueError, AttributeError):
        return []
    return [name for name in named if name in columns] if isinstance(named, list) else []


def write_columns(path: Path, columns: Mapping[str, Any]) -> None:
    """Write columns of equal length as Parquet (zstd).

    Raises:
        RecordingError: pyarrow is missing, or the file cannot be written.
    """
    try:
        path.write_bytes(encode_columns(path, columns))
    except OSError as error:
        raise RecordingError(path, f"cannot be written: {error}") from error


def encode_columns(
    path: Path, columns: Mapping[str, Any], *, series: Mapping[str, Any] | None = None
) -> bytes:
    """Columns of equal length as the bytes of a Parquet file (zstd).

    Args:
        path: named in errors.
        columns: name -> values.
        series: facts for the file's own metadata, see `read_series`.

    Raises:
        RecordingError: pyarrow is missing, or the columns make no table.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise RecordingError(path, "writing Parquet needs pyarrow: install edge-agent[recordings]") from error
    sink = pa.BufferOutputStream()
    try:
        table = pa.table(dict(columns))
        if series is not None:
            table = table.replace_schema_metadata({SERIES: json.dumps(series)})
        pq.write_table(table, sink, compression="zstd")
    except pa.ArrowException as error:
        raise RecordingError(path, f"cannot be written: {error}") from error
    raw: bytes = sink.getvalue().to_pybytes()
    return raw


def require_parquet(path: Path) -> None:
    """Find out at the start, not with the first table.

    Raises:
        RecordingError: pyarrow is missing.
    """
    encode_columns(path, {})


def read_series(path: Path) -> dict[str, Any]:
    """The facts that a Parquet file tells of itself, without reading its rows; empty where it tells none.

    Raises:
        RecordingError: pyarrow is missing, or it is no Parquet file.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise RecordingError(path, "reading Parquet needs pyarrow: install edge-agent[recordings]") from error
    try:
        found = json.loads((pq.read_schema(path).metadata or {}).get(SERIES, b"{}"))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise RecordingError(path, f"not a Parquet file: {error}") from error
    return found if isinstance(found, dict) else {}


def _read_text(path: Path, rule: TimeRule, *, channels: Sequence[str] | None) -> _Table:
    """A table of text: a column a channel, or a line a value."""
    table = read_csv(path)
    reader = ValueReader(ValueRule(decimal=table.decimal))
    time, cells, used = time_column(table.columns, rule=rule)
    notes = list(table.notes)
    if not time:
        notes.append("no column of times: a row a second")
    elif time != TIMESTAMP:
        notes.append(f"times in column {time!r}")
    form = long_form(table.columns, time=used) if time and channels is None else None
    if form is not None:
        try:
            times_ns, said = any_times(cells, rule)
        except TimeError as error:
            raise RecordingError(path, str(error)) from error
        columns, stamps, told = pivoted(table.columns, form, times_ns, reader)
        return _Table(
            dict(columns), tuple(columns), len(stamps), stamps.view("datetime64[ns]"), [*notes, *said, *told]
        )
    found: dict[str, Any] = {}
    candidates: list[str] = []
    for name, column in table.columns.items():
        if name in used:
            continue
        if name == LABEL or (channels is not None and name in channels):
            found[name] = column if name == LABEL else _strict(path, name, column, reader)
            continue
        values, note = _column(name, column, reader)
        if note:
            notes.append(note)
        if values is not None:
            found[name] = values
            candidates.append(name)
    return _Table(found, tuple(candidates), table.rows, cells if time else None, notes)


def _column(name: str, cells: Sequence[str], reader: ValueReader) -> tuple[Float32 | None, str]:
    """(a column's numbers, None where it is no channel; what to say of it)."""
    values = np.full(len(cells), np.nan, np.float32)
    odd: dict[str, int] = {}
    unknown = digits = known = 0
    for at, cell in enumerate(cells):
        number = reader.read_text(cell) if cell else None
        if isinstance(number, float):
            values[at] = number
            known += 1
            digits += cell[-1].isdigit()
        elif cell:
            odd[cell] = odd.get(cell, 0) + 1
            unknown += number is not None
    shown = ", ".join(f"{cell[:20]!r}" for cell in list(odd)[:_SHOWN])
    # Words stand for numbers where all of them do; one that does not makes the column one of text.
    if known < _SHARE_NUMBERS * (known + unknown) or (unknown and not digits):
        return None, f"{name} left out: text ({shown})"
    count = sum(odd.values())
    return values, f"{name}: {count} cells that are no numbers are gaps ({shown})" if odd else ""


def _strict(path: Path, name: str, cells: Sequence[str], reader: ValueReader) -> Float32:
    """A column that somebody named: it must be one of numbers.

    Raises:
        RecordingError: it is one of text.
    """
    values, _ = _column(name, cells, reader)
    if values is None:
        raise RecordingError(path, f"column {name} is not numeric")
    return values


def _choose(
    path: Path, table: _Table, *, channels: Sequence[str] | None, exclude: Sequence[str]
) -> tuple[str, ...]:
    if channels is None:
        names = tuple(name for name in table.candidates if name not in exclude)
    elif absent := [name for name in channels if name not in table.columns]:
        raise RecordingError(path, f"has no column {', '.join(absent)}")
    else:
        names = tuple(channels)
    if not names:
        raise RecordingError(path, "has no numeric channel")
    return names


def numbers(path: Path, name: str, column: Any) -> Float32:
    """A column's cells; what is not finite is missing.

    Raises:
        RecordingError: a cell is no number.
    """
    if isinstance(column, np.ndarray):
        try:
            values = column.astype(np.float32)
        except (TypeError, ValueError) as error:
            raise RecordingError(path, f"column {name} is not numeric") from error
    else:
        values = np.array(
            [_number(path, name, row, cell) for row, cell in enumerate(column, start=1)], np.float32
        )
    # Infinity says no more than "out of range": to the model it is a missing value.
    values[~np.isfinite(values)] = np.nan
    return values


def _number(path: Path, name: str, row: int, cell: str) -> float:
    number = _PLAIN.read_text(cell) if cell else None
    if isinstance(number, str):
        raise RecordingError(path, f"row {row}, column {name}: {cell!r} is not a number")
    return float("nan") if number is None else number


def _labels(path: Path, column: Any) -> NDArray[np.int16]:
    values = numbers(path, LABEL, column)
    if (
        np.isnan(values).any()
        or (values != np.round(values)).any()
        or np.abs(values).max() > np.iinfo(np.int16).max
    ):
        raise RecordingError(path, "column label holds something else than small whole numbers")
    return values.astype(np.int16)
