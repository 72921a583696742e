"""Exports of plants are read as they are written; times stay as they were, and what was assumed is said."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from edge_agent.errors import RecordingError
from edge_agent.formats.mapping.times import TimeRule
from edge_agent.recordings import tables
from edge_agent.recordings.table_times import rising
from edge_agent.recordings.tables import Recording

SECOND_NS = 10**9


def read(path: Path, text: str | bytes, *, times: TimeRule | None = None) -> Recording:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return tables.read(path, times=times)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND_NS


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_what_half_of_europe_exports_is_read(tmp_path: Path, encoding: str, separator: str) -> None:
    rows = [["Zeitstempel", "Druck [bar]", "Öl °C"], ["02.03.2026 06:00:00", "4,82", "1.494,8"]]
    rows += [["02.03.2026 06:00:01", "4,97", "1.496"], ["02.03.2026 06:00:02", "", "1.501,25"]]
    text = "\r\n".join(separator.join(row) for row in rows)
    found = read(tmp_path / "x.csv", text.encode(encoding))
    assert found.channels == ("Druck [bar]", "Öl °C")
    assert found.times_ns is not None
    assert found.times_ns.tolist() == [at("2026-03-02 06:00:00") + n * SECOND_NS for n in range(3)]
    np.testing.assert_allclose(
        found.values, np.array([[4.82, 1494.8], [4.97, 1496], [np.nan, 1501.25]], np.float32)
    )
    assert {"decimal commas", "times without a zone taken as UTC (--timezone)"} <= set(found.notes)


@pytest.mark.parametrize("per_second", [1, 10**3, 10**6, 10**9])
def test_times_that_are_numbers_are_of_the_unit_that_their_size_tells(
    tmp_path: Path, per_second: int
) -> None:
    start = 1_772_431_200
    text = "timestamp,a\n" + "".join(f"{(start + n) * per_second},{n}\n" for n in range(3))
    found = read(tmp_path / "x.csv", text)
    assert found.times_ns is not None
    assert found.times_ns.tolist() == [(start + n) * SECOND_NS for n in range(3)]


def test_a_repeated_stamp_moves_no_other_and_a_weekend_stays(tmp_path: Path) -> None:
    stamps = ["2026-03-06T06:00:00Z", "2026-03-06T06:00:01Z", "2026-03-06T06:00:01Z", "2026-03-09T06:00:00Z"]
    found = read(
        tmp_path / "x.csv", "timestamp,a\n" + "".join(f"{stamp},{n}\n" for n, stamp in enumerate(stamps))
    )
    assert found.times_ns is not None
    friday, monday = at("2026-03-06 06:00:00"), at("2026-03-09 06:00:00")
    first, second, again, last = found.times_ns.tolist()
    assert (first, second, last) == (friday, friday + SECOND_NS, monday)
    assert second < again < second + 2 * SECOND_NS
    assert any("1 rows with the time of the row before" in note for note in found.notes)


def test_newest_first_is_turned_round(tmp_path: Path) -> None:
    text = "time,a\n2026-03-06 06:00:02,3\n2026-03-06 06:00:01,2\n2026-03-06 06:00:00,1\n"
    found = read(tmp_path / "x.csv", text)
    assert found.values[:, 0].tolist() == [1, 2, 3]
    assert "newest first: turned round" in found.notes


def test_the_hour_that_autumn_has_twice_is_two_hours(tmp_path: Path) -> None:
    stamps = ["02:58", "02:59", "02:00", "02:01"]
    text = "time,a\n" + "".join(f"2026-10-25 {stamp}:00,{n}\n" for n, stamp in enumerate(stamps))
    found = read(tmp_path / "x.csv", text, times=TimeRule(timezone="Europe/Berlin"))
    assert found.times_ns is not None
    assert np.diff(found.times_ns).tolist() == [60 * SECOND_NS] * 3
    assert found.values[:, 0].tolist() == [0, 1, 2, 3]


def test_date_and_hour_in_two_columns_are_one_time(tmp_path: Path) -> None:
    found = read(
        tmp_path / "x.csv", "Datum;Uhrzeit;Druck\n02.03.2026;06:00:00;4,5\n02.03.2026;06:00:01;4,6\n"
    )
    assert found.channels == ("Druck",)
    assert found.times_ns is not None
    assert found.times_ns[0] == at("2026-03-02 06:00:00")


def test_slashes_are_read_where_the_days_tell_and_by_a_form_otherwise(tmp_path: Path) -> None:
    found = read(tmp_path / "a.csv", "time,a\n31/03/2026 06:00,1\n01/04/2026 06:00,2\n")
    assert found.times_ns is not None
    assert found.times_ns.tolist() == [at("2026-03-31 06:00:00"), at("2026-04-01 06:00:00")]
    form = TimeRule(format="%m/%d/%Y %H:%M")
    found = read(tmp_path / "b.csv", "time,a\n03/04/2026 06:00,1\n03/05/2026 06:00,2\n", times=form)
    assert found.times_ns is not None
    assert found.times_ns[0] == at("2026-03-04 06:00:00")


def test_odd_cells_are_gaps_and_text_is_left_out(tmp_path: Path) -> None:
    text = "timestamp,p,running,state\n1,4.8,True,RUN\n2,---,False,IDLE\n3,Bad,True,RUN\n4,5.1,True,RUN\n"
    found = read(tmp_path / "x.csv", text)
    assert found.channels == ("p", "running")
    np.testing.assert_array_equal(np.isnan(found.values[:, 0]), [False, True, True, False])
    assert found.values[:, 1].tolist() == [1, 0, 1, 1]
    assert any(note.startswith("p: 2 cells") for note in found.notes)
    assert any(note.startswith("state left out") for note in found.notes)


def test_a_line_a_value_becomes_a_column_a_tag(tmp_path: Path) -> None:
    lines = ["time,tag,value,quality"]
    for n in range(3):
        lines += [
            f"{1_772_431_200 + n},pump/flow,{40.5 + n},192",
            f"{1_772_431_200 + n},pump/temp,0,{192 if n else 0}",
        ]
    lines += [
        "1772431203,pump/flow,unavailable,192",
        "1772431203,pump/note,hello,192",
        "1772431202,pump/note,hi,192",
    ]
    found = read(tmp_path / "x.csv", "\n".join(lines))
    assert found.channels == ("pump/flow", "pump/temp")
    np.testing.assert_array_equal(
        found.values, np.array([[40.5, np.nan], [41.5, 0], [42.5, 0], [np.nan, np.nan]], np.float32)
    )
    said = " ".join(found.notes)
    assert "1 values that are of bad quality are gaps" in said
    assert "pump/note left out" in said


def test_a_preamble_and_a_row_of_units_are_no_rows(tmp_path: Path) -> None:
    text = (
        "Export of line 3\n\ntime;p;f\n;bar;l/min\n2026-03-02 06:00:00;4.8;40\n2026-03-02 06:00:01;4.9;41\n"
    )
    found = read(tmp_path / "x.csv", text)
    assert (found.channels, found.values.tolist()) == (
        ("p", "f"),
        [[np.float32(4.8), 40], [np.float32(4.9), 41]],
    )
    assert "a row of units below the header" in found.notes


def test_rows_without_a_time_are_left_out_and_many_of_them_are_an_error(tmp_path: Path) -> None:
    good = "".join(f"{1_772_431_200 + n},{n}\n" for n in range(60))
    found = read(tmp_path / "x.csv", "timestamp,a\n" + good + ",99\n")
    assert (len(found.values), found.notes[-1]) == (60, "1 rows without a time left out")
    with pytest.raises(RecordingError, match="is no time"):
        read(tmp_path / "y.csv", "timestamp,a\n2026-03-02T06:00:00Z,1\nsoon,2\nlater,3\n")


def test_spread_rows_rise_and_stay_before_the_next_stamp() -> None:
    times, notes = rising(np.array([0, 0, 0, 10, 10, 20], np.int64))
    assert times.tolist() == [0, 3, 6, 10, 15, 20]
    assert notes
    same, none = rising(np.array([5, 5, 5], np.int64))
    assert np.all(np.diff(same) > 0)
    assert none
