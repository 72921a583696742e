"""Whether each machine that was learnt is really watched, seen from outside: its rows against its scored windows. Pure.

Nothing here asks why a window was not scored. A machine whose rows come and whose windows do not is not watched,
whatever kept them: that is a finding of the machine (`not watched`, of kind `sensor`), and for health a line with its
name. So is a machine that is held because nothing usable is known of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from edge_agent.records import Alarm
from edge_agent.sensors.findings import NOT_WATCHED, closed, opened

_PATIENCE_S = 5.0
"""A window that fell due is scored within a second; one exception that passes is no finding."""
_OVERDUE_HOPS = 2
_CHECKED_TOGETHER = 32
"""Rows that may wait to be checked at once, see `pipeline.machine`."""
_FILLS = 3
"""A machine whose windows never fill within so many windows' rows is not watched either."""
_CHECK_EVERY_S = 1.0
_TOO_MANY, _CLEAN_CHECKS = 5, 3
"""A machine of which windows failed at so many checks, with less than so many clean ones in a row among them, is not
watched, though some of its windows are scored; where whole turns fail as often, no machine is."""
_ERROR_CHARACTERS = 160


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a machine's rows are.

    Attributes:
        rows: of the machine so far. segment_rows: since the last break, which no window bridges.
        window_rows, hop_rows: of its windows.
        period_s: usual step between rows.
        held: why nothing of it is scored at all; "" where it should be.
    """

    rows: int
    segment_rows: int
    window_rows: int
    hop_rows: int
    period_s: float
    held: str = ""


@dataclass(slots=True)
class _LastJudged:
    rows: int
    """Of the machine when its last window was judged."""
    since_s: float | None = None
    """Since when a window has been overdue."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Unwatched:
    """A machine that is not watched, since a wall-clock time, and what is known of the reason."""

    since_ns: int
    reason: str


@dataclass(slots=True)
class _KeptFindings:
    """What outlives a restart."""

    count: int = 0
    open: list[Alarm] = field(default_factory=list)


class WatchMonitor:
    """Watches over the watching. Belongs to the pipeline's thread."""

    def __init__(self) -> None:
        self.unwatched: Mapping[str, Unwatched] = {}
        """By machine, as of the last check; others may read it, it is replaced and not changed."""
        self._seen: dict[str, _LastJudged] = {}
        self._judged: set[str] = set()
        self._failing: set[str] = set()
        self._failed: dict[str | None, tuple[int, int]] = {}
        """(checks with failures, clean ones since) by machine; of None: of whole turns."""
        self._broke_off = self._lost_by = ""
        """Why turns were lost since the last check, and why one was lost last."""
        self._open: dict[str, Alarm] = {}
        self._count = 0
        self._looked_s: float | None = None
        self._changed = False

    @property
    def open_findings(self) -> tuple[Alarm, ...]:
        """The findings that hold."""
        return tuple(self._open.values())

    def observe(
        self, judged: Iterable[str], failures: Iterable[tuple[str, str]] = (), *, broke_off: str = ""
    ) -> None:
        """Windows of these machines were judged; these (machine or other subject, exception) came in their way.

        `broke_off`: why a whole turn was lost with the rows of all machines in it; "" where none was.
        """
        self._broke_off = broke_off[:_ERROR_CHARACTERS] or self._broke_off
        self._judged.update(judged)
        for subject, error in failures:
            self._failing.add(subject)
            if (seen := self._seen.get(subject)) is not None:
                seen.error = error[:_ERROR_CHARACTERS]

    def forget(self, machine: str) -> None:
        """The machine is gone; its finding has been ended."""
        self._seen.pop(machine, None)
        self._failed.pop(machine, None)
        self._changed |= self._open.pop(machine, None) is not None

    def due(self, *, now_s: float) -> bool:
        """Whether it is time to check."""
        return self._looked_s is None or not 0 <= now_s - self._looked_s < _CHECK_EVERY_S

    def _fails_often(self, name: str | None, *, failed: bool) -> bool:
        """Whether too many of a machine's windows, or of all turns, failed of late."""
        times, clean = self._failed.pop(name, (0, 0))
        times, clean = (times + 1, 0) if failed else (times, clean + 1)
        if times and clean < _CLEAN_CHECKS:
            self._failed[name] = (times, clean)
        return name in self._failed and times >= _TOO_MANY

    def check(
        self, machines: Mapping[str, Progress], *, now_s: float, now_ns: int, model: str, trouble: str = ""
    ) -> tuple[Alarm, ...]:
        """What begins and ends; to be asked whenever it is `due`.

        Args:
            machines: those that were learnt, and those that are held.
            now_s: monotonic time.
            now_ns: wall clock, for what people read.
            model: digest of the bundle.
            trouble: what breaks off every turn just now; where that lasts, no machine is watched.
        """
        self._looked_s = now_s
        judged, self._judged = self._judged, set()
        failing, self._failing = self._failing, set()
        turns_fail = self._fails_often(None, failed=bool(self._broke_off))
        self._lost_by, self._broke_off = self._broke_off or self._lost_by, ""
        trouble = trouble or (self._lost_by if turns_fail else "")
        for name in self._seen.keys() - machines.keys():
            del self._seen[name]
            self._failed.pop(name, None)
        unwatched: dict[str, Unwatched] = {}
        found = [self._end(name, now_ns) for name in self._open.keys() - machines.keys()]
        for name, progress in machines.items():
            seen = self._seen.get(name)
            if seen is None or name in judged or progress.rows < seen.rows:
                seen = self._seen[name] = _LastJudged(progress.rows)
            since_s = self._overdue_since(seen, progress, now_s=now_s, trouble=bool(trouble))
            windows_fail = self._fails_often(name, failed=name in failing)
            if (windows_fail or turns_fail) and since_s is None:
                since_s = now_s
            if since_s is None:
                if name in self._open:
                    found.append(self._end(name, now_ns))
                continue
            since_ns = max(0, now_ns - round((now_s - since_s) * 1e9))
            reason = progress.held or seen.error or trouble or "no window of its rows is scored"
            if name in self._open:
                since_ns = self._open[name].onset_ns
            else:
                found.append(self._begin(name, since_ns=since_ns, now_ns=now_ns, model=model))
            unwatched[name] = Unwatched(since_ns, reason)
        self.unwatched = unwatched
        self._changed = self._changed or bool(found)
        return tuple(found)

    def _overdue_since(
        self, seen: _LastJudged, progress: Progress, *, now_s: float, trouble: bool
    ) -> float | None:
        """Since when the machine has not been watched; None where it is, or where its rows do not come."""
        if progress.held:
            return now_s
        new = progress.rows - seen.rows
        could = min(new, progress.segment_rows - progress.window_rows)
        together = min(_CHECKED_TOGETHER, round(_PATIENCE_S / max(progress.period_s, 1e-3)))
        never_filled = new > _FILLS * progress.window_rows
        overdue = could > _OVERDUE_HOPS * progress.hop_rows + together
        if not (overdue or never_filled or trouble or seen.error):
            seen.since_s = None
            return None
        if seen.since_s is None:
            seen.since_s = now_s
        return seen.since_s if now_s - seen.since_s >= _PATIENCE_S else None

    def _begin(self, machine: str, *, since_ns: int, now_ns: int, model: str) -> Alarm:
        self._count += 1
        self._open[machine] = opened(
            machine,
            NOT_WATCHED,
            number=f"b{self._count}",
            onset_ns=since_ns,
            time_ns=now_ns,
            model=model,
            severity="major",
        )
        return self._open[machine]

    def _end(self, machine: str, now_ns: int) -> Alarm:
        return closed(self._open.pop(machine), time_ns=now_ns)

    # -- across restarts -------------------------------------------------------------------------------------

    def changes(self) -> bytes | None:
        """What to give to `restore` after a restart; None where it is what it was."""
        if not self._changed:
            return None
        self._changed = False
        return msgspec.msgpack.encode(_KeptFindings(self._count, [*self._open.values()]))

    def restore(self, raw: bytes | None) -> bool:
        """Go on where an earlier process stood; False where that cannot be read."""
        if raw is None:
            return True
        try:
            kept = msgspec.msgpack.decode(raw, type=_KeptFindings)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return False
        self._count, self._open = kept.count, {alarm.machine: alarm for alarm in kept.open}
        return True
