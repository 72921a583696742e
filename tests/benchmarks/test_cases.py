"""Our own cases of what plants send come out right, and a case that does not is called wrong."""

import json
from pathlib import Path

import pytest

from benchmarks.reliability.cases import run

FOLDERS = sorted(path for path in run.OWN.iterdir() if path.is_dir())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_case_comes_out_right(folder: Path) -> None:
    ((line, right),) = run.rows([folder])
    assert right, line


def test_what_does_not_happen_is_wrong(tmp_path: Path) -> None:
    folder = tmp_path / "absent"
    folder.mkdir()
    (folder / "expect.json").write_text(
        json.dumps({"right": "two machines", "machines": {"a": ["x"], "b": ["x"]}})
    )
    message = {"topic": "p/a", "payload": {"ts": 1796040000, "values": {"x": 1.5}}}
    (folder / "messages.jsonl").write_text(json.dumps(message) + "\n")
    ((line, right),) = run.rows([folder])
    assert not right
    assert "**wrong**" in line
