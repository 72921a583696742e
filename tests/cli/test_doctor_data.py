"""`doctor` says what would be lost of what is heard, whole messages and single values, with what to set."""

import json
from typing import Any

import pytest

from edge_agent.cli.doctor.data import check_data
from edge_agent.cli.doctor.findings import Finding
from edge_agent.config.file import Config
from edge_agent.records import ReceivedMessage

NOW_NS = 1_796_040_005 * 10**9


def found(payload: Any, *, topic: str = "sensors/w1", retain: bool = False) -> list[Finding]:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return list(check_data(Config(), [(ReceivedMessage(topic, raw, retain), NOW_NS)], 3.0))


def test_a_machine_with_more_channels_than_are_allowed_is_named_with_the_setting() -> None:
    wide = found({"ts": NOW_NS / 1e9, "values": {f"tag_{n}": n + 0.5 for n in range(500)}})
    (warned,) = [one for one in wide if one.level == "warn"]
    assert "500 channels, 256 are allowed" in warned.what
    assert warned.remedy == "set [limits] channels = 500"


def test_values_that_would_be_lost_are_counted_and_named() -> None:
    said = found({"ts": NOW_NS / 1e9, "values": {"a": "1,5", "b": 2, "c": "hot"}})
    warned = {one.what for one in said if one.level == "warn"}
    assert "1 values would be turned away: not_a_number, of 'a'" in warned
    assert "1 values would be turned away: wrong_type, of 'c'" in warned


def test_text_that_is_a_number_is_no_warning() -> None:
    said = found({"ts": NOW_NS / 1e9, "values": {"a": "1.5", "b": 2}})
    assert {one.level for one in said} == {"ok"}


@pytest.mark.parametrize(
    ("payload", "topic", "words"),
    [
        (b"180,5", "sensors/o/temp", "decimal comma"),
        (b"180 bar", "sensors/o/temp", "a unit"),
        ({"ts": "2026-11-30T12:00:00", "values": {"a": 1}}, "sensors/w1", "timezone"),
    ],
)
def test_a_message_that_would_be_lost_says_why_in_the_words_of_its_decoder(
    payload: Any, topic: str, words: str
) -> None:
    (warned,) = [one for one in found(payload, topic=topic) if one.level == "warn"][:1]
    assert words in warned.what
    assert "discover" not in warned.remedy, "which would only send one back"


def test_what_the_broker_kept_is_said_and_is_no_fault() -> None:
    said = found(b"99.9", topic="sensors/dead-1/temp", retain=True)
    assert [(one.level, "no rows" in one.what) for one in said] == [("ok", True), ("warn", False)]
    assert "no sensor message" in said[1].what
