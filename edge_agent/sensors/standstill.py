"""Whether a machine stands still: most of its channels have lost most of what they do from row to row. Pure.

A function of the newest rows and of what was learnt; what follows from it is `pipeline.notices`. The rules it keeps:

1. A channel is still where its mean step over the newest `ROWS` rows is below a quarter of the usual one. Only channels
   that usually move from row to row are asked.
2. A machine stands still where at least 60 % of these channels, and two, are still. One quiet channel is its sensor's.
3. A source that repeats its last message is no machine that stands still: of the still channels one at least has some
   noise left, or says 0.
4. A machine that stood still while it was learnt is known to: only a stand that lasts `_TIMES` as long as the longest
   of them is one that was never learnt.

Axes: R rows, C channels, W stretches of rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_agent.records import Float32

Bools = NDArray[np.bool_]

ROWS = 32
"""Newest rows that tell whether a machine stands still."""
_FEW_ROWS = 8
"""Newest rows that tell whether it may be coming to a standstill."""
_STILL = 0.25
_MOVING = 0.5
_MOST = 0.6
_FEWEST_CHANNELS = 2
_LEARNT_EVERY = 8
"""Of the learnt rows, each so many's stretch is looked at: neighbours tell the same."""
_LEAST_KNOWN = 0.5
_TIMES = 3
_BRIDGED = 2
"""Stretches from one that is still to the next; more, and the machine has moved for longer than is inching."""
_SHORTEST_ROWS = 12
"""A learnt stand that is shorter is chance."""
_STEP, _SHARE, _LONGEST = "still_step", "still_share", "still_longest"


@dataclass(frozen=True, slots=True)
class StateSettings:
    """What the file says of states that were never learnt: its section `[state]` is this class.

    Attributes:
        standstill: "notice": told once, and no alarm is raised by the score meanwhile; "alarm": told, and scored as any
            other change; "off": not looked for.
    """

    standstill: Literal["notice", "alarm", "off"] = "notice"


@dataclass(frozen=True, slots=True)
class Activity:
    """Of R rows, [R] each.

    Attributes:
        still: the machine stands still, by the newest `ROWS` rows.
        quiet: it may be coming to a standstill, by the newest few rows.
        moving: it surely does not stand still.
    """

    still: Bools
    quiet: Bools
    moving: Bools


class Standstill:
    """What one machine usually does from row to row.

    Attributes:
        patience_rows: for so long it may stand; longer stands were never learnt.
    """

    def __init__(self, step: Float32, *, patience_rows: int = 0) -> None:
        """`step`: [C] the usual mean step; 0 where the channel says nothing of standing still."""
        self._noisy = np.flatnonzero(step > 0)
        self._step = step[self._noisy]
        self.patience_rows = patience_rows

    @classmethod
    def read(cls, memory: Mapping[str, NDArray[Any]]) -> "Standstill | None":
        """By what was learnt; None where that says nothing.

        An older agent has not learnt for how long the machine stood still; then nothing is looked for where it did.
        """
        if _STEP not in memory:
            return None
        stood = float(memory[_SHARE]) >= _MOST
        step = np.asarray(memory[_STEP], np.float32)
        if np.count_nonzero(step > 0) < _FEWEST_CHANNELS or (stood and _LONGEST not in memory):
            return None
        return cls(step, patience_rows=_TIMES * int(memory.get(_LONGEST, 0)))

    def quiet(self, rows: Float32) -> Bools:
        """[R] whether the machine may be coming to a standstill, by its newest few rows; arguments as of `observe`.

        Cheap: most rows end here.
        """
        values = rows[ROWS - _FEW_ROWS :, self._noisy]
        steps = np.abs(values[1:] - values[:-1])
        return self._most_still(steps, values, span=_FEW_ROWS - 1)

    def observe(self, rows: Float32) -> Activity:
        """How active the machine was at rows [R + ROWS - 1, C], NaN where unknown, the first of which came before."""
        values = rows[:, self._noisy]
        steps = np.abs(values[1:] - values[:-1])
        quiet = self.quiet(rows)
        mean = _mean(steps, ROWS - 1)
        return Activity(
            still=quiet & self._most_still(steps, values, span=ROWS - 1),
            quiet=quiet,
            moving=_share(mean < _MOVING * self._step, mean) < _MOST,
        )

    def _most_still(self, steps: Float32, values: Float32, *, span: int) -> Bools:
        """Whether enough channels are still over `span` steps, and one of them is no source that repeats itself."""
        mean = _mean(steps, span)
        still = mean < _STILL * self._step
        most: Bools = _share(still, mean) >= _MOST
        if not most.any():
            return most
        half = span // 2 + 1
        evident = (_mean(steps[span - half :], half) > 0) | (values[span:] == 0.0)
        found: Bools = most & (still & evident).any(axis=1)
        return found


def reference(rows: Float32, observed: Bools | None = None) -> dict[str, NDArray[Any]]:
    """What standing still is compared with, learnt from normal rows [R, C]; `observed`: cells that were not held."""
    values = rows if observed is None else np.where(observed, rows, np.float32(np.nan))
    usual, share, longest = np.zeros(rows.shape[1], np.float32), np.zeros(1), 0
    if len(values) >= ROWS:
        steps = np.abs(np.diff(values, axis=0))
        mean = _mean(steps, ROWS - 1, every=_LEARNT_EVERY)
        known = ~np.isnan(mean)
        for at in np.flatnonzero(known.any(axis=0)).tolist():
            usual[at] = np.median(mean[known[:, at], at])
        noisy = np.flatnonzero(usual > 0)
        if len(noisy) >= _FEWEST_CHANNELS:
            limit = _STILL * usual[noisy]
            share = _share(mean[:, noisy] < limit, mean[:, noisy])
            few = _mean(steps[:, noisy], _FEW_ROWS - 1)
            short = _longest_rows(_share(few < limit, few) >= _MOST, span=_FEW_ROWS, every=1)
            longest = max(_longest_rows(share >= _MOST, span=ROWS, every=_LEARNT_EVERY), short)
    return {
        _STEP: usual,
        _SHARE: np.array(share.max(), np.float32),
        _LONGEST: np.array(longest if longest >= _SHORTEST_ROWS else 0, np.int64),
    }


def _longest_rows(still: Bools, *, span: int, every: int) -> int:
    """Rows of the longest stand, by which of the learnt stretches [W] of so many rows were still; 0 for none."""
    found = np.flatnonzero(still)
    if not found.size:
        return 0
    apart = np.flatnonzero(np.diff(found) * every > _BRIDGED * span)
    first, last = found[np.r_[0, apart + 1]], found[np.r_[apart, len(found) - 1]]
    return int((last - first).max()) * every + span


def _mean(steps: Float32, span: int, *, every: int = 1) -> Float32:
    """[W, C] mean of each `span` steps [R, C] in a row; NaN where fewer than half of them are known."""
    if len(steps) == span:  # one row at a time is the commonest case by far
        mean = np.asarray(np.add.reduce(steps, axis=0, keepdims=True) / np.float32(span), np.float32)
    elif span < _FEW_ROWS and every == 1:
        mean = _mean_of_few(steps, span)
    else:
        mean = np.asarray(sliding_window_view(steps, span, axis=0)[::every].mean(axis=-1), np.float32)
    if np.isnan(mean).any():
        parts = sliding_window_view(steps, span, axis=0)[::every]  # W C span
        count = np.count_nonzero(~np.isnan(parts), axis=-1)
        total = np.nansum(parts, axis=-1)
        usable = count >= _LEAST_KNOWN * span
        mean = np.where(usable, total / np.maximum(count, 1), np.nan).astype(np.float32)
    return mean


def _mean_of_few(steps: Float32, span: int) -> Float32:
    """[W, C] as a mean over a sliding view, to the bit: numpy, too, adds fewer than eight in their order."""
    count = len(steps) + 1 - span
    total = steps[:count].copy()
    for at in range(1, span):
        total += steps[at : at + count]
    return total / np.float32(span)


def _share(flags: Bools, mean: Float32) -> NDArray[np.float64]:
    """[W] share of the channels whose mean is known that are flagged; 0 where fewer than two are known."""
    known = np.count_nonzero(mean == mean, axis=1)  # noqa: PLR0124 - NaN is unknown
    flagged = np.count_nonzero(flags, axis=1)
    share: NDArray[np.float64] = np.where(known >= _FEWEST_CHANNELS, flagged / np.maximum(known, 1), 0.0)
    return share
