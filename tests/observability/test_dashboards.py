"""The dashboards are what their code says, name series that exist, and find their data source."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.telemetry import TABLE

GRAFANA = Path(__file__).parents[2] / "deploy/grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
RECORDED = set(
    re.findall(r"- record: (\S+)", (GRAFANA.parent / "prometheus/rules/recording.yml").read_text())
)


def test_the_dashboards_in_the_repository_are_those_of_the_code() -> None:
    subprocess.run([sys.executable, str(GRAFANA / "build.py"), "--check"], check=True)
    assert len(DASHBOARDS) == 3


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_series_that_a_panel_names_exists(path: Path) -> None:
    known = {series.name for series in TABLE} | RECORDED | {f"{series.name}_bucket" for series in TABLE}
    told = json.loads(path.read_text())
    queries = [target["expr"] for panel in told["panels"] for target in panel["targets"]]
    queries += [one["expr"] for one in told["annotations"]["list"]]
    used = set(re.findall(r"[a-z]*:?edge_agent_[\w:]+", " ".join(queries)))
    assert used
    assert used <= known


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_do_not_overlap_and_find_their_data_source(path: Path) -> None:
    told = json.loads(path.read_text())
    cells = [
        (x, y)
        for panel in told["panels"]
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert all(x < 24 for x, _ in cells)
    uid = re.search(r"uid: (\S+)", (GRAFANA / "provisioning/datasources/prometheus.yml").read_text())
    assert uid
    assert {panel["datasource"]["uid"] for panel in told["panels"]} == {uid[1]}
