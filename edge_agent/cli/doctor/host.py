"""Checks of this computer: clock, disk, secret files, ports, memory. Asks no broker and changes nothing.

The one thing written is a small file in the state directory, which is synchronised and removed again.
"""

import ctypes
import getpass
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from edge_agent.cli.agent_page import health
from edge_agent.cli.doctor.findings import Finding, Level
from edge_agent.config.file import Config
from edge_agent.mqtt.connection import THROWN_OUT

_MB = 1_000_000
_FREE_FAIL_BYTES, _FREE_WARN_BYTES = 50 * _MB, 500 * _MB
"""Database, its log and an outbox that is full need tens of MB; the rest is room for a bad week."""
_MEMORY_FAIL_BYTES, _MEMORY_WARN_BYTES = 128 * _MB, 384 * _MB
"""The shipped unit slows the agent down at 384 MB."""
_EARLIEST_YEAR = 2025
"""A gateway without a battery starts in 1970, or on the day its image was made."""
_TIMEX_BYTES = 1024
"""More than struct timex takes on any architecture."""
_CLOCK_UNSYNCHRONISED = 5
_PROBE_BYTES = 4096


def check_host(config: Config, *, now: datetime) -> Iterator[Finding]:
    """All of it; nothing raises."""
    yield clock(now, synchronised=clock_synchronised())
    yield from disk(config.agent.state_dir)
    yield from secrets(config)
    amiss = health(config)
    yield from metrics(config, amiss)
    if config.page.enabled and amiss is None:  # a running agent has its own port
        host, number = config.page.address
        yield port("page", host=host, number=number)
    yield from memory()


def clock(now: datetime, *, synchronised: bool | None) -> Finding:
    """Whether the time can be believed; `synchronised` is what the kernel says of it, None where it says nothing."""
    said = f"{now.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if now.year < _EARLIEST_YEAR:
        remedy = (
            "set the clock and keep it: `timedatectl set-ntp true`, or chrony with the plant's time server"
        )
        return Finding("clock", "fail", f"{said} cannot be: messages would be turned away as too new", remedy)
    if synchronised is None:
        return Finding("clock", "warn", f"{said}; the kernel does not say whether it is synchronised", _NTP)
    if not synchronised:
        return Finding("clock", "warn", f"{said}, and no time server keeps it right", _NTP)
    return Finding("clock", "ok", f"{said}, synchronised")


_NTP = "`timedatectl timesync-status` or `chronyc tracking` says which time server answers"


def clock_synchronised() -> bool | None:
    """What adjtimex(2) says, whichever program disciplines the clock; None where it cannot be asked."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _CLOCK_UNSYNCHRONISED


def disk(folder: Path) -> Iterator[Finding]:
    """Room, and whether a file can be written and synchronised where the agent keeps its state."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    who = getpass.getuser()
    if not there.is_dir():
        yield Finding("disk", "fail", f"{there} is a file, not a directory", "name another [agent] state_dir")
        return
    try:
        bounds = os.statvfs(there)
        free = shutil.disk_usage(there).free
        if bounds.f_flag & os.ST_RDONLY:
            yield Finding(
                "disk",
                "fail",
                f"the file system of {there} is read-only",
                "`dmesg` says whether it was mounted so or fell back after an error; "
                "`mount -o remount,rw` once it is checked",
            )
            return
        _try_writing(there)
    except OSError as error:
        yield Finding(
            "disk",
            "fail",
            f"{there} cannot be written by {who}: {error.strerror}",
            f"give {folder} to the agent's user, or run this as that user",
        )
        return
    level, remedy = _by_room(free)
    what = f"{folder}: written and synchronised by {who}, {free / _MB:,.0f} MB free"
    if there != folder:
        what = f"{folder} does not exist yet; {there} can be written by {who}, {free / _MB:,.0f} MB free"
    yield Finding("disk", level, what, remedy)
    mode = stat.S_IMODE(there.stat().st_mode)
    if there == folder and mode & 0o007:
        seen = f"{folder} can be read by everybody (mode {mode:o}): samples and what was learnt lie in it"
        yield Finding("disk", "warn", seen, f"`chmod 700 {folder}`")


def _by_room(free: int) -> tuple[Level, str]:
    remedy = "make room: `journalctl --vacuum-size=200M`, old recordings, or a larger disk"
    if free < _FREE_FAIL_BYTES:
        return "fail", remedy
    return ("warn", remedy) if free < _FREE_WARN_BYTES else ("ok", "")


def _try_writing(folder: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
        file.write(bytes(_PROBE_BYTES))
        file.flush()
        os.fsync(file.fileno())


def secrets(config: Config) -> Iterator[Finding]:
    """Whether files with secrets are readable by us, and by nobody else."""
    named = {
        "broker.password_file": config.broker.password_file,
        "broker.tls_key_file": config.broker.tls_key_file,
        "page.token_file": config.page.token_file,
    }
    for setting, file in named.items():
        if file is None:
            continue
        try:
            mode = stat.S_IMODE(file.stat().st_mode)
            with file.open("rb"):
                pass
        except OSError as error:
            remedy = "let the agent's user read it, or hand it over by LoadCredential="
            yield Finding("secrets", "fail", f"{setting}: {file}: {error.strerror}", remedy)
            continue
        if mode & 0o077:
            what = f"{setting}: {file} can be read by others (mode {mode:o})"
            yield Finding("secrets", "warn", what, f"`chmod 600 {file}`")
        else:
            yield Finding("secrets", "ok", f"{setting}: {file} is ours alone")


def metrics(config: Config, amiss: list[str] | None) -> Iterator[Finding]:
    """What the running agent says of itself, or whether its page could be served."""
    host, number = config.metrics.host, config.metrics.port
    if amiss is None:
        yield port("metrics", host=host, number=number)
        return
    remedy = "`edge-agent status` and the journal say more"
    yield Finding("metrics", "ok", f"an agent runs and answers at {host}:{number}")
    for word in amiss:
        if THROWN_OUT in word:
            yield Finding("agent", "fail", f"it says: {word}", _NAMES)
        else:
            yield Finding("agent", "warn", f"it says: {word}", remedy)


_NAMES = "give each agent a [agent] name of its own, and the state directory of one of them to nobody else"


def port(area: str, *, host: str, number: int) -> Finding:
    """Whether a page of ours could be served there."""
    where = f"{host}:{number}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        remedy = f"`ss -ltnp 'sport = :{number}'` names who has it; or set another in the section [{area}]"
        return Finding(area, "fail", f"cannot listen at {where}: {error.strerror}", remedy)
    return Finding(area, "ok", f"{where} is free")


def memory(meminfo: Path = Path("/proc/meminfo")) -> Iterator[Finding]:
    """What is available, as the kernel estimates it; nothing where it does not say."""
    with suppress(OSError, ValueError):
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) * 1024
                what = f"{free / _MB:,.0f} MB available"
                if free < _MEMORY_WARN_BYTES:
                    level: Level = "fail" if free < _MEMORY_FAIL_BYTES else "warn"
                    yield Finding("memory", level, what, "`systemd-cgtop -m` shows who takes it")
                else:
                    yield Finding("memory", "ok", what)
