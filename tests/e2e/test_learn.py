"""`edge-agent learn`: a history in a file becomes a watched machine, over a broker or into a directory at rest."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from benchmarks.harness.user import User

pytestmark = pytest.mark.broker


@pytest.fixture
def agent(tmp_path: Path, broker: Broker, tiny_bundle: Path) -> Iterator[Agent]:
    agent = Agent(tmp_path, bundle=tiny_bundle, port=broker.port)
    agent.config.write_text(agent.config.read_text() + '[commands]\nallow = ["learn"]\n')
    yield agent
    agent.kill()


@pytest.fixture
def user(broker: Broker) -> Iterator[User]:
    user = User(broker.port)
    yield user
    user.close()


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Ten minutes as half of Europe exports them."""
    rng = np.random.default_rng(3)
    lines = ["Zeit;Druck [bar];Durchfluss [l/min]"]
    for n in range(600):
        pressure, flow = 5 + 0.1 * rng.standard_normal(), 40 + rng.standard_normal()
        lines.append(f"02.03.2026 06:{n // 60:02d}:{n % 60:02d};{pressure:.3f};{flow:.3f}")
    path = tmp_path / "export.csv"
    path.write_text("\n".join(lines), encoding="utf-8-sig")
    return path


def learn(agent: Agent, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge_agent", "learn", "-c", str(agent.config), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_machine_is_learnt_from_its_history_and_kept(agent: Agent, user: User, export: Path) -> None:
    agent.start().ready()
    done = learn(agent, "pump", str(export), "--rename", "Druck [bar]=pressure")
    assert (done.returncode, done.stderr) == (0, "")
    assert "300 of 600 rows of pressure, Durchfluss" in done.stdout
    assert "pump is learnt, and watched from its next row" in done.stdout
    assert user.machine("pump") == "ready"
    again = learn(agent, "pump", str(export), "--rename", "Druck [bar]=pressure", "--json")
    assert "beside the profile that watches it" in json.loads(again.stdout)["detail"]
    foreign = learn(agent, "pump", str(export), "--channels", "Druck [bar]")
    assert (foreign.returncode, foreign.stdout.count("\n")) == (9, 1)
    assert "pump sends pressure, Durchfluss: no column is called so" in foreign.stderr
    agent.kill()
    user.status.clear()
    agent.start().ready()
    wait_until(lambda: user.machine("pump") == "ready", what="what was learnt, after a restart")


def test_too_few_rows_are_said_and_no_agent_is_no_reason_to_hang(agent: Agent, export: Path) -> None:
    unheard = learn(agent, "pump", str(export), "--timeout", "1")
    assert (unheard.returncode, "waited 1 s in vain" in unheard.stderr) == (9, True)
    agent.start().ready()
    few = learn(agent, "pump", str(export), "--rows", "20")
    assert few.returncode == 9
    assert "pump was not learnt: 20 usable" in few.stderr


def test_offline_the_profile_waits_for_the_agent(agent: Agent, user: User, export: Path) -> None:
    done = learn(agent, "pump", str(export), "--offline")
    assert (done.returncode, done.stderr) == (0, "")
    assert learn(agent, "pump", str(export), "--offline").returncode == 9
    agent.start().ready()
    wait_until(lambda: user.machine("pump") == "ready", what="the machine")
    locked = learn(agent, "fan", str(export), "--offline")
    assert "another agent uses it" in locked.stderr
