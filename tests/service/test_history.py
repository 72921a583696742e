"""Nothing that closed is lost, whatever becomes of the process or of the history; and the watch goes on. No thread."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.user import FAULT_SHIFT, START_TS
from edge_agent.config.file import Config
from edge_agent.metrics.snapshot import Snapshot
from edge_agent.mqtt.inbox import Batch
from edge_agent.pipeline.results import StepResults
from edge_agent.records import Profile, ReceivedMessage
from edge_agent.service.history import HistoryPart
from edge_agent.service.page import PagePart
from edge_agent.service.turn import Clocks, Turn
from edge_agent.store.history.curves import PastCurve
from edge_agent.store.history.database import HISTORY, STEPS
from edge_agent.store.history.incident import Incident
from edge_agent.store.history.reader import HistoryReader
from tests.support.scripted_agent import AFTER, NOW_NS, STORY, ScriptedAgent, arrivals

pytestmark = pytest.mark.usefixtures("quiet_logs")


class Archive:
    """An agent with a history whose rounds the test makes."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.said: list[str] = []
        self.clock_s = 0.0
        self.agent = ScriptedAgent(config, observers=(self,))
        self.reader = HistoryReader(config.agent.state_dir / HISTORY)
        self.begin()

    def begin(self) -> None:
        clocks = Clocks(monotonic_s=lambda: self.clock_s, wall_ns=lambda: NOW_NS)
        self.part = HistoryPart(self.config, report=lambda event, **_: self.said.append(event), clocks=clocks)

    def observe_step(self, step: StepResults) -> None:
        self.part.observe_step(step)

    def observe_profile(self, profile: Profile) -> None:
        """Nothing to it."""

    def observe_forgotten(self, machine: str) -> None:
        """Nothing to it."""

    def play(self, *spans: tuple[int, int, float]) -> None:
        story = arrivals(spans)
        for at in range(0, len(story), 20):
            self.agent.turn(story[at : at + 20])

    def tell(self, name: str, **fields: Any) -> None:
        payload = json.dumps(
            {"id": f"r-{name}-{fields}"[:40].translate(_PLAIN), "by": "anna"} | fields
        ).encode()
        topic = f"agents/{self.config.agent.name}/cmd/{name}"
        self.agent.processor.process(
            Turn(Batch((), (), 0), commands=[ReceivedMessage(topic, payload, retain=False)])
        )

    def round(self) -> None:
        """What the turn hands on is written, and what is written is forgotten on the next turn."""
        self.clock_s += 1.0
        self.part.finish(self.agent.processor)
        self.part.worker.work()
        self.part.finish(self.agent.processor)
        self.agent.turn([])

    def crash(self) -> None:
        """`kill -9`: nothing but the disk is left."""
        self.part.worker._database.close()
        self.agent.crash()
        self.begin()

    def waits(self) -> list[str]:
        return sorted(
            name
            for name in self.agent.processor.state_writer.kept_values()
            if name.startswith(("history/", "incident/"))
        )

    @property
    def alarm(self) -> str:
        return next(name for name, _ in self.agent.alerts)

    def closed(self) -> Incident:
        (found,) = self.reader.incidents(limit=9)
        return found


_PLAIN = str.maketrans(dict.fromkeys(" {}':,.", "-"))


@pytest.fixture
def config(tmp_path: Path, tiny_bundle: Path) -> Config:
    return Config.model_validate(
        {
            "agent": {"name": "hall", "state_dir": tmp_path / "state"},
            "model": {"bundle": tiny_bundle},
            "commission": {"rows": 300},
            "alarms": {"off_delay_s": dict.fromkeys(("warning", "major", "critical"), 20.0)},
        }
    )


@pytest.fixture
def begin(config: Config) -> Iterator[Callable[[], Archive]]:
    begun: list[Archive] = []

    def new() -> Archive:
        begun.append(Archive(config))
        return begun[-1]

    yield new
    for archive in begun:
        archive.agent.end()


def test_what_closed_is_kept_with_its_evidence_and_who_did_what(begin: Callable[[], Archive]) -> None:
    archive = begin()
    archive.play(*STORY[:2])
    archive.tell("ack", alarm=archive.alarm, comment="on my way")
    archive.round()
    assert archive.reader.count() == 0  # it is still open
    assert archive.waits() == [f"incident/{archive.alarm}"]
    archive.play(STORY[2])
    archive.tell("label", alarm=archive.alarm, fault="worn seal", comment="exchanged")
    archive.round()
    found = archive.closed()
    assert (found.id, found.ended, found.fault) == (archive.alarm, "closed", "worn seal")
    assert [(one.what, one.by, one.comment) for one in found.actions if one.by] == [
        ("ack", "anna", "on my way"),
        ("label", "anna", "exchanged"),
    ]
    assert found.worst.channels
    assert found.worst.state == "open"
    assert found.summary.startswith("pump-1 ")
    assert found.window is not None
    assert found.window.values().shape[1] == len(found.window.channels)
    assert found.window.score <= found.peak_score * 1.1
    assert archive.waits() == []


def test_a_crash_at_any_moment_between_loses_nothing_and_doubles_nothing(
    begin: Callable[[], Archive],
) -> None:
    archive = begin()
    archive.play(*STORY[:2])
    archive.crash()  # while it is open
    archive.play(STORY[2])
    archive.crash()  # it has closed, and nobody has handed it on
    archive.part.finish(archive.agent.processor)
    archive.crash()  # it was handed on and not written
    archive.part.finish(archive.agent.processor)
    archive.part.worker.work()
    archive.crash()  # it is written, and not forgotten yet
    assert len(archive.waits()) == 1
    written = archive.closed()
    assert written.window is not None
    archive.round()
    assert archive.closed() == written
    assert archive.waits() == []


@pytest.mark.parametrize(
    ("broken", "reason"), [("newer", "later release"), ("a folder", "unable to open"), ("locked away", "")]
)
def test_where_it_cannot_be_written_the_watch_goes_on_says_so_and_loses_nothing(
    begin: Callable[[], Archive], config: Config, broken: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = begin()
    path = config.agent.state_dir / HISTORY
    if broken == "newer":
        other = sqlite3.connect(path)
        other.execute(f"PRAGMA user_version={len(STEPS) + 7}")
        other.close()
    elif broken == "a folder":
        path.mkdir()
    else:
        monkeypatch.setattr(archive.part.worker._database, "_prepare", _full)
    archive.play(*STORY)
    archive.round()
    assert archive.said == ["history_not_kept"]
    (line,) = archive.part.amiss()
    assert "1 incidents wait" in line
    assert reason in line
    assert archive.part.add_figures(Snapshot()).history.degraded
    assert len(archive.waits()) == 1
    archive.crash()  # even now
    assert len(archive.waits()) == 1
    monkeypatch.undo()
    if broken == "newer":
        assert not list(path.parent.glob("*.aside*"))
        path.unlink()
    elif broken == "a folder":
        path.rmdir()
    archive.round()
    assert archive.closed().id == archive.alarm
    assert archive.part.amiss() == ()
    assert archive.waits() == []


def _full(_connection: sqlite3.Connection) -> None:
    raise sqlite3.OperationalError("database or disk is full")


def test_what_fails_is_tried_again_with_pauses_and_its_mending_is_told(
    begin: Callable[[], Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = begin()
    monkeypatch.setattr(archive.part.worker._database, "_prepare", _full)
    archive.play(*STORY)
    for _ in range(10):
        archive.round()
    assert archive.part.worker.counts.failures == 4  # after 1, 2, 4 and 8 s
    monkeypatch.undo()
    archive.clock_s += 60
    archive.round()
    assert archive.said == ["history_not_kept", "history_recovered"]


def test_a_corrupt_history_is_set_aside_and_what_is_still_known_begins_the_new_one(
    begin: Callable[[], Archive], config: Config
) -> None:
    archive = begin()
    archive.play(*STORY)
    archive.tell("ack", alarm=archive.alarm)
    archive.round()
    archive.play((AFTER[1], AFTER[1] + 20, 0.0))  # what is forgotten goes with what is written next
    archive.crash()
    path = config.agent.state_dir / HISTORY
    path.write_bytes(b"no database at all" * 300)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    archive.round()
    archive.round()
    assert archive.said == ["history_set_aside"]
    assert path.with_name(f"{HISTORY}.aside-1").exists()
    found = archive.closed()
    assert (found.id, found.partial, found.actions[0].by) == (archive.alarm, True, "anna")
    assert "aside-1" in archive.reader.facts()["begun"]
    assert archive.part.amiss() == ()


def test_after_a_crash_the_curves_are_what_they_were_and_go_on(
    begin: Callable[[], Archive], config: Config
) -> None:
    def curve() -> PastCurve:
        found = archive.reader.curve(
            "pump-1", start_s=START_TS, end_s=START_TS + 600, stretch_s=60, channels=True
        )
        assert found is not None
        return found

    archive = begin()
    archive.play(STORY[0], (300, 350, FAULT_SHIFT))
    archive.round()
    before, moments = curve(), archive.reader.moments()
    assert np.nanmax(before.scores) > 1
    archive.crash()
    assert_same(curve(), before)
    assert archive.reader.moments() == moments
    archive.play((350, 380, FAULT_SHIFT), STORY[2])
    archive.round()
    after = archive.closed()
    assert after.curve is not None
    assert float(np.nanmax(after.curve.values())) == pytest.approx(after.peak_score, rel=1e-6)
    np.testing.assert_array_equal(curve().scores[:5], before.scores[:5])
    with sqlite3.connect(config.agent.state_dir / HISTORY) as database:
        found = database.execute("SELECT stats FROM minutes ORDER BY start").fetchall()
    whole = [float(np.frombuffer(raw, np.float32)[0]) for (raw,) in found][
        1:
    ]  # the first one begins within a minute
    assert len(whole) >= 7
    assert set(whole) == {60.0}, "no row is missing, and none counts twice"


def assert_same(one: PastCurve, other: PastCurve) -> None:
    np.testing.assert_array_equal(one.scores, other.scores)
    assert one.channels.keys() == other.channels.keys()
    for name, values in one.channels.items():
        np.testing.assert_array_equal(values, other.channels[name])


def test_what_cannot_be_written_for_long_is_bounded_in_memory_and_counted(
    begin: Callable[[], Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = begin()
    worker = archive.part.worker
    monkeypatch.setattr(worker._database, "_prepare", _full)
    monkeypatch.setattr("edge_agent.service.history._MINUTES_HELD", 3)
    monkeypatch.setattr("edge_agent.service.history._MOMENTS_HELD", 5)
    for first in range(0, 560, 70):
        archive.play((first, first + 70, 0.0))
        archive.round()
    assert len(worker._gatherer.open) <= 4
    assert len(worker._gatherer.moments) <= 5
    assert archive.part.add_figures(Snapshot()).history.rows_passed_over > 0
    monkeypatch.setattr("edge_agent.service.history._STEPS_WAITING", 2)
    archive.play((560, 640, 0.0))  # the thread stands still
    assert len(worker._steps) == 2


def test_machines_of_its_type_are_its_kin(config: Config) -> None:
    table = config.model_dump(exclude={"model"}) | {
        "machine": [{"match": "pump-*", "type": "pump"}, {"match": "fan-2", "type": "fan"}]
    }
    part = PagePart(Config.model_validate(table), report=lambda *_, **__: None)
    assert part._kin("pump-1", ["pump-1", "fan-2", "pump-2", "press"]) == ("pump-2",)
    assert part._kin("press", ["press", "oven"]) == ()


def test_it_never_touches_the_turn_where_the_worker_stands_still(begin: Callable[[], Archive]) -> None:
    archive = begin()
    archive.part.finish(archive.agent.processor)
    archive.play(*STORY)
    for _ in range(3):
        archive.part.finish(archive.agent.processor)
        archive.agent.turn([])
    assert archive.agent.processor.internal_errors == 0
    assert len(archive.waits()) == 1


def test_a_forgotten_machine_is_gone_from_the_history_too(config: Config, tmp_path: Path) -> None:
    allowed = config.model_copy(
        update={"commands": config.commands.model_copy(update={"allow": ("forget",)})}
    )
    archive = Archive(allowed)
    archive.play(*STORY[:2])
    archive.round()
    archive.tell("forget", machine="pump-1", confirm=True)
    archive.round()
    assert archive.reader.count() == 0, "its open alarm was closed, and went with it"
    assert archive.waits() == []
    with sqlite3.connect(tmp_path / "state" / HISTORY) as connection:
        for table in ("machines", "minutes", "hours", "open_minutes"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table  # noqa: S608
        peaks = connection.execute("SELECT peaks FROM moments").fetchall()
    assert not any(b"pump-1" in raw for (raw,) in peaks)
    archive.agent.end()
