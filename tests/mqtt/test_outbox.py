"""The outbox forgets nothing that was not acknowledged, and says open alarms again."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.mqtt.outbox import VERDICT, Message, OpenAlarm, Outbox


def alarm(revision: int, name: str = "a1") -> OpenAlarm:
    return OpenAlarm(name, "alerts/m", f"{name} revision {revision}".encode(), revision=revision)


def send_all(outbox: Outbox, first_mid: int = 1) -> list[tuple[str, bytes]]:
    """Hand everything that waits to a network that acknowledges nothing."""
    sent = []
    mid = first_mid
    while (message := outbox.next_message()) is not None:
        outbox.mark_sent(message, mid)
        sent.append((message.topic, message.payload))
        mid += 1
    return sent


def acknowledge_all(outbox: Outbox) -> None:
    for mid in range(1, 100):
        outbox.mark_acknowledged(mid)


def test_an_alarm_is_told_to_all_and_retained_and_both_end_when_it_closes() -> None:
    outbox = Outbox(limit=100)
    outbox.raise_alarm(alarm(1), first=True)
    assert send_all(outbox) == [("alerts/m", b"a1 revision 1"), ("alerts/m/a1", b"a1 revision 1")]
    outbox.close_alarm(alarm(2))
    assert send_all(outbox, 10) == [("alerts/m", b"a1 revision 2"), ("alerts/m/a1", b"")]
    assert list(outbox.open_alarms()) == []


def test_updates_that_still_wait_are_replaced_but_opening_and_closing_never() -> None:
    outbox = Outbox(limit=100)
    outbox.raise_alarm(alarm(1), first=True)
    outbox.raise_alarm(alarm(2), first=False)
    outbox.raise_alarm(alarm(3), first=False)
    outbox.close_alarm(alarm(4))
    told = [payload for topic, payload in send_all(outbox) if topic == "alerts/m"]
    assert told == [b"a1 revision 1", b"a1 revision 3", b"a1 revision 4"]


def test_the_retained_message_goes_after_the_closing_revision_even_if_both_waited() -> None:
    outbox = Outbox(limit=100)
    outbox.raise_alarm(alarm(1), first=True)
    outbox.close_alarm(alarm(2))
    assert send_all(outbox) == [
        ("alerts/m", b"a1 revision 1"),
        ("alerts/m", b"a1 revision 2"),
        ("alerts/m/a1", b""),
    ]


def test_a_message_stays_until_it_is_acknowledged() -> None:
    outbox = Outbox(limit=100)
    outbox.raise_alarm(alarm(1), first=True)
    first = send_all(outbox)
    assert len(outbox) == 2
    outbox.requeue_sent()  # the network thread died
    assert send_all(outbox) == first
    acknowledge_all(outbox)
    assert len(outbox) == 0
    assert outbox.mark_acknowledged(1) is None


def test_what_landed_does_not_overwrite_a_newer_word() -> None:
    outbox = Outbox(limit=100)
    outbox.raise_alarm(alarm(2), first=False)
    send_all(outbox)
    outbox.raise_alarm(alarm(3), first=False)
    outbox.requeue_sent()
    assert {payload for _, payload in send_all(outbox)} == {b"a1 revision 3"}


def test_open_alarms_and_late_closings_are_said_again() -> None:
    outbox = Outbox(limit=100)
    outbox.raise_alarm(alarm(1), first=True)
    outbox.raise_alarm(alarm(1, "a2"), first=True)
    outbox.close_alarm(alarm(2, "a2"))
    send_all(outbox)
    acknowledge_all(outbox)
    outbox.repeat_alarms()
    assert send_all(outbox) == [
        ("alerts/m", b"a1 revision 1"),
        ("alerts/m/a1", b"a1 revision 1"),
        ("alerts/m", b"a2 revision 2"),
        ("alerts/m/a2", b""),
    ]


def test_too_many_waiting_messages_cost_the_oldest_and_are_counted() -> None:
    outbox = Outbox(limit=3)
    for number in range(5):
        outbox.put(Message(("n", str(number)), "t", str(number).encode()))
    assert outbox.dropped == 2
    assert [payload for _, payload in send_all(outbox)] == [b"2", b"3", b"4"]


def balance(outbox: Outbox) -> int:
    """Alert messages unaccounted for, the waiting ones counted one by one."""
    rows = [
        *outbox._waiting.values(),
        *outbox._in_flight.values(),
        *(row for row, _ in outbox._unconfirmed.values()),
    ]
    waiting = sum(row.message.alert for row in rows)
    assert outbox.alerts_waiting == waiting
    assert outbox.bytes == sum(row.size for row in rows)
    return outbox.made - outbox.delivered - outbox.merged - outbox.alerts_dropped - waiting


def test_a_full_outbox_merges_updates_first_and_keeps_openings_and_closings() -> None:
    outbox = Outbox(limit=7)
    for name in ("a1", "a2"):
        outbox.raise_alarm(alarm(1, name), first=True)
        outbox.raise_alarm(alarm(2, name), first=False)
    outbox.close_alarm(alarm(3, "a1"))
    outbox.raise_alarm(alarm(1, "a3"), first=True)
    told = [payload for topic, payload in send_all(outbox) if topic == "alerts/m"]
    assert told == [b"a1 revision 1", b"a2 revision 1", b"a1 revision 3", b"a3 revision 1"]
    assert (outbox.merged, outbox.dropped, balance(outbox)) == (2, 0, 0)


def test_a_full_outbox_gives_up_verdicts_on_parts_before_any_word_of_an_alarm() -> None:
    outbox = Outbox(limit=5)
    outbox.raise_alarm(alarm(1), first=True)
    for number in range(8):
        outbox.put(Message((VERDICT, f"p{number}"), "inspections/m", f"{number}".encode(), durable=True))
    outbox.close_alarm(alarm(2))
    assert [payload for _, payload in send_all(outbox)] == [
        b"a1 revision 1", b"6", b"7", b"a1 revision 2", b"",
    ]  # fmt: skip
    assert (outbox.dropped, outbox.alerts_dropped) == (6, 0)


def test_verdicts_outlive_the_process_and_end_when_the_broker_has_them() -> None:
    outbox = Outbox(limit=5)
    outbox.put(Message((VERDICT, "p1"), "inspections/m", b"1", durable=True))
    again = Outbox(limit=5)
    again.restore({name: raw for name, raw in outbox.take_changes().items() if raw is not None})
    assert send_all(again) == [("inspections/m", b"1")]
    acknowledge_all(again)
    assert len(again) == 0
    assert list(again.take_changes().values()) == [None]


def test_where_nothing_else_can_go_an_opening_goes_before_its_closing() -> None:
    outbox = Outbox(limit=4)
    outbox.raise_alarm(alarm(1), first=True)
    outbox.close_alarm(alarm(2))
    outbox.raise_alarm(alarm(1, "a2"), first=True)
    told = [payload for topic, payload in send_all(outbox) if topic == "alerts/m"]
    assert told == [b"a1 revision 2", b"a2 revision 1"]
    assert (outbox.merged, outbox.dropped, balance(outbox)) == (1, 0, 0)


def test_bytes_are_bounded_too() -> None:
    outbox = Outbox(limit=1000, bytes_limit=10_000)
    for number in range(50):
        outbox.put(Message(("n", str(number)), "t", bytes(1000), alert=True))
        assert outbox.bytes <= 10_000
    assert outbox.dropped >= 40
    assert balance(outbox) == 0


def move_on(outbox: Outbox, move: str, told: OpenAlarm, *, mid: int) -> None:
    if move == "send" and (message := outbox.next_message()) is not None:
        outbox.mark_sent(message, mid)
        return
    moves = {
        "open": lambda: outbox.raise_alarm(told, first=True),
        "update": lambda: outbox.raise_alarm(told, first=False),
        "close": lambda: outbox.close_alarm(told),
        "acknowledge": lambda: outbox.mark_acknowledged(mid - 2),
        "land": outbox.requeue_sent,
        "reconnect": outbox.repeat_alarms,
        "confirm": lambda: outbox.mark_confirmed(told.id, 1),
        "send": lambda: None,
    }
    moves[move]()


MOVES = st.sampled_from(["open", "update", "close", "send", "acknowledge", "land", "reconnect", "confirm"])


@given(moves=st.lists(st.tuples(MOVES, st.integers(0, 3)), max_size=60), receipts=st.booleans())
def test_every_alert_message_ends_in_one_of_four_ways(
    moves: list[tuple[str, int]], *, receipts: bool
) -> None:
    """Whatever happens in whatever order, and what is on disk is what is in memory."""
    outbox, disk = Outbox(limit=9, bytes_limit=6000, receipts=receipts), {}
    for mid, (move, number) in enumerate(moves):
        move_on(outbox, move, alarm(number + 1, f"a{number}"), mid=mid)
        disk = {name: value for name, value in (disk | outbox.take_changes()).items() if value is not None}
        assert balance(outbox) == 0
    assert disk == outbox.everything()
    restored = Outbox(limit=9, bytes_limit=6000, receipts=receipts)
    restored.restore(disk)
    assert restored.everything().items() <= disk.items()
    assert {row.message.key for row in restored._waiting.values()} == {
        tuple(msgspec.msgpack.decode(raw)["key"]) for name, raw in disk.items() if name.startswith("outbox/")
    }
    assert balance(restored) == 0


def test_with_receipts_an_alert_stays_until_a_subscriber_has_it() -> None:
    now_s = [0.0]
    outbox = Outbox(limit=100, receipts=True, monotonic=lambda: now_s[0])
    outbox.raise_alarm(alarm(1), first=True)
    send_all(outbox)
    acknowledge_all(outbox)
    assert (outbox.delivered, outbox.alerts_waiting) == (0, 1)
    outbox.repeat_unconfirmed()
    assert send_all(outbox) == []
    now_s[0] = 61.0
    outbox.repeat_unconfirmed()
    assert send_all(outbox) == [("alerts/m", b"a1 revision 1")]
    acknowledge_all(outbox)
    assert not outbox.mark_confirmed("a1", 7)
    assert outbox.mark_confirmed("a1", 1)
    assert (outbox.delivered, outbox.alerts_waiting, balance(outbox)) == (1, 0, 0)


def test_old_closings_are_not_said_again() -> None:
    now_s = [0.0]
    outbox = Outbox(limit=100, monotonic=lambda: now_s[0])
    outbox.close_alarm(alarm(2))
    send_all(outbox)
    acknowledge_all(outbox)
    now_s[0] = 3600.0
    outbox.repeat_alarms()
    assert send_all(outbox) == []
    assert outbox.everything() == {}
