"""Alarms of the same recordings from two agents, side by side. Pure: sees alarms, not how they came about.

Two alarms are the same one where they are of the same machine and kind and overlap in time; of several, those that
overlap longest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edge_agent.records import Alarm

_FOR_EVER_NS = 2**62


@dataclass(frozen=True, slots=True)
class Pair:
    """One alarm as both saw it."""

    a: Alarm
    b: Alarm

    @property
    def onset_shift_s(self) -> float:
        """How much later B's began; negative: earlier."""
        return (self.b.onset_ns - self.a.onset_ns) / 1e9

    @property
    def peak_change(self) -> float:
        """How much higher B's worst score was, in thresholds."""
        return self.b.peak_score - self.a.peak_score


@dataclass(frozen=True, slots=True)
class Difference:
    """What A and B said; each alarm as its last revision left it, by onset."""

    only_a: tuple[Alarm, ...]
    only_b: tuple[Alarm, ...]
    both: tuple[Pair, ...]


def diff(a: Sequence[Alarm], b: Sequence[Alarm]) -> Difference:
    """Pair the alarms of A with those of B; either may hold several revisions of an alarm."""
    ours, theirs = _last(a), _last(b)
    overlaps = sorted(
        (
            (-shared, i, j)
            for i, one in enumerate(ours)
            for j, other in enumerate(theirs)
            if (one.machine, one.kind) == (other.machine, other.kind)
            and (shared := _shared_ns(one, other)) > 0
        ),
    )
    taken_a: set[int] = set()
    taken_b: set[int] = set()
    both: list[Pair] = []
    for _, i, j in overlaps:
        if i not in taken_a and j not in taken_b:
            taken_a.add(i)
            taken_b.add(j)
            both.append(Pair(ours[i], theirs[j]))
    return Difference(
        only_a=tuple(alarm for i, alarm in enumerate(ours) if i not in taken_a),
        only_b=tuple(alarm for j, alarm in enumerate(theirs) if j not in taken_b),
        both=tuple(sorted(both, key=lambda pair: (pair.a.machine, pair.a.onset_ns))),
    )


def _last(revisions: Sequence[Alarm]) -> list[Alarm]:
    latest = {(alarm.machine, alarm.id): alarm for alarm in revisions}
    return sorted(latest.values(), key=lambda alarm: (alarm.machine, alarm.onset_ns))


def _shared_ns(a: Alarm, b: Alarm) -> int:
    """How long both were open; the moment of its onset belongs to an alarm."""
    return min(_end_ns(a), _end_ns(b)) - max(a.onset_ns, b.onset_ns)


def _end_ns(alarm: Alarm) -> int:
    return _FOR_EVER_NS if alarm.closed_ns is None else max(alarm.closed_ns, alarm.onset_ns + 1)
