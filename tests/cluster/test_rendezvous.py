from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cluster.rendezvous import owner

NAMES = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=12)
MEMBERS = st.sets(NAMES, min_size=2, max_size=8)


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
