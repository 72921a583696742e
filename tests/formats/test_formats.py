"""Any bytes become a frame or a reason, never an exception; good values survive bad neighbours."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.formats import FORMATS, Route, decoder
from edge_agent.records import Delivery, Frame, Reject, RejectReason
from edge_agent.topics import parse, parse_name

NOW_NS = 1_700_000_000_000_000_000
HOLES = frozenset({"machine", "channel"})
ROW = parse("sensors/{machine}", allowed=HOLES, required=frozenset({"machine"}))
CELL = parse("sensors/{machine}/{channel}", allowed=HOLES, required=frozenset({"machine"}))
MACHINE = parse_name("{machine}")
ROUTES = (Route(ROW, FORMATS["json"], MACHINE), Route(CELL, FORMATS["number"], MACHINE))
LIMIT_BYTES = 4096
DECODE = decoder(ROUTES, payload_limit_bytes=LIMIT_BYTES, future_tolerance_s=60.0)
NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=12)
ROW_CHANNELS = 20  # a name is up to 146 bytes as JSON, a number up to 26: the limit of the payload holds
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def of(payload: object, topic: str = "sensors/pump-1") -> Frame | Reject:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return DECODE(Delivery(topic=topic, payload=raw, received_ns=NOW_NS))


def frame(payload: object, topic: str = "sensors/pump-1") -> Frame:
    result = of(payload, topic)
    assert isinstance(result, Frame), result
    return result


def reason(payload: object, topic: str = "sensors/pump-1") -> str:
    result = of(payload, topic)
    assert isinstance(result, Reject), result
    return result.reason


@given(st.binary(max_size=200), st.sampled_from(["sensors/m", "sensors/m/c", "other", "sensors/\udcff"]))
def test_arbitrary_bytes_never_raise(payload: bytes, topic: str) -> None:
    result = DECODE(Delivery(topic=topic, payload=payload, received_ns=NOW_NS))
    assert isinstance(result, Frame) or result.reason in get_args(RejectReason)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["ts", "values", "x"]), JSON_VALUES) | JSON_VALUES)
def test_arbitrary_json_never_raises_and_frames_hold_only_finite_or_missing(message: Any) -> None:
    result = of(message)
    if isinstance(result, Frame):
        assert len(result.rows) == len(result.times_ns) > 0
        assert all(len(row) == len(result.channels) > 0 for row in result.rows)
        assert all(math.isnan(cell) or abs(cell) < 3.5e38 for row in result.rows for cell in row)


@given(
    st.dictionaries(NAMES, NUMBERS, min_size=1, max_size=ROW_CHANNELS),
    st.integers(315_532_800, 1_700_000_059),
)
def test_a_row_comes_back_as_it_was_sent(values: dict[str, float], second: int) -> None:
    result = frame({"ts": second, "values": values})
    assert dict(zip(result.channels, result.rows[0], strict=True)) == values
    assert list(result.times_ns) == [second * 1_000_000_000]
    assert result.stamped
    assert result.bad_values == ()


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=20))
def test_a_block_says_the_same_as_its_rows(rows: list[tuple[float, float]]) -> None:
    stamps = [1_600_000_000 + index for index in range(len(rows))]
    block = frame({"ts": stamps, "values": {"a": [row[0] for row in rows], "b": [row[1] for row in rows]}})
    singles = [
        frame({"ts": stamp, "values": {"a": row[0], "b": row[1]}})
        for stamp, row in zip(stamps, rows, strict=True)
    ]
    assert [tuple(row) for row in block.rows] == [tuple(single.rows[0]) for single in singles]
    assert list(block.times_ns) == [single.times_ns[0] for single in singles]


@given(NUMBERS)
def test_a_bare_number_takes_machine_and_channel_from_the_topic(value: float) -> None:
    result = frame(repr(value).encode(), "sensors/pump-1/flow")
    assert (result.machine, result.channels, result.rows) == ("pump-1", ("flow",), ((value,),))
    assert (list(result.times_ns), result.stamped) == ([NOW_NS], False)


def test_a_bad_value_does_not_spoil_its_neighbours() -> None:
    raw = b'{"values": {"a": 1, "b": NaN, "c": 1e309, "d": "7", "e": null, "f": true, "g": 1e39, "": 2, "h": [1]}}'
    result = frame(raw)
    assert dict(zip(result.channels, result.rows[0], strict=True)) == {"a": 1.0, "f": 1.0}
    assert dict(result.bad_values) == {
        "b": "not_finite",
        "c": "not_finite",
        "d": "wrong_type",
        "g": "not_finite",
        "": "unknown_channel",
        "h": "wrong_type",
    }
    assert not result.stamped
    assert list(result.times_ns) == [NOW_NS]


def test_holes_in_a_block_are_missing_and_bad_cells_are_named() -> None:
    result = frame(
        {"ts": [1e9, 1e9 + 1], "values": {"a": [1, None], "b": ["x", 2], "c": [1], "d": [None, None]}}
    )
    assert result.channels == ("a", "b")
    assert [[None if math.isnan(cell) else cell for cell in row] for row in result.rows] == [
        [1, None],
        [None, 2],
    ]
    assert sorted(result.bad_values) == [("b", "wrong_type"), ("c", "wrong_type")]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"\xff\xfe", "not_utf8"),
        (b'{"values": {"a": "\xff"}}', "not_utf8"),
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"[" * 4000, "not_json"),
        (b"[1, 2]", "wrong_type"),
        (b'"text"', "wrong_type"),
        (b'{"ts": 1e9}', "wrong_type"),
        (b'{"values": [1]}', "wrong_type"),
        (b'{"values": {}}', "no_values"),
        (b'{"values": {"a": null}}', "no_values"),
        (b'{"values": {"a": Infinity}}', "not_finite"),
        (b'{"values": {"a": -1e999}}', "not_finite"),
        (b'{"values": {"a": "x", "b": "y"}}', "wrong_type"),
        (b'{"values": {"a": ' + b"9" * 400 + b"}}", "not_finite"),
        (b'{"values": {"a": ' + b"9" * 4000 + b"}}", "not_finite"),
        (b" " * 4097, "too_large"),
        (b'{"ts": -5, "values": {"a": 1}}', "bad_timestamp"),
        (b'{"ts": 0, "values": {"a": 1}}', "bad_timestamp"),
        (b'{"ts": 1e309, "values": {"a": 1}}', "bad_timestamp"),
        (b'{"ts": NaN, "values": {"a": 1}}', "bad_timestamp"),
        (b'{"ts": true, "values": {"a": 1}}', "bad_timestamp"),
        (b'{"ts": {}, "values": {"a": 1}}', "bad_timestamp"),
        (b'{"ts": "yesterday", "values": {"a": 1}}', "bad_timestamp"),
        (b'{"ts": "2023-11-14T22:13:20", "values": {"a": 1}}', "bad_timestamp"),
        (b'{"ts": [1e9, null], "values": {"a": [1, 2]}}', "bad_timestamp"),
        (b'{"ts": [], "values": {"a": []}}', "no_values"),
        (b'{"ts": 1700000061, "values": {"a": 1}}', "future_timestamp"),
        (b'{"ts": 1700000000000, "values": {"a": 1}}', "future_timestamp"),
        (b'{"ts": 1e300, "values": {"a": 1}}', "future_timestamp"),
        (b'{"ts": ' + b"9" * 2000 + b', "values": {"a": 1}}', "future_timestamp"),
    ],
)
def test_a_message_without_a_good_value_is_turned_away_with_its_reason(payload: bytes, expected: str) -> None:
    assert reason(payload) == expected


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"nan", "not_finite"),
        (b"-inf", "not_finite"),
        (b"1e39", "not_finite"),
        (b"1_000", "not_a_number"),
        (b"12,5", "not_a_number"),
        (b"0x10", "not_a_number"),
        (b"9" * 3000, "not_a_number"),
        (b"null", "no_values"),
        (b" ", "no_values"),
        (b"\xff", "not_utf8"),
    ],
)
def test_a_payload_that_is_no_number_says_why(payload: bytes, expected: str) -> None:
    assert reason(payload, "sensors/pump-1/flow") == expected


@pytest.mark.parametrize(
    ("payload", "value"),
    [(b" -1.5e3\n", -1500.0), (b"+5", 5.0), (b".5", 0.5), (b"TRUE", 1.0), (b"false", 0.0)],
)
def test_numbers_as_devices_write_them(payload: bytes, value: float) -> None:
    assert frame(payload, "sensors/pump-1/flow").rows == ((value,),)


def test_rfc_3339_text_means_the_same_instant_as_seconds() -> None:
    stamps = ("2023-11-14T22:13:20.25Z", "2023-11-15T00:13:20.250+02:00", 1_700_000_000.25)
    moments = {tuple(frame({"ts": stamp, "values": {"a": 1}}).times_ns) for stamp in stamps}
    assert moments == {(round(datetime(2023, 11, 14, 22, 13, 20, 250_000, UTC).timestamp() * 1e6) * 1000,)}


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("elsewhere/pump-1", "no_source"),
        ("sensors", "no_source"),
        ("sensors/a/b/c", "no_source"),
        ("sensors/", "bad_topic"),
        ("sensors/\udcff\udcfe", "bad_topic"),
        ("sensors/" + "x" * 200, "bad_topic"),
        ("sensors/a\nb", "bad_topic"),
    ],
)
def test_topics_that_name_no_machine_are_counted_not_decoded(topic: str, expected: str) -> None:
    assert reason({"values": {"a": 1}}, topic) == expected


def test_every_format_is_reachable_by_its_name() -> None:
    assert set(FORMATS) == {"cbor", "json", "line", "number", "senml", "senml_cbor"}


def test_a_machine_is_named_by_several_levels_of_a_namespace() -> None:
    template = parse("{site}/+/{line}/{machine}/data/#", allowed=None, required=frozenset(), wildcards=True)
    route = Route(template, FORMATS["json"], parse_name("{site}.{line}.{machine}"))
    decode = decoder([route], payload_limit_bytes=4096, future_tolerance_s=60.0)
    payload = b'{"values": {"flow": 1.0}}'
    result = decode(Delivery(topic="north/hall/l2/press/data/fast/1", payload=payload, received_ns=NOW_NS))
    assert isinstance(result, Frame)
    assert result.machine == "north.l2.press"
    too_long = decode(Delivery("n" * 100 + "/hall/l2/press-with-a-long-name/data", payload, NOW_NS))
    assert isinstance(too_long, Reject)
    assert too_long.reason == "bad_topic"


def test_several_topics_feed_one_machine() -> None:
    def route(topic: str) -> Route:
        return Route(parse(topic, allowed=None, required=frozenset()), FORMATS["json"], parse_name("press-4"))

    decode = decoder([route("plc/4/fast"), route("drive/17")], payload_limit_bytes=99, future_tolerance_s=60)
    frames = [
        decode(Delivery(topic, b'{"values": {"a": 1}}', NOW_NS)) for topic in ("plc/4/fast", "drive/17")
    ]
    assert [item.machine for item in frames if isinstance(item, Frame)] == ["press-4", "press-4"]


def by_arrival(payload: bytes, *, received_s: float) -> Frame | Reject:
    routes = [replace(route, clock="arrival") for route in ROUTES]
    decode = decoder(routes, payload_limit_bytes=65_536, future_tolerance_s=300.0)
    return decode(Delivery("sensors/press-4", payload, round(received_s * 1e9)))


@pytest.mark.parametrize("stamp", [0.0, 60.0, 1_600_000_000.0, 1_700_003_600.0, 4_000_000_000.0])
def test_where_arrival_counts_no_stamp_is_turned_away(stamp: float) -> None:
    frame = by_arrival(f'{{"ts": {stamp}, "values": {{"a": 1.5}}}}'.encode(), received_s=1_700_000_000)
    assert isinstance(frame, Frame)
    assert (list(frame.times_ns), frame.stamped) == ([1_700_000_000_000_000_000], False)


def test_rows_of_one_message_keep_their_distances_and_end_at_the_arrival() -> None:
    payload = b'{"ts": [7200.0, 7200.5, 7202.0], "values": {"a": [1, 2, 3]}}'
    frame = by_arrival(payload, received_s=1_700_000_000)
    assert isinstance(frame, Frame)
    assert [time_ns - 1_700_000_000_000_000_000 for time_ns in frame.times_ns] == [
        -2_000_000_000,
        -1_500_000_000,
        0,
    ]


def test_rows_of_one_message_that_lie_decades_apart_are_turned_away() -> None:
    payload = b'{"ts": [7200.0, 4000000000.0], "values": {"a": [1, 2]}}'
    rejected = by_arrival(payload, received_s=1_700_000_000)
    assert isinstance(rejected, Reject)
    assert rejected.reason == "bad_timestamp"
