"""Which data a training has read: every file with its digest, and one digest of all of them. Reads no rows.

A run is a function of code, settings, data and what it started from: one recording more is another run, and a
recording whose bytes changed is another recording, whatever its name and times say.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_agent.errors import TrainingError
from edge_trainer.training import parallel


@dataclass(frozen=True, slots=True)
class DataManifest:
    """Files by their paths below the data directory, sorted, each with the SHA-256 of its bytes in hexadecimal."""

    files: Mapping[str, str]

    @classmethod
    def of(cls, paths: Sequence[Path], *, root: Path) -> "DataManifest":
        """That of these files; one outside of `root` is told by its whole path. Processes share the reading.

        Raises:
            TrainingError: a file cannot be read.
        """
        named = sorted((_name(path, root), path) for path in paths)
        own = named[parallel.rank() :: parallel.count()]
        found = parallel.gathered({name: _digest(path) for name, path in own})
        return cls({name: found[name] for name, _ in named})

    @property
    def digest(self) -> str:
        """Of names and contents together, "sha256:" and 64 digits."""
        told = "".join(f"{digest} {name}\n" for name, digest in self.files.items())
        return f"sha256:{hashlib.sha256(told.encode()).hexdigest()}"

    def write(self, path: Path) -> None:
        """As JSON: the digest of all, and that of each file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        told = {"digest": self.digest, "files": dict(self.files)}
        path.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")

    def told(self) -> str:
        """A line for the card."""
        count = len(self.files)
        return f"data manifest {self.digest}, {count} {'file' if count == 1 else 'files'}"


def _name(path: Path, root: Path) -> str:
    whole, below = path.resolve(), root.resolve()
    return (whole.relative_to(below) if whole.is_relative_to(below) else whole).as_posix()


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read: {error.strerror}") from error
