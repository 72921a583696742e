"""Home Assistant's discovery messages read what the agent says, whatever a machine is called."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from edge_agent.alarms.home_assistant import HomeAssistant, own_filter
from edge_agent.topics import NAME_LIMIT_CHARS, filter_covers, is_name

TELL = HomeAssistant("homeassistant", "hall", "1.0", "agents/hall/status", "alerts/{machine}")


def entities(machine: str) -> dict[str, dict[str, Any]]:
    return {topic.split("/")[3]: json.loads(payload) for topic, payload in TELL.entities(machine)}


def shown(entity: dict[str, Any], value: object) -> str:
    """What Home Assistant makes of a message."""
    template = Environment(autoescape=False).from_string(entity["value_template"])  # noqa: S701 - no HTML
    return template.render(value_json=value)


@pytest.mark.parametrize(
    ("machine", "alarm", "state"),
    [
        ({"state": "ready"}, "OFF", "ready"),
        ({"state": "ready", "alarm": "a1"}, "ON", "ready"),
        ({"state": "ready", "alarm": "a1", "lifecycle": {"active": False}}, "OFF", "ready"),
        ({"state": "ready", "alarm": "a1", "lifecycle": {"active": True}}, "ON", "ready"),
        ({"state": "ready", "silent_since": "2026-12-01T00:00:00Z"}, "OFF", "silent"),
        (None, "OFF", "unknown"),
    ],
)
def test_alarm_and_state_are_read_from_the_status(
    machine: dict[str, Any] | None, alarm: str, state: str
) -> None:
    told = entities("press-1")
    status = {"state": "online", "machines": {"press-1": machine} if machine else {}}
    assert (shown(told["alarm"], status), shown(told["state"], status)) == (alarm, state)


@given(st.text(min_size=1, max_size=NAME_LIMIT_CHARS).filter(is_name))
def test_no_name_ends_its_template_or_its_topic(machine: str) -> None:
    told = entities(machine)
    status = {"machines": {machine: {"state": "ready", "alarm": "a"}, "other": {"state": "failed"}}}
    assert (shown(told["alarm"], status), shown(told["state"], status)) == ("ON", "ready")
    for topic in TELL.topics(machine):
        assert re.fullmatch(r"homeassistant/[a-z_]+/[A-Za-z0-9_]+/[a-z]+/config", topic)
        assert filter_covers(own_filter("homeassistant"), topic)


def test_the_latest_alarm_is_its_sentence_cut_to_what_a_state_may_hold() -> None:
    assert shown(entities("m")["latest"], {"summary": "x" * 900}) == "x" * 250
    assert entities("m")["latest"]["state_topic"] == "alerts/m"


def test_machines_that_differ_in_marks_only_stay_apart() -> None:
    assert set(TELL.topics("press 1")).isdisjoint(TELL.topics("press-1"))


def test_people_s_words_are_shown_and_the_area_is_suggested() -> None:
    payload = json.loads(next(TELL.entities("m", called="Feed pump", location="hall 2"))[1])
    assert (payload["device"]["name"], payload["device"]["suggested_area"]) == ("Feed pump", "hall 2")
