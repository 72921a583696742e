"""Alert messages keep their published form and read well."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.alarms import payload as alert
from edge_agent.records import Alarm
from tests.support.alarms import CLOSED, OPENED

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "alert.schema.json").read_text())


@pytest.mark.parametrize("alarm", [OPENED, CLOSED, replace(OPENED, channels=(), fault="unknown")])
def test_messages_are_of_the_published_form(alarm: Alarm) -> None:
    message = json.loads(alert.encode(alarm, agent="hall"))
    jsonschema.validate(message, SCHEMA)
    assert (message["id"], message["revision"], message["agent"]) == (alarm.id, alarm.revision, "hall")


def test_the_form_refuses_what_contradicts_itself() -> None:
    message = alert.to_payload(OPENED, agent="hall")
    for change in (
        {"state": "closed"},
        {"closed": "yesterday"},
        {"extra": 1},
        {"severity": "bad"},
        {"revision": 0},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(message | change, SCHEMA)


@given(st.integers(0, 4_000_000_000_000))
def test_times_are_what_the_standard_library_says(milliseconds: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    expected = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert alert.rfc3339(milliseconds * 1_000_000) == expected


def test_sentences_tell_times_of_the_zone_and_fields_those_of_utc() -> None:
    zone = ZoneInfo("Europe/Berlin")
    message = json.loads(alert.encode(OPENED, agent="hall", zone=zone))
    assert "since 23:13 CET" in message["summary"]
    assert message["onset"] == "2023-11-14T22:13:20.123Z"


def test_who_named_a_fault_is_said() -> None:
    message = alert.to_payload(replace(OPENED, fault_probability=1.0, fault_by="anna"), agent="hall")
    jsonschema.validate(message, SCHEMA)
    assert message["fault"] == {"name": "cavitation", "probability": 1.0, "by": "anna"}
    assert "by" not in alert.to_payload(OPENED, agent="hall")["fault"]


def test_an_alert_left_open_by_a_former_run_is_closed_in_the_same_form() -> None:
    result = alert.closing_after_restart(alert.encode(OPENED, agent="hall"))
    assert result is not None
    machine, payload = result
    message = json.loads(payload)
    jsonschema.validate(message, SCHEMA)
    assert (machine, message["id"], message["revision"], message["state"]) == (
        "pump-1",
        OPENED.id,
        2,
        "closed",
    )


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'{"machine": "m", "revision": "x", "time": 1}'])
def test_what_is_no_alert_is_left_alone(payload: bytes) -> None:
    assert alert.closing_after_restart(payload) is None
