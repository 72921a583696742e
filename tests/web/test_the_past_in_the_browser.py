"""What a technician sees of the past, and that `kill -9` takes nothing of it away: page, history and open incident."""

import json
import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.harness.patience import wait_until
from tests.web.conftest import FAULT_ROWS, HOSTILE, NORMAL_ROWS, WARM_ROWS, World
from tests.web.visits import PHONE, machine_place, visit

pytestmark = [
    pytest.mark.broker,
    pytest.mark.slow,
    pytest.mark.xdist_group("page"),
]
LAST = NORMAL_ROWS + WARM_ROWS + FAULT_ROWS


@pytest.fixture(scope="module")
def closed(world: World) -> str:
    """The alarm of the machine with the hostile name has closed, and was named."""
    alarm = world.alarm(HOSTILE)
    world.publish(HOSTILE, LAST, LAST + 280)

    def over() -> bool:
        return any(told["id"] == alarm and told["state"] == "closed" for told in world.user.alerts)

    wait_until(over, what="the end of the alarm")
    fields = {"id": "named-1", "by": "Bert", "alarm": alarm, "fault": "worn <i>seal", "comment": "was dry"}
    world.user.publish("agents/hall/cmd/label", json.dumps(fields).encode())
    return alarm


def seen(page: Page, *, image: str) -> list[str]:
    """What the page says of an open alarm, and its curves; and a picture of it where one is wanted."""
    expect(page.locator("article.alarm")).to_be_visible()
    said = [page.locator("article.alarm .evidence").inner_text()]
    said.append(page.locator("svg.score").get_attribute("aria-label") or "")
    page.get_by_role("button", name="24 h").click()
    expect(page.locator("svg.score")).to_have_attribute("aria-label", other_than(said[-1]))
    said.append(page.locator("svg.score").get_attribute("aria-label") or "")
    if folder := os.environ.get("PAST_IMAGES"):
        page.screenshot(path=Path(folder) / f"{image}.png", full_page=True)
    return said


def other_than(text: str) -> re.Pattern[str]:
    return re.compile(rf"^(?!{re.escape(text)}$).+")


def test_what_closed_is_there_with_what_was_seen_and_who_did_what(
    browser: Browser, world: World, closed: str
) -> None:
    del closed
    with visit(browser, world.url, "#/history") as page:
        card = page.locator("ul.past > li", has_text=HOSTILE).first
        expect(card).to_contain_text("worn <i>seal")
        expect(card).to_contain_text("at worst")
        card.get_by_role("link", name="What was seen").click()
        expect(page.locator("section", has_text="Who did what")).to_contain_text("Bert: named worn <i>seal")
        expect(page.locator("section", has_text="Who did what")).to_contain_text("was dry")
        expect(page.locator(".evidence")).to_contain_text("usually")
        expect(page.locator("svg.score")).to_be_visible()
        expect(page.locator(".channel svg.rows").first).to_be_visible()
        assert page.locator("main img, main i").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        if folder := os.environ.get("PAST_IMAGES"):
            page.screenshot(path=Path(folder) / "incident.png", full_page=True)


def test_the_last_time_is_told_beside_an_open_alarm(browser: Browser, world: World, closed: str) -> None:
    del closed
    with visit(browser, world.url, machine_place("pump-1")) as page:
        last = page.get_by_role("region", name="Last time this happened")
        expect(page.locator("article.alarm")).to_be_visible()
        if last.count():  # the other machine's channels have other names: it need not look alike
            expect(last).to_contain_text("alike")


def test_each_span_is_drawn_and_the_same_time_before_can_be_laid_under_it(
    browser: Browser, world: World
) -> None:
    with visit(browser, world.url, machine_place("pump-1")) as page:
        for name in ("7 days", "30 days", "24 h", "10 min"):
            page.get_by_role("button", name=name).click()
            expect(page.get_by_role("button", name=name)).to_have_attribute("aria-pressed", "true")
            expect(page.locator("main")).not_to_contain_text("Only what is remembered")
        page.get_by_label("Same time yesterday").check()
        expect(page.locator("main")).to_contain_text("Nothing is kept of that time.")


def test_killed_and_started_again_the_page_the_history_and_the_open_incident_are_the_same(
    browser: Browser, world: World, closed: str
) -> None:
    del closed
    with visit(browser, world.url, machine_place("pump-1")) as page:
        before = seen(page, image="before")
        page.goto(f"{world.url}#/history")
        listed = page.locator("ul.past").inner_text()
    ids = open_alarms(world)
    world.agent.kill()
    world.agent.start().ready()
    with visit(browser, world.url, machine_place("pump-1")) as page:
        assert seen(page, image="after") == before
        page.goto(f"{world.url}#/history")
        expect(page.locator("ul.past")).to_have_text(listed, use_inner_text=True)
    assert open_alarms(world) == ids


def open_alarms(world: World) -> set[str]:
    latest = {told["id"]: told["state"] for told in world.user.alerts}
    return {name for name, state in latest.items() if state == "open"}
