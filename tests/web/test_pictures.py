"""The pictures in the docs: simulated machines that go on sending while they are looked at."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from benchmarks import ROOT
from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import free_port
from benchmarks.harness.user import User
from tests.support.simulation import Feed, Scenario
from tests.web.conftest import TOKEN
from tests.web.visits import PHONE, machine_place, visit

pytestmark = [
    pytest.mark.broker,
    pytest.mark.page,
    pytest.mark.skipif("PAGE_IMAGES" not in os.environ, reason="`make page` takes the pictures for the docs"),
]
IMAGES = Path(os.environ.get("PAGE_IMAGES", ""))
DESK = {"width": 1180, "height": 860}
LEARNT_ROWS = 1800
NOW = LEARNT_ROWS + 800
SCENARIO = Scenario(
    machines={
        "pump-1": "pump",
        "motor-1": "motor",
        "furnace-1": "furnace",
        "pump-2": "pump",
        "motor-2": "motor",
    },
    newcomer=("furnace-2", "furnace"),
    faults=(
        f"pump-1:cavitation:{NOW - 70}:40",
        f"motor-2:phase_unbalance:{LEARNT_ROWS + 150}:30:1.0:{LEARNT_ROWS + 300}",
    ),
    stuck=("motor-1", "winding_temperature", NOW - 200),
    learnt_rows=LEARNT_ROWS,
    now=NOW,
    after_rows=400,
)
BYTES_LIMIT = 150_000
PICTURES = (
    ("overview", "", "phone", "light"),
    ("overview", "", "phone", "dark"),
    ("overview", "", "desk", "light"),
    ("machine", machine_place("pump-1"), "phone", "dark"),
    ("machine", machine_place("pump-1"), "desk", "light"),
    ("history", "#/history", "phone", "light"),
    ("data", "#/data", "phone", "light"),
    ("model", "#/model", "phone", "dark"),
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of a hall in which a pump cavitates just now and a sensor is stuck."""
    folder = tmp_path_factory.mktemp("simulated")
    broker = Broker(folder).start()
    agent = Agent(
        folder, bundle=ROOT / "edge_agent/models/pretrained", port=broker.port, commission_rows=LEARNT_ROWS
    )
    port = free_port()
    (folder / "token").write_text(f"{TOKEN}\n")
    page = f'[page]\nenabled = true\nlisten = "127.0.0.1:{port}"\ntoken_file = "token"\n'
    agent.config.write_text(agent.config.read_text() + page)
    user = User(broker.port)
    feed = Feed(user, SCENARIO, began_s=int(time.time()) - NOW - 20)
    try:
        agent.start().ready()
        feed.catch_up()
        feed.start()
        yield f"http://127.0.0.1:{port}/"
    finally:
        feed.stop()
        user.close()
        agent.kill()
        broker.kill()


def test_pictures_for_the_docs(browser: Browser, url: str) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with visit(browser, url) as page:
        expect(page.locator("article.alarm", has_text="pump-1")).to_be_visible(timeout=60_000)
        time.sleep(20)  # rows of now beside those of the past minutes
    for name, place, kind, scheme in PICTURES:
        picture = IMAGES / f"page-{name}-{kind}-{scheme}.png"
        size = PHONE if kind == "phone" else DESK
        scale = 1.5 if kind == "phone" else 1.0
        with visit(browser, url, place, size=size, scheme=scheme, scale=scale) as page:
            expect(page.locator("main h1")).to_have_count(1)
            page.screenshot(path=picture)
        assert 10_000 < picture.stat().st_size < BYTES_LIMIT, f"{picture} is empty or large"
