"""Through the pipeline: a moved threshold is told, kept and taken up again."""

import json
from dataclasses import replace

import numpy as np
import pytest

from edge_agent.records import Profile
from edge_agent.service.health import status_payload
from tests.support.ramp_machine import (
    DAY_ROWS,
    drifting_rows,
    feed_rows,
    ramp_pipeline,
    ramp_profile,
)


@pytest.fixture
def profile() -> Profile:
    return ramp_profile()


def test_scores_are_told_by_the_threshold_in_use(profile: Profile) -> None:
    line = ramp_pipeline(profile)
    rows = drifting_rows(20)
    _, scores, alarms = feed_rows(line, rows)
    ratio = line.statuses()["press"].threshold_ratio
    assert ratio is not None
    assert ratio > 1.0
    assert scores[-1] == pytest.approx(rows[-1] / ratio, rel=0.01)
    assert alarms <= 1


def test_a_machine_whose_threshold_has_moved_far_is_told_to_have_drifted(profile: Profile) -> None:
    line = ramp_pipeline(profile)
    noise = np.random.default_rng(3).normal(0.75, 0.02, 30 * DAY_ROWS)
    rows = (noise * (1.0 + 1.5 * np.arange(len(noise)) / len(noise))).astype(np.float32)
    drifted = []
    for at in range(0, len(rows), DAY_ROWS):
        feed_rows(line, rows[at : at + DAY_ROWS], start=at)
        status = line.statuses()["press"]
        told = json.loads(
            status_payload(
                agent="a", version="1", online=True, model="m", provider="cpu", machines={"press": status}
            )
        )
        drifted.append((status.threshold_ratio, told["machines"]["press"].get("drifted", False)))
    assert drifted[-1][0] > 1.5
    assert [said for _, said in drifted] == [ratio > 1.5 for ratio, _ in drifted]
    assert not drifted[5][1]


def test_switched_off_the_threshold_stays_where_it_was_learnt(profile: Profile) -> None:
    line = ramp_pipeline(profile, follow_drift=False)
    rows = drifting_rows(20)
    told, scores, _ = feed_rows(line, rows)
    assert line.statuses()["press"].threshold_ratio == 1.0
    assert scores[-1] == rows[-1]
    assert not told


def test_a_kept_profile_goes_on_with_the_moved_threshold(profile: Profile) -> None:
    rows = drifting_rows(20)
    told, _, _ = feed_rows(ramp_pipeline(profile), rows)
    again = ramp_pipeline(told[-1])
    _, scores, _ = feed_rows(again, rows[-600:], start=len(rows))
    kept = float(told[-1].memory["followed_ratio"][0])
    assert kept > 1.0
    assert scores[0] == pytest.approx(rows[-600:][len(rows[-600:]) - len(scores)] / kept, rel=0.01)


def test_a_machine_learnt_afresh_begins_at_its_new_threshold(profile: Profile) -> None:
    line = ramp_pipeline(profile)
    feed_rows(line, drifting_rows(20))
    line.install(replace(profile, learnt_ns=1))
    _, scores, _ = feed_rows(line, np.full(20, 0.5, np.float32), start=30 * DAY_ROWS)
    assert scores[-1] == pytest.approx(0.5)
