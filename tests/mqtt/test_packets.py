"""PUBLISH packets cut out of a run of bytes: what paho reads of the same bytes, however they are cut."""

import socket
from contextlib import suppress

import paho.mqtt.client as mqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from edge_agent.mqtt.bulk_client import BufferedSocket, BulkClient
from edge_agent.mqtt.packets import PublishPacket, cut_publishes

topics = st.text(st.characters(exclude_characters="\0+#", exclude_categories=["Cs"]), min_size=1, max_size=40)
publishes = st.builds(
    lambda topic, payload, mid, again: PublishPacket(topic, payload, mid, again and mid > 0),
    topics,
    st.binary(max_size=400),
    st.integers(0, 65_535),
    st.booleans(),
)


def packet(message: PublishPacket) -> bytes:
    topic = message.topic.encode()
    number = message.mid.to_bytes(2, "big") if message.mid else b""
    body = len(topic).to_bytes(2, "big") + topic + number + message.payload
    head = 0x30 | (message.again << 3) | ((message.mid > 0) << 1)
    return bytes([head]) + length(len(body)) + body


def length(number: int) -> bytes:
    found = bytearray()
    while True:
        number, low = divmod(number, 128)
        found.append(low | (0x80 if number else 0))
        if not number:
            return bytes(found)


@given(st.lists(publishes, max_size=12), st.data())
def test_messages_come_out_whole_and_in_order_wherever_the_bytes_are_cut(
    messages: list[PublishPacket], data: st.DataObject
) -> None:
    sent = b"".join(map(packet, messages))
    found: list[PublishPacket] = []
    left = b""
    while sent:
        cut = data.draw(st.integers(1, len(sent)))
        left, sent = left + sent[:cut], sent[cut:]
        run = cut_publishes(left, 0, keep_bytes=10_000)
        found += run.found
        left = left[run.end :]
        assert run.torn == bool(left)
    assert found == messages


@given(st.lists(publishes, min_size=1, max_size=12), st.data())
def test_the_client_hears_what_paho_hears(messages: list[PublishPacket], data: st.DataObject) -> None:
    pong, cuts = b"\xd0\x00", data.draw(st.lists(st.integers(1, 300), max_size=10))
    parts = [packet(message) + (pong if data.draw(st.booleans()) else b"") for message in messages]
    sent = b"".join(parts)
    heard: dict[str, list[PublishPacket]] = {"bulk": [], "paho": []}
    for name, kind in (("bulk", BulkClient), ("paho", mqtt.Client)):
        near, far = socket.socketpair()
        near.setblocking(False)
        client = kind(CallbackAPIVersion.VERSION2, manual_ack=True)
        client._sock = BufferedSocket(near) if isinstance(client, BulkClient) else near
        listen(client, heard[name])
        at = 0
        for cut in [*cuts, len(sent)]:
            far.sendall(sent[at : at + cut])
            at += cut
            for _ in range(40):
                assert client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
        far.close()
        assert client.loop_read() == MQTTErrorCode.MQTT_ERR_CONN_LOST
        near.close()
    assert heard["bulk"] == heard["paho"] == messages


def listen(client: mqtt.Client, heard: list[PublishPacket]) -> None:
    client.on_message = lambda _client, _userdata, message: heard.append(
        PublishPacket(message.topic, bytes(message.payload), message.mid, message.dup)
    )
    if isinstance(client, BulkClient):
        client.on_messages, client._greeted = heard.extend, True


def test_a_long_message_goes_pahos_way_and_the_others_keep_their_place() -> None:
    messages = [
        PublishPacket("t", bytes([number]) * size, number, False)
        for number, size in ((1, 3), (2, 300_000), (3, 5))
    ]
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    client = BulkClient(CallbackAPIVersion.VERSION2, manual_ack=True)
    client._sock = BufferedSocket(near)
    heard: list[PublishPacket] = []
    listen(client, heard)
    sent = b"".join(map(packet, messages))
    while sent or len(heard) < 3:
        with suppress(BlockingIOError):
            sent = sent[far.send(sent) :] if sent else sent
        assert client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert heard == messages
    near.close()
    far.close()


def test_a_payload_is_kept_up_to_a_length() -> None:
    data = packet(PublishPacket("t", b"0123456789", 7, False)) + packet(PublishPacket("u", b"ab", 8, False))
    assert [message.payload for message in cut_publishes(data, 0, keep_bytes=4).found] == [b"0123", b"ab"]


@pytest.mark.parametrize("head", [0x34, 0x3C, 0x40, 0xD0, 0x20, 0x90, 0x00, 0xF0])
def test_other_packets_are_left_alone(head: int) -> None:
    first = packet(PublishPacket("t", b"x", 1, False))
    run = cut_publishes(first + bytes([head, 0]), 0, keep_bytes=100)
    assert (len(run.found), run.end, run.torn) == (1, len(first), False)


@pytest.mark.parametrize(
    "data",
    [
        b"\x32\x05\x00\x01t\x00\x00",  # message number 0
        b"\x30\x03\x00\x02t",  # the topic is longer than the packet
        b"\x32\x04\x00\x01t\x00",  # no room for the message number
        b"\x30\x00",
        b"\x30\x01\x00",
        b"\x30\x02\x00\x00",  # no topic
        b"\x30\x03\x00\x01#",
        b"\x30\x03\x00\x01+",
        b"\x30\x03\x00\x01\x00",
        b"\x30\x03\x00\x01\xff",  # no UTF-8
        b"\x30\xff\xff\xff\xff\x01",  # a length of five bytes
    ],
)
def test_what_mqtt_forbids_is_left_to_those_who_say_so(data: bytes) -> None:
    first = packet(PublishPacket("t", b"x", 1, False))
    run = cut_publishes(first + data + b"\0" * 8, 0, keep_bytes=100)
    assert (len(run.found), run.end, run.torn) == (1, len(first), False)


@given(st.binary(max_size=300))
def test_whatever_comes_is_taken_or_left(data: bytes) -> None:
    run = cut_publishes(b"\x32" + data, 0, keep_bytes=50)
    assert 0 <= run.end <= len(data) + 1
    assert all(len(message.payload) <= 50 and message.topic for message in run.found)
