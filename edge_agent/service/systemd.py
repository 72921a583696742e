"""Tells systemd that the agent is ready and that its pipeline turns (sd_notify); silent where nobody listens.

The watchdog is fed from the pipeline's own turn and from nowhere else, so that a pipeline that hangs is restarted.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress


class Supervisor:
    """The service manager's end of the line, if there is one."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        limit_us = environment.get("WATCHDOG_USEC", "")
        for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._every_s = int(limit_us) / 3e6 if limit_us.isdecimal() and for_us else None
        self._fed_s: float | None = None

    def ready(self) -> None:
        """The agent has started."""
        self._say(f"READY=1\nMAINPID={os.getpid()}")

    def stopping(self) -> None:
        """The agent leaves because it was asked to."""
        self._say("STOPPING=1")

    def turned(self, now_s: float) -> None:
        """The pipeline has made a turn; told three times in each period of the watchdog."""
        if self._every_s is None or (self._fed_s is not None and now_s - self._fed_s < self._every_s):
            return
        self._fed_s = now_s
        self._say("WATCHDOG=1")

    def _say(self, words: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.settimeout(1.0)
            line.sendto(words.encode(), self._address)
