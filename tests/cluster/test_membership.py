"""Several members over a simulated broker that delays, loses connections and restarts: never two owners."""

import random
from collections import deque
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.cluster.membership import Beat, Membership, Terms, decode, encode
from edge_agent.cluster.ownership import owner

TERMS = Terms(lease_s=6.0, settle_s=2.0)
STEP_S = 0.25
MACHINES = [f"pump-{number}" for number in range(12)]
NAMES = ["a", "b", "c", "d"]


@dataclass
class Node:
    """A member with its process, its clock and its connection."""

    name: str
    rate: float
    offset_s: float
    membership: Membership | None = None
    boots: int = 0
    session: int = 0
    asleep_until: float = 0.0
    away_until: float = 0.0
    up: deque[tuple[float, Beat]] = field(default_factory=deque)
    down: deque[tuple[float, str, Beat | None]] = field(default_factory=deque)
    connected: bool = False

    def clock(self, t: float) -> float:
        return self.offset_s + t * self.rate

    def start(self) -> None:
        self.boots += 1
        self.membership = Membership(self.name, boot=f"{self.name}{self.boots}", terms=TERMS)
        self.lose()

    def lose(self) -> None:
        self.connected = False
        self.up.clear()
        self.down.clear()


class World:
    def __init__(self, seed: int, *, slowest_s: float) -> None:
        self.chance = random.Random(seed)
        self.slowest_s = slowest_s
        self.t = 0.0
        self.retained: dict[str, Beat] = {}
        self.nodes = {
            name: Node(name, rate=self.chance.uniform(0.995, 1.005), offset_s=self.chance.uniform(0, 1e6))
            for name in NAMES
        }

    def owners(self) -> dict[str, list[str]]:
        """Who would score each machine right now."""
        awake = [
            node.membership
            for node in self.nodes.values()
            if node.membership is not None and node.asleep_until <= self.t
        ]
        return {
            machine: [m.name for m in awake if m.active and owner(machine, m.view) == m.name]
            for machine in MACHINES
        }

    def _delay(self, queue: deque[tuple[float, Beat]] | deque[tuple[float, str, Beat | None]]) -> float:
        at = self.t + self.chance.uniform(0, self.slowest_s)
        return max(at, queue[-1][0]) if queue else at

    def broker_restarts(self, *, forgets: bool) -> None:
        for node in self.nodes.values():
            node.lose()
            node.away_until = max(node.away_until, self.t + self.chance.uniform(0, 4))
        if forgets:
            self.retained.clear()

    def step(self) -> None:
        self.t += STEP_S
        order = list(self.nodes.values())
        self.chance.shuffle(order)
        for node in order:
            while node.up and node.up[0][0] <= self.t:
                self._hand_on(node.name, node.up.popleft()[1])
        for node in order:
            if node.membership is not None and node.asleep_until <= self.t:
                self._turn(node, node.membership)
        for machine, owners in self.owners().items():
            assert len(owners) <= 1, f"{machine} has {owners} at {self.t}"

    def _hand_on(self, name: str, beat: Beat | None) -> None:
        if beat is None:
            self.retained.pop(name, None)
        else:
            self.retained[name] = beat
        for node in self.nodes.values():
            if node.connected:
                node.down.append((self._delay(node.down), name, beat))

    def _turn(self, node: Node, membership: Membership) -> None:
        if not node.connected and node.away_until <= self.t:
            node.connected = True
            node.session += 1
            for name, beat in self.retained.items():
                node.down.append((self._delay(node.down), name, beat))
        now_s = node.clock(self.t)
        while node.down and node.down[0][0] <= self.t:
            _, name, beat = node.down.popleft()
            if beat is None:
                membership.left(name)
            else:
                membership.take_beat(name, beat, now_s=now_s)
                if name == node.name:
                    membership.caught_up(beat)
        if node.connected:
            membership.connected(node.session, now_s=now_s)
            if (beat := membership.beat(now_s=now_s)) is not None:
                node.up.append((self._delay(node.up), beat))
        membership.tick(now_s=now_s)

    def happen(self, what: str, name: str, length_s: float) -> None:
        node = self.nodes[name]
        if what == "start" and node.membership is None:
            node.start()
        elif what == "kill":
            node.membership = None
            node.lose()
        elif what == "sleep":
            node.asleep_until = self.t + length_s
        elif what == "away":
            node.lose()
            node.away_until = self.t + length_s
        elif what == "leave" and node.membership is not None:
            node.membership = None
            connected = node.connected
            node.lose()
            if connected:
                self._hand_on(name, None)
        elif what in {"restart", "forget"}:
            self.broker_restarts(forgets=what == "forget")


EVENTS = st.tuples(
    st.integers(0, 60),
    st.sampled_from(["start", "start", "kill", "sleep", "away", "leave", "restart", "forget"]),
    st.sampled_from(NAMES),
    st.floats(0.1, 14),
)


@settings(max_examples=150)
@given(st.integers(0, 2**32), st.floats(0.01, 5), st.lists(EVENTS, max_size=25))
def test_no_machine_ever_has_two_owners_and_in_quiet_times_each_has_one(
    seed: int, slowest_s: float, events: list[tuple[int, str, str, float]]
) -> None:
    world = World(seed, slowest_s=slowest_s)
    world.happen("start", "a", 0)
    for pause, what, name, length_s in events:
        for _ in range(pause):
            world.step()
        world.happen(what, name, length_s)
    world.slowest_s = 0.1
    world.happen("start", "b", 0)
    for _ in range(int(50 / STEP_S)):
        world.step()
    assert all(len(owners) == 1 for owners in world.owners().values())


def alone(membership: Membership, *, until_s: float, begin_s: float = 0.0) -> None:
    """Beats come back at once."""
    t = begin_s
    while t < until_s:
        if (beat := membership.beat(now_s=t)) is not None:
            membership.take_beat(membership.name, beat, now_s=t)
            membership.caught_up(beat)
        membership.tick(now_s=t)
        t += 0.5


def test_a_member_joins_after_its_patience_and_stops_when_its_lease_is_over() -> None:
    member = Membership("a", boot="1", terms=TERMS)
    member.connected(1, now_s=0.0)
    alone(member, until_s=8.0)
    assert not member.active
    alone(member, begin_s=8.0, until_s=10.0)
    assert member.active
    member.tick(now_s=13.9)
    assert member.active
    member.tick(now_s=14.6)
    assert not member.active


def test_a_dead_member_is_missed_after_lease_and_settling_and_its_kept_beat_is_no_life() -> None:
    member = Membership("a", boot="1", terms=TERMS)
    member.connected(1, now_s=0.0)
    member.take_beat("b", Beat("x", 7), now_s=1.0)
    alone(member, until_s=8.6)
    assert member.view == {"a", "b"}
    alone(member, begin_s=8.6, until_s=10.0)
    assert member.view == {"a"}
    member.take_beat("b", Beat("x", 7), now_s=10.0)
    member.tick(now_s=10.0)
    assert member.view == {"a"}
    member.take_beat("b", Beat("y", 1), now_s=10.0)
    member.tick(now_s=10.0)
    assert member.view == {"a", "b"}


def test_a_member_whose_own_beats_are_late_does_not_take_anothers_silence_for_its_end() -> None:
    member = Membership("a", boot="1", terms=TERMS)
    member.connected(1, now_s=0.0)
    member.take_beat("b", Beat("x", 7), now_s=1.0)
    alone(member, until_s=6.6)  # the latest beat that came back was sent at 6 s, within the other's lease
    member.tick(now_s=9.5)
    assert member.active
    assert member.view == {"a", "b"}
    late = member.beat(now_s=9.5)
    assert late is not None
    member.take_beat("a", late, now_s=10.0)
    member.tick(now_s=10.0)
    assert member.view == {"a"}


def test_messages_that_waited_are_worked_off_before_anything_is_owned() -> None:
    member = Membership("a", boot="1", terms=TERMS)
    member.connected(1, now_s=0.0)
    beats = []
    for t in range(20):
        if (beat := member.beat(now_s=float(t))) is not None:
            beats.append(beat)
            member.take_beat("a", beat, now_s=float(t))
        member.tick(now_s=float(t))
    assert not member.active
    member.caught_up(Beat("another", 99))
    member.tick(now_s=19.0)
    assert not member.active
    member.caught_up(beats[0])
    member.tick(now_s=19.0)
    assert member.active


def test_what_is_no_beat_is_none() -> None:
    assert decode(encode(Beat("x", 1))) == Beat("x", 1)
    for payload in [b"", b"{}", b"\xff", b'{"boot":"","seq":1}', b'{"boot":"x","seq":0}', b"[" * 5000]:
        assert decode(payload) is None
