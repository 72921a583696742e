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

from benchmarks import ROOT
from benchmarks.harness.patience import WaitedInVainError, free_port, wait_until
from edge_agent.signals.row_buffer import BufferState
from edge_agent.store.database import Database
from edge_agent.store.journal import decode_states


class Agent:
    """One agent's folder, configuration and (at most one) process.

    Args:
        bundle: the shipped one where None.
        longest_wait_s: by default nothing is passed over: what is sent in a second, a slow computer judges in ten.
        keepalive_s, retry_max_s, budget_per_week, off_delay_s, longest_wait_s: the product's default where None.
        off_delay_s: by default an incident is over soon, and what comes back is another one: stories are short.
        access: further lines of the section `broker`, and after them whole sections.
        settings: further lines, by section of the configuration.
        before: a command that runs ours, such as `ip netns exec NAME`.
        launcher: what Python is given instead of `-m edge_agent`.
        tree: the checkout whose agent it is.
    """

    def __init__(  # noqa: PLR0913 - each is a thing that one test or another must vary
        self,
        folder: Path,
        *,
        bundle: Path | None,
        port: int,
        name: str = "hall",
        host: str = "127.0.0.1",
        page_host: str = "127.0.0.1",
        state: Path | None = None,
        commission_rows: int = 300,
        keepalive_s: int | None = None,
        retry_max_s: int | None = 1,
        longest_wait_s: float | None = 0.0,
        budget_per_week: float | None = None,
        off_delay_s: float | None = 20.0,
        access: str = "",
        settings: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
        launcher: Sequence[str] = ("-m", "edge_agent"),
        env: Mapping[str, str] | None = None,
        tree: Path = ROOT,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.state = state or folder / "state"
        self.log_file = folder / "agent.log"
        self.config = folder / "agent.toml"
        self.launcher = tuple(launcher)
        self.starts = self.kills = 0
        self.process: subprocess.Popen[bytes] | None = None
        self.metrics_port = free_port()
        self._page = f"http://{page_host}:{self.metrics_port}"
        self._before = tuple(before)
        self._env = dict(env or {})
        self._tree = tree
        broker = {"keepalive_s": keepalive_s, "retry_max_s": retry_max_s, "longest_wait_s": longest_wait_s}
        told = [f"{key} = {value}" for key, value in broker.items() if value is not None]
        sections: dict[str, str] = {
            "agent": f'name = "{name}"\nstate_dir = "{self.state}"',
            "broker": "\n".join([f'host = "{host}"', f"port = {port}", *told, access]),
            "model": f'bundle = "{bundle}"' if bundle else "",
            "commission": f"rows = {commission_rows}",
            "budget": "" if budget_per_week is None else f"false_alarms_per_week = {budget_per_week}",
            "alarms": "" if off_delay_s is None else _over_after(off_delay_s),
            "metrics": f'host = "{page_host}"\nport = {self.metrics_port}',
            "log": 'format = "json"',
        }
        for section, lines in (settings or {}).items():
            sections[section] = f"{sections.get(section, '')}\n{lines}"
        self.config.write_text(
            "".join(f"[{section}]\n{lines}\n" for section, lines in sections.items() if lines)
        )

    # -- life and death -------------------------------------------------------------------------------------

    def start(self, *, wait: bool = True) -> Self:
        """Begin, and wait until its page of health says yes."""
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(self._tree)}
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [*self._before, sys.executable, *self.launcher, "run", "--config", str(self.config)],
                cwd=self._tree,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=os.environ | one_thread | self._env,
            )
        self.starts += 1
        if wait:
            wait_until(self._answers, what="the agent's page")
        return self

    def ready(self) -> Self:
        """Wait until both its connections stand and nothing is amiss."""
        wait_until(lambda: self.connected() and self.page("/readyz")[0] == 200, what="the agent to be ready")
        return self

    def kill(self) -> None:
        """Kill -9."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            self.kills += 1

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit status."""
        return self.signal(number).wait(timeout=60)

    def signal(self, number: int) -> subprocess.Popen[bytes]:
        """Send it a signal."""
        process = self._running()
        process.send_signal(number)
        return process

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    # -- seen from outside ----------------------------------------------------------------------------------

    def page(self, path: str) -> tuple[int, str]:
        """Status and text of one of its pages; (0, "") where nobody answers."""
        try:
            with urllib.request.urlopen(self._page + path, timeout=20) as answer:  # noqa: S310 - our own page
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

    def metric(self, series: str) -> float:
        """The value of one series, written as on the page; 0 where it is absent."""
        return self.series().get(series, 0.0)

    def connected(self) -> bool:
        """Whether both its connections to the broker stand."""
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
        if received != sum(outcomes.values()):
            raise AssertionError(f"{received} received, but {outcomes}")
        return {"received": received, **outcomes}

    def settled_for(self, quiet_s: float) -> bool:
        """Whether no message has come for a while."""
        before = self.ledger()
        time.sleep(quiet_s)
        return bool(before) and before == self.ledger()

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

    def buffer_state(self, machine: str) -> BufferState:
        """The machine's rows as they are on disk."""
        contents = Database(self.state / "state.db").read()
        found = decode_states(contents.states, [(turn, block) for turn, block, _ in contents.samples])
        return found.buffers[machine][1]

    def resident_kib(self) -> int:
        """Memory that it has now."""
        return int(self._status("VmRSS:"))

    def peak_kib(self) -> int:
        """The most memory that it ever had."""
        return int(self._status("VmHWM:"))

    def threads(self) -> int:
        """Of its process, now."""
        return int(self._status("Threads:"))

    def descriptors(self) -> int:
        """Open files and sockets, now."""
        return len(list(Path(f"/proc/{self._running().pid}/fd").iterdir()))

    def cpu_s(self) -> float:
        """Processor time used so far."""
        fields = Path(f"/proc/{self._running().pid}/stat").read_text().rpartition(")")[2].split()
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
        return Path(f"/proc/{self._running().pid}/status").read_text().split(field)[1].split()[0]

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            raise RuntimeError("the agent was never started")
        return self.process

    def _answers(self) -> bool:
        if not self.alive:
            raise WaitedInVainError(f"the agent ended: {self.log_file.read_text(errors='replace')[-2000:]}")
        return self.page("/healthz")[0] == 200


def _over_after(seconds: float) -> str:
    """Lines of the section `alarms`."""
    delays = ", ".join(f"{severity} = {seconds}" for severity in ("warning", "major", "critical"))
    return f"off_delay_s = {{ {delays} }}\nreopen_s = 0.0"
