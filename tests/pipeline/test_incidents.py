"""One fault, one incident, through the whole pipeline: how it begins, what it is while it is quiet, when it is over."""

from dataclasses import replace

import numpy as np

from edge_agent.detect.off_delay import OffDelays, OffDelaySettings
from edge_agent.diagnose import attribution
from edge_agent.pipeline.machine import Memento
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Alarm, Frame, Profile, ScoreBlock, WindowBlock
from tests.support.frames import SECOND, undecoded
from tests.support.ramp_machine import Ramp, ramp_profile

SETTINGS = PipelineSettings(
    commission_rows=100,
    off_delay=OffDelaySettings(OffDelays(120.0, 120.0, 120.0), reopen_s=300.0),
)


def profile() -> Profile:
    evidence = attribution.reference(np.linspace(0, 1, 200, dtype=np.float32)[:, np.newaxis])
    return replace(ramp_profile(**evidence), period_ns=SECOND)


def pipeline(*profiles: Profile) -> Pipeline:
    return Pipeline(decode=undecoded, scorer=Ramp(), settings=SETTINGS, profiles=profiles)  # type: ignore[arg-type]


def feed(line: Pipeline, *stretches: tuple[int, float], start: int = 0, block: int = 1) -> list[Alarm]:
    """So many rows of each score, one a second."""
    values = np.concatenate([np.full(rows, score, np.float32) for rows, score in stretches])
    said: list[Alarm] = []
    for at in range(0, len(values), block):
        part = values[at : at + block, np.newaxis]
        times = [(start + at + number) * SECOND for number in range(len(part))]
        said += line.feed([Frame("press", ("a",), times, part)]).alarms
    return said


COURSE = ((60, 0.1), (100, 2.0), (60, 0.1), (100, 2.0), (300, 0.1), (60, 2.0), (400, 0.1))


def test_a_fault_that_comes_and_goes_is_one_incident_from_its_first_loud_window_to_its_end() -> None:
    said = feed(pipeline(profile()), *COURSE)
    assert len({alarm.id for alarm in said}) == 1
    assert [alarm.revision for alarm in said] == list(range(1, len(said) + 1))
    assert said[0].onset_ns == 60 * SECOND
    changes = [(alarm.state, alarm.unsettled, alarm.reopened) for alarm in said]
    assert list(dict.fromkeys(changes)) == [
        ("open", False, 0),
        ("open", True, 0),
        ("open", False, 1),
        ("open", True, 1),
        ("closed", False, 1),
        ("open", False, 2),
        ("open", True, 2),
        ("closed", False, 2),
    ]


def test_rows_in_blocks_say_what_rows_one_by_one_say() -> None:
    assert feed(pipeline(profile()), *COURSE, block=97) == feed(pipeline(profile()), *COURSE)


def test_a_machine_is_not_normal_while_its_incident_is_unsettled_and_a_restart_changes_nothing() -> None:
    line = pipeline(profile())
    feed(line, *COURSE[:2], (60, 0.1))
    status = line.statuses()["press"]
    assert (status.unsettled, status.open_alarm is not None) == (True, True)
    memento, buffer = line.memento("press"), line.buffer_state("press")
    assert memento.decider.anomalous  # an older agent goes on with an alarm, and closes it
    other = pipeline(profile())
    assert other.restore(memento, buffer)
    rest = ((100, 2.0), (300, 0.1))
    assert feed(other, *rest, start=220) == feed(line, *rest, start=220)


CHANNELS = ("a", "speed", "flow")


class Loaded(Ramp):
    """Scores the first channel; the others say how the machine runs."""

    def _one(self, block: WindowBlock) -> ScoreBlock:
        shares = np.tile(np.array([1.0, 0.0, 0.0], np.float32), (len(block.values), 1))
        return replace(super()._one(block), channels=CHANNELS, contributions=shares)


def loaded_profile() -> Profile:
    evidence = attribution.reference(np.linspace(-1, 1, 600, dtype=np.float32).reshape(200, 3))
    place = {"location": np.zeros(3, np.float32), "scale": np.ones(3, np.float32)}
    return replace(ramp_profile(**evidence, **place), channels=CHANNELS, period_ns=SECOND)


def test_a_fault_that_does_not_show_in_idling_is_not_over_there() -> None:
    line = Pipeline(decode=undecoded, scorer=Loaded(), settings=SETTINGS, profiles=[loaded_profile()])  # type: ignore[arg-type]

    def runs(rows: int, score: float, load: float, start: int) -> list[Alarm]:
        values = np.tile(np.array([score, load, load], np.float32), (rows, 1))
        said: list[Alarm] = []
        for at in range(rows):
            time_ns = (start + at) * SECOND
            said += line.feed([Frame("press", CHANNELS, [time_ns], values[at : at + 1])]).alarms
        return said

    runs(60, 0.1, 1.0, start=0)
    assert runs(100, 2.0, 1.0, start=60)[0].state == "open"
    idle = runs(500, 0.1, -1.0, start=160)
    assert [(alarm.state, alarm.unsettled) for alarm in idle] == [("open", True)]
    assert runs(60, 2.0, 1.0, start=660)[0].reopened == 1
    assert runs(300, 0.1, 1.0, start=720)[-1].state == "closed"


def test_an_alarm_that_an_older_agent_left_open_goes_on() -> None:
    line = pipeline(profile())
    feed(line, *COURSE[:2])
    left: Memento = replace(line.memento("press"), off_delay=None)
    other = pipeline(profile())
    assert other.restore(left, line.buffer_state("press"))
    said = feed(other, (300, 0.1), start=160)
    assert said[-1].state == "closed"


def test_a_fault_that_began_while_the_machine_was_learnt_is_told_with_its_onset() -> None:
    line = pipeline()
    feed(line, (100, 0.1))
    feed(line, (50, 0.1), (40, 2.0), start=100)
    assert line.statuses()["press"].state == "learning"
    line.install(profile())
    said = feed(line, (1, 2.0), start=190)
    assert said[0].onset_ns == 150 * SECOND
    assert line.books.ledger.windows_scored == 91


def test_a_machine_that_is_learnt_anew_is_not_judged_twice() -> None:
    line = pipeline()
    feed(line, (100, 0.1))
    line.install(profile())
    feed(line, (50, 2.0), start=100)
    line.install(replace(profile(), learnt_ns=9))
    assert feed(line, (1, 2.0), start=150) == []
    assert line.books.ledger.windows_scored == 51
