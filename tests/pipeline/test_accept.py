"""What people accept is known from then on: it raises neither notice nor alarm, over a restart, until it is undone."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from edge_agent.detect.scorer import Scorer
from edge_agent.pipeline import acceptance
from edge_agent.pipeline.acceptance import Acceptance, Accepted, NotAccepted
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.machine import Memento
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import StepResults
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Profile
from tests.support.frames import SECOND, frames_of, undecoded
from tests.support.shift_machine import CHANNELS, PERIOD_S, shift_rows

SETTINGS = PipelineSettings(commission_rows=1500)
STOPS = (slice(300, 500), slice(1000, 1200))
FIRST = 5000


@pytest.fixture(scope="module")
def profile(scorer: Scorer) -> Profile:
    pipeline = ready(scorer)
    frames = frames_of(
        shift_rows(np.ones(1500), seed=0), channels=CHANNELS, block=100, period_ns=PERIOD_S * SECOND
    )
    (request,) = [one for frame in frames for one in pipeline.feed([frame]).commissions]
    return learn(request, scorer=scorer, settings=SETTINGS)


def ready(scorer: Scorer, *profiles: Profile) -> Pipeline:
    return Pipeline(decode=undecoded, scorer=scorer, settings=SETTINGS, profiles=profiles)


def values() -> np.ndarray:
    run = np.ones(1500)
    for stop in STOPS:
        run[stop] = 0
    return shift_rows(run, seed=2)


def watch(pipeline: Pipeline, rows: slice) -> list[StepResults]:
    start, part = FIRST + rows.start, values()[rows]
    return [
        pipeline.feed([frame])
        for frame in frames_of(part, channels=CHANNELS, block=32, start=start, period_ns=PERIOD_S * SECOND)
    ]


def told(steps: list[StepResults]) -> list[str]:
    return [f"{one.fault} {one.state}" for step in steps for one in (*step.findings, *step.alarms)]


def restarted(pipeline: Pipeline, scorer: Scorer, profile: Profile) -> Pipeline:
    after = ready(scorer, profile)
    memento = msgspec.msgpack.decode(msgspec.msgpack.encode(pipeline.memento("m")), type=Memento)
    assert after.restore(memento, pipeline.buffer_state("m"))
    after.recall([])
    return after


def test_an_accepted_standstill_is_silent_from_then_on_until_that_is_undone(
    scorer: Scorer, profile: Profile
) -> None:
    pipeline = ready(scorer, profile)
    assert "standstill open" in told(watch(pipeline, slice(0, 450)))
    (notice,) = pipeline.machines.open_findings()
    accepted = pipeline.machines.accept("m", alarm=notice.id, by="Anna", time_ns=7)
    assert isinstance(accepted, Accepted)
    assert pipeline.machines.open_findings() == ()
    assert told(watch(pipeline, slice(450, 960))) == []
    again = pipeline.machines.accept("m", alarm=notice.id, by="Ben", time_ns=8)
    assert again == NotAccepted(None, "accepted before by Anna")
    pipeline = restarted(pipeline, scorer, accepted.profile)
    assert told(watch(pipeline, slice(960, 1150))) == []
    assert isinstance(pipeline.machines.take_back(notice.id), Accepted)
    assert told(watch(pipeline, slice(1150, 1182))) == ["standstill open"]
    assert pipeline.machines.take_back(notice.id) == NotAccepted(None, f"nothing was accepted of {notice.id}")


def test_a_notice_that_is_over_can_still_be_accepted(scorer: Scorer, profile: Profile) -> None:
    pipeline = ready(scorer, profile)
    steps = watch(pipeline, slice(0, 960))
    closing = [one for step in steps for one in step.findings if one.state == "closed"]
    assert isinstance(pipeline.machines.accept("m", alarm=closing[0].id, by="Anna", time_ns=7), Accepted)
    assert told(watch(pipeline, slice(960, 1150))) == []


def test_a_fault_of_the_running_machine_is_not_taken_for_a_stop(scorer: Scorer, profile: Profile) -> None:
    levels = dict(zip(CHANNELS, (0.0, 0.0, 30.0, 0.0, 0.1), strict=True))
    entry = Acceptance(alarm="m-1-n1", fault="standstill", by="Anna", time_ns=1, levels=levels)
    memory = {**profile.memory, **acceptance.arrays([entry])}
    pipeline = ready(scorer, replace(profile, memory=memory))
    rows = values()[:260]
    rows[180:, 4] *= 1.8
    rows[180:, 1] *= 1.15
    frames = frames_of(rows, channels=CHANNELS, block=4, start=FIRST, period_ns=PERIOD_S * SECOND)
    opened = [one for frame in frames for one in pipeline.feed([frame]).alarms]
    assert opened
    assert 180 <= opened[0].onset_ns // SECOND // PERIOD_S - FIRST <= 200


def test_what_no_notice_told_of_cannot_be_accepted(scorer: Scorer, profile: Profile) -> None:
    pipeline = ready(scorer, profile)
    refused = pipeline.machines.accept("m", alarm="m-2", by="Anna", time_ns=7)
    assert isinstance(refused, NotAccepted)
    assert refused.reason == "not_acceptable"
    nobody = pipeline.machines.accept("n", alarm="m-2", by="Anna", time_ns=7)
    assert isinstance(nobody, NotAccepted)
    assert nobody.reason == "unknown_machine"


def test_entries_that_cannot_be_read_are_no_entries() -> None:
    assert acceptance.read({"accepted_entries": np.frombuffer(b"[{", np.uint8)}) == ()
    entry = Acceptance(alarm="m-1-n1", fault="standstill", by="Anna", time_ns=1)
    assert acceptance.read(acceptance.arrays([entry])) == (entry,)
