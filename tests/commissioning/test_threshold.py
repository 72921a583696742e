"""The threshold keeps the operator's budget on fresh normal scores, and says so with few of them."""

import numpy as np
import pytest

from edge_agent.commissioning.threshold import threshold

WEEK_WINDOWS = 60_480


def smooth_noise(rng: np.random.Generator, size: int) -> np.ndarray:
    """Normal scores of overlapping windows: exponential-tailed and correlated."""
    noise = rng.exponential(size=size + 15)
    return np.convolve(noise, np.ones(16) / 16, mode="valid")


def alarms(scores: np.ndarray, level: float) -> int:
    above = scores > level
    return int(np.sum(above[1:] & ~above[:-1]))


def test_one_day_of_normal_scores_keeps_one_false_alarm_a_week() -> None:
    rng = np.random.default_rng(11)
    kept = []
    for _ in range(20):
        scores = smooth_noise(rng, WEEK_WINDOWS // 7 + 2 * WEEK_WINDOWS)
        level = threshold(scores[: WEEK_WINDOWS // 7], windows_per_week=WEEK_WINDOWS, budget_per_week=1.0)
        kept.append(alarms(scores[WEEK_WINDOWS // 7 :], level) / 2.0)
    assert np.mean(kept) <= 1.0


def test_a_larger_budget_lowers_the_threshold() -> None:
    scores = smooth_noise(np.random.default_rng(3), 8640)
    levels = [
        threshold(scores, windows_per_week=WEEK_WINDOWS, budget_per_week=budget)
        for budget in (0.1, 1.0, 10.0)
    ]
    assert levels[0] > levels[1] > levels[2]


def test_less_normal_time_than_one_budgeted_alarm_takes_puts_every_normal_score_below_the_threshold() -> None:
    scores = np.random.default_rng(5).random(500)
    assert threshold(scores, windows_per_week=WEEK_WINDOWS, budget_per_week=1.0) >= scores.max()


def test_scores_taken_every_fifth_window_stand_for_all_windows() -> None:
    scores = smooth_noise(np.random.default_rng(7), 40_000)
    dense = threshold(scores, windows_per_week=WEEK_WINDOWS, budget_per_week=1.0)
    sparse = threshold(scores[::5], windows_per_week=WEEK_WINDOWS, budget_per_week=1.0, stride=5)
    assert sparse == pytest.approx(dense, rel=0.15)


@pytest.mark.parametrize("size", [1, 7, 30])
def test_a_handful_of_scores_gives_a_finite_threshold(size: int) -> None:
    level = threshold(np.linspace(0.0, 1.0, size), windows_per_week=WEEK_WINDOWS, budget_per_week=1.0)
    assert np.isfinite(level)
