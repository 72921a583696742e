"""A control group that a program is begun in, and a limit of open files: what a systemd unit would allow it.

The kernel's own files, of version 2 or 1, because not every place where tests run has systemd. Needs root.
"""

import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

from benchmarks.harness.patience import MissingProgramError

_ROOT = Path("/sys/fs/cgroup")
_CONTROLLERS = ("memory", "pids")


class Allowed(NamedTuple):
    """What a unit's MemoryMax=, TasksMax= and LimitNOFILE= say."""

    memory_bytes: int
    tasks: int
    files: int


class Cage:
    """One control group in each hierarchy; nothing is left of it when it is left.

    Raises:
        MissingProgramError: control groups cannot be made here.
    """

    def __init__(self, allowed: Allowed) -> None:
        self.allowed = allowed
        name = f"edge-agent-corner-{os.getpid()}"
        self._unified = (_ROOT / "cgroup.controllers").is_file()
        parents = {kind: _ROOT if self._unified else _ROOT / kind for kind in _CONTROLLERS}
        self._folders = {kind: parent / name for kind, parent in parents.items()}

    def __enter__(self) -> Self:
        limits: Mapping[str, Mapping[str, int]] = {
            "memory": {"memory.max": self.allowed.memory_bytes, "memory.swap.max": 0}
            if self._unified
            else {"memory.limit_in_bytes": self.allowed.memory_bytes},
            "pids": {"pids.max": self.allowed.tasks},
        }
        try:
            if self._unified:
                (_ROOT / "cgroup.subtree_control").write_text("+memory +pids")
            for kind, folder in self._folders.items():
                folder.mkdir(exist_ok=True)
                for file, value in limits[kind].items():
                    with suppress(FileNotFoundError):  # a kernel without swap accounting
                        (folder / file).write_text(str(value))
        except OSError as error:
            raise MissingProgramError(
                f"no control group can be made here ({error}): run it as root"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        for folder in {*self._folders.values()}:
            for _ in range(50):
                with suppress(OSError):
                    folder.rmdir()
                    break
                time.sleep(0.1)

    @property
    def before(self) -> tuple[str, ...]:
        """What to put before a command, so that it is begun inside.

        Raises:
            MissingProgramError: `prlimit` is not installed.
        """
        if shutil.which("prlimit") is None:
            raise MissingProgramError("prlimit is missing: apt install util-linux")
        enter = "; ".join(f"echo $$ > {folder}/cgroup.procs" for folder in sorted({*self._folders.values()}))
        files = self.allowed.files
        return ("sh", "-c", f'{enter}; exec "$@"', "sh", "prlimit", f"--nofile={files}:{files}")

    def memory_peak_bytes(self) -> int:
        """The most that the kernel has counted, cached pages of files included; 0 where it does not tell."""
        return self._number("memory", "memory.peak", "memory.max_usage_in_bytes")

    def unreclaimable_bytes(self) -> int:
        """What it holds now that is no cached page of a file."""
        text = (self._folders["memory"] / "memory.stat").read_text()
        table = dict(line.split() for line in text.splitlines())
        return int(table.get("anon", table.get("rss", "0"))) + int(table.get("kernel", "0"))

    def tasks(self) -> int:
        """Threads now."""
        return self._number("pids", "pids.current")

    def kills(self) -> int:
        """How often the kernel has killed for want of memory."""
        for name in ("memory.events", "memory.oom_control"):
            with suppress(OSError):
                for line in (self._folders["memory"] / name).read_text().splitlines():
                    if line.startswith("oom_kill "):
                        return int(line.split()[1])
        return 0

    def refused_tasks(self) -> int:
        """How often a thread was refused."""
        with suppress(OSError, ValueError):
            return int((self._folders["pids"] / "pids.events").read_text().split()[1])
        return 0

    def _number(self, kind: str, *names: str) -> int:
        for name in names:
            with suppress(OSError, ValueError):
                return int((self._folders[kind] / name).read_text())
        return 0
