"""One hall put together: broker, agent, sensors and control room, torn down in the right order."""

import shutil
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import WaitedInVainError, wait_until
from benchmarks.harness.publisher import Publisher
from benchmarks.harness.subscriber import Reader
from tests.faults.parts import floor, verdict
from tests.faults.parts.floor import Fault
from tests.faults.parts.verdict import Verdict

_QUIET_S = 5.0
"""So long nothing comes in, nothing waits and nothing is said: all is done."""


class Hall:
    """A place for one fault injection; leaving it ends every process.

    Args:
        learnt: a state directory whose machines have been learnt; it is copied.
        broker: a broker that is not the plain one.
        agent: further arguments of the agent.
    """

    def __init__(
        self, folder: Path, *, bundle: Path, learnt: Path | None, broker: Broker | None = None, **agent: Any
    ) -> None:
        self.leaving = ExitStack()
        self.broker = broker or Broker(folder)
        state = agent.pop("state", folder / "state")
        if learnt is not None:
            shutil.copytree(learnt, state, dirs_exist_ok=True)
        agent = {
            "commission_rows": floor.LEARN_ROWS,
            "keepalive_s": 5,
            "retry_max_s": None,
            "budget_per_week": 0.01,
        } | agent
        self.agent = Agent(
            folder, bundle=bundle, port=agent.pop("port", self.broker.port), state=state, **agent
        )
        self.publisher: Publisher
        self.reader: Reader
        self.row = floor.LEARN_ROWS if learnt is not None else 0
        """The next row to publish."""

    def __enter__(self) -> Self:
        with self.leaving:
            self.leaving.callback(self.broker.stop)
            self.broker.start()
            self.leaving.callback(self.agent.kill)
            self.agent.start().ready()
            self.reader = Reader(self.broker.port)
            self.leaving.callback(self.reader.close)
            self.publisher = Publisher(self.broker.port, may_send=self.agent.connected)
            self.leaving.callback(self.publisher.close)
            self.leaving = self.leaving.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.leaving.close()

    def play(self, faults: list[Fault], *, per_s: float) -> None:
        """Begin to publish everything up to where the last alarm must have closed; returns at once."""
        last = floor.last_row(faults, first=self.row)
        self.publisher.begin(floor.rows(self.row, last, faults=faults), per_s=per_s)
        self.row = last

    def settle(self, faults: list[Fault], *, patience_s: float = 600.0) -> Verdict:
        """What became of the faults, once all is published and nothing moves any more."""
        self.publisher.finish(patience_s=patience_s)
        end, quiet_since, before = time.monotonic() + patience_s, time.monotonic(), (-1.0, -1)
        while time.monotonic() - quiet_since < _QUIET_S:
            if time.monotonic() > end:
                raise WaitedInVainError(f"the agent is not done after {patience_s:.0f} s: {before}")
            time.sleep(0.25)
            now = (self._received(), len(self.reader.heard))
            if now != before or not self._idle():
                quiet_since, before = time.monotonic(), now
        assert self.reader.garbled == []
        return self.judge(faults)

    def some_faults(self, number: int, *, seed: int, per_s: float = 320.0, gap_rows: int = 0) -> Verdict:
        """So many faults played to their end; the judgement covers these alone, not what is said again of others."""
        known = {heard.alert["id"] for heard in self.reader.heard}
        faults = floor.plan(number, seed=seed, first=self.row + gap_rows)
        self.play(faults, per_s=per_s)
        self.settle(faults)
        return verdict.judge(
            faults, [heard.alert for heard in self.reader.heard if heard.alert["id"] not in known]
        )

    def judge(self, faults: list[Fault]) -> Verdict:
        return verdict.judge(faults, [heard.alert for heard in list(self.reader.heard)])

    def latencies_s(self) -> list[float]:
        """For each opening, from the sending of the row that decided it to its arrival; where rows are timed."""
        found = {}
        for heard in self.reader.heard:
            alert = heard.alert
            sent_s = self.publisher.sent_s.get((alert["machine"], verdict.row_of(alert["time"])))
            if alert["revision"] == 1 and sent_s is not None:
                found.setdefault(alert["id"], heard.at_s - sent_s)
        return sorted(found.values())

    def _idle(self) -> bool:
        series = self.agent.series()
        return bool(series) and not series["edge_agent_queue_messages"] + series["edge_agent_outbox_messages"]

    def _received(self) -> float:
        return self.agent.series().get("edge_agent_messages_received_total", -1.0)


def learn(folder: Path, *, bundle: Path) -> Path:
    """A state directory in which an agent has learnt every machine of the hall, over the wire."""
    with Hall(folder, bundle=bundle, learnt=None) as hall:
        hall.publisher.send(floor.rows(0, floor.LEARN_ROWS))
        try:
            wait_until(
                lambda: all(hall.reader.state(machine) == "ready" for machine in floor.MACHINES),
                what="the machines to be learnt",
                patience_s=180,
            )
        except WaitedInVainError as error:
            raise WaitedInVainError(f"{error}: {hall.reader.status}") from error
        assert hall.agent.stop() == 0
        return hall.agent.state
