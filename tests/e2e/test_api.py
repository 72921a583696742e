"""The detector on rows in memory says what `edge-agent replay` says of the same rows, whatever the rows come in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from edge_agent.api import AnomalyDetector
from edge_agent.cli.app import app
from edge_agent.errors import CommissionError, StateError, UsageError
from edge_agent.model import bundle
from edge_agent.service import wiring

LEARNT, ROWS, FAULT = 600, 1200, 900
START = np.datetime64("2026-03-02T06:00:00", "ns")


def machine(count: int, *, fault: int) -> np.ndarray[Any, Any]:
    """[count, 3]; `channel_1` is too high for 150 rows from `fault` on."""
    chance = np.random.default_rng(7)
    at = np.arange(count)
    made = np.column_stack([np.sin(at / 9), 5 + np.cos(at / 23), 0.2 * at % 3]) + 0.1 * chance.normal(
        size=(count, 3)
    )
    made[fault : fault + 150, 1] += 4
    return made.astype(np.float32)


@pytest.fixture(scope="module")
def rows() -> np.ndarray[Any, Any]:
    return machine(ROWS, fault=FAULT)


@pytest.fixture(scope="module")
def fitted(rows: np.ndarray[Any, Any]) -> AnomalyDetector:
    return AnomalyDetector.load().fit(rows[:LEARNT])


@dataclass
class Column:
    """A column as polars gives it."""

    values: Any

    def to_numpy(self) -> Any:
        return self.values


@dataclass
class FrameLike:
    """A frame as polars gives it: names, columns by name, and no index."""

    parts: dict[str, Any]

    @property
    def columns(self) -> list[str]:
        return list(self.parts)

    def __getitem__(self, name: str) -> Column:
        return Column(self.parts[name])

    def to_numpy(self) -> Any:
        return np.column_stack(list(self.parts.values()))


def test_the_same_rows_score_as_in_replay(
    tmp_path: Path, rows: np.ndarray[Any, Any], fitted: AnomalyDetector
) -> None:
    head = ",".join(fitted.channels)
    lines = [
        f"{START + np.timedelta64(at, 's')}Z,{','.join(map(repr, map(float, row)))}"
        for at, row in enumerate(rows)
    ]
    (tmp_path / "machine.csv").write_text("\n".join([f"timestamp,{head}", *lines]) + "\n")
    out = tmp_path / "out"
    typed = ["replay", "--commission-rows", str(LEARNT), "--out", str(out), str(tmp_path / "machine.csv")]
    assert CliRunner().invoke(app, typed).exit_code == 0
    theirs = pq.read_table(out / "machine.scores.parquet")["score"].to_numpy()
    np.testing.assert_allclose(fitted.score(rows), theirs, rtol=1e-5)


def test_a_fault_is_found_with_its_row_channel_and_sentence() -> None:
    """An hour is learnt, as the README does: after ten minutes the score is above 1 and not each such fault called."""
    hour, count = 3600, 4200
    rows = machine(count, fault=3900)
    fitted = AnomalyDetector.load().fit(rows[:hour])
    (found,) = fitted.explain(rows[hour:], times=START + np.arange(hour, count) * np.timedelta64(1, "s"))
    assert 3900 <= hour + found.first_row <= 3930
    assert hour + found.last_row >= 4049
    assert found.channels[0][0] == "channel_1"
    assert "channel_1" in found.summary
    assert "07:0" in found.summary


@pytest.mark.parametrize("of", ["pandas", "like polars", "arrow"])
def test_frames_are_read_by_the_names_of_their_columns(rows: np.ndarray[Any, Any], of: str) -> None:
    stamps = START + np.arange(ROWS) * np.timedelta64(1, "s")
    parts = {"when": stamps, "a": rows[:, 0], "b": rows[:, 1], "c": rows[:, 2]}
    made: Any = {"pandas": pd.DataFrame, "like polars": FrameLike, "arrow": pa.table}[of]
    frame = made(parts)
    learnt = {name: part[:LEARNT] for name, part in parts.items()}
    detector = AnomalyDetector.load().fit(made(learnt), times="when")
    assert detector.channels == ("a", "b", "c")
    scores = detector.score(frame, times="when")
    assert scores.shape == (ROWS,)
    assert scores[FAULT + 10 : FAULT + 100].max() > 1 > scores[LEARNT:FAULT].max()


def test_what_was_learnt_is_saved_and_loaded(
    tmp_path: Path, rows: np.ndarray[Any, Any], fitted: AnomalyDetector
) -> None:
    fitted.save(tmp_path / "m.npz")
    again = AnomalyDetector.load(saved=tmp_path / "m.npz")
    np.testing.assert_array_equal(again.score(rows), fitted.score(rows))


def test_what_was_learnt_is_a_bundle_that_scores_at_once_and_looks_at_an_agents_pace(
    tmp_path: Path, rows: np.ndarray[Any, Any]
) -> None:
    at = START + np.arange(ROWS) * np.timedelta64(250, "ms")
    fitted = AnomalyDetector.load().fit(rows[:LEARNT], times=at[:LEARNT])
    packed = fitted.pack(tmp_path / "bundles")
    again = AnomalyDetector.load(packed)
    np.testing.assert_array_equal(again.score(rows, times=at), fitted.score(rows, times=at))
    carried = wiring.bundle_profile(bundle.read(packed))
    assert carried is not None
    assert (carried.hop_rows, carried.period_ns) == (4, 250_000_000)
    again.pack(tmp_path / "bundles")


def test_an_infinite_value_is_a_missing_one(rows: np.ndarray[Any, Any], fitted: AnomalyDetector) -> None:
    infinite, missing = rows.copy(), rows.copy()
    infinite[700, 2], missing[700, 2] = np.inf, np.nan
    np.testing.assert_array_equal(fitted.score(infinite), fitted.score(missing))


def test_what_makes_no_sense_is_said(
    tmp_path: Path, rows: np.ndarray[Any, Any], fitted: AnomalyDetector
) -> None:
    fresh = AnomalyDetector.load()
    with pytest.raises(UsageError, match="nothing was learnt yet"):
        fresh.score(rows)
    with pytest.raises(UsageError, match="nothing was learnt yet"):
        fresh.save(tmp_path / "x.npz")
    with pytest.raises(UsageError, match="nothing was learnt yet"):
        fresh.pack(tmp_path)
    with pytest.raises(UsageError, match="no column when"):
        fitted.score(pa.table({"a": rows[:, 0]}), times="when")
    with pytest.raises(CommissionError):
        fresh.fit(rows[:10])
    with pytest.raises(UsageError, match="channels"):
        fitted.score(rows[:, :2])
    with pytest.raises(UsageError, match="rows are"):
        fitted.score(rows[:, 0])
    with pytest.raises(UsageError, match="no numbers"):
        fitted.score(np.full((9, 3), "x"))
    with pytest.raises(UsageError, match="times are one a row"):
        fitted.score(rows, times=np.zeros(ROWS, np.int64))
    with pytest.raises(StateError):
        AnomalyDetector.load(saved=tmp_path / "absent.npz")
