"""`edge-agent replay --against`: which alarms two agents raise of the same recording."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_agent.cli import app as command
from edge_agent.cli.replay.compare import diff
from edge_agent.records import Alarm

SECOND = 1_000_000_000
PLAIN = Alarm("", 1, "pump", "open", "warning", 0, 0, 1.2, 1.2, 1.0, "unknown", 0.0, (), "digest")


def alarm(name: str, start_s: int, end_s: int | None, *, machine: str = "pump", peak: float = 1.2) -> Alarm:
    closed = None if end_s is None else end_s * SECOND
    return replace(
        PLAIN, id=name, machine=machine, onset_ns=start_s * SECOND, closed_ns=closed, peak_score=peak
    )


def test_alarms_that_overlap_longest_are_one_and_the_same() -> None:
    a = [alarm("a1", 0, 100), alarm("a2", 200, 300)]
    b = [alarm("b1", 90, 130, peak=3.0), alarm("b2", 10, 80, peak=2.0), alarm("b3", 500, None)]
    found = diff(a, b)
    assert [(pair.a.id, pair.b.id) for pair in found.both] == [("a1", "b2")]
    (pair,) = found.both
    assert pair.onset_shift_s == 10
    assert pair.peak_change == pytest.approx(0.8)
    assert [one.id for one in found.only_a] == ["a2"]
    assert {one.id for one in found.only_b} == {"b1", "b3"}


def test_the_last_revision_counts_and_machines_and_kinds_are_kept_apart() -> None:
    a = [alarm("x", 0, None), replace(alarm("x", 0, 50), revision=2)]
    assert diff(a, [alarm("x", 60, 70)]).both == ()
    assert diff(a, [alarm("x", 0, 50, machine="fan")]).both == ()
    assert diff(a, [replace(alarm("x", 0, 50), kind="sensor")]).both == ()
    same = diff(a, a)
    assert (same.only_a, same.only_b, len(same.both)) == ((), (), 1)


def table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    monkeypatch.setattr(sys, "argv", ["edge-agent", "replay", *words])
    with pytest.raises(SystemExit) as left:
        command.main()
    assert not left.value.code
    return capsys.readouterr().out


def test_the_command_finds_no_difference_where_there_is_none_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_bundle: Path
) -> None:
    rng = np.random.default_rng(4)
    flow = 50 + 5 * np.sin(np.arange(1000) / 40) + rng.normal(0, 0.3, 1000)
    flow[800:] += 40
    np.savetxt(tmp_path / "loop.csv", flow, header="flow", comments="")
    file = str(tmp_path / "loop.csv")
    usual = ("--commission-rows", "600", "--bundle", str(tiny_bundle), "--json")
    same = json.loads(table(monkeypatch, capsys, *usual, "--against", str(tiny_bundle), file))
    assert same["both"]
    assert (same["only_a"], same["only_b"]) == ([], [])
    assert {pair["onset_shift_s"] for pair in same["both"]} == {0.0}

    other = tmp_path / "other.toml"
    other.write_text(f'[model]\nbundle = "{tiny_bundle}"\n[quality]\nenabled = false\n')
    assert json.loads(table(monkeypatch, capsys, *usual, "--against", str(other), file)).keys() == same.keys()
    asked = (*usual[:-1], "--against", str(other), file)
    text = table(monkeypatch, capsys, *asked)
    assert "only in A" in text
    assert "in both" in text
    assert not (tmp_path / "replay-out").exists()
