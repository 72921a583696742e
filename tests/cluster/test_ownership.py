from collections import Counter
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cluster.ownership import Ownership, owner

NAMES = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=12)
MEMBERS = st.sets(NAMES, min_size=2, max_size=8)


def machine_of(topic: str) -> str | None:
    return topic.removeprefix("sensors/") if topic.startswith("sensors/") else None


def ours() -> Ownership:
    return Ownership("a", never="agents/g/members/a", machine_of=machine_of)


def test_machines_are_ours_from_the_moment_that_the_members_make_them_so() -> None:
    two = frozenset({"a", "b"})
    mine = next(f"m{n}" for n in range(99) if owner(f"m{n}", two) == "a")
    theirs = next(f"m{n}" for n in range(99) if owner(f"m{n}", two) == "b")
    ownership = ours()
    assert ownership.since_s(f"sensors/{mine}") == inf
    ownership.divide(two, now_s=10.0)
    assert ownership.since_s(f"sensors/{mine}") == 10.0
    assert ownership.since_s(f"sensors/{theirs}") == inf
    ownership.divide(frozenset({"a"}), now_s=20.0)
    assert ownership.since_s(f"sensors/{mine}") == 10.0
    assert ownership.since_s(f"sensors/{theirs}") == 20.0
    ownership.divide(two, now_s=30.0)
    assert ownership.foreign([mine, theirs]) == [theirs]
    assert ownership.since_s(f"sensors/{theirs}") == inf
    ownership.divide(frozenset(), now_s=40.0)
    assert ownership.since_s(f"sensors/{mine}") == inf
    assert ownership.foreign([mine, theirs]) == []


def test_a_topic_of_no_source_has_one_owner_and_beats_have_none() -> None:
    members = frozenset({"a", "b"})
    shares = []
    for name in sorted(members):
        ownership = Ownership(name, never=f"agents/g/members/{name}", machine_of=machine_of)
        ownership.divide(members, now_s=1.0)
        assert ownership.since_s(f"agents/g/members/{name}") == inf
        shares.append({f"odd/{n}" for n in range(50) if ownership.since_s(f"odd/{n}") < inf})
    assert not shares[0] & shares[1]
    assert len(shares[0] | shares[1]) == 50


@given(st.lists(NAMES, max_size=50), MEMBERS, st.data())
def test_a_member_that_leaves_moves_its_own_machines_only(
    machines: list[str], members: set[str], data: st.DataObject
) -> None:
    gone = data.draw(st.sampled_from(sorted(members)))
    for machine in machines:
        before, after = owner(machine, members), owner(machine, members - {gone})
        assert before in {after, gone}


@given(NAMES, MEMBERS)
def test_the_order_of_members_does_not_matter(machine: str, members: set[str]) -> None:
    assert owner(machine, sorted(members)) == owner(machine, sorted(members, reverse=True))


def test_the_answer_is_the_same_on_every_computer_and_the_shares_are_fair() -> None:
    members = ["hall-1", "hall-2", "hall-3", "hall-4"]
    shares = Counter(owner(f"pump-{number}", members) for number in range(10_000))
    assert all(abs(share - 2500) < 200 for share in shares.values()), shares
    assert [owner(f"pump-{number}", members) for number in range(4)] == EXPECTED


EXPECTED = ["hall-4", "hall-1", "hall-4", "hall-4"]
