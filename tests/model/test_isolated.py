"""What is tried in a copy of the process is answered here and leaves nothing behind."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.model.isolated import in_a_copy


def test_the_answer_comes_back_and_nothing_else() -> None:
    here = []

    def ask() -> str:
        here.append(True)
        return "four"

    before = len(list(Path("/proc/self/fd").iterdir()))
    assert in_a_copy(ask) == ("four", 0)
    assert here == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def _raise() -> str:
    raise ValueError("no")


def _die() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return "not dead"


@pytest.mark.parametrize(("ask", "ended_by"), [(_raise, 0), (_die, signal.SIGKILL)])
def test_a_copy_that_fails_or_dies_gives_no_answer(ask: Callable[[], str], ended_by: int) -> None:
    assert in_a_copy(ask) == (None, ended_by)
