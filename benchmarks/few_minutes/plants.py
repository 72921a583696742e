"""The simulated plants of this benchmark: few rows to learn from, three calm hours, then each fault of the kind once.

Their seeds are used nowhere else, so that neither a threshold nor a network can have seen them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator import KINDS, MEASURED_KINDS, Injection, simulate

NEWER_KINDS = tuple(name for name in KINDS if name not in MEASURED_KINDS)
GROUPS = {"first kinds": MEASURED_KINDS, "newer kinds": NEWER_KINDS}
"""The three that the first figures are of, and those that came later."""

HOP_ROWS = 5
"""Rows from one judged window to the next; a row a second."""
CALM_ROWS = 3 * 3600
FAULT_ROWS = 600
APART_ROWS = 1500
AFTER_ROWS = 900
"""Rows after a fault that count neither as faulty nor as calm: heat and wound-up controllers take their time."""
_GROWTHS_ROWS = (0, 120, 300)
_SEVERITY = (0.3, 1.0)
_RUN_SEED, _MACHINE_SEED = 1_900_000_000, 1_950_000_000


@dataclass(frozen=True, slots=True)
class Spec:
    """Which plant, and how many rows it is learnt from."""

    kind: str
    seed: int
    learnt_rows: int


@dataclass(frozen=True, slots=True)
class Plant:
    """A plant's rows.

    Attributes:
        channels: C names.
        rows: [R, C], the first `spec.learnt_rows` to be learnt from; no fault is in them.
        faults: in the order of time.
        guilty: of each fault, the columns that it shows in.
    """

    spec: Spec
    channels: tuple[str, ...]
    rows: NDArray[np.float32]
    faults: tuple[Injection, ...]
    guilty: tuple[tuple[int, ...], ...]

    @property
    def ends(self) -> NDArray[np.int64]:
        """Row after the newest one of each judged window, [W]."""
        return np.arange(self.spec.learnt_rows + HOP_ROWS, len(self.rows) + 1, HOP_ROWS, dtype=np.int64)


def specs(kinds: Sequence[str], *, seeds: Sequence[int], learnt_rows: int) -> list[Spec]:
    """A plant a seed, the kinds in turn."""
    return [Spec(kinds[seed % len(kinds)], seed, learnt_rows) for seed in seeds]


def simulated(spec: Spec) -> Plant:
    """The plant; the same faults in the same order whatever it is learnt from."""
    rng = np.random.default_rng([_RUN_SEED, spec.seed])
    at, faults = spec.learnt_rows + CALM_ROWS, []
    for number in rng.permutation(len(KINDS[spec.kind].faults)).tolist():
        name = KINDS[spec.kind].faults[number].name
        growth, severity = int(rng.choice(_GROWTHS_ROWS)), float(rng.uniform(*_SEVERITY))
        faults.append(Injection(name, at, growth, severity, at + FAULT_ROWS))
        at += FAULT_ROWS + APART_ROWS
    run = simulate(
        spec.kind,
        rows=at,
        seed=_RUN_SEED + spec.seed,
        machine_seed=_MACHINE_SEED + spec.seed,
        injections=faults,
    )
    guilty = {fault.name: fault.channels for fault in KINDS[spec.kind].faults}
    columns = tuple(tuple(run.channels.index(name) for name in guilty[each.fault]) for each in faults)
    return Plant(spec, run.channels, run.values, tuple(faults), columns)
