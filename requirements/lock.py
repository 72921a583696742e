"""Writes the locks: every library at one version, with the hashes of all its files, from one resolution.

`make lock` runs it after a change of pyproject.toml's dependencies, or to move to newer versions. `dev.lock` is
the resolution; `demo.lock` and `agent.lock` are what of it the demonstration and a gateway need. torch and the
libraries of its CUDA build are in none: its wheel differs by accelerator and index, and pyproject.toml pins it.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
HERE = Path(__file__).parent
EXTRAS = {"dev": ["dev"], "demo": ["demo"], "agent": ["camera", "recordings"]}
_NOT_LOCKED = re.compile(r"(torch|triton|nvidia-|cuda-)")
_HEAD = "# Written by `make lock`: see requirements/lock.py.\n"


def main() -> None:
    """Resolve once with everything, then write what of it each purpose needs."""
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder) / "pins.txt"
        for name, extras in EXTRAS.items():
            found = resolve(extras, pins=pins if pins.exists() else None)
            if not pins.exists():
                pins.write_text(re.sub(r" *\\\n *--hash=\S+", "", found))
            (HERE / f"{name}.lock").write_text(_HEAD + without_torch(found))


def resolve(extras: list[str], *, pins: Path | None) -> str:
    """Requirements with hashes for every platform and Python that pyproject.toml allows.

    Raises:
        CalledProcessError: the ranges contradict each other; uv has said why.
    """
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--quiet", "--universal"]
    command += ["--python-version", "3.11", "--generate-hashes", "--no-annotate", "--no-header"]
    command += [word for extra in extras for word in ("--extra", extra)]
    command += ["--constraint", str(pins)] if pins else []
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def without_torch(lock: str) -> str:
    """The lock less torch and what only its CUDA build needs."""
    entries = re.split(r"\n(?=\S)", lock.strip())
    return "\n".join(entry for entry in entries if not _NOT_LOCKED.match(entry)) + "\n"


if __name__ == "__main__":
    main()
