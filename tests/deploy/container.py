"""A booted Debian 12 with a network of its own (systemd-nspawn); what happens in it is forgotten with it. No test."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edge-agent" / "debian-12"
_PACKAGES = "systemd,systemd-sysv,dbus,mosquitto,mosquitto-clients,python3,ca-certificates,procps,iproute2"
_PATIENCE_S = 90.0
T = TypeVar("T")


def missing() -> str:
    """Why no container can be booted here; empty where one can."""
    if os.geteuid() != 0:
        return "root is needed to boot a container"
    absent = [name for name in ("debootstrap", "systemd-nspawn", "nsenter") if shutil.which(name) is None]
    return f"{', '.join(absent)} missing: apt install debootstrap systemd-container" if absent else ""


def make_root() -> Path:
    """The file tree that containers begin with; fetched once (some minutes), then kept."""
    if not CACHE.is_dir():
        fresh = CACHE.with_name(f"{CACHE.name}.{os.getpid()}")
        fresh.parent.mkdir(parents=True, exist_ok=True)
        mirror = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
        subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(fresh), mirror],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (fresh / "etc/hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        fresh.rename(CACHE)
    return CACHE


class Container:
    """One boot; `close` ends it."""

    def __init__(self) -> None:
        self._nspawn = subprocess.Popen(
            f"systemd-nspawn --quiet --boot --directory={make_root()} --volatile=overlay --register=no "
            f"--keep-unit --private-network --console=pipe --machine=edge-agent-{os.getpid()}".split(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._leader = until(self._find_leader, "the container does not boot")
        until(lambda: self.run("systemctl is-system-running", ok=False) == "running", "it does not come up")

    def close(self) -> None:
        """Power off."""
        self._nspawn.terminate()
        try:
            self._nspawn.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()

    def popen(self, command: str) -> subprocess.Popen[str]:
        """A shell command inside, which goes on beside us."""
        inside = ["nsenter", f"--target={self._leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--"]
        environment = {"PATH": os.environ["PATH"], "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*inside, "/bin/sh", "-c", command],
            env=environment,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
        )

    def run(self, command: str, *, given: str | None = None, ok: bool = True, timeout_s: float = 90) -> str:
        """What a shell command inside says; with `ok` it must succeed, without it errors are part of the answer."""
        process = self.popen(command)
        said, wrong = process.communicate(given, timeout=timeout_s)
        assert not ok or process.returncode == 0, f"{command}: {process.returncode}\n{said}\n{wrong}"
        return (said if ok else said + wrong).strip()

    def status(self, command: str) -> int:
        """The exit status of a shell command inside."""
        process = self.popen(command)
        process.communicate(timeout=_PATIENCE_S)
        return process.returncode

    def put(self, path: str, content: bytes) -> None:
        """Write a file inside."""
        inside = ["nsenter", f"--target={self._leader}", "--mount", "--", "/bin/sh", "-c", 'cat >"$0"', path]
        subprocess.run(inside, input=content, check=True)

    def property(self, name: str, unit: str = "edge-agent") -> str:
        """What systemd knows of a unit."""
        return self.run(f"systemctl show --value -p {name} {unit}")

    def journal(self, unit: str = "edge-agent") -> str:
        """All that the unit has said, and systemd about it."""
        return self.run(f"journalctl --no-pager -o cat -u {unit}")

    def seen(self, topic: str, *, wait_s: int = 30) -> dict[str, object]:
        """The next message on a topic, as the operator anna sees it."""
        return dict(json.loads(self.run(f"mosquitto_sub -u anna -P operator -t '{topic}' -C 1 -W {wait_s}")))

    def _find_leader(self) -> int:
        assert self._nspawn.poll() is None, "systemd-nspawn has ended"
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        return int(children[0]) if children else 0


def until(look: Callable[[], T], complaint: str, *, patience_s: float = _PATIENCE_S) -> T:
    """Look until there is something to be seen.

    Raises:
        AssertionError: nothing came.
    """
    end_s = time.monotonic() + patience_s
    while not (found := look()):
        assert time.monotonic() < end_s, complaint
        time.sleep(0.2)
    return found
