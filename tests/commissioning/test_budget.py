"""A budget moves thresholds by the machine's own normal scores, and says what its promise is worth."""

import numpy as np
import pytest

from edge_agent.commissioning import budget
from edge_agent.commissioning.budget import Promise
from edge_agent.commissioning.normal_scores import Look, NormalScores
from edge_agent.commissioning.settings import BudgetSettings
from edge_agent.commissioning.threshold_tracking import BLOCKS_NEEDED, ThresholdTracker

HOUR_NS = 3600 * 1_000_000_000


def memory(*, spread: float = 1.0, hours: float = 1.0) -> dict[str, np.ndarray]:
    """Of a machine with a window a second, learnt from so many hours."""
    rng = np.random.default_rng(0)
    peaks, windows = rng.gumbel(2.0, 0.2, (24, 3)), hours * 3600
    look = Look(windows, 1.0, 7 * 24 * 3600.0, 28.0, 1.0, 1.0)
    kept = NormalScores(peaks, rng.gumbel(-6.0, spread, 24), look)
    limits = kept.thresholds(1.0)
    return kept.arrays() | {"threshold": limits[:2], "recent_threshold": np.array(limits[2])}


def test_the_budget_that_was_learnt_for_changes_nothing() -> None:
    for judged in (False, True):
        assert budget.factors(memory(), 1.0, judged=judged).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("judged", [False, True])
def test_a_larger_budget_lowers_thresholds_and_a_smaller_one_raises_them(*, judged: bool) -> None:
    learnt = memory(hours=1000.0)
    factors = [budget.factors(learnt, per_week, judged=judged)[0] for per_week in (0.1, 1.0, 10.0)]
    assert factors[0] > factors[1] > factors[2]


def test_a_judge_is_moved_further_where_calm_logits_are_spread_wider() -> None:
    narrow, wide = (budget.factors(memory(spread=spread), 10.0, judged=True)[0] for spread in (0.5, 2.0))
    assert wide < narrow < 1.0
    bounded = budget.factors(memory(spread=2.0), 1e-9, judged=True)[0]
    assert bounded == pytest.approx(np.exp(1.0), rel=1e-5)


def test_a_step_that_the_judge_mutes_stays_muted_in_a_larger_budget() -> None:
    assert budget.factors(memory(hours=24.0), 100.0, judged=True)[1] == 1.0


def test_without_kept_scores_only_a_judge_is_moved() -> None:
    assert budget.factors({}, 10.0, judged=False).tolist() == [1.0, 1.0, 1.0]
    assert budget.factors({}, 10.0, judged=True)[0] < 1.0
    older = budget.promise({}, None, budget_per_week=1.0, learnt_s=3600.0, judged=False)
    assert older.expected_per_week is None
    assert "older agent" in older.plain(spent=0)["text"]


def test_a_short_look_promises_less_and_says_so() -> None:
    hour, day = (
        budget.promise(memory(hours=hours), None, budget_per_week=1.0, learnt_s=hours * 3600, judged=False)
        for hours in (1.0, 24.0)
    )
    assert hour.expected_per_week is not None
    assert day.expected_per_week is not None
    assert hour.expected_per_week > 1.0 > day.expected_per_week
    told = hour.plain(spent=2)
    assert told["text"].startswith(
        "1 false alarm a week, 2 spent in the last seven days; learnt from one hour: expect"
    )
    assert told["text"].endswith("until it has seen a day")
    assert not told["settled"]
    assert day.plain(spent=0)["settled"]


def test_after_a_day_of_service_the_promise_rests_on_its_hours() -> None:
    tracker = ThresholdTracker(
        BudgetSettings(), budgets_per_week=(0.15, 0.5, 1.0), hop_ns=HOUR_NS // 60, memory={}
    )
    before = budget.promise(memory(), tracker, budget_per_week=1.0, learnt_s=3600.0, judged=True)
    for minute in range((BLOCKS_NEEDED + 4) * 60):
        tracker.observe_window(minute * HOUR_NS // 60, np.array([0.1, 0.1, 0.1]), in_alarm=False)
    after = budget.promise(memory(), tracker, budget_per_week=1.0, learnt_s=3600.0, judged=True)
    assert not before.settled
    assert after.settled
    assert after.expected_per_week != before.expected_per_week


def test_a_promise_says_nothing_that_changes_by_the_minute() -> None:
    one, other = (Promise(1.0, expected, 90_000.0).plain(spent=0) for expected in (0.312, 0.318))
    assert one == other
