"""What the package has beside its program, read by those for whom it is: man, shells, and tools of Debian."""

import gzip
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.package import manual
from edge_agent import __version__
from edge_agent.cli import app as command
from edge_agent.errors import EdgeAgentError

ROOT = Path(__file__).parents[2]
DATE = datetime(2026, 12, 1, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("beside")
    manual.write(folder, version=__version__, revision=2, date=DATE)
    return folder


def test_the_man_page_names_every_command_and_exit_code(beside: Path) -> None:
    if shutil.which("man") is None:
        pytest.skip("man is missing: apt install man-db")
    said = subprocess.run(
        ["man", "-l", "--warnings", str(beside / manual.MAN)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"MANWIDTH": "300", "MAN_KEEP_FORMATTING": "", "LC_ALL": "C.UTF-8"},
    )
    assert said.stderr == "", "groff finds fault with it"
    lines = [line.strip() for line in said.stdout.splitlines()]
    for name in command.COMMANDS:
        assert any(line.split(" ")[0] == name for line in lines), name
    for name, group in command.GROUPS.items():
        for info in group.registered_commands:
            word = info.name or info.callback.__name__.replace("_", "-")
            assert any(line.startswith(f"{name} {word}") for line in lines), f"{name} {word}"
    codes = {kind.exit_code for kind in EdgeAgentError.__subclasses__()}
    assert {line.split()[0] for line in lines if line[:1].isdigit()} >= {"0", "10", *map(str, codes)}
    assert "--commission-rows NUMBER" in said.stdout


def test_the_changelog_is_one_of_debian(beside: Path) -> None:
    packed = (beside / manual.CHANGES).read_bytes()
    assert packed[4:8] == bytes(4), "no time of its own: the same source makes the same package"
    text = gzip.decompress(packed).decode()
    first = (ROOT / "CHANGELOG.md").read_text().split("\n- ")[1].split("\n")[0]
    assert f"  * {first}" in text
    if shutil.which("dpkg-parsechangelog") is None:
        pytest.skip("dpkg-parsechangelog is missing: apt install dpkg-dev")
    read = subprocess.run(
        ["dpkg-parsechangelog", "-l-"], input=text, capture_output=True, text=True, check=True
    )
    assert read.stderr == ""
    fields = dict(
        line.split(": ", 1) for line in read.stdout.splitlines() if line[:1].isalpha() and ": " in line
    )
    assert (fields["Source"], fields["Version"]) == ("edge-agent", f"{__version__}-2")
    assert fields["Date"] == "Tue, 01 Dec 2026 06:00:00 +0000"


def test_versions_that_were_released_keep_their_day() -> None:
    text = "# C\n\n## [Unreleased]\n\n## [0.2.0] - 2026-02-03\n\n### Fixed\n\n- a\n  b\n\n"
    text += "## [0.1.0] - 2026-01-02\n\n- c\n"
    told = manual.changelog(text, version="0.3.0", revision=1, date=DATE)
    assert [line for line in told.splitlines() if line.startswith("edge-agent")] == [
        "edge-agent (0.2.0-1) stable; urgency=medium",
        "edge-agent (0.1.0-1) stable; urgency=medium",
    ]
    assert "  [ Fixed ]\n  * a\n    b\n" in told
    assert "Tue, 03 Feb 2026 12:00:00 +0000" in told


SCRIPTS = {
    manual.Shell.BASH: """
        source {script}
        COMP_WORDS=(edge-agent do); COMP_CWORD=1
        "$(complete -p edge-agent | sed -E 's/.*-F ([^ ]+) .*/\\1/')" edge-agent do ""
        echo "${{COMPREPLY[@]}}"
    """,
    manual.Shell.FISH: "source {script}; complete -C 'edge-agent do'",
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    program = tmp_path / "edge-agent"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m edge_agent "$@"\n')
    program.chmod(0o755)
    return os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path), "TERM": "dumb"}


def require(shell: manual.Shell) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is missing: apt install {shell}")


@pytest.mark.parametrize("shell", SCRIPTS)
def test_bash_and_fish_complete_by_their_files(
    beside: Path, environment: dict[str, str], shell: manual.Shell
) -> None:
    require(shell)
    text = SCRIPTS[shell].format(script=beside / manual.COMPLETIONS[shell])
    done = subprocess.run([shell, "-c", text], capture_output=True, text=True, check=False, env=environment)
    assert "doctor" in done.stdout, done.stdout + done.stderr


def test_zsh_completes_at_the_first_tab(beside: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    require(manual.Shell.ZSH)
    folder = (beside / manual.COMPLETIONS[manual.Shell.ZSH]).parent
    ours, theirs = pty.openpty()
    zsh = subprocess.Popen(
        ["zsh", "-f", "-i"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        begin = (
            f"fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -d {tmp_path}/dump; print REA''DY\n"
        )
        os.write(ours, begin.encode())
        read_until(ours, b"READY")
        os.write(ours, b"edge-agent doc\t")
        read_until(ours, b"doctor")
    finally:
        zsh.kill()
        zsh.wait()
        os.close(ours)


def read_until(terminal: int, wanted: bytes, *, patience_s: float = 60.0) -> None:
    """Read a terminal until it shows this."""
    seen, end_s = b"", time.monotonic() + patience_s
    while wanted not in seen:
        assert time.monotonic() < end_s, seen
        if select.select([terminal], [], [], 1.0)[0]:
            seen += os.read(terminal, 4096)
