"""Minutes hold what rows and scores say, in whatever order and parts they come, and across restarts."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.records import Frame
from edge_agent.store.history.database import DAY_NS, HistoryDatabase, HistorySettings
from edge_agent.store.history.minutes import MinuteGatherer, Stretch
from edge_agent.store.history.reader import HistoryReader
from tests.support.hall import SECOND
from tests.support.past import incident

START_S = 1_800_000_000 - 1_800_000_000 % 3600
NAN = math.nan


def frame(
    rows: list[list[float]], *, at_s: int, machine: str = "pump-1", names: str = "ab", step_s: int = 1
) -> Frame:
    times = [(at_s + number * step_s) * SECOND for number in range(len(rows))]
    return Frame(machine, tuple(names), times, rows)


def scores(
    *told: float, at_s: int, machine: str = "pump-1", step_s: int = 1
) -> tuple[str, np.ndarray, np.ndarray]:
    times = np.array([(at_s + number * step_s) * SECOND for number in range(len(told))], np.int64)
    return machine, times, np.array(told, np.float32)


def take(gatherer: MinuteGatherer, *frames: Frame) -> None:
    for _ in gatherer.take_frames(frames):
        pass


@pytest.fixture
def database(tmp_path: Path) -> HistoryDatabase:
    return HistoryDatabase(tmp_path / "history.sqlite")


def write(database: HistoryDatabase, gatherer: MinuteGatherer, *, at_s: int = START_S) -> None:
    gatherer.written(database.write_minutes(gatherer, now_ns=at_s * SECOND))


@given(
    st.lists(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=2), min_size=1, max_size=30),
    st.data(),
)
def test_parts_of_a_stretch_are_the_stretch(rows: list[list[float]], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(rows)))
    whole, one, other = Stretch(), Stretch(), Stretch()
    whole.take_rows(("a", "b"), np.array(rows, np.float32))
    for part, some in ((one, rows[:at]), (other, rows[at:])):
        if some:
            part.take_rows(("b", "a"), np.array(some, np.float32)[:, ::-1])
    one.add(Stretch.unpack(None, other.names, other.pack()))
    found = dict(zip(one.names, one.sums, strict=True))
    for name, sums in zip(whole.names, whole.sums, strict=True):
        np.testing.assert_allclose(found[name], sums, rtol=1e-4, atol=1.0)


def test_a_minute_holds_the_highest_score_and_each_channels_mean_and_extremes(
    database: HistoryDatabase,
) -> None:
    gatherer, reader = MinuteGatherer(), HistoryReader(database.path)
    gatherer.take_scores([scores(0.2, 1.7, NAN, 0.4, at_s=START_S, step_s=20)])
    take(gatherer, frame([[1.0, NAN], [3.0, 5.0], [9.0, NAN]], at_s=START_S, step_s=30))
    write(database, gatherer)
    curve = reader.curve("pump-1", start_s=START_S, end_s=START_S + 120, stretch_s=60, channels=True)
    assert curve is not None
    np.testing.assert_allclose(curve.scores, [1.7, 0.4], rtol=1e-6)
    np.testing.assert_array_equal(curve.channels["a"], [[2.0, 1.0, 3.0], [9.0, 9.0, 9.0]])
    np.testing.assert_array_equal(curve.channels["b"], [[5.0, 5.0, 5.0], [NAN, NAN, NAN]])
    nobody = reader.curve("nobody", start_s=START_S, end_s=START_S + 120, stretch_s=60, channels=True)
    assert nobody is not None
    assert np.isnan(nobody.scores).all()


def test_late_rows_a_restart_and_coarser_stretches_change_nothing(database: HistoryDatabase) -> None:
    reader = HistoryReader(database.path)
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(4 * 3600 // 20, 2)).astype(np.float32)
    told = rng.uniform(0, 2, size=len(rows))
    order = np.argsort(np.arange(len(rows)) + rng.uniform(0, 12, size=len(rows)))  # up to four minutes late
    gatherer = MinuteGatherer()
    for number, at in enumerate(order):
        at_s = START_S + int(at) * 20
        take(gatherer, frame([rows[at].tolist()], at_s=at_s))
        gatherer.take_scores([scores(told[at], at_s=at_s)])
        if number % 50 == 49:
            write(database, gatherer)
        if number % 300 == 299:
            database.close()
            gatherer = MinuteGatherer()
            gatherer.restore(database.open_minutes())
    write(database, gatherer)
    for stretch_s, table in ((60, 3), (300, 15), (3600, 180)):
        end_s = START_S + 4 * 3600
        curve = reader.curve("pump-1", start_s=START_S, end_s=end_s, stretch_s=stretch_s, channels=True)
        assert curve is not None
        np.testing.assert_allclose(curve.scores, told.reshape(-1, table).max(axis=1), rtol=1e-5)
        wanted = rows[:, 0].reshape(-1, table)
        np.testing.assert_allclose(curve.channels["a"][:, 0], wanted.mean(axis=1), atol=1e-4)
        np.testing.assert_allclose(curve.channels["a"][:, 1], wanted.min(axis=1))
        np.testing.assert_allclose(curve.channels["a"][:, 2], wanted.max(axis=1))


def test_channels_that_come_one_by_one_make_one_layout(database: HistoryDatabase) -> None:
    gatherer = MinuteGatherer()
    for minute in range(6):
        at_s = START_S + 60 * minute
        for name in "abc" if minute % 2 == 0 else "cb":
            take(gatherer, frame([[1.0]], at_s=at_s, names=name))
        write(database, gatherer)
    with database.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM layouts").fetchone()[0] <= 2


def test_the_latest_moments_are_kept_for_a_quarter_of_an_hour(database: HistoryDatabase) -> None:
    gatherer = MinuteGatherer()
    gatherer.take_scores(
        [scores(0.5, 0.7, 0.1, 0.9, at_s=START_S), scores(2.0, at_s=START_S, machine="fan-2")]
    )
    write(database, gatherer)
    gatherer.take_scores([scores(0.6, 0.8, at_s=START_S + 1)])
    write(database, gatherer)
    found = HistoryReader(database.path).moments()
    assert found[START_S] == pytest.approx({"pump-1": 0.8, "fan-2": 2.0}, rel=1e-6)
    assert found[START_S + 3] == pytest.approx({"pump-1": 0.9}, rel=1e-6)
    write(database, gatherer, at_s=START_S + 1000)
    assert HistoryReader(database.path).moments() == {}


def test_old_minutes_go_with_the_days_and_the_oldest_for_want_of_room_before_any_incident(
    database: HistoryDatabase,
) -> None:
    reader = HistoryReader(database.path)
    database.write({"1": incident("a", at_ns=START_S * SECOND)})
    gatherer = MinuteGatherer()
    names = tuple(f"c{number}" for number in range(200))
    days = 2
    for minute in range(days * 1440):
        at_s = START_S + minute * 60
        for machine in ("pump-1", "fan-2"):
            take(gatherer, Frame(machine, names, [at_s * SECOND], np.ones((1, 200), np.float32)))
            gatherer.take_scores([scores(0.5, at_s=at_s, machine=machine)])
        if minute % 60 == 59:
            write(database, gatherer, at_s=at_s)
            assert database.make_room(HistorySettings(disk_bytes=20_000_000)) == 0
            assert database.size_bytes() < 20_000_000
    curve = reader.curve("fan-2", start_s=START_S, end_s=START_S + days * 86_400, stretch_s=60)
    assert curve is not None
    known = np.isfinite(curve.scores)
    assert known[-600:].all()
    assert not known[:600].any()
    assert reader.count() == 1
    database.forget_old(HistorySettings(minute_days=1), now_ns=START_S * SECOND + 3 * DAY_NS - 3600 * SECOND)
    left = reader.curve("fan-2", start_s=START_S, end_s=START_S + days * 86_400, stretch_s=60)
    assert left is not None
    assert np.isfinite(left.scores).sum() == 60


@pytest.mark.parametrize(("lasted_s", "stretch_s"), [(120, 3.0), (3600, 60.0), (6 * 3600, 120.0)])
def test_an_incident_brings_its_curve_along(
    database: HistoryDatabase, lasted_s: int, stretch_s: float
) -> None:
    gatherer = MinuteGatherer()
    told = [0.5] * 700 + [3.0] * lasted_s
    gatherer.take_scores([scores(*told, at_s=START_S - 700)])
    write(database, gatherer)
    one = incident("a", at_ns=START_S * SECOND, lasted_s=lasted_s)
    database.write({"1": one})
    (found,) = HistoryReader(database.path).incidents(limit=1)
    assert found.curve is not None
    values = found.curve.values()
    assert found.curve.stretch_s == stretch_s
    assert len(values) <= 260
    at = int((START_S + lasted_s / 2 - found.curve.start_s) // stretch_s)
    assert (values[1], values[at]) == (pytest.approx(0.5), pytest.approx(3.0))
