"""All bounds together fit what the shipped units allow: none that is right by itself may contradict another."""

import re
from pathlib import Path

import pytest

from benchmarks import ROOT
from edge_agent.config.file import Config, defaults, load
from edge_agent.service.bounds import Need, limits_of_process, needs, shortfalls, total

UNITS = sorted((ROOT / "systemd").glob("*.service"))
_FACTORS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def allowed(unit: Path) -> Need:
    """What systemd gives it."""
    found = dict(re.findall(r"^(\w+)=(\d+[KMG]?)$", unit.read_text(), flags=re.MULTILINE))
    memory = re.fullmatch(r"(\d+)([KMG]?)", found["MemoryMax"])
    assert memory is not None
    files = int(found["LimitNOFILE"])
    return Need(
        tasks=int(found["TasksMax"]),
        files=files,
        memory_bytes=int(memory[1]) * _FACTORS[memory[2]],
        held=files - 1024,
    )


def with_everything() -> Config:
    """The defaults with the page, a group and history."""
    return Config.model_validate({"page": {"enabled": True}, "sharing": {"group": "line"}})


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_defaults_at_their_corner_fit_the_unit(unit: Path) -> None:
    assert shortfalls(with_everything(), allowed(unit)) == []
    assert shortfalls(defaults(), allowed(unit)) == []


@pytest.mark.parametrize(
    ("settings", "resource"),
    [
        ("[limits]\nlearning_bytes = 400000000", "memory_bytes"),
        ("[broker]\nqueue_bytes = 10000000\nqueue_messages = 2000000", "memory_bytes"),
        ("[alerts]\noutbox_bytes = 1000000000", "memory_bytes"),
        ("[model]\nthreads = 64", "tasks"),
        ("[limits]\nmachines = 5000", "held"),
    ],
)
def test_a_bound_that_does_not_fit_is_named(settings: str, resource: str, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(settings)
    (told,) = shortfalls(load(file), allowed(ROOT / "systemd" / "edge-agent.service"))
    assert told.startswith(f"{resource}: ")
    assert "may be needed" in told


def test_a_process_without_bounds_is_told_nothing() -> None:
    assert shortfalls(defaults(), Need()) == []
    assert limits_of_process().held == 0


def test_the_table_adds_up() -> None:
    table = needs(with_everything())
    assert total(with_everything()).tasks == sum(one.tasks for one in table.values())
    assert total(with_everything()).tasks > total(defaults()).tasks
