"""The rules fire when they should (asked of promtool), and each leads to a page."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge_agent.metrics.series import TABLE
from tests.observability.programs import program
from tests.observability.stage import quickened

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy/prometheus"
RULES = PROMETHEUS / "rules"
CASES = Path(__file__).with_name("rules_test.yml")
ALERTS = (RULES / "alerts.yml").read_text()
RUNBOOKS = sorted((ROOT / "docs/runbooks").glob("*.md"))
NAMES = re.findall(r"^ +- alert: (\w+)$", ALERTS, re.MULTILINE)


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    tool = program("promtool", package="prometheus")
    return subprocess.run([tool, *words], capture_output=True, text=True, check=False)


def cases(folder: Path, rules: Path) -> Path:
    path = folder / "cases.yml"
    path.write_text(CASES.read_text().replace("RULES", str(rules)))
    return path


def test_the_rules_for_tests_that_cannot_wait_are_the_same_but_for_their_spans(tmp_path: Path) -> None:
    quick = tmp_path / "alerts.yml"
    quick.write_text(quickened(ALERTS))
    assert promtool("check", "rules", str(quick)).returncode == 0
    span = re.compile(r"\[\d+[smhd]\]|for: \d+[smhd]")
    assert span.sub("", quick.read_text()) == span.sub("", ALERTS)
    assert all(int(found) <= 10 for found in re.findall(r"(?:\[|for: )(\d+)", quick.read_text()))
    assert not re.search(r"(?:\[|for: )\d+[mhd]", quick.read_text())


def test_prometheus_takes_its_configuration() -> None:
    answer = promtool("check", "config", str(PROMETHEUS / "prometheus.yml"))
    assert answer.returncode == 0, answer.stderr


def test_alertmanager_takes_its_configuration() -> None:
    tool = program("amtool", package="prometheus-alertmanager")
    subprocess.run([tool, "check-config", str(PROMETHEUS / "alertmanager.yml")], check=True)


def test_each_rule_fires_for_its_fault_and_ends_with_it(tmp_path: Path) -> None:
    answer = promtool("test", "rules", str(cases(tmp_path, RULES)))
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("name", NAMES)
def test_the_cases_would_notice_that_a_rule_is_gone(name: str, tmp_path: Path) -> None:
    blunt = ALERTS.replace(f"- alert: {name}\n", f"- alert: Other{name}\n")
    (tmp_path / "alerts.yml").write_text(blunt)
    (tmp_path / "recording.yml").write_text((RULES / "recording.yml").read_text())
    assert promtool("test", "rules", str(cases(tmp_path, tmp_path))).returncode == 1


def test_every_series_that_a_rule_names_exists() -> None:
    text = ALERTS + (RULES / "recording.yml").read_text()
    recorded = set(re.findall(r"- record: (\S+)", text))
    used = set(re.findall(r"[\w:]*edge_agent_[\w:]+", "\n".join(re.findall(r"expr: .*", text)))) - recorded
    known = {series.name for series in TABLE}
    assert used
    assert {name.removesuffix("_bucket") for name in used} <= known


def test_every_rule_says_how_grave_it_is_and_leads_to_a_page() -> None:
    rules = ALERTS.split("- alert: ")[1:]
    assert len(rules) == len(NAMES) == len(set(NAMES))
    for rule in rules:
        name = rule.split("\n", 1)[0]
        assert re.search(r"severity: (critical|warning|info)\n", rule), name
        assert 'summary: "' in rule, name
        assert 'description: "' in rule, name
        page = re.search(r"runbook_url: (docs/runbooks/[a-z-]+\.md)", rule)
        assert page, name
        assert f"`{name}`" in (ROOT / page[1]).read_text(), name


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_every_page_belongs_to_a_rule_and_says_what_to_do(page: Path) -> None:
    text = page.read_text()
    assert f"docs/runbooks/{page.name}" in ALERTS
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
        "What it means",
        "What to look at",
        "What to do",
    ]
    named = re.findall(r"edge_agent_\w+", text)
    assert set(named) <= {series.name for series in TABLE} | recorded_tails()


def recorded_tails() -> set[str]:
    """Series by their middle part, as in `instance:edge_agent_x:rate5m`."""
    return set(re.findall(r":(edge_agent_\w+):", (RULES / "recording.yml").read_text()))


def test_every_rule_has_fired_and_ended_live_and_the_page_says_so() -> None:
    command = [sys.executable, "-m", "benchmarks.reliability.rules_table", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
