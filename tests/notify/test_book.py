"""Which calls are due, which wait, and what became of each: told at least once, never twice within the cool-down."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace

from msgspec import structs

from edge_agent.alarms.state import AlarmState
from edge_agent.notify.book import (
    ALARMS_A_MESSAGE,
    ENDED_KEPT,
    WAITING_LIMIT,
    CallBook,
    PeopleCall,
    SendOutcome,
    kept_calls,
)
from edge_agent.notify.rules import NotifyRule
from edge_agent.signals.machine_rules import MachineFacts
from tests.support.calls import T0, S, open_alarm, subject_of

OK = SendOutcome("confirmed", "HTTP 200")
REFUSED = SendOutcome("refused", "HTTP 503")
LOST = SendOutcome("unknown", "no whole answer")
RULE = NotifyRule(name="night", cool_down_s=300.0, group_s=30.0)


class World:
    """A book with its disk and a clock."""

    def __init__(self, *rules: NotifyRule) -> None:
        self.rules = rules or (RULE,)
        self.now_ns = T0
        self.disk: dict[str, bytes] = {}
        self.records: list[AlarmState] = []
        self.begin()

    def begin(self) -> None:
        self.book = CallBook(self.disk, rules=self.rules, now_ns=self.now_ns)

    def keep(self) -> None:
        for name, value in self.book.take_changes().items():
            if value is None:
                self.disk.pop(name, None)
            else:
                self.disk[name] = value

    def round(self, *, after_s: float = 1.0) -> list[PeopleCall]:
        """Calls that are to be sent now; they are on the disk."""
        self.now_ns += int(after_s * S)
        self.book.plan(self.records, subject=subject_of, facts=lambda _: MachineFacts(), now_ns=self.now_ns)
        begun = self.book.begin_next(busy=(), now_ns=self.now_ns)
        self.keep()
        return begun

    def settle(self, call: PeopleCall, outcome: SendOutcome) -> None:
        self.book.settle(call.number, outcome, now_ns=self.now_ns)
        self.keep()

    def told(self, *, after_s: float = 1.0) -> list[tuple[str, list[str]]]:
        """What is sent, and confirmed, in this round."""
        begun = self.round(after_s=after_s)
        for call in begun:
            self.settle(call, OK)
        return [(call.event, [subject.alarm for subject in call.subjects]) for call in begun]

    def balance(self) -> int:
        counts, waiting = self.book.counts(), self.book.waiting_by_rule()
        return sum(
            one.made - one.confirmed - one.given_up - waiting.get(name, 0) for name, one in counts.items()
        )


def test_an_alarm_is_told_once_and_so_is_its_end() -> None:
    world = World()
    world.records = [open_alarm("a")]
    assert world.told() == [("alarm", ["a"])]
    assert [world.told(after_s=60.0) for _ in range(20)] == [[]] * 20
    world.records = []
    assert world.told() == [("over", ["a"])]
    assert [world.told(after_s=60.0) for _ in range(20)] == [[]] * 20
    assert not [name for name in world.disk if "reached" in name]


def test_the_first_call_is_at_once_and_what_comes_meanwhile_is_one_message() -> None:
    world = World()
    world.records = [open_alarm("a")]
    assert world.told() == [("alarm", ["a"])]
    world.records += [open_alarm("b"), open_alarm("c", severity="critical")]
    assert world.told(after_s=5.0) == []
    assert world.told(after_s=25.0) == [("alarm", ["c", "b"])]


def test_a_message_names_so_many_alarms_and_the_next_one_the_others() -> None:
    world = World()
    world.records = [open_alarm(f"{number:03d}") for number in range(ALARMS_A_MESSAGE + 3)]
    told = [world.told(after_s=31.0) for _ in range(3)]
    assert [len(alarms) for messages in told for _, alarms in messages] == [ALARMS_A_MESSAGE, 3]
    world.records = []
    ends = [world.told(after_s=31.0) for _ in range(3)]
    assert [len(alarms) for messages in ends for _, alarms in messages] == [ALARMS_A_MESSAGE, 3]


def test_a_receiver_of_single_alarms_gets_a_message_each() -> None:
    world = World(replace(RULE, single=True))
    world.records = [open_alarm("a"), open_alarm("b")]
    assert [world.told(), world.told(), world.told()] == [[("alarm", ["a"])], [("alarm", ["b"])], []]


def test_graver_or_called_again_is_told_again_and_not_within_the_cool_down() -> None:
    world = World()
    world.records = [open_alarm("a")]
    world.told()
    world.records = [open_alarm("a", severity="critical")]
    assert world.told(after_s=200.0) == []
    assert world.told(after_s=101.0) == [("alarm", ["a"])]
    world.records = [open_alarm("a", severity="critical", recalled=True)]
    assert world.told(after_s=3600.0) == [("alarm", ["a"])]
    assert world.told(after_s=3600.0) == []


def test_what_comes_back_within_the_cool_down_waits_for_its_end() -> None:
    world = World()
    world.records = [open_alarm("a")]
    world.told()
    for flaps in range(5):
        world.records = []
        assert world.told(after_s=10.0) == ([] if flaps else [("over", ["a"])])
        world.records = [open_alarm("a")]
        assert world.told(after_s=10.0) == []
    assert world.told(after_s=200.0) == [("alarm", ["a"])]


def test_a_rule_without_endings_tells_none() -> None:
    world = World(replace(RULE, over=False))
    world.records = [open_alarm("a")]
    world.told()
    world.records = []
    assert [world.told(after_s=400.0), world.told()] == [[], []]


def test_an_escalation_says_for_how_long_nobody_has_acknowledged() -> None:
    world = World(RULE, replace(RULE, name="boss", after_s=900.0))
    world.records = [open_alarm("a")]
    assert [call.rule for call in world.round()] == ["night"]
    (call,) = world.round(after_s=900.0)
    assert (call.rule, call.unacknowledged_s) == ("boss", 900.0)


def test_a_refused_message_is_sent_again_ever_more_slowly_and_given_up_with_the_reason() -> None:
    world = World(replace(RULE, give_up_s=600.0))
    world.records = [open_alarm("a")]
    tried = []
    for _ in range(1000):
        for call in world.round():
            tried.append(round((world.now_ns - T0) / S))
            world.settle(call, REFUSED)
    assert tried[:5] == [1, 6, 16, 36, 76]
    assert max(b - a for a, b in itertools.pairwise(tried)) <= 61
    (ended,) = [call for call in world.book.calls.values() if call.state == "given_up"]
    assert (ended.said, ended.attempts) == ("HTTP 503", len(tried))
    assert world.balance() == 0


def test_what_may_have_arrived_is_sent_again_after_the_cool_down() -> None:
    world = World()
    world.records = [open_alarm("a")]
    (call,) = world.round()
    world.settle(call, LOST)
    assert world.told(after_s=299.0) == []
    assert world.told(after_s=1.0) == [("alarm", ["a"])]


def test_the_cool_down_counts_from_when_a_call_has_arrived_and_not_from_when_it_was_made() -> None:
    world = World()
    world.records = [open_alarm("a")]
    for _ in range(100):
        for call in world.round(after_s=10.0):
            world.settle(call, REFUSED)
    world.records = [open_alarm("a", severity="critical")]
    assert world.told(after_s=60.0) == [("alarm", ["a"])]
    assert [world.told(after_s=10.0) for _ in range(29)] == [[]] * 29
    assert world.told(after_s=10.0) == [("alarm", ["a"])]


def test_an_answer_that_was_lost_late_counts_from_then() -> None:
    world = World()
    world.records = [open_alarm("a")]
    (call,) = world.round()
    world.now_ns += 40 * S
    world.settle(call, LOST)
    assert world.told(after_s=299.0) == []
    assert world.told(after_s=1.0) == [("alarm", ["a"])]


def test_the_end_of_an_alarm_never_overtakes_its_beginning() -> None:
    world = World()
    world.records = [open_alarm("a")]
    (call,) = world.round()
    world.settle(call, LOST)
    world.records = []
    assert world.told(after_s=100.0) == []
    world.records = [open_alarm("b")]
    assert world.told() == [("alarm", ["b"])]
    assert [world.told(after_s=200.0), world.told()] == [[("alarm", ["a"])], [("over", ["a"])]]


def test_a_clock_that_was_set_back_holds_up_nothing() -> None:
    world = World()
    world.records = [open_alarm("a")]
    (call,) = world.round()
    world.settle(call, LOST)
    assert world.told(after_s=-86_400.0) == [("alarm", ["a"])]


def test_too_many_that_wait_and_have_ended_are_bounded_and_counted() -> None:
    world = World(replace(RULE, single=True, group_s=0.0))
    world.records = [open_alarm(f"{number:04d}") for number in range(WAITING_LIMIT + 50)]
    (first,) = world.round()
    assert sum(world.book.waiting_by_rule().values()) == WAITING_LIMIT
    world.settle(first, OK)
    assert world.book.counts()["night"].given_up == 50
    for _ in range(WAITING_LIMIT + 5):
        world.told()
    assert len(world.book.calls) == ENDED_KEPT
    assert len(kept_calls(world.disk)) == ENDED_KEPT
    assert (world.balance(), world.book.counts()["night"].confirmed) == (0, WAITING_LIMIT)


def test_what_waits_for_a_rule_that_is_gone_is_given_up() -> None:
    world = World(replace(RULE, name="old"))
    world.records = [open_alarm("a")]
    world.settle(world.round()[0], REFUSED)
    world.rules = (RULE,)
    world.begin()
    assert world.told() == [("alarm", ["a"])]
    assert {call.rule: call.state for call in world.book.calls.values()} == {
        "old": "given_up",
        "night": "confirmed",
    }
    assert world.balance() == 0


def test_damaged_state_is_named_and_begun_anew() -> None:
    world = World()
    world.records = [open_alarm("a")]
    world.told()
    world.disk = dict.fromkeys(world.disk, b"\xff")
    world.begin()
    assert set(world.book.damaged) == set(world.disk)
    assert world.told() == [("alarm", ["a"])]


def test_whatever_dies_when_each_is_told_and_none_twice_within_the_cool_down() -> None:  # noqa: C901 - a dice
    """60 incidents, the agent killed at every tenth step, between disk and network too; answers lost or refused."""
    chance = random.Random(7)
    world = World(replace(RULE, cool_down_s=60.0, group_s=5.0, over=False))
    arrived: dict[str, list[int]] = {}

    def arrives(call: PeopleCall) -> None:
        for subject in call.subjects:
            arrived.setdefault(subject.alarm, []).append(world.now_ns)

    names: Sequence[str] = [f"{number:02d}" for number in range(60)]
    for step in range(4000):
        if step % 5 == 0 and step // 5 < len(names):
            world.records.append(open_alarm(names[step // 5]))
        for call in world.round():
            fate = chance.random()
            if fate < 0.1:
                world.begin()  # killed before it was sent
            elif fate < 0.2:
                arrives(call)
                world.begin()  # killed before the answer
            elif fate < 0.4:
                world.settle(call, REFUSED)
            elif fate < 0.5:
                arrives(call)
                world.settle(call, LOST)
            else:
                arrives(call)
                world.settle(call, OK)
        if chance.random() < 0.1:
            world.begin()
        assert world.balance() == 0
    assert sorted(arrived) == list(names)
    assert max(len(times) for times in arrived.values()) > 1, "no answer was ever lost: nothing was tried"
    for times in arrived.values():
        assert all(b - a >= 60 * S for a, b in itertools.pairwise(times))
    counts = world.book.counts()["night"]
    assert counts.confirmed == counts.made > 0


def test_a_call_is_the_same_after_a_restart() -> None:
    world = World()
    world.records = [open_alarm("a")]
    world.settle(world.round()[0], REFUSED)
    before = list(world.book.calls.values())
    world.begin()
    assert list(world.book.calls.values()) == before
    assert structs.replace(before[0], state="waiting").said == "HTTP 503"
