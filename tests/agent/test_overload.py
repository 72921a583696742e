"""What is shed, and when: a simulated broker queue in front of a reader with a known pace, in simulated time."""

from collections import deque

import pytest

from edge_agent.contract.records import Delivery
from edge_agent.inbox import Arrival, Batch, Receipt
from edge_agent.overload import Relief

TOPIC = "edge-agent/a/probe"
TURN_S = 0.05


class World:
    """A queue that gives out at most `inflight` messages a turn; shed messages cost the reader a fifth."""

    def __init__(self, *, pace: float, inflight: int = 500) -> None:
        self.relief = Relief(topic=TOPIC, limit_s=1.0, catch_up_s=3600.0)
        self.now_s = 100.0
        self.session = 1
        self.queue: deque[tuple[str, float]] = deque()
        self.sent = self.used = self.shed = 0
        self.ages: list[float] = []
        self._pace, self._inflight, self._owed = pace, inflight, 0.0

    def run(self, seconds: float, *, per_s: float, cut: bool = False) -> None:
        end = self.now_s + seconds
        while self.now_s < end:
            self._owed += per_s * TURN_S
            for _ in range(int(self._owed)):
                self.queue.append(("sensors/m", self.now_s))
                self.sent += 1
            self._owed %= 1
            probe = self.relief.probe(session=self.session, now_s=self.now_s)
            if probe is not None:
                self.queue.append((probe.decode(), self.now_s))
            self.now_s += self._turn(cut=cut)

    def _turn(self, *, cut: bool) -> float:
        """Take what can be worked off in a turn, and the time it took."""
        work, taken = TURN_S * self._pace, []
        while self.queue and work > 0 and len(taken) < self._inflight and not cut:
            taken.append(self.queue.popleft())
            work -= 0.2 + 0.8 * self.relief.share
        arrivals = tuple(
            Arrival(
                Delivery(text if text.startswith("sensors") else TOPIC, text.encode(), 0),
                Receipt(at, self.session),
                self.now_s,
            )
            for at, (text, _) in enumerate(taken)
        )
        batch = self.relief.thin(Batch(arrivals, (), 0), now_s=self.now_s)
        self.used += len(batch.arrivals)
        self.shed += batch.shed
        times = [at_s for text, at_s in taken if text.startswith("sensors")]
        self.ages += [self.now_s - at_s for at_s in times[len(times) - len(batch.arrivals) :]]
        assert all(arrival.delivery.topic != TOPIC for arrival in batch.arrivals)
        return TURN_S


def test_a_load_that_can_be_carried_is_never_shed() -> None:
    world = World(pace=1000)
    world.run(60, per_s=950)
    assert world.shed == 0
    assert world.relief.delay_s < 1.0


def test_three_times_the_pace_is_thinned_until_the_rest_is_in_time_and_all_is_counted() -> None:
    world = World(pace=1000)
    world.run(5, per_s=500)
    world.run(60, per_s=3000)
    assert world.relief.overloaded
    assert max(world.ages) < 2.5
    assert max(world.ages[-1000:]) < 2.0
    assert world.used > 5000
    world.run(30, per_s=300)
    assert not world.relief.overloaded
    assert world.sent == world.used + world.shed + sum(text.startswith("sensors") for text, _ in world.queue)
    assert not [text for text, _ in world.queue if text.startswith("sensors")]


def test_a_backlog_behind_a_new_connection_is_worked_off_whole() -> None:
    world = World(pace=1000)
    world.run(2, per_s=100)
    world.session += 1
    world.queue.extend(("sensors/m", world.now_s) for _ in range(60_000))
    world.run(70, per_s=100)
    assert world.shed == 0
    assert not world.relief.catching_up


@pytest.mark.parametrize("pause_s", [2.0, 12.0])
def test_a_backlog_behind_a_pause_of_the_line_is_worked_off_whole(pause_s: float) -> None:
    world = World(pace=1000)
    world.run(5, per_s=700)
    world.run(pause_s, per_s=700, cut=True)
    world.run(60, per_s=700)
    assert world.shed == 0


def test_a_backlog_behind_a_pause_of_our_own_is_worked_off_whole() -> None:
    world = World(pace=1000)
    world.run(5, per_s=700)
    world.queue.extend(("sensors/m", world.now_s) for _ in range(3500))
    world.now_s += 5.0  # a disk that stood still
    world.run(60, per_s=700)
    assert world.shed == 0


def test_an_overload_that_begins_with_a_pause_is_told_by_its_growth() -> None:
    world = World(pace=1000)
    world.run(5, per_s=500)
    world.run(2, per_s=3000, cut=True)
    world.run(60, per_s=3000)
    assert world.relief.overloaded
    assert max(world.ages[-1000:]) < 2.0


def test_an_overload_after_a_backlog_is_an_overload() -> None:
    world = World(pace=1000)
    world.run(2, per_s=100)
    world.session += 1
    world.queue.extend(("sensors/m", world.now_s) for _ in range(5000))
    world.run(20, per_s=100)
    world.run(20, per_s=3000)
    assert world.shed > 0


def test_without_answers_nothing_is_shed() -> None:
    relief = Relief(topic=TOPIC, limit_s=1.0, catch_up_s=1.0)
    arrival = Arrival(Delivery("sensors/m", b"1", 0), None, 0.0)
    for at in range(400):
        now_s = 10 + at * TURN_S
        relief.probe(session=1, now_s=now_s)
        batch = relief.thin(Batch((Arrival(arrival.delivery, None, now_s),), (), 0), now_s=now_s)
        assert batch.shed == 0


def test_a_stranger_on_the_topic_changes_nothing() -> None:
    relief = Relief(topic=TOPIC, limit_s=1.0, catch_up_s=1.0)
    assert relief.probe(session=1, now_s=10.0) == b"1"
    forged = Arrival(Delivery(TOPIC, b"99999", 0), None, 10.1)
    assert relief.thin(Batch((forged,), (), 0), now_s=10.1).arrivals == ()
    assert relief.catching_up
