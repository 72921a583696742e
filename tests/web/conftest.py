"""A small hall behind the page: a broker, an agent, machines that are well, broken or new, one with a hostile name."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from benchmarks import ROOT
from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import free_port, wait_until
from benchmarks.harness.user import FAULT_SHIFT, User, rows
from tests.support.browser import headless

TOKEN = "canary-token-3b1e77a0"  # noqa: S105 - of this test alone
HOSTILE = "<img src=x onerror=document.body.dataset.owned=1>"
HOSTILE_CHANNEL = "\"><svg onload=document.body.dataset.owned=1 x='"
NORMAL_ROWS, WARM_ROWS, FAULT_ROWS = 300, 260, 90
WELL = ("fan-2", "conveyor-3", "compressor-4")


@dataclass
class World:
    agent: Agent
    user: User
    url: str
    began_s: int

    def publish(self, machine: str, first: int, last: int, *, shift: float = 0.0) -> None:
        """Rows [first, last) of a machine's life, one a second, so that the last ones are of now."""
        infos = []
        for row, values in rows(machine, first, last, shift=shift):
            told = {HOSTILE_CHANNEL: values["flow"], **values} if machine == HOSTILE else values
            payload = {"ts": self.began_s + row, "values": told}
            infos.append(self.user.publish(f"sensors/{machine}", json.dumps(payload).encode()))
        for info in infos:
            info.wait_for_publish(120)

    def alarm(self, machine: str) -> str:
        """Id of the machine's alarm, as readers of MQTT know it."""

        def found() -> str:
            return next((told["id"] for told in self.user.alerts if told["machine"] == machine), "")

        return str(wait_until(found, what=f"the alarm of {machine}"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with headless() as browser:
        yield browser


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("hall")
    broker = Broker(folder).start()
    agent = Agent(
        folder,
        bundle=ROOT / "edge_agent/models/pretrained",
        port=broker.port,
        commission_rows=NORMAL_ROWS,
        off_delay_s=60.0,
    )
    port = free_port()
    (folder / "token").write_text(f"{TOKEN}\n")
    page = f'[page]\nenabled = true\nlisten = "127.0.0.1:{port}"\ntoken_file = "token"\n'
    known = '[[machine]]\nmatch = "pump-1"\nrunbooks = { "*" = "Close valve 3: https://wiki.example/v3" }\n'
    agent.config.write_text(agent.config.read_text() + page + known)
    user = User(broker.port)
    began_s = int(time.time()) - NORMAL_ROWS - WARM_ROWS - FAULT_ROWS
    world = World(agent, user, f"http://127.0.0.1:{port}/", began_s)
    try:
        agent.start().ready()
        _play(world)
        yield world
    finally:
        user.close()
        agent.kill()
        broker.kill()


def _play(world: World) -> None:
    learnt = ("pump-1", HOSTILE, *WELL)
    for machine in learnt:
        world.publish(machine, 0, NORMAL_ROWS)
    for machine in learnt:
        wait_until(lambda name=machine: world.user.machine(name) == "ready", what=machine)
    for machine in learnt:
        world.publish(machine, NORMAL_ROWS, NORMAL_ROWS + WARM_ROWS)
    world.publish("mixer-5", 0, 130)
    for payload in (b"not json", b'{"values": {}}', b'{"values": {"flow": "wet"}}'):
        world.user.publish("sensors/pump-1", payload)
    last = NORMAL_ROWS + WARM_ROWS + FAULT_ROWS
    for machine in learnt:
        broken = FAULT_SHIFT if machine in ("pump-1", HOSTILE) else 0.0
        world.publish(machine, NORMAL_ROWS + WARM_ROWS, last, shift=broken)
    world.alarm("pump-1")
    world.alarm(HOSTILE)
