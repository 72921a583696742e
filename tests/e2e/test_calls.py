"""The running agent calls: an alarm reaches its receiver through an outage and a kill, once, and the escalation too."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import ROOT
from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from benchmarks.harness.user import FAULT_SHIFT, User
from tests.support.calls import Receiver

pytestmark = pytest.mark.broker


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture
def user(broker: Broker) -> Iterator[User]:
    user = User(broker.port)
    yield user
    user.close()


def rule(name: str, receiver: Receiver, **more: Any) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in more.items()]
    return "\n".join(
        ["[[notify]]", f'name = "{name}"', 'kind = "json"', f'url = "{receiver.url}"', *lines, ""]
    )


def test_an_alarm_calls_through_an_outage_and_a_kill_and_escalates_until_acknowledged(
    tmp_path: Path, broker: Broker, tiny_bundle: Path, receiver: Receiver, user: User
) -> None:
    agent = Agent(tmp_path, bundle=tiny_bundle, port=broker.port)
    rules = rule("shift", receiver, cool_down_s=20) + rule("foreman", receiver, after_s=1, cool_down_s=20)
    agent.config.write_text(agent.config.read_text() + rules)
    receiver.answer = lambda: "error"
    agent.start().ready()
    try:
        user.publish_rows("pump-1", 0, 300)
        wait_until(lambda: user.machine("pump-1") == "ready", what="pump-1 to be learnt")
        user.publish_rows("pump-1", 300, 340, shift=FAULT_SHIFT)
        alarm = str(wait_until(lambda: user.alerts and user.alerts[0], what="the alert")["id"])

        def listed() -> list[dict[str, Any]]:
            asked = [sys.executable, "-m", "edge_agent", "notify", "list", "--json", "-c", str(agent.config)]
            done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
            found: list[dict[str, Any]] = json.loads(done.stdout)
            return found

        wait_until(
            lambda: any("HTTP 503" in call["said"] for call in listed()), what="a refusal", every_s=0.5
        )
        agent.kill()
        receiver.answer = lambda: "ok"
        agent.start().ready()

        def told() -> set[str]:
            return {
                body["id"].split("/")[1]
                for _, body, _ in receiver.taken
                if any(one["id"] == alarm for one in body["alarms"])
            }

        wait_until(lambda: told() == {"shift", "foreman"}, what="both calls")
        wait_until(
            lambda: {call["state"] for call in listed()} == {"confirmed"}, what="the ledger", every_s=0.5
        )
        assert len({body["id"] for _, body, _ in receiver.taken}) == len(receiver.taken), (
            "something came twice"
        )
    finally:
        agent.kill()
