"""Times for people are in the site's zone, and say it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from edge_agent.alarms.local_time import moment, parsed_ns, span

BERLIN, SAO_PAULO = ZoneInfo("Europe/Berlin"), ZoneInfo("America/Sao_Paulo")
SECOND = 1_000_000_000


def ns(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def test_a_time_of_the_same_day_is_a_clock_and_a_zone() -> None:
    at, now = ns("2026-11-30T09:27:30"), ns("2026-11-30T09:40:00")
    assert moment(at, UTC, beside_ns=now) == "09:27 UTC"
    assert moment(at, BERLIN, beside_ns=now) == "10:27 CET"
    assert moment(at, SAO_PAULO, beside_ns=now) == "06:27 UTC-03"


def test_summer_is_told_from_winter_by_the_time_itself() -> None:
    at = ns("2026-07-01T10:00:00")
    assert moment(at, BERLIN, beside_ns=at) == "12:00 CEST"


def test_another_day_is_said_by_the_days_of_the_zone() -> None:
    at = ns("2026-11-29T23:30:00")  # already Monday in Berlin
    assert moment(at, BERLIN, beside_ns=ns("2026-11-30T09:00:00")) == "00:30 CET"
    assert moment(at, UTC, beside_ns=ns("2026-11-30T09:00:00")) == "Sun 23:30 UTC"
    assert moment(at, UTC, beside_ns=ns("2026-12-20T09:00:00")) == "Sun 29 Nov 23:30 UTC"
    assert moment(at, UTC, beside_ns=ns("2026-11-28T09:00:00")) == "Sun 29 Nov 23:30 UTC"
    assert moment(at, UTC, beside_ns=ns("2027-01-02T09:00:00")) == "Sun 29 Nov 2026 23:30 UTC"
    assert moment(at, UTC) == "Sun 23:30 UTC"


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=40), "40 s"),
        (timedelta(seconds=89.6), "2 min"),
        (timedelta(minutes=10), "10 min"),
        (timedelta(minutes=89, seconds=40), "1 h 30 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(hours=3, minutes=4, seconds=40), "3 h 5 min"),
        (timedelta(hours=47, minutes=59, seconds=50), "2 days"),
        (timedelta(days=2, hours=3), "2 days 3 h"),
    ],
)
def test_spans_are_as_short_as_they_are_true(length: timedelta, said: str) -> None:
    assert span(length // timedelta(microseconds=1) * 1000) == said


def test_times_of_messages_are_read_again() -> None:
    assert parsed_ns("2023-11-14T22:13:20.123Z") == 1_700_000_000_123_000_000
    with pytest.raises(ValueError, match="no zone"):
        parsed_ns("2023-11-14T22:13:20")
