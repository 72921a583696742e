"""What healthy machines do by themselves and nobody labels: drift, gain, new set points, glitches, slow recovery.

A judge that has not seen hours of it after a short context takes it for faults. Chance comes only from the generator.
"""

import numpy as np
import numpy.typing as npt

from edge_trainer.in_context.injections import Floats, log_uniform

Rows = npt.NDArray[np.float32]


def drift(rng: np.random.Generator, rows: Rows, *, scale: Floats) -> None:
    """Lay a slow wave, slope or walk under some channels of rows [R, C], or all, in place; `scale` is [C]."""
    n_rows, n_channels = rows.shape
    if rng.random() < 0.7:
        moved = rng.random(n_channels) < rng.choice([0.2, 0.6, 1.0])
        at = np.arange(n_rows)
        how = rng.random()
        if how < 0.4:
            slow = np.sin(2 * np.pi * (at / log_uniform(rng, 1500, 40_000) + rng.random()))
        elif how < 0.7:
            slow = 2.0 * at / max(n_rows, 4000) * rng.choice([-1.0, 1.0])
        else:
            slow = np.cumsum(rng.standard_normal(n_rows)) / np.sqrt(n_rows)
        size = log_uniform(rng, 0.2, 3.0) * scale[moved] * rng.uniform(0.5, 1.5, int(moved.sum()))
        rows[:, moved] += (slow[:, None] * size * rng.choice([-1.0, 1.0], len(size))).astype(np.float32)
    if rng.random() < 0.25:
        channel = int(rng.integers(n_channels))
        level = float(rows[:, channel].mean())
        gain = 1.0 + rng.uniform(-0.3, 0.6) * np.arange(n_rows) / n_rows
        rows[:, channel] = (level + (rows[:, channel] - level) * gain).astype(np.float32)


def glitches(rng: np.random.Generator, rows: Rows, *, scale: Floats) -> None:
    """A few blips of one or two rows in one channel, anywhere in rows [R, C], in place."""
    for _ in range(int(rng.integers(1, 12))):
        channel, start = int(rng.integers(rows.shape[1])), int(rng.integers(len(rows) - 2))
        size = scale[channel] * log_uniform(rng, 2.0, 40.0) * rng.choice([-1.0, 1.0])
        rows[start : start + int(rng.integers(1, 3)), channel] += np.float32(size)


def new_set_point(rng: np.random.Generator, rows: Rows, *, first_row: int, scale: Floats) -> int:
    """Move some channels to another level that stays, in place; returns the row from which on they have it."""
    n_rows, n_channels = rows.shape
    start = int(rng.integers(first_row, n_rows))
    moved = rng.random(n_channels) < rng.choice([0.3, 0.7, 1.0])
    moved[rng.integers(n_channels)] = True
    there = 1.0 - np.exp(-np.arange(n_rows - start) / log_uniform(rng, 1.0, 60.0))
    size = scale[moved] * np.exp(rng.uniform(np.log(0.5), np.log(6.0), int(moved.sum())))
    rows[start:, moved] += (there[:, None] * size * rng.choice([-1.0, 1.0], len(size))).astype(np.float32)
    return start


def recovery(
    rng: np.random.Generator, rows: Rows, *, stop: int, guilty: npt.NDArray[np.bool_], scale: Floats
) -> None:
    """What heat and wound-up controllers leave behind when a fault has ended at row `stop`, in place."""
    tau_rows = log_uniform(rng, 5.0, 120.0)
    last = min(len(rows), stop + int(5 * tau_rows))
    fading = np.exp(-np.arange(last - stop) / tau_rows)
    size = scale[guilty] * np.exp(rng.uniform(np.log(0.3), np.log(4.0), int(guilty.sum())))
    size *= rng.choice([-1.0, 1.0], len(size))
    rows[stop:last, guilty] += (fading[:, None] * size).astype(np.float32)
