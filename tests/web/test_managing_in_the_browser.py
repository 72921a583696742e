"""Machines as things to manage, in a real browser before a real agent: one, and all that a pattern means."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import free_port, wait_until
from benchmarks.harness.user import User, rows
from tests.web import visits
from tests.web.visits import machine_place, visit

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.xdist_group("page")]

TOKEN = "canary-token-3b1e77a0"  # noqa: S105 - of this test alone
ROWS = 300
MACHINES = ("press-1", "press-2", "fan-3")
SETTINGS = """
[commands]
allow = ["relearn", "rename", "budget", "suppress", "unsuppress", "shelve", "unshelve", "forget"]
[[machine]]
match = "press-1"
display_name = "Old press"
location = "hall 2/line1"
type = "press"
units = { flow = "m3/h" }
[[machine]]
match = "press-*"
location = "hall 2/line1"
"""


@dataclass
class World:
    user: User
    url: str
    began_s: int
    sent: int = 0

    def publish(self, count: int, **more: float) -> None:
        """So many rows of every machine, with more channels of press-1."""
        infos = []
        for machine in MACHINES:
            for row, values in rows(machine, self.sent, self.sent + count, shift=0.0):
                told = values | (more if machine == "press-1" else {})
                payload = {"ts": self.began_s + row, "values": told}
                infos.append(self.user.publish(f"sensors/{machine}", json.dumps(payload).encode()))
        for info in infos:
            info.wait_for_publish(120)
        self.sent += count


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("managed")
    broker = Broker(folder).start()
    agent = Agent(folder, bundle=tiny_bundle, port=broker.port, commission_rows=ROWS)
    port = free_port()
    (folder / "token").write_text(f"{TOKEN}\n")
    page = f'[page]\nenabled = true\nlisten = "127.0.0.1:{port}"\ntoken_file = "token"\n'
    agent.config.write_text(agent.config.read_text() + page + SETTINGS)
    user = User(broker.port)
    world = World(user, f"http://127.0.0.1:{port}/", int(time.time()) - ROWS - 200)
    try:
        agent.start().ready()
        world.publish(ROWS)
        for machine in MACHINES:
            wait_until(lambda name=machine: user.machine(name) == "ready", what=machine)
        world.publish(100)
        yield world
    finally:
        user.close()
        agent.kill()
        broker.kill()


order = partial(visits.order, token=TOKEN)


def picture(page: Page, name: str) -> None:
    """Kept for people where they ask for it."""
    if folder := os.environ.get("MANAGING_IMAGES"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_a_machine_is_shown_as_people_call_it_and_managed(browser: Browser, world: World) -> None:
    with visit(browser, world.url, machine_place("press-1")) as page:
        expect(page.locator("h1")).to_have_text("Old press press-1")
        expect(page.locator("main")).to_contain_text("press · hall 2/line1")
        expect(page.locator(".channel h3", has_text="flow")).to_have_text("flow m3/h")
        manage = page.get_by_label("Manage", exact=True)
        order(page, manage, "Learn anew")
        expect(page.locator("#told")).to_contain_text("the old profile watches until both were compared")
        expect(page.get_by_label("Next profile")).to_contain_text("of 300 rows")
        world.publish(3, heat=20.0)
        expect(page.get_by_label("Next profile")).to_contain_text("Heard, and not watched yet: heat")
        picture(page, "machine")
        order(page, manage, "Rename", What_people_call_it="Presse 1/süd")
        expect(page.locator("h1")).to_have_text("Presse 1/süd press-1")
        order(page, page.get_by_label("Next profile"), "Keep the old profile")
        expect(page.locator("main")).to_contain_text("Anna (page) keeps the old profile")


def test_a_pattern_means_many_and_one_is_forgotten_for_good(browser: Browser, world: World) -> None:
    with visit(browser, world.url) as page:
        page.get_by_label("Find machines").fill("line1/*")
        many = page.get_by_label("Manage many")
        expect(many).to_contain_text("line1/* means 2 machines")
        expect(page.locator("a.machine")).to_have_count(2)
        order(page, many, "Suppress")
        expect(page.locator("#told")).to_contain_text("done: 2 (press-1, press-2)")
        expect(page.locator("a.machine", has_text="suppressed: Anna (page)")).to_have_count(2)
        picture(page, "many")
    with visit(browser, world.url, machine_place("fan-3")) as page:
        manage = page.get_by_label("Manage", exact=True)
        order(page, manage, "Forget", To_confirm="fan-4")
        expect(page.locator(".problem")).to_have_text("This is not fan-3.")
        picture(page, "forget")
        page.locator("dialog").get_by_label("To confirm").fill("fan-3")
        page.locator("dialog button.main").click()
        expect(page.locator("a.machine")).to_have_count(2)
    wait_until(lambda: "fan-3" not in world.user.status["machines"], what="a status without it")
