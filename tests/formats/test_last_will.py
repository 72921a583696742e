"""Last wills say whether a machine is there, and are no sensor data."""

import pytest

from edge_agent.formats.last_will import LastWills, WillSettings, WillTopic
from edge_agent.records import Delivery, Reject, SourceEvents, Stale
from edge_agent.topics import parse, parse_name

NOW_NS = 1_796_040_005 * 10**9


def wills(*, place: str = "") -> LastWills:
    template = parse("tele/{machine}/LWT", allowed=None, required=frozenset({"machine"}))
    return LastWills([WillTopic(template, parse_name("{machine}"), WillSettings(place=place))])


def said(
    payload: bytes, *, place: str = "", topic: str = "tele/saw/LWT"
) -> tuple[list[SourceEvents], dict[str, bool]]:
    rest, events, there = wills(place=place).part([Delivery(topic, payload, NOW_NS, True)])
    assert rest == []
    return events, there


def test_a_word_for_gone_ends_the_values_of_the_machine() -> None:
    assert said(b"Offline") == ([SourceEvents((Stale("saw", NOW_NS, "ddeath"),), "accepted")], {"saw": False})


@pytest.mark.parametrize("payload", [b"Online", b"online", b"true", b""])
def test_any_other_word_says_that_it_is_there(payload: bytes) -> None:
    assert said(payload) == ([SourceEvents((), "accepted")], {"saw": True})


@pytest.mark.parametrize(
    ("payload", "there"),
    [(b'{"state": "offline"}', False), (b'{"state": "online"}', True), (b'{"state": false}', False)],
)
def test_the_word_may_stand_in_json(payload: bytes, there: bool) -> None:  # noqa: FBT001
    assert said(payload, place="/state")[1] == {"saw": there}


@pytest.mark.parametrize(
    ("payload", "place", "reason"),
    [
        (b"\xff\xfe", "", "not_utf8"),
        (b"{", "/state", "not_json"),
        (b'{"a": 1}', "/state", "no_values"),
        (b"[]", "/0", "no_values"),
    ],
)
def test_what_says_nothing_is_turned_away_with_its_reason(payload: bytes, place: str, reason: str) -> None:
    events, there = said(payload, place=place)
    outcome = events[0].outcome
    assert isinstance(outcome, Reject)
    assert (outcome.reason, there) == (reason, {})


def test_a_name_that_none_can_have_is_turned_away() -> None:
    events, _ = said(b"Offline", topic="tele/" + "x" * 200 + "/LWT")
    assert isinstance(events[0].outcome, Reject)


def test_sensor_data_passes() -> None:
    data = Delivery("sensors/saw", b"1", NOW_NS)
    assert wills().part([data]) == ([data], [], {})
