"""Recordings joined with what was wrong when become runs that the other stages read."""

from pathlib import Path

import numpy as np
import pytest
from edge_trainer.data import join_labels, labelled_windows, windows

from edge_agent.diagnose.fault_library import Case, FaultLibrary
from edge_agent.errors import TrainingError, UsageError
from edge_agent.recordings import tables
from edge_agent.recordings.archive import Archive
from edge_agent.records import Frame
from edge_agent.store import fault_library

SECOND_NS = 1_000_000_000
START_S = 1_600_000_000


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Rows 0 to 999 of pump-1, without 400 to 499: it stood still."""
    rows = [row for row in range(1000) if not 400 <= row < 500]
    times = [(START_S + row) * SECOND_NS for row in rows]
    recorded = Archive(tmp_path / "recordings", disk_bytes=10**9)
    recorded.open()
    recorded.take_frames(
        [Frame("pump-1", ("flow", "heat"), times, [(row, row % 7) for row in rows])], number=1
    )
    return tmp_path / "recordings"


def table(path: Path, *rows: tuple[str, int, int, str]) -> Path:
    lines = [f"{machine},{START_S + start},{START_S + end},{fault}" for machine, start, end, fault in rows]
    path.write_text("\n".join(["machine,start,end,fault", *lines]))
    return path


def labels(folder: Path) -> dict[int, int]:
    """Row -> label, read as the trainer reads it."""
    found: dict[int, int] = {}
    for path in tables.find(folder):
        run = tables.read(path)
        assert run.label is not None
        for flow, number in zip(run.values[:, run.channels.index("flow")], run.label, strict=True):
            assert int(flow) not in found
            found[int(flow)] = int(number)
    return found


def test_every_row_is_labelled_by_the_interval_that_it_lies_in(recorded: Path, tmp_path: Path) -> None:
    failures = table(tmp_path / "f.csv", ("pump-1", 100, 150, "leak"), ("pump-1", 600, 640, 'a "wear"'))
    joined = join_labels.run(recorded, out=tmp_path / "out", failures=failures, state_dirs=(), margin_s=0.0)
    assert joined.names == {1: 'a "wear"', 2: "leak"}
    assert labelled_windows.read_names(tmp_path / "out" / join_labels.NAMES) == joined.names
    found = labels(tmp_path / "out")
    expected = {
        row: 2 * (100 <= row < 150) + (600 <= row < 640) for row in range(1000) if not 400 <= row < 500
    }
    assert found == expected
    assert (joined.rows, joined.labelled_rows) == (900, 90)


def test_no_run_bridges_a_pause_or_holds_two_faults(recorded: Path, tmp_path: Path) -> None:
    failures = table(tmp_path / "f.csv", ("pump-1", 100, 150, "leak"), ("pump-1", 200, 250, "wear"))
    join_labels.run(recorded, out=tmp_path / "out", failures=failures, state_dirs=(), margin_s=0.0)
    runs = windows.read_all(tmp_path / "out", ["."])
    assert len(runs) == 3
    for run in runs:
        assert run.label is not None
        assert run.times_ns is not None
        assert len(np.unique(run.label[run.label > 0])) <= 1
        assert np.diff(run.times_ns).max() == SECOND_NS


def test_rows_near_an_interval_can_be_left_out(recorded: Path, tmp_path: Path) -> None:
    failures = table(tmp_path / "f.csv", ("pump-1", 100, 150, "leak"))
    join_labels.run(recorded, out=tmp_path / "out", failures=failures, state_dirs=(), margin_s=20.0)
    found = labels(tmp_path / "out")
    assert not found.keys() & {*range(80, 100), *range(150, 170)}
    assert [row for row, number in found.items() if number] == list(range(100, 150))


def test_alarms_that_operators_named_are_intervals_too(recorded: Path, tmp_path: Path) -> None:
    times = [(START_S + at) * SECOND_NS for at in (700, 720)]
    case = Case("a-1", "leak", ("flow",), np.ones((1, 1, 8), np.float32), *times)
    unknown = Case("a-0", "old", ("flow",), np.ones((1, 1, 8), np.float32))
    fault_library.save(tmp_path / "state", FaultLibrary("pump-1", (case, unknown)))
    joined = join_labels.run(
        recorded, out=tmp_path / "out", failures=None, state_dirs=[tmp_path / "state"], margin_s=0.0
    )
    assert joined.names == {1: "leak"}
    assert [row for row, number in labels(tmp_path / "out").items() if number] == list(range(700, 721))


def test_what_matches_nothing_is_said(recorded: Path, tmp_path: Path) -> None:
    failures = table(tmp_path / "f.csv", ("pump-2", 1, 2, "leak"), ("pump-1", 410, 490, "leak"))
    with pytest.raises(TrainingError, match="no interval covers"):
        join_labels.run(recorded, out=tmp_path / "out", failures=failures, state_dirs=(), margin_s=0.0)
    failures = table(tmp_path / "f.csv", ("pump-2", 1, 2, "leak"), ("pump-1", 1, 9, "leak"))
    joined = join_labels.run(recorded, out=tmp_path / "out", failures=failures, state_dirs=(), margin_s=0.0)
    assert [one.machine for one in joined.unmatched] == ["pump-2"]
    with pytest.raises(UsageError, match="not empty"):
        join_labels.run(recorded, out=tmp_path / "out", failures=failures, state_dirs=(), margin_s=0.0)
    with pytest.raises(TrainingError, match="nothing to label with"):
        join_labels.run(recorded, out=tmp_path / "other", failures=None, state_dirs=(), margin_s=0.0)
