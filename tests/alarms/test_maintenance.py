"""Maintenance windows begin and end when a clock on the wall says so."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.alarms.maintenance import DAYS, MaintenanceWindow, Once, Weekly, to_ns

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> int:
    return to_ns(datetime.fromisoformat(text))


NIGHT = Weekly(frozenset({5}), time(22), time(2), BERLIN)
"""Saturday night, in winter 21:00 to 01:00 UTC."""


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-11-21T20:59:59+00:00", False),
        ("2026-11-21T21:00:00+00:00", True),
        ("2026-11-22T00:59:59+00:00", True),  # Sunday, still Saturday's window
        ("2026-11-22T01:00:00+00:00", False),
        ("2026-11-22T21:30:00+00:00", False),
        ("2026-07-18T20:30:00+00:00", True),  # summer time
    ],
)
def test_a_weekly_window_follows_the_zone_and_runs_past_midnight(moment: str, inside: bool) -> None:  # noqa: FBT001
    assert (NIGHT.around(at(moment)) is not None) == inside


def test_a_window_is_longer_in_the_night_that_has_an_hour_more() -> None:
    begin_ns, end_ns = Weekly(frozenset({6}), time(0), time(6), BERLIN).around(
        at("2026-10-25T03:00:00+01:00")
    ) or (
        0,
        0,
    )
    assert end_ns - begin_ns == timedelta(hours=7) // timedelta(microseconds=1) * 1000


@given(
    days=st.frozensets(st.integers(0, 6), min_size=1),
    begins=st.times(),
    ends=st.times(),
    now=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - hypothesis wants them so
)
def test_what_is_told_contains_now_and_begins_on_its_day(
    days: frozenset[int], begins: time, ends: time, now: datetime
) -> None:
    now = now.replace(tzinfo=UTC)
    stretch = Weekly(days, begins, ends, UTC).around(to_ns(now))
    day = now.weekday()
    today = day in days and (begins <= now.time() < ends if begins < ends else now.time() >= begins)
    yesterday = (day - 1) % 7 in days and begins >= ends and now.time() < ends
    assert (stretch is not None) == (today or yesterday)
    if stretch is not None:
        assert stretch[0] <= to_ns(now) < stretch[1]
        assert datetime.fromtimestamp(stretch[0] // 10**9, UTC).weekday() in days


def test_a_single_stretch_is_half_open() -> None:
    once = Once(10, 20)
    assert [once.around(now) is not None for now in (9, 10, 19, 20)] == [False, True, True, False]


def test_a_window_covers_its_machines_or_all() -> None:
    assert MaintenanceWindow(frozenset({"mill"}), Once(0, 1)).covers("mill")
    assert not MaintenanceWindow(frozenset({"mill"}), Once(0, 1)).covers("pump")
    assert MaintenanceWindow(frozenset({"*"}), Once(0, 1)).covers("pump")


def test_the_days_are_those_of_the_calendar() -> None:
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    assert [f"{monday + timedelta(days=n):%a}".lower() for n in range(7)] == list(DAYS)
