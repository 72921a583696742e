"""What the host's connection says on the wire, packet by packet: a broker that only listens and lets it in."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from edge_agent.formats.sparkplug.host import Host, HostSettings
from edge_agent.mqtt.connection import BrokerAddress
from edge_agent.mqtt.inbox import Inbox
from edge_agent.service.sparkplug import SparkplugConnection

CONNECT, PUBLISH, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 8, 12, 14
WALL_MS = 1_700_000_000_000
Packet = tuple[int, int, bytes]
"""Type, flags, body."""


class ListeningBroker:
    """Accepts one connection, answers what must be answered, and keeps every packet in order."""

    def __init__(self) -> None:
        self.packets: list[Packet] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def wait_for(self, kind: int, count: int = 1) -> list[Packet]:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            found = [packet for packet in self.packets if packet[0] == kind]
            if len(found) >= count:
                return found
            time.sleep(0.01)
        pytest.fail(f"waited in vain for packet {kind}: {self.packets}")

    def close(self) -> None:
        self._server.close()
        self._thread.join(10)

    def _serve(self) -> None:
        connection, _ = self._server.accept()
        with (
            contextlib.suppress(OSError),
            connection,
            connection.makefile("rb") as stream,
        ):  # the client may go first
            while head := stream.read(1):
                length, shift = 0, 0
                while True:
                    byte = stream.read(1)[0]
                    length, shift = length | (byte & 127) << shift, shift + 7
                    if byte < 128:
                        break
                kind, flags, body = head[0] >> 4, head[0] & 15, stream.read(length)
                self.packets.append((kind, flags, body))
                connection.sendall(answer(kind, flags, body))


def answer(kind: int, flags: int, body: bytes) -> bytes:
    if kind == CONNECT:
        return b"\x20\x02\x00\x00"
    if kind == SUBSCRIBE:
        return b"\x90" + bytes((2 + len(filters(body)),)) + body[:2] + bytes(q for _, q in filters(body))
    if kind == PINGREQ:
        return b"\xd0\x00"
    if kind == PUBLISH and flags & 6:
        at = 2 + int.from_bytes(body[:2])
        return b"\x40\x02" + body[at : at + 2]
    return b""


def text(body: bytes, at: int) -> tuple[bytes, int]:
    """A field with its length before it, and where the next begins."""
    end = at + 2 + int.from_bytes(body[at : at + 2])
    return body[at + 2 : end], end


def filters(body: bytes) -> list[tuple[str, int]]:
    found, at = [], 2
    while at < len(body):
        name, at = text(body, at)
        found.append((name.decode(), body[at]))
        at += 1
    return found


def state(packet: Packet) -> tuple[str, dict[str, object], int]:
    """Topic, payload and flags of a message of QoS 1."""
    _, flags, body = packet
    topic, at = text(body, 0)
    return topic.decode(), json.loads(body[at + 2 :]), flags


@pytest.fixture
def broker() -> Iterator[ListeningBroker]:
    broker = ListeningBroker()
    yield broker
    broker.close()


@pytest.fixture
def link(broker: ListeningBroker) -> Iterator[tuple[SparkplugConnection, Host]]:
    host = Host(HostSettings("hall", groups=("G", "H")), jitter=lambda: 0.0)
    link = SparkplugConnection(
        BrokerAddress("127.0.0.1", broker.port),
        client_id="a-sparkplug",
        host=host,
        inbox=Inbox(messages_limit=10, bytes_limit=10_000, shed_after_s=1.0, monotonic=time.monotonic),
        payload_limit_bytes=1000,
        wall_clock_ns=lambda: WALL_MS * 10**6,
        monotonic=time.monotonic,
        report=lambda *_, **__: None,
    )
    link.start()
    yield link, host
    link.stop()


@pytest.mark.usefixtures("link")
def test_the_connection_is_a_clean_session_with_the_state_as_its_will(broker: ListeningBroker) -> None:
    ((_, _, body),) = broker.wait_for(CONNECT)
    protocol, at = text(body, 0)
    flags = body[at + 1]
    assert (protocol, body[at]) == (b"MQTT", 4)
    assert flags & 0b10  # clean session
    assert flags & 0b100  # a will
    assert (flags >> 3) & 3 == 1
    assert flags & 0b100000  # retained
    _, at = text(body, at + 4)
    topic, at = text(body, at)
    will, _ = text(body, at)
    assert topic == b"spBv1.0/STATE/hall"
    assert json.loads(will) == {"online": False, "timestamp": WALL_MS}


@pytest.mark.usefixtures("link")
def test_the_subscriptions_are_sent_before_the_birth(broker: ListeningBroker) -> None:
    broker.wait_for(PUBLISH)
    kinds = [kind for kind, _, _ in broker.packets]
    assert kinds[:3] == [CONNECT, SUBSCRIBE, PUBLISH]
    assert filters(broker.packets[1][2]) == [
        ("spBv1.0/G/#", 1),
        ("spBv1.0/H/#", 1),
        ("spBv1.0/STATE/hall", 1),
    ]
    topic, payload, flags = state(broker.packets[2])
    assert (topic, payload) == ("spBv1.0/STATE/hall", {"online": True, "timestamp": WALL_MS})
    assert flags == 0b0011  # QoS 1, retained


def test_a_wanted_end_says_its_death_before_it_disconnects(
    broker: ListeningBroker, link: tuple[SparkplugConnection, Host]
) -> None:
    broker.wait_for(PUBLISH)
    link[0].leave(link[1].end((WALL_MS + 5) * 10**6))
    broker.wait_for(DISCONNECT)
    kinds = [kind for kind, _, _ in broker.packets]
    assert kinds[-2:] == [PUBLISH, DISCONNECT]
    topic, payload, flags = state(broker.packets[-2])
    assert (topic, payload) == ("spBv1.0/STATE/hall", {"online": False, "timestamp": WALL_MS + 5})
    assert flags == 0b0011
