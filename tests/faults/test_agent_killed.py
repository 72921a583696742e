"""kill -9 of the agent at random instants, while machines break: each fault is one alarm, no more and no less."""

import random
import time
from collections.abc import Callable

import pytest

from benchmarks.harness.fault_ledger import record, size
from tests.faults.parts import floor
from tests.faults.parts.hall import Hall

pytestmark = [pytest.mark.faults, pytest.mark.timeout(7200)]
SEED = 20
ROWS_PER_S = 16
"""Of each machine: a fault lasts some two seconds, and so does the agent's start."""


def test_without_any_kill_each_fault_is_one_alarm(open_hall: Callable[..., Hall]) -> None:
    """The control: what the other figures of this suite are worth."""
    hall = open_hall()
    faults = floor.plan(size(short=40, long=200), seed=SEED)
    hall.publisher.timed = True
    hall.play(faults, per_s=4 * ROWS_PER_S * len(floor.MACHINES))
    verdict = hall.settle(faults)
    latencies = hall.latencies_s()
    record(
        "control",
        fault="none (control)",
        count=0,
        verdict=verdict,
        test="tests/faults/test_agent_killed.py -k without",
        ledger=hall.agent.ledger(),
        alert_p50_s=round(latencies[len(latencies) // 2], 3),
        alert_max_s=round(latencies[-1], 3),
    )
    assert verdict.clean, verdict
    ledger = hall.agent.ledger()
    assert ledger["received"] == ledger["accepted"] == hall.publisher.acknowledged
    assert len(latencies) == len(faults)


def test_an_agent_killed_at_any_instant_loses_no_alarm_and_doubles_none(
    open_hall: Callable[..., Hall],
) -> None:
    hall = open_hall()
    kills = size(short=20, long=200)
    faults = floor.plan(size(short=100, long=1000), seed=SEED)
    chance = random.Random(SEED)
    hall.play(faults, per_s=ROWS_PER_S * len(floor.MACHINES))
    down_s = []
    while hall.agent.kills < kills:
        if not hall.publisher.busy:  # a slow machine starts the agent so slowly that the plan has run out
            more = floor.plan(40, seed=SEED, first=hall.row)
            hall.play(more, per_s=ROWS_PER_S * len(floor.MACHINES))
            faults += more
        time.sleep(chance.uniform(0.0, 3.0))
        hall.agent.kill()
        killed = time.monotonic()
        time.sleep(chance.choice((0.0, 0.0, 0.5)))
        hall.agent.start()
        down_s.append(time.monotonic() - killed)
        if chance.random() < 0.8:  # now and then it is killed before it has found the broker
            hall.agent.ready()
    hall.agent.ready()
    verdict = hall.settle(faults)
    record(
        "agent_killed",
        fault="agent killed (kill -9) at random instants under load",
        count=hall.agent.kills,
        verdict=verdict,
        test="tests/faults/test_agent_killed.py -k killed_at",
        down_mean_s=round(sum(down_s) / len(down_s), 2),
    )
    assert hall.agent.kills == kills
    assert verdict.clean, verdict
    assert hall.agent.crashes() == []
