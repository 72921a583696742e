"""The history's database, written: `history.sqlite` in the state directory. Knows no thread and no clock.

Its form changes by numbered steps, each in a transaction of its own, so that a file of any earlier release is brought
up to date and a crash in between leaves a whole form. A file of a later release is left exactly as it is: nothing is
written to it, and it is never moved. Bounded by days and by bytes: the oldest goes first, minutes before incidents.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec
from annotated_types import Interval

from edge_agent.errors import DatabaseError
from edge_agent.store.history import incident as incidents
from edge_agent.store.history.incident import Entry, Incident
from edge_agent.store.sqlite_file import WAL_BYTES, SqliteFile

HISTORY = "history.sqlite"
DAY_NS = 86_400_000_000_000
_PAGE_BYTES = 4096
_FULL, _ROOMY = 0.96, 0.92
"""Shares of the room for pages: from the first on the oldest goes, until the second is left."""
_INCIDENTS_AT_ONCE = 50
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
)
"""How an empty file becomes one of this release; the number of steps that were taken is the file's `user_version`."""


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

    def _prepare(self, connection: sqlite3.Connection) -> None:
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
                connection.execute(f"PRAGMA incremental_vacuum({pages - room})").fetchall()
        return crowded_out

    def _synchronise(self, *, whole: bool) -> None:
        """An incident must outlive a power cut before the state forgets it; a curve's last minutes need not."""
        assert self._connection is not None  # noqa: S101 - it was opened
        with self._translated_errors():
            self._connection.execute(f"PRAGMA synchronous={'FULL' if whole else 'NORMAL'}")


def too_new(version: int) -> str:
    """What is said of a file of a later release."""
    return f"was written by a later release (form {version}, this one knows {len(STEPS)})"


def _put(connection: sqlite3.Connection, entry: Entry) -> None:
    name = entry.id
    row = connection.execute("SELECT body FROM incidents WHERE id = ?", (name,)).fetchone()
    known = None if row is None else incidents.decode(row[0])
    if isinstance(entry, Incident):
        incident = incidents.joined(known, entry) if isinstance(known, Incident) else entry
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


def _pages_used(connection: sqlite3.Connection) -> int:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(pages) - int(free)


def _drop_oldest(connection: sqlite3.Connection) -> tuple[int, int]:
    """Make some room; returns how many incidents and how much else went."""
    gone = connection.execute(
        "DELETE FROM incidents WHERE id IN (SELECT id FROM incidents ORDER BY closed_ns LIMIT ?)",
        (_INCIDENTS_AT_ONCE,),
    ).rowcount
    return gone, 0
