"""A message that the broker does not take is made shorter or set aside, and keeps back no other."""

import json
from collections.abc import Callable

import pytest

from edge_agent.mqtt.outbox import Message, Outbox
from edge_agent.mqtt.packet_bounds import PacketBounds, shorten, size


def message(name: str, payload: bytes, *, topic: str = "alerts/m") -> Message:
    return Message(("opened", name), topic, payload, alert=True, durable=True)


def alert(channels: int) -> bytes:
    return json.dumps(
        {"id": "a", "channels": [{"name": f"c{at}", "share": 0.5} for at in range(channels)]}
    ).encode()


class Broker:
    """Takes one message at a time, hangs up on some; the egress side is played as `Egress` does."""

    def __init__(self, refuses: Callable[[Message, bytes], bool]) -> None:
        self.refuses = refuses
        self.outbox, self.bounds = Outbox(limit=100), PacketBounds()
        self.took: list[tuple[str, bytes]] = []
        self.hung_up = 0

    def run(self) -> None:
        for mid in range(1, 200):
            if (one := self.outbox.next_message()) is None:
                return
            payload = self.bounds.fitted(one)
            if payload is None:
                self.outbox.set_aside(one)
                continue
            self.outbox.mark_sent(one, mid)
            if not self.refuses(one, payload):
                self.took.append((one.key[-1], payload))
                self.outbox.mark_acknowledged(mid)
                self.bounds.taken(one.key, size(one, payload))
                continue
            self.hung_up += 1
            assert self.outbox.on_its_way() == one
            self.outbox.requeue_sent()
            verdict = self.bounds.blame(one, size(one, payload))
            if verdict == "later":
                self.outbox.defer(one)
            elif verdict == "aside":
                self.outbox.set_aside(one)


@pytest.mark.parametrize("limit", [400, 1400, 3000])
def test_a_long_alert_is_sent_shorter_and_the_next_one_at_once(limit: int) -> None:
    broker = Broker(lambda one, payload: size(one, payload) > limit)
    for name, channels in (("first", 1), ("long", 200), ("second", 1)):
        broker.outbox.put(message(name, alert(channels)))
    broker.run()
    assert [name for name, _ in broker.took] == ["first", "long", "second"]
    told = json.loads(broker.took[1][1])
    assert (told["id"], told["shortened"]) == ("a", True)
    before = broker.hung_up
    assert before <= 2 * 12  # two for each quarter less
    broker.outbox.put(message("again", alert(200)))
    broker.run()
    assert broker.hung_up == before
    assert broker.took[-1][0] == "again"
    assert broker.outbox.alerts_waiting == 0
    (line,) = broker.bounds.amiss()
    assert "2 were sent shorter, 0 set aside" in line


def test_what_cannot_be_made_shorter_is_set_aside_and_counted() -> None:
    broker = Broker(lambda one, payload: size(one, payload) > 300)
    for name, payload in (("text", b"x" * 5000), ("small", b"{}"), ("more", b"y" * 5000)):
        broker.outbox.put(message(name, payload))
    broker.run()
    assert [name for name, _ in broker.took] == ["small"]
    assert (broker.outbox.alerts_dropped, broker.outbox.alerts_waiting) == (2, 0)
    assert "2 set aside" in broker.bounds.amiss()[0]


def test_a_topic_that_the_broker_hangs_up_on_is_set_aside_after_the_others_went_out() -> None:
    broker = Broker(lambda one, _: one.topic == "forbidden")
    broker.outbox.put(message("first", b"x" * 500))
    broker.outbox.put(message("odd", b"{}", topic="forbidden"))
    broker.outbox.put(message("second", b"{}"))
    broker.run()
    assert [name for name, _ in broker.took] == ["first", "second"]
    assert broker.hung_up == 4
    assert broker.outbox.alerts_dropped == 1
    assert broker.bounds.limit_bytes is None


def test_connections_that_are_lost_by_chance_cost_no_message() -> None:
    lost = iter([True, False] * 100)
    broker = Broker(lambda _one, _payload: next(lost))
    for at in range(20):
        broker.outbox.put(message(str(at), b"{}"))
    broker.run()
    assert [name for name, _ in broker.took] == [str(at) for at in range(20)]
    assert broker.bounds.amiss() == []


@pytest.mark.parametrize("payload", [b"", b"no json", b"[1, 2]", b"{}", b'{"id": "' + b"x" * 500 + b'"}'])
def test_what_has_nothing_to_cut_is_not_shortened(payload: bytes) -> None:
    assert shorten(payload, 10) is None


def test_a_status_is_cut_by_machines() -> None:
    machines = {f"m{at}": {"state": "ready", "notices": ["a"] * 3} for at in range(400)}
    payload = json.dumps({"agent": "hall", "machine_count": 400, "machines": machines}).encode()
    shorter = shorten(payload, 2000)
    assert shorter is not None
    told = json.loads(shorter)
    assert len(shorter) <= 2000
    assert told["machine_count"] == 400
    assert 5 < len(told["machines"]) < 400
