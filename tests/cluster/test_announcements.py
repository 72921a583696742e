"""Profiles for the broker: told freely, one at a time after a connection has ended, and no more where it hangs up."""

import pytest

from edge_agent.cluster.announcements import Announcements


class Hall:
    """A broker that hangs up on messages beyond a limit, and a member with profiles of these lengths."""

    def __init__(self, lengths: dict[str, int], *, most_bytes: int) -> None:
        self.announcements = Announcements(limit_bytes=1_000_000)
        self.lengths = lengths
        self.most_bytes = most_bytes
        self.beat = 0
        self.ends = 0
        self.kept: set[str] = set()
        self.announcements.add(lengths)

    def second(self) -> None:
        """A profile, if one may go, then a beat that comes back unless the connection ended."""
        machine = self.announcements.next()
        if machine is not None and self.lengths[machine] <= self.announcements.limit_bytes:
            self.announcements.note_sent(machine, n_bytes=self.lengths[machine], beat=self.beat)
            if self.lengths[machine] > self.most_bytes:
                self.ends += 1
                self.announcements.note_disconnect()
                self.announcements.add(self.lengths)
                return
            self.kept.add(machine)
        self.beat += 1
        self.announcements.note_returned_beat(self.beat)


def test_profiles_are_told_in_turn_and_each_once() -> None:
    announcements = Announcements(limit_bytes=100)
    announcements.add(["a", "b", "a"])
    assert [announcements.next(), announcements.next(), announcements.next()] == ["a", "b", None]


def test_what_was_just_told_no_longer_waits() -> None:
    announcements = Announcements(limit_bytes=100)
    announcements.add(["a"])
    announcements.note_sent("a", n_bytes=10, beat=1)
    assert announcements.next() is None


def test_only_a_beat_sent_behind_it_says_that_a_profile_was_taken() -> None:
    announcements = Announcements(limit_bytes=100)
    announcements.note_sent("a", n_bytes=10, beat=1)
    announcements.note_disconnect()
    announcements.note_sent("a", n_bytes=10, beat=2)
    announcements.add(["b"])
    announcements.note_returned_beat(2)
    assert (announcements.may_announce, announcements.next()) == (False, None)
    announcements.note_returned_beat(3)
    assert (announcements.may_announce, announcements.next()) == (True, "b")


def test_after_an_end_with_several_under_way_they_go_one_at_a_time_until_all_are_told() -> None:
    announcements = Announcements(limit_bytes=100)
    for machine in ("a", "b"):
        announcements.note_sent(machine, n_bytes=10, beat=1)
    assert announcements.may_announce
    assert not announcements.note_disconnect()
    announcements.note_sent("a", n_bytes=10, beat=1)
    assert not announcements.may_announce
    announcements.note_returned_beat(2)
    announcements.note_sent("b", n_bytes=10, beat=2)
    assert announcements.may_announce  # none waits any more


def test_ends_with_nothing_under_way_say_nothing() -> None:
    announcements = Announcements(limit_bytes=100)
    assert not any(announcements.note_disconnect() for _ in range(10))
    assert announcements.limit_bytes == 100
    assert announcements.may_announce


def test_three_ends_in_a_row_with_a_profile_alone_make_its_length_too_long() -> None:
    announcements = Announcements(limit_bytes=100)
    found = []
    for n_bytes in (70, 50, 60):
        announcements.note_sent("a", n_bytes=n_bytes, beat=1)
        found.append(announcements.note_disconnect())
    assert found == [False, False, True]
    assert announcements.limit_bytes == 49


def test_a_profile_as_long_that_was_taken_speaks_for_chance() -> None:
    announcements = Announcements(limit_bytes=100)
    for beat in range(1, 20):
        announcements.note_sent("a", n_bytes=50, beat=beat)
        assert not announcements.note_disconnect()
        announcements.note_sent("b", n_bytes=50, beat=beat)
        announcements.note_returned_beat(beat + 1)
    assert announcements.limit_bytes == 100


@pytest.mark.parametrize("order", ["abcdefgh", "hgfedcba"])
def test_a_broker_that_hangs_up_gets_all_that_it_takes_after_few_ends(order: str) -> None:
    lengths = {name: 1000 * (ord(name) - ord("a") + 1) for name in order}
    hall = Hall(lengths, most_bytes=4500)
    for _ in range(200):
        hall.second()
    assert hall.kept == set("abcd")
    assert hall.ends <= 3 * 4  # at worst three for each length that is too long
    before = hall.ends
    for _ in range(100):
        hall.announcements.add(lengths)
        hall.second()
    assert hall.ends == before


def test_many_machines_of_one_length_cost_three_ends_together() -> None:
    hall = Hall({f"m{at}": 5000 for at in range(300)}, most_bytes=4500)
    for _ in range(400):
        hall.second()
    assert hall.ends == 3
