"""The service manager's part: hears READY and WATCHDOG on the notify socket, kills and restarts a silent agent."""

import select
import socket
import time
from pathlib import Path
from typing import Self

from benchmarks.harness.agent import Agent


class Watchdog:
    """What systemd does with `Type=notify`, `WatchdogSec=` and `Restart=always`."""

    def __init__(self, folder: Path, *, limit_s: float) -> None:
        self.limit_s = limit_s
        self.fired = 0
        self.heard: list[tuple[float, str]] = []
        """Monotonic time and text of each notification."""
        self._path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def __enter__(self) -> Self:
        self._socket.bind(str(self._path))
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def env(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(self._path), "WATCHDOG_USEC": str(int(self.limit_s * 1e6))}

    def listen(self, seconds: float) -> list[str]:
        """What was notified in this time."""
        end, told = time.monotonic() + seconds, []
        while (left := end - time.monotonic()) > 0:
            if select.select([self._socket], [], [], left)[0]:
                told.append(self._socket.recv(4096).decode())
                self.heard.append((time.monotonic(), told[-1]))
        return told

    def watch(self, agent: Agent, *, patience_s: float) -> float | None:
        """Wait until the agent is silent for too long, then kill and restart it; seconds that took, or None."""
        started = last = time.monotonic()
        while time.monotonic() - started < patience_s:
            if any("WATCHDOG=1" in told for told in self.listen(0.1)):
                last = time.monotonic()
            if time.monotonic() - last > self.limit_s:
                agent.kill()
                self.fired += 1
                took_s = time.monotonic() - started
                agent.start(wait=False)
                return took_s
        return None
