"""Rows of accepted states lie beside the learnt ones, bounded, and leave again by the alarm that they are of."""

import numpy as np
import pytest

from edge_agent.commissioning import accepted_rows
from edge_agent.commissioning.accepted_rows import AcceptedRows
from edge_agent.commissioning.baseline import commission

LEARNT = np.arange(80, dtype=np.float32).reshape(40, 2)


def piece(rows: int, value: float) -> np.ndarray:
    return np.full((rows, 2), value, np.float32)


def test_pieces_come_and_go_by_their_alarm() -> None:
    none = AcceptedRows.read({}, n_channels=2)
    both = none.with_pieces("a", [piece(2, 1.0), piece(1, 2.0)]).with_pieces("b", [piece(3, 3.0)])
    again = AcceptedRows.read(both.arrays(), n_channels=2)
    assert (again.starts, again.alarms) == ((0, 2, 3), ("a", "a", "b"))
    left = again.only({"b"})
    assert left.alarms == ("b",)
    assert np.array_equal(left.rows, piece(3, 3.0))
    assert again.only(set()).alarms == ()


def test_learnt_and_accepted_rows_are_joined_where_no_window_bridges_them() -> None:
    accepted = AcceptedRows.read({}, n_channels=2).with_pieces("a", [piece(2, 1.0), piece(3, 2.0)])
    memory = {**accepted_rows.kept(LEARNT, [7]), **accepted.arrays()}
    rows, seams, count = accepted_rows.together(memory, offset=np.array([1.0, 0.0], np.float32))
    assert (seams, count) == ([7, 40, 42], 5)
    assert np.array_equal(rows[:40], LEARNT + np.array([1.0, 0.0], np.float32))
    assert rows[40:42].tolist() == [[2.0, 1.0]] * 2
    assert accepted_rows.room(memory, accepted) == 10 - 5
    assert accepted_rows.room({}, accepted) is None


def test_it_is_known_whether_a_memory_was_made_of_its_rows() -> None:
    accepted = AcceptedRows.read({}, n_channels=2).with_pieces("a", [piece(2, 1.0)])
    memory = accepted.arrays()
    assert not accepted_rows.to_be_known({})
    assert accepted_rows.to_be_known(memory)
    memory |= accepted_rows.known(memory)
    assert not accepted_rows.to_be_known(memory)
    assert accepted_rows.to_be_known(memory | accepted.only(set()).arrays())


def test_of_many_rows_the_latest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepted_rows, "_LARGEST_BYTES", 80)
    found = accepted_rows.kept(LEARNT, [5, 35])
    assert np.array_equal(found["kept_rows"], LEARNT[-10:])
    assert found["kept_seams"].tolist() == [5]


def test_what_cannot_be_read_is_nothing() -> None:
    accepted = AcceptedRows.read({}, n_channels=2).with_pieces("a", [piece(2, 1.0)])
    assert AcceptedRows.read(accepted.arrays(), n_channels=3).alarms == ()
    damaged = {**accepted.arrays(), "accepted_starts": np.zeros(4, np.int64)}
    assert AcceptedRows.read(damaged, n_channels=2).alarms == ()


def test_accepted_rows_tell_nothing_of_what_is_usual() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(700, 2)).astype(np.float32)
    other = (rng.normal(size=(150, 2)) + 8.0).astype(np.float32)
    how = {"window_rows": 64, "encode": None, "budget_per_week": 1.0, "windows_per_week": 1e4, "seed": 0}
    alone = commission(rows, **how)  # type: ignore[arg-type]
    both = commission(np.concatenate([rows, other]), seams=[700], accepted_rows=150, **how)  # type: ignore[arg-type]
    for name in ("location", "scale", "view_centre", "view_spread"):
        assert np.array_equal(alone[name], both[name])
    assert both["threshold"] == pytest.approx(alone["threshold"], rel=0.15)
