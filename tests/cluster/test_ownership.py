from math import inf

from edge_agent.cluster.ownership import Ownership
from edge_agent.cluster.rendezvous import owner


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
