"""Rows of several machines in one table are never taken for rows of one; times are counted as their column says."""

from pathlib import Path

import numpy as np
import pytest

from edge_agent.recordings import tables
from edge_agent.recordings.tables import Recording

SECOND_NS = 10**9
MONDAY_NS = 1_772_431_200 * SECOND_NS
"""2026-03-02 06:00 UTC."""


def read(path: Path, text: str | bytes) -> Recording:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return tables.read(path)


@pytest.mark.parametrize("name", ["machine", "Anlage", "which"])
def test_machines_told_apart_by_a_column_keep_channels_of_their_own(tmp_path: Path, name: str) -> None:
    rows = [
        f"2026-03-02 06:00:{second:02d},press-{one},{second + 100 * one}"
        for second in range(9)
        for one in (1, 2)
    ]
    found = read(tmp_path / "x.csv", f"time,{name},temp\n" + "\n".join(rows))
    assert found.channels == ("press-1/temp", "press-2/temp")
    np.testing.assert_array_equal(found.values, [[100 + n, 200 + n] for n in range(9)])
    assert f"rows of 2 machines, told apart by column {name!r}: channels of each" in found.notes


def test_machines_by_number_are_told_apart_where_the_column_is_called_so(tmp_path: Path) -> None:
    rows = [f"2026-03-02 06:00:{second:02d},{one},{one}" for second in range(9) for one in (1, 2, 3)]
    found = read(tmp_path / "x.csv", "time,machine_id,temp\n" + "\n".join(rows))
    assert found.channels == ("1/temp", "2/temp", "3/temp")


def test_a_state_beside_the_values_of_one_machine_makes_no_second_one(tmp_path: Path) -> None:
    rows = [
        f"2026-03-02 06:{second // 6:02d},{'AUTO' if second < 9 else 'HAND'},{second}" for second in range(18)
    ]
    found = read(tmp_path / "x.csv", "time,mode,temp\n" + "\n".join(rows))
    assert "temp" in found.channels
    assert len(found.values) == 18


@pytest.mark.parametrize(
    ("header", "step", "first"),
    [("t [s]", "0.5", 0), ("Time (ms)", "500", 0), ("time_ms", "500", 0), ("elapsed", "0.5", 7)],
)
def test_time_since_a_beginning_counts_in_the_unit_of_its_column(
    tmp_path: Path, header: str, step: str, first: int
) -> None:
    text = f"{header},a\n" + "".join(f"{(first + n) * float(step):g},{n}\n" for n in range(6))
    found = read(tmp_path / "x.csv", text)
    assert found.channels == ("a",)
    assert found.times_ns is not None
    assert np.diff(found.times_ns).tolist() == [SECOND_NS // 2] * 5


def test_a_column_that_only_rises_is_no_time(tmp_path: Path) -> None:
    assert read(tmp_path / "x.csv", "t,a\n" + "".join(f"{n},{n % 3}\n" for n in range(6))).channels == (
        "t",
        "a",
    )


@pytest.mark.parametrize(
    ("header", "stamp", "encoding", "said"),
    [
        ("时间,温度(℃),转速", "2026年03月02日 06:00:0{n}", "gb18030", "text in Chinese (GB 18030)"),
        ("日時,温度(℃),回転数", "2026/03/02 06:00:0{n}", "cp932", "text in Japanese (Shift JIS)"),
        ("日時,温度(℃),回転数", "2026/03/02 午前 6:00:0{n}", "utf-8", ""),
        ("일시,온도,전류,압력", "2026년 3월 2일 오전 6:00:0{n}", "cp949", "text in Korean (CP949)"),
        ("Zeit,Größe,Höhe °C", "2026-03-02 06:00:0{n}", "cp1252", "text in Windows-1252"),
        ("Heure,Débit créé,Fréquence", "2026-03-02 06:00:0{n}", "cp1252", "text in Windows-1252"),
    ],
)
def test_text_of_any_code_page_keeps_its_names_and_times(
    tmp_path: Path, header: str, stamp: str, encoding: str, said: str
) -> None:
    names = header.split(",")[1:]
    rows = [stamp.format(n=n) + f",{n}" * len(names) for n in range(9)]
    found = read(tmp_path / "x.csv", "\n".join([header, *rows]).encode(encoding))
    assert found.channels == tuple(names)
    assert found.times_ns is not None
    assert found.times_ns.tolist() == [MONDAY_NS + n * SECOND_NS for n in range(9)]
    assert not said or said in found.notes


@pytest.mark.parametrize("stamp", ["2026年13月02日 06:00:00", "2026/3/2 下午 15:00:00", "2026年3月32日"])
def test_what_is_no_time_in_any_calendar_is_no_time(tmp_path: Path, stamp: str) -> None:
    found = read(tmp_path / "x.csv", "a,b\n" + "".join(f"{stamp},{n}\n" for n in range(9)))
    assert found.times_ns is None
