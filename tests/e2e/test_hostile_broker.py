"""A server that speaks broken MQTT: the agent hangs up, says why, comes back, and no thread of it dies."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from benchmarks.harness.patience import wait_until
from edge_agent.mqtt.connection import BrokerAddress
from edge_agent.mqtt.egress import Egress
from edge_agent.mqtt.inbox import Inbox
from edge_agent.mqtt.ingest import Ingest
from edge_agent.mqtt.outbox import Message, Outbox

CONNACK = b"\x20\x02\x00\x00"
GOOD = b"\x30\x0b\x00\x09sensors/m"
MALFORMED: dict[str, bytes] = {
    "a length of five bytes": b"\x30\xff\xff\xff\xff\x01",
    "the reserved type 0": b"\x00\x00",
    "the reserved type 15": b"\xf0\x00",
    "a SUBACK that is short": b"\x90\x01\x00",
    "a SUBACK without codes": b"\x90\x02\x00\x01",
    "a SUBACK that nobody asked for": b"\x90\x04\x7f\xff\x80\x80",
    "a PUBACK that is short": b"\x40\x01\x00",
    "a PUBACK that nobody waits for": b"\x40\x02\x7f\xff",
    "a SUBACK with a reserved code": b"\x90\x03\x00\x01\x07",
    "a PUBACK of number 0": b"\x40\x02\x00\x00",
    "a PUBACK with reserved flags": b"\x41\x02\x00\x01",
    "an UNSUBACK that is short": b"\xb0\x01\x00",
    "a PUBREL that is short": b"\x62\x01\x00",
    "a PUBREC that is short": b"\x50\x01\x00",
    "a PUBREC for what was sent with quality 1": b"\x50\x02\x00\x01",
    "a second CONNACK": CONNACK * 2,
    "a CONNACK that is short": b"\x20\x01\x00",
    "a CONNACK with reserved flags": b"\x20\x02\x02\x00",
    "a session that is present and refused": b"\x20\x02\x01\x05",
    "a refusal of an unknown kind": b"\x20\x02\x00\xff",
    "an empty PUBLISH": b"\x30\x00",
    "a topic beyond the packet": b"\x32\x04\xff\xffab",
    "quality of service 2": b"\x34\x05\x00\x01a\x00\x01",
    "quality of service 3": b"\x36\x05\x00\x01a\x00\x01",
    "a topic that is not UTF-8": b"\x30\x04\x00\x02\xff\xfe",
    "a topic with a wildcard": b"\x32\x06\x00\x02a#\x00\x01",
    "a topic with a null": b"\x32\x06\x00\x02a\x00\x00\x01",
    "an empty topic": b"\x30\x02\x00\x00",
    "message number 0": b"\x32\x05\x00\x01a\x00\x00",
    "256 MB that never come": b"\x30\xff\xff\xff\x7fabc",
    "a PINGRESP with a body": b"\xd0\x01x",
    "a CONNECT": b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00",
    "a SUBSCRIBE": b"\x82\x06\x00\x01\x00\x01a\x00",
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
}
BORNE = {
    "a PUBACK that nobody waits for": "acknowledges nothing: only numbers that were sent are looked up",
    "256 MB that never come": "the length is allowed; the keep-alive ends a connection that goes on being silent",
}
"""At these the agent does not hang up at once, and why not; in place of the greeting it does at any packet."""
STATES = ("instead of the greeting", "after the greeting", "after the subscription")


class Hostile:
    """Sends its packet at the first connection, and is a broker from the second on."""

    def __init__(self, packet: bytes, *, state: str) -> None:
        self._packet = packet
        self._state = STATES.index(state)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.connections = self.harmed = 0
        self.hung_up: bool | None = None
        """Whether the agent ended the hostile connection, before this server would have."""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self.connections += 1
                threading.Thread(
                    target=self._talk, args=(connection, self.connections == 1), daemon=True
                ).start()

    def _talk(self, connection: socket.socket, hostile: bool) -> None:  # noqa: FBT001
        with suppress(OSError), connection:
            connection.settimeout(10)
            connection.recv(1000)  # CONNECT
            if hostile and self._state == 0:
                return self._harm(connection)
            connection.sendall(CONNACK)
            if hostile and self._state == 1:
                return self._harm(connection)
            while data := connection.recv(1000):
                if data[0] == 0x82:  # SUBSCRIBE
                    connection.sendall(b"\x90\x03" + data[2:4] + b"\x01")
                    if hostile:
                        return self._harm(connection)
                    connection.sendall(GOOD)
                elif data[0] & 0xF0 == 0x30:  # PUBLISH, of quality 1
                    length = int.from_bytes(data[2:4], "big")
                    connection.sendall(b"\x40\x02" + data[4 + length : 6 + length])
        return None

    def _harm(self, connection: socket.socket) -> None:
        connection.sendall(self._packet)
        self.harmed += 1
        connection.settimeout(4.0)
        try:
            while connection.recv(1000):
                pass
        except TimeoutError:
            self.hung_up = False
        except ConnectionError:
            self.hung_up = True
        else:
            self.hung_up = True

    def close(self) -> None:
        self._server.close()


def inbox() -> Inbox:
    return Inbox(messages_limit=100, bytes_limit=10**6, shed_after_s=60, monotonic=time.monotonic)


def ingest(port: int, report: Callable[..., None]) -> Ingest:
    return Ingest(
        BrokerAddress("127.0.0.1", port, retry_max_s=1),
        client_id="agent",
        filters=["sensors/+"],
        inbox=inbox(),
        payload_limit_bytes=100,
        wall_clock_ns=lambda: 0,
        report=report,
    )


@pytest.mark.parametrize("state", STATES)
def test_whatever_a_broker_says_the_agent_comes_back_and_hears(
    state: str, record_property: Callable[[str, object], None]
) -> None:
    reports: list[tuple[str, dict[str, Any]]] = []
    servers = {kind: Hostile(packet, state=state) for kind, packet in MALFORMED.items()}
    links = {
        kind: ingest(server.port, lambda event, **facts: reports.append((event, facts)))
        for kind, server in servers.items()
    }
    for link in links.values():
        link.start()

    def heard(link: Ingest) -> bool:
        return link.connected and any(
            delivery.topic == "sensors/m" for delivery in link._inbox.drain(limit=10, timeout_s=0).deliveries
        )

    try:
        for kind, link in links.items():
            wait_until(lambda link=link: heard(link), what=f"a message after {kind}")
            assert servers[kind].connections >= 2, kind
            borne = kind in BORNE and state != STATES[0]
            assert servers[kind].hung_up is not borne, kind
            assert link.hung_up == (not borne), kind
            assert not link.revive(time.monotonic() + 1e6), f"{kind} killed the network thread"
    finally:
        for link in links.values():
            link.stop()
        for server in servers.values():
            server.close()
    assert [report for report in reports if report[0] == "callback_failed"] == []
    reasons = {facts["reason"] for _, facts in reports if "malformed packet" in facts.get("reason", "")}
    assert len(reasons) >= (3 if state == STATES[0] else 12), reasons
    record_property("faults", sum(server.harmed for server in servers.values()))
    record_property("kinds", len(MALFORMED))
    record_property("hung_up", sum(bool(server.hung_up) for server in servers.values()))


def test_alerts_are_delivered_after_broken_acknowledgements(
    record_property: Callable[[str, object], None],
) -> None:
    kinds = [kind for kind in MALFORMED if "PUB" in kind or "CONNACK" in kind]
    servers = {kind: Hostile(MALFORMED[kind], state=STATES[1]) for kind in kinds}
    links = {}
    for kind, server in servers.items():
        outbox = Outbox(limit=10)
        outbox.put(Message(("a",), "alerts/m", b"{}", retain=False))
        links[kind] = Egress(
            BrokerAddress("127.0.0.1", server.port, retry_max_s=1),
            client_id="agent-out",
            will=Message(("status",), "status", b"off", retain=True),
            outbox=outbox,
            report=lambda *_, **__: None,
        )
        links[kind].start()

    def delivered(link: Egress) -> bool:
        link.publish_waiting()
        return len(link._outbox) == 0

    try:
        for kind, link in links.items():
            wait_until(lambda link=link: delivered(link), what=f"the delivery after {kind}")
            assert not link.revive(time.monotonic() + 1e6), f"{kind} killed the network thread"
    finally:
        for link in links.values():
            link.stop()
        for server in servers.values():
            server.close()
    record_property("faults", sum(server.harmed for server in servers.values()))
