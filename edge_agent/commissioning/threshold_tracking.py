"""How a machine's threshold follows slow drift in service, and what keeps it from following a fault. Pure.

A threshold learnt from a day of normal rows is uncertain, and a machine wears, fouls and sees other weather than on
that day. So the largest score of every normal hour is kept, and the threshold moves towards the one that the last
three days of such peaks ask for, by the law that it was learnt with (`threshold`).

A fault must never become normal. Hours in which an alarm was open, the hours just before one opened and just after it
closed are not counted; the threshold moves by a tenth a day at most and never out of fixed bounds, so that a
fault that grows without end is alarmed whatever its pace, and one that lasts is not learnt at all. A threshold that has
moved far says that the machine is no longer the one that was learnt; that is told (`DRIFTED`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.commissioning.settings import BudgetSettings
from edge_agent.commissioning.threshold import level

_DAY_NS = 24 * 3600 * 1_000_000_000
_WEEK_NS = 7 * _DAY_NS
_SHORTEST_BLOCK_NS = 3600 * 1_000_000_000
# A block of fewer windows than this says little of the tail of their scores.
_BLOCK_WINDOWS = 16
# A block that was heard for less than this share of it is not a whole one.
_HEARD = 0.5
_BLOCKS_KEPT = 72
BLOCKS_NEEDED = 24
"""Normal blocks from which on they say what a threshold should be."""
# Blocks on either side of an alarm that do not count: a fault was there before it was seen.
_GUARD_BLOCKS = 2
# An alarm of at most so many blocks whose scores stayed below so many thresholds may have been a false one, and counts
# as one normal block: without such peaks a threshold that is too low would never learn that it is.
_BRIEF_BLOCKS = 2
_DOUBTFUL = 1.25
_BLOCKS_A_SAVE = 24
_RATIO, _PEAKS = "followed_ratio", "followed_peaks"
_PARTS_WITH_A_STEP = 3  # all detectors together, a plain step of one channel, the newest rows (`fusion.fuse`)
DRIFTED = 1.5
"""Ratio of the threshold in use to the learnt one from which a machine is told to have drifted."""


class ThresholdTracker:
    """One machine's moving threshold."""

    def __init__(
        self,
        settings: BudgetSettings,
        *,
        budgets_per_week: Sequence[float],
        hop_ns: int,
        memory: Mapping[str, NDArray[Any]],
        factors: Sequence[float] | NDArray[np.floating[Any]] | None = None,
        scales: NDArray[np.floating[Any]] | None = None,
    ) -> None:
        """Begin at the learnt thresholds, or where the machine's memory says that they had moved to.

        Args:
            settings: whether, how fast and how far it may move.
            budgets_per_week: [parts] false alarms a week that the operator accepts of each score of a window.
            hop_ns: time from one scored window to the next.
            memory: the machine's, with what `arrays` gave before a restart, if anything.
            factors: [parts] of the learnt thresholds where the budget is another one (`budget.factors`).
            scales: [parts] of what the normal blocks ask for, where `budgets_per_week` are not those of the factors.
        """
        self._settings = settings
        self._budgets_per_week = budgets_per_week
        parts = len(budgets_per_week)
        self._factors = np.ones(parts) if factors is None else np.asarray(factors, np.float64)
        self._scales = np.ones(parts) if scales is None else np.asarray(scales, np.float64)
        self._block_ns = max(_SHORTEST_BLOCK_NS, _BLOCK_WINDOWS * hop_ns)
        self._fewest_windows = _HEARD * self._block_ns / max(hop_ns, 1)
        self._brief_windows = _BRIEF_BLOCKS * self._block_ns / max(hop_ns, 1)
        ratio = np.asarray(memory.get(_RATIO, ()), np.float64)
        restored = settings.follow_drift and ratio.shape == (parts,)
        self._highest = _upper(settings, parts)
        self._ratio = np.clip(ratio, settings.lowest, self._highest) if restored else np.ones(parts)
        # [parts] of each normal block, in units of the learnt thresholds.
        self._peaks = list(np.asarray(memory[_PEAKS], np.float64)) if restored else []
        self._waiting: list[NDArray[np.float64]] = []  # normal blocks that an alarm may still strike out
        self._guard = 0  # blocks still to pass after an alarm
        self._block = -1
        self._peak = np.zeros_like(self._ratio)
        self._windows = 0
        self._tainted = False
        self._alarm_windows = 0
        self._alarm_peak = np.zeros_like(self._ratio)
        self._unkept = 0  # blocks counted since the state was last kept
        self._counted = 0

    @property
    def ratio(self) -> NDArray[np.float64]:
        """[parts] how far the thresholds have followed drift, relative to those of the budget."""
        return self._ratio

    @property
    def in_use(self) -> NDArray[np.float64]:
        """[parts] the thresholds in use, relative to the learnt ones."""
        return self._ratio * self._factors

    @property
    def peaks(self) -> NDArray[np.float64]:
        """[blocks, parts] the largest scores of the latest normal blocks, in units of the learnt thresholds."""
        return np.array(self._peaks).reshape(-1, len(self._ratio))

    @property
    def state(self) -> tuple[float, ...]:
        """Equal as long as nothing was counted or adopted."""
        return (self._counted, *self.in_use.tolist())

    @property
    def block_s(self) -> float:
        """Time of a block."""
        return self._block_ns / 1e9

    def adopt(
        self,
        settings: BudgetSettings,
        *,
        budgets_per_week: Sequence[float],
        factors: NDArray[np.floating[Any]],
        scales: NDArray[np.floating[Any]] | None = None,
    ) -> None:
        """Keep another budget from the next window on.

        What the normal blocks of service ask for changes with it, and the thresholds in use by as much, at once: the
        bounds on how fast they move are against faults, not against people.
        """
        before = self._wanted() if len(self._peaks) >= BLOCKS_NEEDED else None
        self._settings, self._budgets_per_week = settings, budgets_per_week
        self._factors = np.asarray(factors, np.float64)
        self._scales = np.ones_like(self._factors) if scales is None else np.asarray(scales, np.float64)
        if before is not None:
            self._ratio *= np.maximum(self._wanted(), settings.lowest) / np.maximum(before, settings.lowest)
        self._highest = _upper(settings, len(budgets_per_week))
        bounded = np.clip(self._ratio, settings.lowest, self._highest)
        self._ratio = bounded if settings.follow_drift else np.ones_like(self._ratio)

    def worth_keeping(self) -> bool:
        """Whether so much has been counted since `arrays` was last asked for that a restart should not lose it."""
        return self._unkept >= _BLOCKS_A_SAVE

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What must survive a restart, as part of the machine's memory."""
        self._unkept = 0
        return {_RATIO: self._ratio.copy(), _PEAKS: np.array(self._peaks).reshape(-1, len(self._ratio))}

    def observe_window(self, time_ns: int, scores: NDArray[np.floating[Any]], *, in_alarm: bool) -> None:
        """Take in one window: its scores [parts] by the learnt thresholds, and whether an alarm is open at it."""
        if not self._settings.follow_drift:
            return
        block = time_ns // self._block_ns
        if block != self._block:
            self._finish()
            self._block = block
        self._peak = np.maximum(self._peak, scores)
        self._windows += 1
        if in_alarm:
            self._tainted = True
            self._waiting.clear()
            self._alarm_windows += 1
            self._alarm_peak = np.maximum(self._alarm_peak, scores)
        elif self._alarm_windows:
            self._judge_alarm()

    def _judge_alarm(self) -> None:
        """Count an alarm that has closed as one normal block, if it was short and hardly over the threshold."""
        if self._alarm_windows <= self._brief_windows and np.all(self._alarm_peak <= _DOUBTFUL * self.in_use):
            self._count(self._alarm_peak)
        self._alarm_windows, self._alarm_peak = 0, np.zeros_like(self._ratio)

    def _finish(self) -> None:
        """Count the block that has ended, if it was normal and whole, and those that waited for it to be so."""
        peak, windows, tainted = self._peak, self._windows, self._tainted
        self._peak, self._windows, self._tainted = np.zeros_like(self._ratio), 0, False
        if tainted:
            self._guard = _GUARD_BLOCKS
        elif self._guard > 0:
            self._guard -= 1
        elif windows >= self._fewest_windows:
            self._waiting.append(peak)
            if len(self._waiting) > _GUARD_BLOCKS:
                self._count(self._waiting.pop(0))

    def _count(self, peak: NDArray[np.float64]) -> None:
        self._unkept += 1
        self._counted += 1
        self._peaks = [*self._peaks[1 - _BLOCKS_KEPT :], peak]
        if len(self._peaks) < BLOCKS_NEEDED:
            return
        settings, share = self._settings, self._block_ns / _DAY_NS
        wanted = self._wanted()
        slow = np.clip(
            wanted,
            self._ratio * (1.0 - settings.fall_per_day) ** share,
            self._ratio * (1.0 + settings.rise_per_day) ** share,
        )
        self._ratio = np.clip(slow, settings.lowest, self._highest)

    def _wanted(self) -> NDArray[np.float64]:
        """[parts] what the normal blocks ask for so that budgets are kept, relative to the thresholds of the budget."""
        levels = [
            level(peaks, chance=min(budget * self._block_ns / _WEEK_NS, 0.5))
            for peaks, budget in zip(np.array(self._peaks).T, self._budgets_per_week, strict=True)
        ]
        return np.array(levels) * (self._scales / self._factors)


def _upper(settings: BudgetSettings, n_parts: int) -> NDArray[np.float64]:
    """[parts] the upper bound of each part of a window's score, the newest rows being the last."""
    bounds = np.full(n_parts, settings.highest)
    if n_parts == _PARTS_WITH_A_STEP:
        bounds[1] = min(settings.highest_step, settings.highest)
    return bounds
