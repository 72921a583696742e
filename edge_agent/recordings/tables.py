"""Tables of sensor data on disk, of any form that plants export, as arrays; not a parser of messages.

A table has a column of times, found by its name and content, one column per channel and an optional integer `label`
column (0 normal, above 0 a fault); or it is a historian's long form, a line a value. The channels are the columns
that the file's own metadata names (key `series`, JSON with `channels`), else all columns of numbers, until told
otherwise. What was assumed, and what is a gap or left out, is noted in words.
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
from edge_agent.recordings.reading import csv_rows, header, json_rows, workbook
from edge_agent.recordings.reading.columns import Columns, of_columns
from edge_agent.recordings.reading.header import refuse_duplicates
from edge_agent.recordings.reading.long_form import is_tag_name
from edge_agent.recordings.reading.time_order import missing, order_of, rising, without_doubles
from edge_agent.recordings.reading.time_text import TimeError
from edge_agent.recordings.reading.times import TIMESTAMP, any_times, is_time_name
from edge_agent.recordings.reading.unpack import Unpacked, text_of, unpacked
from edge_agent.records import Float32

LABEL = "label"
SUFFIXES = (".parquet", ".csv", ".tsv", ".xlsx")
"""Of the tables that are looked for in a folder; a file that is named may be called as it likes."""
PACKED = (".gz", ".zst", ".zip")
SERIES = b"series"
_ROWS_A_DISTINCT_VALUE = 16
"""A column in which a value stands so often at least is smaller as numbers of a dictionary."""
_PLAIN = ValueReader(ValueRule())


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
    """The recording in a file of any form: Parquet, text, a workbook or JSON, packed or not.

    Args:
        path: the file; its content tells the form.
        channels: which columns to take, in this order; all that can be channels where None.
        exclude: columns that are no channels (`changepoint`, a row number, …).
        times: zone and form of its times; None: what their text says, else UTC.

    Raises:
        RecordingError: missing file, empty, no channel, or a channel or time that cannot be read.
    """
    if not path.is_file():
        raise RecordingError(path, "is a folder" if path.is_dir() else "no such file")
    rule = times or TimeRule()
    table = _table(path, rule, channels=channels)
    names = _choose(path, table, channels=channels, exclude=exclude)
    if table.rows == 0:
        raise RecordingError(path, "has no rows")
    label = table.columns.get(LABEL)
    found = Recording(
        name=series_name(path),
        channels=names,
        times_ns=None,
        values=np.stack([numbers(path, name, table.columns[name]) for name in names], axis=1),
        label=None if label is None else _labels(path, label),
        notes=tuple(note for note in table.notes if note.split(" left out", 1)[0] not in exclude),
    )
    return found if table.times is None else _timed(path, found, table.times, rule)


def series_name(path: Path) -> str:
    """What a recording in this file is called: the file's name without its suffixes."""
    plain = path.with_suffix("") if path.suffix.lower() in PACKED else path
    return plain.stem


def _timed(path: Path, recording: Recording, column: Any, rule: TimeRule) -> Recording:
    """The recording with its times, in their order: each later than the one before, and none of them invented."""
    try:
        times_ns, notes = any_times(column, rule)
    except TimeError as error:
        raise RecordingError(path, str(error)) from error
    values, label = recording.values, recording.label

    def pick(which: Any) -> None:
        nonlocal times_ns, values, label
        times_ns, values = times_ns[which], np.ascontiguousarray(values[which])
        label = None if label is None else label[which]

    if (lacking := missing(times_ns)).any():
        notes.append(f"{int(lacking.sum())} rows without a time left out")
        pick(~lacking)
    order, moved = order_of(times_ns)
    if order is not None:
        pick(order)
    stay, doubled = without_doubles(times_ns, values if label is None else np.column_stack((values, label)))
    if stay is not None:
        pick(stay)
    times_ns, spread = rising(times_ns)
    return replace(
        recording,
        times_ns=times_ns,
        values=values,
        label=label,
        notes=(*recording.notes, *notes, *moved, *doubled, *spread),
    )


def find(folder: Path) -> tuple[Path, ...]:
    """Every recording under a folder in a fixed order; the file itself where `folder` is one.

    Raises:
        RecordingError: nothing there.
    """
    if folder.is_file():
        return (folder,)
    paths = tuple(sorted(path for path in folder.rglob("*") if _is_table(path)))
    if not paths:
        raise RecordingError(folder, f"holds no {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]} file")
    return paths


def _is_table(path: Path) -> bool:
    """Whether a file's name is one of a table; what begins with a dot or `~$` is somebody's scrap."""
    plain = path.with_suffix("") if path.suffix.lower() in PACKED else path
    return (
        plain.suffix.lower() in SUFFIXES and plain.stem != "index" and not path.name.startswith((".", "~$"))
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """Columns as they came: numpy arrays from Parquet, numbers or lists of text from text.

    Attributes:
        times: the column of times, None where there is none. candidates: columns that can be channels.
    """

    columns: Mapping[str, Any]
    candidates: tuple[str, ...]
    rows: int
    times: Any = None
    notes: list[str] = field(default_factory=list)


def _table(path: Path, rule: TimeRule, *, channels: Sequence[str] | None) -> _Table:
    """The table in a file of any form."""
    file = unpacked(path)
    if file.form == "parquet":
        return _read_parquet(path, file, rule, channels=channels)
    if file.form == "workbook":
        text = header.table_of(path, workbook.rows_of(path, file.raw, file.notes), file.notes)
    elif file.form == "json":
        text = json_rows.table_of(path, text_of(file.raw, file.notes), file.notes)
    else:
        rows = csv_rows.rows_of(path, text_of(file.raw, file.notes), file.notes)
        text = header.table_of(path, rows, file.notes)
    if text.rows == 0:
        raise RecordingError(path, "has no rows")
    return _chosen(of_columns(path, text.columns, rule, named=channels, label=LABEL, notes=text.notes))


def _chosen(found: Columns) -> _Table:
    return _Table(found.columns, found.candidates, found.rows, found.times, found.notes)


def _read_parquet(path: Path, file: Unpacked, rule: TimeRule, *, channels: Sequence[str] | None) -> _Table:
    """Of a table that says its channels, these; any other is read as text would be."""
    try:
        import pyarrow as pa  # noqa: PLC0415  an optional dependency: a gateway does without
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise RecordingError(path, "reading Parquet needs pyarrow: install edge-agent[recordings]") from error
    try:
        table = pq.read_table(pa.BufferReader(file.raw) if file.raw else path)
        candidates = parquet_candidates(path, table.schema)
        columns = {name: _parquet_column(table.column(name), rule) for name in table.column_names}
    except (pa.ArrowException, OSError) as error:
        raise RecordingError(path, f"not a Parquet file: {error}") from error
    if _named_channels(table.schema.metadata or {}, table.schema.names):
        times = next(
            (one for one in columns.values() if isinstance(one, np.ndarray) and one.dtype.kind == "M"), None
        )
        return _Table(columns, candidates, table.num_rows, columns.get(TIMESTAMP, times), file.notes)
    if table.num_rows == 0:
        raise RecordingError(path, "has no rows")
    return _chosen(of_columns(path, columns, rule, named=channels, label=LABEL, notes=file.notes))


def _parquet_column(column: Any, rule: TimeRule) -> Any:
    """A column as numpy has it where it is one of numbers or times; else as text."""
    import pyarrow as pa  # noqa: PLC0415

    kind = column.type
    if pa.types.is_decimal(kind):
        return column.cast(pa.float64()).to_numpy()
    if pa.types.is_timestamp(kind) and not (kind.tz is None and rule.timezone not in ("", "UTC")):
        return column.to_numpy()
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return column.to_numpy()
    return ["" if cell is None else str(cell).strip() for cell in column.to_pylist()]


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
    if named := _named_channels(schema.metadata or {}, schema.names):
        return tuple(name for name in named if name not in {TIMESTAMP, LABEL})
    return tuple(name for name in numeric if name != LABEL and not is_time_name(name))


def is_lines(schema: Any) -> bool:
    """Whether a Parquet file that does not say its channels may be a line a value: it has a column of texts."""
    import pyarrow as pa  # noqa: PLC0415

    if _named_channels(schema.metadata or {}, schema.names):
        return False
    texts = [one for one in schema if pa.types.is_string(one.type) or pa.types.is_large_string(one.type)]
    texts += [one for one in schema if pa.types.is_dictionary(one.type)]
    return any(is_tag_name(one.name) for one in texts)


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


def _encodings(columns: Mapping[str, NDArray[Any]]) -> dict[str, str]:
    """The encoding of columns that a dictionary makes larger: times by their steps, measurements byte by byte."""
    told = {}
    for name, column in columns.items():
        kind = getattr(getattr(column, "dtype", None), "kind", "")
        if kind == "M":
            told[name] = "DELTA_BINARY_PACKED"
        elif kind == "f" and len(np.unique(column)) * _ROWS_A_DISTINCT_VALUE > len(column):
            told[name] = "BYTE_STREAM_SPLIT"
    return told


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
        told = _encodings(columns)
        pq.write_table(
            table,
            sink,
            compression="zstd",
            use_dictionary=[name for name in table.column_names if name not in told],
            column_encoding=told or None,
        )
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
