"""SenML packs become rows as RFC 8428 resolves them; any bytes become a frame or a reason."""

import json
import math
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.formats import senml
from edge_agent.formats.origin import Origin
from edge_agent.records import Frame, Reject

NOW_NS = 1_700_000_000_000_000_000
ORIGIN = Origin(machine="pump-1", channel=None, received_ns=NOW_NS, future_tolerance_ns=60_000_000_000)
CBOR_LABELS = {
    "bver": -1, "bn": -2, "bt": -3, "bu": -4, "bv": -5, "bs": -6,
    "n": 0, "u": 1, "v": 2, "vs": 3, "vb": 4, "s": 5, "t": 6, "ut": 7, "vd": 8,
}  # fmt: skip
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def frame(pack: object) -> Frame:
    result = senml.decode(json.dumps(pack).encode(), ORIGIN)
    assert isinstance(result, Frame), result
    return result


def reject(pack: object) -> Reject:
    result = senml.decode(pack if isinstance(pack, bytes) else json.dumps(pack).encode(), ORIGIN)
    assert isinstance(result, Reject), result
    return result


def cells(result: Frame) -> dict[tuple[int, str], float]:
    return {
        (time_ns, name): cell
        for time_ns, row in zip(result.times_ns, result.rows, strict=True)
        for name, cell in zip(result.channels, row, strict=True)
        if not math.isnan(cell)
    }


def numbered(pack: list[dict[str, Any]]) -> list[dict[Any, Any]]:
    return [{CBOR_LABELS.get(label, label): value for label, value in record.items()} for record in pack]


# RFC 8428 section 5.1.2, second example.
CURRENT = [
    {"bn": "urn:dev:ow:10e2073a01080063:", "bt": 1.276020076e9, "bu": "A", "bver": 5,
     "n": "voltage", "u": "V", "v": 120.1},
    {"n": "current", "t": -5, "v": 1.2},
    {"n": "current", "t": -4, "v": 1.3},
    {"n": "current", "t": -3, "v": 1.4},
    {"n": "current", "t": -2, "v": 1.5},
    {"n": "current", "t": -1, "v": 1.6},
    {"n": "current", "v": 1.7},
]  # fmt: skip


@pytest.mark.parametrize(
    "encode", [lambda pack: json.dumps(pack).encode(), lambda pack: cbor2.dumps(numbered(pack))]
)
def test_the_example_of_the_standard_is_resolved_as_the_standard_says(encode: Any) -> None:
    decode = senml.decode if encode(CURRENT).startswith(b"[") else senml.decode_cbor
    result = decode(encode(CURRENT), ORIGIN)
    assert isinstance(result, Frame)
    start_ns = 1_276_020_076_000_000_000
    expected = {(start_ns + step * 10**9, "current"): 1.7 + step / 10 for step in range(-5, 1)}
    expected[start_ns, "voltage"] = 120.1
    assert cells(result) == pytest.approx(expected)
    assert list(result.times_ns) == sorted(result.times_ns)
    assert result.stamped


def test_one_name_in_several_units_is_several_quantities_and_only_the_first_is_kept() -> None:
    # RFC 8428 section 5.1.3: humidity, longitude and latitude under one name.
    result = frame(
        [
            {"bn": "urn:dev:ow:10e2073a01080063", "bt": 1.320067464e9, "bu": "%RH", "v": 20},
            {"u": "lon", "v": 24.30621},
            {"u": "lat", "v": 60.07965},
            {"t": 60, "v": 20.3},
        ]
    )
    assert list(cells(result).values()) == [20.0, 20.3]
    assert result.bad_values == (("10e2073a01080063", "unknown_channel"),) * 2


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("urn:dev:ow:10e2073a01080063:voltage", "voltage"),
        ("urn:dev:pump-1:motor/temp", "motor.temp"),
        ("pump-1/motor/temp", "motor.temp"),
        ("pump-1_flow", "flow"),
        ("pump-1", "pump-1"),
        ("pump-10/flow", "flow"),
        ("a/pump-1x/flow", "flow"),
        ("flow", "flow"),
    ],
)
def test_a_channel_is_what_stands_behind_the_machine_or_the_last_segment(name: str, channel: str) -> None:
    assert frame([{"n": name, "v": 1}]).channels == (channel,)


@pytest.mark.parametrize("name", ["", "-a", "a b", "grün", "a+b", "a:", 7, None])
def test_names_that_the_standard_forbids_are_turned_away(name: object) -> None:
    result = frame([{"n": name, "v": 1}, {"n": "good", "v": 2}])
    assert result.channels == ("good",)
    assert [reason for _, reason in result.bad_values] == ["unknown_channel"]


def test_base_values_add_and_truth_values_count_as_one_and_zero() -> None:
    result = frame(
        [
            {"bv": 20, "n": "a", "v": 1.5},
            {"n": "b", "v": -3},
            {"bv": 0.5, "n": "c", "v": 0},
            {"n": "d", "vb": True},
        ]
    )
    assert list(cells(result).values()) == [21.5, 17.0, 0.5, 1.0]
    assert not result.stamped
    assert list(result.times_ns) == [NOW_NS]


def test_a_sum_that_no_double_holds_is_turned_away() -> None:
    assert reject([{"bv": 0.5, "n": "a", "v": 10**400}]).reason == "not_finite"
    assert reject([{"bt": 0.5, "n": "a", "v": 1, "t": 10**400}]).reason == "bad_timestamp"


def test_times_below_two_to_the_28_count_from_the_arrival() -> None:
    result = frame([{"n": "a", "t": -30.5, "v": 1}, {"n": "a", "t": 2**28, "v": 9}, {"n": "a", "v": 2}])
    assert list(result.times_ns) == [NOW_NS - 30_500_000_000, NOW_NS]
    assert result.stamped
    assert result.bad_values == (("a", "bad_timestamp"),), "2**28 s is absolute, and lies in 1978"
    for future_s in (61, 2**28 - 1):
        assert reject([{"n": "a", "t": future_s, "v": 1}]).reason == "future_timestamp"


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"n": "a", "vs": "text"}, "wrong_type"),
        ({"n": "a", "vd": "AAA"}, "wrong_type"),
        ({"n": "a", "vb": 1}, "wrong_type"),
        ({"n": "a", "v": "1"}, "wrong_type"),
        ({"n": "a", "v": True}, "wrong_type"),
        ({"n": "a", "s": 5}, "wrong_type"),
        ({"n": "a", "v": 1e39}, "not_finite"),
        ({"n": "a", "v": 10**400}, "not_finite"),
        ({"n": "a", "v": 1, "t": "now"}, "bad_timestamp"),
        ({"n": "a", "v": 1, "t": 10**400}, "future_timestamp"),
        ({"n": "a", "v": 1, "t": -(10**400)}, "bad_timestamp"),
        ({"n": "a", "v": 1, "u": 3}, "unknown_channel"),
    ],
)
def test_a_bad_record_is_turned_away_alone(record: dict[str, object], expected: str) -> None:
    result = frame([record, {"n": "good", "v": 2}])
    assert list(cells(result).values()) == [2.0]
    assert [reason for _, reason in result.bad_values] == [expected]
    assert reject([record]).reason == expected


def test_unknown_labels_are_ignored_unless_they_must_be_understood() -> None:
    assert frame([{"n": "a", "v": 1, "x": {}, "ut": 3}]).rows == ((1.0,),)
    assert reject([{"n": "a", "v": 1}, {"n": "b", "v": 1, "x_": 1}]).reason == "unsupported"
    assert reject([{"bver": 11, "n": "a", "v": 1}]).reason == "unsupported"
    assert frame([{"bver": 10, "n": "a", "v": 1}]).rows == ((1.0,),)


@pytest.mark.parametrize(
    ("pack", "expected"),
    [
        (b"\xff", "not_utf8"),
        (b"[", "not_json"),
        (b"[" * 5000, "not_json"),
        ({}, "wrong_type"),
        ([1], "wrong_type"),
        ([], "no_values"),
        ([{"bn": "only-a-base"}], "no_values"),
        ([{"n": "a", "v": None}], "no_values"),
        ([{"bn": 1, "v": 1}], "wrong_type"),
        ([{"bt": "1", "v": 1}], "wrong_type"),
        ([{"bver": True, "v": 1}], "wrong_type"),
    ],
)
def test_a_pack_that_cannot_be_resolved_is_turned_away(pack: object, expected: str) -> None:
    assert reject(pack).reason == expected


def test_sparse_packs_do_not_swell() -> None:
    pack = [{"n": f"c{index}", "t": -index - 1, "v": 1} for index in range(2000)]
    assert reject(pack).reason == "too_large"


@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abcd"), st.integers(-1000, -1)), NUMBERS, min_size=1, max_size=30
    )
)
def test_rows_come_back_from_json_and_from_cbor_as_they_were_sent(
    samples: dict[tuple[str, int], float],
) -> None:
    pack = [{"n": name, "t": second, "v": value} for (name, second), value in samples.items()]
    pack[0]["bt"] = 1_600_000_000
    expected = {((1_600_000_000 + at) * 10**9, name): value for (name, at), value in samples.items()}
    as_cbor = senml.decode_cbor(cbor2.dumps(numbered(pack)), ORIGIN)
    assert isinstance(as_cbor, Frame)
    assert cells(frame(pack)) == cells(as_cbor) == expected


LABELS = st.sampled_from([*CBOR_LABELS, *CBOR_LABELS.values(), "x", "x_", 99])
ITEMS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LABELS, inner, max_size=4),
    max_leaves=10,
)


@given(st.lists(st.dictionaries(LABELS, ITEMS, max_size=5), max_size=4) | ITEMS, st.data())
def test_arbitrary_cbor_never_raises_nor_does_any_part_of_it(pack: object, data: st.DataObject) -> None:
    raw = cbor2.dumps(pack)
    cut = data.draw(st.integers(0, len(raw)))
    for payload in (raw, raw[:cut]):
        result = senml.decode_cbor(payload, ORIGIN)
        if isinstance(result, Frame):
            assert all(abs(cell) < 3.5e38 for cell in cells(result).values())


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_raise(payload: bytes) -> None:
    for decode in (senml.decode, senml.decode_cbor):
        assert isinstance(decode(payload, ORIGIN), Frame | Reject)
