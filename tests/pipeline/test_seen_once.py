"""What was unlike all else while a machine was learnt is listed with its time: people may say that it was a fault."""

import json
from dataclasses import replace

import numpy as np
import pytest

from edge_agent.commissioning import seen_once
from edge_agent.detect.scorer import Scorer
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Profile
from edge_agent.service.health import status_payload
from tests.support.frames import SECOND, frames_of, undecoded
from tests.support.shift_machine import CHANNELS, PERIOD_S, shift_rows

ROWS, START, EVENT, WINDOW = 3600, 5000, slice(1700, 1730), 128
SETTINGS = PipelineSettings(commission_rows=ROWS)


def learnt(values: np.ndarray, scorer: Scorer) -> Profile:
    pipeline = Pipeline(decode=undecoded, scorer=scorer, settings=SETTINGS)
    frames = frames_of(values, channels=CHANNELS, block=100, start=START, period_ns=PERIOD_S * SECOND)
    (request,) = [one for frame in frames for one in pipeline.feed([frame]).commissions]
    return learn(request, scorer=scorer, settings=SETTINGS)


@pytest.fixture(scope="module")
def profile(scorer: Scorer) -> Profile:
    run = np.ones(ROWS)
    run[EVENT] = 0
    return learnt(shift_rows(run, seed=0), scorer)


def rows_of(profile: Profile) -> list[tuple[int, int, str]]:
    """(first row, row after the last, channel) of what was seen once."""
    row_ns = PERIOD_S * SECOND
    return [
        (one.start_ns // row_ns - START, one.end_ns // row_ns - START, one.channel)
        for one in seen_once.read(profile)
    ]


def test_a_stretch_is_told_from_when_to_when_and_by_which_channel(profile: Profile) -> None:
    found = [(start, end) for start, end, channel in rows_of(profile) if channel == "speed"]
    (start, end), *others = [one for one in found if one[1] > EVENT.start]
    assert others == []
    assert EVENT.start <= start <= EVENT.start + 30
    assert EVENT.stop - 30 <= end <= EVENT.stop + WINDOW + 16


def test_status_and_status_message_tell_it(scorer: Scorer, profile: Profile) -> None:
    pipeline = Pipeline(decode=undecoded, scorer=scorer, settings=SETTINGS, profiles=[profile])
    told = pipeline.statuses()
    assert told["m"].seen_once == seen_once.read(profile)
    raw = status_payload(agent="a", online=True, version="1", model="x", provider="cpu", machines=told)
    listed = json.loads(raw)["machines"]["m"]["seen_once"]
    assert [one["channel"] for one in listed] == [one.channel for one in seen_once.read(profile)][-5:]
    assert all(one["from"] < one["to"] for one in listed)


def test_of_a_profile_of_an_older_agent_nothing_is_told(profile: Profile) -> None:
    memory = {name: array for name, array in profile.memory.items() if not name.startswith("seen_once")}
    assert seen_once.read(replace(profile, memory=memory)) == ()
