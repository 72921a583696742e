"""Through the pipeline: a machine whose rows have moved says so, and goes on saying it after a restart."""

from dataclasses import replace

import numpy as np

from edge_agent.commissioning import drift
from edge_agent.records import Profile
from edge_agent.service.health import machine_series
from tests.support.ramp_machine import drifting_rows, feed_rows, ramp_pipeline, ramp_profile


def learnt() -> Profile:
    normal = drifting_rows(1, seed=7)
    profile = ramp_profile(**drift.reference(normal[:, np.newaxis], normal))
    return replace(profile, rows=len(normal), learnt_ns=5 * 10**9)


def test_rows_and_scores_that_have_moved_are_told_and_outlive_a_restart() -> None:
    rows = np.random.default_rng(1).normal(0.6, 0.02, 3 * 1440).astype(np.float32)  # learnt near 0.75 to 0.94
    line = ramp_pipeline(learnt())
    told, _, _ = feed_rows(line, rows)
    seen = machine_series(line.statuses(), ())["press"]
    assert seen.input_drift is not None
    assert seen.score_drift is not None
    assert min(seen.input_drift, seen.score_drift) > 1.0
    assert seen.scored_share is not None
    assert seen.scored_share > 0.95
    assert seen.learnt_s == 5.0
    again = ramp_pipeline(told[-1])
    feed_rows(again, rows[:20], start=len(rows))
    kept = machine_series(again.statuses(), ())["press"].input_drift
    assert kept is not None
    assert kept > 1.0


def test_a_profile_of_an_older_version_goes_on_without_a_figure() -> None:
    profile = learnt()
    older = {name: array for name, array in profile.memory.items() if not name.startswith("drift/")}
    line = ramp_pipeline(replace(profile, memory=older))
    feed_rows(line, drifting_rows(1))
    seen = machine_series(line.statuses(), ())["press"]
    assert (seen.input_drift, seen.score_drift) == (None, None)
    assert seen.scored_share is not None
