"""The detection benchmark: its baselines are causal, its sums are right, and it runs on a folder of one's own."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import RESULTS
from benchmarks.detection.baselines import BASELINES
from benchmarks.detection.datasets import Series, skab
from benchmarks.detection.measures import measure, pooled
from benchmarks.detection.methods import Outcome, ahead
from benchmarks.harness import results_page
from benchmarks.performance import page as performance_page
from edge_agent.recordings.tables import Recording

ROOT = Path(__file__).parents[2]


def machine(n_rows: int, seed: int = 0) -> np.ndarray:
    """Two channels that follow one load, with noise."""
    rng = np.random.default_rng(seed)
    load = np.convolve(rng.standard_normal(n_rows + 9), np.ones(10) / 3.2, mode="valid")
    return np.stack([load, -load], axis=1) + 0.2 * rng.standard_normal((n_rows, 2))


@pytest.mark.parametrize("name", list(BASELINES))
def test_a_baseline_finds_a_broken_machine_and_never_looks_ahead(name: str) -> None:
    rows = machine(900)
    rows[700:760] += np.array([6.0, 5.0]) * np.random.default_rng(1).standard_normal((60, 2))
    cut = rows[:720]
    scores = []
    for seen in (rows, cut):
        detector = BASELINES[name]()
        detector.fit(rows[:500])
        scores.append(detector.score(seen))
    assert scores[0].shape == (900,)
    assert scores[0][:720] == pytest.approx(scores[1], rel=1e-6)
    assert np.median(scores[0][705:760]) > np.quantile(scores[0][520:700], 0.9)


def test_the_aligned_score_is_the_mean_of_the_windows_that_cover_a_row() -> None:
    score = np.random.default_rng(0).random(200)
    expected = [score[at : at + 64].mean() for at in range(200)]
    assert ahead(score) == pytest.approx(expected)


def test_alarms_of_all_files_are_counted_as_one() -> None:
    label = np.zeros(300, np.int16)
    label[200:250] = 1
    alarm = np.zeros(300, bool)
    alarm[[110, 111, 120]] = True
    alarm[230:260] = True
    recording = Recording(
        name="m", channels=("a",), times_ns=None, values=np.zeros((300, 1), np.float32), label=label
    )
    score = np.zeros(300)
    figures = measure(Series(recording, 100, 100), Outcome(score, score, alarm)) | {"cpu_s": 0.0}
    told = pooled([figures, figures])
    hits, false, missed = 2 * 20, 2 * (3 + 10), 2 * 30
    assert told["f1"] == pytest.approx(2 * hits / (2 * hits + false + missed), abs=1e-4)
    assert told["far_percent"] == pytest.approx(100 * false / (2 * 150), abs=0.01)
    assert told["mar_percent"] == pytest.approx(60.0)
    assert told["event_recall"] == 1.0
    assert told["median_delay_s"] == 30.0


def test_a_turn_moves_the_judged_rows_alone(tmp_path: Path) -> None:
    lines = ["a,b,label"] + [f"{n},{-n},{int(500 <= n < 550)}" for n in range(700)]
    (tmp_path / "skab").mkdir()
    (tmp_path / "skab/run.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "skab/index.csv").write_text("series_id,file,train_end\nrun,run.csv,400\n")
    (plain,), (turned,) = skab(tmp_path), skab(tmp_path, seed=3)
    before, after = plain.recording, turned.recording
    assert before.label is not None
    assert after.label is not None
    assert np.array_equal(before.values[:400], after.values[:400])
    assert not np.array_equal(before.values, after.values)
    assert np.array_equal(np.sort(after.values[:, 0]), before.values[:, 0])
    assert set(after.values[after.label > 0, 0].tolist()) == set(range(500, 550))


def test_it_measures_a_folder_of_ones_own(tmp_path: Path) -> None:
    rows = machine(1200, seed=2)
    rows[900:960, 0] += 8.0
    lines = ["flow,pressure,label"] + [f"{a},{b},{int(900 <= n < 960)}" for n, (a, b) in enumerate(rows)]
    (tmp_path / "press.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "index.csv").write_text("series_id,file,train_end\npress,press.csv,700\n")
    command = [sys.executable, "-m", "benchmarks.detection.run", "--data", str(tmp_path)]
    asked = [*command, "--out", str(tmp_path), "--methods", "edge-agent", "PCA T2 + SPE"]
    subprocess.run(asked, cwd=ROOT, check=True, capture_output=True)
    report = json.loads((tmp_path / "detection.json").read_text())
    ours = report["sets"][tmp_path.name]["edge-agent"]
    assert ours["event_recall"] == 1.0
    assert ours["vus_pr_aligned"] > 0.5
    assert "PCA T2 + SPE" in (tmp_path / "detection.md").read_text()
    assert (tmp_path / "detection.png").stat().st_size > 1000


def test_the_results_page_says_what_was_met_missed_and_never_measured(tmp_path: Path) -> None:
    assert results_page.page(tmp_path).count("not measured") > 5
    sets = {
        "TSB-AD-M": {
            "edge-agent": {"files": 24, "vus_pr_aligned": 0.70, "vus_pr_causal": 0.40},
            "edge-agent, random weights": {"files": 24, "vus_pr_aligned": 0.69},
            "edge-agent, no network": {"files": 24, "vus_pr_aligned": 0.65},
            "PCA T2 + SPE": {"files": 24, "vus_pr_aligned": 0.3, "vus_pr_causal": 0.2},
            "StreamVAE, as published": {"files": 24, "vus_pr_aligned": 0.472},
        }
    }
    (tmp_path / "detection.json").write_text(
        json.dumps({"date": "2026-01-01", "commit": "abc", "sets": sets})
    )
    lines = results_page.page(tmp_path).splitlines()
    (aligned,) = [line for line in lines if line.startswith("| TSB-AD-M, aligned")]
    (causal,) = [line for line in lines if line.startswith("| TSB-AD-M, causal")]
    (gain,) = [line for line in lines if line.startswith("| TSB-AD-M, pre-training")]
    assert "**met**" in aligned
    assert "StreamVAE, as published 0.472" in aligned
    assert "missed" in causal
    assert "+0.010; +0.050" in gain
    assert "missed" in gain


def test_the_published_pages_are_what_the_measured_files_say() -> None:
    assert results_page.page(RESULTS) == (ROOT / "docs/results.md").read_text()
    assert performance_page.page(RESULTS) == (ROOT / "docs/performance.md").read_text()


def test_a_page_of_nothing_promises_nothing(tmp_path: Path) -> None:
    page = performance_page.page(tmp_path)
    assert page.count("not measured") > 10
    assert "**met**" not in page
    assert "missed" not in page
