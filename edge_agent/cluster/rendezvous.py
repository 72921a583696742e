"""Which member of a group a machine belongs to: rendezvous hashing. Pure; knows neither topics nor time.

Every member weighs every machine by a hash of both names, and the heaviest has it (Thaler and Ravishankar, 1998).
Whoever knows the same members comes to the same answer without asking; a member that leaves moves its own machines
only, and one that comes takes its share from all alike.
"""

from collections.abc import Collection
from hashlib import blake2b

_DIGEST_BYTES = 8


def weight(machine: str, member: str) -> int:
    """How strongly a member is drawn to a machine; the same on every computer and at every start."""
    named = f"{member}\0{machine}".encode("utf-8", "surrogateescape")  # names are printable: no zero in them
    return int.from_bytes(blake2b(named, digest_size=_DIGEST_BYTES).digest())


def owner(machine: str, members: Collection[str]) -> str:
    """The member that has the machine; `members` is not empty."""
    return max(members, key=lambda member: (weight(machine, member), member))
