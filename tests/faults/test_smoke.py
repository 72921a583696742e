"""A minute of faults for every check-in: the agent killed twice, the broker once, and every alert counted."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from tests.faults.parts import floor
from tests.faults.parts.hall import Hall

pytestmark = [pytest.mark.broker, pytest.mark.slow]


def test_two_killed_agents_and_a_killed_broker_cost_no_alarm(
    open_hall: Callable[..., Hall], tmp_path: Path
) -> None:
    hall = open_hall(broker=Broker(tmp_path, keeps=True))
    faults = floor.plan(16, seed=1)
    hall.play(faults, per_s=24 * len(floor.MACHINES))
    for _ in range(2):
        time.sleep(2.5)
        hall.agent.kill()
        hall.agent.start().ready()
    time.sleep(
        2.5
    )  # it has its backlog by now: what a broker had acknowledged and forgets is out of its reach
    hall.broker.kill()
    hall.broker.start()
    wait_until(hall.agent.connected, what="the agent to be back")
    verdict = hall.settle(faults)
    assert verdict.clean, verdict
    assert hall.agent.crashes() == []
