"""Named alarms in the state directory: `faults/<machine>.npz`, each written whole or not at all. Knows no thread.

A file that cannot be read is set aside under another name and reported, never deleted and never fatal. One that a newer
version wrote is whole: it stays where it is, and what is named meanwhile is written beside it. What was set aside is
looked at again at each start: an older agent may have set aside what this one can read.
"""

from pathlib import Path

from edge_agent.diagnose import fault_library as libraries
from edge_agent.diagnose.fault_library import FaultLibrary
from edge_agent.errors import BundleError, NewerError, StateError
from edge_agent.logs import get_logger
from edge_agent.store import atomic_file

log = get_logger()

_FOLDER = "faults"


def save(state_dir: Path, library: FaultLibrary) -> Path:
    """Keep a machine's named alarms.

    Raises:
        StateError: the file cannot be written; the earlier one, if any, is untouched.
    """
    path = state_dir / _FOLDER / atomic_file.name_of(library.machine)
    if _is_newer(path):
        path = path.with_suffix(f".own{path.suffix}")
    atomic_file.write(path, libraries.encode(library))
    return path


def load(state_dir: Path) -> tuple[tuple[FaultLibrary, ...], tuple[tuple[Path, str], ...]]:
    """All that can be read, and (where it is now, why) of each file that cannot and was set aside.

    Raises:
        StateError: the directory cannot be read.
    """
    before = _read_asides(state_dir / _FOLDER)
    found: dict[str, FaultLibrary] = {}
    aside: list[tuple[Path, str]] = []
    try:
        paths = sorted((state_dir / _FOLDER).glob("*.npz"))
    except OSError as error:
        raise StateError(state_dir, error.strerror or "cannot be read") from error
    for path in paths:
        try:
            library = libraries.decode(path, path.read_bytes())
            found[library.machine] = _joined(found.get(library.machine), library)
        except NewerError as error:
            log.warning("state_file_newer", path=str(path), reason=error.reason)
        except (BundleError, OSError) as error:
            reason = error.reason if isinstance(error, BundleError) else str(error)
            aside.append((_set_aside(path), reason))
    for library in before:
        found[library.machine] = _joined(library, found.get(library.machine, FaultLibrary(library.machine)))
    return tuple(found.values()), tuple(aside)


def _read_asides(folder: Path) -> list[FaultLibrary]:
    """What was set aside and can be read after all; the files stay where they are."""
    found = []
    for path in atomic_file.asides_in(folder):
        try:
            found.append(libraries.decode(path, path.read_bytes()))
        except (BundleError, OSError):
            continue
    return found


def _joined(one: FaultLibrary | None, other: FaultLibrary) -> FaultLibrary:
    """The cases of both, those of an alarm once: as the other has it."""
    if one is None:
        return other
    known = {case.alarm for case in other.cases}
    return FaultLibrary(
        other.machine, (*(case for case in one.cases if case.alarm not in known), *other.cases)
    )


def _is_newer(path: Path) -> bool:
    try:
        libraries.decode(path, path.read_bytes())
    except NewerError:
        return True
    except (BundleError, OSError):
        return False
    return False


def _set_aside(path: Path) -> Path:
    """Move the file out of the way; where that fails it stays."""
    try:
        return atomic_file.set_aside(path)
    except OSError:
        return path
