"""An operator names an alarm; the next alarm of that kind carries the name, over restarts and in a replay."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from edge_agent.detect.off_delay import OffDelays, OffDelaySettings
from edge_agent.detect.scorer import Scorer
from edge_agent.diagnose.fault_library import FaultLibrary
from edge_agent.diagnose.fault_naming import NamingSettings, Refused
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import Labelled
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.recordings.failure_records import FailureRecord
from edge_agent.recordings.replay import Replay, commission_recording, replay
from edge_agent.recordings.tables import Recording
from edge_agent.records import Alarm, Frame, Profile, Reject
from edge_agent.signals.settings import WindowSettings

SECOND = 1_000_000_000
CHANNELS = ("flow", "pressure", "vibration")
SETTINGS = PipelineSettings(
    commission_rows=600, off_delay=OffDelaySettings(OffDelays(10.0, 10.0, 10.0), reopen_s=0.0)
)
"""Incidents that end soon: the faults follow each other closely."""
FAULT_ROWS, REST_ROWS = 120, 280
PLAN = ("gauge off", "rough", "gauge off", "rough")


def machine_rows() -> np.ndarray:
    """Normal rows to learn from, then the faults of `PLAN`, each followed by a normal stretch."""
    rng = np.random.default_rng(3)
    count = 700 + len(PLAN) * (FAULT_ROWS + REST_ROWS)
    flow = 50 + 5 * np.sin(np.arange(count) / 40) + rng.normal(0, 0.3, count)
    rows = np.stack([flow, 2 + 0.05 * flow + rng.normal(0, 0.02, count), rng.normal(1.0, 0.1, count)], axis=1)
    for number, fault in enumerate(PLAN):
        part = slice(start_of(number), start_of(number) + FAULT_ROWS)
        if fault == "gauge off":
            rows[part, 1] += 0.5
        else:
            rows[part, 2] += rng.normal(0, 0.6, FAULT_ROWS)
    return rows.astype(np.float32)


def start_of(number: int) -> int:
    return 700 + number * (FAULT_ROWS + REST_ROWS)


RECORDING = Recording("pump-1", CHANNELS, None, machine_rows(), None)


@pytest.fixture(scope="module")
def profile(scorer: Scorer) -> Profile:
    return commission_recording(RECORDING, rows=600, scorer=scorer, settings=SETTINGS)


def pipeline(scorer: Scorer, profile: Profile, *, settings: PipelineSettings = SETTINGS) -> Pipeline:
    return Pipeline(
        decode=lambda _: Reject("no_source"), scorer=scorer, settings=settings, profiles=[profile]
    )


def feed(street: Pipeline, rows: slice) -> list[Alarm]:
    said: list[Alarm] = []
    for start in range(rows.start, rows.stop, 40):
        part = slice(start, min(start + 40, rows.stop))
        times = [at * SECOND for at in range(part.start, part.stop)]
        said += street.feed([Frame("pump-1", CHANNELS, times, RECORDING.values[part])]).alarms
    return said


def during(number: int) -> slice:
    """Rows from the normal stretch before fault `number` until that after it is nearly over."""
    return slice(start_of(number) - 100, start_of(number) + FAULT_ROWS + REST_ROWS - 100)


def names(said: Sequence[Alarm]) -> list[str]:
    return [alarm.fault for alarm in said]


def taught(scorer: Scorer, profile: Profile) -> tuple[Pipeline, FaultLibrary]:
    """A pipeline whose first two alarms were named when they were over, and what it gave to be stored."""
    street = pipeline(scorer, profile)
    feed(street, slice(400, 600))
    stored = FaultLibrary("")
    for number in (0, 1):
        said = feed(street, during(number))
        assert said[-1].state == "closed"
        assert set(names(said)) <= {"unknown", "gauge off"}
        labelled = street.label("pump-1", alarm=said[-1].id, fault=PLAN[number])
        assert isinstance(labelled, Labelled)
        assert labelled.alarm is None  # nothing is open, so there is nothing to say again
        stored = labelled.library
    return street, stored


def test_the_next_alarms_carry_the_names_that_the_first_ones_got(scorer: Scorer, profile: Profile) -> None:
    street, _ = taught(scorer, profile)
    for number in (2, 3):
        said = feed(street, during(number))
        assert said[-1].fault == PLAN[number]
        assert said[-1].fault_probability > 0.5
        assert set(names(said)) <= {"unknown", PLAN[number]}
        first = names(said).index(PLAN[number])
        assert set(names(said)[first:]) == {PLAN[number]}  # once said, it stays


def test_names_survive_a_restart_even_when_they_come_before_the_profile(
    scorer: Scorer, profile: Profile
) -> None:
    _, stored = taught(scorer, profile)
    street = Pipeline(decode=lambda _: Reject("no_source"), scorer=scorer, settings=SETTINGS)
    street.install_faults(stored)
    street.install(profile)
    said = feed(street, slice(start_of(2) - 300, during(2).stop))
    assert said[-1].fault == "gauge off"


def test_an_open_alarm_that_is_named_says_so_at_once_and_keeps_it(scorer: Scorer, profile: Profile) -> None:
    street = pipeline(scorer, profile)
    said = feed(street, slice(400, start_of(0) + 60))
    labelled = street.label("pump-1", alarm=said[-1].id, fault="gauge off")
    assert isinstance(labelled, Labelled)
    assert labelled.alarm is not None
    assert (labelled.alarm.fault, labelled.alarm.fault_probability) == ("gauge off", 1.0)
    assert labelled.alarm.revision == said[-1].revision + 1
    later = feed(street, slice(start_of(0) + 60, start_of(0) + FAULT_ROWS + 150))
    assert later[-1].state == "closed"
    assert set(names(later)) == {"gauge off"}
    assert [alarm.revision for alarm in later] == list(
        range(labelled.alarm.revision + 1, labelled.alarm.revision + 1 + len(later))
    )


def test_what_cannot_be_named_is_refused_with_a_reason(scorer: Scorer, profile: Profile) -> None:
    street = pipeline(scorer, profile, settings=replace(SETTINGS, naming=NamingSettings(recent_alarms=0)))
    said = feed(street, slice(400, during(0).stop))
    outcomes = [
        street.label("pump-2", alarm=said[-1].id, fault="x"),
        street.label("pump-1", alarm="no such alarm", fault="x"),
        street.label("pump-1", alarm=said[-1].id, fault="unknown"),
    ]
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Refused)]
    assert reasons == ["unknown_machine", "unknown_alarm", "malformed"]


def played(scorer: Scorer, profile: Profile, failures: Sequence[FailureRecord]) -> Replay:
    return replay(
        RECORDING,
        scorer=scorer,
        settings=replace(SETTINGS, window=WindowSettings(hop_s=0.0)),
        profile=profile,
        failures=failures,
    )


def test_a_replay_names_alarms_after_failure_records_and_later_ones_by_what_it_learnt(
    scorer: Scorer, profile: Profile
) -> None:
    records = [
        FailureRecord("pump-1", start_of(n) * SECOND, (start_of(n) + FAULT_ROWS) * SECOND, PLAN[n])
        for n in (0, 1)
    ]
    stranger = FailureRecord("pump-9", 0, start_of(3) * SECOND, "not here")
    result = played(scorer, profile, [*records[::-1], stranger])
    assert result.named == 2
    assert result.library.faults == ("gauge off", "rough")
    for number in (2, 3):
        rows = slice(start_of(number) + 60, start_of(number) + FAULT_ROWS)
        assert result.alarm[rows].mean() > 0.8
        assert set(result.fault[rows][result.alarm[rows]]) == {PLAN[number]}
    before = slice(0, start_of(0) + FAULT_ROWS - 1)
    assert set(result.fault[before]) <= {"", "unknown"}  # nothing is known before somebody has said it


def test_without_failure_records_a_replay_is_what_it_was(scorer: Scorer, profile: Profile) -> None:
    result = played(scorer, profile, [])
    assert (result.named, result.library.cases) == (0, ())
    assert set(result.fault) <= {"", "unknown"}
