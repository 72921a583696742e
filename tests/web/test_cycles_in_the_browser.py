"""A programmed machine's page in a real browser before a real agent: the last cycle over its recipe's band."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import free_port
from benchmarks.harness.user import User
from tests.support.robot import CHANNELS, DRAGGING, SLOW_STEP, USUAL, Doing, run
from tests.web.visits import PHONE, machine_place, visit

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.xdist_group("page")]

CYCLE = (
    '[[cycle]]\nmachine = "robot-*"\nstart = { channel = "step", becomes = 1 }\nstep = "step"\n'
    'recipe = "program"\ngiven = ["payload"]\nlearn_cycles = 40\n'
)
DESK = {"width": 1180, "height": 860}
RATE_HZ = 5.0


class Robot:
    """Sends cycles that were over just now."""

    def __init__(self, user: User, began_s: int) -> None:
        self._user, self._now_ns, self._seed = user, began_s * 1_000_000_000, 0

    def go(self, doings: Sequence[Doing]) -> None:
        times, rows = run(doings, seed=self._seed, start_ns=self._now_ns, rate_hz=RATE_HZ)
        self._now_ns, self._seed = times[-1], self._seed + 1
        for time_ns, row in zip(times[:-1], rows[:-1].tolist(), strict=True):
            told = {"ts": time_ns / 1e9, "values": dict(zip(CHANNELS, row, strict=True))}
            sent = self._user.publish("sensors/robot-1", json.dumps(told).encode())
        sent.wait_for_publish(60)


@pytest.fixture
def hall(tmp_path: Path, tiny_bundle: Path) -> Iterator[tuple[str, Robot]]:
    """The page of an agent that counts a robot's cycles, and the robot."""
    broker = Broker(tmp_path).start()
    agent = Agent(tmp_path, bundle=tiny_bundle, port=broker.port)
    port = free_port()
    page = f'[page]\nenabled = true\nlisten = "127.0.0.1:{port}"\n'
    agent.config.write_text(f"{agent.config.read_text()}{CYCLE}{page}")
    user = User(broker.port)
    try:
        agent.start().ready()
        yield f"http://127.0.0.1:{port}/", Robot(user, int(time.time()) - 900)
    finally:
        user.close()
        agent.kill()
        broker.kill()


def picture(page: Page, name: str) -> None:
    """Kept for people where they ask for it."""
    if folder := os.environ.get("CYCLE_IMAGES"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_the_last_cycle_is_seen_over_its_band(browser: Browser, hall: tuple[str, Robot]) -> None:
    url, robot = hall
    robot.go([USUAL] * 18)
    with visit(browser, url, machine_place("robot-1")) as page:
        card = page.get_by_label("Last cycle", exact=True)
        expect(card).to_contain_text("Last cycle, recipe 7")
        expect(card).to_contain_text("Learning 16 of 40 cycles")
        expect(card).to_contain_text("Too few cycles of this recipe yet for a band")
        robot.go([USUAL] * 40)
        expect(card).not_to_contain_text("Learning")
        expect(card.locator("path.band")).to_have_count(2)
        robot.go([SLOW_STEP] * 3)
        slow = card.locator("li", has_text="Step 2")
        expect(slow.locator("strong.bad")).to_have_count(1)
        expect(slow).to_contain_text("usually")
        robot.go([DRAGGING] * 3)
        expect(card.locator("path.curve").first).to_have_class("curve bad")
        picture(page, "cycle-phone-light")
        page.evaluate("document.querySelector('[aria-label=\"Last cycle\"]').scrollIntoView()")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE["width"]
    for size, scheme in ((PHONE, "dark"), (DESK, "light"), (DESK, "dark")):
        with visit(browser, url, machine_place("robot-1/cycle"), size=size, scheme=scheme) as page:
            expect(page.get_by_label("Last cycle", exact=True)).to_be_visible()
            picture(page, f"cycle-{'phone' if size is PHONE else 'desk'}-{scheme}")
