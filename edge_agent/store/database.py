"""The database of one agent's state: the only file that imports sqlite3. Knows names and bytes, not their meaning.

One file in the state directory, written ahead (WAL) and synchronised at every commit, so that a transaction is on the
disk, whole, when `commit` returns. Every value carries a checksum of itself and its name, because SQLite has none.
"""

import shutil
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edge_agent.errors import DatabaseError
from edge_agent.store.journal import Changes

_VERSION = 1
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SEAL_BYTES = 4
_WAL_BYTES = 8_388_608
_ASIDE = ".aside"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS samples (turn INTEGER PRIMARY KEY, block BLOB NOT NULL, marks BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
"""


Found = TypeVar("Found")


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


class Database:
    """One file, one writer."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    def open(self) -> None:
        """Open for writing; a new file where there is none.

        Raises:
            DatabaseError: it cannot be opened.
        """
        with self._translated_errors():
            connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            self._connection = connection
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(f"PRAGMA journal_size_limit={_WAL_BYTES}").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, _VERSION):
                raise DatabaseError(self.path, f"has schema version {version}", corrupt=True)
            connection.executescript(_SCHEMA)
            connection.execute(f"PRAGMA user_version={_VERSION}")
            self._inode = self.path.stat().st_ino

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

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

    def _read_by(self, read: Callable[[sqlite3.Connection], Found], *, nothing: Found) -> Found:
        """What is found by the open connection or, where there is none, by one that only reads."""
        if self._connection is not None:
            with self._translated_errors():
                return read(self._connection)
        if not self.path.exists():
            return nothing
        for how in ("mode=ro", "immutable=1"):  # a disk that is read-only may not even let us look at the WAL
            with suppress(sqlite3.Error):
                connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?{how}", uri=True)
                try:
                    return read(connection)
                finally:
                    connection.close()
        raise DatabaseError(self.path, "cannot be read")

    def commit(self, changes: Changes) -> None:
        """Write all of the changes or none; they are on the disk when this returns.

        Raises:
            DatabaseError: nothing was written.
        """
        if self._connection is None:
            self.open()
        connection = self._connection
        assert connection is not None  # noqa: S101 - `open` has raised otherwise
        with self._translated_errors():
            if self.path.stat().st_ino != self._inode:
                raise DatabaseError(self.path, "was replaced by another file")
            connection.execute("BEGIN IMMEDIATE")
            try:
                _write(connection, changes)
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # after some errors SQLite has rolled back by itself
                    connection.execute("ROLLBACK")
                raise

    def size_bytes(self) -> int:
        """Of the file and its log; 0 where they cannot be seen."""
        total = 0
        for path in (self.path, self._beside("-wal")):
            with suppress(OSError):
                total += path.stat().st_size
        return total

    def free_bytes(self) -> int | None:
        """What the file's disk has left for us; None where that cannot be seen."""
        with suppress(OSError):
            return shutil.disk_usage(self.path.parent).free
        return None

    def set_aside(self) -> Path:
        """Rename the file and what belongs to it, so that a new one can be begun; returns the new name.

        Raises:
            DatabaseError: it cannot be renamed.
        """
        self.close()
        number = 1
        while (target := self._beside(f"{_ASIDE}-{number}")).exists():
            number += 1
        try:
            for suffix in ("-wal", "-shm", ""):
                path = self._beside(suffix)
                if path.exists():
                    path.rename(target.with_name(target.name + suffix))
        except OSError as error:
            raise DatabaseError(self.path, error.strerror or "cannot be renamed") from error
        return target

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """SQLite's errors in our words; the connection is given up, because the next try begins afresh."""
        try:
            yield
        except sqlite3.Error as error:
            self.close()
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            raise DatabaseError(self.path, str(error), corrupt=code in _CORRUPT) from error
        except OSError as error:
            self.close()
            raise DatabaseError(self.path, error.strerror or repr(error)) from error
        except DatabaseError:
            self.close()
            raise


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
