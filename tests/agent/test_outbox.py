"""The outbox forgets nothing that was not acknowledged, and says open alarms again."""

from edge_agent.outbox import Message, OpenAlarm, Outbox


def alarm(revision: int, name: str = "a1") -> OpenAlarm:
    return OpenAlarm(name, "alerts/m", f"{name} revision {revision}".encode())


def send_all(outbox: Outbox, first_mid: int = 1) -> list[tuple[str, bytes]]:
    """Hand everything that waits to a network that acknowledges nothing."""
    sent = []
    mid = first_mid
    while (message := outbox.next()) is not None:
        outbox.sent(message, mid)
        sent.append((message.topic, message.payload))
        mid += 1
    return sent


def acknowledge_all(outbox: Outbox) -> None:
    for mid in range(1, 100):
        outbox.acknowledged(mid)


def test_an_alarm_is_told_to_all_and_retained_and_both_end_when_it_closes() -> None:
    outbox = Outbox(limit=100)
    outbox.raise_alarm(alarm(1), revision=1)
    assert send_all(outbox) == [("alerts/m", b"a1 revision 1"), ("alerts/m/a1", b"a1 revision 1")]
    outbox.close_alarm(alarm(2))
    assert send_all(outbox, 10) == [("alerts/m", b"a1 revision 2"), ("alerts/m/a1", b"")]
    assert list(outbox.open_alarms()) == []


def test_updates_that_still_wait_are_replaced_but_opening_and_closing_never() -> None:
    outbox = Outbox(limit=100)
    outbox.raise_alarm(alarm(1), revision=1)
    outbox.raise_alarm(alarm(2), revision=2)
    outbox.raise_alarm(alarm(3), revision=3)
    outbox.close_alarm(alarm(4))
    told = [payload for topic, payload in send_all(outbox) if topic == "alerts/m"]
    assert told == [b"a1 revision 1", b"a1 revision 3", b"a1 revision 4"]


def test_the_retained_message_goes_after_the_closing_revision_even_if_both_waited() -> None:
    outbox = Outbox(limit=100)
    outbox.raise_alarm(alarm(1), revision=1)
    outbox.close_alarm(alarm(2))
    assert send_all(outbox) == [
        ("alerts/m", b"a1 revision 1"),
        ("alerts/m", b"a1 revision 2"),
        ("alerts/m/a1", b""),
    ]


def test_a_message_stays_until_it_is_acknowledged() -> None:
    outbox = Outbox(limit=100)
    outbox.raise_alarm(alarm(1), revision=1)
    first = send_all(outbox)
    assert len(outbox) == 2
    outbox.landed()  # the network thread died
    assert send_all(outbox) == first
    acknowledge_all(outbox)
    assert len(outbox) == 0
    assert outbox.acknowledged(1) is None


def test_what_landed_does_not_overwrite_a_newer_word() -> None:
    outbox = Outbox(limit=100)
    outbox.raise_alarm(alarm(2), revision=2)
    send_all(outbox)
    outbox.raise_alarm(alarm(3), revision=3)
    outbox.landed()
    assert {payload for _, payload in send_all(outbox)} == {b"a1 revision 3"}


def test_open_alarms_and_late_closings_are_said_again() -> None:
    outbox = Outbox(limit=100)
    outbox.raise_alarm(alarm(1), revision=1)
    outbox.raise_alarm(alarm(1, "a2"), revision=1)
    outbox.close_alarm(alarm(2, "a2"))
    send_all(outbox)
    acknowledge_all(outbox)
    outbox.say_again()
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
