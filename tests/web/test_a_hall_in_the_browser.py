"""A hall of 400 machines, three of them in alarm, in a browser: who, where, what and since when, without scrolling."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from edge_agent.alarms.state import Acknowledgement, AlarmState, MachineCalls
from edge_agent.metrics.snapshot import Health, Snapshot
from edge_agent.model import bundle
from edge_agent.records import Alarm, ChannelEvidence
from edge_agent.signals.machine_rules import MachineFacts
from edge_agent.store.history.reader import HistoryReader
from edge_agent.web import documents
from edge_agent.web.auth import TokenGuard
from edge_agent.web.exchange import Exchange
from edge_agent.web.page_routes import CommandGate, PageRoutes
from edge_agent.web.past import PastPages
from edge_agent.web.server import HttpServer
from edge_agent.web.view import Curve, View
from tests.support.hall import ALARM, NOW_NS, READY, SECOND
from tests.support.http_client import ask
from tests.web.visits import PHONE, visit

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("page")]
MACHINES = 400
IN_ALARM = {5: "unknown", 117: "worn seal", 331: "unknown"}
NEAR = (3, 12)
FIRST_VIEW_BYTES = 100_000
DESK = {"width": 1280, "height": 800}


def hall(folder: Path) -> View:
    """Presses on ten lines; one alarm has been seen by Anna."""
    names = [f"press-{number:03}" for number in range(MACHINES)]
    rng = np.random.default_rng(0)
    scores = [0.9 if at in NEAR else float(rng.uniform(0.1, 0.6)) for at in range(MACHINES)]
    status = {
        name: replace(READY, last_score=scores[at], threshold_ratio=float(rng.uniform(0.8, 1.2)))
        for at, name in enumerate(names)
    }
    records = {names[at]: standing(names[at], at=at, fault=fault) for at, fault in IN_ALARM.items()}
    times = tuple(float(at) for at in range(40))
    trends = {name: Curve(times, tuple(map(float, rng.uniform(0.1, 0.6, 40)))) for name in names}
    return View(
        time_ns=NOW_NS,
        made_s=0.0,
        agent="hall",
        version="1",
        provider="cpu",
        health=Health(alive=True, amiss=()),
        snapshot=Snapshot(),
        bundle=bundle.read(folder),
        silent_s={},
        past=(),
        past_count=0,
        commands=(),
        machines=status,
        facts={name: MachineFacts(location=f"Hall 2 / Line {at // 40 + 1}") for at, name in enumerate(names)},
        records=tuple(records.values()),
        calls={name: MachineCalls(record) for name, record in records.items()},
        trends=trends,
    )


def standing(name: str, *, at: int, fault: str) -> AlarmState:
    channel = ChannelEvidence("hydraulic pressure", 0.7, 9.2, 1.0, 3.0, 9.0, "high")
    onset = NOW_NS - (20 + at) * 60 * SECOND
    alarm: Alarm = replace(
        ALARM,
        machine=name,
        id=f"{name}-a",
        severity="major",
        onset_ns=onset,
        fault=fault,
        channels=(channel,),
    )
    return AlarmState(alarm, acknowledgement=Acknowledgement("Anna", onset) if at == 117 else None)


@pytest.fixture
def port(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    exchange = Exchange(monotonic=time.monotonic, patience_s=0.05)
    seen = hall(tiny_bundle)
    monkeypatch.setattr(exchange, "view", lambda name=None: seen)  # noqa: ARG005 - the one view for all
    gate = CommandGate(
        exchange, TokenGuard(tmp_path / "token", monotonic=time.monotonic), topic="cmd", offered=()
    )
    past = PastPages(HistoryReader(tmp_path / "history.sqlite"), wall_s=time.time)
    server = HttpServer(("127.0.0.1", 0), PageRoutes(exchange, gate, names=(), past=past), name="page")
    server.start()
    yield server.port or 0
    server.stop()


def test_the_first_view_of_400_machines_is_small(port: int) -> None:
    paths = ["/", "/api/state", *(f"/{name}" for name in ("page.css", "icon.svg"))]
    paths += [f"/{file.name}" for file in Path(documents.__file__).parent.joinpath("static").glob("*.js")]
    packed = {"Accept-Encoding": "gzip"}
    sizes = {path: int(ask(port, "GET", path, headers=packed)[1]["content-length"]) for path in paths}
    assert sum(sizes.values()) <= FIRST_VIEW_BYTES, sizes
    assert len(json.loads(ask(port, "GET", "/api/state")[2])["machines"]) == MACHINES


def low_targets(page: Page) -> list[Any]:
    """Links and buttons that a thumb would miss."""
    found: list[Any] = page.evaluate(
        "[...document.querySelectorAll('a, button, input')].filter((one) => one.offsetParent && !one.matches('.skip')"
        " && one.getBoundingClientRect().height < 43.5).map((one) => one.outerHTML.slice(0, 80))"
    )
    return found


@pytest.mark.page
@pytest.mark.parametrize(
    ("name", "size", "scheme"), [("phone", PHONE, "light"), ("desk", DESK, "dark")], ids=["phone", "desk"]
)
def test_three_alarms_of_400_are_read_without_scrolling_and_found_by_pills(
    port: int, browser: Browser, name: str, size: dict[str, int], scheme: str
) -> None:
    with visit(browser, f"http://127.0.0.1:{port}/", size=size, scheme=scheme) as page:
        lines = page.locator("ul.lines > li")
        assert lines.count() == len(IN_ALARM)
        for line, at in zip(lines.all(), sorted(IN_ALARM, reverse=False), strict=True):
            box = line.bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= size["height"]
            text = line.inner_text()
            assert all(word in text for word in ("press-", "Hall 2 / Line", "major", "since")), (at, text)
        assert "worn seal" in page.locator("ul.lines").inner_text()
        assert "seen by Anna" in page.locator("ul.lines").inner_text()
        assert low_targets(page) == []
        if folder := os.environ.get("PAGE_IMAGES"):
            page.screenshot(path=Path(folder) / f"hall-{name}.png")
        assert page.locator("section.place").count() == 10
        page.locator("[data-filter=near]").click()
        assert page.locator("ul.machines > li").count() == len(NEAR)
        page.locator("[data-filter=near]").click()
        page.locator("[data-filter=alarm]").click()
        assert page.locator("ul.machines > li").count() == len(IN_ALARM)


@pytest.mark.page
def test_a_new_alarm_is_said_to_those_who_cannot_see_it(port: int, browser: Browser) -> None:
    before = json.loads(ask(port, "GET", "/api/state")[2])
    after = before["alarms"].pop()
    answers = [before]
    with visit(browser, f"http://127.0.0.1:{port}/") as page:
        page.route("**/api/state", lambda route: route.fulfill(json=answers[-1]))
        page.reload()
        page.wait_for_selector("ul.lines")
        assert page.locator("#said").inner_text() == ""
        answers.append({**before, "alarms": [*before["alarms"], after]})
        expect(page.locator("#said")).to_have_text(f"New alarm: {after['machine']}, major")
