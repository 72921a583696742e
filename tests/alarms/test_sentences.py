"""What an alarm says to people is true, reads as a person says it, and names the actor first."""

from dataclasses import replace
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from edge_agent.alarms.sentences import sentence, summary
from edge_agent.alarms.state import Acknowledgement, AlarmState, Event, Notification
from edge_agent.pipeline.notices import STANDSTILL
from edge_agent.records import Alarm, ScoreTrend
from edge_agent.sensors.findings import closed, opened
from tests.support.alarms import CHANNEL, CLOSED, OPENED

MINUTE = 60 * 1_000_000_000
NOON_NS = 1_700_000_000 // 86_400 * 86_400_000_000_000 + 12 * 60 * MINUTE


def said(alarm: Alarm) -> str:
    return summary(alarm, zone=UTC)


def test_an_open_alarm_says_what_a_technician_needs() -> None:
    assert said(OPENED) == (
        "pump-1 has probably had cavitation (87 %) since 22:13 UTC: "
        "flow is low, now 12.35 (usually 16 to 20); pressure is missing (usually 16 to 20)."
    )
    assert said(replace(OPENED, fault="unknown", channels=())) == (
        "pump-1 has behaved unusually since 22:13 UTC."
    )


def test_an_alarm_of_yesterday_says_so() -> None:
    later = replace(OPENED, channels=(), time_ns=OPENED.onset_ns + 20 * 60 * MINUTE)
    assert "since Tue 22:13 UTC" in said(later)
    assert "since 22:13 UTC" in said(OPENED)


def test_a_name_given_by_a_person_is_no_guess() -> None:
    named = replace(OPENED, fault_probability=1.0, fault_by="anna", channels=())
    assert said(named) == "pump-1 has had cavitation (named by anna) since 22:13 UTC."
    over = replace(named, state="closed", closed_ns=OPENED.onset_ns + 10 * MINUTE)
    assert said(over) == (
        "pump-1 is back to normal. The alarm of 22:13 UTC lasted 10 min. It was cavitation (named by anna)."
    )


def test_a_short_alarm_did_not_last_no_time() -> None:
    short = replace(CLOSED, fault="unknown", closed_ns=OPENED.onset_ns + MINUTE // 3)
    assert said(short) == "pump-1 is back to normal. The alarm of 22:13 UTC lasted 20 s."
    assert said(CLOSED).endswith("It was probably cavitation (87 %).")


def finding(fault: str, *names: str, **changes: Any) -> Alarm:
    channels = tuple(replace(CHANNEL, name=name) for name in names)
    return replace(
        opened(
            "press-2",
            fault,
            number="w1",
            onset_ns=NOON_NS,
            time_ns=NOON_NS + MINUTE,
            model="m",
            channels=channels,
        ),
        **changes,
    )


@pytest.mark.parametrize(
    ("alarm", "holds", "over"),
    [
        (
            finding("silent"),
            "Nothing usable has been heard of press-2 since 12:00 UTC. It is not watched.",
            "press-2 is heard again. Nothing usable was heard of it from 12:00 UTC to 12:05 UTC.",
        ),
        (
            finding("clock skew"),
            "The clock of press-2's source has been wrong since 12:00 UTC. Times that it tells are wrong, too.",
            "The clock of press-2's source is right again. It was wrong from 12:00 UTC to 12:05 UTC.",
        ),
        (
            finding("stale", "a", "b", "c"),
            "Most channels of press-2 have stood still since 12:00 UTC. The source seems to repeat old values.",
            "The channels of press-2 move again. Most of them stood still from 12:00 UTC to 12:05 UTC.",
        ),
        (
            finding("rate changed"),
            "Rows of press-2 have come far more or less often since 12:00 UTC than while it was learnt.",
            "Rows of press-2 come as often again as while it was learnt. They did not from 12:00 UTC to 12:05 UTC.",
        ),
        (
            finding("frozen", "flow"),
            "Sensor flow of press-2 has not changed since 12:00 UTC. The score leaves it out.",
            "Sensor flow of press-2 works again. It did not change from 12:00 UTC to 12:05 UTC.",
        ),
        (
            finding("stuck at limit", "a", "b"),
            (
                "Sensors a, b of press-2 have stood still at the end of their range since 12:00 UTC. "
                "The score leaves them out."
            ),
            (
                "Sensors a, b of press-2 work again. They stood still at the end of their range "
                "from 12:00 UTC to 12:05 UTC."
            ),
        ),
        (
            finding("spikes", "flow"),
            (
                "Sensor flow of press-2 has had many single broken readings since 12:00 UTC, the worst 12.35. "
                "The score leaves these readings out."
            ),
            "Sensor flow of press-2 works again. It had many single broken readings from 12:00 UTC to 12:05 UTC.",
        ),
    ],
)
def test_findings_name_who_does_what(alarm: Alarm, holds: str, over: str) -> None:
    assert said(alarm) == holds
    assert said(closed(alarm, time_ns=NOON_NS + 5 * MINUTE)) == over


def test_a_finding_of_a_later_agent_is_said_in_its_own_word() -> None:
    assert said(finding("drunk", "flow")) == (
        "Sensor flow of press-2 has shown: drunk since 12:00 UTC. The score leaves it out."
    )


def test_a_standstill_that_raised_an_alarm_is_told_as_that() -> None:
    stopped = replace(CLOSED, fault=STANDSTILL, fault_probability=1.0)
    assert said(stopped) == (
        "pump-1 has come to a standstill. The alarm of 22:13 UTC was that; a notice tells of it."
    )


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("latched", "pump-1 is back to normal. The alarm of 23:13 CET waits to be acknowledged."),
        (
            "accepted",
            "anna says that what pump-1 has done since 23:13 CET is normal. It is known from now on.",
        ),
        ("handed_over", "Another agent watches pump-1 now. The alarm of 23:13 CET is closed here."),
        ("recommissioned", "pump-1 is learnt afresh. The alarm of 23:13 CET is closed."),
        ("superseded", "pump-1 has a new alarm. The one of 23:13 CET is closed."),
    ],
)
def test_revisions_say_why_they_were_made(event: Event, expected: str) -> None:
    record = AlarmState(OPENED, acknowledgement=Acknowledgement("anna", OPENED.time_ns))
    notification = Notification(record, event, live=True)
    assert sentence(notification, zone=ZoneInfo("Europe/Berlin")) == expected


MINUTES = 60 * 1_000_000_000


@pytest.mark.parametrize(
    ("trend", "expected"),
    [
        (ScoreTrend(1.4), "1.4 times the limit."),
        (ScoreTrend(1.04), "At the limit."),
        (ScoreTrend(0.6), "Just now below the limit."),
        (ScoreTrend(123.4), "123 times the limit."),
        (ScoreTrend(1.4, before=1.3, before_ns=OPENED.time_ns - 60 * MINUTES), "1.4 times the limit."),
        (
            ScoreTrend(7.0, before=4.0, before_ns=OPENED.time_ns - 63 * MINUTES),
            "7 times the limit, was 4 an hour ago.",
        ),
        (
            ScoreTrend(7.0, before=4.0, before_ns=OPENED.time_ns - 25 * MINUTES, per_hour=3.1),
            "7 times the limit, was 4 about 25 min ago, growing 3.1 times an hour.",
        ),
        (
            ScoreTrend(2.0, before=4.0, before_ns=OPENED.time_ns - 60 * MINUTES, per_hour=0.5),
            "2 times the limit, was 4 an hour ago, falling by 50 % an hour.",
        ),
        (ScoreTrend(2.0, per_hour=1.02), "2 times the limit, growing 1.6 times a day."),
    ],
)
def test_where_the_score_goes_is_said(trend: ScoreTrend, expected: str) -> None:
    told = said(replace(OPENED, fault="unknown", channels=(), trend=trend))
    assert told == f"pump-1 has behaved unusually since 22:13 UTC. {expected}"


def test_an_unusual_pattern_says_what_broke() -> None:
    detail = "no longer moves with speed (correlation usually 0.95, now 0.08)"
    pattern = replace(CHANNEL, symptom="unusual pattern", observed=17.0, detail=detail)
    alarm = replace(OPENED, fault="unknown", channels=(pattern,))
    assert said(alarm) == f"pump-1 has behaved unusually since 22:13 UTC: flow {detail}."
    outside = replace(alarm, channels=(replace(pattern, observed=21.0),))
    assert said(outside).endswith(f"flow {detail}, now 21 (usually 16 to 20).")
    bare = replace(pattern, detail="")
    assert said(replace(alarm, channels=(replace(bare, observed=21.0),))).endswith(
        "flow is now 21 (usually 16 to 20)."
    )


def test_what_cannot_be_checked_is_not_claimed_of_a_channel() -> None:
    bare = replace(CHANNEL, symptom="unusual pattern", observed=17.0)
    alarm = replace(OPENED, fault="unknown", channels=(bare, replace(bare, name="speed")))
    assert said(alarm).endswith(
        ": no channel is beyond what is usual by itself; most of the score comes from flow and speed."
    )
    low = replace(CHANNEL, name="level", contribution=0.2)
    assert said(replace(alarm, channels=(bare, low))).endswith(
        "UTC: level is low, now 12.35 (usually 16 to 20)."
    )
    slight = replace(low, contribution=0.01)
    assert "level is" not in said(replace(alarm, channels=(bare, slight)))


def test_a_value_that_is_usual_in_another_mode_is_not_called_low_without_ado() -> None:
    inside = replace(OPENED, fault="unknown", channels=(replace(CHANNEL, observed=16.5),))
    assert said(inside).endswith("flow is on the low side, now 16.5 (usually 16 to 20).")
