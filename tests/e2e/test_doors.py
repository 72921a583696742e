"""Who gets in at a real broker, whom we let pass for our broker, and what is said where it is refused."""

import datetime as dt
import json
import shutil
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.harness.agent import Agent
from benchmarks.harness.broker import Broker
from benchmarks.harness.patience import wait_until
from edge_agent.config.file import Config
from edge_agent.errors import UsageError
from edge_agent.mqtt.connection import BrokerAddress
from edge_agent.mqtt.credentials import Login, Tls
from edge_agent.mqtt.inbox import Inbox
from edge_agent.mqtt.ingest import Ingest
from edge_agent.service.wiring import broker_address
from tests.support.missing import missing
from tests.support.pki import Authority, Identity

pytestmark = pytest.mark.broker
Record = Callable[[str, object], None]
LASTS_S = 12
PLUGIN = Path("/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so")


class Door:
    """A broker that wants certificates, and agents' clients that knock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self.other = Authority(folder, "other-ca")
        self.server = self.authority.issue("server")
        self.agent = self.authority.issue("hall")
        self.revoked = self.authority.issue("stolen")
        self.authority.revoke(self.revoked)
        self.reports: list[tuple[str, dict[str, Any]]] = []
        self._connections: list[Ingest] = []
        self._clients: list[mqtt.Client] = []
        self._broker: Broker | None = None

    def open(self, server: Identity | None = None, *, extra: str = "") -> None:
        shown = server or self.server
        self._broker = Broker(
            self.folder,
            access=f"allow_anonymous true\nrequire_certificate true\n"
            f"use_identity_as_username true\ncafile {self.authority.file}\n"
            f"crlfile {self.authority.revocations()}\ncertfile {shown.cert}\nkeyfile {shown.key}\n{extra}",
        ).start()

    def reopen(self) -> None:
        """The broker is killed and comes back as it was."""
        assert self._broker is not None
        self._broker.kill()
        self._broker.start()

    def client(self, name: str) -> mqtt.Client:
        """Somebody else with a certificate of the right authority, connected."""
        assert self._broker is not None
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name)
        client.tls_set_context(self.tls(self.authority.issue(name)).context())
        connected = threading.Event()
        client.on_connect = lambda *_: connected.set()
        client.connect("127.0.0.1", self._broker.port)
        client.loop_start()
        self._clients.append(client)
        assert connected.wait(60)
        return client

    def knock(self, tls: Tls | None, *, port: int | None = None) -> Ingest:
        assert self._broker is not None
        connection = Ingest(
            BrokerAddress("127.0.0.1", port or self._broker.port, retry_max_s=1, tls=tls),
            client_id="agent",
            filters=["sensors/+"],
            inbox=Inbox(messages_limit=10, bytes_limit=10**6, shed_after_s=60, monotonic=time.monotonic),
            payload_limit_bytes=1000,
            wall_clock_ns=lambda: 0,
            report=lambda event, **facts: self.reports.append((event, facts)),
        )
        self._connections.append(connection)
        connection.start()
        return connection

    def tls(self, identity: Identity | None = None, **given: Any) -> Tls:
        shown = identity or self.agent
        told = {"ca_file": self.authority.file, "cert_file": shown.cert, "key_file": shown.key}
        return Tls(**(told | given))

    def reasons(self) -> list[str]:
        """Why it was refused, of each attempt that was told."""
        return [str(facts["reason"]) for event, facts in self.reports if event == "broker_unreachable"]

    def reason(self) -> str:
        """Why it was refused first, once that is known."""
        return wait_until(self.reasons, what="a reason")[0]

    def close(self) -> None:
        for connection in self._connections:
            connection.stop()
        for client in self._clients:
            client.disconnect()
            client.loop_stop()
        if self._broker is not None:
            self._broker.kill()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    door = Door(tmp_path)
    yield door
    door.close()


def test_the_right_certificates_let_in(door: Door) -> None:
    door.open()
    connection = door.knock(door.tls())
    wait_until(lambda: connection.connected, what="the connection")
    assert [event for event, _ in door.reports] == ["broker_connected"]


BROKERS_NOT_OURS: dict[str, tuple[Callable[[Door], Identity], str]] = {
    "of another authority": (lambda door: door.other.issue("false-friend"), "CERTIFICATE_VERIFY_FAILED"),
    "made out to another host": (
        lambda door: door.authority.issue("elsewhere", address="10.0.0.1"),
        "IP address mismatch",
    ),
    "expired": (lambda door: door.authority.issue("old", expired=True), "certificate has expired"),
}


@pytest.mark.parametrize("kind", BROKERS_NOT_OURS)
def test_a_broker_with_a_wrong_certificate_is_refused_and_named_as_such(
    door: Door, kind: str, record_property: Record
) -> None:
    issue, complaint = BROKERS_NOT_OURS[kind]
    door.open(issue(door))
    connection = door.knock(door.tls())
    assert complaint in door.reason()
    assert not connection.connected
    assert connection._thread is not None
    assert connection._thread.is_alive()
    record_property("faults", 1)


AGENTS_NOT_WANTED: dict[str, tuple[Callable[[Door], Tls], str]] = {
    "without a certificate": (lambda door: Tls(ca_file=door.authority.file), "certificate required"),
    "of another authority": (lambda door: door.tls(door.other.issue("stranger")), "unknown ca"),
    "expired": (lambda door: door.tls(door.authority.issue("late", expired=True)), "expired"),
    "revoked": (lambda door: door.tls(door.revoked), "revoked"),
}


@pytest.mark.parametrize("kind", AGENTS_NOT_WANTED)
def test_an_agent_with_a_wrong_certificate_is_told_why_and_keeps_trying_calmly(
    door: Door, kind: str, record_property: Record
) -> None:
    make, complaint = AGENTS_NOT_WANTED[kind]
    door.open()
    connection = door.knock(make(door))
    # An attempt may end before the broker's alert is read: then the next one tells.
    wait_until(lambda: any(complaint in reason.lower() for reason in door.reasons()), what=complaint)
    wait_until(lambda: connection._failures >= 3, what="further attempts")
    started_s, before = time.monotonic(), connection._failures
    wait_until(lambda: connection._failures >= before + 2, what="further attempts")
    assert time.monotonic() - started_s > 1, "it storms"
    assert not connection.connected
    told = sum(event == "broker_unreachable" for event, _ in door.reports)
    assert told < connection._failures  # the 1st, 2nd, 4th, 8th ... only
    record_property("faults", 1)


def test_new_certificates_count_from_the_next_attempt_on(door: Door, record_property: Record) -> None:
    door.open()
    mine = Identity(door.folder / "mine.pem", door.folder / "mine.key", 0)
    shutil.copy(door.revoked.cert, mine.cert)
    shutil.copy(door.revoked.key, mine.key)
    connection = door.knock(door.tls(mine))
    assert "revoked" in door.reason()
    mine.key.unlink()  # half-way through an exchange
    wait_until(lambda: any("no usable certificate" in str(facts) for _, facts in door.reports), what="it")
    shutil.copy(door.agent.cert, mine.cert)
    shutil.copy(door.agent.key, mine.key)
    wait_until(lambda: connection.connected, what="the connection with the new certificate")
    record_property("faults", 2)  # a revoked certificate, and one whose key is missing


def test_a_certificate_that_runs_out_while_connected_is_told_at_the_next_attempt_and_may_be_exchanged(
    door: Door, record_property: Record
) -> None:
    mine = Identity(door.folder / "mine.pem", door.folder / "mine.key", 0)
    short = door.authority.issue("short", lasts=dt.timedelta(seconds=LASTS_S))
    runs_out_s = time.monotonic() + LASTS_S + 1
    shutil.copy(short.cert, mine.cert)
    shutil.copy(short.key, mine.key)
    door.open()
    connection = door.knock(door.tls(mine))
    wait_until(lambda: connection.connected, what="the connection")
    wait_until(lambda: time.monotonic() > runs_out_s, what="the certificate to run out")
    assert connection.connected, "who is inside stays inside"
    door.reopen()
    wait_until(lambda: any("expired" in reason.lower() for reason in door.reasons()), what="the reason")
    shutil.copy(door.agent.cert, mine.cert)
    shutil.copy(door.agent.key, mine.key)
    wait_until(lambda: connection.connected, what="the connection with the new certificate")
    record_property("faults", 1)


def test_the_name_is_left_unchecked_only_where_that_was_asked_for(
    door: Door, record_property: Record
) -> None:
    door.open(door.authority.issue("elsewhere", address="10.0.0.1"))
    connection = door.knock(door.tls(check_host=False))
    wait_until(lambda: connection.connected, what="the connection")
    door.reports.clear()
    door.knock(door.tls(check_host=False, ca_file=door.other.file))
    assert "CERTIFICATE_VERIFY_FAILED" in door.reason()  # the certificate is checked nevertheless
    record_property("faults", 1)


def test_nothing_older_than_tls_1_2_is_spoken(door: Door) -> None:
    assert door.tls().context().minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_subscription_that_the_broker_refuses_is_named(
    door: Door, tmp_path: Path, record_property: Record
) -> None:
    if not PLUGIN.exists():
        missing("this mosquitto has no dynamic security plugin, and its ACL file refuses no subscription")
    (tmp_path / "rights.json").write_text(
        json.dumps({"defaultACLAccess": {"subscribe": False, "unsubscribe": True}, "clients": []})
    )
    broker = Broker(
        tmp_path,
        access=f"allow_anonymous true\nplugin {PLUGIN}\nplugin_opt_config_file {tmp_path}/rights.json",
    ).start()
    door._broker = broker
    connection = door.knock(None)
    wait_until(lambda: connection.refused, what="the refusal")
    assert connection.refused == ("sensors/+",)
    assert connection.connected
    assert ("subscription_refused", {"client": "ingest", "topics": ["sensors/+"]}) in door.reports
    record_property("faults", 1)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"tls_ca_file": "empty"}, "no usable CA certificates"),
        ({"tls_ca_file": "ca.pem", "tls_cert_file": "empty"}, "no usable certificate"),
        ({"tls_ca_file": "ca.pem", "tls_cert_file": "hall.pem", "tls_key_file": "server.key"}, "no usable"),
    ],
)
def test_files_that_cannot_serve_are_named_before_the_start(
    door: Door, settings: dict[str, str], complaint: str, record_property: Record
) -> None:
    (door.folder / "empty").write_text("nothing")
    paths = {name: door.folder / file for name, file in settings.items()}
    with pytest.raises(UsageError, match=complaint):
        broker_address(Config.model_validate({"broker": paths}))
    record_property("faults", 1)


def test_secrets_are_read_when_needed_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "user").write_text("hall\n")
    (tmp_path / "password").write_text("one two\r\n")
    login = Login(username_file=tmp_path / "user", password_file=tmp_path / "password")
    assert login.read() == ("hall", "one two")
    assert "one two" not in repr(BrokerAddress("h", 1, login=login))
    (tmp_path / "password").write_text("three")
    assert login.read() == ("hall", "three")
    (tmp_path / "password").write_bytes(b"\xffhunter2")
    with pytest.raises(OSError, match="UTF-8") as caught:
        login.read()
    assert "hunter2" not in str(caught.value)


def test_an_agent_with_a_certificate_works_and_says_when_its_broker_is_not_checked(
    door: Door, tiny_bundle: Path, tmp_path: Path
) -> None:
    door.open()
    assert door._broker is not None
    access = 'tls_ca_file = "ca.pem"\ntls_cert_file = "hall.pem"\ntls_key_file = "hall.key"\n'
    agent = Agent(tmp_path, bundle=tiny_bundle, port=door._broker.port, access=access + "tls_insecure = true")
    try:
        agent.start().ready()
        told = wait_until(lambda: agent.log("broker_name_not_checked"), what="the warning in the log")
        assert [line["level"] for line in told] == ["warning"]
        assert agent.stop() == 0
    finally:
        agent.kill()


def test_the_brokers_rules_keep_strangers_from_commanding_and_agents_from_other_halls(
    door: Door, record_property: Record
) -> None:
    """With certificates as identities and the rules that `docs/security.md` asks for."""
    rules = "user hall\ntopic read sensors/hall/#\ntopic read agents/hall/cmd/#\ntopic write alerts/#\n"
    rules += "user operator\ntopic write agents/hall/cmd/#\nuser stranger\ntopic read alerts/#\n"
    rules += "user sensor\ntopic write sensors/#\n"
    (door.folder / "rules").write_text(rules)
    door.open(extra=f"acl_file {door.folder}/rules")
    heard: list[str] = []
    hall = door.client("hall")
    hall.on_message = lambda _c, _u, message: heard.append(f"{message.topic} {message.payload.decode()}")
    granted = threading.Event()
    hall.on_subscribe = lambda *_: granted.set()
    hall.subscribe([("sensors/#", 1), ("agents/#", 1)])
    assert granted.wait(60)
    attempts = (
        ("stranger", "agents/hall/cmd/ack"),
        ("sensor", "sensors/yard/m"),
        ("sensor", "sensors/hall/m"),
        ("operator", "agents/hall/cmd/ack"),
    )
    for name, topic in attempts:
        door.client(name).publish(topic, name, qos=1).wait_for_publish(10)
    wait_until(lambda: len(heard) >= 2, what="what is allowed")
    time.sleep(0.3)
    assert heard == ["sensors/hall/m sensor", "agents/hall/cmd/ack operator"]
    record_property("faults", len(attempts) - len(heard))
