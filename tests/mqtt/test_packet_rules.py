"""What MQTT 3.1.1 allows a broker to send is left alone, and what it forbids is found: packets from its tables."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.mqtt.packet_rules import BAD_TOPICS, answer_violation, head_violation, publish_violation

TOPICS = st.text(st.characters(exclude_characters="#+\0", exclude_categories=["Cs"]), min_size=1, max_size=60)


def published(topic: bytes, payload: bytes, *, number: int, qos: int) -> bytearray:
    end = struct.pack("!H", number) if qos else b""
    return bytearray(struct.pack("!H", len(topic)) + topic + end + payload)


@given(
    TOPICS,
    st.binary(max_size=20),
    st.integers(1, 65_535),
    st.sampled_from((0x30, 0x31, 0x32, 0x33, 0x3A, 0x3B)),
)
def test_every_allowed_publish_passes(topic: str, payload: bytes, number: int, head: int) -> None:
    packet = published(topic.encode(), payload, number=number, qos=head >> 1 & 3)
    assert publish_violation(head, packet) == ""


@given(TOPICS, st.sampled_from((b"#", b"+", b"\0", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80")), st.data())
def test_no_topic_with_a_forbidden_sign_passes(topic: str, sign: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(topic)))
    wrong = topic[:at].encode() + sign + topic[at:].encode()
    assert publish_violation(0x32, published(wrong, b"1", number=7, qos=1)) in BAD_TOPICS
    assert publish_violation(0x30, published(wrong, b"", number=7, qos=0)) in BAD_TOPICS


@given(TOPICS, st.integers(1, 65_535))
def test_a_publish_cut_off_before_its_payload_is_found(topic: str, number: int) -> None:
    whole = published(topic.encode(), b"", number=number, qos=1)
    for size in range(len(whole)):
        assert publish_violation(0x32, whole[:size]) == "a PUBLISH that is short"


def test_message_numbers_and_qualities() -> None:
    assert publish_violation(0x32, published(b"t", b"", number=0, qos=1)) == "message number 0"
    assert publish_violation(0x30, published(b"t", b"\0\0", number=0, qos=0)) == ""
    for head in (0x34, 0x36):
        assert "quality" in publish_violation(head, published(b"t", b"", number=1, qos=2))


ALLOWED = {(0x40, 2), (0xB0, 2), (0xD0, 0), (0x90, 3), (0x90, 9)}
"""PUBACK, UNSUBACK, PINGRESP and SUBACK: first byte and length of the body, by tables 3.4, 3.8, 3.10 and 3.13."""


@given(st.integers(0, 255), st.integers(0, 9))
def test_only_what_a_broker_may_answer_passes(head: int, length: int) -> None:
    fault = head_violation(head, length, greeted=True)
    if head & 0xF0 == 0x30 or head == 0x90:  # judged by their bodies
        assert fault == ""
    else:
        assert (fault == "") is ((head, length) in ALLOWED)
    assert (head_violation(head, length, greeted=False) == "") is ((head, length) == (0x20, 2))


@pytest.mark.parametrize(
    ("head", "body", "asked", "passes"),
    [
        (0x20, b"\x00\x00", (), True),
        (0x20, b"\x01\x00", (), True),
        (0x20, b"\x00\x05", (), True),
        (0x20, b"\x01\x05", (), False),
        (0x20, b"\x02\x00", (), False),
        (0x20, b"\x00\x06", (), False),
        (0x40, b"\x00\x01", (), True),
        (0x40, b"\x00\x00", (), False),
        (0xD0, b"", (), True),
        (0x90, b"\x00\x01\x01", (1,), True),
        (0x90, b"\x00\x01\x00\x80\x02", (1, 3), True),
        (0x90, b"\x00\x01\x01", (), False),
        (0x90, b"\x00\x01\x01\x01", (1, 3), False),
        (0x90, b"\x00\x01\x03", (1,), False),
        (0x90, b"\x00\x00\x01", (1,), False),
        (0x90, b"\x00", (1,), False),
        (0x90, b"", (1,), False),
    ],
)
def test_bodies(head: int, body: bytes, asked: tuple[int, ...], passes: bool) -> None:  # noqa: FBT001
    assert (answer_violation(head, bytearray(body), asked=asked) == "") is passes
