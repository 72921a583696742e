"""`edge-agent replay`: a row out for every row in, causal, and honest about what it could not read."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edge_agent.cli import app as command
from edge_agent.cycles.rules import CycleRule, CycleStart
from edge_agent.detect.scorer import Scorer
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.recordings.replay import Replay, commission_recording, replay
from edge_agent.recordings.tables import Recording
from edge_agent.signals.settings import WindowSettings
from tests.support import robot

ROWS, LEARN_ROWS, FAULT_ROW = 1200, 600, 900
SETTINGS = PipelineSettings(window=WindowSettings(hop_s=0.0))


def values() -> np.ndarray:
    """Flow swings, pressure follows it, until the pressure gauge drifts off."""
    rng = np.random.default_rng(4)
    flow = 50 + 5 * np.sin(np.arange(ROWS) / 40) + rng.normal(0, 0.3, ROWS)
    pressure = 2 + 0.05 * flow + rng.normal(0, 0.02, ROWS)
    pressure[FAULT_ROW:] += 0.5
    return np.stack([flow, pressure], axis=1).astype(np.float32)


RECORDING = Recording("loop", ("flow", "pressure"), None, values(), None)


def played(recording: Recording, scorer: Scorer) -> Replay:
    profile = commission_recording(recording, rows=LEARN_ROWS, scorer=scorer, settings=SETTINGS)
    return replay(recording, scorer=scorer, settings=SETTINGS, profile=replace(profile, hop_rows=1))


def test_the_causal_score_does_not_know_what_comes_later(scorer: Scorer) -> None:
    whole = played(RECORDING, scorer)
    cut = played(replace(RECORDING, values=RECORDING.values[:1000]), scorer)
    np.testing.assert_allclose(cut.score, whole.score[:1000], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(cut.alarm, whole.alarm[:1000])


def test_the_alarm_is_open_where_the_published_revisions_say_so(scorer: Scorer) -> None:
    result = played(RECORDING, scorer)
    assert not result.alarm[LEARN_ROWS:FAULT_ROW].any()
    assert result.alarm[FAULT_ROW + 60]
    opened = next(alarm for alarm in result.alarms if alarm.revision == 1)
    raised, onset = int(np.argmax(result.alarm)), opened.onset_ns // 1_000_000_000
    assert FAULT_ROW <= onset <= raised <= onset + 60, (
        "the onset is the first loud window's, before it is raised"
    )


def test_an_unsettled_alarm_is_open_and_not_loud(scorer: Scorer) -> None:
    mended = RECORDING.values.copy()
    mended[FAULT_ROW + 200 :] = np.tile(mended[:LEARN_ROWS], (4, 1))[: len(mended) - FAULT_ROW - 200]
    result = played(replace(RECORDING, values=mended), scorer)
    assert not (result.loud & ~result.alarm).any()
    assert result.loud[FAULT_ROW + 60]
    told = [alarm for alarm in result.alarms if alarm.unsettled]
    assert told, "the machine was quiet again and the alarm not over"
    quiet_row = told[0].time_ns // 1_000_000_000
    assert result.alarm[quiet_row]
    assert not result.loud[quiet_row]


def test_the_aligned_score_is_the_mean_over_the_windows_that_cover_the_row(scorer: Scorer) -> None:
    result = played(RECORDING, scorer)
    late = np.lib.stride_tricks.sliding_window_view(result.score_aligned, 8)  # a mean moves slowly
    assert np.max(np.abs(np.diff(late.mean(axis=1)))) < np.max(result.score_aligned) / 8
    before, after = result.score_aligned[FAULT_ROW - 200], result.score_aligned[FAULT_ROW]
    assert after > before  # it looks ahead into the fault, as benchmarks do


def test_the_command_writes_a_row_for_every_row_and_goes_on_after_a_bad_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    good, bad, short = tmp_path / "loop.parquet", tmp_path / "bad.parquet", tmp_path / "short.csv"
    columns = {"flow": RECORDING.values[:, 0], "pressure": RECORDING.values[:, 1]}
    pq.write_table(pa.table(columns), good)
    bad.write_bytes(b"not parquet")
    short.write_text("a\n1\n2\n")
    files = [str(path) for path in (bad, short, good)]
    arguments = ["replay", "--commission-rows", str(LEARN_ROWS), "--out", str(tmp_path / "out"), *files]
    monkeypatch.setattr(sys, "argv", ["edge-agent", *arguments])
    with pytest.raises(SystemExit) as left:
        command.main()
    assert left.value.code == 5  # the last of the two that failed: too few rows to learn from
    said = capsys.readouterr().err.replace("\n", "")
    assert "bad.parquet" in said
    assert "short" in said
    table = pq.read_table(tmp_path / "out/loop.scores.parquet")
    assert table.num_rows == ROWS
    assert table.column_names == ["score", "score_aligned", "threshold", "alarm", "fault"]
    alerts = [json.loads(line) for line in (tmp_path / "out/alarms.jsonl").read_text().splitlines()]
    assert {alert["machine"] for alert in alerts} == {"loop"}


def test_cycles_of_a_recording_are_a_table_of_their_own(scorer: Scorer) -> None:
    times, rows = robot.run([robot.USUAL] * 80 + [robot.SLOW_STEP] * 5)
    recording = Recording("robot", robot.CHANNELS, np.array(times), rows, None)
    rule = CycleRule(start=CycleStart("step", "becomes", 1.0), step="step", recipe="program", longest_s=60.0)
    settings = replace(SETTINGS, cycle_rules=(rule,))
    profile = commission_recording(recording, rows=LEARN_ROWS, scorer=scorer, settings=settings)
    found = replay(recording, scorer=scorer, settings=settings, profile=replace(profile, hop_rows=1))
    plain = replay(recording, scorer=scorer, settings=SETTINGS, profile=replace(profile, hop_rows=1))
    assert np.allclose(found.score, plain.score, atol=1e-5), (
        "but for the last digits: other windows go together"
    )
    assert plain.cycles is None
    assert found.cycles is not None
    assert len(found.cycles.score) == 84
    assert np.isnan(found.cycles.score[:60]).all()
    assert found.cycles.score[-5:].min() > 1
    assert found.cycles.alarm.sum() == 4, "from the second slow cycle on"
    assert {alarm.machine for alarm in found.alarms} >= {"robot/cycle"}
    table = found.cycles.columns()
    assert {"timestamp", "score", "alarm", "duration_s", "step_2.duration_s"} <= table.keys()
