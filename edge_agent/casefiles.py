"""Named alarms in the state directory: `faults/<machine>.npz`, each written whole or not at all. Knows no thread.

A file that cannot be read is set aside under another name and reported, never deleted and never fatal.
"""

import hashlib
import os
import re
from pathlib import Path

from edge_agent.contract import casebook as casebooks
from edge_agent.contract.casebook import Casebook
from edge_agent.errors import BundleError, StateError

_FOLDER = "faults"


def save(state_dir: Path, casebook: Casebook) -> Path:
    """Keep a machine's named alarms.

    Raises:
        StateError: the file cannot be written; the earlier one, if any, is untouched.
    """
    path = state_dir / _FOLDER / _file_name(casebook.machine)
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(casebooks.encode(casebook))
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
    return path


def load(state_dir: Path) -> tuple[tuple[Casebook, ...], tuple[tuple[Path, str], ...]]:
    """All that can be read, and (where it is now, why) of each file that cannot and was set aside.

    Raises:
        StateError: the directory cannot be read.
    """
    found: list[Casebook] = []
    aside: list[tuple[Path, str]] = []
    try:
        paths = sorted((state_dir / _FOLDER).glob("*.npz"))
    except OSError as error:
        raise StateError(state_dir, error.strerror or "cannot be read") from error
    for path in paths:
        try:
            found.append(casebooks.decode(path, path.read_bytes()))
        except (BundleError, OSError) as error:
            reason = error.reason if isinstance(error, BundleError) else str(error)
            aside.append((_set_aside(path), reason))
    return tuple(found), tuple(aside)


def _set_aside(path: Path) -> Path:
    """Move the file out of the way; where that fails it stays."""
    names = (path.with_name(f"{path.name}.aside-{number}") for number in range(1, 1000))
    target = next(name for name in names if not name.exists())
    try:
        return path.rename(target)
    except OSError:
        return path


def _file_name(machine: str) -> str:
    """Readable where it can be, unique always: machine names may hold any letter, file names may not."""
    readable = re.sub(r"[^A-Za-z0-9_-]+", "_", machine)[:40]
    return f"{readable}-{hashlib.sha256(machine.encode()).hexdigest()[:12]}.npz"
