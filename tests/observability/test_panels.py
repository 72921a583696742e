"""Every panel of the shipped dashboards, drawn with data by Grafana's own components from a live Prometheus."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.observability.drawing import DASHBOARDS, build, content, drawn, read, served, wrong_panels
from tests.observability.hall import BROKEN, WATCHED_S, Hall, watched_hall
from tests.support.browser import headless

pytestmark = [pytest.mark.panels, pytest.mark.timeout(600)]
IMAGES = os.environ.get("PANELS_IMAGES")
BYTES_LIMIT = 200_000
SOURCES = DASHBOARDS.parent / "provisioning/datasources/prometheus.yml"
SHIPPED = {"fleet": 9, "machine": 12, "health": 14}
"""The dashboards and how many panels each has."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with headless() as browser:
        yield browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("preview")
    build(folder)
    return folder


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with served(folder) as url:
        yield url


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    with watched_hall(tmp_path_factory.mktemp("hall")) as hall:
        hall.watch()
        yield hall


def asked(**more: object) -> dict[str, object]:
    """What Grafana would know of the range and, by the shipped data source, of the pace of Prometheus."""
    pace = re.search(r"timeInterval: (\d+)s", SOURCES.read_text())
    assert pace
    return {"minutes": WATCHED_S / 60, "scrape": pace[1], **more}


def words(page: Page, told: dict[str, Any], title: str) -> str:
    number = next(panel["id"] for panel in told["panels"] if panel["title"] == title)
    return content(page.locator(f"section[data-panel='{number}']"))


@pytest.mark.parametrize("name", SHIPPED)
def test_each_panel_is_drawn_with_data(name: str, hall: Hall, url: str, browser: Browser) -> None:
    file = f"edge-agent-{name}.json"
    told = read(file)
    assert len(told["panels"]) == SHIPPED[name]
    with drawn(browser, url, file, hall.watchers.port, **asked(**{"var-machine": BROKEN})) as page:
        assert wrong_panels(page, told) == {}
        if IMAGES:
            picture = Path(IMAGES) / f"grafana-{name}.png"
            page.screenshot(path=picture, full_page=True)
            assert 10_000 < picture.stat().st_size < BYTES_LIMIT, f"{picture} is empty or large"


def test_values_are_those_of_prometheus_in_the_units_of_the_panel(
    hall: Hall, url: str, browser: Browser
) -> None:
    told = read("edge-agent-fleet.json")
    with drawn(browser, url, "edge-agent-fleet.json", hall.watchers.port, **asked()) as page:
        states = {
            row["metric"]["state"]: row["value"][1]
            for row in hall.watchers.query("sum by (state) (edge_agent_machines)")
        }
        assert states == {"commissioning": "1", "ready": "5"}
        assert words(page, told, "Machines") == "commissioning 1 ready 5"
    told = read("edge-agent-health.json")
    with drawn(browser, url, "edge-agent-health.json", hall.watchers.port, **asked()) as page:
        free = float(hall.watchers.query("edge_agent_state_free_bytes")[0]["value"][1])
        shown, unit = words(page, told, "Room on the disk").split()
        assert float(shown) * 1024 ** " KMGT".index(unit[0]) == pytest.approx(free, rel=0.02)
        assert words(page, told, "State not saved") == "no"


def test_the_machine_that_is_chosen_is_shown(hall: Hall, url: str, browser: Browser) -> None:
    told = read("edge-agent-machine.json")
    for machine, open_ in ((BROKEN, "yes"), ("pump-2", "no")):
        choice = asked(**{"var-machine": machine})
        with drawn(browser, url, "edge-agent-machine.json", hall.watchers.port, **choice) as page:
            assert words(page, told, "Alarm open") == open_
            assert words(page, told, "State") == "ready"


def test_a_panel_without_data_or_with_a_fault_is_noticed(
    hall: Hall, url: str, browser: Browser, folder: Path
) -> None:
    told = read("edge-agent-health.json")
    good = next(panel for panel in told["panels"] if panel["title"] == "Memory")
    faults = {
        "no such series": {"expr": "edge_agent_nothing"},
        "not PromQL": {"expr": "sum("},
        "never a number": {"expr": "process_resident_memory_bytes * NaN"},
        "good": {},
    }
    told["panels"] = [
        good | {"id": number, "title": title, "targets": [good["targets"][0] | fault]}
        for number, (title, fault) in enumerate(faults.items(), 1)
    ]
    told["panels"].append(good | {"id": 9, "title": "no such kind", "type": "piechart"})
    odd = {"defaults": good["fieldConfig"]["defaults"] | {"colour": "red"}, "overrides": []}
    told["panels"].append(good | {"id": 10, "title": "no such word", "fieldConfig": odd})
    (folder / "dashboards/spoilt.json").write_text(json.dumps(told))
    page_of = drawn(browser, url, "spoilt.json", hall.watchers.port, **asked())
    with pytest.raises(AssertionError, match="400"), page_of as page:
        found = wrong_panels(page, told)
    assert found.keys() == faults.keys() - {"good"} | {"no such kind", "no such word"}
    assert found["no such series"] == "empty: No data"
    assert "parse error" in found["not PromQL"]
    assert "nothing in the colours" in found["never a number"]
