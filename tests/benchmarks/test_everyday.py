"""Ordinary machines: they do what their names say, and what an alarm is worth is counted by the rules."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.everyday.machines import LEARNT_ROWS, MACHINES, week
from benchmarks.everyday.parts import DAY_ROWS
from benchmarks.everyday.report import ALL, summarise, table
from benchmarks.everyday.trial import WINDOW_ROWS, Episode, Heard, episodes, hear, rival
from benchmarks.everyday.verdict import judge, kept
from edge_agent.detect.scorer import Scorer
from edge_agent.recordings.tables import Recording
from edge_agent.records import Alarm

ROOT = Path(__file__).parents[2]
SECOND = 1_000_000_000


def column(recording: Recording, channel: str) -> np.ndarray:
    return recording.values[:, recording.channels.index(channel)]


# -- the machines -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(MACHINES))
def test_a_week_has_one_fault_after_the_learnt_day_and_depends_on_its_seed_alone(name: str) -> None:
    first, again, other = week(name, seed=1), week(name, seed=1), week(name, seed=2)
    assert np.array_equal(first.values, again.values, equal_nan=True)
    assert not np.array_equal(first.values, other.values, equal_nan=True)
    assert first.label is not None
    assert first.times_ns is not None
    assert np.all(np.diff(first.times_ns) > 0)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], first.label, [0]))))
    assert len(edges) == 2
    assert edges[0] > LEARNT_ROWS + 5 * DAY_ROWS
    assert np.isfinite(first.values[:LEARNT_ROWS]).any(axis=0).all()


def test_machines_do_what_their_names_say() -> None:
    assert np.ptp(column(week("night", seed=1), "speed")[: 5 * 360]) == 0.0
    assert column(week("weekend", seed=1), "speed")[5 * DAY_ROWS + 100 : 7 * DAY_ROWS].max() == 0.0
    pressure = column(week("recalibrated", seed=1), "pressure")
    assert pressure[3 * DAY_ROWS :].mean() - pressure[: 3 * DAY_ROWS].mean() == pytest.approx(0.25, abs=0.02)
    broken = column(week("broken-reading", seed=1), "temperature") == -127.0
    assert 10 <= broken.sum() <= 35
    assert not np.any(broken[1:] & broken[:-1])
    assert np.flatnonzero(np.diff(column(week("daily-total", seed=1), "energy_today")) < 0).tolist() == [
        day * DAY_ROWS - 1 for day in range(1, 8)
    ]
    for channel, wraps in (("pulses", 40), ("litres", 3)):
        assert np.sum(np.diff(column(week("wrap", seed=1), channel)) < 0) == pytest.approx(wraps, abs=3)
    opened = np.diff(column(week("door", seed=1), "door"))
    assert 20 <= np.sum(opened > 0) <= 24
    said = np.isfinite(column(week("by-exception", seed=1), "temperature"))
    assert np.diff(np.flatnonzero(said)).max() == 30


# -- what is counted ----------------------------------------------------------------------------------------

ROWS, LEARNT, FAULT = 3000, 500, (2000, 2200)


def recording() -> Recording:
    label = np.zeros(ROWS, np.int16)
    label[slice(*FAULT)] = 1
    times = np.arange(ROWS, dtype=np.int64) * SECOND
    return Recording("m", ("a",), times, np.zeros((ROWS, 1), np.float32), label)


def episode(*spells: tuple[int, int], words: str = "machine/warning", name: str = "1") -> Episode:
    return Episode(name, tuple((a * SECOND, b * SECOND) for a, b in spells), 1.5, "a", words)


def told(*found: Episode) -> dict:
    times = np.arange(LEARNT, ROWS, dtype=np.int64) * SECOND
    score = np.where((times >= 2100 * SECOND) & (times < 2150 * SECOND), 3.0, 0.5)
    return judge(Heard(found, times, score), recording(), learn_rows=LEARNT)


def test_an_incident_outside_of_the_fault_is_false_once_however_often_it_returns() -> None:
    figures = told(episode((600, 700), (800, 850)), episode((100, 520), name="2"))
    assert figures["false"] == 1  # the second began while it was still learnt
    assert figures["found"] is False
    calm_rows = ROWS - LEARNT - (FAULT[1] - FAULT[0] + WINDOW_ROWS)
    assert figures["in_alarm"] == pytest.approx((100 + 50 + 20) / calm_rows, abs=1e-5)
    assert not kept(figures)


def test_the_fault_is_found_by_an_alarm_of_its_own() -> None:
    assert told(episode((1900, 2400)))["found"] is False
    assert told(episode((1900, 1950), (2050, 2100)))["found"] is True
    late = told(episode((FAULT[1] + WINDOW_ROWS - 2, 2500)))
    assert (late["found"], late["false"]) == (True, 0)
    after = told(episode((FAULT[1] + WINDOW_ROWS + 2, 2500)))
    assert (after["found"], after["false"]) == (False, 1)
    good = told(episode((2050, 2300)))
    assert (good["delay_min"], good["peak"], good["calm_peak"]) == (
        pytest.approx(50 / 60, abs=0.05),
        3.0,
        0.5,
    )


def test_notices_and_findings_are_counted_apart() -> None:
    figures = told(episode((600, 900), words="sensor/warning"), episode((950, 960), words="machine/notice"))
    assert (figures["false"], figures["in_alarm"]) == (0, 0.0)
    assert figures["notices"] == {"machine/notice": 1, "sensor/warning": 1}


def revision(number: int, time_s: int, state: str) -> Alarm:
    return Alarm(
        id="m-1",
        revision=number,
        machine="m",
        state=state,  # type: ignore[arg-type]
        severity="warning",
        onset_ns=0,
        time_ns=time_s * SECOND,
        score=1.2,
        peak_score=1.0 + number,
        threshold=1.0,
        fault="",
        fault_probability=0.0,
        channels=(),
        model="",
    )


def test_revisions_of_one_id_are_one_episode_with_the_times_at_which_it_was_open() -> None:
    said = [
        revision(1, 10, "open"),
        revision(2, 20, "open"),
        revision(3, 30, "closed"),
        revision(4, 40, "open"),
    ]
    (one,) = episodes(said, end_ns=50 * SECOND)
    assert one.spells == ((10 * SECOND, 30 * SECOND), (40 * SECOND, 50 * SECOND))
    assert (one.peak, one.words, one.is_incident) == (5.0, "machine/warning", True)


# -- the way through ----------------------------------------------------------------------------------------


def broken_machine(rows: int = 2400) -> Recording:
    """Two channels that follow one load and part for the last but two hundred rows."""
    rng = np.random.default_rng(0)
    load = np.convolve(rng.standard_normal(rows + 9), np.ones(10) / 3.2, mode="valid")
    values = np.stack([load, -load], axis=1) + 0.2 * rng.standard_normal((rows, 2))
    label = np.zeros(rows, np.int16)
    label[-400:-200] = 1
    values[-400:-200, 0] += 6.0
    times = np.arange(rows, dtype=np.int64) * 10 * SECOND
    return Recording("m", ("a", "b"), times, values.astype(np.float32), label)


def test_the_agent_and_a_baseline_are_heard_alike(scorer: Scorer) -> None:
    given = broken_machine()
    for heard in (
        hear(given, learn_rows=1200, scorer=scorer, hop_rows=2),
        rival("PCA T2 + SPE", given, learn_rows=1200, hop_rows=2),
    ):
        assert heard.times_ns[0] >= 1200 * 10 * SECOND
        assert np.all(np.diff(heard.times_ns) == 20 * SECOND)
        assert judge(heard, given, learn_rows=1200)["found"] is True


def test_files_of_others_are_judged_and_the_report_has_all_its_parts(tmp_path: Path) -> None:
    given = broken_machine(1600)
    lines = ["timestamp,a,b,label"]
    for at, (row, label) in enumerate(zip(given.values.tolist(), given.label, strict=True)):  # type: ignore[arg-type]
        lines.append(f"{1_772_409_600 + 10 * at},{row[0]},{row[1]},{label}")
    (tmp_path / "pump-7.csv").write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "benchmarks.everyday.run", "--jobs", "1", "--learn-rows", "800"]
    subprocess.run(
        [*command, "--recordings", tmp_path, "--out", tmp_path / "found"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    report = json.loads((tmp_path / "found.json").read_text())
    assert {row["machine"] for row in report["rows"]} == {"pump-7"}
    assert report["rows"][0]["method"] == "edge-agent"
    assert report["machines"]["edge-agent"][ALL]["faults"] == 1
    assert "pump-7" in (tmp_path / "found.md").read_text()
    assert (tmp_path / "found.png").stat().st_size > 1000


def test_a_machine_that_could_not_be_learnt_is_told_and_not_counted() -> None:
    rows = [{"machine": "a", "seed": 1, "method": "edge-agent", **told()}]
    rows += [{"machine": "b", "seed": 1, "method": "edge-agent", "error": "nothing"}]
    figures = summarise(rows)
    assert figures["edge-agent"][ALL]["errors"] == 1
    assert list(figures["edge-agent"]) == ["a", ALL]
    report = {"date": "", "commit": "", "machine": "", "model": "", "command": "", "machines": figures}
    assert "1 errors" in table(report)
