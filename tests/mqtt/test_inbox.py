"""The inbox is bounded, keeps order, and accounts for what it drops."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.mqtt.inbox import Arrival, Batch, Inbox, Receipt
from edge_agent.records import Delivery


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def arrival(number: int, size: int = 1, *, qos: int = 1) -> Arrival:
    return Arrival(Delivery("t", b"x" * size, number), Receipt(number, 1) if qos else None)


def inbox(clock: Clock, *, messages: int = 3, size: int = 10**9, shed_after_s: float = 0.0) -> Inbox:
    return Inbox(messages_limit=messages, bytes_limit=size, shed_after_s=shed_after_s, monotonic=clock)


def drain(box: Inbox, limit: int = 1000) -> Batch:
    return box.drain(limit=limit, timeout_s=0.0)


@given(st.lists(st.integers(1, 5), max_size=12), st.integers(1, 6))
def test_every_message_is_delivered_or_shed_and_every_receipt_comes_out_once_in_order(
    drains: list[int], messages: int
) -> None:
    box = inbox(Clock(), messages=messages)
    batches = []
    for number in range(40):
        box.put(arrival(number))
        if drains and number % 7 == 0:
            batches.append(drain(box, drains.pop()))
    batches.append(drain(box))
    delivered = [delivery.received_ns for batch in batches for delivery in batch.deliveries]
    assert delivered == sorted(delivered)
    assert len(delivered) + sum(batch.shed for batch in batches) == 40
    assert [receipt.mid for batch in batches for receipt in batch.receipts] == list(range(40))


def test_the_oldest_go_first_when_it_stays_full() -> None:
    box = inbox(Clock(), messages=2)
    for number in range(5):
        box.put(arrival(number))
    batch = drain(box)
    assert [delivery.received_ns for delivery in batch.deliveries] == [3, 4]
    assert batch.shed == 3


def test_a_full_inbox_holds_the_sender_only_until_there_is_room() -> None:
    box = inbox(Clock(), messages=1, shed_after_s=60.0)
    box.put(arrival(0))
    sender = threading.Thread(target=box.put, args=[arrival(1)])
    sender.start()
    assert [delivery.received_ns for delivery in drain(box).deliveries] == [0]
    sender.join(5)
    batch = drain(box)
    assert [delivery.received_ns for delivery in batch.deliveries] == [1]
    assert batch.shed == 0


def test_nothing_is_shed_before_its_time_and_the_wait_starts_again_after_room() -> None:
    clock = Clock()
    box = inbox(clock, messages=1, shed_after_s=10.0)
    box.close()  # nobody waits: only the clock decides
    box.put(arrival(0))
    box.put(arrival(1))
    clock.now_s = 9.9
    box.put(arrival(2))
    batch = drain(box)
    assert (len(batch.deliveries), batch.shed) == (3, 0)
    box.put(arrival(3))
    clock.now_s = 11.0
    box.put(arrival(4))
    clock.now_s = 21.1
    box.put(arrival(5))
    batch = drain(box)
    assert [delivery.received_ns for delivery in batch.deliveries] == [5]
    assert batch.shed == 2


def test_bytes_are_bounded_as_well_as_messages() -> None:
    box = inbox(Clock(), messages=1000, size=5000)
    for number in range(20):
        box.put(arrival(number, size=1000))
    assert len(box) <= 5
    assert drain(box).shed >= 15


def test_qos_0_has_nothing_to_acknowledge() -> None:
    box = inbox(Clock())
    box.put(arrival(0, qos=0))
    assert drain(box).receipts == ()
