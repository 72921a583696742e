"""The process and its signals: reloads as a service manager asks for them, however often."""

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from edge_agent.model import bundle
from edge_agent.model.bundle import CARD, MODEL
from tests.support import tampering

pytestmark = pytest.mark.broker


@pytest.fixture
def agent(tmp_path: Path, tiny_bundle: Path) -> Iterator[Agent]:
    broker = Broker(tmp_path).start()
    (tmp_path / "current").symlink_to(tiny_bundle)
    agent = Agent(tmp_path, bundle=tmp_path / "current", port=broker.port)
    yield agent.start().ready()
    agent.kill()
    broker.kill()


def send(agent: Agent, number: int = signal.SIGHUP) -> None:
    assert agent.process is not None
    agent.process.send_signal(number)


def test_a_link_is_switched_and_the_agent_told(agent: Agent, tiny_bundle: Path, tmp_path: Path) -> None:
    fresh = shutil.copytree(tiny_bundle, tmp_path / "fresh")
    (fresh / CARD).write_text("another release")
    digest = bundle.read(tampering.sign(fresh)).digest
    spoilt = shutil.copytree(fresh, tmp_path / "spoilt")
    (spoilt / MODEL).write_bytes(b"x")
    for target, result in ((spoilt, "refused"), (fresh, "applied")):
        (tmp_path / "next").symlink_to(target)
        (tmp_path / "next").replace(tmp_path / "current")
        send(agent)
        wait_until(
            lambda r=result: agent.metric(f'edge_agent_reloads_total{{result="{r}"}}') == 1, what=result
        )
    wait_until(lambda: digest in agent.page("/metrics")[1], what="the new digest on the page")
    refused = wait_until(lambda: agent.log("reload_refused"), what="the refusal in the log")
    assert "model.onnx" in refused[-1]["reason"]
    taken = wait_until(lambda: agent.log("reloaded"), what="the reload in the log")
    assert taken[-1]["digest"] == digest[:12]


def test_a_storm_of_signals_neither_blocks_nor_ends_the_agent(agent: Agent) -> None:
    for _ in range(500):
        send(agent)
        time.sleep(0.002)
    wait_until(lambda: agent.metric('edge_agent_reloads_total{result="unchanged"}') >= 1, what="a reload")
    time.sleep(1)
    assert agent.page("/healthz")[0] == 200
    assert agent.stop() == 0
