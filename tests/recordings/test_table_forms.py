"""Exports of plants are read as they are written; times stay as they were, and what was assumed is said."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from edge_agent.errors import RecordingError
from edge_agent.formats.mapping.times import TimeRule
from edge_agent.recordings import tables
from edge_agent.recordings.reading.time_order import rising
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


def test_without_a_zone_the_second_hour_of_autumn_stays_behind_the_first(tmp_path: Path) -> None:
    minutes = [f"02:{n:02d}" for n in range(60)] * 2 + [f"03:{n:02d}" for n in range(60)]
    rows = [f"25.10.2026 {stamp}:00;{n}" for n, stamp in enumerate(minutes)]
    for name, ordered in (("x.csv", rows), ("newest.csv", rows[::-1])):
        found = read(tmp_path / name, "Zeit;p\n" + "\n".join(ordered))
        assert found.values[:, 0].tolist() == list(range(180))
        assert found.times_ns is not None
        assert set(np.diff(found.times_ns).tolist()) == {60 * SECOND_NS}
        assert any("the clock was set back an hour after 2026-10-25T02:59" in note for note in found.notes)


def test_newest_first_in_a_zone_has_both_hours_of_autumn(tmp_path: Path) -> None:
    minutes = [f"02:{n:02d}" for n in range(60)] * 2
    rows = [f"25.10.2026 {stamp}:00;{n}" for n, stamp in enumerate(minutes)]
    text = "Zeit;p\n25.10.2026 03:00:00;120\n" + "\n".join(rows[::-1])
    found = read(tmp_path / "x.csv", text, times=TimeRule(timezone="Europe/Berlin"))
    assert found.values[:, 0].tolist() == list(range(121))
    assert found.times_ns is not None
    assert set(np.diff(found.times_ns).tolist()) == {60 * SECOND_NS}


def test_days_that_follow_each_other_tell_the_month(tmp_path: Path) -> None:
    rows = "".join(f"03/{day:02d}/2026 06:00,1\n" for day in range(1, 9))
    found = read(tmp_path / "x.csv", "time,a\n" + rows)
    assert found.times_ns is not None
    assert found.times_ns[0] == at("2026-03-01 06:00:00")
    assert any("as the dates follow each other" in note for note in found.notes)


@pytest.mark.parametrize(
    "stamp",
    [
        "02-Mar-2026 06:00:00", "2 March 2026 06:00:00", "Mon Mar  2 06:00:00 2026", "02.03.26 06:00:00",
        "2026/03/02 06:00:00", "20260302T060000Z", "Mar 2, 2026, 6:00:00 AM", "02-MRZ-26 06:00:00.000",
        "2026-03-02 07:00:00 CET", "2026-03-02T07:00:00+01:00[Europe/Berlin]", "2026-03-02 06:00:00,000",
        "02.03.2026, 06:00:00", "02.03.2026 08:00:00 +02:00", "1772431200000000", "134169048000000000",
        "639080280000000000",
    ],
)  # fmt: skip
def test_a_moment_is_the_same_in_every_spelling(tmp_path: Path, stamp: str) -> None:
    found = read(tmp_path / "x.csv", f'time;a\n"{stamp}";1\n')
    assert found.times_ns is not None
    assert found.times_ns.tolist() == [at("2026-03-02 06:00:00")]


def test_tags_that_are_written_when_they_change_hold_until_the_next_a_bad_one_or_a_pause(
    tmp_path: Path,
) -> None:
    def line(second: int, tag: str, value: object, quality: int = 192) -> str:
        return f"{1_772_431_200 + second},{tag},{value},{quality}\n"

    text = "time,tag,value,quality\n" + "".join(line(n, "fast", n) for n in range(40))
    text += line(3, "seldom", 5) + line(20, "seldom", 0, 0) + line(30, "seldom", 7)
    text += "".join(line(9000 + n, "fast", n) for n in range(10)) + line(9005, "seldom", 9)
    found = read(tmp_path / "x.csv", text)
    seldom = found.values[:, found.channels.index("seldom")]
    expected = [np.nan] * 3 + [5] * 17 + [np.nan] * 10 + [7] * 10 + [np.nan] * 5 + [9] * 5
    np.testing.assert_array_equal(seldom, expected)
    assert "seldom: each value held until the next" in found.notes


def test_columns_with_times_of_their_own_meet_in_rows(tmp_path: Path) -> None:
    rows = [f"2026-03-02 06:00:{n:02d}.100,{n},2026-03-02 06:00:{n:02d}.600,{n + 50}\n" for n in range(30)]
    found = read(tmp_path / "x.csv", "Time A,A,Time B,B\n" + "".join(rows))
    assert found.channels == ("A", "B")
    assert found.values.tolist() == [[n, n + 50] for n in range(30)]
    assert "2 columns of times, each of the columns behind it" in found.notes


def test_a_number_far_from_all_others_is_a_gap_only_if_it_is_known_to_stand_for_one(tmp_path: Path) -> None:
    def column(odd: float) -> Recording:
        cells = [odd if n == 7 else 20 + n % 5 for n in range(40)]
        return read(tmp_path / "x.csv", "a\n" + "".join(f"{cell}\n" for cell in cells))

    assert np.isnan(column(-9999).values[7, 0])
    assert np.isnan(column(32767).values[7, 0])
    assert column(-123).values[7, 0] == -123
    near = read(tmp_path / "y.csv", "a\n" + "".join(f"{-9999 + 100 * n}\n" for n in range(40)))
    assert near.values[0, 0] == -9999


def test_quality_is_read_in_the_words_and_numbers_of_each_historian(tmp_path: Path) -> None:
    for good, bad in (
        ("Good", "Bad"),
        ("192", "24"),
        ("100", "0"),
        ("1", "0"),
        ("0", "2147483648"),
        ("TRUE", "FALSE"),
    ):
        lines = [
            f"{1_772_431_200 + n},{tag},{n},{bad if n == 5 else good}" for n in range(10) for tag in "ab"
        ]
        found = read(tmp_path / "x.csv", "time,tag,value,quality\n" + "\n".join(lines))
        assert np.flatnonzero(np.isnan(found.values[:, 0])).tolist() == [5], (good, bad)


def test_the_history_of_a_thing_that_says_its_name_once_is_read(tmp_path: Path) -> None:
    states = """[{"entity_id": "s.p", "state": "1", "last_changed": "2026-03-02T06:00:00+00:00"},
        {"state": "2", "last_changed": "2026-03-02T06:00:01+00:00"}]"""
    short = '{"s.p": [{"s": "1", "lu": 1772431200.0}, {"s": "2", "lu": 1772431201.0}]}'
    for text in (f"[{states}]", short):
        found = read(tmp_path / "x.json", text)
        assert (found.channels, found.values[:, 0].tolist()) == (("s.p",), [1, 2])
        assert found.times_ns is not None
        assert found.times_ns[1] == at("2026-03-02 06:00:01")


def test_a_column_that_counts_the_rows_is_left_out(tmp_path: Path) -> None:
    found = read(tmp_path / "x.csv", "no,a\n" + "".join(f"{n},{n * 2}\n" for n in range(1, 9)))
    assert found.channels == ("a",)
    assert "no left out: counts the rows" in found.notes
