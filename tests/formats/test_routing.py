"""A delivery finds its source by its topic, and the source says whose clock counts."""

import json
from dataclasses import replace

import pytest

from edge_agent.formats.routing import Route, delivery_decoder
from edge_agent.formats.table import FORMATS
from edge_agent.records import Delivery, Frame, Reject
from edge_agent.topics import parse, parse_name

NOW_NS = 1_700_000_000_000_000_000
HOLES = frozenset({"machine", "channel"})
ROW = parse("sensors/{machine}", allowed=HOLES, required=frozenset({"machine"}))
CELL = parse("sensors/{machine}/{channel}", allowed=HOLES, required=frozenset({"machine"}))
MACHINE = parse_name("{machine}")
JSON, NUMBER = FORMATS["json"].decoder(None), FORMATS["number"].decoder(None)
ROUTES = (Route(ROW, JSON, MACHINE), Route(CELL, NUMBER, MACHINE))
DECODE = delivery_decoder(ROUTES, payload_limit_bytes=4096, future_tolerance_s=60.0)


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
    result = DECODE(Delivery(topic, json.dumps({"values": {"a": 1}}).encode(), NOW_NS))
    assert isinstance(result, Reject)
    assert result.reason == expected


def test_every_format_is_reachable_by_its_name() -> None:
    assert set(FORMATS) == {
        "cbor", "image", "json", "json_path", "line", "number", "senml", "senml_cbor", "waveform",
    }  # fmt: skip


def test_a_machine_is_named_by_several_levels_of_a_namespace() -> None:
    template = parse("{site}/+/{line}/{machine}/data/#", allowed=None, required=frozenset(), wildcards=True)
    route = Route(template, JSON, parse_name("{site}.{line}.{machine}"))
    decode = delivery_decoder([route], payload_limit_bytes=4096, future_tolerance_s=60.0)
    payload = b'{"values": {"flow": 1.0}}'
    result = decode(Delivery(topic="north/hall/l2/press/data/fast/1", payload=payload, received_ns=NOW_NS))
    assert isinstance(result, Frame)
    assert result.machine == "north.l2.press"
    too_long = decode(Delivery("n" * 100 + "/hall/l2/press-with-a-long-name/data", payload, NOW_NS))
    assert isinstance(too_long, Reject)
    assert too_long.reason == "bad_topic"


def test_several_topics_feed_one_machine() -> None:
    def route(topic: str) -> Route:
        return Route(
            parse(topic, allowed=None, required=frozenset()),
            JSON,
            parse_name("press-4"),
        )

    decode = delivery_decoder(
        [route("plc/4/fast"), route("drive/17")], payload_limit_bytes=99, future_tolerance_s=60
    )
    frames = [
        decode(Delivery(topic, b'{"values": {"a": 1}}', NOW_NS)) for topic in ("plc/4/fast", "drive/17")
    ]
    assert [item.machine for item in frames if isinstance(item, Frame)] == ["press-4", "press-4"]


def by_arrival(payload: bytes, *, received_s: float) -> Frame | Reject:
    routes = [replace(route, clock="arrival") for route in ROUTES]
    decode = delivery_decoder(routes, payload_limit_bytes=65_536, future_tolerance_s=300.0)
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


@pytest.mark.parametrize("stamp", ['"2026-11-30T12:00:00"', '"yesterday"', "[]", '"1700000000000"'])
def test_where_arrival_counts_a_stamp_that_cannot_be_read_loses_no_row(stamp: str) -> None:
    frame = by_arrival(f'{{"ts": {stamp}, "values": {{"a": 1.5}}}}'.encode(), received_s=1_700_000_000)
    if stamp == "[]":
        assert isinstance(frame, Reject), "a block of no rows"
        return
    assert isinstance(frame, Frame)
    assert list(frame.times_ns) == [1_700_000_000_000_000_000]


def test_what_the_broker_kept_is_no_row_unless_it_says_when_it_was_true() -> None:
    plain = DECODE(Delivery("sensors/pump-1/flow", b"1.5", NOW_NS, retain=True))
    assert isinstance(plain, Reject)
    assert plain.reason == "retained"
    stamped = DECODE(
        Delivery("sensors/pump-1", b'{"ts": 1699999999, "values": {"a": 1}}', NOW_NS, retain=True)
    )
    assert isinstance(stamped, Frame)
    state = delivery_decoder(
        [replace(route, retained="state") for route in ROUTES], payload_limit_bytes=99, future_tolerance_s=60
    )
    assert isinstance(state(Delivery("sensors/pump-1/flow", b"1.5", NOW_NS, retain=True)), Frame)


def test_rows_of_one_message_that_lie_decades_apart_are_turned_away() -> None:
    payload = b'{"ts": [7200.0, 4000000000.0], "values": {"a": [1, 2]}}'
    rejected = by_arrival(payload, received_s=1_700_000_000)
    assert isinstance(rejected, Reject)
    assert rejected.reason == "bad_timestamp"
