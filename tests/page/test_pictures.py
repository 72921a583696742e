"""The pictures in the docs: simulated machines that go on sending while they are looked at."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doubles.shopfloor import ROOT, AgentProcess, Mosquitto, User, free_port, wait_until
from playwright.sync_api import Browser, expect

from .conftest import TOKEN
from .visits import PHONE, machine_place, visit

pytestmark = [
    pytest.mark.broker,
    pytest.mark.page,
    pytest.mark.timeout(300),
    pytest.mark.skipif("PAGE_IMAGES" not in os.environ, reason="`make page` takes the pictures for the docs"),
]
IMAGES = Path(os.environ.get("PAGE_IMAGES", ""))
DESK = {"width": 1180, "height": 860}
LEARNT_ROWS, BEFORE_ROWS, AFTER_ROWS = 1800, 800, 400
NOW = LEARNT_ROWS + BEFORE_ROWS
MACHINES = {
    "pump-1": "pump",
    "motor-1": "motor",
    "furnace-1": "furnace",
    "pump-2": "pump",
    "motor-2": "motor",
}
NEWCOMER = "furnace-2"
STUCK = ("motor-1", "winding_temperature", NOW - 200)
"""A sensor that stands still from a row on."""
FAULTS = (
    f"pump-1:cavitation:{NOW - 70}:40",
    f"motor-2:phase_unbalance:{LEARNT_ROWS + 150}:30:1.0:{LEARNT_ROWS + 300}",
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


def plant(began_s: int) -> list[list[dict[str, Any]]]:
    """Every row of every machine, row by row."""
    arguments = ["--rows", str(NOW + AFTER_ROWS), "--seed", "7", "--start-ts", str(began_s)]
    for name, kind in {**MACHINES, NEWCOMER: "furnace"}.items():
        arguments += ["--machine", f"{name}={kind}"]
    for fault in FAULTS:
        arguments += ["--fault", fault]
    done = subprocess.run(
        [sys.executable, "-m", "trainer.plant", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    width = len(MACHINES) + 1
    rows = [lines[at : at + width] for at in range(0, len(lines), width)]
    machine, channel, first = STUCK
    held = None
    for row in rows[first:]:
        for message in row:
            if message["topic"].endswith(f"/{machine}"):
                held = held or message["payload"]["values"][channel]
                message["payload"]["values"][channel] = held
    return rows


class Feed:
    """Publishes rows: quickly up to now, then one a second."""

    def __init__(self, user: User, rows: list[list[dict[str, Any]]]) -> None:
        self._user, self._rows, self._stop = user, rows, threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def send(self, first: int, last: int) -> None:
        infos = []
        for at in range(first, last):
            for message in self._rows[at]:
                new = message["topic"].endswith(f"/{NEWCOMER}")
                if not new or at > NOW - LEARNT_ROWS // 2:
                    payload = json.dumps(message["payload"]).encode()
                    infos.append(self._user.publish(message["topic"], payload))
        for info in infos:
            info.wait_for_publish(60)

    def _go_on(self) -> None:
        for at in range(NOW, len(self._rows)):
            if self._stop.wait(1.0):
                return
            self.send(at, at + 1)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page of a hall in which a pump cavitates just now and a sensor is stuck."""
    folder = tmp_path_factory.mktemp("simulated")
    broker = Mosquitto(folder).start()
    agent = AgentProcess(
        folder, bundle=ROOT / "edge_agent/models/pretrained", broker_port=broker.port, rows=LEARNT_ROWS
    )
    port = free_port()
    (folder / "token").write_text(f"{TOKEN}\n")
    page = f'[page]\nenabled = true\nlisten = "127.0.0.1:{port}"\ntoken_file = "token"\n'
    agent.config.write_text(agent.config.read_text() + page)
    user = User(broker.port)
    feed = Feed(user, plant(int(time.time()) - NOW - 20))
    try:
        agent.start().ready()
        feed.send(0, LEARNT_ROWS)
        for machine in MACHINES:
            wait_until(lambda name=machine: user.machine(name) == "ready", what=machine, patience_s=120)
        for first in range(LEARNT_ROWS, NOW, 50):
            feed.send(first, first + 50)
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
