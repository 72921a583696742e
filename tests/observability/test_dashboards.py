"""The dashboards are what their code says, name series that exist, and find their data source."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.metrics.series import TABLE
from tests.observability.programs import program

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


WINDOWS = """
evaluation_interval: 5s
tests:
  - interval: 5s
    input_series:
      - {series: 'edge_agent_windows_scored_total{instance="rests"}', values: '7+0x30'}
      - {series: 'edge_agent_windows_skipped_total{instance="rests", reason="internal_error"}', values: '0+0x30'}
      - {series: 'edge_agent_windows_scored_total{instance="fails"}', values: '0+5x30'}
      - {series: 'edge_agent_windows_skipped_total{instance="fails", reason="internal_error"}', values: '0+5x30'}
    promql_expr_test:
      - expr: QUERY
        eval_time: 2m
        exp_samples: [{labels: '{instance="rests"}', value: AT_REST}, {labels: '{instance="fails"}', value: 0.5}]
"""


def test_where_no_window_is_due_none_was_missed(tmp_path: Path) -> None:
    panels = json.loads((GRAFANA / "dashboards/edge-agent-health.json").read_text())["panels"]
    panel = next(one for one in panels if one["title"] == "Share of due windows that were not scored")
    query = panel["targets"][0]["expr"].replace("$instance", ".*").replace("$__rate_interval", "20s")
    for at_rest, status in (("0", 0), ("0.5", 1)):  # the second: a wrong answer would be noticed
        cases = tmp_path / f"cases-{status}.yml"
        cases.write_text(WINDOWS.replace("QUERY", json.dumps(query)).replace("AT_REST", at_rest))
        promtool = program("promtool", package="prometheus")
        answer = subprocess.run([promtool, "test", "rules", str(cases)], capture_output=True, check=False)
        assert answer.returncode == status, answer.stdout + answer.stderr


def test_a_machine_is_chosen_where_legends_do_not_name_it() -> None:
    for path in DASHBOARDS:
        told = json.loads(path.read_text())
        offers_all = {one["name"] for one in told["templating"]["list"] if one["includeAll"]}
        for panel in told["panels"]:
            for target in panel["targets"]:
                by_machine = "machine=" in target["expr"]
                assert not (by_machine and "machine" in offers_all), panel["title"]


def test_series_that_are_always_one_are_shown_by_their_words() -> None:
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            if any("_info{" in target["expr"] for target in panel["targets"]):
                assert panel["options"]["textMode"] == "name", panel["title"]


def test_a_click_on_a_machine_of_the_fleet_leads_to_its_dashboard() -> None:
    told = {path.stem: json.loads(path.read_text()) for path in DASHBOARDS}
    links = [
        link["url"]
        for panel in told["edge-agent-fleet"]["panels"]
        for link in panel["fieldConfig"]["defaults"].get("links", [])
    ]
    assert len(links) == 4
    asked = {one["name"] for one in told["edge-agent-machine"]["templating"]["list"]}
    for link in links:
        found = re.fullmatch(r"/d/([\w-]+)\?(.*)", link)
        assert found
        assert found[1] == told["edge-agent-machine"]["uid"]
        assert {*re.findall(r"var-(\w+)=", found[2])} == asked
        assert {*re.findall(r"__field\.labels\.(\w+)", found[2])} == asked
