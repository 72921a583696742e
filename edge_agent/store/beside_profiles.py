"""Profiles beside those that watch: `profiles/next/` and `profiles/previous/`, a file a machine. Knows no thread.

They have folders of their own, which an agent that knows of none does not look into. Losing one costs no watch: what
cannot be read is left out, and nothing is kept twice.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.errors import BundleError, StateError
from edge_agent.model import profile as profiles
from edge_agent.model.lazy_arrays import LazyArrays
from edge_agent.records import Profile
from edge_agent.store import atomic_file
from edge_agent.store.rested_arrays import RestedArrays

Role = Literal["next", "previous"]
"""What is compared with the profile that watches, and what watched before it."""
ROLES: tuple[Role, ...] = ("next", "previous")


class BesideProfiles:
    """Of one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / "profiles"

    def load(self, role: Role, *, encoder: str) -> tuple[Profile, ...]:
        """All of that role that can be read and are of this network, without what only ranks."""
        found = []
        for path in sorted((self._folder / role).glob("*.npz")):
            try:
                raw = path.read_bytes()
                profile = profiles.decode(path, raw)
            except (BundleError, OSError):
                continue
            if profile.encoder == encoder:
                memory = LazyArrays(compacted := ENSEMBLE.compact(profile.memory))
                packed = {name for name, array in compacted.items() if array is not profile.memory.get(name)}
                RestedArrays((path,), raw).rest(memory, but=packed)
                found.append(replace(profile, memory=memory))
        return tuple(found)

    def save(self, profile: Profile, role: Role) -> None:
        """Keep a profile; a `LazyArrays` has its large arrays from the file from then on.

        Raises:
            StateError: the file cannot be written.
        """
        path = self._path(profile.machine, role)
        try:
            raw = profiles.encode(profile)
        except OSError as error:  # its arrays are in a file that cannot be read any more
            raise StateError(path, error.strerror or "cannot be read") from error
        atomic_file.write(path, raw)
        if isinstance(profile.memory, LazyArrays):
            RestedArrays((path,), raw).rest(profile.memory)

    def drop(self, machine: str, roles: Iterable[Role] = ROLES) -> None:
        """Delete a machine's profiles of these roles.

        Raises:
            StateError: a file cannot be deleted.
        """
        for role in roles:
            path = self._path(machine, role)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise StateError(path, error.strerror or "cannot be deleted") from error

    def _path(self, machine: str, role: Role) -> Path:
        return self._folder / role / atomic_file.name_of(machine)
