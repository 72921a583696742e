"""A machine with a meter, a door and a setting is left in peace by them, and its faults are told in words that fit."""

import json

import numpy as np
import pytest

from edge_agent.detect.scorer import Scorer
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.machine import Machine
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.results import StepResults
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Profile
from edge_agent.service.health import status_payload
from edge_agent.signals.channel_kinds import ChannelKinds
from edge_agent.signals.channel_rules import ChannelRule
from tests.support.frames import frames_of, undecoded

CHANNELS = ("load", "temperature", "energy", "door", "setting", "spare")
LOAD, TEMPERATURE, ENERGY, DOOR, SETTING, SPARE = range(len(CHANNELS))
RULES = (ChannelRule(channel="spare", low=0.0, high=1.0, kind="ignore"),)
SETTINGS = PipelineSettings(commission_rows=1200, channel_rules=RULES)


def rows(count: int, *, first: int = 0, seed: int = 0) -> np.ndarray:
    rng, time = np.random.default_rng(seed), first + np.arange(count)
    load = 10 + np.sin(time / 40) + rng.normal(0, 0.2, count)
    energy = 1000 + 0.1 * time + 0.05 * rng.random(count)
    door = (time % 400 < 10) * 1.0
    temperature = 60 + rng.normal(0, 0.2, count)
    return np.stack([load, temperature, energy, door, np.full(count, 7.0), rng.random(count)], axis=1)


@pytest.fixture(scope="module")
def profile(scorer: Scorer) -> Profile:
    pipeline = Pipeline(decode=undecoded, scorer=scorer, settings=SETTINGS)
    frames = frames_of(rows(1200), start=0, block=100, channels=CHANNELS)
    return learn(pipeline.feed(frames).commissions[0], scorer=scorer, settings=SETTINGS)


def watch(scorer: Scorer, profile: Profile, values: np.ndarray) -> tuple[StepResults, Machine]:
    pipeline = Pipeline(decode=undecoded, scorer=scorer, settings=SETTINGS, profiles=[profile])
    frames = frames_of(values, start=5000, block=len(values), channels=CHANNELS)
    return pipeline.feed(frames), pipeline.machines[profile.machine]


def profile_kinds(profile: Profile) -> tuple[str, ...]:
    """Of all but the first two channels, which are analog."""
    kinds = ChannelKinds.read(profile.memory)
    assert kinds is not None
    assert kinds.names[:ENERGY] == ("analog", "analog")
    return kinds.names[ENERGY:]


def calm() -> np.ndarray:
    return rows(900, first=5000, seed=1)


def test_kinds_are_found_and_ruled(profile: Profile) -> None:
    assert profile_kinds(profile) == ("counter", "state", "constant", "ignore")


def test_meters_doors_and_settings_are_no_fault_of_a_machine_nor_of_a_sensor(
    scorer: Scorer, profile: Profile
) -> None:
    values = calm()
    values[300:, ENERGY] -= values[300, ENERGY]  # it starts again
    values[200:, DOOR] = 1.0  # for longer than ever
    values[500:, SETTING] = 8.0
    values[100:, SPARE] = 500.0
    values[600:, SPARE] = np.nan
    values[400, TEMPERATURE] = -127.0  # one broken reading
    said, machine = watch(scorer, profile, values)
    assert {finding.kind for finding in said.findings} == {"state"}  # the setting's value was never learnt
    assert not said.alarms
    assert dict(machine.status().kinds) == dict(zip(CHANNELS[ENERGY:], profile_kinds(profile), strict=True))
    assert machine.view(1).kinds == machine.status().kinds
    raw = status_payload(
        agent="a", version="1", online=True, model="m", provider="p", machines={"press": machine.status()}
    )
    assert json.loads(raw)["machines"]["press"]["kinds"] == dict(machine.status().kinds)
    drift = machine.status().drift
    assert drift.channel not in {ENERGY, DOOR, SETTING, SPARE}


def test_a_meter_that_stands_still_is_a_finding(scorer: Scorer, profile: Profile) -> None:
    values = calm()
    values[300:500, ENERGY] = values[300, ENERGY]
    said, _ = watch(scorer, profile, values)
    told = said.findings[0]
    assert (told.fault, told.channels[0].name, told.channels[0].deviation) == ("frozen", "energy", 0.0)


def test_a_meter_that_runs_faster_is_a_fault_told_as_its_rate(scorer: Scorer, profile: Profile) -> None:
    values = calm()
    values[300:, ENERGY] += 0.1 * np.arange(600)
    said, machine = watch(scorer, profile, values)
    assert said.alarms
    guilty = said.alarms[-1].channels[0]
    assert (guilty.name, guilty.symptom) == ("energy", "high")
    assert guilty.observed == pytest.approx(2 * 0.1 * 3600, rel=0.1)
    assert guilty.normal_low < 0.1 * 3600 < guilty.normal_high < 0.15 * 3600
    shown = machine.view(10)
    assert shown.low is not None
    assert np.isnan(shown.low).tolist() == [at == ENERGY for at in range(len(CHANNELS))]


def test_a_hidden_channel_leaves_the_kinds_of_the_others(scorer: Scorer, profile: Profile) -> None:
    values = calm()
    values[300:, LOAD] = np.nan
    said, machine = watch(scorer, profile, values)
    assert [finding.fault for finding in said.findings] == ["missing"]
    assert machine.view(1).hidden == ("load",)
    assert not said.alarms
