"""The locks hold what pyproject.toml asks for, and the Debian package takes its libraries from one of them."""

import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deploy.package import build

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["agent", "demo", "dev"])
def test_each_lock_holds_what_the_project_asks_for(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned: dict[str, set[str]] = defaultdict(set)
    for found, version in re.findall(
        r"^([a-z0-9-]+)==([^ ]+)", (ROOT / f"requirements/{name}.lock").read_text(), re.MULTILINE
    ):
        pinned[found].add(version)
    wanted = [*project["dependencies"], *project["optional-dependencies"].get(name, [])]
    for requirement in map(Requirement, wanted):
        if requirement.name not in ("edge-agent", "torch"):
            assert pinned[requirement.name], f"{requirement.name} is missing: make lock"
            assert all(map(requirement.specifier.contains, pinned[requirement.name])), (
                f"{requirement}: make lock"
            )
    assert name == "dev" or not {"torch", "onnx", "pandas", "scipy"} & pinned.keys()


@pytest.mark.parametrize(("arch", "python"), [("amd64", "3.11"), ("arm64", "3.11"), ("arm64", "3.12")])
def test_the_package_takes_one_version_of_each_library(arch: str, python: str) -> None:
    lines = build.requirements(arch, python).splitlines()
    names = [line.split("==")[0] for line in lines if "==" in line]
    assert len(names) == len(set(names)) > 20
    assert "colorama" not in names, "for Windows alone"
    assert not any(";" in line for line in lines)
