"""The agent as a Sparkplug host at a real broker: what edge nodes tell becomes alerts, and never a wrong window."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.edge_node import EdgeNodeDouble
from benchmarks.harness.patience import wait_until
from benchmarks.harness.user import FAULT_SHIFT, START_TS, User, rows

pytestmark = pytest.mark.broker
MACHINE = "G.N.D"
SILENT_AFTER_S = 30.0
SOURCE = """
            [[source]]
            format = "sparkplug"
            [source.sparkplug]
            host_id = "hall"
            groups = ["G"]
            rebirth_interval_s = 1.0
            rebirth_jitter_s = 0.0
            reorder_timeout_s = 0.5
"""


@pytest.fixture
def hall(tmp_path: Path, tiny_bundle: Path) -> Iterator[tuple[Agent, User, EdgeNodeDouble]]:
    broker = Broker(tmp_path).start()
    agent = Agent(tmp_path, bundle=tiny_bundle, port=broker.port)
    agent.config.write_text(agent.config.read_text() + SOURCE)
    user, node = User(broker.port), EdgeNodeDouble(broker.port, host_id="hall")
    yield agent, user, node
    node.close()
    user.close()
    agent.kill()
    broker.kill()


def tell(node: EdgeNodeDouble, first: int, last: int, *, shift: float = 0.0) -> None:
    for row, values in rows(MACHINE, first, last, shift=shift):
        node.data(values, time_ms=(START_TS + row) * 1000)
        time.sleep(0.001)


def counted(agent: Agent, what: str) -> float:
    return agent.metric(f'edge_agent_sparkplug_total{{what="{what}"}}')


def test_a_machine_behind_an_edge_node_is_learnt_and_its_fault_alerted(
    hall: tuple[Agent, User, EdgeNodeDouble],
) -> None:
    agent, user, node = hall
    agent.start().ready()
    online = wait_until(lambda: node.states and node.states[-1], what="the host's birth")
    assert online["online"] is True
    node.aliases = {"pressure": 1, "flow": 2, "current": 3}
    _, first = next(rows(MACHINE, 0, 1))
    node.birth(first, time_ms=START_TS * 1000)
    tell(node, 1, 300)
    wait_until(lambda: user.machine(MACHINE) == "ready", what="the machine to be learnt")
    tell(node, 300, 400)
    tell(node, 400, 440, shift=FAULT_SHIFT)
    opened = wait_until(lambda: user.alerts and user.alerts[0], what="the alert")
    assert (opened["machine"], opened["channels"][0]["name"]) == (MACHINE, "pressure")
    ledger = wait_until(
        lambda: (found := agent.ledger()).get("received", 0) == node.sent and found, what="all messages"
    )
    assert ledger["accepted"] == node.sent == 441  # NBIRTH, DBIRTH and 439 rows
    assert agent.stop() == 0
    wait_until(lambda: node.states[-1]["online"] is False, what="the host's death")
    assert node.states[-1]["timestamp"] >= online["timestamp"]


def test_a_device_that_reports_by_exception_is_silent_only_after_its_death(
    hall: tuple[Agent, User, EdgeNodeDouble],
) -> None:
    agent, user, node = hall
    agent.start().ready()
    _, first = next(rows(MACHINE, 0, 1))
    node.birth(first, time_ms=START_TS * 1000)
    tell(node, 1, 300)
    wait_until(lambda: user.machine(MACHINE) == "ready", what="the machine to be learnt")
    time.sleep(SILENT_AFTER_S + 5.0)  # it lives and has nothing to report
    assert user.alerts == []
    assert agent.metric(f'edge_agent_sensor_findings_open{{machine="{MACHINE}"}}') == 0
    node.device_dies()
    wait_until(lambda: counted(agent, "stale_ddeath"), what="the death")
    died_s = time.monotonic()
    opened = wait_until(lambda: user.alerts and user.alerts[0], what="the finding")
    assert (opened["machine"], opened["kind"], opened["fault"]["name"]) == (MACHINE, "sensor", "silent")
    assert time.monotonic() - died_s > SILENT_AFTER_S - 5.0, "it counts from the death, not from the last row"
    node.birth(first)
    wait_until(lambda: [one for one in user.alerts if one["state"] == "closed"], what="its end")
    assert {one["id"] for one in user.alerts} == {opened["id"]}


def test_a_killed_host_is_dead_by_its_will_with_the_time_of_its_birth(
    hall: tuple[Agent, User, EdgeNodeDouble],
) -> None:
    agent, _, node = hall
    agent.start().ready()
    online = wait_until(lambda: node.states and node.states[-1], what="the host's birth")
    agent.kill()
    wait_until(lambda: node.states[-1]["online"] is False, what="the host's will")
    assert node.states[-1]["timestamp"] == online["timestamp"]


def test_after_a_lost_birth_nothing_is_taken_until_the_births_were_asked_for_again(
    hall: tuple[Agent, User, EdgeNodeDouble],
) -> None:
    agent, _, node = hall
    agent.start().ready()
    node.aliases = {"pressure": 1, "flow": 2}
    node.birth({"pressure": 5.0, "flow": 40.0}, lose=True)
    node.data({"pressure": 5.1})
    wait_until(lambda: node.rebirths, what="a rebirth request")
    assert agent.metric('edge_agent_rows{machine="G.N.D"}') == 0
    assert (
        agent.ledger()["accepted"] <= 2
    )  # the node's birth, and the message that waited for its predecessor
    node.ask_again = {"pressure": 5.0, "flow": 40.0}
    wait_until(lambda: counted(agent, "DBIRTH") or node.data({"flow": 41.0}), what="the births")
    node.data({"flow": 41.0})
    wait_until(lambda: agent.metric('edge_agent_rows{machine="G.N.D"}') >= 2, what="rows")


def test_aliases_that_change_hands_with_a_restart_never_mix_two_channels_in_a_row(
    hall: tuple[Agent, User, EdgeNodeDouble],
) -> None:
    agent, _, node = hall
    agent.start().ready()
    low, high = {"pressure": 5.0, "flow": 400.0}, 200.0
    for life in range(6):
        node.aliases = {"pressure": 1 + life % 2, "flow": 2 - life % 2}
        node.bd_seq = life
        node.birth(low, lose=life % 3 == 2)  # every third life's device birth is lost: its data means nothing
        for step in range(20):
            node.data({"pressure": 5.0 + step / 100, "flow": 400.0 + step})
            time.sleep(0.005)
        if life % 2:
            node.die()
    wait_until(lambda: agent.ledger().get("received", 0) >= node.sent, what="all messages")
    assert agent.stop() == 0
    ring = agent.buffer_state(MACHINE)
    taken = np.frombuffer(ring.rows, np.float32).reshape(-1, len(ring.channels))
    assert len(taken) > 50
    pressure, flow = taken[:, ring.channels.index("pressure")], taken[:, ring.channels.index("flow")]
    assert pressure.max() < high < flow.min()
    starts = np.frombuffer(ring.starts, np.int64)
    assert len(set(starts.tolist())) >= 4  # one stretch a life that was heard: no window bridges two
