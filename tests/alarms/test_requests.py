"""A command is taken whole or refused with a reason, whatever its bytes are."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.alarms.requests import COMMANDS, Refusal, Reply, Request, decode, until_ns

SCHEMA = Path(__file__).parents[2] / "docs" / "commands.schema.json"
WHO = {"id": "r1", "by": "anna"}
SECOND = 1_000_000_000

GOOD: list[tuple[str, dict[str, Any]]] = [
    ("ack", {"alarm": "pump-1-20261123T180410Z-1", "comment": "on my way"}),
    ("shelve", {"machine": "pump-1", "for_s": 60}),
    ("shelve", {"alarm": "a", "until": "2026-11-23T18:00:00+01:00"}),
    ("shelve", {"machine": "pump-1", "once": True, "sent": "2026-11-23T18:00:00Z"}),
    ("unshelve", {"machine": "pump-1"}),
    ("suppress", {"machine": "*"}),
    ("suppress", {"machine": "pump-1", "for_s": 60}),
    ("unsuppress", {"machine": "pump-1"}),
    ("label", {"alarm": "a", "fault": "bearing wear"}),
    ("recommission", {"machine": "pump-1", "force": True}),
]

BAD: list[tuple[str, dict[str, Any]]] = [
    ("ack", {}),
    ("ack", {"alarm": ""}),
    ("ack", {"alarm": 7}),
    ("ack", {"alarm": "a", "for_s": 7}),
    ("ack", {"alarm": "a\u0007"}),
    ("ack", {"alarm": "a", "id": "r 1"}),
    ("ack", {"alarm": "a", "id": "x" * 65}),
    ("ack", {"alarm": "a", "id": "r1\n"}),
    ("ack", {"alarm": "a", "by": ""}),
    ("ack", {"alarm": "a", "by": "x" * 121}),
    ("ack", {"alarm": "a", "comment": "x" * 501}),
    ("ack", {"alarm": "a", "sent": "yesterday"}),
    ("ack", {"alarm": "a", "sent": "2026-11-23T18:00:00"}),
    ("shelve", {"machine": "m"}),
    ("shelve", {"machine": "m", "for_s": 60, "once": True}),
    ("shelve", {"machine": "m", "alarm": "a", "for_s": 60}),
    ("shelve", {"for_s": 60}),
    ("shelve", {"machine": "m", "for_s": 0}),
    ("shelve", {"machine": "m", "for_s": -5}),
    ("shelve", {"machine": "m", "for_s": "60"}),
    ("shelve", {"machine": "m", "for_s": 1e99}),
    ("shelve", {"machine": "m", "for": 60}),
    ("suppress", {"machine": "m", "for_s": 60, "until": "2026-11-23T18:00:00Z"}),
    ("label", {"alarm": "a", "fault": "x" * 65}),
    ("recommission", {"machine": "m", "force": "yes"}),
]


def payload(fields: dict[str, Any]) -> bytes:
    return json.dumps(WHO | fields).encode()


@pytest.mark.parametrize(("name", "fields"), GOOD)
def test_what_the_schema_allows_is_taken(name: str, fields: dict[str, Any]) -> None:
    request = decode(name, payload(fields))
    assert isinstance(request, COMMANDS[name])
    assert (request.id, request.by) == ("r1", "anna")
    jsonschema.validate(WHO | fields, {"$ref": f"#/$defs/{type(request).__name__}"} | published())


@pytest.mark.parametrize(("name", "fields"), BAD)
def test_what_is_not_said_exactly_is_refused_and_its_sender_is_told(
    name: str, fields: dict[str, Any]
) -> None:
    refusal = decode(name, payload(fields))
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, bool(refusal.detail)) == ("malformed", True)
    assert refusal.id == ("" if {"id", "by"} & set(fields) else "r1")  # told where it can be known


def test_unknown_commands_and_long_ones_have_reasons_of_their_own() -> None:
    unknown = decode("format", payload({}))
    assert isinstance(unknown, Refusal)
    assert (unknown.reason, unknown.id, unknown.by) == ("unknown_command", "r1", "anna")
    long = decode("ack", payload({"alarm": "a"}) + b" " * 5000)
    assert isinstance(long, Refusal)
    assert long.reason == "too_large"


@given(name=st.sampled_from([*COMMANDS, "other", ""]), raw=st.binary(max_size=300))
def test_no_bytes_raise(name: str, raw: bytes) -> None:
    assert isinstance(decode(name, raw), Request | Refusal)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from(
    ["id", "by", "alarm", "machine", "for_s", "until", "once", "fault", "force", "sent", "x"]
)


@given(name=st.sampled_from([*COMMANDS]), fields=st.dictionaries(keys, json_values, max_size=6))
def test_no_json_raises_and_what_is_taken_keeps_the_schema(name: str, fields: dict[str, Any]) -> None:
    request = decode(name, json.dumps(WHO | fields).encode())
    if isinstance(request, Request):
        jsonschema.validate(WHO | fields, {"$ref": f"#/$defs/{type(request).__name__}"} | published())
        assert all(
            value.isprintable()
            for field in request.__struct_fields__
            if isinstance(value := getattr(request, field), str)
        )


def test_times_are_seconds_from_now_or_moments() -> None:
    now_ns = 1_000 * SECOND
    for fields, expected in (
        ({"for_s": 60}, 1_060 * SECOND),
        ({"until": "1970-01-01T00:30:00.5Z"}, 1_800 * SECOND + SECOND // 2),
        ({"once": True}, None),
    ):
        request = decode("shelve", payload({"machine": "m"} | fields))
        assert not isinstance(request, Refusal)
        assert until_ns(request, now_ns=now_ns) == expected  # type: ignore[arg-type]


def published() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(SCHEMA.read_text())
    return schema


def test_the_published_schema_is_the_one_that_is_checked() -> None:
    _, parts = msgspec.json.schema_components((*COMMANDS.values(), Reply), ref_template="#/$defs/{name}")
    assert checked_meaning(published()["$defs"]) == checked_meaning(json.loads(json.dumps(parts)))


def checked_meaning(schema: Any) -> Any:
    """The schema without its texts: how a library words them is no part of what is checked."""
    if isinstance(schema, list):
        return [checked_meaning(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: checked_meaning(value)
        for key, value in schema.items()
        if not (key in ("title", "description") and isinstance(value, str))
    }
