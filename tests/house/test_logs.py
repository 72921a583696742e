"""What logging brings into an agent's process, seen in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_MODULES = """
import json, sys
import edge_agent.cli.app, edge_agent.service.process, edge_agent.metrics.exporter
from edge_agent import logs
logs.set_up_logs(level="info", form="console")
logs.get_logger().info("hello")
before = "rich" in sys.modules
import rich
print(json.dumps([before, rich.__name__]))
"""


def test_an_agent_runs_without_rich_and_leaves_it_to_those_who_want_it() -> None:
    done = subprocess.run([sys.executable, "-c", _MODULES], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == [False, "rich"]
    assert "hello" in done.stderr


_LINES = """
from edge_agent import logs
from edge_agent.cli.tables import tell_error
logs.set_up_logs(level="debug", form="json")
log = logs.get_logger()
for level in ("debug", "info", "warning", "error", "critical"):
    getattr(log, level)("said", what="one\\u2028two")
try:
    raise ValueError("three")
except ValueError:
    log.exception("failed")
tell_error("several\\nlines")
"""


@pytest.mark.parametrize("of_journal", [True, False])
def test_each_line_of_the_journal_begins_with_its_priority(tmp_path: Path, *, of_journal: bool) -> None:
    said = tmp_path / "stderr"
    with said.open("w") as stream:
        there = os.fstat(stream.fileno())
        told = f"{there.st_dev}:{there.st_ino}" if of_journal else f"{there.st_dev}:{there.st_ino + 1}"
        subprocess.run(
            [sys.executable, "-c", _LINES],
            stderr=stream,
            check=True,
            env=os.environ | {"JOURNAL_STREAM": told},
        )
    lines = said.read_text().splitlines()
    if not of_journal:
        assert all(json.loads(line)["event"] in ("said", "failed") for line in lines[:6])
        assert lines[6:] == ["error: several", "lines"]
        return
    assert [line[:3] for line in lines] == ["<7>", "<6>", "<4>", "<3>", "<2>", "<3>", "<3>", "<3>"]
    assert [json.loads(line[3:])["level"] for line in lines[:5]] == [
        "debug", "info", "warning", "error", "critical",
    ]  # fmt: skip
    assert "ValueError: three" in json.loads(lines[5][3:])["exception"]
    assert [line[3:] for line in lines[6:]] == ["error: several", "lines"]
