"""Reading and acknowledging in bulk: the same bytes, in the same order, in fewer calls."""

import socket
import struct

import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from edge_agent.mqtt.bulk_client import BufferedSocket, BulkClient


def _pair() -> tuple[socket.socket, socket.socket]:
    near, far = socket.socketpair()
    near.setblocking(False)
    return near, far


def test_bytes_come_out_whole_and_in_order_and_nothing_is_pending_at_the_end() -> None:
    near, far = _pair()
    reader, sent = BufferedSocket(near), bytes(range(256)) * 40
    far.sendall(sent)
    found = b""
    while len(found) < len(sent):
        found += reader.recv(7)
        assert reader.pending() <= len(sent) - len(found)
    assert found == sent
    assert reader.pending() == 0
    with pytest.raises(BlockingIOError):
        reader.recv(1)
    far.close()
    assert reader.recv(1) == b""
    near.close()


def test_one_look_at_the_socket_reads_every_message_that_has_come() -> None:
    near, far = _pair()
    client = BulkClient(CallbackAPIVersion.VERSION2, manual_ack=True)
    client._sock = BufferedSocket(near)
    client._greeted = True
    heard: list[bytes] = []
    client.on_message = lambda _client, _userdata, message: heard.append(message.payload)
    body = [struct.pack("!H", 1) + b"t" + struct.pack("!H", mid) + b"%d" % mid for mid in range(1, 51)]
    far.sendall(b"".join(bytes([0x32, len(part)]) + part for part in body))
    assert client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert heard == [b"%d" % mid for mid in range(1, 51)]
    far.close()
    near.close()


def test_a_turns_acknowledgements_are_single_pubacks_in_order() -> None:
    near, far = _pair()
    client = BulkClient(CallbackAPIVersion.VERSION2, manual_ack=True)
    client._sock = BufferedSocket(near)
    client.ack_all([])
    client.ack_all([3, 1, 65_535])
    client.loop_write()
    assert far.recv(100) == b"\x40\x02\x00\x03\x40\x02\x00\x01\x40\x02\xff\xff"
    far.close()
    near.close()


def test_under_load_the_socket_is_looked_at_less_often_and_a_slow_stream_is_read_at_once() -> None:
    now_s, pauses = [100.0], []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now_s[0] += seconds

    near, far = _pair()
    client = BulkClient(CallbackAPIVersion.VERSION2, manual_ack=True, monotonic=lambda: now_s[0], sleep=sleep)
    client._sock = BufferedSocket(near)
    client._greeted = True
    message = bytes([0x30, 4]) + struct.pack("!H", 1) + b"tx"

    def look(messages: int) -> None:
        far.sendall(message * messages)
        client.loop_read()
        now_s[0] += 0.002

    for _ in range(200):
        look(1)
    assert pauses == []  # 500 a second
    for _ in range(200):
        look(10)
    assert pauses
    assert max(pauses) <= 0.01
    pauses.clear()
    for _ in range(200):
        look(1)
    assert len(pauses) < 20  # no longer than it takes to see that the load is over
    far.close()
    near.close()


def test_it_hangs_up_on_a_wrong_topic_once_and_then_only_passes_such_messages_on() -> None:
    """A broker that does not check other clients' topics must not be able to keep the agent away by one of them."""
    now_s = [1000.0]
    client = BulkClient(CallbackAPIVersion.VERSION2, manual_ack=True, monotonic=lambda: now_s[0])
    heard: list[bytes] = []
    client.on_message = lambda _client, _userdata, message: heard.append(message.payload)

    def hear(packet: bytes) -> MQTTErrorCode:
        near, far = _pair()
        client._sock, client._greeted = BufferedSocket(near), True
        far.sendall(packet)
        code = client.loop_read()
        near.close()
        far.close()
        return code

    latin, wildcard, number_0 = b"\x30\x04\x00\x01\xfc1", b"\x30\x04\x00\x01#2", b"\x32\x05\x00\x01a\x00\x00"
    assert hear(latin) == MQTTErrorCode.MQTT_ERR_PROTOCOL
    assert (hear(latin), hear(wildcard)) == (MQTTErrorCode.MQTT_ERR_SUCCESS,) * 2
    assert heard == [b"1", b"2"]
    assert hear(number_0) == MQTTErrorCode.MQTT_ERR_PROTOCOL
    now_s[0] += 601
    assert hear(latin) == MQTTErrorCode.MQTT_ERR_PROTOCOL
    assert heard == [b"1", b"2"]


def test_a_suback_answers_one_subscribe_with_as_many_codes() -> None:
    client = BulkClient(CallbackAPIVersion.VERSION2, manual_ack=True)
    near, far = _pair()
    client._sock, client._greeted = BufferedSocket(near), True
    granted: list[int] = []
    client.on_subscribe = lambda _client, _userdata, _mid, codes, _p: granted.append(len(codes))
    client.subscribe([("a", 1), ("b", 1)])
    client.subscribe("c", 1)
    far.sendall(b"\x90\x03\x00\x02\x01" + b"\x90\x04\x00\x01\x01\x80")
    assert client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
    assert granted == [1, 2]
    far.sendall(b"\x90\x03\x00\x02\x01")
    assert client.loop_read() == MQTTErrorCode.MQTT_ERR_PROTOCOL
    assert granted == [1, 2]
    far.close()


def test_of_a_long_message_only_the_beginning_is_kept_and_the_next_one_is_whole() -> None:
    client = BulkClient(CallbackAPIVersion.VERSION2, manual_ack=True)
    near, far = _pair()
    client.keep_bytes, client._greeted = 1000, True
    client._sock = BufferedSocket(near, long=client._forget_the_end)
    heard: list[bytes] = []
    client.on_message = lambda _client, _userdata, message: heard.append(bytes(message.payload))
    kept_bytes = 0
    payload = bytes(range(256)) * 4096
    length, left = b"", len(payload) + 5
    while left:
        left, digit = divmod(left, 128)
        length += bytes([digit | 128 if left else digit])
    stream = b"\x32" + length + b"\x00\x01t\x00\x07" + payload + b"\x30\x06\x00\x01tend"
    for at in range(0, len(stream), 50_000):
        far.sendall(stream[at : at + 50_000])
        assert client.loop_read() == MQTTErrorCode.MQTT_ERR_SUCCESS
        kept_bytes = max(kept_bytes, len(client._in_packet["packet"]))
    assert len(heard) == 2
    assert heard[0][:1000] == payload[:1000]
    assert heard[1] == b"end"
    assert kept_bytes <= 1000 + 65_535 + 4 + 65_536  # a first gulp comes whole
    assert len(heard[0]) < len(payload)
    far.close()
    near.close()
