"""The state directory: its lock, and machine profiles as files. Knows no thread, no broker and no database.

Every file is written beside its place and then moved there, so that a reader finds the old or the new one, whole.
A file that cannot be read is set aside under another name and reported, never deleted and never fatal.
"""

import errno
import fcntl
from collections.abc import Container
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray

from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.errors import BundleError, StateError
from edge_agent.model import profile as profiles
from edge_agent.model.arrays import Place, places
from edge_agent.model.lazy_arrays import Lazy, LazyArrays
from edge_agent.records import Profile
from edge_agent.store import atomic_file
from edge_agent.store.atomic_file import HeldFile

DATABASE = "state.db"
_PROFILES = "profiles"
_REST_BYTES = 8192
"""Smaller arrays are held: together they are a twentieth of a profile, and each read from a file takes some µs."""
_CANNOT_WRITE = frozenset({errno.EROFS, errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True, slots=True)
class SetAside:
    """A file that could not be used, where it is now and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the state directory held."""

    profiles: tuple[Profile, ...]
    set_aside: tuple[SetAside, ...]


class StateDir:
    """One agent's state directory, held by a lock while it is open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: BinaryIO | None = None

    def open(self) -> None:
        """Create the directory where needed and lock it.

        Raises:
            StateError: it was never written and cannot be, or another agent has it.
        """
        lock = self._folder / "lock"
        try:
            (self._folder / _PROFILES).mkdir(parents=True, exist_ok=True)
            self._lock = lock.open("ab")
        except OSError as error:
            # A disk that has become read-only or full still holds what was learnt: watch with that.
            if not (error.errno in _CANNOT_WRITE and lock.is_file()):
                raise StateError(self._folder, error.strerror or "cannot be written") from error
            self._lock = lock.open("rb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            raise StateError(self._folder, "another agent uses it") from error

    def path(self, name: str) -> Path:
        """Where a file of the state directory is."""
        return self._folder / name

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def load(self, *, encoder: str) -> Loaded:
        """Everything usable, without what only ranks.

        Args:
            encoder: digest of the bundle in use; a profile of another encoder means nothing to this one.

        Raises:
            StateError: the directory cannot be read.
        """
        found: list[Profile] = []
        aside: list[SetAside] = []
        try:
            paths = sorted((self._folder / _PROFILES).glob("*.npz"))
        except OSError as error:
            raise StateError(self._folder, error.strerror or "cannot be read") from error
        for path in paths:
            try:
                raw = path.read_bytes()
                profile = profiles.decode(path, raw)
            except (BundleError, OSError) as error:
                aside.append(self._set_aside(path, getattr(error, "reason", None) or str(error)))
                continue
            if profile.encoder == encoder:
                memory = LazyArrays(compacted := ENSEMBLE.compact(profile.memory))
                packed = {name for name, array in compacted.items() if array is not profile.memory.get(name)}
                _rest(memory, path, raw, but=packed)
                found.append(replace(profile, memory=memory))
            else:
                aside.append(self._set_aside(path, "learnt with another model bundle"))
        return Loaded(tuple(found), tuple(aside))

    def save_profile(self, profile: Profile) -> Path:
        """Keep what was learnt of a machine; a `LazyArrays` has its large arrays from the file from then on.

        Raises:
            StateError: the file cannot be written; the earlier one, if any, is untouched.
        """
        path = self._folder / _PROFILES / atomic_file.name_of(profile.machine)
        try:
            raw = profiles.encode(profile)
        except OSError as error:  # its arrays are in a file that cannot be read any more
            raise StateError(path, error.strerror or "cannot be read") from error
        atomic_file.write(path, raw)
        if isinstance(profile.memory, LazyArrays):
            _rest(profile.memory, path, raw)
        return path

    def has_profile(self, machine: str) -> bool:
        """Whether there is a file of what was learnt of a machine."""
        return (self._folder / _PROFILES / atomic_file.name_of(machine)).is_file()

    def forget_profile(self, machine: str) -> None:
        """Set aside what was learnt of a machine, where a technician can find it again.

        Raises:
            StateError: the file cannot be moved.
        """
        path = self._folder / _PROFILES / atomic_file.name_of(machine)
        if path.exists() and self._set_aside(path, "recommissioned").path == path:
            raise StateError(path, "cannot be set aside")

    def _set_aside(self, path: Path, reason: str) -> SetAside:
        try:
            return SetAside(atomic_file.set_aside(path), reason)
        except OSError as error:
            return SetAside(path, f"{reason}; and it cannot be moved: {error.strerror}")


def _rest(memory: LazyArrays, path: Path, raw: bytes, *, but: Container[str] = ()) -> None:
    """Have large arrays from the file at `path`, which holds `raw`, but those that are others there.

    All stay held where the file cannot be held open.
    """
    try:
        file = HeldFile(path)
    except OSError:
        return
    if file.size_bytes() == len(raw):
        found = places(raw, least_bytes=_REST_BYTES)
        memory.put(
            {
                name: _reading(file, place)
                for name, place in found.items()
                if name in memory and name not in but
            }
        )


def _reading(file: HeldFile, place: Place) -> Lazy:
    def read() -> NDArray[Any]:
        return place.array(file.read(place.size_bytes, at=place.offset_bytes))

    return read
