"""A transaction is whole or absent; what SQLite cannot read is told, and what was flipped on disk is left out."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_agent.errors import DatabaseError
from edge_agent.store.database import Database
from edge_agent.store.journal import Changes


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "state.db")
    database.open()
    yield database
    database.close()


def test_what_was_committed_comes_back_and_none_forgets(database: Database) -> None:
    database.commit(Changes(1, {"a": b"1", "b": b"2"}, block=b"rows", marks=b"marks"))
    database.commit(Changes(2, {"a": None, "b": b"3"}, block=b"more"))
    other = Database(database.path).read()  # from the disk, by another connection
    assert other.states == {"b": b"3"}
    assert other.samples == ((1, b"rows", b"marks"), (2, b"more", b""))
    database.commit(Changes(3, keep_from=2))
    assert [turn for turn, _, _ in database.read().samples] == [2]
    database.commit(Changes(4, {"c": b"4"}, whole=True))
    assert (database.read().states, database.read().samples) == ({"c": b"4"}, ())


def test_a_transaction_that_fails_leaves_the_one_before_and_the_next_may_pass(database: Database) -> None:
    database.commit(Changes(1, {"a": b"1"}))
    assert database._connection is not None
    pages = database._connection.execute("PRAGMA page_count").fetchone()[0]
    database._connection.execute(f"PRAGMA max_page_count={pages + 1}")  # a full disk, as SQLite sees it
    with pytest.raises(DatabaseError, match="full") as caught:
        database.commit(Changes(2, {"a": b"2", "big": bytes(1_000_000)}))
    assert not caught.value.corrupt
    assert database.read().states == {"a": b"1"}
    database.commit(Changes(3, {"a": b"3"}))  # opens again by itself
    assert database.read().states == {"a": b"3"}


def test_it_is_written_ahead_and_synchronised_at_each_commit(database: Database) -> None:
    assert database._connection is not None
    assert database._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database._connection.execute("PRAGMA synchronous").fetchone() == (2,)


@pytest.mark.parametrize("damage", [b"no database at all" * 300, b"SQLite format 3\x00" + b"\xff" * 8000])
def test_a_corrupt_file_says_so_and_can_be_set_aside(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "state.db"
    for number in (1, 2):
        path.write_bytes(damage)
        database = Database(path)
        with pytest.raises(DatabaseError) as caught:
            database.open()
        assert caught.value.corrupt
        assert database.set_aside() == tmp_path / f"state.db.aside-{number}"
        database.open()
        database.commit(Changes(1, {"a": b"1"}))
        database.close()
    assert (tmp_path / "state.db.aside-1").read_bytes() == damage


def test_flipped_bits_are_never_believed(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    database = Database(path)
    states = {f"name {number}": bytes([number]) * 500 for number in range(40)}
    database.commit(Changes(1, states, block=b"x" * 3000))
    database.close()
    raw = path.read_bytes()
    seen_damage = 0
    for at in range(100, len(raw), 211):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 0x10]) + raw[at + 1 :])
        damaged = Database(path)
        try:
            damaged.open()
            contents = damaged.read()
        except DatabaseError as error:
            assert error.corrupt  # noqa: PT017 - either outcome is fine, a wrong value is not
            seen_damage += 1
            continue
        finally:
            damaged.close()
        assert {name: value for name, value in contents.states.items() if states.get(name) != value} == {}
        assert all(block in (b"x" * 3000, b"") for _, block, _ in contents.samples)
        seen_damage += bool(contents.damaged)
    assert seen_damage > 10


def test_a_database_of_a_later_version_is_not_touched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state.db") as other:
        other.execute("PRAGMA user_version=99")
    other.close()
    before = (tmp_path / "state.db").read_bytes()
    database = Database(tmp_path / "state.db")
    database.open()
    database.commit(Changes(1, {"a": b"1"}))
    database.close()
    assert (tmp_path / "state.db").read_bytes() == before
    assert database.newer == tmp_path / "state.db"
    assert database.path == tmp_path / "state.v1.db"


def test_a_file_that_was_taken_away_is_noticed(database: Database) -> None:
    database.commit(Changes(1, {"a": b"1"}))
    for path in database.path.parent.glob("state.db*"):
        path.unlink()
    with pytest.raises(DatabaseError):
        database.commit(Changes(2, {"a": b"2"}))
    database.commit(Changes(3, {"a": b"3"}))
    assert Database(database.path).read().states == {"a": b"3"}


def test_what_cannot_be_written_can_still_be_read(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.commit(Changes(1, {"a": b"1"}))
    database.close()
    connect = sqlite3.connect

    def read_only(path: object, **options: object) -> sqlite3.Connection:
        if options.get("uri"):
            return connect(str(path), uri=True)
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(sqlite3, "connect", read_only)
    with pytest.raises(DatabaseError) as caught:
        database.open()
    assert not caught.value.corrupt
    assert database.read().states == {"a": b"1"}


def test_a_reader_that_keeps_a_transaction_open_is_named_before_the_log_fills_the_disk(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = 500_000
    monkeypatch.setattr("edge_agent.store.sqlite_file.WAL_MOST_BYTES", bound)
    database.commit(Changes(1, {"a": b"1"}))
    reader = sqlite3.connect(database.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM state").fetchall()

    def write(first: int, last: int) -> None:
        for turn in range(first, last):
            database.commit(Changes(turn, {"a": turn.to_bytes(4) * 5000}))

    with pytest.raises(DatabaseError, match="another program keeps a transaction of it open") as caught:
        write(2, 200)
    assert not caught.value.corrupt
    assert database.size_bytes() < 2 * bound
    with pytest.raises(DatabaseError):  # also by a connection that is new
        database.commit(Changes(200, {"a": b"2"}))
    reader.close()
    write(201, 400)
    assert database.size_bytes() < 2 * bound
