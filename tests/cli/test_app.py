"""The command line: what it prints and what it ends with."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_agent import __version__
from edge_agent.cli import app as command
from edge_agent.commissioning.baseline import commission
from edge_agent.errors import CommissionError, EdgeAgentError
from edge_agent.model import bundle

ROOT = Path(__file__).parents[2]


def edge_agent(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit status of `edge-agent <arguments>`, in this process."""
    monkeypatch.setattr(sys, "argv", ["edge-agent", *arguments])
    with pytest.raises(SystemExit) as left:
        command.main()
    return int(left.value.code or 0)


def write(folder: Path, text: str) -> str:
    (folder / "agent.toml").write_text(text)
    return str(folder / "agent.toml")


def test_the_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert edge_agent(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"edge-agent {__version__}\n"


def test_check_says_what_would_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_bundle: Path
) -> None:
    file = write(tmp_path, f'[broker]\nhost = "plant"\n[model]\nbundle = "{tiny_bundle}"')
    assert edge_agent(monkeypatch, "check", "-c", file) == 0
    out = capsys.readouterr().out
    for expected in ("plant:1883", "sensors/+/+ (number)", "verified", "cpu", "3600 rows", ":9108/metrics"):
        assert expected in out


def test_check_and_run_print_every_finding_and_end_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = write(tmp_path, "[broker]\nport = 0\n[agnet]\n")
    for name in ("check", "run"):
        assert edge_agent(monkeypatch, name, "-c", file) == 2
        said = capsys.readouterr().err
        assert "broker.port (line 2)" in said
        assert "agnet (line 3)" in said


def test_check_tells_programs_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_bundle: Path
) -> None:
    file = write(tmp_path, "[broker]\nport = 0\n[agnet]\n")
    assert edge_agent(monkeypatch, "check", "--json", "-c", file) == 2
    told = json.loads(capsys.readouterr().out)
    assert [finding["where"] for finding in told["findings"]] == ["broker.port (line 2)", "agnet (line 3)"]
    file = write(tmp_path, f'[model]\nbundle = "{tiny_bundle}"')
    assert edge_agent(monkeypatch, "check", "--json", "-c", file) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["findings"]) == (True, [])
    assert "verified" in told["runs"]["model"]


def test_check_refuses_fewer_rows_than_learning_needs_and_names_the_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_bundle: Path
) -> None:
    window_rows = bundle.read(tiny_bundle).manifest.window_rows
    normal = np.random.default_rng(0).normal(size=(window_rows + 120, 2)).astype(np.float32)
    how = {
        "window_rows": window_rows,
        "encode": None,
        "budget_per_week": 1.0,
        "windows_per_week": 6e5,
        "seed": 0,
    }
    fewest = next(n for n in range(100, len(normal)) if learns(normal[:n], how))
    for rows, code in ((fewest - 1, 2), (fewest, 0)):
        text = f'[model]\nbundle = "{tiny_bundle}"\n[commission]\nrows = {rows}\n'
        assert edge_agent(monkeypatch, "check", "-c", write(tmp_path, text)) == code
    said = capsys.readouterr().err
    assert "commission.rows (line 4)" in said
    assert f"{fewest - 1} rows are too few" in said
    assert f"{fewest} or more" in said


def learns(rows: np.ndarray, how: dict[str, Any]) -> bool:
    try:
        commission(rows, **how)
    except CommissionError:
        return False
    return True


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shell: str
) -> None:
    assert edge_agent(monkeypatch, "completion", shell) == 0
    assert "_EDGE_AGENT_COMPLETE" in capsys.readouterr().out


def test_bash_completes_commands_and_options_by_that_script(tmp_path: Path) -> None:
    program = tmp_path / "edge-agent"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m edge_agent "$@"\n')
    program.chmod(0o755)
    script = """
        eval "$(edge-agent completion bash)"
        complete_of() {
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            "$(complete -p edge-agent | sed -E 's/.*-F ([^ ]+) .*/\\1/')" edge-agent "${COMP_WORDS[-1]}" ""
            echo "${COMPREPLY[@]}"
        }
        complete_of edge-agent do
        complete_of edge-agent doctor --js
    """
    done = subprocess.run(
        ["bash", "-c", script],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["doctor", "--json"], done.stderr


def test_an_absent_or_altered_model_ends_with_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = write(tmp_path, '[model]\nbundle = "nowhere"')
    assert edge_agent(monkeypatch, "check", "-c", file) == 3
    assert "nowhere" in capsys.readouterr().err


def test_a_provider_that_is_required_and_absent_ends_with_6(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_bundle: Path
) -> None:
    text = f'[model]\nbundle = "{tiny_bundle}"\nprovider = "tensorrt"\nrequire_provider = true'
    assert edge_agent(monkeypatch, "check", "-c", write(tmp_path, text)) == 6


def test_every_error_has_an_exit_code_of_its_own_in_its_drawing() -> None:
    """The tree in the module's docstring is the documentation of the exit codes."""
    drawing = sys.modules[EdgeAgentError.__module__].__doc__ or ""
    kinds = [EdgeAgentError, *EdgeAgentError.__subclasses__()]
    for kind in kinds:
        assert any(
            kind.__name__ in line and f" {kind.exit_code} " in f"{line} " for line in drawing.splitlines()
        ), kind


def test_help_needs_no_runtime() -> None:
    """`--help` on a small gateway must not wait for onnxruntime."""
    script = (
        "import sys; sys.argv = ['edge-agent', '--help']\n"
        "from edge_agent.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted(sys.modules.keys() & {'onnxruntime', 'paho', 'numpy', 'torch', 'pydantic', 'msgspec'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_new_command_is_a_line_in_the_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def greet(name: str) -> None:
        """Say hello."""
        sys.stdout.write(f"hello {name}\n")

    monkeypatch.setitem(command.COMMANDS, "greet", greet)
    command.assemble()(["greet", "pump-1"], standalone_mode=False)
    assert capsys.readouterr().out == "hello pump-1\n"
