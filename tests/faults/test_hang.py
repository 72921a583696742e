"""A frozen process, a blocked pipeline and a dead network thread: noticed, replaced, nothing lost."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import ROOT
from benchmarks.harness.fault_ledger import bound, record, size
from benchmarks.harness.patience import wait_until
from tests.faults.parts import floor
from tests.faults.parts.hall import Hall
from tests.faults.parts.watchdog import Watchdog

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
SEED = 25
ROWS_PER_S = 16
SABOTAGE = (str(ROOT / "tests/faults/parts/sabotage.py"),)
LIMIT_S = 5.0
Enter = Callable[..., Hall]


@pytest.mark.parametrize("how", ["frozen", "blocked"])
def test_a_hanging_agent_is_restarted_by_the_watchdog(open_hall: Enter, tmp_path: Path, how: str) -> None:
    with Watchdog(tmp_path, limit_s=LIMIT_S) as watchdog:
        hall = open_hall(launcher=SABOTAGE, env=watchdog.env() | {"FAULTS_BLOCK_S": "3600"})
        times = size(short=2, long=20)
        faults = floor.plan(16 * times, seed=SEED)
        hall.play(faults, per_s=ROWS_PER_S * len(floor.MACHINES))
        took_s = []
        for _ in range(times):
            assert any("WATCHDOG=1" in told for told in watchdog.listen(4.0)), "a healthy agent must pet it"
            hall.agent.signal(signal.SIGSTOP if how == "frozen" else signal.SIGUSR2)
            silent_s = watchdog.watch(hall.agent, patience_s=120)
            assert silent_s is not None, "a hanging agent still pets the watchdog"
            took_s.append(silent_s)
            hall.agent.ready()
        verdict = hall.settle(faults)
        watchdog.listen(0.5)
        ready = sum("READY=1" in told for _, told in watchdog.heard)
        record(
            f"hang_{how}",
            fault={"frozen": "process frozen (SIGSTOP)", "blocked": "pipeline's thread blocked"}[how],
            count=times,
            verdict=verdict,
            test=f"tests/faults/test_hang.py -k {how}",
            **bound("killed_after_s", max(took_s), 2 * LIMIT_S if how == "frozen" else 60.0),
        )
        assert verdict.clean, verdict
        assert ready == hall.agent.starts, "each start says that it is ready"


def test_dead_network_threads_are_replaced(open_hall: Enter) -> None:
    hall = open_hall(launcher=SABOTAGE, env={"FAULTS_BLOCK_S": "0"})
    times = size(short=4, long=50)
    faults = floor.plan(max(24, 5 * times), seed=SEED)
    hall.play(faults, per_s=ROWS_PER_S * len(floor.MACHINES))
    back_s = []
    for number in range(1, times + 1):
        time.sleep(6.0)  # a thread that dies at once is not replaced more often than every 5 s
        hall.agent.signal(signal.SIGUSR1)
        died = time.monotonic()
        wait_until(lambda number=number: replaced(hall) >= 2 * number, what="new threads")
        wait_until(hall.agent.connected, what="both connections")
        back_s.append(time.monotonic() - died)
    verdict = hall.settle(faults)
    ledger = hall.agent.ledger()
    record(
        "dead_network_thread",
        fault="both MQTT network threads die",
        count=times,
        verdict=verdict,
        test="tests/faults/test_hang.py -k dead",
        ledger=ledger,
        messages_missing=hall.publisher.acknowledged - ledger["received"] + ledger["duplicate"],
        **bound("back_s", max(back_s), 5.0),
    )
    assert verdict.clean, verdict
    assert hall.agent.starts == 1
    assert ledger["received"] - ledger["duplicate"] == hall.publisher.acknowledged


def replaced(hall: Hall) -> float:
    series = hall.agent.series()
    return sum(
        value
        for name, value in series.items()
        if name.startswith("edge_agent_network_threads_replaced_total{")
    )
