"""Whatever goes wrong beside a gross fault of a machine: the alarm comes, or health and a finding name the machine.

`BLINDNESS=1000` (`make blindness`) generates as many faults; a small number is run with all tests, and
`BLINDNESS_FROM=1000` generates others.
"""

import itertools
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.user import FAULT_SHIFT
from edge_agent.config.file import Config
from tests.support.scripted_agent import ScriptedAgent, arrivals, play

pytestmark = pytest.mark.usefixtures("quiet_logs")

COUNT = int(os.environ.get("BLINDNESS", "10"))
FIRST = int(os.environ.get("BLINDNESS_FROM", "0"))
LEARNT_ROWS, FAULT_ROWS = 340, 100
WITHIN_S = 30
ERRORS: tuple[Callable[[], BaseException], ...] = (
    lambda: OSError(5, "Input/output error"),
    lambda: OSError(24, "Too many open files"),
    MemoryError,
    lambda: RuntimeError("can't start new thread"),
    lambda: ValueError("odd"),
    lambda: KeyError("odd"),
    lambda: ZeroDivisionError("odd"),
    lambda: RecursionError("too deep"),
    lambda: AssertionError("impossible"),
)


def doors(agent: ScriptedAgent) -> dict[str, tuple[Any, str]]:
    """Where a row passes on its way to an alert: (owner, name of the call)."""
    processor = agent.processor
    pipeline, manager = processor.pipeline, processor.alarm_manager
    machine = pipeline.machines["pump-1"]
    return {
        "decode": (pipeline, "_decode"),
        "accept": (machine.rows, "accept"),
        "take_due": (machine.rows, "take_due"),
        "score": (pipeline._scorer, "score"),
        "judge": (machine.naming, "judge"),
        "sensors": (machine.sensor_monitor, "check"),
        "states": (machine.notices, "check"),
        "trigger": (machine.trigger, "step"),
        "condition": (machine.condition, "advance"),
        "step": (pipeline, "step"),
        "interrupt": (pipeline.machines, "interrupt"),
        "take_alarms": (manager, "take_alarms"),
        "lifecycle": (manager.lifecycle, "take_alarm"),
        "outbox": (processor.outbox, "raise_alarm"),
        "commands": (manager, "obey_commands"),
        "tick": (manager, "tick"),
        "sources": (processor.sources, "check"),
        "moved": (machine, "moved"),
        "keep": (processor.state_writer, "write_turn"),
        "commit": (processor.state_writer._database, "commit"),
        "profiles": (processor.state_writer, "save_profile"),
    }


def touch(path: Path, _: random.Random) -> None:
    os.utime(path)


def rewrite(path: Path, _: random.Random) -> None:
    path.write_bytes(path.read_bytes())


def truncate(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(path.stat().st_size))


def overwrite(path: Path, chance: random.Random) -> None:
    raw = bytearray(path.read_bytes())
    at = chance.randrange(len(raw))
    raw[at : at + 4096] = chance.randbytes(len(raw[at : at + 4096]))
    path.write_bytes(raw)


def remove(path: Path, _: random.Random) -> None:
    path.unlink()


FILES = (touch, rewrite, truncate, overwrite, remove)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> tuple[Config, Path]:
    """A configuration, and a state directory of a machine that was learnt."""
    folder = tmp_path_factory.mktemp("learnt")
    config = Config.model_validate(
        {
            "agent": {"name": "hall", "state_dir": folder / "state"},
            "model": {"bundle": tiny_bundle},
            "commission": {"rows": 300},
        }
    )
    agent = ScriptedAgent(config, now_s=1e6)
    play(agent, arrivals([(0, LEARNT_ROWS, 0.0)]), crash_after=lambda _: False)
    agent.processor.state_writer.write_last(now_s=1e6)
    agent.end()
    return config, folder / "state"


def breaking(call: Any, chance: random.Random) -> Callable[..., Any]:
    """The call, which raises always, now and then, or for a while."""
    error, numbers = chance.choice(ERRORS), itertools.count()
    pattern = chance.choice(["always", "second", "third", "while"])
    until = chance.randrange(1, 80)

    def broken(*positional: Any, **named: Any) -> Any:
        number = next(numbers)
        raises = {
            "always": True,
            "second": number % 2 == 0,
            "third": number % 3 == 0,
            "while": number < until,
        }
        if raises[pattern]:
            raise error()
        return call(*positional, **named)

    return broken


def watch(agent: ScriptedAgent, *, clock: Callable[[int], float]) -> bool:
    """Send a gross fault, a row a second; whether an alarm comes, or the machine is named, within the time."""
    for at, arrival in enumerate(arrivals([(LEARNT_ROWS, LEARNT_ROWS + FAULT_ROWS, FAULT_SHIFT)])):
        agent.now_s = clock(at)
        agent.turn([arrival])
        if any(told["kind"] == "machine" and told["state"] == "open" for told in agent.alerts.values()):
            return True
        named = any("pump-1" in line for line in agent.processor.amiss())
        told = any(alarm.machine == "pump-1" for alarm in agent.processor.watch.open_findings)
        if named and (told or agent.processor._untold):
            return True
        if at >= WITHIN_S:
            return False
    return False


@pytest.fixture
def begin(learnt: tuple[Config, Path], tmp_path: Path) -> Iterator[Callable[[int], ScriptedAgent]]:
    config, folder = learnt
    begun: list[ScriptedAgent] = []

    def new(number: int) -> ScriptedAgent:
        state = tmp_path / str(number)
        shutil.copytree(folder, state)
        mine = config.model_copy(update={"agent": config.agent.model_copy(update={"state_dir": state})})
        begun.append(ScriptedAgent(mine, now_s=1e6))
        return begun[-1]

    yield new
    for agent in begun:
        agent.end()


def test_no_generated_fault_makes_the_agent_blind_without_a_word(
    begin: Callable[[int], ScriptedAgent], monkeypatch: pytest.MonkeyPatch
) -> None:
    silent: list[str] = []
    for number in range(FIRST, FIRST + COUNT):
        chance = random.Random(number)
        agent = begin(number)
        every = doors(agent)
        what = chance.choice(["door", "door", "doors", "files", "clock"])
        clock: Callable[[int], float] = lambda at: 1e6 + at  # noqa: E731
        with monkeypatch.context() as broken:
            said = [what]
            if what in {"door", "doors"}:
                for name in chance.sample(sorted(every), 1 if what == "door" else 3):
                    owner, call = every[name]
                    said.append(name)
                    if hasattr(type(owner), "__slots__") and not hasattr(owner, "__dict__"):
                        owner_type = type(owner)
                        whole = getattr(owner_type, call)
                        broken.setattr(owner_type, call, breaking(whole, chance))
                    else:
                        broken.setattr(owner, call, breaking(getattr(owner, call), chance))
            elif what == "files":
                how = chance.choice(FILES)
                said.append(how.__name__)
                paths = sorted((agent.config.agent.state_dir / "profiles").rglob("*.npz"))
                for path in paths if chance.random() < 0.5 else paths[:1]:
                    how(path, chance)
            else:
                jump, at_row = chance.choice([-3600.0, -10.0, 10.0, 3600.0]), chance.randrange(30)
                clock = lambda at: 1e6 + at + (jump if at >= at_row else 0.0)  # noqa: E731, B023
            if not watch(agent, clock=clock):
                silent.append(f"{number}: {' '.join(said)}")
    assert silent == []
