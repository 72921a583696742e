"""The compose file holds together: what it mounts exists, and nothing listens beyond this computer. No engine runs."""

import re
from pathlib import Path
from typing import Any

import pytest

from edge_agent.config.file import load

yaml: Any = pytest.importorskip("yaml")
DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_ports_are_open_on_this_computer_alone() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_named_volume_is_declared_and_our_own_mounts_exist() -> None:
    mounts = [m.split(":")[0] for service in COMPOSE["services"].values() for m in service.get("volumes", [])]
    assert {m for m in mounts if not m.startswith(".")} == COMPOSE["volumes"].keys()
    assert [m for m in mounts if m.startswith("./compose/") and not (DEPLOY / m).is_file()] == []


def test_the_agents_settings_are_accepted() -> None:
    settings = load(DEPLOY / "compose/agent.toml")
    assert settings.broker.host in COMPOSE["services"]


def test_the_image_is_built_from_files_that_exist() -> None:
    recipe = (DEPLOY / "Containerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", recipe, re.MULTILINE)
    assert copied
    assert all((DEPLOY.parent / name).exists() for line in copied for name in line.split())
