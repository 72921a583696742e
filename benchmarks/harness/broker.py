"""A mosquitto of our own that can be killed, started again, and robbed of its memory."""

import getpass
import shutil
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.faults.parts.patience import free_port, wait_until


def program() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Broker:
    """`keeps` says whether it writes its queues and sessions to disk after every change."""

    def __init__(self, folder: Path, *, hosts: Sequence[str] = ("127.0.0.1",), keeps: bool = False) -> None:
        found = program()
        if found is None:
            raise FileNotFoundError("mosquitto is missing: apt install mosquitto")
        self.port = free_port()
        self.kills = 0
        self._program = found
        self._store = folder / "broker"
        self._store.mkdir(parents=True, exist_ok=True)
        self._file = folder / "mosquitto.conf"
        lines = [f"listener {self.port} {host}" for host in hosts]
        lines += ["allow_anonymous true", f"user {getpass.getuser()}", "set_tcp_nodelay true"]
        # The defaults drop the newest of an absent agent's messages: 1000 queued ones are all it keeps.
        lines += ["max_queued_messages 0", "max_inflight_messages 1000", "sys_interval 1"]
        if keeps:
            lines += ["persistence true", f"persistence_location {self._store}/"]
            lines += ["autosave_on_changes true", "autosave_interval 1"]
        self._file.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self._listens, what="mosquitto")
        return self

    def kill(self) -> None:
        """kill -9: nothing is saved, nobody is told."""
        self._end("kill")
        self.kills += 1

    def stop(self) -> None:
        self._end("terminate")

    def wipe(self) -> None:
        """Forget sessions, subscriptions, queues and retained messages."""
        shutil.rmtree(self._store)
        self._store.mkdir()

    def _end(self, how: str) -> None:
        if self._process is not None:
            getattr(self._process, how)()
            self._process.wait(timeout=30)
            self._process = None

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=0.2):
            return True
        return False
