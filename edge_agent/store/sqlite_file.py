"""One SQLite file of the state directory: opened, read where it cannot be written, its errors in our words, set aside.

Beside `database` and `history.database`, which say what is in theirs, the only file that knows sqlite3. A file is
written ahead (WAL), so that a transaction is there whole or not at all, whatever becomes of the process.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from edge_agent.errors import DatabaseError

WAL_BYTES = 8_388_608
"""What the log beside the file is cut to when it is empty."""
WAL_MOST_BYTES = 67_108_864
"""A reader that keeps a transaction open keeps the log from being used again: beyond this nothing more is written."""
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_ASIDE = ".aside"

Connection = sqlite3.Connection
"""For those who only hand it on."""
Found = TypeVar("Found")


class SqliteFile:
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
            self._prepare(connection)
            self._inode = self.path.stat().st_ino

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Bring the file that was opened into the form that is written."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

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

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written within, or none of it; opens the file where it is not.

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
            self._refuse_endless_log(connection)
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # after some errors SQLite has rolled back by itself
                    connection.execute("ROLLBACK")
                raise

    def _refuse_endless_log(self, connection: sqlite3.Connection) -> None:
        """Write no more while the log is long and somebody keeps it from being worked into the file.

        Raises:
            DatabaseError: so it is.
        """
        if self._log_bytes() <= WAL_MOST_BYTES:
            return
        _, written, worked_in = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if worked_in < written:
            reader = "another program keeps a transaction of it open"
            raise DatabaseError(self.path, f"{reader}, and its log has grown to {self._log_bytes():,} bytes")

    def _log_bytes(self) -> int:
        try:
            return self._beside("-wal").stat().st_size
        except OSError:
            return 0

    def _read_by(self, read: Callable[[sqlite3.Connection], Found], *, nothing: Found) -> Found:
        """What is found by the open connection or, where there is none, by one that only reads."""
        if self._connection is not None:
            with self._translated_errors():
                return read(self._connection)
        return read_only(self.path, read, nothing=nothing)

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """SQLite's errors in our words; the connection is given up, because the next try begins afresh."""
        try:
            yield
        except sqlite3.Error as error:
            self.close()
            raise DatabaseError(self.path, str(error), corrupt=is_corruption(error)) from error
        except OSError as error:
            self.close()
            raise DatabaseError(self.path, error.strerror or repr(error)) from error
        except DatabaseError:
            self.close()
            raise


def is_corruption(error: sqlite3.Error) -> bool:
    """Whether waiting will not help."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT


def read_only(path: Path, read: Callable[[sqlite3.Connection], Found], *, nothing: Found) -> Found:
    """What is found by a connection that only reads; `nothing` where there is no file.

    Raises:
        DatabaseError: it cannot be read.
    """
    if not path.exists():
        return nothing
    corrupt, reason = False, "cannot be read"
    for how in ("mode=ro", "immutable=1"):  # a disk that is read-only may not even let us look at the WAL
        try:
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True)
            try:
                return read(connection)
            finally:
                connection.close()
        except sqlite3.Error as error:
            corrupt, reason = is_corruption(error), f"cannot be read: {error}"
    raise DatabaseError(path, reason, corrupt=corrupt)
