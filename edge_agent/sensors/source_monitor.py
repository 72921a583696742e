"""What is wrong with a machine's source, whatever its values say: it has gone silent, or its clock is wrong. Pure.

A source is the clock and the connection behind a machine's messages, so nothing here looks at values or scores. Its
findings live like those of `monitor`, with kind `sensor`, and no machine counts as anomalous for them.

`Hearing` is the one place for when a machine counts as silent. A machine that nobody could have heard, because the
agent has just begun, had no connection or was held up itself, counts as heard; so does one whose source vouches that it
lives and has nothing to report. A machine whose source says only what changes is silent once its own last will says
so, or, where none was ever heard, after a day, or twice its longest pause where that is longer.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from edge_agent.records import Alarm
from edge_agent.sensors.findings import SourceFinding, closed, opened

ANY_SOURCE = ""
"""Silence is of a machine, whichever of its sources stopped last; a clock is of one source."""
_SILENT_AFTER_S = 30.0
_SILENT_AFTER_GAPS = 10.0
"""A machine that usually sends every minute is not silent after thirty seconds."""
_CHANGES_AFTER_S = 86_400.0
_CHANGES_AFTER_PAUSES = 2.0
"""Where only changes are told, a machine may rest for a night; a pause beyond its longest says more."""
_GAP_MEMORY = 0.9
_CHECK_EVERY_S = 1.0
_HELD_UP_S = 5.0
"""A check that comes so late finds messages that waited for the agent, not the other way round."""
_SKEW_SPREAD_NS = 10_000_000_000
"""A clock that is wrong is wrong by the same amount; a backlog that is being sent off is not."""
_SKEW_AFTER_NS = 60_000_000_000
_SKEW_MESSAGES = 20
_WELL_MESSAGES = 20
_WORTH_KEEPING = 2.0
"""A usual gap is written down again when it has changed by so much."""
_VERSION = 1


@dataclass(slots=True)
class _Heard:
    at_s: float
    alive_s: float = 0.0
    """When it was last known to live, rows or none; says nothing of how long its pauses are."""
    gap_s: float = 0.0
    expected: bool = False
    """Whether `gap_s` began with what was known before."""
    changes: bool = False
    """Whether only changes are told of it."""
    longest_s: float = 0.0

    @property
    def patience_s(self) -> float:
        if self.changes:
            return max(_CHANGES_AFTER_S, _CHANGES_AFTER_PAUSES * self.longest_s)
        return max(_SILENT_AFTER_S, _SILENT_AFTER_GAPS * self.gap_s)


class Hearing:
    """When each machine was heard by monotonic time, and how long its pauses usually are."""

    def __init__(self) -> None:
        self.since_s = 0.0
        """From when on machines could be heard without a break."""
        self._machines: dict[str, _Heard] = {}

    def note_rows(
        self, names: Iterable[str], *, now_s: float, changes: Collection[str] = frozenset()
    ) -> None:
        """Rows of these machines have come; of those in `changes` only changes are told."""
        for name in names:
            known = self._machines.get(name)
            if known is None:
                self._machines[name] = _Heard(now_s, changes=name in changes)
                continue
            known.changes = name in changes
            quiet_s = now_s - max(known.at_s, self.since_s)
            known.longest_s = max(known.longest_s, quiet_s)
            gap_s = min(quiet_s, known.patience_s)  # one long pause is not usual
            known.gap_s = _GAP_MEMORY * known.gap_s + (1 - _GAP_MEMORY) * gap_s
            known.at_s = now_s

    def vouch(self, names: Iterable[str], *, now_s: float) -> None:
        """These machines live, though no rows may have come."""
        for name in names:
            if (heard := self._machines.get(name)) is not None:
                heard.alive_s = now_s

    def expect_changes(self, longest_s: Mapping[str, float], *, now_s: float) -> None:
        """Only changes were told of these machines before, which paused for so long."""
        for name, longest in longest_s.items():
            if name not in self._machines:
                self._machines[name] = _Heard(now_s, changes=True, longest_s=longest)

    def longest_s(self) -> dict[str, float]:
        """The longest pause of each machine of which only changes are told."""
        return {name: heard.longest_s for name, heard in self._machines.items() if heard.changes}

    def expect(self, gaps_s: Mapping[str, float], *, now_s: float) -> None:
        """How long the pauses of machines usually are; counts where they are new, heard yet or not."""
        for name, gap_s in gaps_s.items():
            heard = self._machines.setdefault(name, _Heard(now_s))
            if not heard.expected:
                heard.gap_s, heard.expected = max(heard.gap_s, gap_s), True

    def keep(self, names: Collection[str]) -> None:
        """Forget every other machine."""
        for name in self._machines.keys() - names:
            del self._machines[name]

    def gaps_s(self) -> dict[str, float]:
        """The usual pause of each machine."""
        return {name: heard.gap_s for name, heard in self._machines.items()}

    def silent_s(self, names: Iterable[str], *, now_s: float, excused: bool = False) -> dict[str, float]:
        """For how long each machine that has gone silent was not heard.

        Args:
            names: of machines.
            now_s: monotonic time.
            excused: whether only the time counts in which it could have been heard.
        """
        found = {}
        for name in names:
            heard = self._machines.get(name)
            if heard is None:
                continue
            last_s = max(heard.at_s, heard.alive_s)
            quiet_s = now_s - (max(last_s, self.since_s) if excused else last_s)
            if quiet_s > heard.patience_s:
                found[name] = quiet_s
        return found


@dataclass(slots=True)
class _Clock:
    """One source's stamps: how long, how often and within which bounds they have been wrong, and right since."""

    since_ns: int = 0
    low_ns: int = 0
    high_ns: int = 0
    wrong: int = 0
    well: int = 0

    def note_stamp(self, ahead_ns: int, *, wrong: bool, at_ns: int) -> None:
        if not wrong:
            self.well += 1
            self.wrong = 0
            return
        low, high = min(self.low_ns, ahead_ns), max(self.high_ns, ahead_ns)
        self.well = 0
        if not self.wrong or high - low > _SKEW_SPREAD_NS or at_ns < self.since_ns:
            self.since_ns, self.wrong, low, high = at_ns, 0, ahead_ns, ahead_ns
        self.low_ns, self.high_ns = low, high
        self.wrong += 1

    def is_skewed(self, *, at_ns: int) -> bool:
        return self.wrong >= _SKEW_MESSAGES and at_ns - self.since_ns >= _SKEW_AFTER_NS


@dataclass(slots=True)
class _Kept:
    """What outlives a restart.

    Attributes:
        open: findings that hold, each with its source.
        longest_s: pauses of machines of which only changes are told.
        there: whether machines are there, as their last wills have said.
    """

    version: int = _VERSION
    count: int = 0
    gaps_s: dict[str, float] = field(default_factory=dict)
    open: list[tuple[str, Alarm]] = field(default_factory=list)
    longest_s: dict[str, float] = field(default_factory=dict)
    there: dict[str, bool] = field(default_factory=dict)


class SourceMonitor:
    """Watches over the sources of all machines. Belongs to the pipeline's thread."""

    def __init__(self, *, machines_limit: int) -> None:
        self.hearing = Hearing()
        self._machines_limit = machines_limit
        self._clocks: dict[tuple[str, str], _Clock] = {}
        self._due: dict[tuple[str, str], None] = {}  # an ordered set: clocks whose finding begins or ends
        self._open: dict[tuple[str, str], Alarm] = {}
        self._spoke: set[str] = set()  # machines heard since the last check, while findings hold
        self._there: dict[str, bool] = {}  # whether machines are there, as their last wills have said
        self._unheard: set[str] = set()  # machines whose last rows from a source that vouches were not taken
        self._count = 0
        self._looked_s: float | None = None
        self._kept = _Kept()
        self._changed = False

    @property
    def open_findings(self) -> tuple[Alarm, ...]:
        """The findings that hold."""
        return tuple(self._open.values())

    @property
    def silent_since_ns(self) -> dict[str, int]:
        """From when on nothing usable was heard of each learnt machine that is silent."""
        return {key[0]: one.onset_ns for key, one in self._open.items() if key[1] == ANY_SOURCE}

    def ahead_s(self, alarm_id: str) -> float | None:
        """By how much the clock behind a finding is ahead of ours; None where it is about no clock."""
        for key, alarm in self._open.items():
            if alarm.id == alarm_id and (clock := self._clocks.get(key)) is not None:
                return (clock.low_ns + clock.high_ns) / 2e9
        return None

    # -- what comes in ---------------------------------------------------------------------------------------

    def stamped(self, machine: str, source: str, *, ahead_ns: int, wrong: bool, at_ns: int) -> None:
        """A message came whose stamp is so far ahead of its arrival; one that was turned away for it counts as well.

        Args:
            machine: its name; not known to the pipeline as a rule where all its messages are turned away.
            source: topic of the configured source.
            ahead_ns: newest stamp minus time of arrival.
            wrong: whether that is beyond what the source is allowed.
            at_ns: wall clock at arrival.
        """
        key = (machine, source)
        clock = self._clocks.get(key)
        if clock is None:
            if not wrong or len(self._clocks) >= self._machines_limit:
                return
            clock = self._clocks[key] = _Clock()
        clock.note_stamp(ahead_ns, wrong=wrong, at_ns=at_ns)
        if clock.well >= _WELL_MESSAGES or (key not in self._open and clock.is_skewed(at_ns=at_ns)):
            self._due[key] = None

    def observe_wills(self, there: Mapping[str, bool]) -> None:
        """Last wills have said whether these machines are there."""
        for name, said in there.items():
            room = name in self._there or len(self._there) < self._machines_limit
            if room and self._there.get(name) != said:
                self._there[name], self._changed = said, True
        if self._open:
            self._spoke.update(name for name, said in there.items() if said)

    def observe_rows(
        self,
        names: Iterable[str],
        *,
        now_s: float,
        told: Iterable[str] = (),
        changes: Collection[str] = frozenset(),
    ) -> None:
        """Rows of these machines have come.

        Args:
            names: the machines.
            now_s: monotonic time.
            told: of whom there were rows at all, taken or not.
            changes: those of which only changes are told.
        """
        names = [*names]
        self.hearing.note_rows(names, now_s=now_s, changes=changes)
        self._there.update({name: True for name in names if self._there.get(name) is False})
        self._unheard.update(told)
        self._unheard.difference_update(names)
        if self._open:
            self._spoke.update(names)

    def forget(self, machine: str) -> None:
        """The machine is learnt afresh; its findings have been ended."""
        for table in (self._open, self._clocks, self._due):
            for key in [key for key in table if key[0] == machine]:
                del table[key]
        self._there.pop(machine, None)
        self._changed = True

    # -- what follows ----------------------------------------------------------------------------------------

    def due(self, *, now_s: float) -> bool:
        """Whether it is time to check."""
        return self._looked_s is None or not 0 <= now_s - self._looked_s < _CHECK_EVERY_S

    def check(
        self,
        known: Collection[str],
        *,
        learnt: Mapping[str, float],
        sources: Collection[str],
        living: Collection[str] = (),
        listening: bool,
        now_s: float,
        now_ns: int,
        model: str,
    ) -> tuple[Alarm, ...]:
        """What begins and ends; to be asked whenever it is `due`.

        Args:
            known: every machine of the pipeline.
            learnt: those with a profile, and the usual step between their rows in seconds.
            sources: topics of those whose clocks count.
            living: machines whose source says that they live. Their rows decide where they come and are not taken.
            listening: whether messages could be heard just now.
            now_s: monotonic time.
            now_ns: wall clock, for what people read.
            model: digest of the bundle.
        """
        before, self._looked_s = self._looked_s, now_s
        if before is None or not listening or now_s - before > _HELD_UP_S:
            self.hearing.since_s = now_s
        self.hearing.keep(known)
        self._unheard.intersection_update(known)
        if before is None:
            past = self._kept.longest_s
            self.hearing.expect_changes({name: past[name] for name in known if name in past}, now_s=now_s)
        changes = self.hearing.longest_s()
        alive = set(living) - self._unheard
        alive |= {name for name in changes if self._there.get(name)}
        self.hearing.vouch(alive, now_s=now_s)
        self._spoke |= alive
        usual_s = {name: self._kept.gaps_s.get(name, learnt.get(name, 0.0)) for name in known}
        self.hearing.expect(usual_s, now_s=now_s)
        # A machine that could not go on after a restart has a finding without having been forgotten on purpose.
        found = [self._close(key, now_ns) for key in [*self._open] if key[0] not in known]
        for machine in {key[0] for key in self._clocks} - set(known):
            self.forget(machine)
        found += self._silences(learnt, now_s=now_s, now_ns=now_ns, model=model)
        found += self._skews(sources, now_ns=now_ns, model=model)
        self._changed = self._changed or bool(found) or self._gaps_moved()
        return tuple(found)

    def _silences(self, learnt: Collection[str], *, now_s: float, now_ns: int, model: str) -> Iterable[Alarm]:
        spoke, self._spoke = self._spoke, set()
        for key in [key for key in self._open if key[1] == ANY_SOURCE]:
            if key[0] in spoke or key[0] not in learnt:
                yield self._close(key, now_ns)
        silent_s = {name: 0.0 for name, there in self._there.items() if not there and name in learnt}
        silent_s |= self.hearing.silent_s(learnt, now_s=now_s, excused=True)
        for machine, quiet_s in silent_s.items():
            key = (machine, ANY_SOURCE)
            if key not in self._open:
                onset_ns = max(0, now_ns - round(quiet_s * 1e9))
                yield self._begin(key, "silent", onset_ns=onset_ns, now_ns=now_ns, model=model)

    def _skews(self, sources: Collection[str], *, now_ns: int, model: str) -> Iterable[Alarm]:
        due, self._due = self._due, {}
        for key in [key for key in self._open if key[1] != ANY_SOURCE and key[1] not in sources]:
            yield self._close(key, now_ns)
        for key in due:
            clock = self._clocks[key]
            if clock.well >= _WELL_MESSAGES:
                del self._clocks[key]
                if key in self._open:
                    yield self._close(key, now_ns)
            elif clock.wrong and key[1] in sources and key not in self._open:
                yield self._begin(key, "clock skew", onset_ns=clock.since_ns, now_ns=now_ns, model=model)

    def _begin(
        self, key: tuple[str, str], finding: SourceFinding, *, onset_ns: int, now_ns: int, model: str
    ) -> Alarm:
        self._count += 1
        alarm = self._open[key] = opened(
            key[0], finding, number=f"w{self._count}", onset_ns=onset_ns, time_ns=now_ns, model=model
        )
        return alarm

    def _close(self, key: tuple[str, str], now_ns: int) -> Alarm:
        return closed(self._open.pop(key), time_ns=now_ns)

    # -- across restarts -------------------------------------------------------------------------------------

    def _gaps_moved(self) -> bool:
        """Whether a usual pause that matters is no longer the one that was written down."""
        longest_s = self.hearing.longest_s()
        if longest_s.keys() != self._kept.longest_s.keys():
            return True
        room_s = _CHANGES_AFTER_S / _CHANGES_AFTER_PAUSES
        if any(long_s > max(room_s, 1.1 * self._kept.longest_s[name]) for name, long_s in longest_s.items()):
            return True
        least_s = _SILENT_AFTER_S / _SILENT_AFTER_GAPS
        for name, gap_s in self.hearing.gaps_s().items():
            ratio = max(gap_s, least_s) / max(self._kept.gaps_s.get(name, 0.0), least_s)
            if not 1 / _WORTH_KEEPING < ratio < _WORTH_KEEPING:
                return True
        return False

    def changes(self) -> bytes | None:
        """What to give to `restore` after a restart; None where it is what it was."""
        if not self._changed:
            return None
        self._changed = False
        open_ones = [(key[1], alarm) for key, alarm in self._open.items()]
        self._kept = _Kept(
            _VERSION,
            self._count,
            self.hearing.gaps_s(),
            open_ones,
            self.hearing.longest_s(),
            dict(self._there),
        )
        return msgspec.msgpack.encode(self._kept)

    def restore(self, raw: bytes | None) -> bool:
        """Go on where an earlier process stood; False where that cannot be read."""
        if raw is None:
            return True
        try:
            kept = msgspec.msgpack.decode(raw, type=_Kept)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return False
        if kept.version != _VERSION:
            return False
        self._kept, self._count, self._there = kept, kept.count, dict(kept.there)
        for source, alarm in kept.open:
            self._open[alarm.machine, source] = alarm
            if source != ANY_SOURCE:
                self._clocks[alarm.machine, source] = _Clock()
        return True
