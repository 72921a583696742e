"""Recordings as batches of windows: sampling, splits and checks; no model, no loss, no file format.

Chance is a numpy generator that the caller passes in; the same generator gives the same batch.
"""

import glob
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from edge_agent.errors import TrainingError
from edge_agent.recordings import tables
from edge_agent.recordings.tables import Recording
from edge_agent.records import Float32
from edge_trainer.training.objectives.batch import Batch

_MAD_TO_SD = 1.4826
_SPAN_TO_SD = 4.1
"""Distance from the 2 % to the 98 % point of a normal distribution with standard deviation 1."""


@dataclass(frozen=True, slots=True)
class Signals:
    """Many single-channel signals laid end to end.

    Attributes:
        values: [total rows], NaN where missing.
        starts, lengths: [S] where each signal lies in `values`.
        location, scale: [S] robust centre and spread of each.
        kind: [S] where each comes from, for pictures and cards.
    """

    values: Float32
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    location: Float32
    scale: Float32
    kind: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True, slots=True)
class Draw:
    """How windows are drawn from signals.

    Attributes:
        window_rows: T.
        near_rows: a near window lies at most this many rows away.
        strides: a window takes every 1st, 2nd, … row, drawn from these: one machine's second is another's
            minute.
        jitter: standard deviation of the disturbance of location and of log scale, for a machine's own
            estimates are never exact.
        memory: of how many windows of a batch further windows are drawn, and how many each.
    """

    window_rows: int
    near_rows: int = 4
    strides: tuple[int, ...] = (1, 2, 3)
    jitter: float = 0.2
    memory: tuple[int, int] = (0, 0)


def robust_place(values: Float32) -> tuple[float, float]:
    """Centre and spread of a signal [R] as the agent estimates them when it commissions a machine.

    The median, and the larger of two robust spreads (of the middle half and of the bulk), for a channel that
    rests most of the time has none in its middle; 1 where nothing moves.
    """
    seen = values[np.isfinite(values)].astype(np.float64)
    if len(seen) == 0:
        return 0.0, 1.0
    middle = float(np.median(seen))
    low, high = np.percentile(seen, [2, 98])
    spread = max(_MAD_TO_SD * float(np.median(np.abs(seen - middle))), float(high - low) / _SPAN_TO_SD)
    spread = spread if spread > 0 else float(seen.std())
    return middle, spread if spread > 0 else 1.0


def signals_of_rows(rows: Float32, *, kind: str) -> Signals:
    """Each of S rows [S, R] as a signal of its own."""
    places = [robust_place(row) for row in rows]
    count, length = rows.shape
    return Signals(
        values=np.ascontiguousarray(rows, np.float32).ravel(),
        starts=np.arange(count, dtype=np.int64) * length,
        lengths=np.full(count, length, np.int64),
        location=np.array([place for place, _ in places], np.float32),
        scale=np.array([spread for _, spread in places], np.float32),
        kind=np.full(count, kind),
    )


def joined(parts: Sequence[Signals]) -> Signals:
    """Signals of several sources as one."""
    offsets = np.cumsum([0, *(len(part.values) for part in parts)])
    return Signals(
        values=np.concatenate([part.values for part in parts]),
        starts=np.concatenate([part.starts + at for part, at in zip(parts, offsets, strict=False)]),
        lengths=np.concatenate([part.lengths for part in parts]),
        location=np.concatenate([part.location for part in parts]),
        scale=np.concatenate([part.scale for part in parts]),
        kind=np.concatenate([part.kind for part in parts]),
    )


def split_signals(signals: Signals, *, held_out_share: float, seed: int) -> tuple[Signals, Signals]:
    """(for training, held out), whole signals on either side."""
    order = np.random.default_rng(seed).permutation(len(signals))
    held_out = max(1, round(held_out_share * len(signals)))
    return _take(signals, np.sort(order[held_out:])), _take(signals, np.sort(order[:held_out]))


def _take(signals: Signals, chosen: NDArray[np.int64]) -> Signals:
    return replace(
        signals,
        starts=signals.starts[chosen],
        lengths=signals.lengths[chosen],
        location=signals.location[chosen],
        scale=signals.scale[chosen],
        kind=signals.kind[chosen],
    )


def draw_batch(
    sources: Sequence[tuple[float, Signals]], draw: Draw, *, count: int, rng: np.random.Generator
) -> tuple[Batch, NDArray[np.str_]]:
    """B single-channel windows and the kind of each, from sources with shares of the batch.

    A third of the windows is turned upside down: what rises here falls elsewhere.
    """
    shares = np.array([share for share, _ in sources])
    counts = rng.multinomial(count, shares / shares.sum())
    parts = [
        _gather(signals, draw, count=n, rng=rng) for n, (_, signals) in zip(counts, sources, strict=True) if n
    ]
    order = rng.permutation(count)  # an objective may look at the first windows alone
    window, near, memory, location, scale, kind = (
        np.concatenate(arrays)[order] for arrays in zip(*parts, strict=True)
    )
    flip = np.where(rng.random(count) < 1 / 3, np.float32(-1), np.float32(1))
    batch = as_batch(
        window * flip[:, None],
        near * flip[:, None],
        location=location * flip,
        scale=scale,
    )
    some = memory[: draw.memory[0]] * flip[: draw.memory[0], None, None]
    present = np.isfinite(some)
    return replace(
        batch,
        memory=torch.from_numpy(np.where(present, some, 0.0).astype(np.float32)),
        memory_present=torch.from_numpy(present.astype(np.float32)),
    ), kind


def _gather(
    signals: Signals, draw: Draw, *, count: int, rng: np.random.Generator
) -> tuple[Float32, Float32, Float32, Float32, Float32, NDArray[np.str_]]:
    """(window [N, T], near [N, T], memory [N, K, T], location [N], scale [N], kind [N])."""
    chosen = rng.integers(0, len(signals), count)
    room = signals.lengths[chosen]
    wanted = rng.choice(draw.strides, count)
    # A short signal is read at the longest stride that fits.
    stride = np.maximum(1, np.minimum(wanted, (room - 2 * draw.near_rows - 1) // (draw.window_rows - 1)))
    span = (draw.window_rows - 1) * stride + 1
    first = draw.near_rows + np.floor(rng.random(count) * (room - span - 2 * draw.near_rows + 1)).astype(
        np.int64
    )
    shift = rng.integers(1, draw.near_rows + 1, count) * rng.choice([-1, 1], count)
    base = (signals.starts[chosen] + first)[:, None] + np.arange(draw.window_rows) * stride[:, None]
    location = signals.location[chosen] + draw.jitter * rng.standard_normal(count) * signals.scale[chosen]
    scale = signals.scale[chosen] * np.exp(draw.jitter * rng.standard_normal(count))
    window, near = signals.values[base], signals.values[base + shift[:, None]]
    elsewhere = _elsewhere(first, room=room, span=span, count=draw.memory[1], rng=rng) - first[:, None]
    memory = signals.values[base[:, None] + elsewhere[..., None]]
    return window, near, memory, location.astype(np.float32), scale.astype(np.float32), signals.kind[chosen]


def _elsewhere(
    first: NDArray[np.int64],
    *,
    room: NDArray[np.int64],
    span: NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """First rows [N, K] of further windows of signals of `room` rows, at most half over the window at `first`."""
    places = room - span + 1
    low = np.maximum(first - span // 2, 0)
    barred = np.minimum(first + span // 2 + 1, places) - low
    free = places - barred
    barred = np.where(free > 0, barred, 0)  # a signal that is hardly longer than a window
    drawn = np.floor(rng.random((len(first), count)) * (places - barred)[:, None]).astype(np.int64)
    return drawn + np.where(drawn >= low[:, None], barred[:, None], 0)


def as_batch(window: Float32, near: Float32, *, location: Float32, scale: Float32) -> Batch:
    """Single-channel arrays [N, T] and [N] as a batch of tensors [N, 1, T]; NaN becomes "not present"."""
    present, near_present = np.isfinite(window), np.isfinite(near)
    return Batch(
        window=torch.from_numpy(np.where(present, window, 0.0).astype(np.float32)[:, None]),
        near=torch.from_numpy(np.where(near_present, near, 0.0).astype(np.float32)[:, None]),
        present=torch.from_numpy(present.astype(np.float32)[:, None]),
        near_present=torch.from_numpy(near_present.astype(np.float32)[:, None]),
        location=torch.from_numpy(location.astype(np.float32)[:, None]),
        scale=torch.from_numpy(scale.astype(np.float32)[:, None]),
        label=torch.full((len(window),), -1, dtype=torch.int64),
    )


def read_all(
    root: Path, names: Sequence[str], *, channels: Sequence[str] | None = None, exclude: Sequence[str] = ()
) -> list[Recording]:
    """Every recording that the names stand for, whole.

    Raises:
        RecordingError: a file cannot be used. TrainingError: as `find_all`.
    """
    return [tables.read(path, channels=channels, exclude=exclude) for path in find_all(root, names)]


def find_all(root: Path, names: Sequence[str]) -> tuple[Path, ...]:
    """Every file that the names (folders, files, patterns below `root`) stand for, each once.

    Raises:
        RecordingError: a folder holds none. TrainingError: nothing was named, or a name stands for nothing.
    """
    if not names:
        raise TrainingError("no recordings were named")
    paths: dict[Path, None] = {}  # an ordered set
    for name in names:
        there = sorted(root.glob(name)) if glob.has_magic(name) else [root / name]
        if not there:
            raise TrainingError(f"no recording is called {root / name}")
        paths |= dict.fromkeys(path for place in there for path in tables.find(place))
    return tuple(paths)
