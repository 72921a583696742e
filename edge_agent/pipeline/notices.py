"""What a machine does that was never learnt and is no fault: told once, as a notice with a life of its own. Pure.

Standing still (`detect.standstill`) is a state, not an anomaly: while it lasts, and until the machine has come back to
what it was, the score raises no alarm. Notices go the way of the findings about sensors, with kind `state`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect.standstill import ROWS, Standstill, StateSettings
from edge_agent.pipeline import acceptance
from edge_agent.pipeline.acceptance import Acceptance
from edge_agent.records import Alarm, Float32, Profile
from edge_agent.sensors.findings import closed, opened

STANDSTILL = "standstill"
_MOVING_ROWS = 32
"""Rows in which a machine surely moves end a standstill: one that is inched stands still."""
_RETURN_NS = 2 * 3600 * 1_000_000_000
"""Starting and warming up belong to the standstill for so long at most."""
_STOP_NS, _STOP_ROWS = 900 * 1_000_000_000, 128
"""An alarm that opened so shortly before a standstill, by the longer of the two, was the stop itself."""
_STOPPING = 0.15
"""Share of the way to where it stands that most channels have gone when a machine counts as being stopped."""
_MOST_STOPPING = 0.6
_FAR = 3.0
"""Usual spreads between running and standing from which on a channel shows the way."""
_NEWEST_ROWS = 3
_RECENT = 5
"""Notices that are over and can still be accepted."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class CalmSettings:
    """When the score counts as calm again after a standstill: as when an alarm is over."""

    release: float
    windows: int


@dataclass(frozen=True, slots=True)
class NoticeState:
    """What outlives a restart.

    Attributes:
        count: notices so far; the next one's number.
        since_ns: when the machine came to a stand, the last time.
        standing: it stands still.
        moving_rows: for how many rows it has surely moved since.
        left_ns: when it was last seen standing; None where its return is over.
        calm_windows: windows in a row that were calm since.
        stopping_ns: since when it has seemed to come to a stand that is accepted; None: it does not.
        levels: [C] where the channels stood at the latest stand; empty before the first.
        recent: (id, fault) of the latest notices that are over, oldest first.
    """

    count: int = 0
    open: tuple[Alarm, ...] = ()
    since_ns: int = 0
    standing: bool = False
    moving_rows: int = 0
    left_ns: int | None = None
    calm_windows: int = 0
    stopping_ns: int | None = None
    levels: tuple[float, ...] = ()
    recent: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class NoticeReport:
    """Of R rows.

    Attributes:
        findings: revisions, in order.
        resting: [R] the machine stands still, or seems to: a quiet sensor need not be broken; None: never.
    """

    findings: tuple[Alarm, ...] = ()
    resting: Bools | None = None


class MachineNotices:
    """Looks at the rows and scores of one commissioned machine."""

    def __init__(self, profile: Profile, settings: StateSettings, *, calm: CalmSettings, model: str) -> None:
        self._profile, self._settings, self._calm, self._model = profile, settings, calm, model
        self._standstill = None if settings.standstill == "off" else Standstill.read(profile.memory)
        self._tail = np.full((ROWS - 1, len(profile.channels)), np.nan, np.float32)
        self._open: dict[str, Alarm] = {}
        self._count = 0
        self._since_ns = 0
        self._standing = False
        self._moving_rows = 0
        self._left_ns: int | None = None
        self._calm_windows = 0
        self._stopping_ns: int | None = None
        self._levels: tuple[float, ...] = ()
        self._recent: list[tuple[str, str]] = []
        self._stands: tuple[Float32, ...] = ()  # [C] where it may stand: what people have accepted
        self.know(acceptance.read(profile.memory))
        self._stood: Bools = np.zeros(0, np.bool_)  # whether it stood still at the newest rows
        self._stood_from = 0

    @property
    def open_notices(self) -> tuple[Alarm, ...]:
        """The notices that hold."""
        return tuple(self._open.values())

    # -- what people say -------------------------------------------------------------------------------------

    def acceptance(self, alarm: str, *, by: str, time_ns: int) -> Acceptance | None:
        """The entry that makes what a notice told of normal; None where no notice of late has that id."""
        told = [(notice.id, notice.fault) for notice in self.open_notices] + self._recent
        fault = next((fault for known, fault in told if known == alarm), None)
        if fault is None:
            return None
        levels = zip(self._profile.channels, self._levels, strict=bool(self._levels))
        known = {name: level for name, level in levels if np.isfinite(level)}
        return Acceptance(alarm=alarm, fault=fault, by=by, time_ns=time_ns, levels=known)

    def know(self, entries: Sequence[Acceptance]) -> None:
        """Take these things for normal, and nothing else that was not learnt."""
        channels = self._profile.channels
        self._stands = tuple(
            np.array([entry.levels.get(name, np.nan) for name in channels], np.float32)
            for entry in entries
            if entry.fault == STANDSTILL
        )
        if self._stands:
            self._open.pop(STANDSTILL, None)

    # -- rows ------------------------------------------------------------------------------------------------

    def check(self, rows: Float32, times_ns: NDArray[np.int64], *, row_count: int) -> NoticeReport:
        """Look at the next rows [R, C] as they were observed, NaN elsewhere; `row_count` with them."""
        if self._standstill is None:
            return NoticeReport(self._close_all(times_ns) if self._open else ())
        joined = np.concatenate([self._tail, rows])
        self._tail = joined[1 - ROWS :]
        self._stood, self._stood_from = np.zeros(len(rows), np.bool_), row_count - len(rows)
        if not self._standing and not self._standstill.quiet(joined).any():
            return NoticeReport()
        activity = self._standstill.observe(joined)
        findings = []
        for at, time_ns in enumerate(times_ns.tolist()):
            findings += self._advance(
                still=bool(activity.still[at]), moving=bool(activity.moving[at]), time_ns=time_ns
            )
            self._stood[at] = self._standing
        if activity.still[-1]:
            self._levels = tuple(self._tail.mean(axis=0).tolist())
        return NoticeReport(tuple(findings), activity.quiet | self._stood)

    def _advance(self, *, still: bool, moving: bool, time_ns: int) -> list[Alarm]:
        """What one row begins and ends."""
        if not self._standing:
            return self._begin_standing(time_ns) if still else []
        self._moving_rows = self._moving_rows + 1 if moving else 0
        if self._moving_rows < _MOVING_ROWS:
            return self._tell_standing(time_ns)
        self._standing = False
        return self._close(STANDSTILL, time_ns)

    def _begin_standing(self, time_ns: int) -> list[Alarm]:
        self._standing, self._moving_rows = True, 0
        self._since_ns = time_ns - (ROWS - 1) * self._profile.period_ns
        return self._tell_standing(time_ns)

    def _tell_standing(self, time_ns: int) -> list[Alarm]:
        """Say that it stands, unless that is known or has been said."""
        if self._stands or STANDSTILL in self._open:
            return []
        return [self._begin(STANDSTILL, onset_ns=self._since_ns, time_ns=time_ns)]

    # -- windows ---------------------------------------------------------------------------------------------

    def mutes(self, window: Float32, *, end_row: int, time_ns: int, score: float) -> bool:
        """Whether the score of the next window [C, T], which ends with that row, raises no alarm."""
        at = end_row - self._stood_from
        standing = bool(self._stood[at]) if 0 <= at < len(self._stood) else self._standing
        if standing:
            self._left_ns, self._calm_windows = time_ns, 0
        elif self._left_ns is not None:
            self._calm_windows = self._calm_windows + 1 if score < self._calm.release else 0
            if self._calm_windows >= self._calm.windows or not 0 <= time_ns - self._left_ns < _RETURN_NS:
                self._left_ns = None
        muted = self._left_ns is not None or self._stops(window, time_ns)
        return muted and self._settings.standstill == "notice"

    def _stops(self, window: Float32, time_ns: int) -> bool:
        """Whether the machine is on its way to where it may stand, and has not been for longer than a stop takes."""
        if not self._stands or not self._goes_to_stand(window):
            self._stopping_ns = None
            return False
        if self._stopping_ns is None:
            self._stopping_ns = time_ns
        return 0 <= time_ns - self._stopping_ns < self._stop_ns

    def _goes_to_stand(self, window: Float32) -> bool:
        """Whether most channels have gone a part of the way from their normal centre to a stand."""
        memory: Mapping[str, NDArray[Any]] = self._profile.memory
        centre, newest = memory["location"], window[:, -_NEWEST_ROWS:].mean(axis=1)
        for stand in self._stands:
            way = stand - centre
            far = np.abs(way) > _FAR * memory["scale"]
            gone = (newest[far] - centre[far]) / way[far] >= _STOPPING
            if far.any() and gone.mean() >= _MOST_STOPPING:
                return True
        return False

    @property
    def _stop_ns(self) -> int:
        return max(_STOP_NS, _STOP_ROWS * self._profile.period_ns)

    def was_the_stop(self, onset_ns: int) -> bool:
        """Whether an alarm with that onset was the machine coming to its latest stand."""
        return onset_ns >= self._since_ns - self._stop_ns

    # -- notices as alarms -----------------------------------------------------------------------------------

    def _begin(self, fault: str, *, onset_ns: int, time_ns: int) -> Alarm:
        self._count += 1
        notice = self._open[fault] = opened(
            self._profile.machine,
            fault,
            number=f"n{self._count}",
            onset_ns=onset_ns,
            time_ns=time_ns,
            model=self._model,
            kind="state",
            severity="notice",
        )
        return notice

    def _close(self, fault: str, time_ns: int) -> list[Alarm]:
        notice = self._open.pop(fault, None)
        if notice is None:
            return []
        self._recent = [*self._recent, (notice.id, fault)][-_RECENT:]
        return [closed(notice, time_ns=time_ns)]

    def _close_all(self, times_ns: NDArray[np.int64]) -> tuple[Alarm, ...]:
        """What was open by other settings, or by what was learnt before."""
        self._standing = False
        return tuple(one for fault in [*self._open] for one in self._close(fault, int(times_ns[-1])))

    # -- across restarts -------------------------------------------------------------------------------------

    def save(self) -> NoticeState:
        """What to give to `restore`."""
        return NoticeState(
            count=self._count,
            open=self.open_notices,
            since_ns=self._since_ns,
            standing=self._standing,
            moving_rows=self._moving_rows,
            left_ns=self._left_ns,
            calm_windows=self._calm_windows,
            stopping_ns=self._stopping_ns,
            levels=self._levels,
            recent=tuple(self._recent),
        )

    def restore(self, state: NoticeState) -> None:
        """Go on where another one stood; then `reread`."""
        self._count, self._since_ns = state.count, state.since_ns
        self._standing, self._moving_rows = state.standing, state.moving_rows
        self._left_ns, self._calm_windows = state.left_ns, state.calm_windows
        self._stopping_ns, self._recent = state.stopping_ns, [*state.recent]
        self._levels = state.levels if len(state.levels) == len(self._profile.channels) else ()
        self._open = {notice.fault: notice for notice in state.open}

    def reread(self, rows: Float32) -> None:
        """Remember the kept rows [R, C], as they were observed; what they said has been said."""
        self._tail = np.concatenate([self._tail, rows])[1 - ROWS :]
