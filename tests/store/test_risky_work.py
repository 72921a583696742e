"""What killed two processes is not begun a third time; all that is no death costs nothing."""

from pathlib import Path

import pytest

from edge_agent.store.risky_work import RiskyWork


def born(folder: Path, circumstances: str = "1") -> RiskyWork:
    """The same work in a new process; the one before is simply gone."""
    work = RiskyWork(folder / "learning.json", circumstances=circumstances)
    work.load()
    return work


def die(folder: Path, subject: str) -> None:
    born(folder).begin(subject)


def test_what_was_under_way_at_two_deaths_is_given_up_and_nothing_else(tmp_path: Path) -> None:
    die(tmp_path, "wide")
    assert not born(tmp_path).given_up("wide")
    die(tmp_path, "wide")
    assert born(tmp_path).given_up("wide")
    assert born(tmp_path).given_up("wide"), "and it stays so"
    assert not born(tmp_path).given_up("pump")


def test_success_wipes_the_slate(tmp_path: Path) -> None:
    die(tmp_path, "wide")
    work = born(tmp_path)
    work.begin("wide")
    work.end("wide")
    die(tmp_path, "wide")
    assert not born(tmp_path).given_up("wide")


def test_who_is_told_to_leave_has_not_died(tmp_path: Path) -> None:
    for _ in range(3):
        work = born(tmp_path)
        work.begin("wide")
        work.leave()
        work.begin("another")  # a worker that has not noticed yet
        work.end("another")
    assert not born(tmp_path).given_up("wide")
    assert not born(tmp_path).given_up("another")


def test_a_person_or_other_circumstances_may_ask_for_another_try(tmp_path: Path) -> None:
    for _ in range(2):
        die(tmp_path, "wide")
    assert not born(tmp_path, circumstances="2").given_up("wide")
    born(tmp_path).forgive("wide")
    assert not born(tmp_path).given_up("wide")


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"deaths": 3}', b"\xff"])
def test_a_damaged_file_or_a_full_disk_stops_nothing(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "learning.json").write_bytes(raw)
    assert not born(tmp_path).given_up("wide")
    nowhere = RiskyWork(tmp_path / "learning.json" / "no folder", circumstances="1")
    nowhere.load()
    nowhere.begin("wide")
    nowhere.end("wide")
