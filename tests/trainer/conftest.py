"""A small machine with two faults, as recordings on disk, and a run configuration that trains in seconds."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_trainer import config
from edge_trainer.bundle import export
from edge_trainer.training import calibrate, finetune, pretrain
from numpy.typing import NDArray

CHANNELS = ("speed", "pressure", "heat")


def machine_rows(rng: np.random.Generator, *, rows: int, fault: int) -> NDArray[np.float32]:
    """[R, 3]: pressure follows speed; fault 1 breaks that, fault 2 lifts the heat."""
    speed = np.sin(np.arange(rows) * 0.2 + rng.uniform(0, 6)) + 0.1 * rng.standard_normal(rows)
    pressure = (-speed if fault == 1 else speed) + 0.1 * rng.standard_normal(rows)
    heat = 20.0 + (6.0 if fault == 2 else 0.0) + rng.standard_normal(rows)
    return np.stack([speed, pressure, heat], axis=1).astype(np.float32)


def write_csv(path: Path, values: NDArray[np.float32], label: NDArray[np.int16] | None = None) -> None:
    lines = [",".join([*CHANNELS, *([] if label is None else ["label"])])]
    for number, row in enumerate(values):
        cells = [f"{value:.5f}" for value in row]
        lines.append(",".join([*cells, *([] if label is None else [str(int(label[number]))])]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_recordings(folder: Path) -> Path:
    """Three runs a class: normal_0.csv …, fault1_0.csv …, each of 160 rows; calm.csv with 600."""
    folder.mkdir()
    rng = np.random.default_rng(3)
    for fault in (0, 1, 2):
        for number in range(3):
            values = machine_rows(rng, rows=160, fault=fault)
            name = f"fault{fault}" if fault else "normal"
            write_csv(folder / f"{name}_{number}.csv", values, np.full(160, fault, np.int16))
    write_csv(folder / "calm.csv", machine_rows(rng, rows=600, fault=0), np.zeros(600, np.int16))
    return folder


def tiny_config(root: Path) -> config.Config:
    """Seconds instead of minutes: a dense network, windows of 32 rows, few steps."""
    overrides: list[tuple[str, Any]] = [
        ("run.out", root / "run"),
        ("run.data", root / "recordings"),
        ("run.name", "tiny"),
        ("run.created", "2026-01-02T03:04:05+00:00"),
        ("run.command", "edge-trainer fit"),
        ("pretrain.architecture", "dense"),
        ("pretrain.window_rows", 32),
        ("pretrain.embedding_dim", 16),
        ("pretrain.recordings", ["normal_*.csv"]),
        ("pretrain.plant_share", 0.0),
        ("pretrain.synthetic_signals", 60),
        ("pretrain.signal_rows", 128),
        ("pretrain.steps", 30),
        ("pretrain.batch_windows", 16),
        ("finetune.recordings", ["normal_*.csv", "fault*.csv"]),
        ("finetune.names", {1: "slipping", 2: "hot"}),
        ("finetune.steps", 150),
        ("finetune.learning_rate", 3e-3),
        ("finetune.validate_steps", 20),
        ("calibrate.recordings", ["calm.csv"]),
        ("evaluate.recordings", ["onset_?.csv", "normal_0.csv"]),
    ]
    return config.load(None, overrides)


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    return write_recordings(tmp_path / "recordings")


@pytest.fixture
def tiny(tmp_path: Path, recordings: Path) -> config.Config:
    assert recordings.parent == tmp_path
    return tiny_config(tmp_path)


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with recordings and a run of all stages but evaluation; not to be written to."""
    root = tmp_path_factory.mktemp("trained")
    write_recordings(root / "recordings")
    rng = np.random.default_rng(4)
    for fault in (1, 2):
        before, after = (machine_rows(rng, rows=400, fault=which) for which in (0, fault))
        label = np.repeat(np.array([0, fault], np.int16), 400)
        write_csv(root / "recordings" / f"onset_{fault}.csv", np.concatenate([before, after]), label)
    given = tiny_config(root)
    for stage in (pretrain.run, finetune.run, export.run, calibrate.run):
        stage(given)
    return root


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> config.Config:
    """A copy of that run."""
    shutil.copytree(trained_once, tmp_path / "copy")
    return tiny_config(tmp_path / "copy")
