"""The one table of bounds: what each part of an agent may take at the most of threads, files and memory.

A bound that is right by itself helps nobody where all of them together are beyond what the process may have: then the
first that comes uses up what the others need. So they are added up here, held against the shipped units by a test, and
against the limits that the process really runs under at its start.
"""

import os
import resource
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from edge_agent.config.file import Config
from edge_agent.pipeline.settings import GATHERED_SHARE
from edge_agent.store.sqlite_file import WAL_BYTES
from edge_agent.web.server import Limits

METRICS_PAGE = Limits(connections=8)
"""Prometheus, a health check and a person at a time; who dawdles gives way."""
PAGE = Limits(connections=24)
SELECT_FILES = 1024
"""paho waits by `select`, which knows no descriptor beyond: all but held profiles must stay below, see `HeldFile`."""
_QUEUED_BYTES = 200
_REQUEST_BYTES = 1_000_000
"""A connection with its thread, and the page that is being made for it."""
_PROCESS_BYTES = 130_000_000
"""Interpreter, libraries, model and a hundred learnt machines; see docs/performance.md."""
_PROFILE_FILES = 3


class Need(NamedTuple):
    """What a part may take.

    Attributes:
        held: files beyond `SELECT_FILES`, which are done without where they cannot be had.
    """

    tasks: int = 0
    files: int = 0
    memory_bytes: int = 0
    held: int = 0


def needs(config: Config) -> Mapping[str, Need]:
    """The table: each part, and what it takes at the most by this configuration."""
    broker, limits = config.broker, config.limits
    connections = 2 + bool(config.sharing.group) + 1  # a reload may bring the first Sparkplug namespace
    pages = [METRICS_PAGE, *([PAGE] if config.page.enabled else [])]
    requests = sum(page.connections for page in pages)
    return {
        "the process itself": Need(tasks=2, files=32, memory_bytes=_PROCESS_BYTES),
        "the model, and the next one at a reload": Need(tasks=1 + 2 * (config.model.threads - 1), files=4),
        "MQTT": Need(tasks=connections, files=4 * connections),
        "what came in and waits": Need(
            memory_bytes=broker.queue_bytes + _QUEUED_BYTES * broker.queue_messages
        ),
        "what goes out and waits": Need(memory_bytes=config.alerts.outbox_bytes),
        "learning a machine": Need(tasks=1, files=4, memory_bytes=limits.learning_bytes),
        "rows that are to be learnt": Need(memory_bytes=limits.learning_bytes // GATHERED_SHARE),
        "pages": Need(len(pages) + requests, 2 * len(pages) + requests, _REQUEST_BYTES * requests),
        "state and history": Need(tasks=2, files=12, memory_bytes=2 * WAL_BYTES),
        "profiles": Need(held=_PROFILE_FILES * limits.machines),
    }


def total(config: Config) -> Need:
    """All of it together."""
    return Need(*map(sum, zip(*needs(config).values(), strict=True)))


def shortfalls(config: Config, allowed: Need) -> list[str]:
    """What the process may not have and by this configuration might ask for; `allowed` without `held`: no bound."""
    wanted = total(config)
    told = [
        f"{name}: {most:,} are allowed, {want:,} may be needed ({_largest(config, at)})"
        for at, (name, want, most) in enumerate(zip(Need._fields, wanted, allowed, strict=True))
        if 0 < most < want
    ]
    if wanted.files > SELECT_FILES:
        told.append(f"files: {wanted.files:,} may be open below the held ones, and {SELECT_FILES:,} are room")
    return told


def _largest(config: Config, at: int) -> str:
    table = needs(config)
    name = max(table, key=lambda one: table[one][at])
    return f"most for {name}: {table[name][at]:,}"


def limits_of_process() -> Need:
    """What this process may have, 0 where there is no bound or it cannot be seen: its control group and rlimits."""
    group = Path("/sys/fs/cgroup")
    with suppress(OSError):
        group /= Path("/proc/self/cgroup").read_text().rpartition("::/")[2].strip()
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Need(
        tasks=_number(group / "pids.max"),
        files=0 if files == resource.RLIM_INFINITY else files,
        memory_bytes=min((_number(group / "memory.max") or _MACHINE_BYTES), _MACHINE_BYTES),
    )


_MACHINE_BYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _number(file: Path) -> int:
    with suppress(OSError, ValueError):
        return int(file.read_text())
    return 0
