"""Reading and acknowledging in bulk: the same bytes, in the same order, in fewer calls."""

import socket
import struct

import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from edge_agent.bulk import BulkClient, Gulping


def _pair() -> tuple[socket.socket, socket.socket]:
    near, far = socket.socketpair()
    near.setblocking(False)
    return near, far


def test_bytes_come_out_whole_and_in_order_and_nothing_is_pending_at_the_end() -> None:
    near, far = _pair()
    reader, sent = Gulping(near), bytes(range(256)) * 40
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
    client._sock = Gulping(near)
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
    client._sock = Gulping(near)
    client.ack_all([])
    client.ack_all([3, 1, 65_535])
    client.loop_write()
    assert far.recv(100) == b"\x40\x02\x00\x03\x40\x02\x00\x01\x40\x02\xff\xff"
    far.close()
    near.close()


def test_under_load_the_socket_is_looked_at_less_often_and_a_slow_stream_is_read_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s, naps = [100.0], []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        now_s[0] += seconds

    monkeypatch.setattr("edge_agent.bulk.time.monotonic", lambda: now_s[0])
    monkeypatch.setattr("edge_agent.bulk.time.sleep", sleep)
    near, far = _pair()
    client = BulkClient(CallbackAPIVersion.VERSION2, manual_ack=True)
    client._sock = Gulping(near)
    message = bytes([0x30, 4]) + struct.pack("!H", 1) + b"tx"

    def look(messages: int) -> None:
        far.sendall(message * messages)
        client.loop_read()
        now_s[0] += 0.002

    for _ in range(200):
        look(1)
    assert naps == []  # 500 a second
    for _ in range(200):
        look(10)
    assert naps
    assert max(naps) <= 0.01
    naps.clear()
    for _ in range(200):
        look(1)
    assert len(naps) < 20  # no longer than it takes to see that the load is over
    far.close()
    near.close()
