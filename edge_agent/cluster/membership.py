"""Who is in a group, as one member may believe it: a state machine over heartbeats. Pure: time is an argument.

Each member sends beats through the broker and hears those of all, its own among them. Two rules make sure that no
two members take themselves for the owner of one machine:

1. A member counts itself in only while an own beat, sent less than `lease_s` ago, has come back to it; and it joins
   only once that has been so for `lease_s + settle_s` on end, all within one connection.
2. A member leaves another one out only after `lease_s + settle_s` without a beat of it, and only when an own beat,
   sent `lease_s` or more after that last one, has come back. The broker hands messages on in one order, so a beat that
   the other one has had back would have come before that.

Nobody's wall clock is asked; clocks need only run at the same rate, and `settle_s` covers what they differ and how
long a turn lasts. What is heard of a member that joins counts at once: machines are given up before they are taken.
"""

from dataclasses import dataclass

import msgspec

_BEATS_A_LEASE = 3
_MEMBERS_LIMIT = 1000
_NEVER = float("-inf")
_WORD_LIMIT = 64


class Beat(msgspec.Struct, frozen=True):
    """One heartbeat: `boot` is new at each start of the member, `seq` counts from 1."""

    boot: str
    seq: int


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a member's word holds, and how long others wait beyond."""

    lease_s: float
    settle_s: float

    @property
    def patience_s(self) -> float:
        """How long nothing is taken over: from a member's last beat, or by one that has just come."""
        return self.lease_s + self.settle_s


@dataclass(slots=True)
class _Other:
    boot: str
    seq: int
    heard_s: float
    counted: bool = True


def encode(beat: Beat) -> bytes:
    """The beat as JSON."""
    return msgspec.json.encode(beat)


def decode(payload: bytes) -> Beat | None:
    """The beat; None where it is none."""
    try:
        beat = msgspec.json.decode(payload, type=Beat)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return beat if 0 < len(beat.boot) <= _WORD_LIMIT and beat.seq > 0 else None


class Membership:
    """What one member knows of its group."""

    def __init__(self, name: str, *, boot: str, terms: Terms) -> None:
        """Begin outside: nothing was heard, nothing is owned."""
        self.name = name
        self.active = False
        """Whether this member may own machines, as of the last `tick`."""
        self.view: frozenset[str] = frozenset({name})
        """The members that count, this one among them, as of the last `tick`."""
        self._boot = boot
        self._terms = terms
        self._session = 0
        self._seq = 0
        self._beaten_s = _NEVER
        self._sent: dict[
            int, float
        ] = {}  # beats of this session that have not come back: when they were sent
        self._echoed_s = _NEVER  # when the latest beat that came back was sent
        self._first_seq = 1  # of this attempt to join
        self._joined_s: float | None = None  # when the first beat of this attempt came back
        self._caught_up_seq = 0
        self._others: dict[str, _Other] = {}

    def connected(self, session: int, *, now_s: float) -> None:
        """The subscription stands in the connection of this number; the first call of each number counts."""
        if session == self._session:
            return
        self._session = session
        self._sent.clear()
        self._beaten_s = _NEVER
        self._catch_breath(now_s)
        # Beats may have been missed: whoever was there is given a whole new term.
        for other in self._others.values():
            other.heard_s = now_s
        if not self.active:
            self._begin_joining()

    def beat(self, *, now_s: float) -> Beat | None:
        """The beat to send now; None where none is due."""
        if not self._session or now_s - self._beaten_s < self._terms.lease_s / _BEATS_A_LEASE:
            return None
        self._beaten_s = now_s
        self._seq += 1
        self._sent[self._seq] = now_s
        return Beat(self._boot, self._seq)

    def take_beat(self, member: str, beat: Beat, *, now_s: float) -> None:
        """A member's beat, perhaps our own, came from the broker."""
        if member == self.name:
            self._take_own_beat(beat, now_s)
            return
        known = self._others.get(member)
        if known is not None and known.boot == beat.boot and beat.seq <= known.seq:
            return  # what the broker had kept is no sign of life
        if known is None and len(self._others) >= _MEMBERS_LIMIT:
            return
        self._others[member] = _Other(beat.boot, beat.seq, now_s)

    def left(self, member: str) -> None:
        """A member has said good-bye, and had stopped before."""
        if (known := self._others.get(member)) is not None:
            known.counted = False

    def caught_up(self, beat: Beat) -> None:
        """An own beat came by the way of the sensor messages: all that had waited before it is worked off."""
        if beat.boot == self._boot:
            self._caught_up_seq = max(self._caught_up_seq, beat.seq)

    def tick(self, *, now_s: float) -> None:
        """Bring `active` and `view` up to the present; both hold until the next call."""
        self._catch_breath(now_s)
        for other in self._others.values():
            silent = now_s - other.heard_s >= self._terms.patience_s
            if silent and self._echoed_s >= other.heard_s + self._terms.lease_s:
                other.counted = False
        joined = self._joined_s is not None and now_s - self._joined_s >= self._terms.patience_s
        self.active = joined and (self.active or self._caught_up_seq >= self._first_seq)
        self.view = frozenset({self.name, *(name for name, other in self._others.items() if other.counted)})

    def _take_own_beat(self, beat: Beat, now_s: float) -> None:
        sent_s = self._sent.get(beat.seq) if beat.boot == self._boot else None
        if sent_s is None:
            return
        self._catch_breath(now_s)
        for seq in [seq for seq in self._sent if seq <= beat.seq]:
            del self._sent[seq]
        self._echoed_s = max(self._echoed_s, sent_s)
        if self._joined_s is None and beat.seq >= self._first_seq and now_s - sent_s < self._terms.lease_s:
            self._joined_s = now_s

    def _catch_breath(self, now_s: float) -> None:
        """Out of touch for a lease: what was owned is not owned any more, and joining begins anew."""
        if self._joined_s is not None and now_s - self._echoed_s >= self._terms.lease_s:
            self.active = False
            self._begin_joining()

    def _begin_joining(self) -> None:
        self._joined_s = None
        self._first_seq = self._seq + 1
