"""Recordings on disk read bit by bit: what a file holds without its rows, and its rows a batch at a time.

A Parquet file is never held whole: its footer tells channels and rows, and only the columns that are asked for are
decoded, in batches. CSV has no footer and no columns of its own: such a file is read whole, and so is a line a value.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.errors import RecordingError
from edge_agent.recordings import tables
from edge_agent.records import Float32

_BUFFER_BYTES = 1 << 20
"""Of a column that is being decoded; without it a row group's columns are read whole."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A file that holds a recording.

    Attributes:
        path: the file.
        machine: whose rows it holds, where the file says so (those of `edge-agent record` do); else the file's path.
        channels: C names.
        groups: rows of each row group; a CSV file is one group.
    """

    path: Path
    machine: str
    channels: tuple[str, ...]
    groups: tuple[int, ...]

    @property
    def rows(self) -> int:
        """Of the whole file."""
        return sum(self.groups)


def survey(path: Path, *, exclude: Sequence[str] = ()) -> Shard:
    """What a file holds; of Parquet only the footer is read.

    Raises:
        RecordingError: as `recording.read`.
    """
    file = _streamed(path)
    if file is None:
        found = tables.read(path, exclude=exclude)
        return Shard(path, str(path), found.channels, (len(found.values),))
    channels = tuple(
        name for name in tables.parquet_candidates(path, file.schema_arrow) if name not in exclude
    )
    groups = tuple(file.metadata.row_group(at).num_rows for at in range(file.num_row_groups))
    if not channels:
        raise RecordingError(path, "has no numeric channel")
    if sum(groups) == 0:
        raise RecordingError(path, "has no rows")
    return Shard(path, _machine(file.schema_arrow.metadata or {}) or str(path), channels, groups)


def batches(
    path: Path, channels: Sequence[str], *, groups: range | None = None, batch_rows: int
) -> Iterator[Float32]:
    """Rows [at most `batch_rows`, C] of some channels in the file's order, NaN where missing.

    Args:
        path: the file.
        channels: which columns, in this order.
        groups: of these row groups; of all where None.
        batch_rows: so many rows are held at once.

    Raises:
        RecordingError: as `recording.read`, when the batch is asked for.
    """
    file = _streamed(path)
    if file is None:
        found = tables.read(path)
        if absent := [name for name in channels if name not in found.channels]:
            raise RecordingError(path, f"has no column {', '.join(absent)}")
        values = found.values[:, [found.channels.index(name) for name in channels]]
        yield from (values[at : at + batch_rows] for at in range(0, len(values), batch_rows))
        return
    wanted = list(range(file.num_row_groups) if groups is None else groups)
    parts = file.iter_batches(
        batch_size=batch_rows, row_groups=wanted, columns=list(channels), use_threads=False
    )
    for part in _read(path, parts):
        columns = [part.column(name).to_numpy(zero_copy_only=False) for name in channels]
        yield np.stack(
            [tables.numbers(path, name, c) for name, c in zip(channels, columns, strict=True)], axis=1
        )


def _streamed(path: Path) -> Any:
    """The Parquet file, where its columns are channels; None for what must be read whole: text, or a line a value."""
    if path.suffix != ".parquet":
        return None
    file = _open(path)
    return None if tables.is_lines(file.schema_arrow) else file


def _open(path: Path) -> Any:
    try:
        import pyarrow as pa  # noqa: PLC0415  an optional dependency: a gateway does without
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise RecordingError(path, "reading Parquet needs pyarrow: install edge-agent[recordings]") from error
    if not path.is_file():
        raise RecordingError(path, "no such file")
    try:
        return pq.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise RecordingError(path, f"not a Parquet file: {error}") from error


def _read(path: Path, parts: Iterator[Any]) -> Iterator[Any]:
    """The parts, with pyarrow's errors as ours: a damaged page shows when it is decoded."""
    import pyarrow as pa  # noqa: PLC0415

    try:
        yield from parts
    except (pa.ArrowException, OSError) as error:
        raise RecordingError(path, f"not a Parquet file: {error}") from error


def _machine(metadata: dict[bytes, bytes]) -> str | None:
    try:
        named = json.loads(metadata.get(tables.SERIES, b"{}")).get("machine")
    except (ValueError, AttributeError):
        return None
    return named if isinstance(named, str) else None
