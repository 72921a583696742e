"""Recordings as a stream: the windows of memory where they fit, bounded where they do not, dealt out whole."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from edge_trainer.data import pieces, shuffle_buffer, windows
from edge_trainer.data.pieces import Piece
from edge_trainer.data.windows import Draw, Signals
from edge_trainer.training import parallel
from edge_trainer.training.loop import NETWORK, load_network

from edge_agent.errors import RecordingError, TrainingError
from edge_agent.recordings import shards, tables
from tests.support.torchrun import ROOT, torchrun
from tests.trainer.data.streaming import settings, streamed

CHANNELS = 4


def write(folder: Path, machine: str, day: int, *, rows: int, group_rows: int = 1 << 20) -> Path:
    """A table as the recorder leaves it: channel c of day d begins at 1000 (10 c + d) and counts up; the last rests."""
    path = folder / f"machine={machine}/day=2026-11-{day:02d}/rows-0000000001-0000000001.parquet"
    path.parent.mkdir(parents=True)
    columns = {f"c{at}": np.arange(rows, dtype=np.float32) + 1000 * (10 * at + day) for at in range(CHANNELS)}
    columns[f"c{CHANNELS - 1}"][:] = 5.0
    told = {"series": json.dumps({"machine": machine, "channels": list(columns)})}
    pq.write_table(pa.table(columns).replace_schema_metadata(told), path, row_group_size=group_rows)
    return path


@pytest.fixture
def hall(tmp_path: Path) -> Path:
    """Three machines, one with two days; 12,800 values that move in 4 files."""
    write(tmp_path, "pump-1", 1, rows=900)
    write(tmp_path, "pump-1", 2, rows=700, group_rows=250)
    write(tmp_path, "pump-2", 1, rows=800)
    write(tmp_path, "fan-1", 1, rows=50)
    return tmp_path


def cells(parts: tuple[Piece, ...]) -> set[tuple[str, int, str, int]]:
    """(file, row group, channel, row) of each value."""
    found = [
        (str(piece.path), piece.groups[0], name, row)
        for piece in parts
        for name in piece.channels
        for row in range(piece.first, piece.first + piece.rows)
    ]
    assert len(found) == len(set(found))
    return set(found)


def as_process(monkeypatch: pytest.MonkeyPatch, *, rank: int, count: int) -> None:
    monkeypatch.setattr(parallel, "rank", lambda: rank)
    monkeypatch.setattr(parallel, "count", lambda: count)
    monkeypatch.setattr(
        shuffle_buffer,
        "_places",
        lambda found, seed: {file.machine: pieces.places([file], seed=seed) for file in found},
    )


def held_in_memory(folder: Path) -> Signals:
    """The plain way: read all, put end to end."""
    items = [item for item in windows.read_all(folder, ["."]) if len(item.values) >= 40]
    return windows.joined([windows.signals_of_rows(item.values.T[:-1], kind="recording") for item in items])


def test_what_fits_gives_the_batches_of_arrays_in_memory(hall: Path) -> None:
    plan = shuffle_buffer.plan(settings(hall), held_out_share=0.1)
    (found,) = streamed(plan).signals_at(0)
    expected, held_out = windows.split_signals(held_in_memory(hall), held_out_share=0.1, seed=0)
    machine_wide = windows.read_all(hall, ["machine=pump-1"])
    location, scale = windows.robust_place(np.concatenate([day.values[:, 0] for day in machine_wide]))
    at = [len(signal) for signal in stretches(found)].index(900)
    assert (found.location[at], found.scale[at]) == (np.float32(location), np.float32(scale))
    draw = Draw(32, memory=(8, 5), jitter=0.0)
    for mine, plain in ((found, expected), (pieces.signals(plan.held_out), held_out)):
        batches = [
            windows.draw_batch([(1.0, signals)], draw, count=40, rng=np.random.default_rng(3))[0]
            for signals in (mine, plain)
        ]
        for name in ("window", "near", "present", "memory"):
            assert getattr(batches[0], name).equal(getattr(batches[1], name)), name


def stretches(signals: Signals) -> list[np.ndarray]:
    return [
        signals.values[start : start + length]
        for start, length in zip(signals.starts, signals.lengths, strict=True)
    ]


def test_a_machine_has_one_place_over_all_its_files_and_resting_channels_none(hall: Path) -> None:
    files = [shards.survey(path) for path in tables.find(hall / "machine=pump-1")]
    found = pieces.places(files, seed=0)
    both = np.concatenate([tables.read(file.path).values for file in files])
    assert found == {f"c{at}": windows.robust_place(both[:, at]) for at in range(CHANNELS - 1)}


def test_places_from_a_sample_are_near_those_of_all_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = 60_000
    rng = np.random.default_rng(0)
    cycle = 20.0 + np.arange(rows) % 10  # every tenth row alone would see one level of ten
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"heat": (cycle + rng.normal(size=rows)).astype(np.float32)}), path)
    monkeypatch.setattr(pieces, "_SAMPLE_VALUES", 6000)
    (found,) = pieces.places([shards.survey(path)], seed=0).values()
    location, scale = windows.robust_place(tables.read(path).values[:, 0])
    assert found[0] == pytest.approx(location, abs=0.2)
    assert found[1] == pytest.approx(scale, rel=0.05)
    assert found != (location, scale)


@pytest.mark.parametrize("most_values", [40, 100, 250, 1000, 2000, 100_000])
def test_pieces_hold_each_value_once_and_no_more_than_asked(hall: Path, most_values: int) -> None:
    for path in tables.find(hall / "machine=pump-1"):
        file = shards.survey(path)
        known = pieces.places([file], seed=0)
        parts = tuple(pieces.cut(file, known, least_rows=40, most_values=most_values))
        assert all(piece.values <= max(most_values, 2 * 40) and piece.rows >= 40 for piece in parts)
        found = pieces.signals(parts)
        whole = tables.read(path).values[:, : CHANNELS - 1]
        assert np.array_equal(np.sort(found.values), np.sort(whole.ravel()))
        assert all(
            (np.diff(signal) == 1).all() for signal in stretches(found)
        )  # rows in their order, one channel


def test_two_processes_read_what_the_other_does_not_and_all_together(
    hall: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = []
    for rank in (0, 1):
        as_process(monkeypatch, rank=rank, count=2)
        plans.append(shuffle_buffer.plan(settings(hall), held_out_share=0.1))
    first, second = (cells(plan.own) for plan in plans)
    assert first
    assert second
    assert not first & second
    assert plans[0].held_out == plans[1].held_out
    held_out = cells(plans[0].held_out)
    assert not held_out & (first | second)
    assert len(first | second | held_out) == (900 + 700 + 800 + 50) * (CHANNELS - 1)


def test_even_one_file_is_dealt_out_and_too_little_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "pump-1", 1, rows=400)
    as_process(monkeypatch, rank=1, count=2)
    assert shuffle_buffer.plan(settings(tmp_path), held_out_share=0.1).own
    as_process(monkeypatch, rank=1, count=40)
    with pytest.raises(TrainingError, match="pieces of recordings for 40 processes"):
        shuffle_buffer.plan(settings(tmp_path), held_out_share=0.1)


def parts_of(count: int, *, rows: int = 100) -> list[Piece]:
    return [Piece(Path(f"{at}.parquet"), (0, 1), 0, rows, ("c0",), ((0.0, 1.0),)) for at in range(count)]


def test_slices_go_through_everything_again_and_again_in_another_order() -> None:
    own = parts_of(40)
    found = shuffle_buffer.slices(own, slice_values=450, seed=1, rank=0)
    names = [piece.path.stem for piece in itertools.chain.from_iterable(itertools.islice(found, 30))]
    times = [names[:40], names[40:80], names[80:]]
    assert [sorted(time, key=int) for time in times] == [[str(at) for at in range(40)]] * 3
    assert times[0] != times[1] != times[2]


def test_slices_keep_their_bound_and_follow_from_seed_and_process() -> None:
    own = [piece for rows in (10, 80, 100, 45) for piece in parts_of(20, rows=rows)]

    def drawn(seed: int, rank: int) -> list[tuple[Piece, ...]]:
        return list(itertools.islice(shuffle_buffer.slices(own, slice_values=200, seed=seed, rank=rank), 50))

    assert all(sum(piece.values for piece in part) <= 200 for part in drawn(0, 0))
    assert drawn(0, 0) == drawn(0, 0)
    assert drawn(0, 0) != drawn(0, 1)
    assert drawn(0, 0) != drawn(1, 0)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """4 million values that move: 16 MB, in row groups of 65,536 rows."""
    for machine, day in itertools.product(("a", "b"), (1, 2, 3)):
        write(tmp_path / "large", machine, day, rows=222_000, group_rows=65_536)
    return tmp_path / "large"


def fingerprints(there: shuffle_buffer.Stream, steps: range) -> list[list[float]]:
    return [[float(part.values.sum(dtype=np.float64)) for part in there.signals_at(step)] for step in steps]


def test_what_does_not_fit_slides_through_and_a_resumed_run_finds_the_same(large: Path) -> None:
    plan = shuffle_buffer.plan(settings(large, buffer_bytes=4_000_000), held_out_share=0.1)
    there = streamed(plan)
    assert not there.whole
    seen = fingerprints(there, range(12))
    assert all(len(parts) == 8 for parts in seen)
    assert seen[1][:-1] == seen[0][1:]
    assert seen[1][-1] != seen[0][-1]
    assert fingerprints(streamed(plan), range(7, 12)) == seen[7:]
    assert fingerprints(there, range(2, 4)) == seen[2:4]  # back again
    assert all(
        4 * sum(len(part.values) for part in there.signals_at(step)) <= 3_200_000 for step in range(12)
    )


@pytest.mark.slow
def test_readers_change_nothing(large: Path) -> None:
    plan = shuffle_buffer.plan(settings(large, buffer_bytes=4_000_000), held_out_share=0.1)
    assert fingerprints(streamed(plan, readers=2), range(6)) == fingerprints(streamed(plan), range(6))


def run_alone(folder: Path, out: Path, *, buffer_bytes: int, steps: int) -> dict[str, Any]:
    command = ["tests/trainer/data/streaming.py", str(folder), str(buffer_bytes), str(steps), str(out)]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT}/trainer"}
    subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, check=True)
    seen: dict[str, Any] = json.loads((out.parent / f"0-{out.name}").read_text(encoding="utf-8"))
    return seen


@pytest.mark.slow
def test_memory_stays_bounded_whatever_the_recordings_hold(tmp_path: Path) -> None:
    folder = tmp_path / "large"
    for machine, day in itertools.product("abcd", range(1, 5)):
        write(folder, machine, day, rows=700_000)  # 134 MB of values that move, in one row group each
    seen = run_alone(folder, tmp_path / "bounded", buffer_bytes=8_000_000, steps=180)
    assert seen["values"] > 0.9 * 16 * 700_000 * (CHANNELS - 1)  # all of it went by
    assert 0 < 4 * seen["held_out_values"] <= 800_000
    whole = run_alone(folder, tmp_path / "whole", buffer_bytes=1_000_000_000, steps=1)
    assert whole["grown_bytes"] > 120_000_000
    assert (
        seen["grown_bytes"] < whole["grown_bytes"] / 2
    )  # what libraries take for themselves varies by megabytes


@pytest.mark.slow
def test_two_processes_share_the_looking_through_and_the_pieces(large: Path, tmp_path: Path) -> None:
    torchrun("tests/trainer/data/streaming.py", str(large), "4000000", "5", str(tmp_path / "seen"))
    first, second = (json.loads((tmp_path / f"{rank}-seen").read_text(encoding="utf-8")) for rank in (0, 1))
    alone = run_alone(large, tmp_path / "alone", buffer_bytes=4_000_000, steps=1)
    assert not set(first["own"]) & set(second["own"])
    assert set(first["own"]) | set(second["own"]) == set(alone["own"])  # places included
    assert first["held_out"] == second["held_out"] == alone["held_out"]


@pytest.mark.slow
def test_two_processes_pretrain_on_more_than_fits(large: Path, tmp_path: Path) -> None:
    told = {
        "run.out": tmp_path / "run", "run.data": large, "pretrain.recordings": ["."],
        "pretrain.architecture": "dense", "pretrain.window_rows": 32, "pretrain.embedding_dim": 16,
        "pretrain.plant_share": 0.0, "pretrain.synthetic_share": 0.0, "pretrain.steps": 4,
        "pretrain.batch_windows": 4096, "pretrain.buffer_bytes": 2_000_000, "pretrain.readers": 1,
    }  # fmt: skip
    torchrun("-m", "edge_trainer", "pretrain", *(f"--set={name}={value}" for name, value in told.items()))
    _, facts = load_network(tmp_path / "run/pretrain" / NETWORK)
    assert facts["measures"]["steps"] == 4
    assert "streamed" in facts["data"][0]


def test_recordings_without_a_channel_that_moves_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("heat\n" + "7\n" * 100, encoding="utf-8")
    with pytest.raises(TrainingError, match="no recording has a moving channel and 40 rows"):
        shuffle_buffer.plan(settings(tmp_path), held_out_share=0.1)
    (tmp_path / "a.csv").write_text("heat\n1\n2\n", encoding="utf-8")
    with pytest.raises(TrainingError, match="no recording has a moving channel and 40 rows"):
        shuffle_buffer.plan(settings(tmp_path), held_out_share=0.1)


def test_a_recording_that_goes_away_is_named(large: Path) -> None:
    plan = shuffle_buffer.plan(settings(large, buffer_bytes=4_000_000), held_out_share=0.1)
    there = streamed(plan)
    there.signals_at(0)
    for path in tables.find(large):
        path.unlink()
    with pytest.raises(RecordingError, match="no such file"):
        there.signals_at(9)
