"""Messages that wait at the broker: an overload is told from a backlog, and then machines are heard in turn."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from edge_agent.mqtt.inbox import Arrival, Batch, Receipt
from edge_agent.mqtt.load_shedding import LoadShedder
from edge_agent.records import Delivery

ECHO = "agents/a/echo"
SHED_S = 4e-5
"""What reading, dropping and acknowledging a message costs; judging one costs 1 / pace."""


def overload(
    told: list[tuple[str, dict[str, Any]]] | None = None,
    *,
    longest_wait_s: float = 1.0,
    round_s: float = 600.0,
) -> LoadShedder:
    def tell(event: str, **facts: Any) -> None:
        if told is not None:
            told.append((event, facts))

    return LoadShedder(
        topic=ECHO,
        longest_wait_s=longest_wait_s,
        boot="boot",
        machine_of=lambda topic: topic,
        tell=tell,
        round_s=round_s,
    )


def arrival(topic: str, payload: bytes = b"", *, at_s: float = 0.0) -> Arrival:
    return Arrival(Delivery(topic, payload, 0), Receipt(1, 1), at_s)


def batch(*arrivals: Arrival) -> Batch:
    return Batch(tuple(arrivals), tuple(one.receipt for one in arrivals if one.receipt), 0)


@dataclass
class Hall:
    """A broker's queue with an agent of a certain pace behind it, in simulated time."""

    per_s: float
    load_s: float
    pace: float = 2_000.0
    machines: int = 200
    backlog: int = 0
    stall: tuple[float, float] = (1e9, 0.0)
    """When the agent stands still, and for how long."""
    round_s: float = 600.0
    reads_ahead: bool = False
    """Whether the broker passes all on at once, so that it waits at the agent; else it waits for acknowledgements."""
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    shed = made = 0
    heard: list[tuple[float, str, float]] = field(default_factory=list)
    """When, of which machine, after what wait."""

    def run(self, seconds: float) -> "Hall":
        judge, now, sent, head, seen = overload(self.told, round_s=self.round_s), 0.0, 0.0, 0, 0
        queue = [(0.0, f"m{number % self.machines}", b"") for number in range(self.backlog)]
        while now < seconds:
            if (echo := judge.next_echo(session=1, now_s=now)) is not None:
                queue.append((now, ECHO, echo))
            taken = queue[head : head + int(100 / judge.share)]
            head += len(taken)
            came = [
                arrival(topic, payload, at_s=at if self.reads_ahead else now) for at, topic, payload in taken
            ]
            upto = len(queue) if self.reads_ahead else head
            back = [
                (payload, at if self.reads_ahead else now)
                for at, topic, payload in queue[seen:upto]
                if topic == ECHO
            ]
            seen = upto
            left = judge.shed(batch(*came), back, queued=upto - head, now_s=now)
            assert len(left.receipts) == len(taken)
            assert left.passed_over.isdisjoint(one.delivery.topic for one in left.arrivals)
            assert bool(left.passed_over) == bool(left.shed)
            sensors = sum(topic != ECHO for _, topic, _ in taken)
            assert len(left.arrivals) + left.shed == sensors
            self.shed += left.shed
            busy_s = 0.002 + len(left.arrivals) / self.pace + len(taken) * SHED_S
            took_s = busy_s if len(taken) >= 50 else max(busy_s, 0.05)
            if self.stall[0] <= now:
                took_s, self.stall = took_s + self.stall[1], (1e9, 0.0)
            since_s = {id(one): at for one, (at, _, _) in zip(came, taken, strict=True)}
            end = now + took_s
            self.heard += [(end, one.delivery.topic, end - since_s[id(one)]) for one in left.arrivals]
            before, sent = sent, sent + (self.per_s * took_s if now < self.load_s else 0.0)
            new = range(int(before), int(sent))
            queue += [
                (now + took_s * (n - before) / (sent - before), f"m{n % self.machines}", b"") for n in new
            ]
            self.made += len(new)
            now += took_s
        self.left = len(queue) - head
        return self

    @property
    def longest_wait_s(self) -> float:
        return max(wait_s for _, _, wait_s in self.heard)


@pytest.mark.parametrize("times", [1.15, 1.5, 3.0])
@pytest.mark.parametrize("machines", [8, 200])
@pytest.mark.parametrize("where", ["at the broker", "in our queue"])
def test_in_an_overload_what_is_heard_is_heard_in_time_and_the_rest_is_counted(
    times: float, machines: int, where: str
) -> None:
    hall = Hall(per_s=times * 2_000, load_s=30.0, machines=machines, reads_ahead=where == "in our queue").run(
        50.0
    )
    assert hall.longest_wait_s < 2.0
    assert hall.left == 0
    assert len(hall.heard) + hall.shed == hall.made
    assert 0.5 * (1 - 1 / times) < hall.shed / hall.made < (1 - 1 / times) + 0.25
    assert [event for event, _ in hall.told][:1] == ["overload_began"]
    assert hall.told[-1][0] == "overload_ended"


def test_a_machine_is_heard_whole_for_a_while_and_every_machine_has_its_turn() -> None:
    hall = Hall(per_s=6_000, load_s=130.0, machines=40, round_s=60.0).run(140.0)
    for machine in {f"m{number}" for number in range(40)}:
        at = [when for when, name, _ in hall.heard if name == machine and 5.0 < when < 125.0]
        gaps = [later - earlier for earlier, later in pairwise(at) if later - earlier > 0.5]
        assert at, machine
        assert len(gaps) < 12  # a few stretches, not every third row
        assert max(gaps, default=0.0) < 61.0


@pytest.mark.parametrize(
    "hall",
    [
        Hall(per_s=800, load_s=20.0, backlog=12_000),
        Hall(per_s=0, load_s=0.0, backlog=24_000),
        Hall(per_s=1_600, load_s=20.0, stall=(5.0, 4.0)),
        Hall(per_s=400, load_s=20.0, stall=(5.0, 9.0)),
        Hall(per_s=1_800, load_s=20.0),
        Hall(per_s=8_000, load_s=0.4),
        Hall(per_s=800, load_s=20.0, backlog=12_000, reads_ahead=True),
        Hall(per_s=1_600, load_s=20.0, stall=(5.0, 4.0), reads_ahead=True),
        Hall(per_s=8_000, load_s=0.4, reads_ahead=True),
    ],
    ids=[
        "backlog under load",
        "backlog",
        "standstill under load",
        "long standstill",
        "busy",
        "burst",
        "backlog read ahead",
        "standstill read ahead",
        "burst read ahead",
    ],
)
def test_what_only_queued_up_is_worked_off_and_lost_to_nobody(hall: Hall) -> None:
    hall.run(40.0)
    assert (hall.shed, hall.told, hall.left) == (0, [], 0)


def test_each_connection_begins_with_what_queued_up_while_it_was_away() -> None:
    judge = overload()
    for session in (1, 2):
        sent = [
            judge.next_echo(session=session, now_s=session * 100.0 + number * 0.1) for number in range(10)
        ]
        for one in sent:
            late_s = session * 100.0 + 30.0
            left = judge.shed(
                batch(arrival(ECHO, one or b"")), [(one or b"", late_s)], queued=0, now_s=late_s
            )
            assert left.arrivals == ()
        assert not judge.on


def test_echoes_of_others_and_repeated_ones_say_nothing() -> None:
    judge = overload()
    first = judge.next_echo(session=1, now_s=0.0)
    assert first is not None
    for payload in (
        b'{"boot": "other", "number": 1}',
        b'{"boot": "boot"}',
        b'{"boot": "boot", "number": "1"}',
        b'{"boot": "boot", "number": 99}',
        b'{"boot": "boot", "number": -1}',
        b"[1]",
        b"[" * 100_000,
        b"\xff\xfe",
        b"",
        first,
        first,
    ):
        left = judge.shed(batch(arrival(ECHO, payload), arrival("m")), [(payload, 1.0)], queued=0, now_s=1.0)
        assert [one.delivery.topic for one in left.arrivals] == ["m"]
    assert judge.wait_s(1.0) == 0.0
    assert not judge.on


def test_a_wait_shows_before_its_echo_is_back() -> None:
    judge = overload()
    judge.next_echo(session=1, now_s=10.0)
    assert judge.wait_s(14.0) == pytest.approx(4.0)


def test_without_a_limit_nothing_is_sent_and_all_is_heard() -> None:
    judge = overload(longest_wait_s=0.0)
    assert judge.next_echo(session=1, now_s=5.0) is None
    whole = batch(arrival("m"))
    assert judge.shed(whole, [], queued=0, now_s=5.0) is whole


def test_a_broker_that_never_answers_hears_an_echo_now_and_then() -> None:
    judge = overload()
    sent = [
        number * 0.2 for number in range(5000) if judge.next_echo(session=1, now_s=number * 0.2) is not None
    ]
    assert 100 < len([at for at in sent if at < 21]) < 110
    assert 40 < len([at for at in sent if at >= 21]) < 60
    assert not judge.on


@pytest.mark.parametrize(
    ("messages", "queued", "least", "most"),
    [(0, 0, 10, 11), (1, 0, 20, 50), (8, 0, 80, 101), (0, 1, 80, 101)],
    ids=["nothing comes", "50 a second", "400 a second", "some wait"],
)
def test_echoes_are_said_ten_times_a_second_where_there_is_much_to_do_and_else_once(
    messages: int, queued: int, least: int, most: int
) -> None:
    judge, said = overload(), 0
    for number in range(500):
        now_s = number * 0.02
        echo = judge.next_echo(session=1, now_s=now_s)
        rows = batch(*[arrival("sensors/m")] * messages)
        judge.shed(rows, [(echo, now_s)] if echo else [], queued=queued, now_s=now_s)
        said += echo is not None
    assert least <= said <= most


def test_an_echo_that_is_out_is_followed_by_the_next_after_a_tenth_of_a_second() -> None:
    judge, said = overload(), 0
    for number in range(50):
        said += judge.next_echo(session=1, now_s=number * 0.02) is not None
        judge.shed(batch(), [], queued=0, now_s=number * 0.02)
    assert 8 <= said <= 11


def test_where_echoes_get_lost_in_an_overload_nobody_is_passed_over_for_ever() -> None:
    """A broker whose queue is full drops the newest, echoes among them."""
    told: list[tuple[str, dict[str, Any]]] = []
    judge, now_s = overload(told), 0.0
    while not judge.on:  # each echo is out longer than the one before
        echo = judge.next_echo(session=1, now_s=now_s)
        judge.shed(batch(), [(echo, 3 * now_s)] if echo else [], queued=0, now_s=3 * now_s)
        now_s += 0.2
    since_s = now_s = 3 * now_s
    while judge.on:
        judge.next_echo(session=1, now_s=now_s)
        now_s += 0.2
    assert 15 < now_s - since_s < 25
    assert [event for event, _ in told] == ["overload_began", "overload_ended"]
    echo = judge.next_echo(session=1, now_s=now_s + 30)
    assert echo is not None
    judge.shed(batch(), [(echo, now_s + 30)], queued=0, now_s=now_s + 30)
    assert judge.next_echo(session=1, now_s=now_s + 31.1) is not None  # heard again, as often as before
