"""Vendors' JSON is read where the map says; what stands elsewhere, or is of another kind, is turned away or ignored."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.formats.json_path import mapped
from edge_agent.formats.mapping.payload_map import PayloadMap
from edge_agent.formats.mapping.pointer import parse_pointer
from edge_agent.formats.origin import Origin
from edge_agent.records import Frame, Reject

NOW_NS = 1_700_000_000_000_000_000
ORIGIN = Origin(machine="pump-1", channel=None, received_ns=NOW_NS, future_tolerance_ns=60_000_000_000)
START_S = 1_600_000_000
START_NS = START_S * 10**9
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def decode(places: PayloadMap, message: object) -> Frame | Reject:
    return mapped(places)(message if isinstance(message, bytes) else json.dumps(message).encode(), ORIGIN)


def frame(places: PayloadMap, message: object) -> Frame:
    result = decode(places, message)
    assert isinstance(result, Frame), result
    return result


def cells(result: Frame) -> dict[tuple[int, str], float]:
    return {
        (time_ns, name): cell
        for time_ns, row in zip(result.times_ns, result.rows, strict=True)
        for name, cell in zip(result.channels, row, strict=True)
        if not math.isnan(cell)
    }


def test_a_flat_object_without_its_time() -> None:
    places = PayloadMap(time="/ts", time_unit="ms")
    assert cells(frame(places, {"ts": START_S * 1000 + 5, "flow": 1.5, "on": True})) == {
        (START_NS + 5_000_000, "flow"): 1.5,
        (START_NS + 5_000_000, "on"): 1.0,
    }


def test_a_gateway_that_lists_names_values_and_times() -> None:
    # The shape of a widespread OPC server's IoT gateway.
    places = PayloadMap(
        values=("/values",), name_key="id", value_key="v", time_key="t", time_unit="ms", time="/timestamp"
    )
    message = {
        "timestamp": START_S * 1000,
        "values": [
            {"id": "Ch1.Dev1.Temp", "v": 61.5, "q": True, "t": START_S * 1000},
            {"id": "Ch1.Dev1.Temp", "v": 61.7, "q": True, "t": START_S * 1000 + 1000},
            {"id": "Ch1/Dev1/Rpm", "v": 1480, "q": True, "t": START_S * 1000},
            {"id": "Ch1.Dev1.NoTime", "v": 3},
        ],
    }
    assert cells(frame(places, message)) == {
        (START_NS, "Ch1.Dev1.Temp"): 61.5,
        (START_NS + 10**9, "Ch1.Dev1.Temp"): 61.7,
        (START_NS, "Ch1.Dev1.Rpm"): 1480.0,
        (START_NS, "Ch1.Dev1.NoTime"): 3.0,
    }


def test_objects_of_objects_are_named_by_their_path_and_wrapped_values_are_unwrapped() -> None:
    places = PayloadMap(values=("/data",))
    message = {
        "data": {"motor": {"temp": {"value": 1, "unit": "C"}, "rpm": 2}, "flow": {"value": 3, "name": "Flow"}}
    }
    assert cells(frame(places, message)) == {
        (NOW_NS, "motor.temp"): 1.0,
        (NOW_NS, "motor.rpm"): 2.0,
        (NOW_NS, "Flow"): 3.0,
    }


def test_samples_in_a_list_each_have_their_time_or_the_message_s() -> None:
    places = PayloadMap(values=("/d",), time="/t", samples="/body/samples")
    rows = [{"t": START_S + 1, "d": {"a": 2}}, {"t": START_S, "d": {"a": 1}}, {"d": {"a": 3}}]
    assert cells(frame(places, {"t": START_S + 2, "body": {"samples": rows}})) == {
        (START_NS, "a"): 1.0,
        (START_NS + 10**9, "a"): 2.0,
        (START_NS + 2 * 10**9, "a"): 3.0,
    }
    bare = frame(places, {"body": {"samples": rows}})
    assert bare.bad_values == (("a", "bad_timestamp"),), "a sample that has no time where one was promised"


def test_a_list_of_times_makes_columns_of_numbers() -> None:
    places = PayloadMap(values=("/a", "/b"), time="/t")
    message = {"t": [START_S, START_S + 1], "a": [1, None], "b": [3, "x"]}
    result = frame(places, message)
    assert cells(result) == {(START_NS, "a"): 1.0, (START_NS, "b"): 3.0}
    assert result.bad_values == (("b", "wrong_type"),)
    short = decode(places, {"t": [START_S, START_S + 1], "a": [1], "b": 2})
    assert isinstance(short, Reject)
    assert short.reason == "wrong_type"


@pytest.mark.parametrize(
    ("unit", "stamp"),
    [
        ("s", START_S),
        ("s", float(START_S)),
        ("ms", START_S * 10**3),
        ("us", START_S * 10**6),
        ("ns", START_S * 10**9),
        ("rfc3339", "2020-09-13T12:26:40Z"),
        ("ms", "2020-09-13T14:26:40+02:00"),
    ],
)
def test_every_unit_of_time_means_the_same_instant(unit: Any, stamp: object) -> None:
    assert list(frame(PayloadMap(time="/t", time_unit=unit), {"t": stamp, "a": 1}).times_ns) == [START_NS]


@pytest.mark.parametrize(
    ("unit", "stamp", "expected"),
    [
        ("rfc3339", START_S, "bad_timestamp"),
        ("ms", START_S, "bad_timestamp"),
        ("s", START_S * 1000, "future_timestamp"),
        ("s", True, "bad_timestamp"),
        ("s", {}, "bad_timestamp"),
        ("ns", 1e300, "future_timestamp"),
        ("ns", -(10**300), "bad_timestamp"),
        ("s", math.nan, "bad_timestamp"),
        ("s", "soon", "bad_timestamp"),
    ],
)
def test_times_of_the_wrong_unit_or_kind_are_turned_away(unit: Any, stamp: object, expected: str) -> None:
    result = decode(PayloadMap(time="/t", time_unit=unit), {"t": stamp, "a": 1})
    assert isinstance(result, Reject)
    assert result.reason == expected


def test_names_may_be_replaced() -> None:
    places = PayloadMap(values=("/io/0", "/io/1", "/x"), rename={"0": "flow", "speed/rpm": "rpm"})
    message = {"io": [1, 2], "x": {"speed": {"rpm": 3}}}
    assert cells(frame(places, message)) == {(NOW_NS, "flow"): 1.0, (NOW_NS, "1"): 2.0, (NOW_NS, "rpm"): 3.0}


def test_two_names_never_share_a_channel() -> None:
    result = frame(PayloadMap(values=("/x",)), {"x": {"a": {"b": 1}, "a.b": 2}})
    assert cells(result) == {(NOW_NS, "a.b"): 1.0}
    assert result.bad_values == (("a.b", "unknown_channel"),)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"\xff", "not_utf8"),
        (b"{", "not_json"),
        (b"[" * 60_000, "not_json"),
        ({"other": 1}, "no_values"),
        ({"x": None}, "no_values"),
        ({"x": "text"}, "wrong_type"),
        ({"x": [1, 2]}, "wrong_type"),
        ({"x": [{"name": "a"}]}, "wrong_type"),
        ({"x": [{"name": 5, "value": 1}]}, "unknown_channel"),
        ({"x": [{"name": "", "value": 1}]}, "unknown_channel"),
        ({"x": [1, {"name": "a", "value": {}}]}, "wrong_type"),
        (b'{"x": {"a": NaN}}', "not_finite"),
        (b'{"x": {"a": 1e999}}', "not_finite"),
        (b'{"x": {"a": ' + b"9" * 4000 + b"}}", "not_finite"),
        (b'{"x": ' + b'{"a":' * 500 + b"1" + b"}" * 501, "wrong_type"),
    ],
)
def test_a_message_without_a_good_value_is_turned_away_with_its_reason(
    message: object, expected: str
) -> None:
    result = decode(PayloadMap(values=("/x",)), message)
    assert isinstance(result, Reject), result
    assert result.reason == expected


def test_samples_that_are_no_list_are_turned_away() -> None:
    for message in ({}, {"s": 5}, [], 5):
        result = decode(PayloadMap(samples="/s"), message)
        assert isinstance(result, Reject)
        assert result.reason == "wrong_type"


# RFC 6901 section 5.
POINTED = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [("/a~1b", 1), ("/c%d", 2), ("/e^f", 3), ("/g|h", 4), ("/i\\j", 5), ('/k"l', 6), ("/ ", 7), ("/m~0n", 8)],
)
def test_places_are_json_pointers(pointer: str, value: int) -> None:
    assert list(cells(frame(PayloadMap(values=(pointer,)), POINTED)).values()) == [value]
    assert parse_pointer("") == ()


@pytest.mark.parametrize("text", ["a", "a/b", "/~", "/~2", "/a~"])
def test_what_is_no_pointer_is_refused_before_any_message(text: str) -> None:
    with pytest.raises(ValueError, match="no JSON pointer"):
        mapped(PayloadMap(values=(text,)))


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=4), NUMBERS, min_size=1, max_size=20),
    st.integers(0, 10**9),
)
def test_values_come_back_as_they_were_sent(values: dict[str, float], offset_us: int) -> None:
    listed = [{"n": name, "v": value} for name, value in values.items()]
    time_us = START_S * 10**6 + offset_us
    places = PayloadMap(values=("/p/x",), time="/h/0", time_unit="us", name_key="n", value_key="v")
    for content in (values, listed):
        result = frame(places, {"p": {"x": content}, "h": [time_us]})
        assert cells(result) == {(time_us * 1000, name): value for name, value in values.items()}


KEYS = st.sampled_from(["x", "t", "name", "value", "0", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)
POINTERS = st.lists(KEYS, max_size=2).map(lambda keys: "".join(f"/{key}" for key in keys))
MAPS = st.builds(
    PayloadMap,
    values=st.lists(POINTERS, min_size=1, max_size=2).map(tuple),
    time=POINTERS,
    time_unit=st.sampled_from(["s", "ms", "us", "ns", "rfc3339"]),
    samples=POINTERS,
    time_key=st.sampled_from(["", "t"]),
)


@given(MAPS, JSON)
def test_arbitrary_json_and_maps_never_raise_and_frames_hold_only_finite_or_missing(
    places: PayloadMap, message: Any
) -> None:
    result = decode(places, message)
    if isinstance(result, Frame):
        assert len(result.rows) == len(result.times_ns) > 0
        assert all(abs(cell) < 3.5e38 for cell in cells(result).values())


@given(MAPS, st.binary(max_size=100))
def test_arbitrary_bytes_never_raise(places: PayloadMap, payload: bytes) -> None:
    assert isinstance(mapped(places)(payload, ORIGIN), Frame | Reject)
