"""An edge node of somebody else's making (pysparkplug 0.6.1) at a real broker: no wrong value enters a window."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import ROOT
from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from tests.support.missing import missing

pytestmark = pytest.mark.broker
MACHINE = "G.N.D"
PYTHON = Path(os.environ.get("EDGE_AGENT_SPARKPLUG_PYTHON", ROOT / ".venv-sparkplug/bin/python"))
SOURCE = """
            [[source]]
            format = "sparkplug"
            [source.sparkplug]
            host_id = "hall"
            rebirth_interval_s = 1.0
            rebirth_jitter_s = 0.0
            reorder_timeout_s = 0.5
"""
ONE_WAY, OTHER_WAY = {"pressure": 1, "flow": 2}, {"pressure": 2, "flow": 1}


class LibraryNode:
    """The node as a program, and the ledger that it keeps."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.ledger: list[tuple[int, float, float]] = []
        """(ms, pressure, flow) of every state that it announced, over all its lives."""
        self.commands: list[list[str]] = []
        self._done = 0
        self._row = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        self._process = subprocess.Popen(
            [PYTHON, ROOT / "tests/support/pysparkplug_node.py", str(self.port), self._now()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        return self

    def do(self, name: str, **what: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        wanted = self._done + 1
        self._process.stdin.write(json.dumps({"do": name, **what}) + "\n")
        self._process.stdin.flush()
        wait_until(lambda: self._done >= wanted, what=f"the node to have done '{name}'")

    def tell(self, count: int) -> None:
        """New values that never come twice; every third message carries one metric of the two."""
        told: list[dict[str, float]] = []
        for row in range(self._row, self._row + count):
            values = {"pressure": 5 + row / 1000, "flow": 400.0 + row}
            told.append(values if row % 3 else {"flow": values["flow"]})
        self._row += count
        self.do("tell", rows=told)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdin is not None
            self._process.stdin.close()

    def _now(self) -> str:
        """What a new life begins with: the values of the last."""
        _, pressure, flow = self.ledger[-1] if self.ledger else (0, 5.0, 400.0)
        return json.dumps({"pressure": pressure, "flow": flow})

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                said = json.loads(line)
                if "time_ms" in said:
                    self.ledger.append((said["time_ms"], said["pressure"], said["flow"]))
                elif "command" in said:
                    self.commands.append(said["command"])
                else:
                    self._done += 1


@pytest.fixture
def hall(tmp_path: Path, tiny_bundle: Path) -> Iterator[tuple[Agent, LibraryNode]]:
    known = (
        PYTHON.is_file() and not subprocess.run([PYTHON, "-c", "import pysparkplug"], check=False).returncode
    )
    if not known:
        reason = f"{PYTHON} has no pysparkplug: make sparkplug-library"
        missing(reason)
    broker = Broker(tmp_path).start()
    agent = Agent(tmp_path, bundle=tiny_bundle, port=broker.port)
    agent.config.write_text(agent.config.read_text() + SOURCE)
    node = LibraryNode(broker.port).start()
    yield agent, node
    node.kill()
    agent.kill()
    broker.kill()


def rows_heard(agent: Agent) -> float:
    return agent.metric(f'edge_agent_rows{{machine="{MACHINE}"}}')


def counted(agent: Agent, what: str) -> float:
    return agent.metric(f'edge_agent_sparkplug_total{{what="{what}"}}')


def taken(agent: Agent) -> tuple[NDArray[np.int64], NDArray[np.float32], int]:
    """What the agent keeps of the machine: times in ms [R], pressure and flow [R, 2], stretches without a hole."""
    ring = agent.buffer_state(MACHINE)
    rows = np.frombuffer(ring.rows, np.float32).reshape(-1, len(ring.channels))
    times = np.frombuffer(ring.times, np.int64) // 10**6
    order = [ring.channels.index(name) for name in ("pressure", "flow")]
    return times, rows[:, order], len(set(np.frombuffer(ring.starts, np.int64).tolist()))


def test_restarts_new_aliases_and_a_lost_birth_of_a_library_s_node_bring_no_wrong_value(
    hall: tuple[Agent, LibraryNode],
) -> None:
    agent, node = hall
    node.do("born", aliases=ONE_WAY)  # before the agent is there: this birth is lost
    agent.start().ready()
    node.tell(3)
    wait_until(lambda: node.commands, what="a rebirth request")
    assert node.commands[0] == ["Node Control/Rebirth"]
    assert rows_heard(agent) == 0  # data of unknown aliases means nothing
    node.do("rebirth")
    node.tell(30)
    wait_until(lambda: rows_heard(agent) >= 30, what="rows after the rebirth")

    node.do("born", aliases=OTHER_WAY)  # it leaves and comes back with other aliases in another order
    node.tell(30)
    # The library numbers a wanted death with the bdSeq of its next session: none of this one has ended by it.
    wait_until(lambda: counted(agent, "deaths_of_other_sessions") >= 2, what="both wanted deaths")
    assert counted(agent, "stale_ndeath") == 0
    node.kill()  # and dies without a word; the broker says its will
    wait_until(lambda: counted(agent, "stale_ndeath"), what="the node's death")
    node.start().do("born", aliases=ONE_WAY)
    node.tell(30)
    node.do("device_reborn", aliases=OTHER_WAY)
    node.tell(30)
    wait_until(lambda: rows_heard(agent) >= 118, what="all rows")
    assert counted(agent, "stale_ddeath") == 1

    wait_until(lambda: agent.settled_for(3.0), what="silence")
    before_birth = counted(agent, "before_birth")
    assert before_birth == 3
    assert agent.stop() == 0
    times, values, stretches = taken(agent)
    told = {ms: (np.float32(pressure), np.float32(flow)) for ms, pressure, flow in node.ledger}
    heard = [(int(ms), (row[0], row[1])) for ms, row in zip(times, values, strict=True)]
    data = [ms for ms, _ in heard if ms in told]
    assert [(ms, told[ms]) for ms in data] == [(ms, row) for ms, row in heard if ms in told]
    assert {row for _, row in heard} <= set(told.values())  # births too, which the library stamps itself
    assert len(data) == 120
    assert stretches >= 4  # no window bridges a death
