"""The database of one agent's state. Knows names and bytes, not their meaning.

One file in the state directory, written ahead (WAL) and synchronised at every commit, so that a transaction is on the
disk, whole, when `commit` returns. Every value carries a checksum of itself and its name, because SQLite has none.
"""

import sqlite3
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edge_agent.errors import DatabaseError
from edge_agent.store.journal import Changes
from edge_agent.store.sqlite_file import WAL_BYTES, SqliteFile

_VERSION = 1
_SEAL_BYTES = 4
_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS samples (turn INTEGER PRIMARY KEY, block BLOB NOT NULL, marks BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True)
class DatabaseContents:
    """Everything that was committed, but for the windows kept of alarms: those are many, and are read one by one.

    Attributes:
        states: by name.
        samples: (turn, block, marks), rising.
        damaged: names and turns whose checksum is wrong; they are left out.
    """

    states: dict[str, bytes]
    samples: tuple[tuple[int, bytes, bytes], ...] = ()
    damaged: tuple[str, ...] = ()


class _NewerDatabaseError(DatabaseError):
    """A newer version of the agent wrote it."""


class Database(SqliteFile):
    """One file, one writer."""

    newer: Path | None = None
    """The file that a newer version of the agent wrote: it is left alone, and ours is beside it."""

    def open(self) -> None:
        """Open for writing; a new file where there is none, or where a newer version wrote the one that there is.

        Raises:
            DatabaseError: it cannot be opened.
        """
        try:
            super().open()
        except _NewerDatabaseError:
            if self.newer is not None:
                raise
            self.newer = self.path
            self.path = self.path.with_name(f"{self.path.stem}.v{_VERSION}{self.path.suffix}")
            super().open()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            raise _NewerDatabaseError(self.path, f"has schema version {version}")
        connection.execute("PRAGMA journal_mode=WAL").fetchone()
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA journal_size_limit={WAL_BYTES}").fetchone()
        if version not in (0, _VERSION):
            raise DatabaseError(self.path, f"has schema version {version}", corrupt=True)
        connection.executescript(_SCHEMA)
        connection.execute(f"PRAGMA user_version={_VERSION}")

    def read(self) -> DatabaseContents:
        """Everything; where the file cannot be written, from a connection that only reads.

        Raises:
            DatabaseError: it cannot be read.
        """
        return self._read_by(_contents, nothing=DatabaseContents({}))

    def alarm_window_names(self) -> tuple[str, ...]:
        """Of all windows kept of alarms, in the order in which they were first written.

        Raises:
            DatabaseError: they cannot be read.
        """
        return self._read_by(_kept_names, nothing=())

    def read_alarm_windows(self, name: str) -> bytes | None:
        """Windows kept of one alarm; None where there are none of that name, or they were altered.

        Raises:
            DatabaseError: they cannot be read.
        """
        return self._read_by(lambda connection: _kept(connection, name), nothing=None)

    def commit(self, changes: Changes) -> None:
        """Write all of the changes or none; they are on the disk when this returns.

        Raises:
            DatabaseError: nothing was written.
        """
        with self.transaction() as connection:
            _write(connection, changes)


def _write(connection: sqlite3.Connection, changes: Changes) -> None:
    if changes.whole:
        connection.execute("DELETE FROM state")
        connection.execute("DELETE FROM samples")
        _put(connection, "kept", {name: None for name in _kept_names(connection) if name not in changes.stay})
    _put(connection, "state", changes.states)
    _put(connection, "kept", changes.alarm_windows)
    if changes.block or changes.marks:
        turn = changes.turn
        row = (turn, _seal(f"{turn} block", changes.block), _seal(f"{turn} marks", changes.marks))
        connection.execute("INSERT INTO samples VALUES (?, ?, ?)", row)
    if changes.keep_from is not None:
        connection.execute("DELETE FROM samples WHERE turn < ?", (changes.keep_from,))


def _put(connection: sqlite3.Connection, table: str, values: Mapping[str, bytes | None]) -> None:
    gone = [(name,) for name, value in values.items() if value is None]
    there = [(name, _seal(name, value)) for name, value in values.items() if value is not None]
    put = "VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    connection.executemany(f"DELETE FROM {table} WHERE name = ?", gone)  # noqa: S608 - a table of ours
    connection.executemany(f"INSERT INTO {table} {put}", there)


def _kept_names(connection: sqlite3.Connection) -> tuple[str, ...]:
    return tuple(str(name) for (name,) in connection.execute("SELECT name FROM kept ORDER BY rowid"))


def _kept(connection: sqlite3.Connection, name: str) -> bytes | None:
    row = connection.execute("SELECT value FROM kept WHERE name = ?", (name,)).fetchone()
    return None if row is None else _unseal(name, row[0])


def _contents(connection: sqlite3.Connection) -> DatabaseContents:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != ("ok",):
        error = sqlite3.DatabaseError(str(found))
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error
    states, samples, damaged = {}, [], []
    for name, sealed in connection.execute("SELECT name, value FROM state"):
        value = _unseal(str(name), sealed)
        if value is None:
            damaged.append(str(name))
        else:
            states[str(name)] = value
    for turn, sealed_block, sealed_marks in connection.execute("SELECT * FROM samples ORDER BY turn"):
        block, marks = _unseal(f"{turn} block", sealed_block), _unseal(f"{turn} marks", sealed_marks)
        if block is None or marks is None:
            damaged.append(f"turn {turn}")
        samples.append((int(turn), block or b"", marks or b""))
    return DatabaseContents(states, tuple(samples), tuple(damaged))


def _seal(name: str, value: bytes) -> bytes:
    return _checksum(name, value) + value


def _unseal(name: str, sealed: object) -> bytes | None:
    """The value, if neither it nor its name was altered."""
    if not isinstance(sealed, bytes) or len(sealed) < _SEAL_BYTES:
        return None
    value = sealed[_SEAL_BYTES:]
    return value if _checksum(name, value) == sealed[:_SEAL_BYTES] else None


def _checksum(name: str, value: bytes) -> bytes:
    return zlib.crc32(value, zlib.crc32(name.encode())).to_bytes(_SEAL_BYTES, "little")
