"""A camera's suspects on the page, in a real browser before a real agent: seen with the token, named, said good."""

import base64
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import free_port, wait_until
from benchmarks.harness.user import User
from simulator.parts import part, png
from tests.web.visits import machine_place, order, visit

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.xdist_group("page")]

TOKEN = "canary-token-3b1e77a0"  # noqa: S105 - of these tests alone
LEARNT, STEP_S = 12, 60
SOURCE = (
    '[[source]]\ntopic = "cam/{machine}/{channel}"\nformat = "image"\n'
    '[source.image]\nsubject = "part"\nsize = 128\n[limits]\npayload_bytes = 1_000_000\n'
)
SCRATCHED = (200, 203, 206, 207)


def picture(page: Page, name: str) -> None:
    """Kept for people where they ask for it."""
    if folder := os.environ.get("CAMERA_IMAGES"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


@pytest.fixture
def url(tmp_path: Path, tiny_bundle: Path) -> Iterator[str]:
    """The page of an agent whose camera has learnt twelve plates and has seen four scratched ones since."""
    broker = Broker(tmp_path).start()
    agent = Agent(tmp_path, bundle=tiny_bundle, port=broker.port)
    port = free_port()
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    text = agent.config.read_text().replace("[commission]\n", f"[commission]\nframes = {LEARNT}\n")
    page = f'[page]\nenabled = true\nlisten = "127.0.0.1:{port}"\ntoken_file = "token"\n'
    agent.config.write_text(f"{text}{SOURCE}{page}")
    user = User(broker.port)
    files = [png(part("plate", number)) for number in (*range(LEARNT), 50, 51)]
    files += [png(part("plate", number, "scratch")) for number in SCRATCHED]
    began_s = int(time.time()) - len(files) * STEP_S
    try:
        agent.start().ready()
        for number, file in enumerate(files):
            told = {
                "ts": began_s + number * STEP_S,
                "part": f"A-{number}",
                "image": base64.b64encode(file).decode(),
            }
            user.publish("cam/press-4/cam1", json.dumps(told).encode()).wait_for_publish(60)
            if number == LEARNT - 1:
                wait_until(lambda: agent.log("camera_learnt"), what="the camera to be learnt")
        yield f"http://127.0.0.1:{port}/"
    finally:
        user.close()
        agent.kill()
        broker.kill()


def test_suspects_are_seen_with_the_token_named_and_said_to_be_good(browser: Browser, url: str) -> None:
    with visit(browser, url, machine_place("press-4")) as page:
        strip = page.get_by_label("Suspects of cam1")
        expect(strip.locator("li")).to_have_count(4)
        expect(strip.locator("canvas[data-drawn]")).to_have_count(0)
        expect(page.get_by_label("Camera cam1")).to_contain_text("4 of the last 20 parts are suspects")
        first = strip.locator("li").last
        expect(first).to_contain_text("not named")
        order(page, first, "Name it", token=TOKEN, The_fault="scratch")
        expect(first).to_contain_text("scratch")
        expect(strip.locator("canvas[data-drawn]")).to_have_count(4)
        expect(page.get_by_label("Unusual pictures", exact=True)).to_contain_text(
            "of the last 20 parts of press-4"
        )
        picture(page, "suspects")
        newest = strip.locator("li").first
        order(page, newest, "This is good", token=TOKEN)
        expect(newest).to_contain_text("said to be good")
        order(page, newest, "Undo", token=TOKEN)
        expect(newest).not_to_contain_text("said to be good")
    with visit(
        browser, url, machine_place("press-4"), size={"width": 1180, "height": 860}, scheme="dark"
    ) as page:
        page.locator("[data-unlock]").locator("xpath=../label/input").fill(TOKEN)
        page.locator("[data-unlock]").click()
        expect(page.get_by_label("Suspects of cam1").locator("canvas[data-drawn]")).to_have_count(4)
        picture(page, "suspects-dark")
