"""Something tried in a copy of this process, so that the libraries and memory it takes go with the copy.

Only while this process has no thread of its own: a copy has none but the one that asked.
"""

import os
from collections.abc import Callable

ANSWER_BYTES = 4096


def in_a_copy(ask: Callable[[], str]) -> tuple[str | None, int]:
    """What `ask` gives there, and the signal that ended the copy.

    Returns:
        (the answer, 0), or (None, 0) where it raised something, or (None, the signal) where the copy was ended by one.

    Raises:
        OSError: the process cannot be copied.
    """
    reading, writing = os.pipe()
    copy = os.fork()
    if copy == 0:
        _tell(writing, ask)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read(ANSWER_BYTES)
    _, status = os.waitpid(copy, 0)
    if os.WIFSIGNALED(status):
        return None, os.WTERMSIG(status)
    return (answer.decode() if os.WEXITSTATUS(status) == 0 else None), 0


def _tell(writing: int, ask: Callable[[], str]) -> None:
    """The copy's whole life; it never returns, so that nothing of the original is ended twice."""
    status = 1
    try:
        os.write(writing, ask().encode()[:ANSWER_BYTES])
        status = 0
    finally:
        os._exit(status)
