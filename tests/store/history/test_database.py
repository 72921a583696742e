"""The history is whole, bounded and brought up to date step by step; what it cannot use it leaves as it is."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.errors import DatabaseError
from edge_agent.store.history.database import DAY_NS, STEPS, HistoryDatabase, HistorySettings
from edge_agent.store.history.incident import Amendment, IncidentAction, with_actions
from edge_agent.store.history.reader import HistoryReader
from tests.support.past import AT_NS, channels, incident


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


def test_what_was_written_comes_back_the_latest_first_and_of_one_machine(path: Path) -> None:
    database, reader = HistoryDatabase(path), HistoryReader(path)
    assert reader.incidents(limit=9) == ()  # before there is a file
    one, two = incident("a", at_ns=AT_NS), incident("b", machine="fan-2", at_ns=AT_NS + DAY_NS)
    database.write({"1": one, "2": two})
    assert reader.incidents(limit=9) == (two, one)
    assert reader.incidents("pump-1", limit=9) == (one,)
    assert reader.incidents(limit=9, since_ns=AT_NS + DAY_NS) == (two,)
    assert (reader.incident("a"), reader.incident("c")) == (one, None)
    assert (reader.count(), reader.count("fan-2")) == (2, 1)


def test_an_entry_that_comes_twice_is_there_once_and_what_was_done_later_is_added(path: Path) -> None:
    database, reader = HistoryDatabase(path), HistoryReader(path)
    named = Amendment("a", IncidentAction(AT_NS + 5, "label", "anna", "bearing was dry", "bearing wear"))
    for _ in range(2):
        database.write({"1": incident("a"), "2": named, "3": Amendment("nobody's", named.action)})
    (found,) = reader.incidents(limit=9)
    assert (found.fault, found.actions) == ("bearing wear", (named.action,))


def test_one_that_opened_again_is_one_with_both_its_parts(path: Path) -> None:
    database = HistoryDatabase(path)
    first = incident("a", peak=3.0, actions=(IncidentAction(1, "ack", "anna"),))
    again = incident("a", at_ns=AT_NS + DAY_NS, peak=2.0, actions=(IncidentAction(2, "ack", "bert"),))
    database.write({"1": first})
    database.write({"2": again})
    (found,) = HistoryReader(path).incidents(limit=9)
    assert (found.alarm.onset_ns, found.closed_ns) == (first.alarm.onset_ns, again.closed_ns)
    assert (found.peak_score, found.worst.score) == (3.0, 3.0)
    assert [action.by for action in found.actions] == ["anna", "bert"]


def test_what_is_too_old_goes_and_of_too_much_the_oldest(path: Path) -> None:
    database, reader = HistoryDatabase(path), HistoryReader(path)
    settings = HistorySettings(incident_days=10, disk_bytes=20_000_000)
    heavy = bytes(100_000)
    for day in range(12):
        database.write({"1": incident(f"day-{day}", at_ns=AT_NS + day * DAY_NS)})
    database.forget_old(settings, now_ns=AT_NS + 12 * DAY_NS)
    assert [one.id for one in reader.incidents(limit=99)][-1] == "day-2"
    gone = 0
    for number in range(400):
        database.write({"1": incident(f"heavy-{number}", at_ns=AT_NS + number, window=heavy)})
        gone += database.make_room(settings)
    assert database.size_bytes() <= settings.disk_bytes
    assert gone == 400 + 10 - reader.count()
    assert reader.incident("heavy-399") is not None


def test_what_was_done_at_one_moment_is_told_in_the_order_in_which_it_was_done() -> None:
    raised, quiet, over = (IncidentAction(AT_NS, what) for what in ("raised", "unsettled", "closed"))
    named = IncidentAction(AT_NS - 1, "label", "anna")
    assert with_actions((raised, quiet), (quiet, over, named)) == (named, raised, quiet, over)


def test_each_step_takes_the_form_before_it_further_and_keeps_what_is_there(path: Path) -> None:
    for version in range(1, len(STEPS) + 1):
        path.unlink(missing_ok=True)
        old = sqlite3.connect(path)
        for step in STEPS[:version]:
            for statement in step:
                old.execute(statement)
        old.execute(f"PRAGMA user_version={version}")
        old.commit()
        old.close()
        database = HistoryDatabase(path)
        database.write({"1": incident("a")})
        database.close()
        assert HistoryReader(path).count() == 1
        assert form(path) == len(STEPS)


def test_incidents_that_an_earlier_release_kept_are_compared_by_their_index_alone(path: Path) -> None:
    hot = channels(temperature=("high", 0.8), flow=("low", 0.2))
    HistoryDatabase(path).write({"1": incident("a", channels=hot)})
    old = sqlite3.connect(path)
    old.execute("DROP INDEX incidents_alike")
    old.commit()
    old.close()
    now = replace(incident("now", channels=hot).worst, id="now")
    assert [one.incident.id for one in HistoryReader(path).similar(now, family="pumps", limit=3)] == ["a"]
    HistoryDatabase(path).write({"2": incident("b", channels=hot)})
    asked: list[str] = []
    connection = sqlite3.connect(path)
    connection.set_trace_callback(asked.append)
    HistoryReader(path)._candidates(connection, now, family="pumps", kin=())
    (plan,) = connection.execute(f"EXPLAIN QUERY PLAN {asked[0]}").fetchall()
    connection.close()
    assert "COVERING INDEX incidents_alike" in plan[-1]


def form(path: Path) -> int:
    connection = sqlite3.connect(path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return int(version)


def test_a_step_that_fails_leaves_the_form_before_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    HistoryDatabase(path).write({"1": incident("a")})
    broken = (*STEPS, ("CREATE TABLE more (id INTEGER)", "no SQL at all"))
    monkeypatch.setattr("edge_agent.store.history.database.STEPS", broken)
    with pytest.raises(DatabaseError):
        HistoryDatabase(path).write({"2": incident("b")})
    monkeypatch.undo()
    assert form(path) == len(STEPS)
    HistoryDatabase(path).write({"2": incident("b")})
    assert HistoryReader(path).count() == 2


def test_a_file_of_a_later_release_is_neither_read_nor_written_nor_moved(path: Path) -> None:
    newer = sqlite3.connect(path)
    newer.execute("CREATE TABLE other (x)")
    newer.execute(f"PRAGMA user_version={len(STEPS) + 1}")
    newer.commit()
    newer.close()
    before = path.read_bytes()
    for use in (lambda: HistoryDatabase(path).write({"1": incident("a")}), HistoryReader(path).count):
        with pytest.raises(DatabaseError, match="later release") as caught:
            use()
        assert not caught.value.corrupt
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_corrupt_file_is_told_as_that(path: Path) -> None:
    path.write_bytes(b"no database at all" * 300)
    with pytest.raises(DatabaseError) as caught:
        HistoryDatabase(path).write({"1": incident("a")})
    assert caught.value.corrupt


def test_a_file_is_read_where_the_disk_takes_no_file_beside_it(path: Path) -> None:
    database = HistoryDatabase(path)
    database.write({"1": incident("a"), "2": incident("b")})
    database.close()
    for beside in ("-wal", "-shm"):
        Path(f"{path}{beside}").unlink(missing_ok=True)
        Path(f"{path}{beside}").mkdir()  # as on a disk that is read-only: no log can be opened
    with pytest.raises(sqlite3.Error):
        sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True).execute(
            "SELECT count(*) FROM incidents"
        ).fetchone()
    assert HistoryReader(path).count() == 2


def test_the_most_alike_of_its_machine_and_its_type_are_found_and_no_other(path: Path) -> None:
    database, reader = HistoryDatabase(path), HistoryReader(path)
    hot = channels(temperature=("high", 0.8), flow=("low", 0.2))
    told = {
        "same": incident("same", channels=hot),
        "kin": incident("kin", machine="pump-2", family="other", channels=hot, fault="dry bearing"),
        "family": incident(
            "family", machine="pump-3", channels=channels(temperature=("high", 0.6), flow=("low", 0.4))
        ),
        "cold": incident("cold", channels=channels(temperature=("low", 0.8), flow=("high", 0.2))),
        "else": incident("else", channels=channels(vibration=("noisier", 1.0))),
        "foreign": incident("foreign", machine="oven", family="oven", channels=hot),
    }
    database.write(told)
    now = replace(incident("now", channels=hot).worst, id="now")
    found = reader.similar(now, family="pumps", kin=("pump-2",), limit=3)
    assert [one.incident.id for one in found] == ["kin", "same", "family"]
    assert found[0].likeness == pytest.approx(1.0)
    assert reader.similar(told["same"].worst, family="", limit=3) == ()
