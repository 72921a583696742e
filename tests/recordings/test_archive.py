"""Recordings on disk hold every row once, whatever a crash left, and no more than the bound allows."""

import csv
import io
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edge_agent.recordings import spool as spools
from edge_agent.recordings import tables as recording
from edge_agent.recordings.archive import INDEX, Archive, channel_name, column_name
from edge_agent.recordings.reading.times import TIMESTAMP
from edge_agent.recordings.spool import Spool
from edge_agent.recordings.timeline import DAY_NS, of_frames
from edge_agent.records import Frame

SECOND_NS = 1_000_000_000
DAY = 20_000
MACHINE = "press 4.b"


def frames(first: int, last: int, *, day: int = DAY, machine: str = MACHINE) -> list[Frame]:
    times = [day * DAY_NS + row * SECOND_NS for row in range(first, last)]
    return [
        Frame(machine, ("flow", "heat"), (time,), ((row, -row),)) for row, time in enumerate(times, first)
    ]


def archive(folder: Path, *, disk_bytes: int = 10**9) -> Archive:
    found = Archive(folder, disk_bytes=disk_bytes)
    found.open()
    return found


def rows(folder: Path) -> list[float]:
    """The channel `flow` of every table, in the order of its time."""
    tables = [recording.read(path) for path in recording.find(folder)]
    cells = [
        (time, value)
        for table in tables
        for time, value in zip(table.times_ns, table.values[:, table.channels.index("flow")], strict=True)
    ]
    return [float(value) for _, value in sorted(cells)]


def test_what_was_appended_is_read_back_up_to_where_a_crash_tore_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.begin(3)
    spool.append(frames(0, 5))
    spool.append(frames(5, 9))
    spool.close()
    ((number, path),) = spool.finished()
    assert number == 3
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        kept = [float(frame.rows[0][0]) for frame in spools.read(path)]
        assert kept == list(range(len(kept)))
        assert len(kept) == length * 9 // len(whole)
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    path.write_bytes(damaged)
    assert len(list(spools.read(path))) < 9


def test_a_spool_that_is_turned_into_tables_twice_counts_once(tmp_path: Path) -> None:
    first = archive(tmp_path)
    first.take_frames(frames(0, 50), number=1)
    archive(tmp_path).take_frames(frames(0, 50), number=1)  # the process died before the spool was removed
    assert rows(tmp_path) == list(range(50))


def test_small_tables_of_a_day_become_one_and_the_day_is_found_again(tmp_path: Path) -> None:
    recordings = archive(tmp_path)
    for number in range(1, 11):
        recordings.take_frames(frames(10 * number, 10 * number + 10), number=number)
        recordings.tidy(today=DAY, reserved_bytes=0)
    assert rows(tmp_path) == list(range(10, 110))
    assert len(recording.find(tmp_path)) < 8
    recordings.tidy(today=DAY + 1, reserved_bytes=0)
    (path,) = recording.find(tmp_path)
    assert path.parent.name == "day=2024-10-04"
    assert recording.read_series(path)["machine"] == MACHINE
    assert archive(tmp_path).newest == 10


def test_a_merge_that_was_cut_off_leaves_no_row_twice(tmp_path: Path) -> None:
    recordings = archive(tmp_path / "a")
    for number in (1, 2, 3):
        recordings.take_frames(frames(10 * number, 10 * number + 10), number=number)
    shutil.copytree(tmp_path / "a", tmp_path / "before")
    recordings.tidy(today=DAY + 1, reserved_bytes=0)
    shutil.copytree(tmp_path / "before", tmp_path / "a", dirs_exist_ok=True)  # the small ones are still there
    (tmp_path / "a" / "machine=press 4.b" / "day=2024-10-04" / ".rows-1-1.parquet.partial").write_bytes(
        b"PAR"
    )
    archive(tmp_path / "a")
    assert rows(tmp_path / "a") == list(range(10, 40))
    assert not list((tmp_path / "a").rglob("*.partial"))


def test_the_oldest_day_goes_first_and_is_counted(tmp_path: Path) -> None:
    recordings = archive(tmp_path)
    for number, day in enumerate([DAY, DAY + 1, DAY + 2], start=1):
        recordings.take_frames(frames(0, 2000, day=day), number=number)
    recordings = archive(tmp_path, disk_bytes=recordings.bytes - 1)
    recordings.tidy(today=DAY + 2, reserved_bytes=0)
    days = sorted(path.parent.name for path in recording.find(tmp_path))
    assert days == ["day=2024-10-05", "day=2024-10-06"]
    assert (recordings.days_dropped, recordings.rows_dropped) == (1, 2000)
    recordings.tidy(today=DAY + 2, reserved_bytes=10**9)
    assert recordings.bytes == 0
    assert recordings.rows_dropped == 6000


def test_a_damaged_table_is_set_aside_and_the_others_stay(tmp_path: Path) -> None:
    recordings = archive(tmp_path)
    recordings.take_frames(frames(0, 10), number=1)
    recordings.take_frames(frames(10, 20), number=2)
    first = recording.find(tmp_path)[0]
    first.write_bytes(first.read_bytes()[:40])
    again = archive(tmp_path)
    assert len(again.damaged) == 1
    assert rows(tmp_path) == list(range(10, 20))


def test_the_index_names_every_table(tmp_path: Path) -> None:
    recordings = archive(tmp_path)
    recordings.take_frames([*frames(0, 10), *frames(0, 30, machine="../etc")], number=1)
    recordings.tidy(today=DAY, reserved_bytes=0)
    with (tmp_path / INDEX).open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["machine"]: int(line["length"]) for line in lines} == {MACHINE: 10, "../etc": 30}
    assert all((tmp_path / line["file"]).is_file() and float(line["rate_hz"]) == 1.0 for line in lines)
    assert all(tmp_path in path.resolve().parents for path in recording.find(tmp_path))


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_channels_that_come_apart_meet_in_a_row_and_the_first_value_of_a_cell_counts(
    order: Sequence[int],
) -> None:
    flow = Frame("m", ("flow",), (5, 6, 5), ((1.0,), (2.0,), (9.0,)))
    heat = Frame("m", ("heat",), (6, 7), ((3.0,), (float("nan"),)))
    line = of_frames([[flow, heat][at] for at in order])
    assert line.times_ns.tolist() == [5, 6, 7]
    cells = dict(zip(line.channels, line.values.T.tolist(), strict=True))
    assert cells["flow"][:2] == [1.0, 2.0]
    assert np.isnan(cells["heat"][0])
    assert cells["heat"][1] == 3.0
    assert np.isnan(cells["heat"][2])


LONG = "насос-главного-циркуляционного-контура-цех-12-участок-3"


@pytest.mark.parametrize("odd", [LONG, "泵" * 80, "x" * 255, "%" * 100])
def test_a_long_name_is_recorded_under_a_shorter_folder_and_told_whole(tmp_path: Path, odd: str) -> None:
    ours = archive(tmp_path)
    twin = odd[:-1] + "y"
    assert (
        ours.take_frames([*frames(0, 5), *frames(0, 7, machine=odd), *frames(0, 3, machine=twin)], number=1)
        == 15
    )
    ours.tidy(today=DAY + 1, reserved_bytes=0)
    assert ours.refused == []
    listed = {
        row["machine"]: row["length"] for row in csv.DictReader(io.StringIO((tmp_path / INDEX).read_text()))
    }
    assert listed == {MACHINE: "5", odd: "7", twin: "3"}
    again = archive(tmp_path)
    assert again.damaged == []
    assert again.newest == 1


def test_what_makes_no_table_keeps_back_no_other_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = archive(tmp_path)
    whole = recording.encode_columns

    def refusing(path: Path, columns: object, **told: object) -> bytes:
        if "odd" in str(path):
            raise ValueError("no table")
        return whole(path, columns, **told)  # type: ignore[arg-type]

    monkeypatch.setattr(recording, "encode_columns", refusing)
    assert ours.take_frames([*frames(0, 5, machine="odd"), *frames(0, 7)], number=1) == 7
    ((machine, refused, reason),) = ours.refused
    assert (machine, len(refused), reason) == ("odd", 5, "no table")


AWKWARD = ("label", "label_", "label__", "timestamp", "timestamp_", "flow", "flow_")


def awkward(number: int) -> Frame:
    time_ns = DAY * DAY_NS + number * SECOND_NS
    return Frame(MACHINE, AWKWARD, (time_ns,), (tuple(float(at) for at in range(len(AWKWARD))),))


def test_no_two_channels_become_one_column_whatever_they_are_called(tmp_path: Path) -> None:
    names = [column_name(name) for name in AWKWARD]
    assert len({*names, TIMESTAMP, recording.LABEL}) == len(AWKWARD) + 2
    assert [channel_name(name) for name in names] == list(AWKWARD)
    found = archive(tmp_path)
    for number in range(9):  # enough to be merged
        found.take_frames([awkward(number)], number=number + 1)
    found.tidy(today=DAY + 1, reserved_bytes=0)
    (path,) = recording.find(tmp_path)
    table = recording.read(path)
    assert table.values.shape == (9, len(AWKWARD))
    by_name = dict(zip(table.channels, table.values[0], strict=True))
    assert [by_name[column_name(name)] for name in AWKWARD] == list(range(len(AWKWARD)))
