"""Shards: made once, whole or not at all, the same from the same seed, refused where they are of another version."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edge_trainer.in_context import corpus, episodes
from edge_trainer.in_context.corpus import Plan
from edge_trainer.in_context.look import VERSION, Look
from edge_trainer.in_context.machines import families
from edge_trainer.in_context.machines.machine import MachineRows
from numpy.typing import NDArray

from edge_agent.errors import RecordingError, TrainingError
from tests.trainer.in_context.corpora import PoolInThisProcess, toy_family


def seen(made: MachineRows, ends: NDArray[np.int64]) -> Look:
    W, C = len(ends), made.values.shape[1]
    channels = made.values[ends - 1][..., None].repeat(4, axis=2)
    return Look(
        channels,
        np.full((W, 2), 1e9, np.float32),
        np.ones((W, C), np.bool_),
        np.ones((W, 2), np.float32),
        np.ones(W, np.float32),
    )


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setattr(episodes, "look", seen)
    monkeypatch.setattr(families, "_simulated", lambda: (toy_family(),))
    return Plan(folder=tmp_path, data=None, seed=3, shard_episodes=4, windows=48, version=VERSION)


def test_a_shard_follows_from_its_number(plan: Plan) -> None:
    told = corpus.write_shard(plan, "training", 7)
    assert told.startswith("training 7: ")
    first = plan.path("training", 7).read_bytes()
    plan.path("training", 7).unlink()
    corpus.write_shard(plan, "training", 7)
    assert plan.path("training", 7).read_bytes() == first
    corpus.write_shard(plan, "training", 8)
    assert plan.path("training", 8).read_bytes() != first


def test_what_is_read_is_what_was_made(plan: Plan) -> None:
    for number in (0, 1):
        corpus.write_shard(plan, "training", number)
    known = corpus.read(plan, "training")
    n_windows = len(known.label)
    assert len(known.family) == known.episode.max() + 1
    assert known.counts.sum() == len(known.channels) == len(known.guilty)
    assert len(known.weight) == len(known.what) == len(known.machine) == n_windows
    assert 0.1 < known.label.mean() < 0.6
    assert set(known.what[~known.label]) == {"calm"}
    of_window = np.repeat(np.arange(n_windows), known.counts)
    assert not known.guilty[~known.label[of_window]].any()
    assert np.isfinite(known.machine.astype(np.float32)).all(), "bounded, not infinite"


def test_chosen_episodes(plan: Plan) -> None:
    corpus.write_shard(plan, "training", 0)
    known = corpus.read(plan, "training")
    chosen = np.arange(len(known.family)) == 2
    part = corpus.only(known, chosen)
    assert len(part.family) == 1
    assert (part.episode == 0).all()
    mine = known.episode == 2
    np.testing.assert_array_equal(part.label, known.label[mine])
    np.testing.assert_array_equal(part.channels, known.channels[np.repeat(mine, known.counts)])


def test_other_versions_and_broken_shards_are_refused(plan: Plan) -> None:
    with pytest.raises(TrainingError, match="holds no shards"):
        corpus.read(plan, "training")
    corpus.write_shard(plan, "training", 0)
    with pytest.raises(TrainingError, match="another version"):
        corpus.read(replace(plan, version="older"), "training")
    plan.path("training", 0).write_bytes(b"half a shard")
    with pytest.raises(TrainingError, match="is no shard"):
        corpus.read(plan, "training")


def test_what_is_there_is_not_made_again(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "ProcessPoolExecutor", PoolInThisProcess)
    wanted = [("training", 0), ("training", 1), ("held out", 0)]
    corpus.write_shard(plan, "training", 1)
    written = plan.path("training", 1).stat().st_mtime_ns
    leftover = plan.path("training", 0).with_name(".shard-00000.npz.1.partial")
    leftover.write_bytes(b"a process died here")
    lines: list[str] = []
    assert corpus.make(plan, wanted, jobs=2, minutes=1.0, report=lines.append) == 0  # type: ignore[arg-type]
    assert lines[0] == "1 of 3 shards are there"
    assert len(lines) == 3
    assert plan.path("training", 1).stat().st_mtime_ns == written
    assert len(corpus.read(plan, "training").family) > 4


def test_an_error_of_another_process_says_which_shard(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object, split: str, *, windows: int) -> None:
        raise RecordingError(Path("set"), f"no recording is long enough for {split}, {windows}")

    monkeypatch.setattr(episodes, "make", broken)
    with pytest.raises(TrainingError, match="training 4: set: no recording"):
        corpus._written(plan, "training", 4)


def test_when_the_time_is_up_nothing_is_begun(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "ProcessPoolExecutor", PoolInThisProcess)
    assert corpus.make(plan, [("training", 0)], jobs=1, minutes=0.0, report=print) == 1
    assert not plan.path("training", 0).exists()
