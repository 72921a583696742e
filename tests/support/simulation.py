"""Simulated machines that fail as planned: their past sent at once, then each row, one a second, at its time."""

import json
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

from benchmarks import ROOT
from benchmarks.harness.patience import wait_until
from benchmarks.harness.user import User

Row = list[dict[str, Any]]
"""One message of each machine, all of the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What happens to whom; `now` is the row with which sending in real time begins."""

    machines: dict[str, str]
    newcomer: tuple[str, str]
    """Heard of only since half of the rows that are needed to learn it."""
    faults: tuple[str, ...]
    stuck: tuple[str, str, int]
    """A machine's channel that stands still from a row on."""
    learnt_rows: int
    now: int
    after_rows: int

    def rows(self, began_s: int) -> list[Row]:
        """Every row of every machine, row by row."""
        arguments = ["--rows", str(self.now + self.after_rows), "--seed", "7", "--start-ts", str(began_s)]
        everybody = {**self.machines, self.newcomer[0]: self.newcomer[1]}
        for name, kind in everybody.items():
            arguments += ["--machine", f"{name}={kind}"]
        for fault in self.faults:
            arguments += ["--fault", fault]
        done = subprocess.run(
            [sys.executable, "-m", "simulator", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        width = len(everybody)
        return self._with_stuck([lines[at : at + width] for at in range(0, len(lines), width)])

    def _with_stuck(self, rows: list[Row]) -> list[Row]:
        machine, channel, first = self.stuck
        held = None
        for row in rows[first:]:
            for message in row:
                if message["topic"].endswith(f"/{machine}"):
                    held = held or message["payload"]["values"][channel]
                    message["payload"]["values"][channel] = held
        return rows


class Feed:
    """Publishes rows: quickly up to now, then each at its time."""

    def __init__(self, user: User, scenario: Scenario, *, began_s: int) -> None:
        self._user, self._scenario = user, scenario
        self._began_s, self._rows = began_s, scenario.rows(began_s)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def catch_up(self) -> None:
        """All that the machines said before now; each but the newcomer is learnt."""
        scenario = self._scenario
        self._send(0, scenario.learnt_rows)
        for machine in scenario.machines:
            wait_until(lambda name=machine: self._user.machine(name) == "ready", what=machine, patience_s=120)
        for first in range(scenario.learnt_rows, scenario.now, 50):
            self._send(first, min(first + 50, scenario.now))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _go_on(self) -> None:
        for at in range(self._scenario.now, len(self._rows)):
            if self._stop.wait(max(0.0, self._began_s + at - time.time())):
                return
            self._send(at, at + 1)

    def _send(self, first: int, last: int) -> None:
        scenario, infos = self._scenario, []
        for at in range(first, last):
            for message in self._rows[at]:
                new = message["topic"].endswith(f"/{scenario.newcomer[0]}")
                if not new or at > scenario.now - scenario.learnt_rows // 2:
                    payload = json.dumps(message["payload"]).encode()
                    infos.append(self._user.publish(message["topic"], payload))
        for info in infos:
            info.wait_for_publish(60)
