"""Which machines and messages are ours: rendezvous hashing, and topic to machine to owner before anything is decoded.

Every member weighs every machine by a hash of both names, and the heaviest has it (Thaler and Ravishankar, 1998).
Whoever knows the same members comes to the same answer without asking; a member that leaves moves its own machines
only, and one that comes takes its share from all alike.

A machine is ours from the moment that the members in view make it so; messages that arrived earlier belong to whoever
had it then. A topic of no source stands for itself, so that one member alone counts its rejects.
"""

from collections.abc import Callable, Collection, Iterable
from hashlib import blake2b
from math import inf

_TOPICS_REMEMBERED = 50_000
_TOPIC_REMEMBERED_CHARS = 300
_DIGEST_BYTES = 8


def weight(machine: str, member: str) -> int:
    """How strongly a member is drawn to a machine; the same on every computer and at every start."""
    named = f"{member}\0{machine}".encode("utf-8", "surrogateescape")  # names are printable: no zero in them
    return int.from_bytes(blake2b(named, digest_size=_DIGEST_BYTES).digest())


def owner(machine: str, members: Collection[str]) -> str:
    """The member that has the machine; `members` is not empty."""
    return max(members, key=lambda member: (weight(machine, member), member))


class Ownership:
    """The share of one member."""

    def __init__(self, name: str, *, never: str, machine_of: Callable[[str], str | None]) -> None:
        """Own nothing; `machine_of` gives the machine that a topic names, `never` is a topic of no machine."""
        self._name = name
        self._never = never
        self._machine_of = machine_of
        self._members: frozenset[str] = frozenset()
        self._since_s = inf
        self._machines: dict[str, float] = {}  # those that are ours, and since when
        self._topics: dict[str, float] = {}

    def adopt(self, machine_of: Callable[[str], str | None]) -> None:
        """Topics are read in another way from here on."""
        self._machine_of = machine_of
        self._topics.clear()

    def divide(self, members: frozenset[str], *, now_s: float) -> None:
        """These members share the machines from now on; none: we own nothing."""
        if members == self._members:
            return
        self._members, self._since_s = members, now_s if members else inf
        self._topics.clear()
        kept = {machine: since_s for machine, since_s in self._machines.items() if self._is_ours(machine)}
        self._machines = kept

    def since_s(self, topic: str) -> float:
        """From which time of arrival on the topic's messages are ours; infinite where they are not."""
        found = self._topics.get(topic)
        if found is None:
            found = inf if topic == self._never else self._owned_since_s(self._machine_of(topic) or topic)
            if len(topic) <= _TOPIC_REMEMBERED_CHARS:
                if len(self._topics) >= _TOPICS_REMEMBERED:
                    self._topics.clear()
                self._topics[topic] = found
        return found

    def foreign(self, machines: Iterable[str]) -> list[str]:
        """Those of the machines that are another member's."""
        return [machine for machine in machines if self._members and not self._is_ours(machine)]

    def _owned_since_s(self, machine: str) -> float:
        since_s = self._machines.get(machine)
        if since_s is None:
            if not self._is_ours(machine):
                return inf
            since_s = self._since_s
            if len(self._machines) < _TOPICS_REMEMBERED:
                self._machines[machine] = since_s
        return since_s

    def _is_ours(self, machine: str) -> bool:
        return bool(self._members) and owner(machine, self._members) == self._name
