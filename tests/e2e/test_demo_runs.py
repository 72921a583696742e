"""`edge-agent demo` as a newcomer types it: three faults, three alerts, and a clean end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from benchmarks import ROOT
from edge_agent.cli.demo.play import DEMO
from edge_agent.config.file import load


@pytest.mark.slow
def test_the_demo_ends_well_and_leaves_what_it_says(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "edge_agent", "demo", "--out", str(out)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("as it should be") == len(DEMO.faults)
    schema = json.loads((ROOT / "docs" / "alert.schema.json").read_text())
    alerts = [json.loads(line) for line in (out / "alarms.jsonl").read_text().splitlines()]
    for alert in alerts:
        jsonschema.validate(alert, schema)
    assert {alert["machine"] for alert in alerts} == {fault.machine for fault in DEMO.faults}
    assert load(out / "agent.toml").agent.state_dir == out / "state"
    log = [json.loads(line) for line in (out / "agent.log").read_text().splitlines()]
    assert log[-1]["event"] == "stopped"  # nothing was killed
    assert log[-1]["balance"] == 0
