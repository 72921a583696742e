"""The state directory: its lock, and machine profiles as files. Knows no thread, no broker and no database.

Every file is written beside its place and then moved there, so that a reader finds the old or the new one, whole, and
kept twice: what one generation has lost is read from the other. A file has one of four ends:

- ours: it is used.
- newer, or of another network: it is whole and not for us. It stays where it is, and what we learn is written beside.
- damaged: the second generation is used, or nothing; the file is set aside under another name and reported.
- what was set aside is looked at again where a machine lacks the very profile that is in it.
"""

import errno
import fcntl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.errors import BundleError, NewerError, StateError
from edge_agent.model import profile as profiles
from edge_agent.model.lazy_arrays import LazyArrays
from edge_agent.records import Profile
from edge_agent.store import atomic_file
from edge_agent.store.atomic_file import Stamp, stamp_of
from edge_agent.store.rested_arrays import RestedArrays

DATABASE = "state.db"
_PROFILES = "profiles"
_FAULTS = "faults"
_SECOND = "second"
"""Folder among the profiles with the second generation of each; agents that know of none do not look into it."""
_FORGOTTEN = ".forgotten"
_PRIVATE = 0o700
"""What is learnt of a plant is nobody else's business, also where no systemd makes the directory."""
_CANNOT_WRITE = frozenset({errno.EROFS, errno.ENOSPC, errno.EDQUOT})
NEWER, OTHER_NETWORK = "newer", "other network"


@dataclass(frozen=True, slots=True)
class SetAside:
    """A file that could not be used, where it is now and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """A whole file that is not for this agent and stays where it is: `why` is `NEWER` or `OTHER_NETWORK`."""

    path: Path
    why: str
    reason: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the state directory held.

    Attributes:
        foreign: by the name of the file of the machine's own, see `atomic_file.name_of`.
    """

    profiles: tuple[Profile, ...]
    set_aside: tuple[SetAside, ...] = ()
    foreign: tuple[Foreign, ...] = ()

    def why_not(self, machine: str) -> Foreign | None:
        """Why nothing usable is known of a machine; None where there is no file of it."""
        stem = Path(atomic_file.name_of(machine)).stem
        return next((one for one in self.foreign if one.path.name.partition(".")[0] == stem), None)


class StateDir:
    """One agent's state directory, held by a lock while it is open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: BinaryIO | None = None
        self._foreign: set[str] = set()
        """Names of files that are not for us."""
        self._older: set[str] = set()
        """Names of files that we read and whoever wrote them could not read again after us."""
        self._written: dict[str, dict[Path, Stamp]] = {}
        """By machine: its files as they were when they held what is known of it."""

    def open(self) -> None:
        """Create the directory where needed and lock it.

        Raises:
            StateError: it was never written and cannot be, or another agent has it.
        """
        lock = self._folder / "lock"
        try:
            if not self._folder.exists():
                self._folder.mkdir(_PRIVATE, parents=True, exist_ok=True)
            (self._folder / _PROFILES).mkdir(_PRIVATE, exist_ok=True)
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

    # -- at the start -----------------------------------------------------------------------------------------

    def load(self, *, encoder: str, any_network: bool = False) -> Loaded:
        """Everything usable, without what only ranks.

        Args:
            encoder: digest of the network in use.
            any_network: whether a profile of another network may be used where no alarm of the machine hears it.

        Raises:
            StateError: the directory cannot be read.
        """
        found: dict[str, Profile] = {}
        aside: list[SetAside] = []
        foreign: list[Foreign] = []
        for name in self._names():
            kept: list[tuple[Profile, Path, bytes]] = []
            for path in (self._main(name), self._second(name)):
                read = _read(path, encoder=encoder, any_network=any_network)
                if isinstance(read, Foreign):
                    foreign.append(read)
                    self._foreign.add(name)
                elif isinstance(read, str):
                    aside += [self._set_aside(path, read)] if path.parent.name == _PROFILES else []
                elif read is not None:
                    kept.append((read[0], path, read[1]))
            if kept:
                self._take_latest(kept, found)
        known = {Path(atomic_file.name_of(machine)).stem for machine in found}
        unusable = tuple(one for one in foreign if one.path.name.partition(".")[0] not in known)
        return Loaded(tuple(found.values()), tuple(aside), unusable)

    def _names(self) -> list[str]:
        try:
            paths = [
                path
                for folder in (self._folder / _PROFILES, self._folder / _PROFILES / _SECOND)
                for path in folder.glob("*.npz")
            ]
        except OSError as error:
            raise StateError(self._folder, error.strerror or "cannot be read") from error
        return sorted({path.name for path in paths})

    def _take_latest(self, kept: list[tuple[Profile, Path, bytes]], found: dict[str, Profile]) -> None:
        """Of the generations of a file, and of what was found of its machine before, what was learnt last."""
        profile, path, raw = max(kept, key=lambda one: one[0].learnt_ns)  # of equal ones the first
        before = found.get(profile.machine)
        if before is not None and before.learnt_ns > profile.learnt_ns:
            return
        if profiles.version_of(raw) != profiles.SCHEMA_VERSION:
            self._older.add(path.name)
        memory = LazyArrays(compacted := ENSEMBLE.compact(profile.memory))
        packed = {name for name, array in compacted.items() if array is not profile.memory.get(name)}
        RestedArrays((path, *(other for _, other, _ in kept if other != path)), raw).rest(memory, but=packed)
        found[profile.machine] = replace(profile, memory=memory)
        whole = [other for _, other, there in kept if there == raw]
        whole += self._doubled(path.name, raw)
        self._written[profile.machine] = {
            other: stamp for other in whole if (stamp := _stamp(other)) is not None
        }

    def _doubled(self, name: str, raw: bytes) -> list[Path]:
        """Give a file that has no second generation one, byte for byte: older agents read what they wrote."""
        missing = [path for path in (self._main(name), self._second(name)) if not path.exists()]
        try:
            for path in missing:
                atomic_file.write(path, raw)
        except StateError:
            return []  # it is tried again with the profile
        return missing

    def find_aside(self, machine: str, *, wanted: Callable[[Profile], bool]) -> Profile | None:
        """A profile of the machine that was set aside and is wanted after all; the file stays where it is."""
        for path in atomic_file.asides(self._main(atomic_file.name_of(machine))):
            try:
                profile = profiles.decode(path, path.read_bytes())
            except (BundleError, OSError):
                continue
            if profile.machine == machine and wanted(profile):
                return replace(profile, memory=LazyArrays(ENSEMBLE.compact(profile.memory)))
        return None

    # -- while it runs ----------------------------------------------------------------------------------------

    def save_profile(self, profile: Profile) -> Path:
        """Keep what was learnt of a machine; a `LazyArrays` has its large arrays from the file from then on.

        Raises:
            StateError: the file cannot be written; the earlier one, if any, is untouched.
        """
        name = self._own_name(profile)
        main, second = self._main(name), self._second(name)
        try:
            raw = profiles.encode(profile)
        except OSError as error:  # its arrays are in a file that cannot be read any more
            raise StateError(main, error.strerror or "cannot be read") from error
        self._written.pop(profile.machine, None)
        for path in (main, second):
            atomic_file.write(path, raw)
        if isinstance(profile.memory, LazyArrays):
            RestedArrays((main, second), raw).rest(profile.memory)
        stamps = ((path, _stamp(path)) for path in (main, second))
        self._written[profile.machine] = {path: stamp for path, stamp in stamps if stamp is not None}
        return main

    def is_whole(self, profile: Profile) -> bool:
        """Whether what is known of a machine is on disk, in both generations.

        A file that was touched is looked into: its bytes count.
        """
        known = self._written.get(profile.machine, {})
        name = self._own_name(profile)
        for path in (self._main(name), self._second(name)):
            stamp = _stamp(path)
            if stamp is None or path not in known:
                return False
            if stamp != known[path]:
                if not _holds(path, profile):
                    return False
                known[path] = stamp
        return True

    def forget_profile(self, machine: str) -> None:
        """Set aside what was learnt of a machine, where a technician can find it again and no start does.

        Raises:
            StateError: the file cannot be moved.
        """
        self._written.pop(machine, None)
        stem = Path(atomic_file.name_of(machine)).stem
        folder = self._folder / _PROFILES
        for path in [*folder.glob(f"{stem}.npz"), *folder.glob(f"{stem}.v*.npz")]:
            if path.name in self._foreign:
                continue
            try:
                atomic_file.set_aside(path, as_what=_FORGOTTEN)
            except OSError as error:
                raise StateError(path, "cannot be set aside") from error
            self._older.discard(path.name)
        try:
            for path in [*(folder / _SECOND).glob(f"{stem}.npz"), *(folder / _SECOND).glob(f"{stem}.v*.npz")]:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StateError(path, "cannot be removed") from error

    def forget_machine(self, machine: str) -> None:
        """Delete every file of a machine, for good: its profiles, those set aside too, and its named alarms.

        Raises:
            StateError: one of them cannot be deleted.
        """
        self._written.pop(machine, None)
        stem = Path(atomic_file.name_of(machine)).stem
        for folder in (self._folder / _PROFILES, self._folder / _FAULTS):
            for path in folder.rglob(f"{stem}.*"):
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    raise StateError(path, error.strerror or "cannot be deleted") from error
                self._foreign.discard(path.name)
                self._older.discard(path.name)

    # -- names ------------------------------------------------------------------------------------------------

    def _own_name(self, profile: Profile) -> str:
        """The machine's file, or one beside it where that is of another version or network."""
        name = atomic_file.name_of(profile.machine)
        if name not in self._foreign | self._older:
            return name
        return f"{Path(name).stem}.v{profiles.SCHEMA_VERSION}-{profile.encoder[:12]}.npz"

    def _main(self, name: str) -> Path:
        return self._folder / _PROFILES / name

    def _second(self, name: str) -> Path:
        return self._folder / _PROFILES / _SECOND / name

    def _set_aside(self, path: Path, reason: str) -> SetAside:
        try:
            return SetAside(atomic_file.set_aside(path), reason)
        except OSError as error:
            return SetAside(path, f"{reason}; and it cannot be moved: {error.strerror}")


def _read(path: Path, *, encoder: str, any_network: bool) -> tuple[Profile, bytes] | Foreign | str | None:
    """The profile in a file and its bytes, or for whom it is, or what is wrong with it; None where there is none."""
    try:
        raw = path.read_bytes()
        profile = profiles.decode(path, raw)
    except FileNotFoundError:
        return None
    except NewerError as error:
        return Foreign(path, NEWER, error.reason)
    except (BundleError, OSError) as error:
        return getattr(error, "reason", None) or str(error)
    if profile.encoder == encoder or (any_network and not ENSEMBLE.hears_network(profile.memory)):
        return profile, raw
    return Foreign(path, OTHER_NETWORK, "learnt with another model bundle")


def _stamp(path: Path) -> Stamp | None:
    """Of a file by its name; None where it cannot be seen."""
    try:
        return stamp_of(path.stat())
    except OSError:
        return None


def _holds(path: Path, profile: Profile) -> bool:
    """Whether a file holds the profile to the byte."""
    try:
        return path.read_bytes() == profiles.encode(profile)
    except OSError:
        return False
