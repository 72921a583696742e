"""The project agrees with itself."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
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
        "print(*(sys.modules.keys() & {'torch', 'onnx', 'pandas', 'scipy', 'sklearn', 'edge_trainer', 'pyarrow'}))",
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
    for program in ("edge_agent", "edge_trainer"):
        help_text = run("-m", program, "--help")
        commands = re.findall(r"^  ([a-z]+)  ", help_text.split("Commands:")[1], re.MULTILINE)
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
    files, rooms = _agent()
    assert [name for name in files if f"`{name}`" not in page] == []
    assert [name for name in rooms if f"`{name}/`" not in page] == []


def _agent() -> tuple[list[str], list[str]]:
    """Files and rooms that lie directly in the agent."""
    agent = ROOT / "edge_agent"
    files = sorted(path.stem for path in agent.glob("*.py") if not path.stem.startswith("__"))
    return files, sorted(path.parent.name for path in agent.glob("*/__init__.py"))


def test_a_stranger_sees_the_whole_house_at_a_glance() -> None:
    files, rooms = _agent()
    assert len(files) <= 5
    assert len(rooms) <= 20


def test_no_folder_holds_more_than_sixteen_files_of_code() -> None:
    folders = Counter(path.parent for path in CODE)
    assert {str(folder.relative_to(ROOT)): count for folder, count in folders.items() if count > 16} == {}


def test_every_room_says_what_lives_there() -> None:
    packages = list(ROOT.glob("edge_agent/*/__init__.py"))
    thin = [
        path.parent.name
        for path in packages
        if len(ast.get_docstring(ast.parse(path.read_text())) or "") < 200
    ]
    assert thin == [], "what lives there, what does not, and the rules it keeps"


def test_the_contract_of_the_rooms_fits_on_a_page() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (rooms,) = (contract for contract in contracts if contract["id"] == "rooms")
    assert len(rooms["layers"]) <= 12


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())
        broken += [f"{page.name}: {target}" for target in targets if not (page.parent / target).exists()]
    assert broken == []
