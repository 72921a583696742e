"""A machine of three channels: the second follows the first, the third is noise of its own."""

import numpy as np
from edge_trainer.in_context.machines.machine import MachineRows

from edge_agent.records import Float32


def rows(count: int, *, seed: int = 0) -> Float32:
    rng = np.random.default_rng(seed)
    slow = np.convolve(rng.standard_normal(count + 24), np.ones(25) / 5.0, mode="valid")
    second = slow + 0.05 * rng.standard_normal(count)
    return np.stack([slow, second, rng.standard_normal(count)], axis=1).astype(np.float32)


def machine(*, seed: int = 0, context_rows: int = 900) -> MachineRows:
    values = rows(2400, seed=seed)
    return MachineRows(values, context_rows, 1.0, (), np.ones(len(values), np.bool_))
