"""Columns that judge others, and times as digits or in parts: read where they are, else left alone."""

from pathlib import Path

import numpy as np
import pytest

from edge_agent.errors import RecordingError
from edge_agent.formats.mapping.times import TimeRule
from edge_agent.recordings.tables import Recording, read

START_NS = 1_772_431_200 * 10**9
"""2026-03-02 06:00:00 UTC."""


def table(tmp_path: Path, header: str, *rows: str, times: TimeRule | None = None) -> Recording:
    path = tmp_path / "table.csv"
    path.write_text("\n".join((header, *rows)) + "\n")
    return read(path, times=times)


def stamps(recording: Recording) -> list[int]:
    assert recording.times_ns is not None
    return [round((one - START_NS) / 1e9) for one in recording.times_ns.tolist()]


@pytest.mark.parametrize(
    ("header", "bad", "good"),
    [
        ("ts;P;P_Quality", "0", "192"),
        ("ts;P;P.Quality", "Bad", "Good"),
        ("ts;P [bar];P Status", "Bad - stale", "Good"),
        ("ts;P (Value);P (Quality)", "uncertain", "good"),
        ("ts;P;P_StatusCode", "2147483648", "0"),
        ("ts;P;P_q", "64", "216"),
    ],
)
def test_a_column_of_qualities_makes_its_values_gaps(
    tmp_path: Path, header: str, bad: str, good: str
) -> None:
    rows = [f"2026-03-02T06:00:0{at}Z;{4 + at};{bad if at == 2 else good}" for at in range(6)]
    found = table(tmp_path, header, *rows)
    assert len(found.channels) == 1
    assert np.isnan(found.values[:, 0]).tolist() == [False, False, True, False, False, False]
    assert any("1 values that are of bad quality are gaps" in note for note in found.notes)


def test_qualities_that_are_called_nothing_else_belong_to_the_column_before(tmp_path: Path) -> None:
    found = table(
        tmp_path,
        "ts;P;Quality;F;Quality",
        *(
            f"2026-03-02T06:00:0{at}Z;{4 + at};Good;{60 - at};{'Bad' if at == 1 else 'Good'}"
            for at in range(5)
        ),
    )
    assert found.channels == ("P", "F")
    assert np.isnan(found.values).sum(axis=0).tolist() == [0, 1]


@pytest.mark.parametrize("header", ["ts;Pump;Pump_Status", "ts;Temp;Air Quality", "ts;Pump;Pump_valid"])
def test_a_state_or_a_measurement_is_no_quality(tmp_path: Path, header: str) -> None:
    found = table(tmp_path, header, *(f"2026-03-02T06:00:0{at}Z;{4 + at};{at % 2}" for at in range(6)))
    assert len(found.channels) == 2
    assert not np.isnan(found.values).any()


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("when;p", "202603020600{at:02d};4.{at}"),
        ("Timestamp;p", "202603020600{at:02d}000;4.{at}"),
        ("DATE;TIME;p", "20260302;600{at:02d};4.{at}"),
        ("Year;Month;Day;Hour;Minute;Second;p", "2026;3;2;6;0;{at};4.{at}"),
        ("Jahr;Monat;Tag;Stunde;Minute;Sekunde;p", "26;03;02;06;00;{at:02d};4.{at}"),
        ("z;p", "DTL#2026-03-02-06:00:{at:02d}.000000000;4.{at}"),
        ("z;p", "DT#2026-03-02-06:00:{at:02d};4.{at}"),
        ("Datum;p", "2. 3. 2026 06:00:{at:02d};4.{at}"),
    ],
)
def test_times_as_digits_and_in_parts(tmp_path: Path, header: str, row: str) -> None:
    found = table(tmp_path, header, *(row.format(at=at) for at in range(1, 8)))
    assert found.channels == ("p",)
    assert stamps(found) == [1, 2, 3, 4, 5, 6, 7]


def test_digits_that_are_no_day_are_no_time(tmp_path: Path) -> None:
    found = table(tmp_path, "a;p", *(f"2026133206000{at};4.{at}" for at in range(6)))
    assert found.times_ns is None
    assert "no column of times: a row a second" in found.notes


def test_a_number_of_a_batch_is_no_time_where_another_column_is(tmp_path: Path) -> None:
    found = table(
        tmp_path, "batch;time;p", *(f"20260101010{at}00;2026-03-02T06:00:0{at}Z;4.{at}" for at in range(6))
    )
    assert found.channels == ("batch", "p")
    assert stamps(found) == [0, 1, 2, 3, 4, 5]


def test_parts_that_are_no_time_and_parts_that_lack_are_columns(tmp_path: Path) -> None:
    rows = [f"2026;13;2;6;0;4.{at}" for at in range(6)]
    assert table(tmp_path, "Year;Month;Day;Hour;Minute;p", *rows).times_ns is None
    assert table(tmp_path, "Year;Month;p", "2026;3;4.1", "2026;3;4.2").times_ns is None


def test_a_form_that_somebody_says_is_obeyed(tmp_path: Path) -> None:
    rule = TimeRule(timezone="UTC", format="%Y%d%m%H%M%S")
    found = table(tmp_path, "time;p", *(f"202602030600{at:02d};4.{at}" for at in range(6)), times=rule)
    assert stamps(found) == [0, 1, 2, 3, 4, 5]


def test_a_day_that_nobody_can_tell_is_still_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="which is the day"):
        table(tmp_path, "time;p", *(f"02/03/2026 06:00:0{at};4.{at}" for at in range(6)))
