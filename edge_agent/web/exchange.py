"""Where the threads of requests and the pipeline's thread meet: what is asked for, what is shown, what is commanded.

The pipeline's thread never waits here. A view is made only while somebody looks, and at most once in `_EVERY_S`,
whatever the number of lookers; commands wait in a short queue, and a full one refuses.
"""

import threading
from collections import deque
from collections.abc import Callable

from edge_agent.alarms.audit import AuditEntry
from edge_agent.records import ReceivedMessage
from edge_agent.web.view import View

_EVERY_S = 1.0
_WATCHED_S = 15.0
"""A phone asks every other second; one that has not asked for so long looks elsewhere."""
_CLOSEUPS_LIMIT = 8
"""Machines that are looked at closely at a time."""
PATIENCE_S = 5.0
_COMMANDS_LIMIT = 20


class Exchange:
    """One agent's exchange."""

    def __init__(self, *, monotonic: Callable[[], float], patience_s: float = PATIENCE_S) -> None:
        """`patience_s`: longest time that a request waits for the pipeline's thread."""
        self._monotonic = monotonic
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._asked_s = -_WATCHED_S
        self._closeups: dict[str, float] = {}
        self._view: View | None = None
        self._commands: deque[tuple[str, ReceivedMessage]] = deque()
        self._answers: dict[str, AuditEntry | None] = {}

    # -- requests --------------------------------------------------------------------------------------------

    def view(self, machine: str | None = None) -> View | None:
        """The latest view, with a close-up of `machine`; None where the pipeline's thread does not answer."""
        with self._changed:
            self._asked_s = now_s = self._monotonic()
            if machine is not None:
                self._closeups.pop(machine, None)
                self._closeups[machine] = now_s
                while len(self._closeups) > _CLOSEUPS_LIMIT:
                    del self._closeups[next(iter(self._closeups))]
            self._changed.wait_for(lambda: self._fresh(machine, now_s), timeout=self._patience_s)
            return self._view if self._fresh(machine, now_s) else None

    def _fresh(self, machine: str | None, asked_s: float) -> bool:
        view = self._view
        if view is None or asked_s - view.made_s > 2 * _EVERY_S:
            return False
        return machine is None or machine in view.closeups

    def command(self, request: str, message: ReceivedMessage) -> AuditEntry | None:
        """Hand a command in and wait for what became of it; None where nothing did in time, or too many wait."""
        with self._changed:
            if len(self._answers) >= _COMMANDS_LIMIT or request in self._answers:
                return None
            self._answers[request] = None
            self._commands.append((request, message))
            try:
                self._changed.wait_for(lambda: self._answers[request] is not None, timeout=self._patience_s)
                return self._answers[request]
            finally:
                del self._answers[request]

    # -- the pipeline's thread -------------------------------------------------------------------------------

    def wanted(self) -> tuple[str, ...] | None:
        """The machines to look at closely in a new view; None while none is due."""
        now_s = self._monotonic()
        with self._changed:
            self._closeups = {
                name: at_s for name, at_s in self._closeups.items() if now_s - at_s < _WATCHED_S
            }
            if now_s - self._asked_s >= _WATCHED_S:
                self._view = None
                return None
            old = self._view
            if (
                old is not None
                and now_s - old.made_s < _EVERY_S
                and self._closeups.keys() <= old.closeups.keys()
            ):
                return None
            return tuple(self._closeups)

    def show(self, view: View) -> None:
        """A new view."""
        with self._changed:
            self._view = view
            self._changed.notify_all()

    def commands(self) -> list[ReceivedMessage]:
        """The commands that came in since the last call."""
        if not self._commands:
            return []
        with self._changed:
            taken = [message for _, message in self._commands]
            self._commands.clear()
        return taken

    def answer(self, find: Callable[[str], AuditEntry | None]) -> None:
        """Tell those who wait what became of their commands; who looks next sees it in a new view."""
        if not self._answers:
            return
        with self._changed:
            waiting = {request for request, _ in self._commands}
            for request, known in self._answers.items():
                if known is None and request not in waiting and (entry := find(request)) is not None:
                    self._answers[request] = entry
                    self._view = None
            self._changed.notify_all()
