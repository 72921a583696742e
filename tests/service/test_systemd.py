"""systemd is told that the agent is ready and that its pipeline turns, and nothing where nobody listens."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.service.systemd import Supervisor


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(1)
        yield manager


def test_ready_watchdog_and_stopping_are_told(manager: socket.socket) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "30000000"})
    supervisor.ready()
    assert manager.recv(100) == f"READY=1\nMAINPID={os.getpid()}".encode()
    for now_s in (0.0, 1.0, 9.9, 10.0, 15.0):
        supervisor.turned(now_s)
    supervisor.stopping()
    told = [manager.recv(100) for _ in range(3)]
    assert told == [b"WATCHDOG=1", b"WATCHDOG=1", b"STOPPING=1"]


@pytest.mark.parametrize("extra", [{}, {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}])
def test_no_watchdog_is_fed_that_nobody_asked_for(manager: socket.socket, extra: dict[str, str]) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": manager.getsockname(), **extra})
    supervisor.turned(0.0)
    supervisor.stopping()
    assert manager.recv(100) == b"STOPPING=1"


def test_without_systemd_nothing_happens(tmp_path: Path) -> None:
    Supervisor({}).ready()
    Supervisor({"NOTIFY_SOCKET": str(tmp_path / "absent")}).ready()
