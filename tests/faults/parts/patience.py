"""Waiting for a state of the world, and giving up loudly."""

import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class WaitedInVainError(AssertionError):
    """Something that had to happen did not."""


def wait_until(true: Callable[[], T], *, what: str, patience_s: float = 60.0, every_s: float = 0.05) -> T:
    """The first truthy answer."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if answer := true():
            return answer
        time.sleep(every_s)
    raise WaitedInVainError(f"waited {patience_s:.0f} s in vain for {what}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
