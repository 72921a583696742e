"""How grave an alarm is follows from how far, how long, how fast and of what worth, and is told from where it was."""

import math

import numpy as np
import pytest

from edge_agent.diagnose.severity import ScoreCourse, gravity
from edge_agent.records import ScoreTrend

SECOND, MINUTE, HOUR = 1_000_000_000, 60_000_000_000, 3_600_000_000_000


def history(scores: list[float], *, step_ns: int = 10 * SECOND, start_ns: int = 0) -> tuple[ScoreCourse, int]:
    """A history of these scores, and the time of the last."""
    found = ScoreCourse()
    for at, score in enumerate(scores):
        found.add(score, time_ns=start_ns + at * step_ns)
    return found, start_ns + (len(scores) - 1) * step_ns


def growing(per_hour: float, *, hours: float, noise: float = 0.2, begin: float = 1.5) -> list[float]:
    count = round(hours * 360)
    rng = np.random.default_rng(0)
    return (begin * per_hour ** (np.arange(count) / 360) * np.exp(noise * rng.normal(size=count))).tolist()


def test_a_score_that_grows_is_told_with_what_it_was_an_hour_ago() -> None:
    found, now_ns = history(growing(1.8, hours=3))
    trend = found.trend(now_ns=now_ns)
    assert trend.per_hour == pytest.approx(1.8, rel=0.1)
    assert trend.before_ns == pytest.approx(now_ns - HOUR, abs=15 * MINUTE)
    assert trend.before == pytest.approx(1.5 * 1.8**2, rel=0.2)
    assert trend.level == pytest.approx(1.5 * 1.8**3, rel=0.25)


def test_a_score_that_falls_is_told_as_well() -> None:
    found, now_ns = history(growing(0.5, hours=2, begin=8.0))
    assert found.trend(now_ns=now_ns).per_hour == pytest.approx(0.5, rel=0.1)


def test_a_score_that_stays_grows_not_however_noisy_it_is() -> None:
    for noise in (0.05, 0.5):
        found, now_ns = history(growing(1.0, hours=5, noise=noise))
        assert found.trend(now_ns=now_ns).per_hour is None


def test_slow_growth_is_found_within_a_day() -> None:
    found, now_ns = history(growing(1.05, hours=24, noise=0.3))
    assert found.trend(now_ns=now_ns).per_hour == pytest.approx(1.05, rel=0.02)


def test_a_young_alarm_has_no_trend() -> None:
    found, now_ns = history([2.0] * 30)
    assert found.trend(now_ns=now_ns) == ScoreTrend(pytest.approx(2.0))


def test_one_wild_window_makes_nothing_grave() -> None:
    calm, _ = history([1.2] * 30)
    wild, now_ns = history([1.2] * 29 + [30.0])
    assert calm.level < wild.level < 2.0
    lasting, _ = history([1.2] * 10 + [30.0] * 20)
    assert lasting.level > 20.0
    assert gravity(wild.trend(now_ns=now_ns), lasted_ns=0, weight=1.0) < 2.0


def test_what_is_remembered_is_bounded_and_outlives_a_restart() -> None:
    found, now_ns = history(growing(1.02, hours=100, noise=0.1)[::6], step_ns=MINUTE)
    assert len(found.save().means) <= 42
    again = ScoreCourse()
    again.restore(found.save())
    assert again.trend(now_ns=now_ns) == found.trend(now_ns=now_ns)
    for one in (found, again):
        one.add(9.0, time_ns=now_ns + 10 * MINUTE)
    assert again.trend(now_ns=now_ns) == found.trend(now_ns=now_ns)


def test_a_clock_that_is_set_back_begins_anew() -> None:
    found, _ = history([3.0] * 1000, start_ns=10 * HOUR)
    found.add(3.0, time_ns=0)
    assert [one.start_ns for one in found.save().means] == [0]
    assert found.trend(now_ns=0).before is None


@pytest.mark.parametrize(
    ("minutes", "times"), [(0, 1.0), (15, 1.0), (60, 1.25), (240, 1.5), (3840, 2.0), (100_000, 2.0)]
)
def test_what_lasts_is_graver(minutes: int, times: float) -> None:
    assert gravity(ScoreTrend(1.5), lasted_ns=minutes * MINUTE, weight=1.0) == pytest.approx(1.5 * times)


def test_what_grows_and_what_costs_more_is_graver_and_what_falls_is_not_lighter() -> None:
    assert gravity(ScoreTrend(2.0, per_hour=1.5), lasted_ns=0, weight=2.0) == pytest.approx(6.0)
    assert gravity(ScoreTrend(2.0, per_hour=50.0), lasted_ns=0, weight=1.0) == pytest.approx(6.0)
    assert gravity(ScoreTrend(2.0, per_hour=0.2), lasted_ns=0, weight=0.5) == pytest.approx(1.0)
    assert math.isfinite(gravity(ScoreTrend(0.0), lasted_ns=-5, weight=1.0))
