"""Recordings read bit by bit give what `recording.read` gives at once, and the same errors."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edge_agent.errors import RecordingError
from edge_agent.recordings import shards, tables


def table(path: Path, *, rows: int, group_rows: int, metadata: dict[str, str] | None = None) -> Path:
    rng = np.random.default_rng(rows)
    values = rng.normal(size=(3, rows))
    values[1, ::7] = np.inf
    columns = {
        "timestamp": np.arange(rows).astype("datetime64[s]").astype("datetime64[ns]"),
        "flow": values[0].astype(np.float32),
        "flow.mean": values[1],
        "state": pa.array([None if at % 5 == 0 else at % 3 for at in range(rows)]),
        "open": values[2] > 0,
        "note": ["x"] * rows,
        "label": np.zeros(rows, np.int16),
    }
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path, row_group_size=group_rows)
    return path


def test_batches_together_are_what_is_read_at_once(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", rows=1000, group_rows=300)
    found, whole = shards.survey(path, exclude=["open"]), tables.read(path, exclude=["open"])
    assert found.channels == whole.channels == ("flow", "flow.mean", "state")
    assert found.groups == (300, 300, 300, 100)
    parts = list(shards.batches(path, found.channels, batch_rows=128))
    assert max(map(len, parts)) <= 128
    np.testing.assert_array_equal(np.concatenate(parts), whole.values)


def test_row_groups_and_columns_are_read_alone(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", rows=1000, group_rows=300)
    parts = shards.batches(path, ["flow.mean", "flow"], groups=range(1, 3), batch_rows=4096)
    np.testing.assert_array_equal(np.concatenate(list(parts)), tables.read(path).values[300:900, [1, 0]])


def test_the_machine_comes_from_the_file_or_is_the_file(tmp_path: Path) -> None:
    told = table(tmp_path / "a.parquet", rows=10, group_rows=10, metadata={"series": '{"machine": "pump-1"}'})
    mute = table(tmp_path / "b.parquet", rows=10, group_rows=10, metadata={"series": "[]"})
    assert [shards.survey(path).machine for path in (told, mute)] == ["pump-1", str(mute)]


def test_csv_is_one_group(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("timestamp,flow,heat\n0,1,2\n1,3,nan\n2,5,6\n", encoding="utf-8")
    found = shards.survey(path, exclude=["heat"])
    assert (found.channels, found.groups, found.machine) == (("flow",), (3,), str(path))
    parts = list(shards.batches(path, ["heat", "flow"], batch_rows=2))
    assert [part.tolist() for part in parts] == [
        [[2.0, 1.0], [pytest.approx(np.nan, nan_ok=True), 3.0]],
        [[6.0, 5.0]],
    ]


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    with pytest.raises(RecordingError, match="no such file"):
        shards.survey(path)
    path.write_bytes(b"PAR1 is not enough")
    with pytest.raises(RecordingError, match="not a Parquet file"):
        shards.survey(path)
    pq.write_table(pa.table({"note": ["x"]}), path)
    with pytest.raises(RecordingError, match="no numeric channel"):
        shards.survey(path)
    pq.write_table(pa.table({"flow": np.empty(0)}), path)
    with pytest.raises(RecordingError, match="has no rows"):
        shards.survey(path)
    pq.write_table(pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["a", "a"]), path)
    with pytest.raises(RecordingError, match="more than one column named a"):
        shards.survey(path)


def test_a_damaged_page_is_an_error_of_the_recording(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", rows=4000, group_rows=4000)
    raw = bytearray(path.read_bytes())
    raw[8 : len(raw) * 3 // 4] = bytes(len(raw) * 3 // 4 - 8)
    path.write_bytes(bytes(raw))
    found = shards.survey(path)  # the footer is whole
    with pytest.raises(RecordingError, match="not a Parquet file"):
        list(shards.batches(path, found.channels, batch_rows=100))
