"""One episode: a machine is learnt from its calm rows, and windows of later rows are looked at, each with its label.

Axes: W windows, C channels, F features of a channel, G features of the machine.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_agent.records import Float32
from edge_trainer.in_context.look import WINDOW_ROWS, look
from edge_trainer.in_context.machines.families import Family
from edge_trainer.in_context.machines.machine import MachineRows, rows_since_fault

_AFTER_ROWS = WINDOW_ROWS
"""Windows that end so soon after a fault still hold rows of it."""
_FADING_ROWS, _FADING_WEIGHT = 16, 0.3
"""Just after a fault its end may be told late: such windows count less."""
_FRESH_ROWS, _FRESH_WEIGHT = 3, 0.5
"""Of a fault that has just begun little is to be seen."""
_FEWEST_WINDOWS = 16
CALM = "calm"


@dataclass(frozen=True, slots=True)
class Episode:
    """What a network learns from, of one machine.

    Attributes:
        family: of the machine. context_rows: that it was learnt from. period_s: from row to row.
        channels: [W, C, F]. machine: [W, G]. present: [W, C].
        label: whether the newest row is faulty, [W]. guilty: which channels are, [W, C].
        weight: how much each window counts, [W].
        what: name of the fault, or "calm", [W].
        parts: what the statistics say, see `Look`, [W, 2].
    """

    family: str
    context_rows: int
    period_s: float
    channels: Float32
    machine: Float32
    present: npt.NDArray[np.bool_]
    label: npt.NDArray[np.bool_]
    guilty: npt.NDArray[np.bool_]
    weight: Float32
    what: npt.NDArray[np.str_]
    parts: Float32


def make(rng: np.random.Generator, family: Family, *, windows: int) -> Episode | None:
    """An episode of one machine of the family; None where too few of its rows can be judged.

    Raises:
        CommissionError: nothing could be learnt from the machine's calm rows.
    """
    machine = family.draw(rng).observed()
    if machine is None:
        return None
    rows = _chosen(rng, machine, windows=windows)
    if len(rows) < _FEWEST_WINDOWS:
        return None
    seen = look(machine, rows + 1)
    guilty, usable = machine.shown(rows, seen.present)
    what, weight = _told(machine, rows)
    return Episode(
        family=family.name,
        context_rows=machine.context_rows,
        period_s=machine.period_s,
        channels=seen.channels[usable],
        machine=seen.machine[usable],
        present=seen.present[usable],
        label=machine.label[rows][usable],
        guilty=guilty[usable],
        weight=weight[usable],
        what=what[usable],
        parts=seen.parts[usable],
    )


def _told(machine: MachineRows, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.str_], Float32]:
    """Of rows [W]: (name of the fault or "calm", how much each counts)."""
    what = np.full(len(rows), CALM, dtype="U32")
    begun = np.full(len(rows), 1 << 20)
    for fault in machine.faults:
        inside = (rows >= fault.start) & (rows < fault.stop)
        what[inside] = fault.name
        begun[inside] = np.minimum(begun[inside], rows[inside] - fault.start)
    since = rows_since_fault(machine.faults, len(machine.values))[rows]
    weight = np.where((what == CALM) & (since < _FADING_ROWS), _FADING_WEIGHT, 1.0)
    weight[begun < _FRESH_ROWS] = _FRESH_WEIGHT
    return what, weight.astype(np.float32)


def _chosen(rng: np.random.Generator, machine: MachineRows, *, windows: int) -> npt.NDArray[np.int64]:
    """Rows that windows end with: a third in faults, a sixth just after them, half anywhere calm; sorted.

    A fault ten times as long as another is drawn three times as often, lest the longest be all that is learnt.
    """
    label, n_rows = machine.label, len(machine.values)
    later = np.arange(n_rows) >= machine.context_rows
    usable = machine.judged & later
    after = np.zeros(n_rows, np.bool_)
    likely = np.ones(n_rows)
    for fault in machine.faults:
        after[fault.stop : fault.stop + _AFTER_ROWS] = True
        likely[fault.start : fault.stop] = 1.0 / np.sqrt(max(fault.stop - fault.start, 1))
    groups = (
        (usable & label, windows // 3),
        (usable & ~label & after, windows // 6),
        (usable & ~label, windows // 2),
    )
    taken = [
        rng.choice(there, min(count, len(there)), replace=False, p=likely[there] / likely[there].sum())
        for rows, count in groups
        if len(there := np.flatnonzero(rows))
    ]
    chosen: npt.NDArray[np.int64] = np.unique(np.concatenate([*taken, np.empty(0, np.int64)])).astype(
        np.int64
    )
    return chosen
