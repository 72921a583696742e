"""Which calm rows of a machine in service it is learnt from again, and when. Pure; learns nothing itself (`learn`).

A machine that was commissioned from an hour has shown an hour's weather, load and noise. While it settles, pieces of
its calm rows are gathered, spread evenly over the time in service however long that is, and it is learnt again from
them and the rows that it was commissioned from, which always keep their share.

A fault must not be learnt with them: rows on either side of an alarm never enter, nothing is asked for while one is
open, and `learn` refuses what would make the last alarms calm.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.detect import ensemble
from edge_agent.errors import CommissionError
from edge_agent.records import THRESHOLD, Float32, Profile, WindowBlock

_HOUR_NS = 3600 * 1_000_000_000
_STAGES_NS = tuple(hours * _HOUR_NS for hours in (2, 4, 8, 24))
"""Calm time, that of commissioning included, after which a machine is learnt again."""
_PIECE_ROWS = 512
_MOST_PIECES = 14
_LEAST_PIECES = 4
_CELLS = 262_144
"""Values that the pieces of one machine may hold: a wide machine keeps fewer."""
_MARGIN_NS = _HOUR_NS
"""On either side of an alarm: a fault is there before it is seen."""
_WAITING = 8
"""Pieces of the margin that wait at once, however fast the rows come."""
_ALARMS_KEPT = 5
_DOUBTFUL = 1.25
"""An alarm that never scored higher may have been a false one, and is not held against what is learnt anew."""
_LEAST_SENSITIVITY = 0.5
"""Of the score that a step has now: the most that one stage may take away."""
_PROBES = 48
_PROBE_SCALES = np.float32(4.0)
_FAULTY_SHARE = 0.1
BASE, PIECES, STAGE = "settle_base", "settle_pieces", "settle_stage"
"""What the machine's memory keeps: rows of commissioning [R, C], calm pieces [N, 512, C], stages done (0-d)."""


@dataclass(frozen=True, slots=True)
class Settling:
    """What a machine is to be learnt from again, beside the rows themselves.

    Attributes:
        before: the profile in use.
        base_rows: how many of the rows it was commissioned from; pieces of `piece_rows` follow, apart in time.
        alarms: the loudest window [C, T] of each of its last clear alarms.
        stage: of settling, from 1.
    """

    before: Profile
    base_rows: int
    piece_rows: int
    alarms: tuple[Float32, ...]
    stage: int

    def seams(self, n_rows: int) -> tuple[int, ...]:
        """Rows at which time leaps."""
        return tuple(range(self.base_rows, n_rows, self.piece_rows))


class Settler:
    """Gathers one machine's calm rows from its windows."""

    def __init__(self, profile: Profile) -> None:
        """Begin with what the machine's memory holds; without its commissioning rows there is nothing to do."""
        self._profile = profile
        self._base: Float32 | None = None
        C = len(profile.channels)
        self._limit = int(np.clip(_CELLS // (_PIECE_ROWS * max(C, 1)), _LEAST_PIECES, _MOST_PIECES))
        base = profile.memory.get(BASE)
        kept = np.asarray(profile.memory.get(PIECES, ()), np.float32)
        if base is not None:
            self._base = np.asarray(base, np.float32)
        self._pieces: list[Float32] = list(kept) if kept.ndim == 3 else []
        self.stage = int(np.asarray(profile.memory.get(STAGE, 0)))
        self._every, self._seen = 1, len(self._pieces)
        self._calm_ns = 0
        if self._base is not None:
            heard_ns = _STAGES_NS[self.stage - 1] if self.stage else 0
            self._calm_ns = max(heard_ns, len(self._base) * profile.period_ns)
        self._current: list[Float32] = []  # parts [r, C] of the piece that is being gathered
        self._waiting: list[
            tuple[int, Float32]
        ] = []  # (time of its end, piece) that an alarm may still strike out
        self._newest_row = 0
        self._next_ns = 0  # event time before which no further piece begins
        self._quiet_ns = 0  # event time from which on rows are calm again
        self._alarms: list[Float32] = []
        self._loudest: tuple[float, Float32] | None = None  # of the open alarm
        self._asked = False
        self.refusals = 0

    @property
    def active(self) -> bool:
        """Whether anything is still to be learnt."""
        return self._base is not None and self._due_ns() is not None

    def note(self, block: WindowBlock, *, at: int, score: float, in_alarm: bool) -> None:
        """Take in window `at` of the block: its score by the thresholds in use, and whether an alarm is open at it."""
        if not self.active:
            return
        window, end_row, time_ns = block.values[at], int(block.end_rows[at]), int(block.times_ns[at])
        if in_alarm:
            if self._loudest is None or score > self._loudest[0]:
                self._loudest = (score, window.copy())
            self._break(time_ns + _MARGIN_NS)
            self._waiting.clear()
        else:
            self._end_alarm()
            self._gather(window, end_row=end_row, time_ns=time_ns)
        self._newest_row = end_row

    def request(self, *, time_ns: int) -> tuple[Float32, Settling] | None:
        """(rows, what they are), where it is time to learn again."""
        due_ns = self._due_ns()
        calm = self._loudest is None and time_ns >= self._quiet_ns
        if self._base is None or due_ns is None or self._asked or not calm or self._calm_ns < due_ns:
            return None
        self._asked = True
        how = Settling(
            before=self._profile,
            base_rows=len(self._base),
            piece_rows=_PIECE_ROWS,
            alarms=tuple(self._alarms),
            stage=self._stage_reached(),
        )
        return np.concatenate([self._base, *self._pieces]), how

    def refused(self, stage: int) -> None:
        """What was learnt for a stage is not used: the next one tries again."""
        self.stage, self._asked = stage, False
        self.refusals += 1

    def go_on(self, profile: Profile) -> None:
        """What was learnt is in use from now on; its alarms and rows stay what they were."""
        self._profile, self._asked = profile, False
        self.stage = int(np.asarray(profile.memory[STAGE]))

    def _due_ns(self) -> int | None:
        return next((stage for stage in _STAGES_NS[self._stage_reached_by_base() :]), None)

    def _stage_reached_by_base(self) -> int:
        """Stages that are done, or that the rows of commissioning alone had passed."""
        base_ns = 0 if self._base is None else len(self._base) * self._profile.period_ns
        return max(self.stage, sum(base_ns >= stage for stage in _STAGES_NS))

    def _stage_reached(self) -> int:
        return sum(self._calm_ns >= stage for stage in _STAGES_NS)

    def _break(self, quiet_ns: int) -> None:
        self._current.clear()
        self._quiet_ns = quiet_ns

    def _end_alarm(self) -> None:
        if self._loudest is not None and self._loudest[0] > _DOUBTFUL:
            self._alarms = [*self._alarms[1 - _ALARMS_KEPT :], self._loudest[1]]
        self._loudest = None

    def _gather(self, window: Float32, *, end_row: int, time_ns: int) -> None:
        """Add the window's new rows to the piece at hand; count the pieces that no alarm can strike out any more."""
        period_ns = self._profile.period_ns
        while self._waiting and time_ns - self._waiting[0][0] >= _MARGIN_NS:
            self._keep(self._waiting.pop(0)[1])
        if time_ns < max(self._quiet_ns, self._next_ns):
            return
        fresh = end_row - self._newest_row
        if not 0 < fresh <= window.shape[1]:  # a pause, or the rows began anew
            self._current.clear()
            fresh = min(self._profile.hop_rows, window.shape[1])
        self._current.append(window[:, -fresh:].T.copy())
        if sum(map(len, self._current)) >= _PIECE_ROWS:
            piece = np.concatenate(self._current)[:_PIECE_ROWS]
            self._current.clear()
            self._waiting.append((time_ns, piece))
            self._next_ns = time_ns + max(0, _MARGIN_NS // _WAITING - _PIECE_ROWS * period_ns)

    def _keep(self, piece: Float32) -> None:
        """Keep every so-manieth piece; where there is no room, every second one goes."""
        self._calm_ns += max(_PIECE_ROWS * self._profile.period_ns, _MARGIN_NS // _WAITING)
        if self._seen % self._every == 0:
            self._pieces.append(piece)
        self._seen += 1
        if len(self._pieces) > self._limit:
            self._pieces = self._pieces[::2]
            self._every *= 2


def worth_settling(n_rows: int, period_ns: int) -> bool:
    """Whether a machine commissioned from so many rows has anything to gain."""
    return n_rows * period_ns < _STAGES_NS[-1]


def kept(how: Settling, rows: Float32) -> Mapping[str, NDArray[Any]]:
    """What the new memory must hold for settling to go on, a restart included."""
    pieces = rows[how.base_rows :].reshape(-1, how.piece_rows, rows.shape[1])
    return {BASE: rows[: how.base_rows], PIECES: pieces, STAGE: np.array(how.stage)}


def check(memory: Mapping[str, NDArray[Any]], rows: Float32, how: Settling, *, window_rows: int) -> None:
    """Refuse what was learnt again if it would not see what is seen now.

    Raises:
        CommissionError: it calls a clear alarm of late calm, calls calm rows faulty, or is far less sensitive.
    """
    before = how.before.memory
    for window in how.alarms:
        if ensemble.score(memory, window[None], None, ranking=False).value[0] <= THRESHOLD:
            raise CommissionError("it would call one of the last alarms calm")
    ends = [how.base_rows, *how.seams(len(rows))[1:], len(rows)]
    calm = np.stack([rows[end - window_rows : end].T for end in ends])
    if np.mean(ensemble.score(memory, calm, None, ranking=False).value > THRESHOLD) > _FAULTY_SHARE:
        raise CommissionError("it would call rows faulty that are calm")
    probes = _probes(rows[: how.base_rows], before, window_rows=window_rows)
    was, would = (ensemble.score(known, probes, None, ranking=False).value for known in (before, memory))
    if np.median(would / np.maximum(was, 1e-6)) < _LEAST_SENSITIVITY:
        raise CommissionError("it would be less than half as sensitive")


def _probes(base: Float32, memory: Mapping[str, NDArray[Any]], *, window_rows: int) -> Float32:
    """Windows [B, C, T] of commissioning, one channel of each moved by some calm scales."""
    starts = np.linspace(0, len(base) - window_rows, _PROBES).astype(np.int64)
    probes = np.stack([base[start : start + window_rows].T for start in starts]).astype(np.float32)
    for at, probe in enumerate(probes):
        channel = at % probe.shape[0]
        probe[channel] += _PROBE_SCALES * np.float32(memory["scale"][channel])
    return probes
