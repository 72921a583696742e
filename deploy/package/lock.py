"""Writes requirements-*.lock: the agent's libraries at one version each, with hashes of every target's wheels.

python deploy/package/lock.py        # after a change of pyproject.toml's dependencies, or to move to newer ones
"""

import hashlib
import re
import tempfile
import tomllib
from collections import defaultdict
from pathlib import Path

import build

_HEAD = "# Written by deploy/package/lock.py: what the Debian package brings along, for amd64 and arm64.\n"


def main() -> None:
    """Ask the index, and write one file for each Python: not every library has one version for all of them."""
    project = tomllib.loads((build.ROOT / "pyproject.toml").read_text())["project"]
    for python in build.PYTHONS:
        build.lock_file(python).write_text(_HEAD + _locked(project["dependencies"], python=python))


def _locked(dependencies: list[str], *, python: str) -> str:
    """Requirements with the hashes of both architectures' wheels.

    Raises:
        SystemExit: the architectures get different versions of a library.
    """
    versions: dict[str, set[str]] = defaultdict(set)
    hashes: dict[str, set[str]] = defaultdict(set)
    for arch in build.ARCHITECTURES:
        with tempfile.TemporaryDirectory() as folder:
            build.pip("download", "-d", folder, *build.platform_options(arch, python), *dependencies)
            for wheel in Path(folder).glob("*.whl"):
                name, version = wheel.name.split("-")[:2]
                name = re.sub(r"[-_.]+", "-", name).lower()
                versions[name].add(version)
                hashes[name].add(hashlib.sha256(wheel.read_bytes()).hexdigest())
    split = {name: found for name, found in versions.items() if len(found) > 1}
    if split:
        raise SystemExit(f"Python {python}: architectures disagree: {split}; narrow pyproject.toml's ranges")
    return "".join(
        f"{name}=={next(iter(versions[name]))}"
        + "".join(f" \\\n    --hash=sha256:{digest}" for digest in sorted(hashes[name]))
        + "\n"
        for name in sorted(versions)
    )


if __name__ == "__main__":
    main()
