"""Named alarms in the state directory: `faults/<machine>.npz`, each written whole or not at all. Knows no thread.

A file that cannot be read is set aside under another name and reported, never deleted and never fatal.
"""

from pathlib import Path

from edge_agent.diagnose import fault_library as libraries
from edge_agent.diagnose.fault_library import FaultLibrary
from edge_agent.errors import BundleError, StateError
from edge_agent.store import atomic_file

_FOLDER = "faults"


def save(state_dir: Path, library: FaultLibrary) -> Path:
    """Keep a machine's named alarms.

    Raises:
        StateError: the file cannot be written; the earlier one, if any, is untouched.
    """
    path = state_dir / _FOLDER / atomic_file.name_of(library.machine)
    atomic_file.write(path, libraries.encode(library))
    return path


def load(state_dir: Path) -> tuple[tuple[FaultLibrary, ...], tuple[tuple[Path, str], ...]]:
    """All that can be read, and (where it is now, why) of each file that cannot and was set aside.

    Raises:
        StateError: the directory cannot be read.
    """
    found: list[FaultLibrary] = []
    aside: list[tuple[Path, str]] = []
    try:
        paths = sorted((state_dir / _FOLDER).glob("*.npz"))
    except OSError as error:
        raise StateError(state_dir, error.strerror or "cannot be read") from error
    for path in paths:
        try:
            found.append(libraries.decode(path, path.read_bytes()))
        except (BundleError, OSError) as error:
            reason = error.reason if isinstance(error, BundleError) else str(error)
            aside.append((_set_aside(path), reason))
    return tuple(found), tuple(aside)


def _set_aside(path: Path) -> Path:
    """Move the file out of the way; where that fails it stays."""
    try:
        return atomic_file.set_aside(path)
    except OSError:
        return path
