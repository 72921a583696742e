"""Tables of sensor data on disk, Parquet or CSV, as arrays; not a parser of messages and not a split data set.

A table has an optional `timestamp` column, one column per channel and an optional integer `label` column
(0 normal, above 0 a fault). The channels are the columns that the file's own metadata names (key `series`, JSON with
`channels`), else all numeric columns, until told otherwise.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.errors import RecordingError
from edge_agent.records import Float32

TIMESTAMP = "timestamp"
LABEL = "label"
SUFFIXES = (".parquet", ".csv")
_MISSING = frozenset({"", "nan", "null", "none", "na"})
_NS_PER_S = 1_000_000_000
SERIES = b"series"


@dataclass(frozen=True, slots=True)
class Recording:
    """R rows of C channels.

    Attributes:
        name: the file's name without its suffix.
        channels: C names.
        times_ns: [R] nanoseconds since 1970 UTC, or None where the table has no timestamps.
        values: [R, C], NaN where missing.
        label: [R] 0 normal, above 0 a fault, or None where the table has no labels.
    """

    name: str
    channels: tuple[str, ...]
    times_ns: NDArray[np.int64] | None
    values: Float32
    label: NDArray[np.int16] | None


def read(path: Path, *, channels: Sequence[str] | None = None, exclude: Sequence[str] = ()) -> Recording:
    """The recording in a `.parquet` or `.csv` file.

    Args:
        path: the file.
        channels: which columns to take, in this order; all that can be channels where None.
        exclude: columns that are no channels (`changepoint`, a row number, …).

    Raises:
        RecordingError: missing file, empty, duplicate columns, no channel, a channel that is not there, or a
            cell that is no number (the row is named).
    """
    if not path.is_file():
        raise RecordingError(path, "no such file")
    if path.suffix == ".parquet":
        table = _read_parquet(path)
    elif path.suffix == ".csv":
        table = _read_csv(path)
    else:
        raise RecordingError(path, f"neither {' nor '.join(SUFFIXES)}")
    names = _choose(path, table, channels=channels, exclude=exclude)
    if table.rows == 0:
        raise RecordingError(path, "has no rows")
    stamps = table.columns.get(TIMESTAMP)
    label = table.columns.get(LABEL)
    return Recording(
        name=path.stem,
        channels=names,
        times_ns=None if stamps is None else _times_ns(path, stamps),
        values=np.stack([numbers(path, name, table.columns[name]) for name in names], axis=1),
        label=None if label is None else _labels(path, label),
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
    """Columns as they came: numpy arrays from Parquet, lists of text from CSV."""

    columns: dict[str, Any]
    candidates: tuple[str, ...]
    rows: int


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
    return _Table(columns, candidates, table.num_rows)


def parquet_candidates(path: Path, schema: Any) -> tuple[str, ...]:
    """The columns of a Parquet file that can be channels.

    Raises:
        RecordingError: two columns have one name.
    """
    import pyarrow as pa  # noqa: PLC0415  whoever has a schema has pyarrow

    _refuse_duplicates(path, schema.names)
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


def _read_csv(path: Path) -> _Table:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(path, f"not a CSV file: {error}") from error
    if not rows:
        raise RecordingError(path, "is empty")
    header = [name.strip() for name in rows[0]]
    _refuse_duplicates(path, header)
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(header):
            raise RecordingError(path, f"row {number} has {len(row)} cells, the header has {len(header)}")
    columns = {name: [row[index].strip() for row in rows[1:]] for index, name in enumerate(header)}
    return _Table(columns, tuple(name for name in header if name not in {TIMESTAMP, LABEL}), len(rows) - 1)


def _refuse_duplicates(path: Path, names: Sequence[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RecordingError(path, f"has more than one column named {', '.join(twice)}")


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
    if cell.lower() in _MISSING:
        return float("nan")
    try:
        return float(cell)
    except ValueError as error:
        raise RecordingError(path, f"row {row}, column {name}: {cell!r} is not a number") from error


def _labels(path: Path, column: Any) -> NDArray[np.int16]:
    values = numbers(path, LABEL, column)
    if (
        np.isnan(values).any()
        or (values != np.round(values)).any()
        or np.abs(values).max() > np.iinfo(np.int16).max
    ):
        raise RecordingError(path, "column label holds something else than small whole numbers")
    return values.astype(np.int16)


def _times_ns(path: Path, column: Any) -> NDArray[np.int64]:
    """ISO 8601 (UTC where no zone is given), a timestamp type, or numbers of seconds since 1970."""
    if isinstance(column, np.ndarray):
        if np.issubdtype(column.dtype, np.datetime64):
            if np.isnat(column).any():
                raise RecordingError(path, "column timestamp has empty cells")
            return column.astype("datetime64[ns]").astype(np.int64)
        if not np.issubdtype(column.dtype, np.number):
            return _times_ns(path, [str(cell) for cell in column])
        seconds = column.astype(np.float64)
        if not np.isfinite(seconds).all():
            raise RecordingError(path, "column timestamp has empty cells")
        return np.round(seconds * _NS_PER_S).astype(np.int64)
    return np.array([_time_ns(path, row, cell) for row, cell in enumerate(column, start=1)], np.int64)


def _time_ns(path: Path, row: int, cell: str) -> int:
    try:
        return round(float(cell) * _NS_PER_S)
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError as error:
        raise RecordingError(
            path, f"row {row}: {cell!r} is no time (ISO 8601 or seconds since 1970)"
        ) from error
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1_000
