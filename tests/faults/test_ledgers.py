"""The suite's own ledgers: what they call lost, doubled and stray, and what the sensors send again."""

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.harness import fault_ledger as ledger
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from benchmarks.harness.publisher import Publisher
from tests.faults.parts import floor
from tests.faults.parts.floor import Fault
from tests.faults.parts.verdict import judge, row_of

FAULTS = [Fault("m", 100, 130, "flow", 1), Fault("m", 300, 330, "flow", 1), Fault("n", 100, 130, "flow", 1)]


def stamp(row: int) -> str:
    return datetime.fromtimestamp(floor.FIRST_TS + row, UTC).isoformat()


def alarm(
    name: str, machine: str, row: int, *, states: tuple[str, ...] = ("open", "closed")
) -> list[dict[str, Any]]:
    return [
        {"id": name, "machine": machine, "onset": stamp(row), "state": state, "revision": number}
        for number, state in enumerate(states, start=1)
    ]


def test_one_alarm_for_each_fault_is_clean() -> None:
    told = alarm("a", "m", 103) + alarm("b", "m", 302) + alarm("c", "n", 104)
    assert judge(FAULTS, told + told).clean  # said twice is heard once


def test_each_kind_of_failure_is_told() -> None:
    told = alarm("a", "m", 103) + alarm("a2", "m", 120) + alarm("b", "m", 302, states=("closed",))
    told += alarm("c", "n", 104, states=("open",)) + alarm("x", "n", 50) + alarm("y", "m", 250)
    found = judge(FAULTS, told)
    assert found.lost == [FAULTS[1]]  # its closing alone was heard
    assert found.doubles == {FAULTS[0]: ["a", "a2"]}
    assert sorted(found.strays) == ["x", "y"]
    assert found.unclosed == ["c"]


@pytest.mark.parametrize("seed", range(5))
def test_planned_faults_leave_room_for_their_alarms(seed: int) -> None:
    faults = floor.plan(100, seed=seed)
    assert len(faults) == len(set(faults)) == 100
    for machine in floor.MACHINES:
        mine = [fault for fault in faults if fault.machine == machine]
        gaps = [after.first - before.last for before, after in pairwise(mine)]
        assert min(gaps) >= 90
    assert faults == floor.plan(100, seed=seed)


def test_a_row_is_the_same_each_time_and_a_fault_shifts_one_channel() -> None:
    fault = Fault("press-1", 10, 20, "flow", -1)
    normal = [json.loads(row.payload) for row in floor.rows(0, 30, machines=["press-1"])]
    broken = [json.loads(row.payload) for row in floor.rows(0, 30, machines=["press-1"], faults=[fault])]
    assert [n for n in range(30) if normal[n] != broken[n]] == list(range(10, 20))
    assert normal[15]["values"]["flow"] - broken[15]["values"]["flow"] == pytest.approx(12 * 0.4)
    assert row_of(stamp(15)) == 15


def test_results_are_kept_by_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "faults.json"
    monkeypatch.setenv("FAULTS_RESULTS", str(target))
    for count in (1, 2):
        ledger.record("a", fault="x", count=count, test="t", verdict=judge(FAULTS, []))
    ledger.record("b", fault="y", count=3, repeat="make it", lost=4)
    found = json.loads(target.read_text())["faults"]
    assert {key: (entry["count"], entry["lost"]) for key, entry in found.items()} == {
        "a": (2, 3),
        "b": (3, 4),
    }


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path).start()
    yield broker
    broker.stop()


def frozen_with_nothing_under_way(broker: Broker, sensors: Publisher, heard: list[bytes]) -> bool:
    """Stop the broker where it owes the listener nothing of what it acknowledged; what it owes is lost with it."""
    wait_until(lambda: heard, what="the first row")
    os.kill(broker.pid, signal.SIGSTOP)
    time.sleep(0.2)  # what it wrote arrives, and the sensors send what nobody takes
    if len(set(heard)) >= sensors.acknowledged:
        return True
    os.kill(broker.pid, signal.SIGCONT)
    return False


@pytest.mark.broker
def test_the_sensors_send_again_in_order_what_a_killed_broker_had_not_acknowledged(broker: Broker) -> None:
    heard: list[bytes] = []
    subscribed: list[bool] = []

    def listen() -> mqtt.Client:
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.on_message = lambda *of: heard.append(of[2].payload)
        client.on_connect = lambda client, *_: client.subscribe("sensors/#", 1)
        client.on_subscribe = lambda *_: subscribed.append(True)
        client.on_disconnect = lambda *_: subscribed.clear()
        client.reconnect_delay_set(1, 1)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        return client

    client = listen()
    sensors = Publisher(broker.port, may_send=lambda: bool(subscribed))
    try:
        wait_until(lambda: subscribed, what="the listener")
        sensors.begin(floor.rows(0, 200, machines=["m"]), per_s=40)
        wait_until(lambda: frozen_with_nothing_under_way(broker, sensors, heard), what="a moment to kill in")
        broker.kill()
        subscribed.clear()  # the listener may not have noticed yet
        broker.start()
        assert sensors.finish() == 200
        wait_until(lambda: len(set(heard)) == 200, what="all rows")
    finally:
        client.disconnect()
        client.loop_stop()
        sensors.close()
    first_seen = list(dict.fromkeys(heard))
    assert first_seen == [row.payload for row in floor.rows(0, 200, machines=["m"])]
    assert sensors.reconnects == 1
