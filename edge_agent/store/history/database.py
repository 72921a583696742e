"""The history's database, written: `history.sqlite` in the state directory. Knows no thread and no clock.

Its form changes by numbered steps, each in a transaction of its own, so that a file of any earlier release is brought
up to date and a crash in between leaves a whole form. A file of a later release is left exactly as it is: nothing is
written to it, and it is never moved. Bounded by days and by bytes: the oldest goes first, minutes before incidents.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from annotated_types import Interval
from msgspec import structs

from edge_agent.errors import DatabaseError
from edge_agent.store.history import incident as incidents
from edge_agent.store.history.curves import incident_curve, layout_names, read_moments
from edge_agent.store.history.incident import Entry, Forgotten, Incident
from edge_agent.store.history.minutes import HOUR_S, MinuteGatherer, Place, Stretch
from edge_agent.store.sqlite_file import WAL_BYTES, Connection, SqliteFile

HISTORY = "history.sqlite"
DAY_NS = 86_400_000_000_000
_PAGE_BYTES = 4096
_FULL, _ROOMY = 0.96, 0.92
"""Shares of the room for pages: from the first on the oldest goes, until the second is left."""
_INCIDENTS_AT_ONCE = 50
_ROOM_S = 6 * HOUR_S
"""Minutes that go at once, of every machine."""
_MOMENTS_S = 900
"""How long moments are kept."""
_SECOND_NS = 1_000_000_000
_SLACK_BYTES = 1_000_000
"""What one round may write before there is looked again."""

STEPS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE incidents (
            id TEXT PRIMARY KEY, machine TEXT NOT NULL, family TEXT NOT NULL, kind TEXT NOT NULL,
            onset_ns INTEGER NOT NULL, closed_ns INTEGER NOT NULL, signature BLOB NOT NULL, body BLOB NOT NULL
        ) STRICT""",
        "CREATE INDEX incidents_closed ON incidents (closed_ns)",
        "CREATE INDEX incidents_machine ON incidents (machine, closed_ns)",
        "CREATE INDEX incidents_family ON incidents (family, closed_ns)",
        "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    ),
    (
        "CREATE TABLE machines (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT",
        "CREATE TABLE layouts (id INTEGER PRIMARY KEY, names TEXT NOT NULL UNIQUE) STRICT",
        *(
            f"""CREATE TABLE {table} (
                machine INTEGER NOT NULL, start INTEGER NOT NULL, peak REAL, layout INTEGER NOT NULL,
                stats BLOB NOT NULL, PRIMARY KEY (machine, start)
            ) STRICT, WITHOUT ROWID"""
            for table in ("minutes", "hours", "open_minutes")
        ),
        "CREATE TABLE moments (start_s INTEGER PRIMARY KEY, written_s INTEGER NOT NULL, peaks BLOB NOT NULL) STRICT",
    ),
)
"""How an empty file becomes one of this release; the number of steps that were taken is the file's `user_version`."""

_INDEX = "CREATE INDEX IF NOT EXISTS incidents_alike ON incidents (kind, closed_ns, machine, family, id, signature)"
"""Holds all that is asked of an incident that may look like another: its body, many times as long, is not read for it.
No step, since it changes nothing that is written: earlier releases go on with the file, and keep it up."""


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """How much of the past is kept; the section `[history]` is this class, with its keys, defaults and bounds.

    Attributes:
        incident_days: how long what closed is kept.
        minute_days: how long each minute of each machine is kept; 0: none is.
        disk_bytes: bound of the file and its log; beyond it the oldest goes first, minutes before incidents.
    """

    incident_days: Annotated[int, Interval(ge=1, le=36_500)] = 400
    minute_days: Annotated[int, Interval(ge=0, le=3650)] = 30
    disk_bytes: Annotated[int, Interval(ge=20_000_000, le=1_000_000_000_000)] = 500_000_000


class HistoryDatabase(SqliteFile):
    """One file, one writer."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._numbers: dict[tuple[str, str], int] = {}

    def _prepare(self, connection: Connection) -> None:
        self._numbers.clear()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(STEPS):
            raise DatabaseError(self.path, too_new(version))
        if version == 0:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL").fetchone()
        connection.execute(f"PRAGMA journal_size_limit={WAL_BYTES}").fetchone()
        for number, step in enumerate(STEPS[version:], version + 1):
            connection.execute("BEGIN IMMEDIATE")
            try:
                for statement in step:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version={number}")
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        connection.execute(_INDEX)

    def write(self, entries: Mapping[str, Entry]) -> None:
        """Write all of these or none; they are on the disk when this returns. An entry may come twice.

        Raises:
            DatabaseError: nothing was written.
        """
        if self._connection is None:
            self.open()
        self._synchronise(whole=bool(entries))
        with self.transaction() as connection:
            for entry in entries.values():
                _put(connection, entry)

    def open_minutes(self) -> Sequence[tuple[Place, Stretch]]:
        """Minutes that an earlier process left open.

        Raises:
            DatabaseError: they cannot be read.
        """
        if self._connection is None:
            self.open()
        query = (
            "SELECT name, start, peak, layout, stats FROM open_minutes JOIN machines ON machines.id = machine"
        )

        def read(connection: Connection) -> list[tuple[Place, Stretch]]:
            return [
                ((str(name), int(start)), Stretch.unpack(peak, layout_names(connection, layout), raw))
                for name, start, peak, layout, raw in connection.execute(query).fetchall()
            ]

        return self._read_by(read, nothing=[])

    def write_minutes(self, gathered: MinuteGatherer, *, now_ns: int) -> Sequence[Place]:
        """Write what was gathered; returns the minutes that are over and need not be held any more.

        Raises:
            DatabaseError: nothing was written.
        """
        now_s = now_ns // _SECOND_NS
        over = gathered.finished(now_s=now_s)
        if self._connection is None:
            self.open()
        self._synchronise(whole=False)
        with self._numbers_kept(), self.transaction() as connection:
            names = _Names(connection, self._numbers)
            for machine, start in over:
                stretch, number = gathered.open[machine, start], names.machine(machine)
                _merge(connection, "minutes", (number, start), stretch, names)
                _merge(connection, "hours", (number, start - start % HOUR_S), stretch, names)
                connection.execute(
                    "DELETE FROM open_minutes WHERE machine = ? AND start = ?", (number, start)
                )
            connection.executemany(
                _REPLACE.format("open_minutes"),
                [
                    _row((names.machine(machine), start), gathered.open[machine, start], names)
                    for machine, start in gathered.changed.difference(over)
                ],
            )
            for start_s, peaks in gathered.moments.items():
                _merge_moment(connection, start_s, peaks, now_s=now_s)
            connection.execute("DELETE FROM moments WHERE written_s < ?", (now_s - _MOMENTS_S,))
        return over

    @contextmanager
    def _numbers_kept(self) -> Iterator[None]:
        """What is rolled back was not numbered."""
        try:
            yield
        except BaseException:
            self._numbers.clear()
            raise

    def note(self, name: str, value: str) -> None:
        """Keep a fact about the history itself.

        Raises:
            DatabaseError: it cannot be written.
        """
        with self.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def forget_old(self, settings: HistorySettings, *, now_ns: int) -> None:
        """Let go of what is older than is wanted.

        Raises:
            DatabaseError: it cannot be written.
        """
        with self.transaction() as connection:
            oldest_ns = now_ns - settings.incident_days * DAY_NS
            connection.execute("DELETE FROM incidents WHERE closed_ns < ?", (oldest_ns,))
            oldest_s = (now_ns - settings.minute_days * DAY_NS) // _SECOND_NS
            for table in ("minutes", "hours"):
                _drop_before(connection, table, oldest_s)
            self._numbers.clear()
            tables = ("minutes", "hours", "open_minutes")
            unused = " AND ".join(
                f"NOT EXISTS (SELECT 1 FROM {table} WHERE machine = machines.id)"  # noqa: S608 - a table of ours
                for table in tables
            )
            connection.execute(f"DELETE FROM machines WHERE {unused}")  # noqa: S608 - as above

    def make_room(self, settings: HistorySettings) -> int:
        """Let go of the oldest where there is too much; returns how many incidents went for it.

        Raises:
            DatabaseError: it cannot be written.
        """
        room = (settings.disk_bytes - WAL_BYTES - _SLACK_BYTES) // _PAGE_BYTES
        crowded_out = 0
        with self.transaction() as connection:
            if _pages_used(connection) > _FULL * room:
                while _pages_used(connection) > _ROOMY * room:
                    incidents_gone, rest_gone = _drop_oldest(connection)
                    crowded_out += incidents_gone
                    if not incidents_gone + rest_gone:
                        break
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
        if pages > room:  # the bound was lowered
            with self._translated_errors():  # `execute` would give one page back and stop
                connection.executescript(f"PRAGMA incremental_vacuum({pages - room})")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return crowded_out

    def _synchronise(self, *, whole: bool) -> None:
        """An incident must outlive a power cut before the state forgets it; a curve's last minutes need not."""
        assert self._connection is not None  # noqa: S101 - it was opened
        with self._translated_errors():
            self._connection.execute(f"PRAGMA synchronous={'FULL' if whole else 'NORMAL'}")


def too_new(version: int) -> str:
    """What is said of a file of a later release."""
    return f"was written by a later release (form {version}, this one knows {len(STEPS)})"


def _forget(connection: Connection, machine: str) -> None:
    connection.execute("DELETE FROM incidents WHERE machine = ?", (machine,))
    row = connection.execute("SELECT id FROM machines WHERE name = ?", (machine,)).fetchone()
    if row is not None:
        for table in ("minutes", "hours", "open_minutes"):
            connection.execute(f"DELETE FROM {table} WHERE machine = ?", row)  # noqa: S608 - a table of ours
        connection.execute("DELETE FROM machines WHERE id = ?", row)
    for start_s, peaks in read_moments(connection).items():
        if peaks.pop(machine, None) is not None:
            connection.execute(
                "UPDATE moments SET peaks = ? WHERE start_s = ?", (msgspec.msgpack.encode(peaks), start_s)
            )


def _put(connection: Connection, entry: Entry) -> None:
    if isinstance(entry, Forgotten):
        _forget(connection, entry.machine)
        return
    name = entry.id
    row = connection.execute("SELECT body FROM incidents WHERE id = ?", (name,)).fetchone()
    known = None if row is None else incidents.decode(row[0])
    if isinstance(entry, Incident):
        incident = incidents.joined(known, entry) if isinstance(known, Incident) else entry
        if incident.alarm.kind == "machine" and (curve := incident_curve(connection, incident)) is not None:
            incident = structs.replace(incident, curve=curve)
    elif isinstance(known, Incident):
        incident = incidents.amended(known, entry.action)
    else:
        return  # of an alarm that is no longer kept
    connection.execute(
        "INSERT OR REPLACE INTO incidents VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            name,
            incident.alarm.machine,
            incident.family,
            incident.alarm.kind,
            incident.alarm.onset_ns,
            incident.closed_ns,
            msgspec.msgpack.encode(incidents.signature(incident.worst)),
            incidents.encode(incident),
        ),
    )


def _pages_used(connection: Connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(pages) - int(free)


def _drop_oldest(connection: Connection) -> tuple[int, int]:
    """Make some room; returns how many incidents and how much else went."""
    for table in ("minutes", "hours"):
        begins = f"SELECT (SELECT min(start) FROM {table} WHERE machine = id) AS first FROM machines"  # noqa: S608 - a table of ours
        (oldest_s,) = connection.execute(f"SELECT min(first) FROM ({begins})").fetchone()  # noqa: S608 - as above
        if oldest_s is not None:
            return 0, _drop_before(connection, table, oldest_s + _ROOM_S)
    gone = connection.execute(
        "DELETE FROM incidents WHERE id IN (SELECT id FROM incidents ORDER BY closed_ns LIMIT ?)",
        (_INCIDENTS_AT_ONCE,),
    ).rowcount
    return gone, 0


def _drop_before(connection: Connection, table: str, start_s: int) -> int:
    """Let go of all machines' stretches from before a time; returns how many."""
    numbers = connection.execute("SELECT id FROM machines").fetchall()
    query = f"DELETE FROM {table} WHERE machine = ? AND start < ?"  # noqa: S608 - a table of ours
    return sum(connection.execute(query, (number, start_s)).rowcount for (number,) in numbers)


class _Names:
    """Numbers of machines and of sets of channels."""

    def __init__(self, connection: Connection, known: dict[tuple[str, str], int]) -> None:
        self._connection = connection
        self._known = known

    def machine(self, name: str) -> int:
        """The machine's number; a new one where it has none."""
        return self._number("machines", "name", name)

    def layout(self, names: Iterable[str]) -> int:
        """The number of a set of channels; a new one where it has none."""
        return self._number("layouts", "names", msgspec.json.encode(tuple(names)).decode())

    def _number(self, table: str, column: str, value: str) -> int:
        number = self._known.get((table, value))
        if number is None:
            self._connection.execute(f"INSERT OR IGNORE INTO {table} ({column}) VALUES (?)", (value,))  # noqa: S608 - names of ours
            query = f"SELECT id FROM {table} WHERE {column} = ?"  # noqa: S608 - as above
            (number,) = self._connection.execute(query, (value,)).fetchone()
            self._known[table, value] = number
        return int(number)


def _merge(
    connection: Connection, table: str, place: tuple[int, int], stretch: Stretch, names: _Names
) -> None:
    """Write a part of a stretch: what is there of it already stays."""
    query = f"SELECT peak, layout, stats FROM {table} WHERE machine = ? AND start = ?"  # noqa: S608 - a table of ours
    row = connection.execute(query, place).fetchone()
    if row is not None:
        whole = Stretch.unpack(row[0], layout_names(connection, row[1]), row[2])
        whole.add(stretch)
        stretch = whole
    connection.execute(_REPLACE.format(table), _row(place, stretch, names))


_REPLACE = "INSERT OR REPLACE INTO {} VALUES (?, ?, ?, ?, ?)"


def _row(
    place: tuple[int, int], stretch: Stretch, names: _Names
) -> tuple[int, int, float | None, int, bytes]:
    peak = None if math.isnan(stretch.peak) else stretch.peak
    return (*place, peak, names.layout(stretch.names), stretch.pack())


def _merge_moment(connection: Connection, start_s: int, peaks: Mapping[str, float], *, now_s: int) -> None:
    known = read_moments(connection, since_s=start_s, until_s=start_s).get(start_s, {})
    every = {**known, **{name: max(peak, known.get(name, peak)) for name, peak in peaks.items()}}
    connection.execute(
        "INSERT OR REPLACE INTO moments VALUES (?, ?, ?)", (start_s, now_s, msgspec.msgpack.encode(every))
    )
