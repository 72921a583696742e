"""What strangers, names and brokers' bounds do to an agent, over a real mosquitto: the watch goes on, or says so."""

import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from benchmarks.harness.user import FAULT_SHIFT, START_TS, User
from edge_agent.mqtt.connection import BrokerAddress
from edge_agent.mqtt.inbox import Inbox
from edge_agent.mqtt.ingest import Ingest

pytestmark = pytest.mark.broker
LONG_CHANNELS = [f"zone_{number:02}_temperature_of_the_roll" for number in range(27)]
PACKET_BYTES = 1450
MOST_CONNECTIONS = 8
"""Of two clients; a length that the broker has not told yet costs two or three of them, and there are two here."""
STRANGERS = 1100
_FLOOD = """
import resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
kept = []
for _ in range(int(sys.argv[2])):
    one = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5)
    one.sendall(b"GET /metrics HTTP/1.1\\r\\n")
    kept.append(one)
print("all", flush=True)
while True:
    for one in kept:
        try:
            one.sendall(b"X: y\\r\\n")
        except OSError:
            pass
    time.sleep(3)
"""


@pytest.fixture
def leaving() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def enter(
    leaving: ExitStack, folder: Path, bundle: Path, *, broker: Broker, **agent: Any
) -> tuple[Agent, User]:
    broker.start()
    leaving.callback(broker.kill)
    watching = Agent(folder, bundle=bundle, port=broker.port, **agent)
    leaving.callback(watching.kill)
    watching.start().ready()
    user = User(broker.port)
    leaving.callback(user.close)
    return watching, user


def publish_wide(user: User, first: int, last: int, *, shift: float = 0.0) -> None:
    """Rows of a machine with many channels of long names, all of which are shifted."""
    for row in range(first, last):
        chance = random.Random(row)
        values = {name: round(50 + chance.gauss(0, 1) + shift, 4) for name in LONG_CHANNELS}
        payload = json.dumps({"ts": START_TS + row, "values": values}).encode()
        sent = user.publish("sensors/oven", payload)
    sent.wait_for_publish(60)


def opened(user: User, machine: str) -> list[dict[str, Any]]:
    return [one for one in user.alerts if one["machine"] == machine and one["kind"] == "machine"]


def test_an_alert_that_the_broker_finds_too_long_comes_shorter_and_keeps_nobody_else_back(
    leaving: ExitStack, tmp_path: Path, tiny_bundle: Path
) -> None:
    broker = Broker(tmp_path, access=f"allow_anonymous true\nmax_packet_size {PACKET_BYTES}")
    agent, user = enter(leaving, tmp_path, tiny_bundle, broker=broker)
    publish_wide(user, 0, 340)
    user.publish_rows("pump-1", 0, 340)
    wait_until(lambda: user.machine("oven") == user.machine("pump-1") == "ready", what="both to be learnt")
    publish_wide(user, 340, 400, shift=FAULT_SHIFT)
    (long, *_) = wait_until(lambda: opened(user, "oven"), what="the long alert")
    user.publish_rows("pump-1", 340, 400, shift=FAULT_SHIFT)
    wait_until(lambda: opened(user, "pump-1"), what="the other alert")

    assert long["shortened"] is True
    wait_until(lambda: agent.metric("edge_agent_alerts_waiting") == 0, what="nothing to wait")
    assert len(agent.log("broker_connected")) <= MOST_CONNECTIONS
    (told, *_) = agent.log("message_refused")
    assert "alerts/oven" in told["topic"]
    assert told["bytes"] > PACKET_BYTES
    assert agent.crashes() == []


def flood(leaving: ExitStack, agent: Agent) -> None:
    """So many strangers who never finish what they ask of the metrics."""
    command = [sys.executable, "-c", _FLOOD, str(agent.metrics_port), str(STRANGERS)]
    strangers = leaving.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
    leaving.callback(strangers.kill)
    assert strangers.stdout is not None
    assert strangers.stdout.readline() == b"all\n"


def test_strangers_who_never_finish_their_requests_keep_the_agent_from_nothing(
    leaving: ExitStack, tmp_path: Path, tiny_bundle: Path
) -> None:
    broker = Broker(tmp_path)
    few_files = ("prlimit", "--nofile=1024:4096")
    agent, user = enter(leaving, tmp_path, tiny_bundle, broker=broker, before=few_files)
    user.publish_rows("pump-1", 0, 340)
    wait_until(lambda: user.machine("pump-1") == "ready", what="the machine to be learnt")
    broker.kill()
    flood(leaving, agent)
    broker.start()
    wait_until(lambda: len(agent.log("broker_connected")) >= 4, what="the agent to be back")
    user.publish_rows("pump-1", 340, 400, shift=FAULT_SHIFT)
    wait_until(lambda: opened(user, "pump-1"), what="the alert")
    assert agent.page("/healthz")[0] == 200
    assert agent.threads() < 64
    assert agent.descriptors() < 128
    assert agent.crashes() == []


def test_a_broker_at_an_ipv6_address_is_found_and_found_again(
    leaving: ExitStack, tmp_path: Path, tiny_bundle: Path
) -> None:
    if not speaks_ipv6():
        pytest.skip("no IPv6 here")
    broker = Broker(tmp_path, hosts=("127.0.0.1", "::1"))
    agent, user = enter(leaving, tmp_path, tiny_bundle, broker=broker, host="::1")
    broker.kill()
    broker.start()
    wait_until(lambda: len(agent.log("broker_connected")) >= 4, what="the agent to be back")
    user.publish_rows("pump-1", 0, 10)
    agent.wait_received(10)


def speaks_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


def knock(leaving: ExitStack, address: BrokerAddress, *, reports: list[dict[str, Any]]) -> Ingest:
    """The connection that listens, without the rest of an agent."""
    connection = Ingest(
        address,
        client_id="agent",
        filters=["sensors/+"],
        inbox=Inbox(messages_limit=10, bytes_limit=10**6, shed_after_s=60, monotonic=time.monotonic),
        payload_limit_bytes=1000,
        wall_clock_ns=lambda: 0,
        report=lambda event, **facts: reports.append({"event": event, **facts}),
    )
    leaving.callback(connection.stop)
    connection.start()
    return connection


@pytest.mark.parametrize("answer", [b"\x20\x02\x00\x01", b"\x20\x03\x00\x84\x00"], ids=["in 3.1.1", "in 5"])
def test_a_broker_that_speaks_mqtt_5_alone_is_told_as_that(leaving: ExitStack, answer: bytes) -> None:
    door = leaving.enter_context(socket.create_server(("127.0.0.1", 0)))

    def refuse() -> None:
        with suppress(OSError):  # the door is shut at the end
            while True:
                with door.accept()[0] as caller:
                    caller.recv(4096)
                    caller.sendall(answer)
                    caller.recv(4096)

    Thread(target=refuse, daemon=True).start()
    reports: list[dict[str, Any]] = []
    knock(leaving, BrokerAddress("127.0.0.1", door.getsockname()[1], retry_max_s=1), reports=reports)
    (told, *_) = wait_until(lambda: reports, what="the reason")
    assert told["event"] == "broker_unreachable"
    assert "protocol version" in told["reason"].lower()


def test_a_name_that_moves_to_another_address_is_followed(
    leaving: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old, new = Broker(tmp_path / "old"), Broker(tmp_path / "new")
    whole, now = socket.getaddrinfo, [old]

    def moved(host: Any, port: Any, *rest: Any, **named: Any) -> Any:
        ours = host == "broker.plant"
        return whole("127.0.0.1" if ours else host, now[0].port if ours else port, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", moved)
    for broker in (old, new):
        leaving.callback(broker.kill)
        broker.start()
    connection = knock(leaving, BrokerAddress("broker.plant", 1883, retry_max_s=1), reports=[])
    wait_until(lambda: connection.connected, what="the connection")
    now[0] = new
    old.kill()
    wait_until(lambda: connection.session >= 2 and connection.connected, what="the connection to the new one")
