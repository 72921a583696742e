"""Recordings on disk: a folder a machine and day, tables in it, an index, and a bound. Knows no broker and no clock.

A table covers a range of spool numbers that its name tells (`rows-0000000007-0000000009.parquet`) and is written whole
or not at all. Writing a range again replaces the same file, and a table whose range lies within another's is a leftover
of a crash: so nothing is counted twice, whenever the power fails.
"""

import csv
import errno
import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edge_agent.errors import RecordingError, StateError
from edge_agent.recordings import tables
from edge_agent.recordings.reading.times import TIMESTAMP
from edge_agent.recordings.timeline import DAY_NS, Timeline, days, joined, of_frames
from edge_agent.records import Frame
from edge_agent.store import atomic_file

INDEX = "index.csv"
_COLUMNS = (
    "series_id",
    "file",
    "length",
    "n_channels",
    "rate_hz",
    "machine",
    "day",
    "first",
    "last",
    "bytes",
)
_MERGED_FROM = 8
"""So many small tables of a day become one: trainers want long stretches, and disks few files."""
_FOLDER_BYTES = 200
"""Of a folder's name that tells the machine; file systems take 255 bytes."""
_ODD = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ})
"""Faults of what is to be written, not of the disk: to try again does not help."""
_SMALL_BYTES = 8_000_000
"""A table beyond it is not read again to be merged."""


@dataclass(frozen=True, slots=True)
class Part:
    """One table: rows of one machine and day from the spools `first` to `last`."""

    path: Path
    machine: str
    day: int
    first: int
    last: int
    bytes: int
    series: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return int(self.series.get("length", 0))


class Archive:
    """All tables under one folder. Belongs to one thread."""

    def __init__(self, folder: Path, *, disk_bytes: int) -> None:
        self.rows_dropped = 0
        self.days_dropped = 0
        self.damaged: list[Path] = []
        """Tables that could not be read and were set aside."""
        self.refused: list[tuple[str, list[Frame], str]] = []
        """(machine, frames, why) of what makes no table; whoever takes care of it clears the list."""
        self._folder = folder
        self._disk_bytes = disk_bytes
        self._parts: dict[Path, Part] = {}

    @property
    def bytes(self) -> int:
        """Of all tables."""
        return sum(part.bytes for part in self._parts.values())

    @property
    def newest(self) -> int:
        """The highest spool number that is in a table; 0 where there is none."""
        return max((part.last for part in self._parts.values()), default=0)

    def open(self) -> None:
        """Find the tables, and clear what a crash may have left.

        Raises:
            StateError: the folder cannot be read or written. RecordingError: pyarrow is missing.
        """
        tables.require_parquet(self._folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for partial in self._folder.glob("machine=*/day=*/.*.partial"):
                partial.unlink()
            for path in sorted(self._folder.glob("machine=*/day=*/rows-*.parquet")):
                self._enter(path)
        except OSError as error:
            raise StateError(self._folder, error.strerror or "cannot be used") from error
        for part in tuple(self._parts.values()):
            if any(_covers(other, part) for other in self._parts.values()):
                self._remove(part)
        self._write_index()

    def _enter(self, path: Path) -> None:
        try:
            self._parts[path] = _part(path, tables.read_series(path))
        except (RecordingError, KeyError, ValueError):
            self._set_aside(path)

    def _set_aside(self, path: Path) -> None:
        """A table that cannot be read is kept under another name, never deleted."""
        self._parts.pop(path, None)
        self.damaged.append(atomic_file.set_aside(path))

    def take_frames(self, frames: Iterable[Frame], *, number: int) -> int:
        """Write a spool's frames as tables; returns the number of rows.

        Rows of a machine that make no table keep back no other machine's: see `refused`.

        Raises:
            StateError: the disk takes no table; the spool must be kept.
        """
        self.refused.clear()
        by_machine: dict[str, list[Frame]] = {}
        for frame in frames:
            by_machine.setdefault(frame.machine, []).append(frame)
        rows = 0
        for machine, members in by_machine.items():
            written = 0
            try:
                for day, line in days(of_frames(members)):
                    self._write(machine, day, line, first=number, last=number)
                    written += len(line.times_ns)
            except Exception as error:
                if isinstance(error, StateError) and not _is_odd(error):
                    raise
                self.refused.append((machine, members, str(error)))
            rows += written
        return rows

    def tidy(self, *, today: int, reserved_bytes: int) -> None:
        """Merge what has become many small tables, drop the oldest days beyond the bound, write the index.

        Args:
            today: number of the present day since 1970; earlier ones are merged whatever their number.
            reserved_bytes: what else lies in the folder.

        Raises:
            StateError: the folder cannot be written.
        """
        for machine, day in sorted({(part.machine, part.day) for part in self._parts.values()}):
            try:
                self._merge(machine, day, least=_MERGED_FROM if day >= today else 2)
            except (RecordingError, ValueError):  # one that cannot be merged stays as it is
                continue
        self.bound(reserved_bytes)
        self._write_index()

    def bound(self, reserved_bytes: int) -> None:
        """Drop the oldest day of all machines, again and again, until what is left fits; counted.

        Where only one day is left its oldest table goes.
        """
        while self._parts and self.bytes + reserved_bytes > self._disk_bytes:
            oldest = min(part.day for part in self._parts.values())
            doomed = [part for part in self._parts.values() if part.day == oldest]
            if len(doomed) == len(self._parts):
                doomed = [min(doomed, key=lambda part: part.first)]
            else:
                self.days_dropped += 1
            for part in doomed:
                self.rows_dropped += part.rows
                self._remove(part)

    def _merge(self, machine: str, day: int, *, least: int) -> None:
        """Join the newest small tables of a machine's day into one, where there are `least` of them."""
        small: list[Part] = []
        there = [part for part in self._parts.values() if (part.machine, part.day) == (machine, day)]
        for part in sorted(there, key=lambda part: part.first, reverse=True):
            if part.bytes > _SMALL_BYTES:
                break
            small.insert(0, part)
        if len(small) < least:
            return
        try:
            line = joined([_read(part) for part in small])
        except RecordingError as error:
            self._set_aside(error.path)
            return
        self._write(machine, day, line, first=small[0].first, last=small[-1].last)
        for part in small:
            self._remove(part)

    def _write(self, machine: str, day: int, line: Timeline, *, first: int, last: int) -> None:
        folder = self._folder / f"machine={_folder_name(machine)}" / f"day={day_name(day)}"
        path = folder / f"rows-{first:010d}-{last:010d}.parquet"
        series = {
            "series_id": f"{machine} {day_name(day)} {first}",
            "machine": machine,
            "channels": list(map(column_name, line.channels)),
            "length": len(line.times_ns),
            "rate_hz": round(line.rate_hz, 6),
            "first_ns": int(line.times_ns[0]),
            "last_ns": int(line.times_ns[-1]),
        }
        raw = tables.encode_columns(path, columns_of(line), series=series)
        atomic_file.write(path, raw)
        self._parts[path] = _part(path, series)

    def _remove(self, part: Part) -> None:
        try:
            part.path.unlink(missing_ok=True)
            if not any(part.path.parent.iterdir()):
                part.path.parent.rmdir()
        except OSError as error:
            raise StateError(part.path, error.strerror or "cannot be removed") from error
        self._parts.pop(part.path, None)

    def _write_index(self) -> None:
        text = io.StringIO(newline="")
        lines = csv.writer(text)
        lines.writerow(_COLUMNS)
        for part in sorted(self._parts.values(), key=lambda part: (part.machine, part.day, part.first)):
            series = part.series
            times = (_rfc3339(series["first_ns"]), _rfc3339(series["last_ns"]))
            file = part.path.relative_to(self._folder).as_posix()
            shape = (series["length"], len(series["channels"]), series["rate_hz"])
            told = (part.machine, day_name(part.day), *times, part.bytes)
            lines.writerow((series["series_id"], file, *shape, *told))
        atomic_file.write(self._folder / INDEX, text.getvalue().encode())


def day_name(day: int) -> str:
    """`2026-11-23` of a number of days since 1970, UTC."""
    return datetime.fromtimestamp(day * DAY_NS // 1_000_000_000, UTC).strftime("%Y-%m-%d")


def columns_of(line: Timeline) -> dict[str, Any]:
    """A table's columns: the time, then the channels; a channel may not be called like a column of its own."""
    cells = {column_name(name): line.values[:, at] for at, name in enumerate(line.channels)}
    return {TIMESTAMP: line.times_ns.astype("datetime64[ns]"), **cells}


def column_name(channel: str) -> str:
    """How the column of a channel is called: as the channel, but for names of columns of our own.

    Those get a `_` more, and so do those that look as if they had one: two channels are never one column.
    """
    own = channel.rstrip("_") in {TIMESTAMP, tables.LABEL}
    return f"{channel}_" if own else channel


def channel_name(column: str) -> str:
    """The channel of a column; undoes `column_name`."""
    own = column.rstrip("_") in {TIMESTAMP, tables.LABEL}
    return column.removesuffix("_") if own else column


def _read(part: Part) -> Timeline:
    own = {TIMESTAMP, tables.LABEL}  # tables of earlier releases name the channel, not its column
    names = [f"{name}_" if name in own else name for name in part.series["channels"]]
    found = tables.read(part.path, channels=names)
    assert found.times_ns is not None  # noqa: S101 - written by `columns_of`
    return Timeline(tuple(map(channel_name, found.channels)), found.times_ns, found.values)


def _part(path: Path, series: Mapping[str, Any]) -> Part:
    _, first, last = path.stem.split("-")
    day = int(series["first_ns"]) // DAY_NS
    return Part(path, str(series["machine"]), day, int(first), int(last), path.stat().st_size, series)


def _covers(other: Part, part: Part) -> bool:
    """Whether another table of the same machine and day holds all rows of this one."""
    if other is part or (other.machine, other.day) != (part.machine, part.day):
        return False
    return other.first <= part.first and part.last <= other.last


def _folder_name(machine: str) -> str:
    """As Hive writes partitions: whatever a file name may not hold is quoted; one too long ends with a digest.

    The table itself and the index tell the whole name.
    """
    name = quote(machine, safe=" ()[]{}!@$&'+,;=~")
    if len(name) <= _FOLDER_BYTES:
        return name
    digest = hashlib.sha256(machine.encode()).hexdigest()[:12]
    beginning = name[: _FOLDER_BYTES - len(digest) - 1]
    cut = beginning.rfind("%", len(beginning) - 2)  # half a quoted byte is none
    return f"{beginning[:cut] if cut >= 0 else beginning}~{digest}"


def _is_odd(error: StateError) -> bool:
    """Whether what was to be written is at fault, not the disk."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in _ODD


def _rfc3339(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="milliseconds")
