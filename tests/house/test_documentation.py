"""The documentation: the tutorial's commands are run as they are printed, and the reference says what the code does."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import ROOT
from benchmarks.harness.patience import free_port
from tests.support.missing import missing

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DEADLINE_S = 590


def script(page: str) -> str:
    """The commands of a page's console blocks: lines after a prompt, and the texts that some are fed."""
    lines = [line for block in _BLOCK.findall(page) for line in block.splitlines()]
    return "\n".join(line.removeprefix("$ ").removeprefix("> ") for line in lines)


def run_as_printed(page: str, folder: Path) -> str:
    """What a page's commands said, run one after the other in an empty folder with ports of their own."""
    if shutil.which("mosquitto_sub") is None:
        reason = "mosquitto-clients are missing: apt install mosquitto-clients"
        missing(reason)
    (folder / "bin").mkdir()
    program = folder / "bin/edge-agent"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m edge_agent "$@"\n')
    program.chmod(0o755)
    text = script((ROOT / "docs" / page).read_text())
    for port in ("18883", "18884", "19108", "19109"):
        text = text.replace(port, str(free_port()))
    done = subprocess.run(
        ["bash", "-c", f"set -e\ntrap 'kill $(jobs -p) 2> /dev/null' EXIT\n{text}"],
        cwd=folder,
        env=os.environ | {"PATH": f"{folder}/bin:{os.environ['PATH']}:/usr/sbin", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=_DEADLINE_S - 5,
        check=False,
    )
    said = done.stdout + done.stderr
    log = folder / "agent.log"
    assert done.returncode == 0, said + (log.read_text() if log.exists() else "")
    return said


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.timeout(_DEADLINE_S)
def test_the_tutorial_works_as_it_is_printed(tmp_path: Path) -> None:
    said = run_as_printed("tutorial.md", tmp_path)
    alert = json.loads((tmp_path / "alert.json").read_text())
    assert (alert["machine"], alert["state"], alert["agent"]) == ("pump-1", "open", "tutorial")
    assert re.search(r"pump-1 +ready", said)
    assert re.search(r"pump-1 .*shelved", said)
    assert "in both: 1" in said


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.timeout(_DEADLINE_S)
def test_the_guides_work_as_they_are_printed(tmp_path: Path) -> None:
    said = run_as_printed("howto.md", tmp_path)
    assert re.search(r"press-4 +ready", said)
    assert re.search(r"press-5 +ready", said)
    assert json.loads((tmp_path / "alert.json").read_text())["state"] == "open"
    named = json.loads((tmp_path / "named.json").read_text())
    assert named["fault"]["name"] == "clogged filter"
    assert (
        '"event": "reloaded"' in (tmp_path / "agent.log").read_text()
        or "reload_unchanged" in (tmp_path / "agent.log").read_text()
    )


def test_the_reference_is_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, "deploy/reference.py", "--check"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_page_that_the_site_leads_to_exists() -> None:
    pages = re.findall(r"(?:- |: )([\w-]+\.(?:md|json))$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert len(pages) > 10
    assert [page for page in pages if not (ROOT / "docs" / page).is_file()] == []


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    tutorial = (tmp_path / "site/tutorial.html").read_text()
    assert "Ten minutes" in tutorial
    assert not re.findall(r'(?:src|href)="https?://(?!squidfunk)[^"]+\.(?:js|css|woff2?)"', tutorial)
