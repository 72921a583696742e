"""CBOR rows and blocks say what the same JSON says; hostile items become a reason in no time."""

import json
import math
import struct
from typing import Any

import cbor2
import numpy as np
import pytest
from cbor2 import CBORTag
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.formats import cbor_row, json_row
from edge_agent.formats.origin import Origin
from edge_agent.records import Frame, Reject

NOW_NS = 1_700_000_000_000_000_000
ORIGIN = Origin(machine="pump-1", channel=None, received_ns=NOW_NS, future_tolerance_ns=60_000_000_000)
START_S = 1_600_000_000
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)
# RFC 8746 section 2.1: tag, struct code with byte order.
TYPED = [
    (64, "B"), (65, ">H"), (66, ">I"), (67, ">Q"), (68, "B"), (69, "<H"), (70, "<I"), (71, "<Q"),
    (72, "b"), (73, ">h"), (74, ">i"), (75, ">q"), (77, "<h"), (78, "<i"), (79, "<q"),
    (80, ">e"), (81, ">f"), (82, ">d"), (84, "<e"), (85, "<f"), (86, "<d"),
]  # fmt: skip


def decode(message: object) -> Frame | Reject:
    return cbor_row.decode(message if isinstance(message, bytes) else cbor2.dumps(message), ORIGIN)


def frame(message: object) -> Frame:
    result = decode(message)
    assert isinstance(result, Frame), result
    return result


def typed(code: str, numbers: list[Any]) -> bytes:
    order, kind = (code[0], code[1]) if len(code) > 1 else ("<", code)
    return struct.pack(f"{order}{len(numbers)}{kind}", *numbers)


@given(st.dictionaries(st.text(max_size=8), NUMBERS | st.none() | st.booleans() | st.text(max_size=2), max_size=8),
       st.none() | st.integers(-10, 1_700_000_100) | st.floats(0, 2e9) | st.just("2023-11-14T22:13:20Z"))  # fmt: skip
def test_a_row_means_what_the_same_row_means_in_json(values: dict[str, object], stamp: object) -> None:
    message = {"ts": stamp, "values": values}
    ours, theirs = decode(message), json_row.decode(json.dumps(message).encode(), ORIGIN)
    if isinstance(theirs, Reject):
        assert isinstance(ours, Reject)
        assert ours.reason == theirs.reason
    else:
        assert isinstance(ours, Frame)
        assert (ours.channels, tuple(ours.times_ns), ours.stamped) == (
            theirs.channels,
            tuple(theirs.times_ns),
            theirs.stamped,
        )
        assert [list(row) for row in ours.rows] == [list(row) for row in theirs.rows]
        assert sorted(ours.bad_values) == sorted(theirs.bad_values)


@pytest.mark.parametrize(("tag", "code"), TYPED)
def test_typed_arrays_are_read_in_every_width_and_byte_order(tag: int, code: str) -> None:
    numbers = [1, 2, 100]
    message = {
        "ts": CBORTag(82, typed(">d", [START_S, START_S + 0.25, START_S + 0.5])),
        "values": {"a": CBORTag(tag, typed(code, numbers)), "b": [7, None, 9.5]},
    }
    result = frame(message)
    assert list(result.times_ns) == [START_S * 10**9 + step * 250_000_000 for step in range(3)]
    assert result.channels == ("a", "b")
    expected = [[1.0, 7.0], [2.0, math.nan], [100.0, 9.5]]
    assert np.array_equal(np.asarray(result.rows), np.array(expected, np.float32), equal_nan=True)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=50))
def test_typed_and_listed_blocks_say_the_same(rows: list[tuple[float, float]]) -> None:
    stamps = [START_S + at for at in range(len(rows))]
    columns = {"a": [row[0] for row in rows], "b": [row[1] for row in rows]}
    listed = frame({"ts": stamps, "values": columns})
    packed = frame(
        {
            "ts": CBORTag(70, typed("<I", stamps)),
            "values": {name: CBORTag(81, typed(">f", column)) for name, column in columns.items()},
        }
    )
    assert np.array_equal(np.asarray(listed.rows), np.asarray(packed.rows))
    assert np.array_equal(np.asarray(listed.rows), np.array(rows, np.float32))
    assert list(listed.times_ns) == list(packed.times_ns) == [stamp * 10**9 for stamp in stamps]


def test_in_a_typed_array_nan_is_missing_and_what_float32_cannot_hold_is_turned_away() -> None:
    column = CBORTag(86, typed("<d", [math.nan, math.inf, -1e39, 4.0]))
    result = frame({"ts": [START_S + at for at in range(4)], "values": {"a": column}})
    assert [None if math.isnan(row[0]) else float(row[0]) for row in result.rows] == [None, None, None, 4.0]
    assert result.bad_values == (("a", "not_finite"),) * 2


def test_a_bad_cell_of_a_listed_block_is_missing_and_named() -> None:
    result = frame({"ts": [START_S, START_S + 1], "values": {"a": ["x", 2], "b": [1e39, None], "c": [1, 2]}})
    assert result.channels == ("a", "c")
    assert np.array_equal(
        np.asarray(result.rows), np.array([[math.nan, 1], [2, 2]], np.float32), equal_nan=True
    )
    assert result.bad_values == (("a", "wrong_type"), ("b", "not_finite"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (CBORTag(4, [-1, 215]), 21.5),
        (CBORTag(4, [2, -3]), -300.0),
        (1.5, 1.5),
        (b"\xf9\x3e\x00", 1.5),
        (True, 1.0),
        (2**64 - 1, float(2**64 - 1)),
    ],
)
def test_numbers_as_cbor_writes_them(value: object, expected: float) -> None:
    if isinstance(value, bytes):
        raw = b"\xa1\x66values\xa1\x61a" + value
        assert frame(raw).rows == ((expected,),)
    else:
        assert frame({"values": {"a": value}}).rows == ((expected,),)


@pytest.mark.parametrize(
    "value",
    [
        b"\x01", "one", [1], {"v": 1}, CBORTag(85, b"abc"), CBORTag(85, b"abcd"), CBORTag(4, [10**9, 1]),
        CBORTag(4, [1, 1, 1]), CBORTag(5, [2**40, 1]), CBORTag(30, [1, 3]), CBORTag(2, b"\xff" * 4000),
        CBORTag(35, "(" * 4000), CBORTag(36, "x: y"), CBORTag(37, b"1"), CBORTag(258, [1]), CBORTag(260, b"1234"),
        CBORTag(12345, 1), cbor2.undefined, cbor2.CBORSimpleValue(99),
    ],
)  # fmt: skip
def test_what_is_no_number_is_turned_away_alone(value: object) -> None:
    result = frame({"values": {"a": value, "b": 2}})
    assert (result.channels, result.rows) == (("b",), ((2.0,),))
    assert result.bad_values == (("a", "wrong_type"),)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"", "malformed"),
        (b"\xff", "malformed"),
        (cbor2.dumps({"values": {"a": 1}})[:-1], "malformed"),
        (cbor2.dumps({"values": {"a": 1}}) + b"\x00", "malformed"),
        (b"\x81" * 60_000, "malformed"),
        (b"\xa1\x66values\xa1\x61a" + b"\x81" * 40 + b"\x01", "malformed"),
        (b"\xa1\x66values\xa1\x61a" + b"\x81" * 20 + b"\x01", "wrong_type"),
        (b"\xc1" * 60_000, "malformed"),
        (b"\x9b\x00\x00\x00\xff\xff\xff\xff\xff", "malformed"),
        (b"\xbb\x7f\xff\xff\xff\xff\xff\xff\xff", "malformed"),
        (b"\x7b\x7f\xff\xff\xff\xff\xff\xff\xff", "malformed"),
        (b"\xa1\x66values\xa1\x62\xff\xff\x01", "malformed"),
        (b"\xa1\x66values\xa1\x01\x01", "malformed"),
        (cbor2.dumps([1, 2]), "wrong_type"),
        (cbor2.dumps({"values": 1}), "wrong_type"),
        (cbor2.dumps({"values": {}}), "no_values"),
        (cbor2.dumps({"values": {"a": None}}), "no_values"),
        (cbor2.dumps({"values": {b"a": 1}}), "unknown_channel"),
        (cbor2.dumps({"ts": -(10**5000), "values": {"a": 1}}), "bad_timestamp"),
        (cbor2.dumps({"ts": 2**63, "values": {"a": 1}}), "future_timestamp"),
        (cbor2.dumps({"ts": math.nan, "values": {"a": 1}}), "bad_timestamp"),
        (cbor2.dumps({"ts": b"now", "values": {"a": 1}}), "bad_timestamp"),
        (cbor2.dumps({"ts": [START_S, None], "values": {"a": [1, 2]}}), "bad_timestamp"),
        (cbor2.dumps({"ts": [START_S], "values": {"a": [1, 2]}}), "wrong_type"),
        (cbor2.dumps({"ts": [START_S], "values": {"": [1]}}), "unknown_channel"),
        (cbor2.dumps({"ts": [], "values": {"a": []}}), "no_values"),
        (cbor2.dumps({"ts": [START_S], "values": {}}), "no_values"),
    ],
)
def test_a_message_without_a_good_value_is_turned_away_with_its_reason(payload: bytes, expected: str) -> None:
    result = decode(payload)
    assert isinstance(result, Reject), result
    assert result.reason == expected


def test_times_may_be_tagged_as_times() -> None:
    for stamp in (CBORTag(1, START_S), CBORTag(0, "2020-09-13T12:26:40Z")):
        assert list(frame({"ts": stamp, "values": {"a": 1}}).times_ns) == [START_S * 10**9]


def test_of_a_name_that_stands_twice_the_last_counts_as_in_json() -> None:
    assert frame(b"\xa1\x66values\xa2\x61a\x01\x61a\x02").rows == ((2.0,),)


def test_items_that_refer_to_each_other_are_no_rows() -> None:
    assert isinstance(decode(CBORTag(28, {"values": CBORTag(29, 0)})), Reject)


ITEMS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["ts", "values", "a", ""]), inner, max_size=3)
        | st.builds(CBORTag, st.integers(0, 300), inner)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["ts", "values"]), ITEMS) | ITEMS, st.data())
def test_arbitrary_items_never_raise_and_frames_hold_only_finite_or_missing(
    item: Any, data: st.DataObject
) -> None:
    raw = cbor2.dumps(item)
    for payload in (raw, raw[: data.draw(st.integers(0, len(raw)))]):
        result = decode(payload)
        if isinstance(result, Frame):
            assert len(result.rows) == len(result.times_ns) > 0
            assert all(len(row) == len(result.channels) > 0 for row in result.rows)
            assert all(math.isnan(cell) or abs(cell) < 3.5e38 for row in result.rows for cell in row)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_raise(payload: bytes) -> None:
    assert isinstance(decode(payload), Frame | Reject)
