"""The few-minutes benchmark: its plants are calm where they should be, its sums are right, it runs as asked."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.detection.networks import AGENT, LEFT_OUT, NO_NETWORK, RANDOM
from benchmarks.few_minutes.alarms import (
    LEVELS,
    UNSCORED,
    Alarms,
    Scored,
    calm_windows,
    pointed,
    ranked,
    swept,
    tally,
    triggered,
)
from benchmarks.few_minutes.figures import gained, summarised
from benchmarks.few_minutes.methods import methods, on_gateway
from benchmarks.few_minutes.plants import AFTER_ROWS, CALM_ROWS, HOP_ROWS, Plant, Spec, simulated, specs
from benchmarks.harness import results_page
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from simulator import Injection
from tests.support import tiny
from tests.support.tiny_judge import TinyJudge

ROOT = Path(__file__).parents[2]
LEARNT, FIRST, SECOND = 600, 2000, 6000
ROWS = 9000
ON_DELAY_WINDOWS = 6
"""The agent's: a minute, but at most six windows, of which there is one in five seconds."""


def plant() -> Plant:
    """Two faults of ten minutes each, of which the first shows in channel 1, the second in channel 0."""
    faults = tuple(Injection("leak", start, 0, 1.0, start + 600) for start in (FIRST, SECOND))
    rows = np.zeros((ROWS, 2), np.float32)
    return Plant(Spec("pump", 0, LEARNT), ("flow", "pressure"), rows, faults, ((1,), (0,)))


def window_of(row: int) -> int:
    """The first window whose newest row is this one or later."""
    return int(np.searchsorted(plant().ends, row, side="right"))


def said(*loud: tuple[int, int], guilty: int = 1) -> Scored:
    """Scores of 2 in these rows, of .2 elsewhere; the newest rows say the same."""
    value = np.full(len(plant().ends), 0.2)
    for first, last in loud:
        value[window_of(first) : window_of(last)] = 2.0
    shares = np.zeros((len(value), 2))
    shares[:, guilty] = 1.0
    return Scored(value, value, shares)


def test_a_plant_is_calm_until_its_faults_and_has_each_once_whatever_it_is_learnt_from() -> None:
    short, long = (simulated(Spec("press", 3, rows)) for rows in (600, 3600))
    for made in (short, long):
        learnt = made.spec.learnt_rows
        assert made.faults[0].start_row == learnt + CALM_ROWS
        assert all(
            b.start_row - (a.end_row or 0) == 1500 for a, b in zip(made.faults, made.faults[1:], strict=False)
        )
        assert len({fault.fault for fault in made.faults}) == len(made.faults) == len(made.guilty)
        assert made.ends[0] == learnt + HOP_ROWS
        assert made.ends[-1] == len(made.rows)
    assert [(one.fault, one.severity) for one in short.faults] == [
        (one.fault, one.severity) for one in long.faults
    ]
    assert all(short.guilty)


def test_the_kinds_take_turns_and_no_two_plants_share_a_seed() -> None:
    chosen = specs(("pump", "motor"), seeds=range(4), learnt_rows=600)
    assert [one.kind for one in chosen] == ["pump", "motor", "pump", "motor"]
    assert len({one.seed for one in chosen}) == 4


def test_a_fault_is_found_by_an_alarm_of_its_own_and_named_by_its_channel() -> None:
    told = tally(plant(), triggered(said((FIRST + 100, FIRST + 300)), window_rows=128))
    assert (told["faults"], told["found"], told["false_alarms"]) == (2, 1, 0)
    assert told["delays_s"] == [100 + ON_DELAY_WINDOWS * HOP_ROWS]
    assert (told["named"], told["right"]) == (1, 1)
    wrong = tally(plant(), triggered(said((FIRST + 100, FIRST + 300), guilty=0), window_rows=128))
    assert (wrong["named"], wrong["right"]) == (1, 0)


def test_an_alarm_that_was_open_before_finds_nothing() -> None:
    told = tally(plant(), triggered(said((FIRST - 100, FIRST + 300)), window_rows=128))
    assert (told["found"], told["false_alarms"]) == (0, 1)
    assert told["calm_in_alarm"] == 100 // HOP_ROWS - ON_DELAY_WINDOWS + 1


def test_what_follows_a_fault_counts_for_nobody() -> None:
    end = FIRST + 600
    late = tally(plant(), triggered(said((end + 100, end + 300)), window_rows=128))
    assert (late["found"], late["false_alarms"], late["calm_in_alarm"]) == (0, 0, 0)
    calm = tally(plant(), triggered(said((end + AFTER_ROWS + 50, end + AFTER_ROWS + 250)), window_rows=128))
    assert calm["false_alarms"] == 1
    assert calm_windows(plant()).sum() == (ROWS - LEARNT - 2 * (600 + AFTER_ROWS)) // HOP_ROWS


def test_a_plant_in_alarm_all_the_time_finds_nothing() -> None:
    told = tally(plant(), triggered(said((0, ROWS)), window_rows=128))
    assert (told["found"], told["false_alarms"]) == (0, 1)
    assert told["calm_in_alarm"] == told["calm_windows"] - ON_DELAY_WINDOWS + 1


def test_faulty_windows_are_ranked_before_calm_ones() -> None:
    assert ranked(plant(), said((FIRST, FIRST + 600), (SECOND, SECOND + 600)).value) == 1.0
    assert ranked(plant(), said((FIRST + 1600, FIRST + 2200)).value) < 0.3


def test_each_window_of_a_fault_points_at_a_channel() -> None:
    told = pointed(plant(), said((0, ROWS)))
    assert told == {"windows_right": 600 // HOP_ROWS, "windows_named": 2 * 600 // HOP_ROWS}
    scored = said((0, ROWS))
    assert scored.shares is not None
    nobody = Scored(scored.value, scored.recent, np.zeros_like(scored.shares))
    assert pointed(plant(), nobody)["windows_right"] == 0


def worth(scored: Scored) -> dict[str, Any]:
    told = tally(plant(), triggered(scored, window_rows=128))
    return told | {
        **pointed(plant(), scored),
        "average_precision": ranked(plant(), scored.value),
        "swept": swept(plant(), scored, window_rows=128),
    }


def test_figures_are_of_all_plants_and_their_intervals_of_whole_plants() -> None:
    good, bad = (
        worth(said((FIRST, FIRST + 600), (SECOND, SECOND + 600))),
        worth(said((FIRST + 1700, FIRST + 2000))),
    )
    alike = summarised([[good], [good]])
    assert alike["found"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    assert alike["hit_rate_1"]["mean"] == 0.5
    mixed = summarised([[good], [bad], [good], [bad]])
    assert mixed["found"]["mean"] == 0.5
    assert mixed["found"]["low"] < 0.5 < mixed["found"]["high"]
    hours = 2 * good["calm_windows"] * HOP_ROWS / 3600
    assert mixed["false_alarms_12h"]["mean"] == pytest.approx(12 / hours, abs=1e-4)
    assert mixed["without_false_alarm"]["mean"] == 0.5
    assert mixed["plants"] == 4
    gain = gained([[good]] * 3, [[bad]] * 3)
    assert gain["found"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    assert gained([[good], [bad]], [[good], [bad]])["found"]["high"] == 0.0


def test_draws_of_a_method_count_together() -> None:
    good, bad = (
        worth(said((FIRST, FIRST + 600), (SECOND, SECOND + 600))),
        worth(said((FIRST + 1700, FIRST + 2000))),
    )
    drawn = summarised([[good, bad]])
    assert (drawn["draws"], drawn["found"]["mean"], drawn["without_false_alarm"]["mean"]) == (2, 0.5, 0.5)


def test_a_moved_threshold_tells_a_good_score_from_a_bad_limit() -> None:
    scored = said((FIRST, FIRST + 600), (SECOND, SECOND + 600))
    value = np.where(scored.value > 1.0, 20.0, 5.0)
    low = worth(Scored(value, value, None))
    assert low["found"] == 0
    best = summarised([[low]])["found_at"]["1"]
    assert best["found"] == 1.0
    assert 5.0 < best["level"] < 20.0
    assert best["level"] in LEVELS


def test_what_gives_no_scores_is_not_moved() -> None:
    quiet = np.zeros(len(plant().ends), bool)
    told = tally(plant(), Alarms(quiet, np.empty(0, np.int64), None)) | UNSCORED
    row = summarised([[told]])
    assert row["found_at"] == {"1": None, "0.5": None}
    assert row["average_precision"] is None
    assert row["hit_rate_1"] is None
    assert row["median_delay_s"] is None


def test_where_a_judge_decides_none_and_random_ones_stand_beside_it(tmp_path: Path) -> None:
    deciding, silent = (
        on_gateway(
            Scorer.load(bundle.read(tiny.bundle(tmp_path / name, judge=judge, rows=128)), provider="cpu")
        )
        for name, judge in (("judge", TinyJudge()), ("none", None))
    )
    known = methods(deciding, left_out=silent)
    assert [len(known[name]) for name in (AGENT, LEFT_OUT, NO_NETWORK, RANDOM)] == [1, 1, 1, 3]
    assert not {LEFT_OUT, NO_NETWORK, RANDOM} & methods(silent).keys()
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((1200, 2)).astype(np.float32)
    rows[900:1100, 1] += 6.0
    broken = Plant(Spec("pump", 0, LEARNT), ("flow", "pressure"), rows, (), ())
    told = {name: [draw(broken) for draw in known[name]] for name in (AGENT, NO_NETWORK, RANDOM)}
    values = [said.value for draws in told.values() for said in draws if isinstance(said, Scored)]
    assert all(np.isfinite(value).all() and len(value) == len(broken.ends) for value in values)
    assert len({tuple(value.tolist()) for value in values}) == 5
    (ours,) = told[AGENT]
    assert isinstance(ours, Scored)
    assert ours.value[-60:-40].max() > 1.0 > np.median(ours.value[:50])


def test_the_results_page_holds_figures_against_the_goals(tmp_path: Path) -> None:
    def row(found: float, false: float, calm: float) -> dict[str, Any]:
        figures = {
            "found": found,
            "false_alarms_12h": false,
            "calm_in_alarm_percent": calm,
            "hit_rate_1": 0.7,
            "hit_rate_1_windows": 0.5,
        }
        return {name: {"mean": mean, "low": mean, "high": mean} for name, mean in figures.items()}

    assert results_page.page(tmp_path).count("| Learnt from ") == 8
    methods = {"edge-agent": row(0.6, 0.5, 0.2), "edge-agent, kind left out": row(0.6, 1.5, 0.2)}
    gain = {"average_precision": {"mean": 0.04, "low": 0.01, "high": 0.06}}
    gains = {
        "edge-agent, kind left out": {"edge-agent, random weights": gain, "edge-agent, no network": gain}
    }
    few = {
        "10": {"first kinds": {"methods": methods}},
        "60": {"first kinds": {"methods": methods, "gains": gains}},
    }
    (tmp_path / "few_minutes.json").write_text(json.dumps({"date": "2026-01-01", "learnt": few}))
    lines = [line for line in results_page.page(tmp_path).splitlines() if line.startswith("|")]

    def verdict(start: str) -> str:
        return next(line.split("|")[-2].strip() for line in lines if line.startswith(f"| {start}"))

    assert verdict("Learnt from 10 minutes: pump, motor, furnace, in the corpus") == "**met**"
    assert verdict("Learnt from 10 minutes: pump, motor, furnace, left out") == "missed"
    assert verdict("Learnt from 10 minutes: thirteen more kinds, in the corpus") == ""
    assert verdict("Learnt from 60 minutes: pump, motor, furnace, in the corpus") == "missed"
    assert verdict("Guilty channel first") == "missed"
    assert verdict("Pre-trained minus random weights") == "missed"
    assert verdict("Pre-trained minus no network") == "**met**"


def test_it_runs_on_kinds_by_name(tmp_path: Path) -> None:
    asked = ["--minutes", "10", "--seeds", "1", "--kinds", "pump", "--out", str(tmp_path)]
    command = [sys.executable, "-m", "benchmarks.few_minutes.run", *asked]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    report = json.loads((tmp_path / "few_minutes.json").read_text())
    rows = report["learnt"]["10"]["pump"]["methods"]
    assert {"edge-agent", "edge-agent, whole pipeline", "PCA T2 + SPE"} <= rows.keys()
    assert rows["edge-agent"]["faults"] == 7
    assert (
        report["learnt"]["10"]["pump"]["gains"]["edge-agent"]["PCA T2 + SPE"]["average_precision"]["mean"] > 0
    )
    assert "## 10 minutes, pump" in (tmp_path / "few_minutes.md").read_text()
    assert (tmp_path / "few_minutes.png").stat().st_size > 1000
