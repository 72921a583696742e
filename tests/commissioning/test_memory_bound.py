"""A machine's width costs windows, then relations, and never more memory than learning may take."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import ROOT
from edge_agent.commissioning.memory_bound import LearningPlan, plan
from edge_agent.config.file import defaults
from edge_agent.errors import CommissionError

MOST = 4000
LEARNING_BYTES = defaults().limits.learning_bytes


@given(st.integers(100, 1_000_000), st.integers(1, 5000), st.integers(50_000_000, 10**10))
def test_what_is_planned_fits_and_what_is_refused_does_not(rows: int, channels: int, limit: int) -> None:
    least = LearningPlan(100, relations=False).bytes(rows, channels)
    if least > limit:
        with pytest.raises(CommissionError, match=r"limits\.learning_bytes"):
            plan(rows, channels, most_windows=MOST, limit_bytes=limit)
        return
    chosen = plan(rows, channels, most_windows=MOST, limit_bytes=limit)
    assert chosen.bytes(rows, channels) <= limit
    assert 100 <= chosen.most_windows <= MOST


@pytest.mark.parametrize(("channels", "rows"), [(1, 300), (8, 3600), (40, 3600), (60, 300), (8, 86_400)])
def test_ordinary_machines_are_learnt_as_ever(channels: int, rows: int) -> None:
    chosen = plan(rows, channels, most_windows=MOST, limit_bytes=LEARNING_BYTES)
    assert chosen.relations
    assert chosen.most_windows >= min(MOST, rows)


def test_the_widest_machine_that_the_defaults_allow_is_learnt_without_relations() -> None:
    assert not plan(3600, 256, most_windows=MOST, limit_bytes=LEARNING_BYTES).relations
    assert plan(3600, 110, most_windows=MOST, limit_bytes=LEARNING_BYTES).relations


def test_learning_a_wide_machine_takes_no_more_than_was_reckoned() -> None:
    asked = [sys.executable, "-m", "benchmarks.performance.learning_memory", "250", "300"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert "refused" not in told
    assert told["took_mb"] <= told["reckoned_mb"]
    assert told["reckoned_mb"] <= LEARNING_BYTES / 1e6
