"""`make demo-plant`: the demo with an arm whose cycles are counted, over a real broker."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from benchmarks import ROOT
from benchmarks.plant.run import PLANT

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def test_the_plant_ends_well_and_its_arm_is_told_by_its_cycles(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.plant.run", "--out", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("as it should be") == len(PLANT.faults)
    schema = json.loads((ROOT / "docs" / "alert.schema.json").read_text())
    alerts = [json.loads(line) for line in (tmp_path / "alarms.jsonl").read_text().splitlines()]
    for alert in alerts:
        jsonschema.validate(alert, schema)
    arm = {
        alert["machine"]
        for alert in alerts
        if alert["machine"].startswith("arm-1") and alert["kind"] == "machine"
    }
    assert arm == {"arm-1/cycle"}
