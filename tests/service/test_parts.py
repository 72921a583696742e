"""What the agent does with an optional part, whatever the part is for."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks.harness.patience import free_port, wait_until
from edge_agent.config.file import Config
from edge_agent.metrics.exporter import Exporter
from edge_agent.metrics.snapshot import Health, Snapshot
from edge_agent.pipeline.results import StepResults
from edge_agent.records import Profile, ReceivedMessage
from edge_agent.service.agent import PARTS, Service
from edge_agent.service.parts import AgentPart
from edge_agent.service.turn import Turn, TurnProcessor
from edge_agent.service.wiring import load_scorer
from edge_agent.store.state_dir import StateDir
from tests.support.scripted_agent import NORMAL, arrivals


class Toy(AgentPart):
    """Gives one command, and writes down what it is shown."""

    def __init__(self, name: str, said: list[str]) -> None:
        self.name = name
        self.said = said
        self.commands: list[ReceivedMessage] = []
        self.broken = False

    def start(self) -> None:
        self.said.append(f"{self.name} starts")

    def poll(self, turn: Turn, processor: TurnProcessor) -> None:
        del processor
        if self.broken:
            raise ZeroDivisionError
        turn.commands += self.commands
        self.commands.clear()

    def observe_step(self, step: StepResults) -> None:
        self.said += [f"{self.name} sees {frame.machine}" for frame in step.accepted]

    def observe_profile(self, profile: Profile) -> None:
        self.said.append(f"{self.name} learns {profile.machine}")

    def observe_forgotten(self, machine: str) -> None:
        self.said.append(f"{self.name} forgets {machine}")

    def show(self, processor: TurnProcessor, *, snapshot: Snapshot, health: Health) -> None:
        del processor, snapshot, health
        self.said.append(f"{self.name} shows")

    def amiss(self) -> Sequence[str]:
        return (f"{self.name} is amiss",)

    def stop(self) -> None:
        self.said.append(f"{self.name} stops")


@pytest.fixture
def begin(tmp_path: Path, tiny_bundle: Path) -> Iterator[Callable[..., Service]]:
    """An agent with parts, turned by the test; it has no broker."""
    config = Config.model_validate(
        {
            "agent": {"name": "hall", "state_dir": tmp_path / "state"},
            "broker": {"host": "127.0.0.1", "port": free_port()},
            "model": {"bundle": tiny_bundle},
            "commission": {"rows": 300},
            "metrics": {"port": 0},
        }
    )
    store = StateDir(config.agent.state_dir)
    store.open()

    def new(*toys: Toy) -> Service:
        builders = [lambda *_, toy=toy: toy for toy in toys]
        scorer = load_scorer(config)
        parts = [*PARTS, *builders]
        service = Service(config, scorer=scorer, store=store, exporter=Exporter(), parts=parts)
        service._start()
        return service

    yield new
    store.close()


def test_a_part_starts_sees_turns_and_profiles_and_stops_in_the_opposite_order(
    begin: Callable[..., Service],
) -> None:
    said: list[str] = []
    service = begin(Toy("one", said), Toy("two", said))
    assert said == ["one starts", "two starts"]
    assert "one is amiss" in service.health().amiss
    for arrival in arrivals([(*NORMAL, 0.0)]):
        service._inbox.put(arrival)

    def learnt() -> bool:
        service._turn()
        return "two learns pump-1" in said

    wait_until(learnt, what="the profile")
    assert {"one sees pump-1", "one learns pump-1", "one shows"} <= set(said)
    service._leave()
    assert said[-2:] == ["two stops", "one stops"]


def test_a_part_that_fails_is_contained_and_the_others_are_heard(begin: Callable[..., Service]) -> None:
    broken, whole = Toy("broken", []), Toy("whole", [])
    service = begin(broken, whole)
    broken.broken = True
    order = json.dumps({"id": "request-1", "by": "Anna", "machine": "nobody"}).encode()
    whole.commands.append(ReceivedMessage("agents/hall/cmd/unshelve", order, retain=False))
    service._turn()
    assert service._processor.internal_errors == 1
    assert [entry.request for entry in service._processor.alarm_manager.audit.refused] == ["request-1"]
    service._leave()
