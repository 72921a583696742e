"""Files of the state directory: written whole or not at all, set aside, never deleted. Knows not what they hold."""

import contextlib
import fcntl
import hashlib
import os
import re
import resource
import weakref
from pathlib import Path

from edge_agent.errors import StateError

_ASIDE = ".aside"
_FIRST_DESCRIPTOR = 1024
"""`select`, by which paho waits for its sockets, knows no higher ones: those below are left to it."""


Stamp = tuple[int, int, int, int]


def stamp_of(found: os.stat_result) -> Stamp:
    """What of a file differs when it was written to or replaced."""
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def write(path: Path, raw: bytes) -> None:
    """Write beside the place and move there, so that a reader finds the old or the new file, whole.

    Raises:
        StateError: the file cannot be written; the earlier one, if any, is untouched.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the new name itself must survive a power cut
        finally:
            os.close(folder)
    except OSError as error:
        raise StateError(path, error.strerror or "cannot be written") from error


def set_aside(path: Path, *, as_what: str = _ASIDE) -> Path:
    """Move a file out of the way; returns where it is now.

    Raises:
        OSError: it cannot be moved.
    """
    names = (path.with_name(f"{path.name}{as_what}-{number}") for number in range(1, 1000))
    return path.rename(next(name for name in names if not name.exists()))


def asides(path: Path) -> list[Path]:
    """What was set aside of a file, the latest first."""
    return sorted(path.parent.glob(f"{path.name}{_ASIDE}-*"), reverse=True)


def asides_in(folder: Path) -> list[Path]:
    """All that was set aside in a folder, by name; nothing where it cannot be seen."""
    return sorted(folder.glob(f"*{_ASIDE}-*"))


def name_of(machine: str) -> str:
    """Readable where it can be, unique always: machine names may hold any letter, file names may not."""
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", machine)[:40]
    return f"{readable}-{hashlib.sha256(machine.encode()).hexdigest()[:12]}.npz"


def allow_open(count: int) -> None:
    """Let the process hold so many files open beside all else, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FIRST_DESCRIPTOR + count
    if soft < wanted and soft not in (hard, resource.RLIM_INFINITY):
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(
            OSError, ValueError
        ):  # forbidden by who started it: fewer files are held then
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class HeldFile:
    """One file held open: the very file, whatever becomes of its name. Closed with the last reference.

    Whether its bytes are still those that were written is for the reader to see, by a checksum.
    """

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            OSError: it cannot be read, or the process may hold no more files open.
        """
        low = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._descriptor = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, _FIRST_DESCRIPTOR)
        finally:
            os.close(low)
        self._close = weakref.finalize(self, os.close, self._descriptor)

    def stamp(self) -> Stamp:
        """Its size, and when it or what is noted of it was last written: other bytes make another stamp, as a rule.

        Raises:
            OSError: it cannot be seen.
        """
        return stamp_of(os.fstat(self._descriptor))

    def read(self, count: int, *, at: int) -> bytes:
        """So many bytes from there, or fewer where it ends; safe in any thread.

        Raises:
            OSError: they cannot be read.
        """
        return os.pread(self._descriptor, count, at)
