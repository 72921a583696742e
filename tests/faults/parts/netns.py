"""A network namespace for the agent, joined to the broker by a virtual cable that can be pulled, and lose packets."""

import itertools
import os
import shutil
import subprocess
from contextlib import ExitStack
from typing import Self

# Tests that run side by side must not answer under each other's addresses.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
BROKER_SIDE = f"10.213.{77 + _WORKER}.1"
AGENT_SIDE = f"10.213.{77 + _WORKER}.2"
_MASK = "/30"
_NUMBERS = itertools.count()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def missing() -> str:
    """Why there can be no namespace here; empty where there can."""
    if os.geteuid() != 0:
        return "network faults need root"
    if lacking := [name for name in ("ip", "nft") if shutil.which(name) is None]:
        return f"network faults need the programs {', '.join(lacking)} (iproute2, nftables)"
    try:
        with Cable():
            pass
    except subprocess.CalledProcessError as error:
        return f"no network namespaces here: {error.stderr.decode().strip()}"
    return ""


class Cable:
    """The cable, and with it the namespace; both go when it is left."""

    def __init__(self) -> None:
        number = (
            f"{os.getpid()}x{next(_NUMBERS)}"  # what a kernel still takes down keeps its name for a while
        )
        self.name = f"faults-{number}"
        self._ends = (f"fb{number}", f"fa{number}")
        self._leaving = ExitStack()

    @property
    def inside(self) -> tuple[str, ...]:
        """What to put before a command so that it runs at the agent's end."""
        return ("ip", "netns", "exec", self.name)

    def __enter__(self) -> Self:
        outer, inner = self._ends
        with self._leaving:
            _run("ip", "netns", "add", self.name)
            self._leaving.callback(_run, "ip", "netns", "del", self.name)
            _run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", self.name)
            self._leaving.callback(_run, "ip", "link", "del", outer)
            _run("ip", "addr", "add", BROKER_SIDE + _MASK, "dev", outer)
            _run("ip", "link", "set", outer, "up")
            _run(*self.inside, "ip", "addr", "add", AGENT_SIDE + _MASK, "dev", inner)
            _run(*self.inside, "ip", "link", "set", inner, "up")
            _run(*self.inside, "ip", "link", "set", "lo", "up")
            _run(*self.inside, "nft", "add table inet faults")
            for hook in ("input", "output"):
                chain = f"add chain inet faults {hook} {{ type filter hook {hook} priority 0; }}"
                _run(*self.inside, "nft", chain)
            self._leaving = self._leaving.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.close()

    def pull(self) -> None:
        """The link is down: both kernels know."""
        _run("ip", "link", "set", self._ends[0], "down")

    def plug(self) -> None:
        _run("ip", "link", "set", self._ends[0], "up")

    def lose(self, percent: int) -> None:
        """Drop packets at random, in both directions; 100 is a silent partition."""
        chance = "" if percent >= 100 else f"numgen random mod 100 < {percent} "
        for hook in ("input", "output"):
            _run(*self.inside, "nft", f"add rule inet faults {hook} {chance}counter drop")

    def heal(self) -> None:
        _run(*self.inside, "nft", "flush table inet faults")
