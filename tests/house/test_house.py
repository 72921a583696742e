"""The project agrees with itself."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = sorted(
    path
    for package in ("edge_agent", "trainer", "simulator", "benchmarks")
    for path in ROOT.glob(f"{package}/**/*.py")
)
README = (ROOT / "README.md").read_text()


def run(*command: str) -> str:
    result = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=ROOT, check=True)
    return result.stdout


def test_the_agent_runs_without_torch_and_without_the_trainer() -> None:
    loaded = run(
        "-c",
        "import sys, edge_agent.cli.app, edge_agent.cli.demo.play\n"
        "import edge_agent.recordings.replay, edge_agent.service.process\n"
        "print(*(sys.modules.keys() & {'torch', 'onnx', 'pandas', 'scipy', 'sklearn', 'trainer', 'pyarrow'}))",
    )
    assert loaded.strip() == ""


def test_the_base_dependencies_are_the_agents_alone() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=\[]", line)[0] for line in project["dependencies"]}
    assert not names & {"torch", "onnx", "onnxscript", "pyarrow", "matplotlib", "pandas", "scipy"}


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_are_small(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 600, "is it one concern?"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno <= 60, f"{node.name} is long"


def test_every_module_says_what_it_is() -> None:
    silent = [path.name for path in CODE if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_the_readme_shows_the_two_commands_and_the_real_help() -> None:
    assert "make demo" in README
    assert "make test" in README
    for program in ("edge_agent", "trainer"):
        help_text = run("-m", program, "--help")
        commands = re.findall(r"^│ ([a-z]+) ", help_text, re.MULTILINE)
        assert commands
        for command in commands:
            assert re.search(rf"`edge-(agent|trainer) {command}\b", README), f"{command} is not in the README"


def test_make_help_names_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", text, re.MULTILINE))
    told = set(re.findall(r"^([a-z][a-z0-9-]*):.*##", text, re.MULTILINE))
    assert targets == told


def test_every_metric_is_documented() -> None:
    declared = set(re.findall(r'"(edge_agent_[a-z_]+)"', (ROOT / "edge_agent/metrics/series.py").read_text()))
    assert declared
    page = (ROOT / "docs/metrics.md").read_text()
    assert [name for name in sorted(declared) if name not in page] == []


def test_the_architecture_page_names_every_room() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    rooms = [path.stem for path in (ROOT / "edge_agent").glob("*.py") if path.stem != "__init__"]
    assert [room for room in sorted(rooms) if f"`{room}`" not in page] == []


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
        broken += [f"{page.name}: {target}" for target in targets if not (page.parent / target).exists()]
    assert broken == []
