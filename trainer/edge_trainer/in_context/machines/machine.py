"""A machine to learn from: rows, the first of which are calm, and what is wrong when. Draws nothing.

Axes: R rows, C channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from edge_agent.records import Float32
from edge_trainer.in_context import benign
from edge_trainer.in_context.injections import Floats, Injected, inject, log_uniform, scales_of

MOST_CHANNELS = 24
"""Of machines with more, some are taken at random."""
LEAST_ROWS = 700
"""Fewer rows hold no context and anything to look at after it."""
_CONTEXT_ROWS = (300, 20_000)
_QUERY_ROWS = (1500, 25_000)
_UNKNOWN_S = 1800.0
_UNKNOWN_ROWS = (64, 1800)
"""After something new half an hour passes until it is taken as normal, in rows at least and at most these."""
_FAULT_ROWS, _LASTING_FAULT_ROWS = (3, 600), (600, 8000)
"""Rows of a fault that ends by itself or is mended soon, and of one that stays for hours."""
_LASTING_SHARE = 0.15
CHANGED_SHARE = 0.07
"""Of machines that get a new set point for good. Nobody can tell it from a fault by a window alone: more of them would
teach that changes of level are normal."""
_LEAST_OBSERVED = 0.5
"""Of the rows that are learnt from; a gateway leaves out channels that were silent in more."""

Split = Literal["training", "held out", "foreign", "site", "site left out"]
"""What machines are for: to learn from, to measure with, those of families that nothing is learnt from; and of a site's
own, those to learn from and those to measure with."""


@dataclass(frozen=True, slots=True)
class MachineRows:
    """One machine's rows.

    Attributes:
        values: physical units, NaN where hidden, [R, C].
        context_rows: the first rows, to be learnt from: nothing is wrong in them.
        period_s: from row to row.
        faults: what is wrong later.
        judged: rows of which somebody could say whether they are faulty, [R].
        changed_row: from it on the machine is another one for good, though nothing is wrong: people would be told once
            and accept it. None where it stays what it was.
    """

    values: Float32
    context_rows: int
    period_s: float
    faults: tuple[Injected, ...]
    judged: npt.NDArray[np.bool_]
    changed_row: int | None = None

    def observed(self) -> "MachineRows | None":
        """The machine without channels that were silent while it was learnt, as on a gateway; None where all were."""
        seen = np.isfinite(self.values[: self.context_rows]).mean(axis=0) >= _LEAST_OBSERVED
        if not seen.any():
            return None
        if seen.all():
            return self
        faults = tuple(replace(fault, guilty=fault.guilty[seen]) for fault in self.faults)
        return replace(self, values=np.ascontiguousarray(self.values[:, seen]), faults=faults)

    def shown(
        self, rows: npt.NDArray[np.int64], present: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """(guilty channels of rows [W, C]; which rows can be judged by channels that are `present` [W, C], [W]).

        A fault whose channels are all hidden from the score, as states are, is told elsewhere or not at all.
        """
        guilty = np.zeros(present.shape, np.bool_)
        for fault in self.faults:
            inside = (rows >= fault.start) & (rows < fault.stop)
            guilty[inside] |= fault.guilty
        return guilty, self.judged[rows] & (~self.label[rows] | (guilty & present).any(axis=1))

    @property
    def label(self) -> npt.NDArray[np.bool_]:
        """Rows in which something is wrong, [R]."""
        wrong = np.zeros(len(self.values), np.bool_)
        for fault in self.faults:
            wrong[fault.start : fault.stop] = True
        return wrong


def drawn_lengths(rng: np.random.Generator, *, longest: int | None = None) -> tuple[int, int]:
    """(rows to learn from, rows in all): ten minutes to weeks, then hours to days, by the machine's own clock.

    `longest` bounds the rows in all; both parts shrink with it.
    """
    context = int(log_uniform(rng, *_CONTEXT_ROWS))
    rows = context + int(log_uniform(rng, *_QUERY_ROWS))
    if longest is not None and rows > longest:
        context = int(np.clip(context * longest / rows, _CONTEXT_ROWS[0], longest // 2))
        rows = longest
    return context, rows


def unknown_rows(period_s: float) -> int:
    """Rows until a lasting change is taken as normal."""
    return int(np.clip(_UNKNOWN_S / period_s, *_UNKNOWN_ROWS))


def some_channels(
    rng: np.random.Generator, n_channels: int, *, most: int = MOST_CHANNELS
) -> npt.NDArray[np.int64]:
    """Which of a machine's channels are taken: all, or, of many or now and then, some."""
    count = min(n_channels, most)
    if n_channels > 2 and rng.random() < 0.3:
        count = int(rng.integers(1, count + 1))
    return np.sort(rng.choice(n_channels, count, replace=False))


def troubled(
    rng: np.random.Generator,
    values: Float32,
    *,
    context_rows: int,
    period_s: float,
    moving: npt.NDArray[np.bool_] | None = None,
) -> MachineRows:
    """A calm machine's rows [R, C] with benign changes and injected faults; `values` is changed in place.

    Where `moving` [C] is given, all of it happens to these channels alone.
    """
    n_rows, n_channels = values.shape
    moving = np.ones(n_channels, np.bool_) if moving is None else moving
    _fill(values)
    part = np.ascontiguousarray(values[:, moving])
    scale, _ = scales_of(part[:context_rows])
    judged = np.ones(n_rows, np.bool_)
    changed_row = None
    benign.drift(rng, part, scale=scale)
    if rng.random() < 0.3:
        benign.glitches(rng, part, scale=scale)
    if rng.random() < CHANGED_SHARE:
        changed_row = benign.new_set_point(rng, part, first_row=context_rows, scale=scale)
        judged[changed_row : changed_row + unknown_rows(period_s)] = False
    faults = _faults(rng, part, context_rows=context_rows, scale=scale)
    values[:, moving] = part
    return MachineRows(
        values, context_rows, period_s, tuple(_among(fault, moving) for fault in faults), judged, changed_row
    )


def _among(fault: Injected, moving: npt.NDArray[np.bool_]) -> Injected:
    """A fault of some channels as one of all."""
    guilty = np.zeros(len(moving), np.bool_)
    guilty[moving] = fault.guilty
    return replace(fault, guilty=guilty)


def _faults(
    rng: np.random.Generator, values: Float32, *, context_rows: int, scale: Floats
) -> tuple[Injected, ...]:
    n_rows = len(values)
    faults = []
    pause = max(1.0, (n_rows - context_rows) / 4000)
    at = context_rows + int(rng.integers(20, 400))
    while at < n_rows - 40 and rng.random() < 0.9:
        lasting = rng.random() < _LASTING_SHARE
        length = int(log_uniform(rng, *(_LASTING_FAULT_ROWS if lasting else _FAULT_ROWS)))
        stop = min(at + length, n_rows)
        fault = inject(rng, values, start=at, stop=stop, general=scale)
        faults.append(fault)
        if rng.random() < 0.2:
            benign.recovery(rng, values, stop=stop, guilty=fault.guilty, scale=scale)
        at = stop + int(rng.integers(160, 900) * pause)
    return tuple(faults)


def rows_since_fault(faults: Sequence[Injected], n_rows: int) -> npt.NDArray[np.int64]:
    """Rows since the end of the last fault that has ended, [R]; very many where none has."""
    since = np.full(n_rows, 1 << 20, np.int64)
    for fault in sorted(faults, key=lambda each: each.stop):
        since[fault.stop :] = np.arange(n_rows - min(fault.stop, n_rows))
    return since


def _fill(values: Float32) -> None:
    """Hold the last reading where one is missing, in place; injections need a number to change."""
    row = np.arange(len(values))[:, None]
    said = np.maximum.accumulate(np.where(np.isfinite(values), row, 0), axis=0)
    values[:] = np.nan_to_num(np.take_along_axis(values, said, axis=0))
