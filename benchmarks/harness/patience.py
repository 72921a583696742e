"""Waiting for a state of the world, and giving up loudly; a port to meet at."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


class WaitedInVainError(AssertionError):
    """Something that had to happen did not."""


class MissingProgramError(FileNotFoundError):
    """A program that this machine lacks; says how to install it."""


def wait_until(true: Callable[[], T], *, what: str, patience_s: float = 120.0, every_s: float = 0.03) -> T:
    """The first truthy answer.

    Raises:
        WaitedInVainError: there was none in `patience_s`.
    """
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if answer := true():
            return answer
        time.sleep(every_s)
    raise WaitedInVainError(f"waited {patience_s:.0f} s in vain for {what}")


def wait_equal(look: Callable[[], T], wanted: T, *, what: str, patience_s: float = 120.0) -> None:
    """Wait until what is seen is what was wanted.

    Raises:
        WaitedInVainError: it never was; says what was seen last.
    """
    try:
        wait_until(lambda: look() == wanted, what=what, patience_s=patience_s)
    except WaitedInVainError as error:
        raise WaitedInVainError(f"{error}: {look()!r}, not {wanted!r}") from None


def wait_worked_off(heard: Callable[[], float], count: float, *, patience_s: float = 90.0) -> float:
    """Wait until so many were worked off; returns how many they are then, or at the end of all patience.

    Each look at an agent's page of metrics costs it as much as hundreds of messages: they become frequent only when
    the end is near.
    """
    began = time.monotonic()
    first = now = heard()
    while now < count and (took_s := time.monotonic() - began) < patience_s:
        pace = (now - first) / max(took_s, 1e-3)
        rest_s = (count - now) / pace if pace else 0.0
        time.sleep(min(max(0.5 * rest_s, 0.03), 0.25))
        now = heard()
    return now


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody answers there."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
        return True
    return False
