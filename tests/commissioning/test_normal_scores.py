"""Kept normal scores give the thresholds that learning the same rows for another budget would have given."""

import numpy as np
import pytest

from edge_agent.commissioning.baseline import commission
from edge_agent.commissioning.normal_scores import NormalScores


def learnt(budget: float) -> dict[str, np.ndarray]:
    rows = np.random.default_rng(3).normal(size=(900, 2)).astype(np.float32)
    return dict(
        commission(
            rows, window_rows=64, encode=None, budget_per_week=budget, windows_per_week=37_800.0, seed=0
        )
    )


def test_thresholds_of_another_budget_are_those_of_learning_for_it() -> None:
    one, other = learnt(1.0), learnt(300.0)
    kept = NormalScores.read(one)
    assert kept is not None
    assert not np.array_equal(one["threshold"], other["threshold"])
    wanted = [*other["threshold"], float(other["recent_threshold"])]
    assert kept.thresholds(300.0) == pytest.approx(wanted, rel=1e-6)
    assert kept.thresholds(1.0) == pytest.approx(
        [*one["threshold"], float(one["recent_threshold"])], rel=1e-6
    )


def test_what_is_kept_is_small_and_what_cannot_be_read_is_nothing() -> None:
    arrays = learnt(1.0)
    assert sum(arrays[name].nbytes for name in arrays if name.startswith("budget_")) < 2000
    assert NormalScores.read({}) is None
    assert NormalScores.read({**arrays, "budget_peaks": np.zeros((0, 3))}) is None
    assert NormalScores.read({**arrays, "budget_look": np.zeros(2)}) is None


def test_fewer_are_expected_above_higher_limits() -> None:
    kept = NormalScores.read(learnt(1.0))
    assert kept is not None
    low, high = (kept.above_a_week(factor * kept.thresholds(1.0)) for factor in (0.7, 1.3))
    assert low > 3 * high > 0
