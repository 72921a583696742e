"""Files of the state directory: written whole or not at all, set aside, never deleted. Knows not what they hold."""

import hashlib
import os
import re
from pathlib import Path

from edge_agent.errors import StateError

_ASIDE = ".aside"


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


def set_aside(path: Path) -> Path:
    """Move a file out of the way; returns where it is now.

    Raises:
        OSError: it cannot be moved.
    """
    names = (path.with_name(f"{path.name}{_ASIDE}-{number}") for number in range(1, 1000))
    return path.rename(next(name for name in names if not name.exists()))


def name_of(machine: str) -> str:
    """Readable where it can be, unique always: machine names may hold any letter, file names may not."""
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", machine)[:40]
    return f"{readable}-{hashlib.sha256(machine.encode()).hexdigest()[:12]}.npz"
