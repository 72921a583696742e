"""The network between agent and broker is cut, thinned, slowed and half-closed, and nothing is lost."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.harness.broker import Broker
from benchmarks.harness.fault_ledger import LONG, bound, record
from benchmarks.harness.patience import wait_until
from tests.faults.parts import floor, netns
from tests.faults.parts.hall import Hall
from tests.faults.parts.netns import Cable
from tests.faults.parts.proxy import Proxy

pytestmark = [pytest.mark.faults, pytest.mark.timeout(7200)]
SEED = 22
ROWS_PER_S = 16
BACK_S = 10.0
"""From the healing of the network to the first rows that come through."""
NOTICE_S = 15.0
"""What is half open is noticed by the keep-alive of 5 s at the earliest."""
BETWEEN_S = 4.0

Enter = Callable[..., Hall]


@pytest.fixture
def cable() -> Iterator[Cable]:
    if reason := netns.missing():
        (pytest.fail if os.environ.get("CI") == "true" and os.geteuid() == 0 else pytest.skip)(reason)
    with Cable() as cable:
        yield cable


def hall_behind(cable: Cable, open_hall: Enter, tmp_path: Path) -> Hall:
    return open_hall(
        broker=Broker(tmp_path, hosts=("127.0.0.1", netns.BROKER_SIDE)),
        host=netns.BROKER_SIDE,
        page_host=netns.AGENT_SIDE,
        before=cable.inside,
    )


def play_for(hall: Hall, seconds: float) -> list[floor.Fault]:
    """Begin to publish faults that go on for about so long."""
    per_fault_s = 140 / ROWS_PER_S / len(floor.MACHINES)
    faults = floor.plan(max(16, int(seconds / per_fault_s)), seed=SEED, first=hall.row)
    hall.play(faults, per_s=ROWS_PER_S * len(floor.MACHINES))
    return faults


def received(hall: Hall) -> float:
    return hall.agent.series().get("edge_agent_messages_received_total", 0.0)


def back_after(hall: Hall, before: float) -> float:
    """Seconds until rows come through again: more than were on their way when the fault began."""
    started = time.monotonic()
    wait_until(lambda: received(hall) > before + 150, what="rows to come through", patience_s=120)
    return time.monotonic() - started


def conclude(
    hall: Hall, faults: list[floor.Fault], key: str, *, count: int, told: str, **figures: object
) -> None:
    verdict = hall.settle(faults)
    ledger = hall.agent.ledger()
    missing = hall.publisher.acknowledged - ledger["received"] + ledger["duplicate"]
    record(
        key,
        fault=told,
        count=count,
        test=f"tests/faults/test_network.py -k {key}",
        verdict=verdict,
        rows=hall.publisher.acknowledged,
        rows_missing=max(0, missing),
        ledger=ledger,
        **figures,
    )
    assert verdict.clean, verdict
    assert ledger["received"] - ledger["duplicate"] == hall.publisher.acknowledged, ledger
    assert ledger["shed"] == ledger["rejected"] == ledger["late"] == 0
    assert hall.agent.crashes() == []


def test_a_pulled_cable(cable: Cable, open_hall: Enter, tmp_path: Path) -> None:
    hall = hall_behind(cable, open_hall, tmp_path)
    outages_s = (1, 5, 20, 60, 300) if LONG else (1, 5, 20)
    faults = play_for(hall, sum(outages_s) + len(outages_s) * 2 * BETWEEN_S)
    back_s = []
    for outage_s in outages_s:
        time.sleep(BETWEEN_S)
        before = received(hall)
        cable.pull()
        time.sleep(outage_s)
        cable.plug()
        back_s.append(back_after(hall, before))
    conclude(
        hall,
        faults,
        "pulled_cable",
        count=len(outages_s),
        told=f"link down for {', '.join(map(str, outages_s))} s",
        **bound("back_s", max(back_s), BACK_S),
    )


def test_a_silent_partition(cable: Cable, open_hall: Enter, tmp_path: Path) -> None:
    hall = hall_behind(cable, open_hall, tmp_path)
    outages_s = (2, 12, 30, 120) if LONG else (2, 12)
    faults = play_for(hall, sum(outages_s) + len(outages_s) * 2 * BETWEEN_S)
    back_s = []
    for outage_s in outages_s:
        time.sleep(BETWEEN_S)
        before = received(hall)
        cable.lose(100)
        time.sleep(outage_s)
        cable.heal()
        back_s.append(back_after(hall, before))
    conclude(
        hall,
        faults,
        "silent_partition",
        count=len(outages_s),
        told=f"all packets dropped for {', '.join(map(str, outages_s))} s, nobody is told",
        **bound("back_s", max(back_s), BACK_S),
    )


def test_lost_packets(cable: Cable, open_hall: Enter, tmp_path: Path) -> None:
    hall = hall_behind(cable, open_hall, tmp_path)
    lossy_s = 300 if LONG else 30
    faults = play_for(hall, lossy_s + 10)
    cable.lose(10)
    time.sleep(lossy_s)
    cable.heal()
    conclude(
        hall,
        faults,
        "lost_packets",
        count=1,
        told=f"10 % of all packets dropped in each direction for {lossy_s} s",
    )


def test_a_slow_line(open_hall: Enter, tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    with Proxy(broker.port) as proxy:
        hall = open_hall(broker=broker, port=proxy.port)
        slow_s = 120 if LONG else 20
        faults = play_for(hall, slow_s + 10)
        hall.publisher.timed = True
        proxy.delay_s = 0.5
        time.sleep(slow_s)
        slow = hall.latencies_s()
        proxy.heal()
        conclude(
            hall,
            faults,
            "slow_line",
            count=1,
            told=f"500 ms delay in each direction for {slow_s} s",
            connections=proxy.connections,
            **bound("alert_max_s", max(slow, default=0.0), 2.0),
        )
        assert proxy.connections == 2, "a slow line is no reason to reconnect"


def test_a_reset_line(open_hall: Enter, tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    with Proxy(broker.port) as proxy:
        hall = open_hall(broker=broker, port=proxy.port)
        resets = 50 if LONG else 6
        faults = play_for(hall, resets * 6)
        back_s = []
        for _ in range(resets):
            time.sleep(2.0)
            before = received(hall)
            proxy.reset()
            back_s.append(back_after(hall, before))
        conclude(
            hall,
            faults,
            "reset_line",
            count=resets,
            told="both connections cut by RST",
            **bound("back_s", max(back_s), BACK_S),
        )


def test_a_black_hole(open_hall: Enter, tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    with Proxy(broker.port) as proxy:
        hall = open_hall(broker=broker, port=proxy.port)
        outages_s = (5, 20, 60) if LONG else (5, 15)
        faults = play_for(hall, sum(outages_s) + len(outages_s) * 2 * BETWEEN_S)
        back_s = []
        for outage_s in outages_s:
            time.sleep(BETWEEN_S)
            before = received(hall)
            proxy.black_hole()
            time.sleep(outage_s)
            proxy.heal()
            back_s.append(back_after(hall, before))
        conclude(
            hall,
            faults,
            "black_hole",
            count=len(outages_s),
            told=f"connections stand and carry nothing for {', '.join(map(str, outages_s))} s",
            **bound("back_s", max(back_s), BACK_S),
        )


def test_a_half_open_line(open_hall: Enter, tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    with Proxy(broker.port) as proxy:
        hall = open_hall(broker=broker, port=proxy.port)
        times = 10 if LONG else 2
        faults = play_for(hall, times * (NOTICE_S + BETWEEN_S))
        back_s = []
        for _ in range(times):
            time.sleep(BETWEEN_S)
            before = received(hall)
            proxy.half_open()
            back_s.append(back_after(hall, before))
        conclude(
            hall,
            faults,
            "half_open_line",
            count=times,
            told="the broker has lost the connections, the agent is not told (keep-alive 5 s)",
            **bound("back_s", max(back_s), NOTICE_S),
        )
