"""Makes the fixtures: the state directories that agents of five earlier commits left behind, one archive each.

    python -m tests.golden.versions.record [--only COMMIT ...]

Each commit's own agent is taken out of git's history and lives through `story.live` over a real mosquitto, on this
computer's libraries. Three machines of two channels, learnt from few rows, so that an archive stays small.
"""

import argparse
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks import ROOT
from tests.golden.versions import story

FIXTURES = Path(__file__).parents[1] / "corpus" / "versions"
COMMITS = ("59f8b28", "fcc6b22", "20eaced", "b2580b6", "616b7b4")
"""The oldest first."""


def main() -> int:
    """Write the archives, and beside each what the agent knew and when it ended."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=COMMITS, default=COMMITS)
    FIXTURES.mkdir(exist_ok=True)
    for commit in parser.parse_args().only:
        with tempfile.TemporaryDirectory() as folder, story.Stage(Path(folder)) as stage:
            known = story.live(stage, checkout(commit, Path(folder) / "tree"))
            with tarfile.open(FIXTURES / f"{commit}.tar.xz", "w:xz", preset=9) as archive:
                for path in sorted(stage.state.rglob("*")):
                    if path.is_file():
                        archive.add(path, arcname=str(path.relative_to(folder)), filter=_nobody)
        facts = {"ended_s": round(time.time()), **asdict(known)}
        (FIXTURES / f"{commit}.json").write_text(json.dumps(facts, indent=1) + "\n")
        sys.stdout.write(f"{commit}: {known}\n")
    return 0


def checkout(commit: str, folder: Path, *parts: str) -> Path:
    """The agent of a commit, or other parts of its tree, as a folder for PYTHONPATH.

    Raises:
        LookupError: the history here does not reach back so far.
    """
    command = ["git", "archive", "--format=tar", commit, *(parts or ("edge_agent",))]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if found.returncode:
        raise LookupError(f"no commit {commit} here: git fetch --unshallow ({found.stderr.decode().strip()})")
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _nobody(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


if __name__ == "__main__":
    sys.exit(main())
