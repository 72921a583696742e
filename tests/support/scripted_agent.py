"""The agent without a broker and without threads: its messages come from a script, and it may crash at any turn."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.harness.user import FAULT_SHIFT, START_TS, rows
from edge_agent.config.file import Config
from edge_agent.metrics.exporter import Exporter
from edge_agent.mqtt.inbox import Arrival, Batch, Receipt
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.results import CommissionRequest, Observer
from edge_agent.records import Delivery
from edge_agent.service.learning_worker import Learner, Learnt
from edge_agent.service.turn import Clocks, Turn, TurnProcessor
from edge_agent.service.wiring import load_scorer, pipeline_settings
from edge_agent.store.state_dir import StateDir

NORMAL, FAULTY, AFTER = (0, 300), (300, 380), (380, 560)
NOW_NS = (START_TS + 10_000) * 1_000_000_000
STORY = [(*NORMAL, 0.0), (*FAULTY, FAULT_SHIFT), (*AFTER, 0.0)]


class LearnsAtOnce(Learner):
    """Learns within the call that asks for it, without a thread."""

    def start(self) -> None:
        """Nothing to start."""
        self._at_once: list[Learnt] = []

    def submit(self, request: CommissionRequest) -> None:
        profile = learn(request, scorer=self._scorer, settings=self._settings)
        self._at_once.append(Learnt(request.machine, profile, 0.0, beside=request.beside))

    def finished(self) -> Iterator[Learnt]:
        while self._at_once:
            yield self._at_once.pop(0)


class ScriptedAgent:
    """Turns whose messages come from a script; learning is done at once. `crash` forgets all that is not on disk.

    Attributes:
        now_s: what the monotonic clock says; None: the real one's time.
    """

    def __init__(
        self, config: Config, *, now_s: float | None = None, observers: Sequence[Observer] = ()
    ) -> None:
        self.config = config
        self.now_s = now_s
        self.observers = observers
        self.alerts: dict[tuple[str, int], dict[str, Any]] = {}
        self.reports: list[str] = []
        self._begin()

    def _begin(self) -> None:
        self.store = StateDir(self.config.agent.state_dir)
        self.store.open()
        scorer = load_scorer(self.config)
        self.processor = TurnProcessor(
            self.config,
            scorer=scorer,
            store=self.store,
            exporter=Exporter(),
            report=lambda event, **_: self.reports.append(event),
            learner=LearnsAtOnce(scorer=scorer, settings=pipeline_settings(self.config)),
            observers=self.observers,
            clocks=Clocks(monotonic_s=lambda: time.monotonic() if self.now_s is None else self.now_s),
        )
        self.processor.begin(self.store.load(encoder=scorer.bundle.encoder))
        self._publish()

    def crash(self) -> None:
        self.end()
        self._begin()

    def end(self) -> None:
        self.processor.state_writer._database.close()
        self.store.close()

    def turn(self, arrivals: Sequence[Arrival]) -> None:
        self.processor.process(Turn(Batch(tuple(arrivals), (), 0)))
        assert self.processor.pipeline.ledger.balance() == 0
        self._publish()

    def _publish(self) -> None:
        """A network that acknowledges nothing, and a reader that keeps what it sees."""
        outbox = self.processor.outbox
        mid = 0
        while (message := outbox.next_message()) is not None:
            mid += 1
            outbox.mark_sent(message, mid)
            if message.alert:
                told = json.loads(message.payload)
                self.alerts.setdefault((told["id"], told["revision"]), told)
        outbox.requeue_sent()
        outbox._waiting.clear()
        outbox._updates.clear()

    def buffer_state(self, machine: str) -> Any:
        return self.processor.pipeline.buffer_state(machine)


def arrivals(spans: Sequence[tuple[int, int, float]], *, machine: str = "pump-1") -> list[Arrival]:
    """Rows as stamped messages; each span is (first, last, shift)."""
    found = []
    for first, last, shift in spans:
        for row, values in rows(machine, first, last, shift=shift):
            payload = json.dumps({"ts": START_TS + row, "values": values}).encode()
            found.append(
                Arrival(Delivery(f"sensors/{machine}", payload, NOW_NS), Receipt(1 + row % 60_000, 1))
            )
    return found


def single_values(spans: Sequence[tuple[int, int, float]], *, machine: str = "pump-2") -> list[Arrival]:
    """The same as one message a channel without a time; the arrival counts."""
    found = []
    for first, last, shift in spans:
        for row, values in rows(machine, first, last, shift=shift):
            at_ns = NOW_NS + row * 1_000_000_000
            for name, value in values.items():
                delivery = Delivery(f"sensors/{machine}/{name}", str(value).encode(), at_ns)
                found.append(Arrival(delivery, Receipt(1 + len(found) % 60_000, 1)))
    return found


def again(arrival: Arrival, *, later_ns: int = 3_000_000_000) -> Arrival:
    """The same message as the broker sends it in the next connection."""
    old = arrival.delivery
    assert arrival.receipt is not None
    return Arrival(
        Delivery(old.topic, old.payload, old.received_ns + later_ns),
        Receipt(arrival.receipt.mid, 2, again=True),
    )


def play(
    agent: ScriptedAgent, story: list[Arrival], *, turn: int = 20, crash_after: Callable[[int], bool]
) -> None:
    """Turn by turn; after a crash the broker repeats the last turn: its acknowledgements were lost."""
    for number, at in enumerate(range(0, len(story), turn)):
        part = story[at : at + turn]
        agent.turn(part)
        if crash_after(number):
            agent.turn(
                []
            )  # learning is at its end, or it would begin again after each crash and never come to one
            agent.crash()
            before = agent.processor.pipeline.ledger.accepted
            agent.turn([again(arrival) for arrival in part])
            assert agent.processor.pipeline.ledger.accepted == before, "something was used twice"
