"""A machine is learnt anew beside the profile that watches it, and a new channel is learnt, not turned away."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_agent.diagnose.fault_library import Case, FaultLibrary
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import Compared, StepResults
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Frame
from tests.support import tiny
from tests.support.frames import frames_of, undecoded

ROWS = 400
SETTINGS = PipelineSettings(commission_rows=ROWS, channels_limit=40)
OLD = ("flow", "pressure")
ALL = ("flow", "pressure", "heat")


def rows(count: int, *, seed: int, channels: int = 2, shift: float = 0.0) -> np.ndarray:
    """Calm rows [R, C] of a machine, `shift` higher than they were learnt."""
    rng = np.random.default_rng(seed)
    return (10 + shift + 0.5 * rng.normal(size=(count, channels))).astype(np.float32)


class Line:
    """A pipeline whose requests are learnt at once, as whoever drives it would."""

    def __init__(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        self.scorer = tiny.scorer(tiny.bundle(tmp_path_factory.mktemp("bundle")))
        self.pipeline = Pipeline(decode=undecoded, scorer=self.scorer, settings=SETTINGS)
        self.at = 0
        self.compared: list[Compared] = []
        self.alarms = 0

    def feed(self, values: np.ndarray, channels: tuple[str, ...] = OLD) -> None:
        for frame in frames_of(values, channels=channels, start=self.at, block=8):
            self.take(frame)
        self.at += len(values)

    def take(self, frame: Frame) -> None:
        step = self.pipeline.feed([frame])
        assert step.failures == ()
        for request in step.commissions:
            self.pipeline.install(learn(request, scorer=self.scorer, settings=SETTINGS))
        for request in step.relearn:
            self.pipeline.relearner.learnt(learn(request, scorer=self.scorer, settings=SETTINGS))
        self.note(step)

    def note(self, step: StepResults) -> None:
        self.compared += step.compared
        self.alarms += sum(alarm.revision == 1 for alarm in step.alarms)

    @property
    def status(self) -> Any:
        return self.pipeline.statuses()["m"]


@pytest.fixture
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """With a machine of two channels that is learnt."""
    line = Line(tmp_path_factory)
    line.feed(rows(ROWS, seed=1))
    assert line.status.state == "ready"
    return line


def test_the_old_profile_watches_until_the_new_one_was_compared(line: Line) -> None:
    old = line.pipeline.machines["m"].profile
    line.pipeline.relearner.begin("m", why="asked", by="anna")
    line.feed(rows(ROWS, seed=2))
    assert line.status.successor.stage == "comparing"
    assert line.pipeline.machines["m"].profile is old
    line.feed(rows(80, seed=3))
    (told,) = line.compared
    assert told.favourable
    assert "windows, the old profile in" in told.told
    assert line.status.successor.stage == "waiting"
    both = line.pipeline.take_successor("m")
    assert both is not None
    assert both[1] is old
    assert line.pipeline.relearner.previous("m") is old
    line.feed(rows(80, seed=4))
    assert (line.status.successor, line.status.previous, line.alarms) == (None, True, 0)


def test_the_rows_of_an_alarm_are_not_learnt_unless_somebody_says_that_the_machine_is_fine(
    line: Line,
) -> None:
    line.pipeline.relearner.begin("m", why="asked")
    line.feed(rows(100, seed=2))
    line.feed(rows(60, seed=3, shift=8.0))
    assert line.alarms == 1
    assert line.status.successor.paused
    gathered = line.pipeline.relearner.get("m").rows.store.kept.values
    assert gathered.max() < 14, "no row since the alarm began"
    assert 20 <= line.status.successor.rows <= 100
    line.pipeline.relearner.begin("m", why="asked", always=True)
    line.feed(rows(ROWS + 80, seed=4, shift=8.0))
    assert line.compared[-1].favourable
    line.pipeline.take_successor("m")
    line.feed(rows(1000, seed=5, shift=8.0))
    assert line.status.open_alarm is None, "what it does now is normal"


def test_a_new_channel_is_shown_and_learnt_beside_the_old_profile(line: Line) -> None:
    line.feed(rows(50, seed=2, channels=3), ALL)
    assert line.status.successor.new == ("heat",)
    assert line.status.successor.why == "new channels"
    assert line.pipeline.ledger.values_rejected == {}
    line.feed(rows(ROWS + 80, seed=3, channels=3), ALL)
    assert line.compared[0].favourable
    line.pipeline.take_successor("m")
    line.feed(rows(150, seed=4, channels=3), ALL)
    assert line.status.channels == ALL
    assert line.alarms == 0


def test_a_message_of_new_channels_alone_is_accepted(line: Line) -> None:
    line.take(Frame("m", ("heat",), [line.at * 10**9], [[1.0]]))
    ledger = line.pipeline.ledger
    assert (ledger.rejected, ledger.balance()) == ({}, 0)


def test_a_channel_that_is_hardly_heard_is_not_learnt_and_said_to_be(line: Line) -> None:
    line.feed(rows(1, seed=2, channels=3), ALL)
    line.feed(rows(ROWS + 1, seed=3))
    told = line.status.successor
    assert (told.stage, told.new) == ("failed", ("heat",))
    assert "heard in too few" in told.told
    line.feed(rows(1, seed=4, channels=3), ALL)
    assert line.pipeline.ledger.values_rejected == {"unknown_channel": 1}, "told, and then turned away"
    line.feed(rows(1, seed=5, channels=3), ("flow", "pressure", "speed"))
    assert line.status.successor.stage == "gathering", "another new one begins anew"


def test_a_flood_of_names_is_bounded(line: Line) -> None:
    for number in range(100):
        line.feed(rows(1, seed=number, channels=3), ("flow", "pressure", f"x{number}"))
    assert len(line.status.successor.new) == 32


def test_a_declined_channel_begins_nothing(line: Line) -> None:
    line.pipeline.relearner.decline("m", ["heat"], by="anna")
    line.feed(rows(5, seed=2, channels=3), ALL)
    assert (line.status.successor.stage, line.status.successor.told) == (
        "failed",
        "not learnt: anna keeps the old profile",
    )


def test_a_next_profile_that_does_not_see_a_named_fault_waits_for_a_person(line: Line) -> None:
    shifted = rows(64, seed=9, shift=8.0).T[np.newaxis]
    case = Case("a-1", "leak", OLD, np.ascontiguousarray(shifted))
    line.pipeline.install_faults(FaultLibrary("m", (case,)))
    line.pipeline.relearner.begin("m", why="asked", always=True)
    line.feed(rows(ROWS + 80, seed=2, shift=8.0))
    (told,) = line.compared
    assert not told.favourable
    assert told.told.endswith("does not see: leak")


def test_what_is_on_its_way_goes_on_after_a_restart(
    line: Line, tmp_path_factory: pytest.TempPathFactory
) -> None:
    line.feed(rows(120, seed=2, channels=3), ALL)
    profile = line.pipeline.machines["m"].profile
    raw = line.pipeline.relearner.save("m")
    other = Line(tmp_path_factory)
    other.pipeline.install(profile)
    other.at = line.at
    assert other.pipeline.relearner.restore("m", raw, {})
    assert other.status.successor == line.status.successor
    other.feed(rows(ROWS - 119, seed=3, channels=3), ALL)
    assert other.status.successor.stage == "comparing"
    raw, learnt = other.pipeline.relearner.save("m"), other.pipeline.relearner.get("m").profile
    third = Line(tmp_path_factory)
    third.pipeline.install(profile)
    assert third.pipeline.relearner.restore("m", raw, {"m": replace(learnt)})
    assert third.status.successor.stage == "comparing"
    assert not third.pipeline.relearner.restore("m", b"\xc1", {})


def test_an_alarm_goes_on_over_a_take_over_with_another_channel(line: Line) -> None:
    line.feed(rows(ROWS + 80, seed=2, channels=3), ALL)
    line.feed(rows(40, seed=3, channels=3, shift=8.0), ALL)
    alarm = line.status.open_alarm
    assert alarm is not None
    line.pipeline.take_successor("m")
    line.feed(rows(150, seed=4, channels=3, shift=8.0), ALL)
    assert line.status.open_alarm == alarm, "the new profile sees the fault, too: one id"
    line.feed(rows(400, seed=5, channels=3), ALL)
    assert line.status.open_alarm is None


def test_a_profile_that_lacks_a_channel_waits_and_ends_what_was_said_of_it_where_a_person_takes_it(
    line: Line,
) -> None:
    line.pipeline.relearner.begin("m", why="asked")
    values = rows(ROWS + 80, seed=2)
    values[:, 1] = np.nan
    findings = []
    for frame in frames_of(values, channels=OLD, start=line.at, block=8):
        step = line.pipeline.feed([frame])
        findings += step.findings
        line.note(step)
        for request in step.relearn:
            line.pipeline.relearner.learnt(learn(request, scorer=line.scorer, settings=SETTINGS))
    line.at += len(values)
    assert [(one.fault, one.state) for one in findings] == [("missing", "open")]
    (told,) = line.compared
    assert not told.favourable
    assert told.told.endswith("does not watch: pressure")
    line.pipeline.take_successor("m")
    (frame,) = frames_of(rows(1, seed=3, channels=1), channels=("flow",), start=line.at)
    (ended,) = line.pipeline.feed([frame]).findings
    assert (ended.id, ended.state) == (findings[0].id, "closed")
