"""Sparkplug payloads made by other implementations are read as they were meant; hostile ones become a reason."""

import base64
import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.formats.sparkplug import sparkplug_b_pb2 as wire
from edge_agent.formats.sparkplug.payload import (
    Address,
    SparkplugPayload,
    decode,
    read_address,
    reading,
    rebirth_command,
    says_offline,
    state_payload,
)
from edge_agent.records import Reject

GOLDEN = json.loads((Path(__file__).parent / "sparkplug_golden.json").read_text())
MS = 1_000_000
START_NS = 1_700_000_000_000 * MS


def payload(raw: bytes) -> SparkplugPayload:
    result = decode(raw)
    assert isinstance(result, SparkplugPayload), result
    return result


def golden(name: str) -> SparkplugPayload:
    return payload(base64.b64decode(GOLDEN[name]))


def readings(content: SparkplugPayload) -> dict[str | int | None, tuple[str, float | None]]:
    return {metric.name or metric.alias: reading(metric, metric.datatype) for metric in content.metrics}


# -- a second, independent encoder: protobuf's wire format by hand ----------------------------------------------------


def varint(value: int) -> bytes:
    out = bytearray()
    while True:
        out.append((value & 0x7F) | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)


def field(number: int, value: float | bytes, *, single: bool = False) -> bytes:
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | (5 if single else 1)) + struct.pack("<f" if single else "<d", value)
    return varint(number << 3) + varint(value & (2**64 - 1))


def metric(
    number: int, value: float | bytes, *, datatype: int, name: bytes = b"a", single: bool = False
) -> bytes:
    return field(2, field(1, name) + field(4, datatype) + field(number, value, single=single))


# -- what was meant ---------------------------------------------------------------------------------------------------


def test_a_birth_by_another_implementation_is_read_with_all_its_types() -> None:
    birth = golden("NBIRTH")
    assert (birth.seq, birth.time_ns, birth.number_of("bdSeq")) == (0, START_NS, 3)
    assert readings(birth) == {
        "bdSeq": ("number", 3.0),
        "Node Control/Rebirth": ("number", 0.0),
        "int8": ("number", -5.0),
        "int16": ("number", -300.0),
        "int32": ("number", -70_000.0),
        "int64": ("number", -5_000_000_000.0),
        "uint8": ("number", 200.0),
        "uint16": ("number", 60_000.0),
        "uint32": ("number", 4_000_000_000.0),
        "uint64": ("number", float(2**63 + 2**40)),
        "float": ("number", 1.5),
        "double": ("number", -2.25),
        "flag": ("number", 1.0),
        "Drive/Label": ("text", None),
        "Motor/Temp": ("null", None),
    }
    assert [metric.alias for metric in birth.metrics] == [None, None, *range(1, 14)]
    assert all(metric.time_ns == START_NS for metric in birth.metrics)


def test_data_by_alias_has_its_type_from_the_birth() -> None:
    (rpm,) = golden("DDATA").metrics
    assert (rpm.name, rpm.alias, rpm.datatype, rpm.time_ns) == (None, 21, 0, START_NS + 990 * MS)
    assert reading(rpm, 3) == ("number", -1480.0)
    live, historical, null = golden("NDATA").metrics
    assert (live.historical, historical.historical) == (False, True)
    assert reading(null, 10) == ("null", None)


def test_what_is_no_measurement_is_named_by_its_kind() -> None:
    content = readings(golden("NBIRTH_TAHU"))
    assert {name: kind for name, (kind, _) in content.items()} == {
        "bdSeq": "number",
        "Node Control/Rebirth": "number",
        "table": "dataset",
        "motor": "template",
        "int8": "number",
        "bad": "null",
        "good": "number",
        "null": "null",
        "when": "time",
    }
    assert content["int8"] == ("number", -5.0), "sign-extended to the field's width this time"
    assert content["good"] == ("number", 4.5)
    assert readings(golden("DBIRTH"))["array"] == ("array", None)


@pytest.mark.parametrize(("datatype", "bits"), [(1, 8), (2, 16), (3, 32), (4, 64)])
@given(data=st.data())
def test_signed_integers_are_read_from_their_own_and_from_the_field_s_width(
    datatype: int, bits: int, data: st.DataObject
) -> None:
    value = data.draw(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
    number = 11 if bits == 64 else 10
    for width in {bits, 64 if bits == 64 else 32}:
        content = payload(metric(number, value % 2**width, datatype=datatype))
        assert readings(content) == {"a": ("number", float(value))}


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(0, 255), st.integers(1, 2**40))
def test_numbers_come_back_as_another_encoder_wrote_them(value: float, seq: int, time_ms: int) -> None:
    raw = field(1, time_ms) + metric(12, value, datatype=9, single=True) + field(3, seq)
    content = payload(raw + metric(13, value, datatype=10, name=b"b"))
    assert readings(content) == {"a": ("number", value), "b": ("number", value)}
    assert (content.seq, content.time_ns) == (seq, time_ms * MS)


@pytest.mark.parametrize(
    ("raw", "datatype", "expected"),
    [
        (metric(13, math.nan, datatype=10), 10, ("not_finite", None)),
        (metric(13, 1e300, datatype=10), 10, ("not_finite", None)),
        (metric(12, math.inf, datatype=9, single=True), 9, ("not_finite", None)),
        (metric(13, 1.5, datatype=3), 3, ("wrong_type", None)),
        (metric(13, 1.5, datatype=11), 11, ("wrong_type", None)),
        (metric(10, 3, datatype=9), 9, ("number", 3.0)),
        (metric(11, 2**32 - 1, datatype=7), 7, ("number", float(2**32 - 1))),
        (metric(14, 1, datatype=11), 11, ("number", 1.0)),
        (metric(14, 1, datatype=3), 3, ("number", 1.0)),
        (metric(10, 5, datatype=0), 0, ("number", 5.0)),
        (metric(10, 5, datatype=99), 99, ("unknown", None)),
        (metric(15, b"text", datatype=9), 9, ("text", None)),
        (metric(15, b"text", datatype=0), 0, ("text", None)),
        (metric(16, b"\x00", datatype=0), 0, ("bytes", None)),
        (field(2, field(1, b"a") + field(4, 9)), 9, ("null", None)),
        (field(2, field(1, b"a") + field(7, 1) + field(13, 5.0)), 10, ("null", None)),
    ],
)
def test_values_that_do_not_fit_their_type(
    raw: bytes, datatype: int, expected: tuple[str, float | None]
) -> None:
    (found,) = payload(raw).metrics
    assert reading(found, datatype) == expected


def test_a_name_that_is_not_utf8_costs_its_metric_alone() -> None:
    first, second = payload(
        metric(13, 1.0, datatype=10, name=b"\xff\xfe") + metric(13, 2.0, datatype=10)
    ).metrics
    assert (first.name, second.name) == (None, "a")


def test_unknown_fields_are_passed_over() -> None:
    assert readings(payload(field(99, b"x") + metric(13, 1.0, datatype=10))) == {"a": ("number", 1.0)}


@pytest.mark.parametrize(
    "raw",
    [b"\x12\x80", b"\x0b" * 10_000, b"\x12\xff\xff\xff\xff\x0f", b"\xff" * 20, field(3, 256), field(3, -1)],
)
def test_broken_payloads_are_turned_away(raw: bytes) -> None:
    result = decode(raw)
    assert isinstance(result, Reject)
    assert result.reason == "malformed"


@given(st.sampled_from(sorted(set(GOLDEN) - {"note"})), st.data())
def test_altered_and_truncated_payloads_never_raise(name: str, data: st.DataObject) -> None:
    raw = bytearray(base64.b64decode(GOLDEN[name]))
    for _ in range(data.draw(st.integers(0, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    check_all(bytes(raw[: data.draw(st.integers(0, len(raw)))]))


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_raise(raw: bytes) -> None:
    check_all(raw)


def check_all(raw: bytes) -> None:
    result = decode(raw)
    if isinstance(result, SparkplugPayload):
        assert 0 <= result.seq <= 255
        for found in result.metrics:
            for datatype in (found.datatype, 0, 1, 8, 9, 11, 16, 40):
                kind, value = reading(found, datatype)
                assert (kind == "number") == (value is not None and abs(value) < 3.5e38)


# -- topics and what a host says --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("spBv1.0/G/NBIRTH/N", Address("NBIRTH", "G", "N", None)),
        ("spBv1.0/G/DDATA/N/D 1", Address("DDATA", "G", "N", "D 1")),
    ],
)
def test_topics_are_taken_apart(topic: str, expected: Address) -> None:
    assert read_address(topic) == expected


@pytest.mark.parametrize(
    "topic",
    [
        "spAv1.0/G/NBIRTH/N", "spBv1.0/G/NBIRTH", "spBv1.0/G/NBIRTH/N/D", "spBv1.0/G/DBIRTH/N", "spBv1.0//NDATA/N",
        "spBv1.0/G/nbirth/N", "spBv1.0/G/DDATA/N/D/E", "spBv1.0/G/NDATA/N+", "spBv1.0/G/NDATA/\udcff", "", "spBv1.0",
    ],
)  # fmt: skip
def test_other_topics_are_not(topic: str) -> None:
    assert isinstance(read_address(topic), Reject)


def test_a_rebirth_is_asked_for_by_name_with_true_a_time_and_no_sequence_number() -> None:
    command = wire.Payload.FromString(rebirth_command(1234))
    (asked,) = command.metrics
    assert (asked.name, asked.boolean_value, asked.datatype) == (b"Node Control/Rebirth", True, 11)
    assert not asked.HasField("alias")
    assert command.timestamp == 1234
    assert not command.HasField("seq")


@given(st.booleans(), st.integers(0, 2**45))
def test_a_state_says_online_and_since_when(online: Any, time_ms: int) -> None:
    raw = state_payload(online=online, time_ms=time_ms)
    assert json.loads(raw.decode()) == {"online": online, "timestamp": time_ms}
    assert says_offline(raw) is not online


@given(st.binary(max_size=40))
def test_no_state_payload_raises(raw: bytes) -> None:
    assert not says_offline(raw)
