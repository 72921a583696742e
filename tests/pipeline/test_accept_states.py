"""An alarm of a state that was never learnt can be accepted: silent from then on, and faults are found."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edge_agent
from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.detect.scorer import Scorer
from edge_agent.model.bundle import read
from edge_agent.model.profile import decode, encode
from edge_agent.pipeline.acceptance import STATE, Accepted, NotAccepted
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Alarm, Profile
from tests.support.frames import SECOND, frames_of, undecoded
from tests.support.shift_machine import CHANNELS, PERIOD_S, shift_rows

LEARNT = 3600
SETTINGS = PipelineSettings(commission_rows=LEARNT)
SLOW = 0.7
"""Share of its usual speed at which the machine runs another product."""


@pytest.fixture(scope="module")
def shipped() -> Scorer:
    return Scorer.load(read(Path(edge_agent.__file__).parent / "models" / "pretrained"), provider="cpu")


@pytest.fixture(scope="module")
def profile(shipped: Scorer) -> Profile:
    pipeline = line(shipped)
    return watch(pipeline, shift_rows(np.ones(LEARNT), seed=0), shipped, start=0)[1][0]


def line(scorer: Scorer, *profiles: Profile) -> Pipeline:
    return Pipeline(decode=undecoded, scorer=scorer, settings=SETTINGS, profiles=profiles)


def watch(
    pipeline: Pipeline, rows: np.ndarray, scorer: Scorer, *, start: int
) -> tuple[list[Alarm], list[Profile]]:
    """(first revisions of the alarms raised, profiles learnt meanwhile and installed)."""
    alarms, learnt = [], []
    for frame in frames_of(rows, channels=CHANNELS, block=4, start=start, period_ns=PERIOD_S * SECOND):
        step = pipeline.feed([frame])
        alarms += [alarm for alarm in step.alarms if alarm.revision == 1]
        for request in step.commissions:
            found = learn(request, scorer=scorer, settings=SETTINGS)
            learnt.append(replace(found, memory=ENSEMBLE.compact(found.memory)))
            pipeline.install(learnt[-1])
    return alarms, learnt


def days(*parts: tuple[int, float], seed: int) -> np.ndarray:
    return shift_rows(np.concatenate([np.full(rows, speed) for rows, speed in parts]), seed=seed)


def faulty(kind: str, speed: float) -> np.ndarray:
    rows = days((300, 1.0), (500, speed), seed=7)
    at = slice(550, None)
    if kind == "bearing":
        rows[at, 4] *= 1.6
    elif kind == "leak":
        rows[at, 3] -= 0.8
    else:
        rows[at, 0] *= 0.9
    return rows


@pytest.fixture(scope="module")
def accepted(shipped: Scorer, profile: Profile) -> tuple[Pipeline, str, Profile]:
    """A machine that has run another product once, which somebody has accepted."""
    pipeline = line(shipped, profile)
    raised, _ = watch(pipeline, days((300, 1.0), (500, SLOW), (400, 1.0), seed=1), shipped, start=5000)
    told = pipeline.machines.accept("m", alarm=raised[0].id, by="Anna", time_ns=7)
    assert isinstance(told, Accepted)
    again = pipeline.machines.accept("m", alarm=raised[0].id, by="Ben", time_ns=8)
    assert again == NotAccepted(None, "accepted before by Anna")
    _, learnt = watch(pipeline, days((40, 1.0), seed=2), shipped, start=6200)
    return pipeline, raised[0].id, learnt[0]


@pytest.mark.parametrize("seed", [3, 4])
def test_an_accepted_state_is_silent_the_next_time(
    shipped: Scorer, profile: Profile, accepted: tuple[Pipeline, str, Profile], seed: int
) -> None:
    rows = days((200, 1.0), (350, SLOW), (300, 1.0), (600, SLOW), (300, 1.0), seed=seed)
    assert watch(line(shipped, profile), rows, shipped, start=8000)[0]
    assert watch(line(shipped, accepted[2]), rows, shipped, start=8000)[0] == []


@pytest.mark.parametrize("kind", ["bearing", "leak", "slip"])
def test_faults_are_still_found(shipped: Scorer, accepted: tuple[Pipeline, str, Profile], kind: str) -> None:
    raised, _ = watch(line(shipped, accepted[2]), faulty(kind, 1.0), shipped, start=8000)
    assert raised
    assert 550 <= raised[0].onset_ns // SECOND // PERIOD_S - 8000 <= 580


def test_what_was_accepted_is_listed_survives_a_restart_and_is_taken_back(
    shipped: Scorer,
    profile: Profile,
    accepted: tuple[Pipeline, str, Profile],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    pipeline, alarm, known = accepted
    (entry,) = pipeline.machines["m"].view(1).accepted
    assert (entry.alarm, entry.fault, entry.by) == (alarm, STATE, "Anna")
    kept = decode(tmp_path_factory.mktemp("p") / "m", encode(known))
    again = line(shipped, kept)
    rows = days((200, 1.0), (350, SLOW), seed=5)
    assert watch(again, rows, shipped, start=8000) == ([], [])
    assert isinstance(again.machines.take_back(alarm), Accepted)
    _, learnt = watch(again, days((40, 1.0), seed=2), shipped, start=9000)
    assert again.machines["m"].view(1).accepted == ()
    assert watch(line(shipped, learnt[0]), rows, shipped, start=9500)[0]
    for name in ("threshold", "together_square", "in_context_threshold"):
        assert np.array_equal(learnt[0].memory[name], profile.memory[name])


def test_nothing_alarms_until_what_was_accepted_is_learnt(shipped: Scorer, profile: Profile) -> None:
    pipeline = line(shipped, profile)
    raised, _ = watch(pipeline, days((300, 1.0), (300, SLOW), seed=1), shipped, start=5000)
    assert isinstance(pipeline.machines.accept("m", alarm=raised[0].id, by="Anna", time_ns=7), Accepted)
    assert pipeline.machines["m"].condition.open_alarm is None
    rows = days((300, SLOW), seed=2)
    frames = frames_of(rows, channels=CHANNELS, block=4, start=5600, period_ns=PERIOD_S * SECOND)
    steps = [pipeline.feed([frame]) for frame in frames]  # the learner is busy elsewhere
    assert sum(len(step.commissions) for step in steps) == 1
    assert [alarm for step in steps for alarm in step.alarms] == []
    pipeline.fail("m", "it did not work")
    assert watch(pipeline, days((300, SLOW), seed=2), shipped, start=6000)[0]


def test_what_looks_like_a_named_fault_is_not_accepted(shipped: Scorer, profile: Profile) -> None:
    pipeline = line(shipped, profile)
    (alarm, *_), _ = watch(pipeline, faulty("leak", 1.0), shipped, start=5000)
    pipeline.label("m", alarm=alarm.id, fault="leak")
    named = pipeline.machines.accept("m", alarm=alarm.id, by="Anna", time_ns=7)
    assert isinstance(named, NotAccepted)
    assert named.reason == "looks_like_a_fault"
    watch(pipeline, days((700, 1.0), seed=8), shipped, start=6000)
    (second, *_), _ = watch(pipeline, faulty("leak", 1.0), shipped, start=7000)
    alike = pipeline.machines.accept("m", alarm=second.id, by="Anna", time_ns=8)
    assert isinstance(alike, NotAccepted)
    assert alike.reason == "looks_like_a_fault"


def test_what_an_older_agent_learnt_is_refused_and_so_is_what_was_hardly_seen(
    shipped: Scorer, profile: Profile
) -> None:
    older = {name: array for name, array in profile.memory.items() if name != "kept_rows"}
    for memory, rows, reason in ((older, 300, "not_acceptable"), (profile.memory, 40, "not_ready")):
        pipeline = line(shipped, replace(profile, memory=memory))
        raised, _ = watch(pipeline, days((300, 1.0), (rows, SLOW), seed=1), shipped, start=5000)
        refused = pipeline.machines.accept("m", alarm=raised[0].id, by="Anna", time_ns=7)
        assert isinstance(refused, NotAccepted)
        assert refused.reason == reason
