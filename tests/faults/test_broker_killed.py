"""kill -9 of the broker, with its memory kept on disk or wiped: the agent comes back and no alarm is lost."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.harness.broker import Broker
from benchmarks.harness.fault_ledger import bound, record, size
from benchmarks.harness.patience import wait_until
from tests.faults.parts import floor
from tests.faults.parts.hall import Hall

pytestmark = [pytest.mark.faults, pytest.mark.timeout(7200)]
SEED = 21
ROWS_PER_S = 16


def test_a_broker_killed_and_robbed_of_its_memory_costs_no_alarm(
    open_hall: Callable[..., Hall], tmp_path: Path
) -> None:
    hall = open_hall(broker=Broker(tmp_path, keeps=True))
    kills, faults = size(short=6, long=50), floor.plan(size(short=40, long=300), seed=SEED)
    chance = random.Random(SEED)
    hall.play(faults, per_s=ROWS_PER_S * len(floor.MACHINES))
    wiped, back_s = 0, []
    while hall.broker.kills < kills:
        if not hall.publisher.busy:  # the plan has run out before the kills have
            more = floor.plan(40, seed=SEED, first=hall.row)
            hall.play(more, per_s=ROWS_PER_S * len(floor.MACHINES))
            faults += more
        time.sleep(
            chance.uniform(2.0, 4.0)
        )  # the agent has its backlog, which a wiped broker would take with it
        hall.broker.kill()
        if hall.broker.kills % 2:
            hall.broker.wipe()
            wiped += 1
            # What the broker takes before the agent has subscribed anew is gone; the sensors ask the agent's page,
            # which is half a second old.
            wait_until(lambda: not hall.agent.connected(), what="the agent to notice")
        time.sleep(chance.uniform(0.0, 2.0))
        hall.broker.start()
        started = time.monotonic()
        wait_until(hall.agent.connected, what="the agent to be back")
        back_s.append(time.monotonic() - started)
    verdict = hall.settle(faults)
    record(
        "broker_killed",
        fault="broker killed (kill -9) and started again, every other time with its store wiped",
        count=hall.broker.kills,
        test="tests/faults/test_broker_killed.py",
        verdict=verdict,
        wiped=wiped,
        sensor_reconnects=hall.publisher.reconnects,
        **bound("reconnected_s", max(back_s), 10.0),
    )
    assert hall.broker.kills == kills
    assert verdict.clean, verdict
    assert hall.agent.ledger()["rejected"] == hall.agent.ledger()["shed"] == 0
    assert hall.agent.crashes() == []
    assert hall.agent.alive
