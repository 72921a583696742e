"""A machine that stands still, and never did while it was learnt, is told once and alarms nobody meanwhile."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import msgspec
import numpy as np
import pytest

from edge_agent.alarms import payload as alert
from edge_agent.detect.scorer import Scorer
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.machine import Memento
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import StepResults
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Alarm, Profile
from edge_agent.sensors.standstill import StateSettings
from tests.support import statistics
from tests.support.frames import SECOND, frames_of, undecoded
from tests.support.shift_machine import CHANNELS, PERIOD_S, shift_rows

LEARNT = 1500
STOP, START, END = 300, 900, 1700
"""Rows after the learnt ones at which the machine is stopped, started, and no longer heard."""
SETTINGS = PipelineSettings(commission_rows=LEARNT)
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/alert.schema.json").read_text())


def learnt_from(run: np.ndarray, scorer: Scorer) -> Profile:
    pipeline = Pipeline(decode=undecoded, scorer=scorer, settings=SETTINGS)
    rows = frames_of(shift_rows(run, seed=0), channels=CHANNELS, block=100, period_ns=PERIOD_S * SECOND)
    (request,) = [one for frame in rows for one in pipeline.feed([frame]).commissions]
    return learn(request, scorer=scorer, settings=SETTINGS)


@pytest.fixture(scope="module")
def scorer(scorer: Scorer) -> Scorer:  # what is told of alarms that last does not depend on the network
    return statistics.alone(scorer)


@pytest.fixture(scope="module")
def profile(scorer: Scorer) -> Profile:
    return learnt_from(np.ones(LEARNT), scorer)


def shift(end: int = END) -> np.ndarray:
    run = np.ones(end)
    run[STOP:START] = 0
    return shift_rows(run, seed=1)


def ready(scorer: Scorer, profile: Profile, *, standstill: str = "notice") -> Pipeline:
    settings = PipelineSettings(commission_rows=LEARNT, state=StateSettings(standstill))  # type: ignore[arg-type]
    return Pipeline(decode=undecoded, scorer=scorer, settings=settings, profiles=[profile])


def watch(pipeline: Pipeline, values: np.ndarray, *, block: int = 8, start: int = 5000) -> list[StepResults]:
    frames = frames_of(values, channels=CHANNELS, block=block, start=start, period_ns=PERIOD_S * SECOND)
    return [pipeline.feed([frame]) for frame in frames]


def said(steps: list[StepResults]) -> list[tuple[str, str, str, int]]:
    """(kind, fault, state, row) of what was told."""
    told: list[Alarm] = [one for step in steps for one in (*step.findings, *step.alarms)]
    return [(one.kind, one.fault, one.state, one.time_ns // SECOND // PERIOD_S - 5000) for one in told]


@pytest.mark.parametrize("block", [1, 64, 1024])
def test_a_standstill_is_one_notice_that_ends_by_itself_and_the_stops_own_alarm_is_over_with_it(
    scorer: Scorer, profile: Profile, block: int
) -> None:
    told = said(watch(ready(scorer, profile), shift(), block=block))
    notices = [one[1:] for one in told if one[0] == "state"]
    assert [one[:2] for one in notices] == [("standstill", "open"), ("standstill", "closed")]
    assert STOP + 20 <= notices[0][2] <= STOP + 80
    assert START + 30 <= notices[1][2] <= START + 80
    alarms = [one for one in told if one[0] == "machine"]
    assert alarms[-1][1:3] == ("standstill", "closed")
    assert all(STOP <= one[3] <= notices[0][2] + block for one in alarms)
    assert {one[0] for one in told} == {"state", "machine"}  # and no sensor is broken because it is quiet


def test_what_it_says_is_known_to_the_schema_and_says_since_when(scorer: Scorer, profile: Profile) -> None:
    told = [one for step in watch(ready(scorer, profile), shift()) for one in step.findings]
    for notice in told:
        jsonschema.validate(alert.to_payload(notice, agent="a"), SCHEMA)
    assert told[0].severity == "notice"
    assert STOP - 5 <= told[0].onset_ns // SECOND // PERIOD_S - 5000 <= STOP + 50
    assert "has stood still since Thu" in alert.to_payload(told[0], agent="a")["summary"]


def test_a_fault_after_the_return_is_an_alarm_again(scorer: Scorer, profile: Profile) -> None:
    values = shift()
    values[START + 500 :, 4] *= 2.5
    told = said(watch(ready(scorer, profile), values))
    assert told[-1][0] == "machine"
    assert told[-1][2] == "open"
    assert START + 500 <= told[-1][3] <= END


def test_an_alarm_from_before_the_stop_stays(scorer: Scorer, profile: Profile) -> None:
    values = shift(START)
    values[60:STOP, 4] *= 2.5
    pipeline = ready(scorer, profile)
    told = said(watch(pipeline, values))
    opened = [one for one in told if one[0] == "machine" and one[2] == "open"]
    assert 127 <= opened[0][3] <= 140  # its first window ends with row 127
    assert [one for one in told if one[2] == "closed"] == []
    assert [one.kind for one in (*pipeline.machines.open_alarms(), *pipeline.machines.open_findings())] == [
        "machine",
        "state",
    ]


@pytest.fixture(scope="module")
def with_stops(scorer: Scorer) -> Profile:
    """Of a machine that stood still for 200 rows while it was learnt."""
    run = np.ones(LEARNT)
    run[500:700] = 0
    return learnt_from(run, scorer)


def test_a_stop_like_one_that_was_learnt_is_scored_as_usual(scorer: Scorer, with_stops: Profile) -> None:
    run = np.ones(1100)
    run[STOP : STOP + 400] = 0
    told = said(watch(ready(scorer, with_stops), shift_rows(run, seed=1)))
    assert [one for one in told if one[0] == "state"] == []


@pytest.mark.parametrize("stopped_at", [None, STOP + 400])
def test_a_stop_three_times_as_long_as_any_that_was_learnt_is_told(
    scorer: Scorer, with_stops: Profile, stopped_at: int | None
) -> None:
    run = np.ones(1400)
    run[STOP : STOP + 900] = 0
    values, pipeline = shift_rows(run, seed=1), ready(scorer, with_stops)
    steps = watch(pipeline, values[:stopped_at])
    if stopped_at is not None:
        assert "state" not in {one[0] for one in said(steps)}
        after = ready(scorer, with_stops)
        assert after.restore(pipeline.memento("m"), pipeline.buffer_state("m"))
        after.recall([])
        steps = watch(after, values[stopped_at:], start=5000 + stopped_at)
    notices = [one[1:] for one in said(steps) if one[0] == "state"]
    assert [one[:2] for one in notices] == [("standstill", "open"), ("standstill", "closed")]
    assert STOP + 550 <= notices[0][2] <= STOP + 680
    (opened,) = [one for step in steps for one in step.findings if one.revision == 1]
    assert STOP - 5 <= opened.onset_ns // SECOND // PERIOD_S - 5000 <= STOP + 50


def test_a_machine_that_stands_when_it_has_just_been_learnt_is_given_its_time(scorer: Scorer) -> None:
    run = np.ones(LEARNT)
    run[-200:] = 0
    pipeline = Pipeline(decode=undecoded, scorer=scorer, settings=SETTINGS)
    watch(pipeline, shift_rows(run, seed=0), block=100, start=5000 - LEARNT)
    pipeline.install(learnt_from(run, scorer))
    assert [
        one for one in said(watch(pipeline, shift_rows(np.zeros(300), seed=1))) if one[0] == "state"
    ] == []


def test_alarm_tells_and_scores_and_off_only_scores(scorer: Scorer, profile: Profile) -> None:
    both = said(watch(ready(scorer, profile, standstill="alarm"), shift(START)))
    assert {one[0] for one in both} >= {"state", "machine"}
    assert [one for one in both if one[0] == "machine" and one[2] == "closed"] == []
    off = said(watch(ready(scorer, profile, standstill="off"), shift(START)))
    assert "state" not in {one[0] for one in off}


@pytest.mark.parametrize("stopped_at", [STOP + 100, START + 60])
def test_it_goes_on_over_a_restart(scorer: Scorer, profile: Profile, stopped_at: int) -> None:
    values, whole = shift(), ready(scorer, profile)
    expected = said(watch(whole, values, block=4))
    first, second = ready(scorer, profile), ready(scorer, profile)
    told = said(watch(first, values[:stopped_at], block=4))
    memento = msgspec.msgpack.decode(msgspec.msgpack.encode(first.memento("m")), type=Memento)
    assert second.restore(memento, first.buffer_state("m"))
    second.recall([])
    assert second.statuses()["m"].notices == first.statuses()["m"].notices
    assert told + said(watch(second, values[stopped_at:], block=4, start=5000 + stopped_at)) == expected


def test_an_older_profile_is_scored_as_before(scorer: Scorer, profile: Profile) -> None:
    memory = {name: array for name, array in profile.memory.items() if not name.startswith("still_")}
    pipeline = ready(scorer, replace(profile, memory=memory))
    assert "state" not in {one[0] for one in said(watch(pipeline, shift(START)))}
