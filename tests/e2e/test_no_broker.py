"""Every command where no broker answers: it ends by itself, says what is wrong, and says so by its exit code, too."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import ROOT
from benchmarks.harness.patience import free_port
from edge_agent.cli import app as command

BOUND_S = 60.0
"""Of a process that is told to end, on a busy computer."""
ENDS = {
    "doctor --seconds 1": (10, "broker"),
    "status --timeout 1": (9, "vain"),
    "discover --seconds 1": (9, "no answer from the broker"),
    "alarms --timeout 0.5 list": (9, "vain"),
    "alarms --timeout 0.5 ack some-id": (9, "vain"),
    "alarms --timeout 0.5 shelve press-1": (9, "vain"),
    "alarms --timeout 0.5 unshelve press-1": (9, "vain"),
    "alarms --timeout 0.5 label some-id wear": (9, "vain"),
    "alarms --timeout 0.5 accept some-id": (9, "vain"),
    "alarms history": (7, "no history"),
    "machines --timeout 0.5 list": (9, "vain"),
    "machines --timeout 0.5 show press-1": (9, "vain"),
    "machines --timeout 0.5 relearn press-1": (9, "vain"),
    "machines --timeout 0.5 budget press-1 2": (9, "vain"),
    "machines --timeout 0.5 suppress press-1": (9, "vain"),
    "machines --timeout 0.5 shelve press-1": (9, "vain"),
    "machines --timeout 0.5 rename press-1 Press": (9, "vain"),
    "machines --timeout 0.5 forget press-1": (9, "vain"),
}
"""What is typed -> (exit code, a word of what is said)."""
GO_ON = ("run", "record")
"""They wait for their broker until they are told to stop."""
NEED_NONE = ("check", "replay", "demo", "completion", "learn", "notify")
"""They ask no broker, or bring their own."""


@pytest.fixture(params=["closed", "silent"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port that nobody listens at, or one that takes connections and says nothing."""
    if request.param == "closed":
        yield free_port()
        return
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(200)
        yield listening.getsockname()[1]


def configured(folder: Path, port: int) -> Path:
    file = folder / "agent.toml"
    file.write_text(
        f'[agent]\nname = "hall"\nstate_dir = "{folder}/state"\n[broker]\nhost = "127.0.0.1"\nport = {port}\n'
        f'[metrics]\nport = {free_port()}\n[record]\ndir = "{folder}/recordings"\n[log]\nformat = "json"\n'
    )
    return file


def started(typed: str, file: Path) -> subprocess.Popen[str]:
    name, *rest = typed.split()
    return subprocess.Popen(
        [sys.executable, "-m", "edge_agent", name, "-c", str(file), *rest],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )


def test_every_command_is_tried() -> None:
    tried = {typed.split()[0] for typed in ENDS} | set(GO_ON)
    assert {*command.COMMANDS, *command.GROUPS} - set(NEED_NONE) == tried
    for name, group in command.GROUPS.items():
        if name in NEED_NONE:
            continue
        words = {info.name or info.callback.__name__.replace("_", "-") for info in group.registered_commands}
        assert words == {typed.split()[-1] if len(typed.split()) == 2 else typed.split()[3]
                         for typed in ENDS if typed.startswith(f"{name} ")}  # fmt: skip


def test_what_asks_a_broker_ends_by_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, port: int
) -> None:
    file = configured(tmp_path, port)
    hints = {"refused", "it takes the connection and says nothing"}
    for typed, (code, word) in ENDS.items():
        name, *rest = typed.split()
        monkeypatch.setattr(sys, "argv", ["edge-agent", name, "-c", str(file), *rest])
        with pytest.raises(SystemExit) as left:
            command.main()
        told = capsys.readouterr()
        said = told.out + told.err
        assert (left.value.code, word in said) == (code, True), f"{typed}: {said}"
        if word == "vain":
            assert f"127.0.0.1:{port}" in said
            assert any(hint in said for hint in hints), f"{typed}: {said}"


@pytest.mark.parametrize("name", GO_ON)
def test_what_waits_for_its_broker_stops_when_it_is_told(tmp_path: Path, port: int, name: str) -> None:
    with started(name, configured(tmp_path, port)) as process:
        try:
            assert process.stdout is not None
            first = json.loads(process.stdout.readline())
            assert first["event"] in ("started", "recording", "broker_unreachable"), first
            assert process.poll() is None, "it waits"
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=BOUND_S)
            assert process.returncode == 0, said
        finally:
            process.kill()
