"""`replay` of a folder of pictures: a score each, and the alarms that the running agent would have raised."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge_agent.cli.app import app
from edge_agent.errors import RecordingError, UsageError
from tests.support.scenes import jpeg, scene

CONFIG = '[[source]]\ntopic = "cam/{machine}/{channel}"\nformat = "image"\n[source.image]\nsize = 128\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "agent.toml").write_text(CONFIG)
    found = tmp_path / "press-4"
    found.mkdir()
    for number in range(16):
        (found / f"{number:03}.jpg").write_bytes(jpeg(scene(number)))
    for number in range(16, 20):
        (found / f"{number:03}.jpg").write_bytes(jpeg(scene(number, scratch=True)))
    (found / "013.jpg").write_bytes(b"\xff\xd8\xff torn")
    (found / "notes.txt").write_text("no picture")
    return found


def replayed(folder: Path, *more: str) -> tuple[list[dict[str, str]], list[dict[str, object]]]:
    out = folder.parent / "out"
    command = ["replay", str(folder), "--config", str(folder.parent / "agent.toml"), "--out", str(out)]
    result = CliRunner().invoke(app, [*command, "--commission-rows", "12", *more], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    with (out / "press-4.scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    return rows, [json.loads(line) for line in (out / "alarms.jsonl").read_text().splitlines()]


def test_each_picture_has_a_score_and_a_scratch_is_an_alarm(folder: Path) -> None:
    rows, alarms = replayed(folder)
    assert [row["file"] for row in rows] == [f"{number:03}.jpg" for number in range(20)]
    assert {row["why"] for row in rows[:12]} == {"it is being learnt"}
    assert rows[13]["why"].startswith("malformed")
    assert all(float(rows[at]["score"]) < 1 for at in (12, 14, 15))
    assert all(float(row["score"]) > 1 for row in rows[16:])
    assert [row["alarm"] != "" for row in rows] == [False] * 17 + [True] * 3
    assert {alarm["kind"] for alarm in alarms} == {"picture"}
    assert len({alarm["id"] for alarm in alarms}) == 1


def test_an_index_says_order_and_times(folder: Path) -> None:
    lines = [f"{number:03}.jpg,2026-01-01T0{number // 60}:{59 - number:02}:00Z" for number in range(16, 20)]
    (folder / "index.csv").write_text("file,timestamp\n" + "\n".join(lines) + "\n")
    rows, _ = replayed(folder)
    assert (rows[0]["file"], rows[0]["time"]) == ("019.jpg", "2026-01-01T00:40:00.000Z")
    (folder / "index.csv").write_text("file,timestamp\n016.jpg,yesterday\n")
    with pytest.raises(RecordingError, match="yesterday"):
        replayed(folder)


def test_what_makes_no_sense_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    runner = CliRunner()
    empty = runner.invoke(app, ["replay", str(tmp_path / "empty"), "--out", str(tmp_path / "out")])
    assert isinstance(empty.exception, RecordingError)
    mixed = runner.invoke(
        app, ["replay", str(folder), str(tmp_path / "agent.toml"), "--out", str(tmp_path / "out")]
    )
    assert isinstance(mixed.exception, UsageError)
