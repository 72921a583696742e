"""Which profiles a member of a group has yet to announce, and how long they may be. Pure; knows no connection.

A broker that bounds the length of messages may answer a longer one by ending the connection. As all profiles are sent
again at the next one, a single profile would then keep a member out of its group for ever. So, once a connection has
ended with profiles under way, they are sent one at a time, each after a beat sent behind the one before has come
back: the broker takes messages in their order. A length with which `_ENDS` connections have ended, and of which no
profile was taken in between, is too long.
"""

from collections.abc import Iterable

_ENDS = 3
"""A connection may end by chance while a profile is under way; hardly so often in a row."""


class Announcements:
    """What waits, what is under way, and what was learnt about the broker's limit."""

    def __init__(self, *, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        """Longer profiles are not announced; sinks when the broker does not take as much."""
        self._waiting: dict[str, None] = {}
        self._under_way: dict[str, tuple[int, int]] = {}  # machine -> (bytes, last beat sent before)
        self._suspects: list[int] = []
        self._one_at_a_time = False

    @property
    def may_announce(self) -> bool:
        """Whether a profile may go now."""
        return not (self._one_at_a_time and self._under_way)

    def add(self, machines: Iterable[str]) -> None:
        """Profiles to be announced later."""
        self._waiting.update(dict.fromkeys(machines))

    def next(self) -> str | None:
        """The machine whose profile is to be announced now; it waits no more."""
        if not self._waiting or not self.may_announce:
            return None
        machine = next(iter(self._waiting))
        del self._waiting[machine]
        return machine

    def note_sent(self, machine: str, *, n_bytes: int, beat: int) -> None:
        """A profile was sent, after the own beat of that number."""
        self._waiting.pop(machine, None)
        self._under_way[machine] = (n_bytes, beat)

    def note_returned_beat(self, beat: int) -> None:
        """An own beat has come back: what was sent before it, the broker has taken."""
        taken = {machine: n for machine, (n, before) in self._under_way.items() if before < beat}
        for machine in taken:
            del self._under_way[machine]
        longest = max(taken.values(), default=0)
        self._suspects = [n_bytes for n_bytes in self._suspects if n_bytes > longest]
        if not self._waiting and not self._under_way:
            self._one_at_a_time = False

    def note_disconnect(self) -> bool:
        """The connection has ended; whether `limit_bytes` sank because of it."""
        lengths = [n_bytes for n_bytes, _ in self._under_way.values()]
        self._under_way.clear()
        if not lengths:
            return False
        self._one_at_a_time = True
        self._suspects += lengths if len(lengths) == 1 else []
        if len(self._suspects) < _ENDS:
            return False
        self.limit_bytes = min(self._suspects) - 1
        self._suspects.clear()
        return True
