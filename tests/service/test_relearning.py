"""The running agent learns machines anew, keeps what is on its way over restarts, and forgets what it is told to."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent.config.file import Config
from edge_agent.mqtt.inbox import Batch
from edge_agent.records import ReceivedMessage
from edge_agent.service.turn import Turn
from edge_agent.store.database import Database
from tests.support.scripted_agent import NORMAL, ScriptedAgent, arrivals

pytestmark = pytest.mark.usefixtures("quiet_logs")

RELEARN = (NORMAL[1], NORMAL[1] + 300)
COMPARE = (RELEARN[1], RELEARN[1] + 80)


@pytest.fixture
def config(tmp_path: Path, tiny_bundle: Path) -> Config:
    return Config.model_validate(
        {
            "agent": {"name": "hall", "state_dir": tmp_path / "state"},
            "model": {"bundle": tiny_bundle},
            "commission": {"rows": 300},
            "commands": {"allow": ["relearn", "budget", "rename", "forget"]},
            "machine": [{"match": "pump-*", "type": "pump", "display_name": "A pump"}],
        }
    )


@pytest.fixture
def agent(config: Config) -> Iterator[ScriptedAgent]:
    """With pump-1 learnt."""
    agent = ScriptedAgent(config)
    feed(agent, NORMAL)
    agent.turn([])
    yield agent
    agent.end()


def feed(agent: ScriptedAgent, span: tuple[int, int]) -> None:
    story = arrivals([(*span, 0.0)])
    for at in range(0, len(story), 20):
        agent.turn(story[at : at + 20])


def ask(agent: ScriptedAgent, name: str, /, **fields: Any) -> dict[str, Any]:
    """Give a command and read its answer."""
    request = (
        f"r{len(agent.processor.alarm_manager.audit.done)}-{len(agent.processor.alarm_manager.audit.refused)}"
    )
    payload = json.dumps({"id": request, "by": "anna", "machine": "pump-1", **fields}).encode()
    message = ReceivedMessage(f"agents/hall/cmd/{name}", payload, retain=False)
    agent.processor.process(Turn(Batch((), (), 0), commands=[message]))
    entry = agent.processor.alarm_manager.audit.find(request)
    assert entry is not None
    return dict(json.loads(entry.reply))


def machine(agent: ScriptedAgent) -> Any:
    return agent.processor.pipeline.machines["pump-1"]


def names(agent: ScriptedAgent) -> set[str]:
    """Names of what is in the database."""
    database: Database = agent.processor.state_writer._database
    return set(database.read().states)


def files(agent: ScriptedAgent) -> list[str]:
    folder = agent.config.agent.state_dir
    found = {str(path.relative_to(folder).parent) for path in folder.rglob("*.npz*")}
    return sorted(found - {"profiles/second"})


def test_a_machine_is_learnt_anew_and_the_old_profile_can_be_had_back(agent: ScriptedAgent) -> None:
    old = machine(agent).profile
    assert ask(agent, "relearn")["result"] == "done"
    assert ask(agent, "relearn")["reason"] == "busy"
    feed(agent, RELEARN)
    agent.turn([])
    assert agent.processor.pipeline.relearner.get("pump-1").stage == "comparing"
    assert files(agent) == ["profiles", "profiles/next"]
    feed(agent, COMPARE)
    new = machine(agent).profile
    assert new.learnt_ns > old.learnt_ns
    assert files(agent) == ["profiles", "profiles/previous"]
    agent.crash()
    assert machine(agent).profile.learnt_ns == new.learnt_ns
    assert ask(agent, "relearn", decision="keep_old")["detail"] == "the old profile watches again"
    assert ask(agent, "relearn", decision="keep_old")["reason"] == "not_ready"
    agent.crash()
    assert (machine(agent).profile.learnt_ns, files(agent)) == (old.learnt_ns, ["profiles"])


@pytest.mark.parametrize("at", [1, 140, 299, 310])
def test_a_crash_costs_nothing_of_what_is_on_its_way(agent: ScriptedAgent, at: int) -> None:
    old = machine(agent).profile
    ask(agent, "relearn")
    feed(agent, (RELEARN[0], RELEARN[0] + at))
    agent.turn([])
    before = agent.processor.pipeline.relearner.get("pump-1").status()
    agent.crash()
    after = agent.processor.pipeline.relearner.get("pump-1").status()
    assert (after.stage, after.by) == (before.stage, "anna")
    assert after.rows == (before.rows if before.stage == "gathering" else 0)
    feed(agent, (RELEARN[0] + at, COMPARE[1] + at))
    assert machine(agent).profile.learnt_ns > old.learnt_ns
    agent.turn([])
    assert not any(name.startswith("beside/") for name in names(agent))


def test_a_next_profile_is_given_up(agent: ScriptedAgent) -> None:
    ask(agent, "relearn")
    assert ask(agent, "relearn", decision="take_new")["reason"] == "not_ready"
    feed(agent, RELEARN)
    agent.turn([])
    assert ask(agent, "relearn", decision="keep_old")["detail"] == "the old profile goes on watching"
    agent.turn([])
    assert (agent.processor.pipeline.relearner.get("pump-1"), files(agent)) == (None, ["profiles"])
    assert not any(name.startswith("beside/") for name in names(agent))


def test_no_profile_is_exchanged_while_what_was_accepted_of_it_is_being_learnt(agent: ScriptedAgent) -> None:
    ask(agent, "relearn")
    feed(agent, RELEARN)
    agent.turn([])
    machine(agent).accepting = "asked"
    assert ask(agent, "relearn", decision="take_new")["reason"] == "busy"
    machine(agent).accepting = ""
    assert ask(agent, "relearn", decision="take_new")["result"] == "done"


def test_what_people_say_of_a_machine_outlives_a_restart_and_a_reload(agent: ScriptedAgent) -> None:
    assert ask(agent, "rename", name="Feed pump")["result"] == "done"
    assert ask(agent, "budget", per_week=3)["detail"] == "3 false alarms a week are accepted of pump-1"
    agent.crash()
    processor = agent.processor
    for _ in range(2):
        facts = processor.facts()["pump-1"]
        assert (facts.display_name, facts.type, facts.budget_per_week) == ("Feed pump", "pump", 3.0)
        processor.adopt(agent.config, scorer=processor._scorer, template=None)
    assert ask(agent, "rename", name="")["result"] == "done"
    assert processor.facts()["pump-1"].display_name == "A pump"


def test_a_forgotten_machine_is_gone_from_the_disk_and_learnt_afresh(agent: ScriptedAgent) -> None:
    ask(agent, "rename", name="Feed pump")
    assert ask(agent, "forget")["reason"] == "malformed"
    assert ask(agent, "forget", confirm=True)["result"] == "done"
    agent.turn([])
    assert files(agent) == []
    assert not any("pump-1" in name for name in names(agent))
    assert ask(agent, "forget", confirm=True)["reason"] == "unknown_machine"
    agent.crash()
    assert agent.processor.pipeline.statuses() == {}
    feed(agent, (700, 720))
    assert machine(agent).state == "commissioning"
