"""The diagnosis benchmark on a folder of one's own, and its parts against their definitions."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.diagnosis.kernel_transforms import competing_kernels, log_spectrum, pooled_kernels
from benchmarks.diagnosis.run import whole_units

ROOT = Path(__file__).parents[2]

CHANNELS = ("flow", "pressure", "vibration")


def folder_of_faults(folder: Path) -> Path:
    """Two faults on four machines each, normal for 300 rows; a third fault that only one machine ever had."""
    rng = np.random.default_rng(0)
    index = [("leak", f"m{n}") for n in range(4)] + [("rough", f"m{n}") for n in range(4)] + [("rare", "m9")]
    lines = ["series_id,file,train_end,fault,machine"]
    for number, (fault, machine) in enumerate(index):
        rows = rng.normal(10.0, 1.0, (700, 3))
        if fault == "leak":
            rows[300:, 1] -= 3.0
        if fault == "rough":
            rows[300:, 2] += 3.0 * rng.standard_normal(400)
        with (folder / f"s{number}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*CHANNELS, "spare", "label"])
            writer.writerows([*row, "7", int(at >= 300)] for at, row in enumerate(rows.tolist()))
        lines.append(f"s{number},s{number}.csv,300,{fault},{machine}")
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    return folder


def run(data: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "benchmarks.diagnosis.run",
        "--data",
        str(data),
        "--out",
        str(out),
    ]
    return subprocess.run(
        [*command, *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_folder_of_ones_own_is_measured_beside_a_baseline(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    data, out = folder_of_faults(tmp_path / "mine"), tmp_path / "out"
    methods = ("--methods", "edge-agent", "logistic regression, statistics", "--draws", "2")
    done = run(
        data, out, "--class-column", "fault", "--unit-column", "machine", "--exclude", "spare", *methods
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((out / "diagnosis.json").read_text())["sets"]["mine"]
    assert found["size"].startswith("2 classes, 8 units")  # what one machine has cannot be tested on another
    assert "of 3 channels" in found["size"]
    assert found["methods"]["edge-agent"]["1"]["macro_f1"]["mean"] > 0.9
    assert set(found["label_efficiency"]) == {"logistic regression, statistics"}
    assert "## mine" in (out / "diagnosis.md").read_text()
    assert (out / "diagnosis.png").stat().st_size > 1000


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run(
        folder_of_faults(tmp_path), tmp_path / "out", "--class-column", "fault", "--unit-column", "well"
    )
    assert done.returncode != 0
    assert "has no column well" in done.stderr


def test_a_whole_unit_is_the_weighted_mean_of_its_windows_logarithms() -> None:
    probability = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    known = np.array([0.99, 0.49, 0.29])
    pooled, mean_known, first = whole_units(probability, known, np.array([7, 7, 3]))
    odds = (0.9 / 0.1) ** (1.0 / 1.5) * (0.4 / 0.6) ** (0.5 / 1.5)
    assert pooled[1, 0] / pooled[1, 1] == pytest.approx(odds)
    np.testing.assert_allclose(pooled[0], [0.2, 0.8])
    np.testing.assert_allclose(mean_known, [0.29, 0.74])
    assert first.tolist() == [2, 0]


def test_pooled_kernels_are_shares_and_means_of_what_exceeds_a_quantile() -> None:
    series = np.random.default_rng(0).normal(size=(6, 150)).astype(np.float32)
    features = pooled_kernels(series, n_train=4, seed=0)
    assert features.shape == (6, 84 * 74 * 2)
    share, mean = features[:, ::2], features[:, 1::2]
    assert share.min() >= 0
    assert share.max() <= 1
    assert 0.4 < share.mean() < 0.6  # biases are quantiles that fill (0, 1) evenly
    assert mean.min() >= 0
    twice = pooled_kernels(2 * series, n_train=4, seed=0)
    np.testing.assert_allclose(twice[:, ::2], share, atol=1e-6)  # biases follow the scale
    np.testing.assert_allclose(twice[:, 1::2], 2 * mean, rtol=1e-3, atol=1e-3)


def test_every_moment_has_one_loser_among_rival_kernels() -> None:
    series = np.random.default_rng(1).normal(size=(3, 120)).astype(np.float32)
    features = competing_kernels(series, seed=0)
    first = features[:, : 2 * 32 * 8] ** 2  # dilation 1, the series itself: strengths, then counts
    counts = first[:, 32 * 8 :].reshape(3, 32, 8)
    np.testing.assert_allclose(counts.sum(axis=2), 120, rtol=1e-5)


def test_the_log_spectrum_of_a_tone_is_highest_at_the_tone() -> None:
    tone = np.sin(2 * np.pi * 0.2 * np.arange(500))[None].astype(np.float32)
    assert log_spectrum(tone, segment=250)[0].argmax() == 50
