"""Tests share builders through tests/support and never lean on each other; benchmarks lean on no test."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
BUILDERS = ("frames", "profiles", "ramp_machine", "scripted_agent")
"""Files of tests/support that make what tests feed to the agent's rooms."""


def imported(path: Path) -> Iterator[str]:
    """Every module, and every name as a module, that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def defined(path: Path) -> set[str]:
    """Public functions of a file."""
    found = ast.parse(path.read_text()).body
    return {node.name for node in found if isinstance(node, ast.FunctionDef) and node.name[0] != "_"} - {
        "main"
    }


def test_no_test_imports_a_test() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "tests").rglob("*.py")
        for name in imported(path)
        if name.startswith("tests.") and any(part.startswith("test_") for part in name.split(".")[:-1])
    ]
    assert found == []


def test_what_support_builds_is_built_nowhere_else() -> None:
    shared = {name for room in BUILDERS for name in defined(ROOT / f"tests/support/{room}.py")}
    assert "small_profile" in shared
    found = [f"{path.relative_to(ROOT)}: {name}" for path in TESTS for name in sorted(defined(path) & shared)]
    assert found == []


def test_no_benchmark_imports_a_test() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "benchmarks").rglob("*.py")
        for name in imported(path)
        if name.partition(".")[0] == "tests"
    ]
    assert found == []
