"""A threshold follows drift within its bounds, keeps its budget, and never learns a fault."""

from collections.abc import Iterable

import numpy as np
import pytest

from edge_agent.commissioning.settings import BudgetSettings
from edge_agent.commissioning.threshold import level
from edge_agent.commissioning.threshold_tracking import ThresholdTracker
from edge_agent.detect.trigger import Trigger, TriggerSettings

MINUTE_NS = 60 * 1_000_000_000
DAY_WINDOWS = 24 * 60


def tracker(memory: dict[str, np.ndarray] | None = None, **settings: float | bool) -> ThresholdTracker:
    return ThresholdTracker(
        BudgetSettings(**settings),  # type: ignore[arg-type]
        budgets_per_week=(1.0, 1.0),
        hop_ns=MINUTE_NS,
        memory=memory or {},
    )


def live(
    scores: Iterable[float], follow: ThresholdTracker, *, start: int = 0
) -> tuple[list[int], list[bool]]:
    """(windows at which alarms opened, whether one was open at each window), as the pipeline would drive both."""
    trigger, opened, in_alarm = Trigger(TriggerSettings()), [], []
    for at, score in enumerate(scores):
        now = score / float(follow.ratio[0])
        state = trigger.step(now, recent=now)
        follow.observe_window((start + at) * MINUTE_NS, np.array([score, score]), in_alarm=state != "normal")
        opened += [at] if state == "raised" else []
        in_alarm.append(trigger.active)
    return opened, in_alarm


def normal(days: int, seed: int = 0, *, spread: float = 0.05) -> np.ndarray:
    """Light-tailed normal scores; two neighbours are alike, as windows that share rows are."""
    noise = np.random.default_rng(seed).gumbel(0.4, spread, days * DAY_WINDOWS // 2)
    return np.repeat(noise, 2)


def test_nothing_moves_before_a_day_of_normal_hours() -> None:
    follow = tracker()
    live(normal(1), follow)
    assert follow.ratio.tolist() == [1.0, 1.0]


def test_the_threshold_moves_to_what_the_normal_hours_ask_for() -> None:
    follow = tracker(lowest=0.5, fall_per_day=0.5, highest=3.0)
    scores = normal(10, spread=0.03)
    live(scores, follow)
    hourly = scores.reshape(-1, 60).max(axis=1)[-72 - 3 : -3]
    assert follow.ratio[0] == pytest.approx(level(hourly, chance=1 / 168), rel=0.03)


def test_a_drifting_machine_keeps_its_budget_where_a_fixed_threshold_does_not() -> None:
    drift = 1.0 + np.linspace(0.0, 0.5, 28 * DAY_WINDOWS)
    following = fixed = 0
    for seed in range(5):
        scores = normal(28, seed) * drift
        following += len(live(scores, tracker())[0])
        fixed += len(live(scores, tracker(follow_drift=False))[0])
    assert following <= 5 * 4
    assert fixed > 3 * following


def test_a_fault_that_lasts_for_days_stays_in_alarm_and_is_not_learnt() -> None:
    follow = tracker()
    live(normal(5), follow)
    before = follow.ratio.copy()
    _, in_alarm = live(normal(10, 1) + 1.0, follow, start=5 * DAY_WINDOWS)
    assert all(in_alarm[5:])
    assert follow.ratio == pytest.approx(before, rel=0.01)


@pytest.mark.parametrize("growth_per_day", [0.02, 0.05, 0.2, 1.0])
def test_a_fault_that_grows_slowly_is_alarmed_at_the_upper_bound_at_the_latest(growth_per_day: float) -> None:
    days = int(2.0 / growth_per_day) + 3
    scores = normal(days, spread=0.01) + growth_per_day * np.arange(days * DAY_WINDOWS) / DAY_WINDOWS
    opened, in_alarm = live(scores, tracker(highest=1.5))
    assert opened
    assert scores[opened[0]] <= 1.5 * 1.05
    assert in_alarm[-1]


def test_it_moves_no_faster_than_allowed_and_never_out_of_its_bounds() -> None:
    follow = tracker(rise_per_day=0.05, highest=1.2)
    ratios = []
    for day in range(20):
        live(np.full(DAY_WINDOWS, 0.99) * follow.ratio[0], follow, start=day * DAY_WINDOWS)
        ratios.append(float(follow.ratio[0]))
    steps = np.array(ratios[1:]) / np.array(ratios[:-1])
    assert steps.max() <= 1.05 + 1e-9
    assert max(ratios) <= 1.2


def test_the_threshold_for_a_plain_step_has_a_bound_of_its_own() -> None:
    follow = ThresholdTracker(
        BudgetSettings(rise_per_day=1.0, highest=3.0, highest_step=1.1),
        budgets_per_week=(0.15, 0.5, 1.0),
        hop_ns=MINUTE_NS,
        memory={},
    )
    for at in range(12 * DAY_WINDOWS):
        follow.observe_window(at * MINUTE_NS, np.full(3, 2.0), in_alarm=False)
    assert follow.ratio == pytest.approx([2.0, 1.1, 2.0])


def test_what_was_kept_under_wider_bounds_is_brought_within_the_present_ones() -> None:
    kept = {"followed_ratio": np.array([2.5, 1.4, 2.5]), "followed_peaks": np.empty((0, 3))}
    settings = BudgetSettings(highest=2.0, highest_step=1.1)
    follow = ThresholdTracker(settings, budgets_per_week=(0.15, 0.5, 1.0), hop_ns=MINUTE_NS, memory=kept)
    assert follow.ratio.tolist() == [2.0, 1.1, 2.0]


def test_the_hours_beside_an_alarm_do_not_count() -> None:
    quiet, growing = np.full(60, 0.5), np.full(60, 0.97)
    follow = tracker(lowest=0.5, rise_per_day=1.0, fall_per_day=0.9)
    fault = np.concatenate([growing, growing, np.full(240, 3.0), growing])
    scores = np.concatenate([np.tile(quiet, 30), fault, np.tile(quiet, 30)])
    live(scores, follow)
    assert np.concatenate([follow.arrays()["followed_peaks"]]).max() == pytest.approx(0.5)


def test_a_short_alarm_hardly_over_the_threshold_raises_it_and_a_clear_one_does_not() -> None:
    ratios = {}
    for height in (1.1, 4.0):
        follow = tracker(rise_per_day=1.0)
        scores = normal(7, spread=0.04)
        for at in range(DAY_WINDOWS + 30, len(scores), DAY_WINDOWS // 3):
            scores[at : at + 4] = height
        live(scores, follow)
        ratios[height] = float(follow.ratio[0])
    assert ratios[1.1] > ratios[4.0]


def test_a_restart_goes_on_where_the_last_run_left_off() -> None:
    scores = normal(12) * 1.6
    whole = tracker()
    live(scores, whole)
    first = tracker()
    live(scores[: 6 * DAY_WINDOWS], first)
    second = tracker(first.arrays())
    assert second.ratio == pytest.approx(first.ratio)
    live(scores[6 * DAY_WINDOWS :], second, start=6 * DAY_WINDOWS)
    assert second.ratio == pytest.approx(whole.ratio, rel=0.02)


def test_another_budget_moves_the_threshold_at_once_by_what_the_normal_hours_ask_for() -> None:
    follow = tracker()
    live(normal(20, spread=0.1), follow)
    before = follow.in_use.copy()
    follow.adopt(BudgetSettings(), budgets_per_week=(0.01, 0.01), factors=np.ones(2))
    assert (follow.in_use > 1.05 * before).all()
    follow.adopt(BudgetSettings(), budgets_per_week=(1.0, 1.0), factors=np.ones(2))
    assert follow.in_use == pytest.approx(before)


def test_a_factor_of_the_budget_is_no_drift() -> None:
    follow = ThresholdTracker(
        BudgetSettings(), budgets_per_week=(1.0, 1.0), hop_ns=MINUTE_NS, memory={}, factors=(2.0, 0.9)
    )
    assert follow.ratio.tolist() == [1.0, 1.0]
    assert follow.in_use.tolist() == [2.0, 0.9]
