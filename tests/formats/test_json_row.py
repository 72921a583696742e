"""The formats `json` and `number`: any bytes become a frame or a reason; good values survive bad neighbours."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.formats.json_row import _decode_patiently, _plain_block, decode
from edge_agent.formats.origin import Origin
from edge_agent.formats.routing import Route, delivery_decoder
from edge_agent.formats.table import FORMATS
from edge_agent.records import Delivery, Frame, Reject, RejectReason
from edge_agent.topics import parse, parse_name

NOW_NS = 1_700_000_000_000_000_000
HOLES = frozenset({"machine", "channel"})
ROW = parse("sensors/{machine}", allowed=HOLES, required=frozenset({"machine"}))
CELL = parse("sensors/{machine}/{channel}", allowed=HOLES, required=frozenset({"machine"}))
MACHINE = parse_name("{machine}")
ROUTES = (
    Route(ROW, FORMATS["json"].decoder(None), MACHINE),
    Route(CELL, FORMATS["number"].decoder(None), MACHINE),
)
LIMIT_BYTES = 4096
DECODE = delivery_decoder(ROUTES, payload_limit_bytes=LIMIT_BYTES, future_tolerance_s=60.0)
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
    raw = b'{"values": {"a": 1, "b": NaN, "c": 1e309, "d": "hot", "e": null, "f": true, "g": 1e39, "": 2, "h": [1]}}'
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
        (b'{"ts": 1700000061000, "values": {"a": 1}}', "future_timestamp"),
        (b'{"ts": 1e300, "values": {"a": 1}}', "future_timestamp"),
        (b'{"ts": ' + b"9" * 2000 + b', "values": {"a": 1}}', "future_timestamp"),
    ],
)
def test_a_message_without_a_good_value_is_turned_away_with_its_reason(payload: bytes, expected: str) -> None:
    assert reason(payload) == expected


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"nan", "no_values"),
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


# -- the quick decoder of blocks says exactly what the patient one says, or leaves the block to it

NOW_S = NOW_NS // 10**9
ORIGIN = Origin("press", None, NOW_NS, 60_000_000_000)

WRAPPED = [(NOW_S * 10**9 - 2**64) / 1e9 + second for second in (-10, -5)]
"""Seconds in the year 1439 that a 64-bit count of nanoseconds takes for the present."""
stamps = st.one_of(
    st.floats(NOW_S - 1e6, NOW_S + 120),
    st.floats(WRAPPED[0] - 1e3, WRAPPED[1]),
    st.floats(-1e300, 1e300),
    st.integers(NOW_S - 100, NOW_S + 100),
    st.just("2023-11-14T22:13:20Z"),
)
cells = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True), st.integers(-(10**40), 10**40), st.none(), st.booleans()
)
good_cells = st.floats(-1e30, 1e30)


@given(st.data())
@settings(max_examples=300)
def test_quick_and_patient_agree_on_every_block(data: st.DataObject) -> None:
    length = data.draw(st.integers(0, 4))
    kind = data.draw(st.sampled_from([cells, good_cells, good_cells]))
    ts = data.draw(st.lists(stamps, min_size=length, max_size=length))
    names = data.draw(st.lists(st.sampled_from(["a", "b", "", "x" * 200]), max_size=3, unique=True))
    values = {name: data.draw(st.lists(kind, min_size=length, max_size=length)) for name in names}
    payload = json.dumps({"ts": ts, "values": values}).encode()
    quick, patient = _plain_block(payload, ORIGIN), _decode_patiently(payload, ORIGIN)
    if quick is None:
        return
    assert isinstance(patient, Frame)
    np.testing.assert_array_equal(quick.rows, np.array(patient.rows, np.float32))
    assert replace(quick, rows=()) == replace(patient, rows=())


@pytest.mark.parametrize(
    "ts", [[NOW_S, NOW_S + 3600], [5.0, NOW_S], [NOW_S], [NOW_S, 1e300], WRAPPED, [-1e300, 0]]
)
def test_a_block_with_anything_amiss_is_left_to_the_patient_decoder(ts: list[float]) -> None:
    payload = json.dumps({"ts": ts, "values": {"a": [1.0, 2.0]}}).encode()
    assert _plain_block(payload, ORIGIN) is None
    assert decode(payload, ORIGIN) == _decode_patiently(payload, ORIGIN)


def test_the_common_block_takes_the_quick_way() -> None:
    payload = json.dumps({"ts": [NOW_S - 0.05, NOW_S], "values": {"a": [1, 2.5], "b": [3.0, -4.0]}}).encode()
    frame = _plain_block(payload, ORIGIN)
    assert isinstance(frame, Frame)
    np.testing.assert_array_equal(frame.rows, np.array([[1.0, 3.0], [2.5, -4.0]], np.float32))
    assert frame.times_ns == ((NOW_S * 20 - 1) * 50_000_000, NOW_S * 1_000_000_000)
