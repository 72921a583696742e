"""What the agent itself sees of a machine: it learns the calm rows and is shown later windows. Computes nothing.

So what a network learns from is what it will be given on a gateway, by the same code.

Axes: W windows, C channels, F features of a channel, G features of the machine, T rows of a window.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from edge_agent.commissioning.baseline import commission
from edge_agent.detect.context_features import FEATURES, Context, features
from edge_agent.detect.detector import MemoryArrays
from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.detect.detectors.in_context import InContext
from edge_agent.detect.judge import Judge
from edge_agent.model.lazy_arrays import entries
from edge_agent.records import Float32
from edge_trainer.in_context.machines.machine import MachineRows

VERSION = FEATURES
WINDOW_ROWS = 128
HOP_ROWS = 4
"""Rows from one scored window to the next, as on a gateway."""
_WEEK_S = 7 * 86_400.0
_BUDGET_PER_WEEK = 1.0
_MEMORY = MemoryArrays(InContext())

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Look:
    """What the judge is asked of W windows.

    Attributes:
        channels: [W, C, F]. machine: [W, G]. present: [W, C].
        parts: what the statistics together come to by their own threshold, and the jump by its, [W, 2].
        shape: calibrated Mahalanobis distance of the newest rows, [W].
    """

    channels: Float32
    machine: Float32
    present: npt.NDArray[np.bool_]
    parts: Float32
    shape: Float32


def learnt(machine: MachineRows, judge: Judge | None = None) -> Arrays:
    """What the agent learns of the machine's context, where a judge is to decide or none.

    Raises:
        CommissionError: too few usable rows.
    """
    return commission(
        machine.values[: machine.context_rows],
        window_rows=WINDOW_ROWS,
        encode=None,
        budget_per_week=_BUDGET_PER_WEEK,
        windows_per_week=_WEEK_S / (machine.period_s * HOP_ROWS),
        hop_rows=HOP_ROWS,
        period_s=machine.period_s,
        seed=0,
        judge=judge,
    )


def look(machine: MachineRows, ends: npt.NDArray[np.int64]) -> Look:
    """Learn the machine from its context and look at the windows that end before the rows `ends` [W].

    Raises:
        CommissionError: too few usable rows.
    """
    return look_with(learnt(machine), machine.values, ends)


def look_with(arrays: Arrays, values: Float32, ends: npt.NDArray[np.int64]) -> Look:
    """The windows of rows [R, C] that end before the rows `ends` [W], by what was learnt."""
    windows = np.ascontiguousarray(
        sliding_window_view(values, WINDOW_ROWS, axis=0)[ends - WINDOW_ROWS]
    )  # W C T
    due = ENSEMBLE.hear(arrays, windows)
    memory: Context = _MEMORY.read(entries(arrays))
    channels, machine = features([memory], due)
    scores = ENSEMBLE.score(arrays, windows, None)
    return Look(
        channels=channels,
        machine=machine,
        present=due.present,
        parts=scores.parts,
        shape=scores.calibrated[:, ENSEMBLE.names.index("shape")],
    )
