"""A mosquitto of our own that can be killed, started again, and robbed of its memory."""

import getpass
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from benchmarks.harness.patience import MissingProgramError, free_port, listens, wait_until


def program() -> str:
    """Where mosquitto is.

    Raises:
        MissingProgramError: it is not installed.
    """
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise MissingProgramError("mosquitto is missing: apt install mosquitto")
    return found


class Broker:
    """A broker on a port of its own; its configuration is written at once, its process begins with `start`.

    Args:
        hosts: addresses to listen on.
        keeps: whether it writes its queues and sessions to disk after every change.
        access: lines of its configuration that say who may enter and how.

    Raises:
        MissingProgramError: there is no mosquitto here.
    """

    def __init__(
        self,
        folder: Path,
        *,
        hosts: Sequence[str] = ("127.0.0.1",),
        keeps: bool = False,
        access: str = "allow_anonymous true",
    ) -> None:
        self.port = free_port()
        self.kills = 0
        self._program = program()
        self._store = folder / "broker"
        self._store.mkdir(parents=True, exist_ok=True)
        self._file = folder / "mosquitto.conf"
        lines = [f"listener {self.port} {host}" for host in hosts]
        lines += [access, f"user {getpass.getuser()}", "set_tcp_nodelay true"]
        # The defaults drop the newest of an absent agent's messages: 1000 queued ones are all it keeps.
        lines += ["max_queued_messages 0", "max_inflight_messages 1000", "sys_interval 1"]
        if keeps:
            lines += ["persistence true", f"persistence_location {self._store}/"]
            lines += ["autosave_on_changes true", "autosave_interval 1"]
        self._file.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process, which runs."""
        return self._running().pid

    def start(self) -> Self:
        """Begin, and wait until it listens."""
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(lambda: listens(self.port), what="mosquitto")
        return self

    def kill(self) -> None:
        """Kill -9: nothing is saved, nobody is told."""
        if self._process is not None:
            self._process.kill()
            self._ended()
            self.kills += 1

    def stop(self) -> None:
        """Ask it to end."""
        if self._process is not None:
            self._process.terminate()
            self._ended()

    def wipe(self) -> None:
        """Forget sessions, subscriptions, queues and retained messages."""
        shutil.rmtree(self._store)
        self._store.mkdir()

    def _ended(self) -> None:
        self._running().wait(timeout=30)
        self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the broker does not run")
        return self._process
