"""Through the pipeline: a machine whose rows have moved says so, and goes on saying it after a restart."""

from dataclasses import replace

import numpy as np

from edge_agent.commissioning import drift
from edge_agent.records import Profile
from edge_agent.service.health import machines_seen
from tests.pipeline.test_threshold_follows import PERIOD_NS, drifting, feed, pipeline


def learnt() -> Profile:
    calm = drifting(1, seed=7)
    memory = {
        "location": np.zeros(1, np.float32),
        "scale": np.ones(1, np.float32),
        "threshold": np.ones(2, np.float32),
        **drift.reference(calm[:, np.newaxis], calm),
    }
    return Profile("press", ("a",), memory, len(calm), PERIOD_NS, 1, "0" * 64, 5 * 10**9)


def test_rows_and_scores_that_have_moved_are_told_and_outlive_a_restart() -> None:
    rows = np.random.default_rng(1).normal(0.6, 0.02, 3 * 1440).astype(np.float32)  # learnt near 0.75 to 0.94
    line = pipeline(learnt())
    told, _, _ = feed(line, rows)
    seen = machines_seen(line.machines(), ())["press"]
    assert seen.input_drift is not None
    assert seen.score_drift is not None
    assert min(seen.input_drift, seen.score_drift) > 1.0
    assert seen.scored_share is not None
    assert seen.scored_share > 0.95
    assert seen.learnt_s == 5.0
    again = pipeline(told[-1])
    feed(again, rows[:20], start=len(rows))
    kept = machines_seen(again.machines(), ())["press"].input_drift
    assert kept is not None
    assert kept > 1.0


def test_a_profile_of_an_older_version_goes_on_without_a_figure() -> None:
    profile = learnt()
    older = {name: array for name, array in profile.memory.items() if not name.startswith("drift/")}
    line = pipeline(replace(profile, memory=older))
    feed(line, drifting(1))
    seen = machines_seen(line.machines(), ())["press"]
    assert (seen.input_drift, seen.score_drift) == (None, None)
    assert seen.scored_share is not None
