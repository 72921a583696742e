"""Recordings: what a table of sensor data is read as, and what is refused."""

import contextlib
import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.reliability.exports.workbooks import workbook
from edge_agent.errors import RecordingError
from edge_agent.recordings import tables

CSV = """timestamp,flow,heat,label,changepoint
2026-01-01T00:00:00Z,1.5,20,0,0
2026-01-01T00:00:01Z,,21,0,1
2026-01-01T01:00:02+01:00,2.5,nan,3,0
"""


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_gives_channels_times_and_labels(tmp_path: Path) -> None:
    item = tables.read(written(tmp_path / "pump.csv", CSV), exclude=["changepoint"])
    assert (item.name, item.channels) == ("pump", ("flow", "heat"))
    np.testing.assert_array_equal(item.values, np.array([[1.5, 20], [np.nan, 21], [2.5, np.nan]], np.float32))
    assert item.label is not None
    assert item.times_ns is not None
    assert item.label.tolist() == [0, 0, 3]
    # 2026-01-01 is 20454 days after 1970; the last row names another zone.
    start = 20_454 * 86_400 * 10**9
    assert item.times_ns.tolist() == [start, start + 10**9, start + 2 * 10**9]


def test_parquet_and_csv_of_the_same_table_read_alike(tmp_path: Path) -> None:
    values = np.array([[1.5, 2.0], [np.nan, 4.0]], np.float32)
    table = pa.table(
        {
            "timestamp": pa.array([1_000, 2_000], pa.timestamp("ms")),
            "a": values[:, 0],
            "b": values[:, 1],
            "label": pa.array([0, 7], pa.int16()),
            "cycle": pa.array([1, 2], pa.int16()),
        }
    )
    table = table.replace_schema_metadata({"series": '{"channels": ["a", "b"]}'})
    pq.write_table(table, tmp_path / "run.parquet")
    text = "timestamp,a,b,label\n1,1.5,2\n".replace("2\n", "2,0\n") + "2,,4,7\n"
    first = tables.read(tmp_path / "run.parquet")
    second = tables.read(written(tmp_path / "run.csv", text))
    assert first.channels == second.channels == ("a", "b")  # the metadata name the channels
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.times_ns, second.times_ns)
    np.testing.assert_array_equal(first.label, second.label)


def test_without_metadata_every_numeric_column_of_parquet_is_a_channel(tmp_path: Path) -> None:
    table = pa.table({"speed": [1, 2], "flow": [0.5, 1.5], "name": ["x", "y"], "open": [True, False]})
    pq.write_table(table, tmp_path / "run.parquet")
    item = tables.read(tmp_path / "run.parquet")
    assert item.channels == ("speed", "flow", "open")
    np.testing.assert_array_equal(item.values, [[1, 0.5, 1], [2, 1.5, 0]])


def test_named_channels_are_taken_in_that_order(tmp_path: Path) -> None:
    item = tables.read(written(tmp_path / "pump.csv", CSV), channels=["changepoint", "flow"])
    assert item.channels == ("changepoint", "flow")
    assert item.values[:, 0].tolist() == [0, 1, 0]


def test_infinity_is_a_missing_value(tmp_path: Path) -> None:
    item = tables.read(written(tmp_path / "x.csv", "a\ninf\n1\n"))
    assert np.isnan(item.values[0, 0])


@pytest.mark.parametrize(
    ("name", "raw", "reason"),
    [
        ("blank.csv", b"\r\n \r\n", "is empty"),
        ("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "save it as .xlsx"),
        ("picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "is no table"),
        ("cut.csv.gz", gzip.compress(b"timestamp,a\n" * 99, mtime=0)[:40], "cannot be unpacked"),
        ("broken.xlsx", b"PK\x03\x04" + bytes(60), "cannot be unpacked"),
        ("nothing.json", b"[]", "has no rows"),
        ("cut.json", b'[{"a": 1}, {"a"', "not JSON"),
        ("gaps.csv", b"timestamp,a\n1,\n2,nan\n3,\n", "no numeric channel"),
    ],
)
def test_what_is_no_table_is_refused_with_its_reason(
    tmp_path: Path, name: str, raw: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(RecordingError, match=reason):
        tables.read(tmp_path / name)


def test_a_damaged_workbook_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    whole = workbook([("Data", [["time", "a"], *[[f"2026-03-02 06:00:0{n}", float(n)] for n in range(5)]])])
    (tmp_path / "whole.xlsx").write_bytes(whole)
    assert tables.read(tmp_path / "whole.xlsx").values[:, 0].tolist() == [0, 1, 2, 3, 4]
    rng = np.random.default_rng(0)
    for at in rng.integers(4, len(whole), 40).tolist():
        (tmp_path / "cut.xlsx").write_bytes(whole[:at])
        with pytest.raises(RecordingError):
            tables.read(tmp_path / "cut.xlsx")
        (tmp_path / "odd.xlsx").write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with contextlib.suppress(RecordingError):
            tables.read(tmp_path / "odd.xlsx")


def test_one_row_and_a_constant_are_a_recording(tmp_path: Path) -> None:
    assert tables.read(written(tmp_path / "one.csv", "timestamp,a\n1772431200,5\n")).values.tolist() == [[5]]
    text = "timestamp,a\n" + "".join(f"{1_772_431_200 + n},7\n" for n in range(30))
    assert set(tables.read(written(tmp_path / "same.csv", text)).values[:, 0].tolist()) == {7}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("empty.csv", "", "is empty"),
        ("header.csv", "a,b\n", "has no rows"),
        ("words.csv", "a\none\ntwo\n", "no numeric channel"),
        ("commas.csv", "a,b\n1,5,2,5\n3,5,4,5\n", "part the cells by semicolons"),
        ("days.csv", "time,a\n03/04/2026 06:00,1\n03/04/2026 06:01,2\n", "which is the day"),
        ("none.csv", "timestamp,label\n1,0\n", "no numeric channel"),
        ("label.csv", "a,label\n1,0.5\n", "small whole numbers"),
        ("time.csv", "timestamp,a\nyesterday,1\n", "row 1: 'yesterday' is no time"),
        ("broken.parquet", "PAR1 nonsense", "not a Parquet file"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(
    tmp_path: Path, name: str, text: str, reason: str
) -> None:
    path = written(tmp_path / name, text)
    with pytest.raises(RecordingError, match=reason) as caught:
        tables.read(path)
    assert caught.value.path == path


def test_missing_file_and_missing_channel_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no such file"):
        tables.read(tmp_path / "absent.csv")
    with pytest.raises(RecordingError, match="has no column speed"):
        tables.read(written(tmp_path / "pump.csv", CSV), channels=["flow", "speed"])


def test_text_column_of_parquet_as_channel_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": ["x", "y"], "b": [1.0, 2.0]}), tmp_path / "t.parquet")
    with pytest.raises(RecordingError, match="column a is not numeric"):
        tables.read(tmp_path / "t.parquet", channels=["a"])


def test_find_lists_recordings_in_a_fixed_order_without_the_index(tmp_path: Path) -> None:
    for name in ("b.csv", "a.parquet", "index.csv", "README.md", "c.CSV.gz", "d.xlsx", ".e.csv", "~$d.xlsx"):
        (tmp_path / name).touch()
    assert [path.name for path in tables.find(tmp_path)] == ["a.parquet", "b.csv", "c.CSV.gz", "d.xlsx"]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(RecordingError, match="holds no"):
        tables.find(tmp_path / "nothing")


def test_times_and_measurements_are_written_smaller_than_they_are_in_memory(tmp_path: Path) -> None:
    """A value is a float of 4 bytes, a time 8; a dictionary made of a random walk took 5.4 a value."""
    rows = 50_000
    walk = np.random.default_rng(1).normal(size=rows).cumsum().astype(np.float32)
    columns = {
        "timestamp": (np.arange(rows) * 10**9).astype("datetime64[ns]"),
        "walk": walk,
        "gaps": np.where(np.arange(rows) % 5 == 0, np.nan, walk).astype(np.float32),
        "state": np.where(walk > 0, 1, 0).astype(np.float32),
        "label": np.zeros(rows, np.int16),
    }
    path = tmp_path / "m.parquet"
    path.write_bytes(tables.encode_columns(path, columns))
    meta = pq.ParquetFile(path).metadata.row_group(0)
    sizes = {meta.column(at).path_in_schema: meta.column(at).total_compressed_size for at in range(5)}
    assert sizes["walk"] < 3.2 * rows
    assert sizes["gaps"] < 3.2 * rows
    assert sizes["timestamp"] < 0.1 * rows
    assert sizes["state"] < 0.1 * rows
    read = tables.read(path)
    np.testing.assert_array_equal(
        read.values, np.column_stack([columns[n] for n in ("walk", "gaps", "state")])
    )
    np.testing.assert_array_equal(read.times_ns, columns["timestamp"].astype(np.int64))
