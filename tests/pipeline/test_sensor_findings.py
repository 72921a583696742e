"""A broken sensor is told apart from a broken machine: it is named, hidden from the score, and alarms nobody else."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from edge_agent.alarms import payload as alert
from edge_agent.detect.scorer import Scorer
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import StepResults
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Alarm, Frame, Profile
from edge_agent.signals.channel_rules import ChannelRule
from tests.support.frames import frames_of, undecoded

SECOND = 1_000_000_000
CHANNELS = ("flow", "pressure", "vibration", "temperature")
RULES = (ChannelRule(channel="temperature", low=0.0, high=150.0),)
SETTINGS = PipelineSettings(commission_rows=1200, channel_rules=RULES)
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/alert.schema.json").read_text())
FAULT_AT = 200


def rows(count: int, *, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    flow = 50 + 5 * np.sin(np.arange(count) / 40) + rng.normal(0, 0.3, count)
    pressure = 2 + 0.05 * flow + rng.normal(0, 0.02, count)
    temperature = 60 + rng.normal(0, 0.2, count)
    return np.stack([flow, pressure, rng.normal(1.0, 0.1, count), temperature], axis=1)


@pytest.fixture(scope="module")
def profile(scorer: Scorer) -> Profile:
    pipeline = Pipeline(decode=undecoded, scorer=scorer, settings=SETTINGS)
    requests = pipeline.feed(frames_of(rows(1200, seed=0), start=0, block=100, channels=CHANNELS)).commissions
    return learn(requests[0], scorer=scorer, settings=SETTINGS)


def ready(scorer: Scorer, profile: Profile) -> Pipeline:
    return Pipeline(decode=undecoded, scorer=scorer, settings=SETTINGS, profiles=[profile])


def watch(scorer: Scorer, profile: Profile, values: np.ndarray, *, block: int) -> list[StepResults]:
    pipeline = ready(scorer, profile)
    return [pipeline.feed([frame]) for frame in frames_of(values, start=2000, block=block, channels=CHANNELS)]


def findings(steps: list[StepResults]) -> list[Alarm]:
    return [finding for step in steps for finding in step.findings]


def frozen(values: np.ndarray, at: slice) -> None:
    values[at, 1] = values[at.start, 1]


def missing(values: np.ndarray, at: slice) -> None:
    values[at, 1] = np.nan


def in_psi(values: np.ndarray, at: slice) -> None:
    values[at, 1] *= 14.5038


def smoothed(values: np.ndarray, at: slice) -> None:
    padded = np.concatenate([values[at.start - 16 : at.start, 1], values[at, 1]])
    values[at, 1] = np.convolve(padded, np.ones(16) / 16, "valid")[1:]


BREAKS = {"frozen": frozen, "missing": missing, "unit changed": in_psi, "noise gone": smoothed}


@pytest.mark.parametrize("finding", BREAKS)
@pytest.mark.parametrize("block", [1, 64, 1024])
def test_a_broken_sensor_is_named_once_and_no_machine_alarm_is_raised(
    scorer: Scorer, profile: Profile, finding: str, block: int
) -> None:
    values = rows(900, seed=5)
    BREAKS[finding](values, slice(FAULT_AT, 500))
    steps = watch(scorer, profile, values, block=block)
    assert [(one.fault, one.state, one.kind) for one in findings(steps)] == [
        (finding, "open", "sensor"),
        (finding, "closed", "sensor"),
    ]
    opened, closed = findings(steps)
    assert [channel.name for channel in opened.channels] == ["pressure"]
    assert FAULT_AT <= opened.onset_ns / SECOND - 2000 <= FAULT_AT + 70
    assert 500 <= closed.time_ns / SECOND - 2000 <= 560
    assert [one for step in steps for one in step.alarms] == []


@pytest.mark.parametrize("finding", BREAKS)
@pytest.mark.parametrize("block", [1, 64])
def test_samples_that_are_lost_now_and_then_hide_no_broken_sensor(
    scorer: Scorer, profile: Profile, finding: str, block: int
) -> None:
    values = rows(900, seed=5)
    BREAKS[finding](values, slice(FAULT_AT, 600))
    values[np.random.default_rng(11).random(values.shape) < 0.05] = np.nan
    steps = watch(scorer, profile, values, block=block)
    assert [(one.fault, one.state, one.channels[0].name) for one in findings(steps)] == [
        (finding, "open", "pressure"),
        (finding, "closed", "pressure"),
    ]
    assert findings(steps)[0].onset_ns / SECOND - 2000 <= FAULT_AT + 120
    assert [one for step in steps for one in step.alarms] == []


def test_a_feature_of_a_vibration_has_no_unit_that_could_change(scorer: Scorer) -> None:
    values, names = rows(1800, seed=5), ("flow", "de.peak", "vibration", "temperature")
    pipeline = Pipeline(decode=undecoded, scorer=scorer, settings=SETTINGS)
    normal = [Frame("m", names, [t * SECOND for t in range(1200)], values[:1200].astype(np.float32))]
    learnt = learn(pipeline.feed(normal).commissions[0], scorer=scorer, settings=SETTINGS)
    pipeline.install(learnt)
    values[1400:, 1] *= 10.0
    steps = [
        pipeline.feed([Frame("m", names, [t * SECOND], values[t : t + 1].astype(np.float32))])
        for t in range(1200, 1800)
    ]
    assert findings(steps) == []
    assert [one.channels[0].name for step in steps for one in step.alarms][:1] == ["de.peak"]


def test_a_value_out_of_the_configured_range_is_a_finding(scorer: Scorer, profile: Profile) -> None:
    values = rows(600, seed=6)
    values[FAULT_AT:, 3] = 850.0 + values[FAULT_AT:, 0]
    steps = watch(scorer, profile, values, block=1)
    assert [(one.fault, one.channels[0].name) for one in findings(steps)] == [("out of range", "temperature")]
    assert [one for step in steps for one in step.alarms] == []


def test_a_sensor_that_stands_still_at_the_end_of_its_range_is_stuck(
    scorer: Scorer, profile: Profile
) -> None:
    values = rows(600, seed=6)
    values[FAULT_AT:, 3] = 150.0
    steps = watch(scorer, profile, values, block=1)
    assert [(one.fault, one.channels[0].name) for one in findings(steps)] == [
        ("stuck at limit", "temperature")
    ]


def test_many_single_broken_readings_are_a_finding_and_no_alarm(scorer: Scorer, profile: Profile) -> None:
    values = rows(600, seed=6)
    values[200:400:40, 1] = -50.0
    values[400, 1] = -90.0
    steps = watch(scorer, profile, values, block=1)
    assert [(one.fault, one.channels[0].name, one.state) for one in findings(steps)] == [
        ("spikes", "pressure", "open")
    ]
    assert "the worst -50" in alert.to_payload(findings(steps)[0], agent="a")["summary"]
    assert [one for step in steps for one in step.alarms] == []


def test_a_source_that_repeats_its_last_message_is_one_finding(scorer: Scorer, profile: Profile) -> None:
    values = rows(600, seed=6)
    values[FAULT_AT:] = values[FAULT_AT]
    assert [one.fault for one in findings(watch(scorer, profile, values, block=1))] == ["stale"]


def test_a_machine_that_is_heard_half_as_often_is_a_finding(scorer: Scorer, profile: Profile) -> None:
    pipeline = ready(scorer, profile)
    values = rows(600, seed=8).astype(np.float32)
    steps = [
        pipeline.feed([Frame("m", CHANNELS, [(2000 + 2 * t) * SECOND], [row])])
        for t, row in enumerate(values)
    ]
    assert [one.fault for one in findings(steps)] == ["rate changed"]


def test_a_machine_fault_beside_a_frozen_sensor_is_still_seen_and_says_what_its_score_rests_on(
    scorer: Scorer, profile: Profile
) -> None:
    values = rows(900, seed=7)
    values[FAULT_AT:, 1] = values[FAULT_AT, 1]
    values[500:, 2] += 3.0  # thirty normal spreads of the vibration
    steps = watch(scorer, profile, values, block=1)
    alarms = [one for step in steps for one in step.alarms]
    assert alarms
    assert alarms[0].channels[0].name == "vibration"
    assert alarms[0].hidden == ("pressure",)
    assert 500 <= alarms[0].onset_ns / SECOND - 2000 <= 520


def test_normal_rows_raise_no_findings(scorer: Scorer, profile: Profile) -> None:
    assert findings(watch(scorer, profile, rows(20_000, seed=9), block=1024)) == []


def test_findings_go_on_under_their_ids_after_a_restart(scorer: Scorer, profile: Profile) -> None:
    values = rows(700, seed=5)
    frozen(values, slice(FAULT_AT, 500))
    first = ready(scorer, profile)
    sent = frames_of(values, start=2000, block=1, channels=CHANNELS)
    opened = [one for frame in sent[:400] for one in first.feed([frame]).findings]
    second = ready(scorer, profile)
    assert second.restore(first.memento("m"), first.buffer_state("m"))
    second.recall([])
    assert second.machines.open_findings() == first.machines.open_findings() != ()
    closed = [one for frame in sent[400:] for one in second.feed([frame]).findings]
    assert [(one.id, one.revision, one.state) for one in closed] == [(opened[0].id, 2, "closed")]


def test_a_sensor_that_stands_still_is_not_well_because_the_rows_before_a_restart_are_gone(
    scorer: Scorer, profile: Profile
) -> None:
    values = rows(700, seed=5)
    frozen(values, slice(FAULT_AT, 700))
    first = ready(scorer, profile)
    sent = frames_of(values, start=2000, block=1, channels=CHANNELS)
    opened = [one for frame in sent[:500] for one in first.feed([frame]).findings]
    assert [one.state for one in opened] == ["open"]
    second = ready(scorer, profile)
    assert second.restore(first.memento("m"), None)
    second.recall([])
    assert [one for frame in sent[500:] for one in second.feed([frame]).findings] == []
    assert second.machines.open_findings() == first.machines.open_findings()


def test_findings_are_alerts_that_the_schema_knows(scorer: Scorer, profile: Profile) -> None:
    values = rows(700, seed=5)
    missing(values, slice(FAULT_AT, 500))
    for finding in findings(watch(scorer, profile, values, block=1)):
        payload = alert.to_payload(finding, agent="a")
        jsonschema.validate(payload, SCHEMA)
        assert payload["kind"] == "sensor"
        assert "pressure" in payload["summary"]


def test_old_profiles_that_know_nothing_of_sensors_are_scored_without_findings(
    scorer: Scorer, profile: Profile
) -> None:
    memory = {name: array for name, array in profile.memory.items() if not name.startswith("quality/")}
    values = rows(600, seed=5)
    frozen(values, slice(FAULT_AT, 500))
    assert findings(watch(scorer, replace(profile, memory=memory), values, block=64)) == []
