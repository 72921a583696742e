"""Work that may end the process, written down before it begins: what was under way at two deaths is not tried again.

A process that the kernel ends for want of memory, or that native code takes down, learns nothing from it: started
again it would do the same, and watch nothing in between, for ever. So the subject of such work stands in a small file
while it is under way. What is found there at a start has cost a process its life. Success, `forgive` and other
circumstances (another release, model or bound) wipe the slate.
"""

import contextlib
import threading
from pathlib import Path

import msgspec

from edge_agent.errors import StateError
from edge_agent.store import atomic_file

_DEATHS = 2
_SUBJECTS = 1000


class _Slate(msgspec.Struct):
    circumstances: str = ""
    under_way: list[str] = msgspec.field(default_factory=list)
    deaths: dict[str, int] = msgspec.field(default_factory=dict)


class RiskyWork:
    """The file of one agent. Any thread; a disk that cannot be written costs the protection, nothing else."""

    def __init__(self, path: Path, *, circumstances: str) -> None:
        """`circumstances` under which deaths count: under others the same work may well succeed."""
        self._path = path
        self._slate = _Slate(circumstances)
        self._over = False
        self._lock = threading.Lock()

    def load(self) -> None:
        """Read what an earlier process has left: what was under way has killed it."""
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=_Slate)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return
        if found.circumstances != self._slate.circumstances:
            return
        deaths = found.deaths
        for subject in found.under_way:
            deaths[subject] = deaths.get(subject, 0) + 1
        with self._lock:
            self._slate.deaths = dict(sorted(deaths.items(), key=lambda one: -one[1])[:_SUBJECTS])
            self._write()

    def given_up(self, subject: str) -> bool:
        """Whether the work on it has killed too many processes."""
        with self._lock:
            return self._slate.deaths.get(subject, 0) >= _DEATHS

    def begin(self, subject: str) -> None:
        """Work on it begins; this is on the disk when it returns."""
        with self._lock:
            if not self._over:
                self._slate.under_way.append(subject)
                self._write()

    def end(self, subject: str) -> None:
        """The process has survived the work on it."""
        with self._lock:
            if subject in self._slate.under_way:
                self._slate.under_way.remove(subject)
                self._slate.deaths.pop(subject, None)
                self._write()

    def forgive(self, subject: str) -> None:
        """Somebody wants it to be tried again."""
        with self._lock:
            if self._slate.deaths.pop(subject, None) is not None:
                self._write()

    def leave(self) -> None:
        """The process ends because it is told to: what is under way has killed nobody."""
        with self._lock:
            self._over = True
            if self._slate.under_way:
                self._slate.under_way.clear()
                self._write()

    def _write(self) -> None:
        with contextlib.suppress(StateError):
            atomic_file.write(self._path, msgspec.json.encode(self._slate))
