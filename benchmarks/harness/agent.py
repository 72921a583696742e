"""`python -m edge_agent run --config` as a process that can be killed, frozen, starved and watched from outside."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.faults.parts.floor import LEARN_ROWS
from tests.faults.parts.patience import WaitedInVainError, free_port, wait_until

ROOT = Path(__file__).parents[3]


class Agent:
    """One agent's folder, configuration and (at most one) process.

    Args:
        before: a command that runs ours, such as `ip netns exec NAME`.
        launcher: what Python is given instead of `-m edge_agent`.
        longest_wait_s: by default nothing is passed over: faults are counted here. None: the product's.
        settings: further lines, by section of the configuration.
    """

    def __init__(
        self,
        folder: Path,
        *,
        bundle: Path | None,
        port: int,
        host: str = "127.0.0.1",
        page_host: str = "127.0.0.1",
        state: Path | None = None,
        commission_rows: int = LEARN_ROWS,
        keepalive_s: int = 5,
        longest_wait_s: float | None = 0.0,
        settings: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
        launcher: Sequence[str] = ("-m", "edge_agent"),
        env: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.state = state or folder / "state"
        self.log_file = folder / "agent.log"
        self.config = folder / "agent.toml"
        self.starts = self.kills = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._page = f"http://{page_host}:{free_port()}"
        self._command = [*before, sys.executable, *launcher, "run", "--config", str(self.config)]
        self._env = dict(env or {})
        sections: dict[str, str] = {
            "agent": f'name = "hall"\nstate_dir = "{self.state}"',
            "broker": f'host = "{host}"\nport = {port}\nkeepalive_s = {keepalive_s}',
            "model": f'bundle = "{bundle}"' if bundle else "",
            "commission": f"rows = {commission_rows}",
            "budget": "false_alarms_per_week = 0.01",
            "metrics": f'host = "{page_host}"\nport = {self._page.rpartition(":")[2]}',
            "log": 'format = "json"',
        }
        if longest_wait_s is not None:
            sections["broker"] += f"\nlongest_wait_s = {longest_wait_s}"
        for name, lines in (settings or {}).items():
            sections[name] = f"{sections.get(name, '')}\n{lines}"
        self.config.write_text("".join(f"[{name}]\n{lines}\n" for name, lines in sections.items()))

    # -- life and death -------------------------------------------------------------------------------------

    def start(self, *, wait: bool = True) -> Self:
        calm = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=os.environ | calm | self._env,
            )
        self.starts += 1
        if wait:
            wait_until(self._answers, what="the agent's page")
        return self

    def ready(self) -> Self:
        """Wait until both its connections stand."""
        wait_until(self.connected, what="the agent to be connected")
        return self

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            self.kills += 1

    def stop(self) -> int:
        return self.signal(signal.SIGTERM).wait(timeout=60)

    def signal(self, number: int) -> subprocess.Popen[bytes]:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    # -- seen from outside ----------------------------------------------------------------------------------

    def page(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self._page + path, timeout=5) as answer:  # noqa: S310 - our own page
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except (OSError, ValueError):
            return 0, ""

    def series(self) -> dict[str, float]:
        """Every series of one scrape; empty where the page does not answer."""
        lines = [line.rpartition(" ") for line in self.page("/metrics")[1].splitlines() if line[:1] != "#"]
        return {name: float(value) for name, _, value in lines}

    def connected(self) -> bool:
        series = self.series()
        return all(
            series.get(f'edge_agent_broker_connected{{client="{name}"}}') == 1
            for name in ("ingest", "egress")
        )

    def ledger(self) -> dict[str, int]:
        """Received and the outcomes, of one scrape; they must add up at any moment."""
        series = self.series()
        if not series:
            return {}
        named = "edge_agent_messages_total{"
        outcomes = {name.split('"')[1]: int(n) for name, n in series.items() if name.startswith(named)}
        received = int(series["edge_agent_messages_received_total"])
        assert received == sum(outcomes.values()), (received, outcomes)
        return {"received": received, **outcomes}

    def wait_received(self, messages: int, *, patience_s: float = 120.0) -> dict[str, int]:
        """The ledger once so many different messages have come since this process began.

        Raises:
            WaitedInVainError: with the last ledger.
        """
        end = time.monotonic() + patience_s
        while (ledger := self.ledger()).get("received", 0) - ledger.get("duplicate", 0) < messages:
            if time.monotonic() > end:
                raise WaitedInVainError(
                    f"{messages} messages were to come, in {patience_s:.0f} s came {ledger}"
                )
            time.sleep(0.2)
        return ledger

    def resident_kib(self) -> int:
        return int(self._status("VmRSS:"))

    def peak_kib(self) -> int:
        """The most memory that it ever had."""
        return int(self._status("VmHWM:"))

    def threads(self) -> int:
        return int(self._status("Threads:"))

    def descriptors(self) -> int:
        assert self.process is not None
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def cpu_s(self) -> float:
        """Processor time used so far."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def log(self, event: str = "") -> list[dict[str, Any]]:
        """Log lines, all or those of one event."""
        lines = self.log_file.read_text(errors="replace").splitlines() if self.log_file.exists() else []
        told = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [line for line in told if not event or line.get("event") == event]

    def crashes(self) -> list[str]:
        """Tracebacks and callbacks that failed."""
        text = self.log_file.read_text(errors="replace") if self.log_file.exists() else ""
        return [line for line in text.splitlines() if "Traceback" in line or "callback_failed" in line]

    def _status(self, field: str) -> str:
        assert self.process is not None
        return Path(f"/proc/{self.process.pid}/status").read_text().split(field)[1].split()[0]

    def _answers(self) -> bool:
        if not self.alive:
            raise WaitedInVainError(f"the agent ended: {self.log_file.read_text(errors='replace')[-2000:]}")
        return self.page("/healthz")[0] == 200
