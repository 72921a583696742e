"""`edge-agent demo` on a terminal: it goes on, a key breaks a machine, the login leads in, and q ends it."""

import json
import os
import pty
import re
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

from benchmarks import ROOT
from benchmarks.harness.patience import wait_until


class Terminal:
    """A program that believes that somebody sits before it."""

    def __init__(self, *command: str) -> None:
        self._master, slave = pty.openpty()
        self._said = b""
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "200", "LINES": "50"}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            while some := os.read(self._master, 65_536):
                self._said += some
        except OSError:  # the program has ended
            return

    @property
    def said(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._said.decode("utf-8", "replace"))

    def press(self, key: str) -> None:
        os.write(self._master, key.encode())


@pytest.mark.slow
def test_on_a_terminal_the_demo_goes_on_and_breaks_what_a_key_says(tmp_path: Path) -> None:
    out = tmp_path / "out"
    terminal = Terminal(sys.executable, "-m", "edge_agent", "demo", "--out", str(out))
    try:
        wait_until(
            lambda: "keys that break a machine" in terminal.said, what="the plant's life", patience_s=300
        )
        found = re.search(r"(http://127\.0\.0\.1:\d+/)#/login/([\w-]{16,})", terminal.said)
        assert found is not None
        state = f"{found[1]}api/state"
        assert json.load(urllib.request.urlopen(state, timeout=30))  # noqa: S310 - the demo on this computer["machines"]
        assert (out / "token").read_text() == found[2]
        assert (out / "token").stat().st_mode & 0o077 == 0
        terminal.press("2")
        wait_until(lambda: "motor-1 breaks" in terminal.said, what="the key", patience_s=60)

        def alerted() -> bool:
            lines = (out / "alarms.jsonl").read_text().splitlines()
            return any(json.loads(line)["machine"] == "motor-1" for line in lines)

        wait_until(alerted, what="the alert of the broken machine", patience_s=240)
        terminal.press("q")
        assert terminal.process.wait(60) == 0
    finally:
        terminal.process.kill()
        terminal.process.wait()
    log = [json.loads(line) for line in (out / "agent.log").read_text().splitlines()]
    assert log[-1]["event"] == "stopped"
