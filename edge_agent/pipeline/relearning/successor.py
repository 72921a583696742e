"""A machine's next profile on its way: its own rows, what they wait for, and what survives a restart. Pure.

It hears the machine's frames whole, with channels that the profile that watches does not know. Rows of an open alarm
are not gathered, unless whoever asked says that the machine is fine: the next profile is of normal rows alone.
"""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np

from edge_agent.pipeline.relearning.comparison import Comparison
from edge_agent.pipeline.results import CommissionRequest, Stage, SuccessorStatus, Why
from edge_agent.records import THRESHOLD, Frame, Profile, ScoreBlock, Taken, WindowBlock
from edge_agent.signals.channel_kinds import with_kinds
from edge_agent.signals.row_buffer import BufferState, RowBuffer

LEAST_OBSERVED = 0.5
"""A channel that is silent in more of the rows is not learnt."""
NEW_CHANNELS_LIMIT = 32
"""Beside those that are learnt: more is a flood of names."""
_COMPARED_SHARE = 0.1
"""Of the rows that were learnt from, so many more are scored by both profiles."""
_FEWEST_COMPARED = 60


class SuccessorState(msgspec.Struct, frozen=True):
    """What is written down of it; the learnt profile is a file of its own."""

    why: Why
    by: str
    always: bool
    stage: Stage
    begun_row: int
    wanted_at: int
    reason: str
    buffer: BufferState


class Successor:
    """One machine's next profile.

    Attributes:
        why, by: what it is for, and who asked.
        always: rows of alarms are gathered, too.
        profile: once it is learnt.
        comparison: with the profile that watches, once there is something to compare.
        reason: why nothing was learnt.
    """

    def __init__(
        self,
        rows: RowBuffer,
        *,
        why: Why,
        by: str,
        always: bool,
        wanted_rows: int,
        known: tuple[str, ...],
    ) -> None:
        """Begin with no rows; `known` are the channels of the profile that watches."""
        self.rows = rows
        self.why = why
        self.by = by
        self.always = always
        self.stage: Stage = "gathering"
        self.begun_row = 0
        self.wanted_at = wanted_rows
        self.reason = ""
        self.profile: Profile | None = None
        self.comparison: Comparison | None = None
        self._wanted_rows = wanted_rows
        self._known = known
        self._paused = False
        self._loud_since_ns: int | None = None
        rows.add_channels(known)

    @property
    def new(self) -> tuple[str, ...]:
        """Channels that the profile that watches does not have."""
        return tuple(name for name in self.rows.store.channels if name not in self._known)

    def take(self, frame: Frame, *, calm: bool, channels_limit: int) -> Taken | None:
        """Take a frame with all that is new in it; None where nothing is gathered just now, or there is no room."""
        if self.stage == "failed":
            return None
        gathering = self.stage == "gathering"
        if gathering and not calm and not self.always:
            if not self._paused:
                self.rows.interrupt()
            self._paused = True
            return None
        self._paused = False
        unknown = self.rows.unknown(frame.channels)
        if unknown and gathering and self._has_room(len(unknown), channels_limit=channels_limit):
            self.rows.add_channels(unknown)
            self.begun_row = self.rows.store.row_count
            self.wanted_at = self.begun_row + self._wanted_rows
            unknown = []
        known = without_channels(frame, unknown) if unknown else frame
        outcome = None if known is None else self.rows.accept(known)
        self.rows.lost.clear()  # counted where the watching profile's rows are
        return outcome

    def _has_room(self, count: int, *, channels_limit: int) -> bool:
        total = len(self.rows.store.channels) + count
        return len(self.new) + count <= NEW_CHANNELS_LIMIT and total <= channels_limit

    def note_scores(self, block: ScoreBlock) -> None:
        """What the profile that watches has made of new windows."""
        if self.stage == "comparing" and self.comparison is not None:
            self.comparison.note_old(block.value)
        for time_ns, score in zip(block.windows.times_ns.tolist(), block.value.tolist(), strict=True):
            if score <= THRESHOLD:
                self._loud_since_ns = None
            elif self._loud_since_ns is None:
                self._loud_since_ns = time_ns

    def drop_since(self, onset_ns: int, *, span_ns: int) -> None:
        """An alarm has begun: rows since a window's length before the first that was loud may not be normal."""
        time_ns = min(onset_ns, self._loud_since_ns or onset_ns) - span_ns
        if self.stage != "gathering" or self.always:
            return
        self.rows.flush()
        store = self.rows.store
        kept = store.kept
        count = int(np.searchsorted(kept.times, time_ns))
        lost = len(kept) - count
        if lost:
            kept.restore(
                kept.values[:count].copy(),
                observed=kept.observed[:count].copy(),
                times=kept.times[:count].copy(),
                starts=kept.starts[:count].copy(),
            )
            store.row_count -= lost
        self.rows.interrupt()

    def ask_to_learn(self, name: str) -> Sequence[CommissionRequest]:
        """The request to be learnt, where it is time for one and something can be learnt."""
        rows, time_ns = self.rows.store, self.rows.store.last_time_ns
        if self.stage != "gathering" or rows.row_count < self.wanted_at or time_ns is None:
            return ()
        history = self.rows.history(self._wanted_rows)
        heard = dict(zip(rows.channels, history.observed.mean(axis=0).tolist(), strict=True))
        if self.why == "new channels" and all(heard[new] < LEAST_OBSERVED for new in self.new):
            shares = ", ".join(f"{new} in {heard[new]:.0%}" for new in self.new)
            self.fail(f"not learnt: heard in too few of the rows ({shares})")
            return ()
        self.stage = "learning"
        starts = rows.kept.starts[-len(history.rows) :]
        request = CommissionRequest(
            machine=name,
            channels=tuple(rows.channels),
            rows=history.rows,
            period_ns=history.period_ns,
            hop_rows=history.hop_rows,
            time_ns=time_ns,
            observed=history.observed,
            seams=tuple((np.flatnonzero(np.diff(starts)) + 1).tolist()),
            beside=True,
        )
        return (request,)

    def learnt(self, profile: Profile) -> None:
        """Compare from now on."""
        self.stage, self.profile = "comparing", profile
        wanted_rows = max(_FEWEST_COMPARED, round(_COMPARED_SHARE * self._wanted_rows))
        self.comparison = Comparison(wanted=max(1, wanted_rows // max(1, profile.hop_rows)))
        self.rows.arrange(profile.channels, period_ns=profile.period_ns, hop_rows=profile.hop_rows)

    def due(self) -> WindowBlock | None:
        """Windows of the next profile that fell due while it is compared."""
        if self.stage != "comparing" or self.profile is None:
            return None
        windows = self.rows.take_due().windows
        return None if windows is None else with_kinds(windows, self.profile.memory)

    def fail(self, reason: str) -> None:
        """Nothing is learnt."""
        self.stage, self.reason = "failed", reason

    def status(self) -> SuccessorStatus:
        """How far it is."""
        rows, wanted, told = self.rows.store.row_count - self.begun_row, self._wanted_rows, self.reason
        if self.comparison is not None:
            rows, wanted = self.comparison.new, self.comparison.wanted
            told = self.comparison.text() if self.stage == "waiting" else told
        return SuccessorStatus(
            stage=self.stage,
            why=self.why,
            by=self.by,
            new=self.new,
            rows=min(rows, wanted),
            rows_wanted=wanted,
            paused=self._paused,
            told=told,
        )

    # -- across restarts ------------------------------------------------------------------------------------

    def save(self) -> SuccessorState:
        """What to write down. Learning does not survive a restart: it is asked for again."""
        return SuccessorState(
            why=self.why,
            by=self.by,
            always=self.always,
            stage="gathering" if self.stage == "learning" else self.stage,
            begun_row=self.begun_row,
            wanted_at=self.wanted_at,
            reason=self.reason,
            buffer=self.rows.save(),
        )

    def restore(self, state: SuccessorState, profile: Profile | None) -> None:
        """Go on where it stood; what was learnt is compared afresh.

        Raises:
            ValueError: the buffer's arrays do not fit each other.
        """
        self.rows.restore(state.buffer)
        self.begun_row, self.wanted_at, self.reason = state.begun_row, state.wanted_at, state.reason
        self.stage = "failed" if state.stage == "failed" else "gathering"
        if profile is not None and state.stage in ("comparing", "waiting"):
            self.learnt(profile)
        elif state.stage in ("comparing", "waiting"):
            self.begun_row = self.rows.store.row_count
            self.wanted_at = self.begun_row + self._wanted_rows


def without_channels(frame: Frame, unknown: list[str]) -> Frame | None:
    """The frame without these channels; None where nothing is left."""
    keep = [at for at, name in enumerate(frame.channels) if name not in unknown]
    if not keep:
        return None
    channels = tuple(frame.channels[at] for at in keep)
    rows = [[row[at] for at in keep] for row in frame.rows]
    return replace(frame, channels=channels, rows=rows, bad_values=())
