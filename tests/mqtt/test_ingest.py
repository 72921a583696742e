"""The MQTT clients against a real embedded broker, and against what paho is known to do to careless callers."""

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from iotcore import Broker

from benchmarks.harness.patience import free_port, wait_until
from benchmarks.harness.user import User
from edge_agent.mqtt.connection import BrokerAddress
from edge_agent.mqtt.egress import Egress
from edge_agent.mqtt.inbox import Inbox
from edge_agent.mqtt.ingest import Ingest
from edge_agent.mqtt.outbox import Message, OpenAlarm, Outbox

WILL = Message(("status",), "agents/a/status", b'{"state": "offline"}', retain=True)


class Reports:
    """What the clients had to say."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, event: str, **facts: Any) -> None:
        self.events.append((event, facts))

    def names(self) -> list[str]:
        return [event for event, _ in self.events]


def new_inbox() -> Inbox:
    return Inbox(messages_limit=1000, bytes_limit=10**8, shed_after_s=60.0, monotonic=time.monotonic)


class AwaitedIngest(Ingest):
    """Says when the broker has granted its subscription: what is published before is not for it."""

    granted = False

    def _on_subscribe(self, *told: Any) -> None:
        super()._on_subscribe(*told)
        self.granted = True


def new_ingest(port: int, inbox: Inbox, reports: Reports, *, limit: int = 100) -> AwaitedIngest:
    return AwaitedIngest(
        BrokerAddress("127.0.0.1", port, retry_max_s=1),
        client_id="agent",
        filters=["sensors/+"],
        inbox=inbox,
        payload_limit_bytes=limit,
        wall_clock_ns=lambda: 42,
        report=reports,
    )


def new_egress(port: int, outbox: Outbox, reports: Reports) -> Egress:
    return Egress(
        BrokerAddress("127.0.0.1", port, retry_max_s=1),
        client_id="agent-out",
        will=WILL,
        outbox=outbox,
        report=reports,
    )


@pytest.fixture
def broker() -> Iterator[int]:
    port = free_port()
    with Broker(port=port, listen="127.0.0.1", max_payload_size=1_000_000):
        yield port


@pytest.fixture
def leaving() -> Iterator[Callable[[Any], Any]]:
    """Stops every link and user that a test registers."""
    registered: list[Any] = []

    def register(thing: Any) -> Any:
        registered.append(thing)
        return thing

    yield register
    for thing in registered:
        (thing.close if isinstance(thing, User) else thing.stop)()


def settle(egress: Egress, outbox: Outbox) -> None:
    def empty() -> bool:
        egress.publish_waiting()
        return len(outbox) == 0

    wait_until(empty, what="the outbox to empty")


def test_messages_arrive_whole_and_in_order(broker: int, leaving: Any) -> None:
    inbox, reports = new_inbox(), Reports()
    ingest = leaving(new_ingest(broker, inbox, reports))
    ingest.start()
    wait_until(lambda: ingest.granted, what="the subscription")
    user = leaving(User(broker))
    for number in range(50):
        user.publish(f"sensors/m{number % 3}", str(number).encode())
    wait_until(lambda: len(inbox) == 50, what="50 messages")
    batch = inbox.drain(limit=100, timeout_s=0)
    assert [delivery.payload for delivery in batch.deliveries] == [
        str(number).encode() for number in range(50)
    ]
    assert {delivery.received_ns for delivery in batch.deliveries} == {42}
    assert len(batch.receipts) == 50


def test_what_was_not_acknowledged_comes_again_and_what_was_does_not(broker: int, leaving: Any) -> None:
    inbox = new_inbox()
    first = new_ingest(broker, inbox, Reports())
    first.start()
    wait_until(lambda: first.granted, what="the subscription")
    user = leaving(User(broker))
    for number in range(6):
        user.publish("sensors/m", str(number).encode())
    wait_until(lambda: len(inbox) == 6, what="six messages")
    batch = inbox.drain(limit=6, timeout_s=0)
    first.acknowledge(batch.receipts[:4])
    time.sleep(1.0)  # nobody tells when the broker has read them
    first.stop()

    again = new_inbox()
    second = leaving(new_ingest(broker, again, Reports()))
    second.acknowledge(batch.receipts[4:])  # void: receipts of another connection
    second.start()
    wait_until(lambda: len(again) >= 2, what="the two that were not acknowledged")
    time.sleep(0.2)
    payloads = [delivery.payload for delivery in again.drain(limit=10, timeout_s=0).deliveries]
    assert payloads == [b"4", b"5"]


def test_long_payloads_are_cut_to_one_byte_more_than_allowed(broker: int, leaving: Any) -> None:
    inbox = new_inbox()
    ingest = leaving(new_ingest(broker, inbox, Reports(), limit=100))
    ingest.start()
    wait_until(lambda: ingest.granted, what="the subscription")
    user = leaving(User(broker))
    user.publish("sensors/m", b"x" * 500_000)
    batch = wait_until(lambda: inbox.drain(limit=1, timeout_s=1).deliveries, what="the message")
    assert len(batch[0].payload) == 101


def test_topics_that_are_not_utf8_do_not_kill_the_network_thread() -> None:
    inbox, reports = new_inbox(), Reports()
    ingest = new_ingest(1, inbox, reports)
    message = mqtt.MQTTMessage(mid=7, topic=b"sensors/\xff\xfe")
    message.payload, message.qos = b"1", 1
    with pytest.raises(UnicodeDecodeError):
        _ = message.topic
    ingest._on_message(mqtt.Client(mqtt.CallbackAPIVersion.VERSION2), None, message)
    batch = inbox.drain(limit=1, timeout_s=0)
    assert batch.deliveries[0].topic.encode("utf-8", "surrogateescape") == b"sensors/\xff\xfe"
    assert batch.receipts[0].mid == 7


def test_an_error_in_a_callback_is_reported_and_stays_there() -> None:
    class Broken(Inbox):
        def put_all(self, arrivals: object) -> None:
            raise KeyError(str(arrivals)[:3])

    reports = Reports()
    broken = Broken(messages_limit=1, bytes_limit=1, shed_after_s=1, monotonic=time.monotonic)
    ingest = new_ingest(1, broken, reports)
    message = mqtt.MQTTMessage(mid=7, topic=b"sensors/m")
    ingest._on_message(mqtt.Client(mqtt.CallbackAPIVersion.VERSION2), None, message)
    assert reports.names() == ["callback_failed"]


def test_alerts_are_booked_only_when_the_broker_has_them(broker: int, leaving: Any) -> None:
    outbox = Outbox(limit=1000)
    egress = leaving(new_egress(broker, outbox, Reports()))
    outbox.raise_alarm(OpenAlarm("a1", "alerts/m", b'{"id": "a1"}'), first=True)
    egress.publish_waiting()
    assert len(outbox) == 2  # not connected: nothing is forgotten
    user = leaving(User(broker))
    egress.start()
    settle(egress, outbox)
    wait_until(lambda: (egress.alerts_sent, egress.alerts_acknowledged) == (1, 1), what="the books")
    wait_until(lambda: user.alerts == [{"id": "a1"}], what="the alert")
    late = leaving(User(broker))
    wait_until(lambda: late.retained == {"alerts/m/a1": b'{"id": "a1"}'}, what="the retained alert")


def test_a_thousand_messages_get_through_in_order(broker: int, leaving: Any) -> None:
    outbox = Outbox(limit=2000)
    egress = leaving(new_egress(broker, outbox, Reports()))
    egress.start()
    user = leaving(User(broker))
    for number in range(1000):
        outbox.put(Message(("n", str(number)), "alerts/m", str(number).encode(), alert=True))
    settle(egress, outbox)
    wait_until(lambda: len(user.alerts) == 1000, what="1000 alerts")
    assert user.alerts == list(range(1000))
    wait_until(lambda: egress.alerts_acknowledged == 1000, what="the books")


def test_a_dead_network_thread_is_replaced_and_its_messages_are_sent_again(
    broker: int, leaving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    outbox, reports = Outbox(limit=1000), Reports()
    egress = leaving(new_egress(broker, outbox, reports))
    egress.start()
    wait_until(lambda: egress.connected, what="the connection")
    client = egress._client
    assert client is not None

    def explode(*_: object) -> None:
        raise ValueError("a callback that was not guarded")

    client.on_publish = explode
    outbox.put(Message(("n",), "alerts/m", b"1", alert=True))
    egress.publish_waiting()
    wait_until(lambda: not egress.connected, what="the thread to die")
    assert client.is_connected()  # what paho believes
    user = leaving(User(broker))
    assert egress.revive(now_s=1e6)
    assert egress.replaced == 1
    settle(egress, outbox)
    wait_until(lambda: 1 in user.alerts, what="the message, sent again")
    assert "network_thread_replaced" in reports.names()


def test_an_absent_broker_is_reported_rarely_and_waited_for(leaving: Any) -> None:
    port, reports = free_port(), Reports()
    ingest = leaving(new_ingest(port, new_inbox(), reports))
    ingest.start()
    wait_until(lambda: "broker_unreachable" in reports.names(), what="the report")
    assert "refused" in str(reports.events[0][1]["reason"])
    assert not ingest.connected
    with Broker(port=port, listen="127.0.0.1"):
        wait_until(lambda: ingest.connected, what="the connection")
        assert ingest.session == 1
        ingest.stop()


def test_a_server_that_is_no_broker_does_no_harm(leaving: Any) -> None:
    reports = Reports()
    with socket.create_server(("127.0.0.1", 0)) as server:
        ingest = leaving(new_ingest(server.getsockname()[1], new_inbox(), reports))
        ingest.start()
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 10)
        second, _ = server.accept()  # it tries again
        second.close()
        assert not ingest.connected
        assert not ingest.revive(now_s=1e6)  # its network thread lives
