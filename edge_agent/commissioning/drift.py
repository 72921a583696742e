"""How far a machine's normal rows and scores have moved from those it was learnt from. Pure; alarms nothing.

The measure is the population stability index (PSI) of a histogram by the deciles of commissioning, with a class below
and one above all that was seen then: the sum of (now - then) * ln(now / then) over the classes' shares. Credit scoring
calls 0.1 a small and 0.25 a large change (Siddiqi, Credit Risk Scorecards, 2006) of independent samples; rows of a
machine are not independent. So each signal's figure is what exceeds the largest PSI that a quarter of the
commissioning rows had against all of them: a machine that wandered while it was learnt may wander on.

Axes: R rows, C channels, S signals (the channels, then the score), E edges, B windows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32, WindowBlock

Memory = Mapping[str, NDArray[Any]]

_EDGES, _SHARES, _USUAL, _SIZES, _COUNTS = (
    f"drift/{part}" for part in ("edges", "shares", "usual", "sizes", "counts")
)
_PARTS = 4
_LEAST_SHARE = 1e-3
"""What an empty class counts for: the index of a class that was empty and is not would be infinite."""
_DAY_NS = 24 * 3600 * 1_000_000_000
_WAITING_WINDOWS = 16
"""Windows that wait to be counted together: counting one by one costs more. 64 would save 3 µs a window and take 52 KB
more of each machine of 8 channels and 20 rows a second."""
_PATIENCE = 1.5
"""So many steps after the window before, a window still counts as the next one."""


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a machine is from what was learnt; each None while nothing can be said.

    Attributes:
        inputs: PSI beyond the usual of the channel that has moved most.
        channel: that channel's place.
        scores: PSI beyond the usual of the normal scores.
        scored_share: share of the last day's time (half-life) that ended in a scored window.
    """

    inputs: float | None = None
    channel: int | None = None
    scores: float | None = None
    scored_share: float | None = None


def reference(rows: Float32, scores: Float32) -> dict[str, NDArray[Any]]:
    """What to compare with: of normal rows [R, C], NaN where unknown, and normal scores [W] by the learnt threshold."""
    signals = [*np.asarray(rows, np.float32).T, np.asarray(scores, np.float32)]
    learnt = [_reference(signal[np.isfinite(signal)]) for signal in signals]
    edges, shares, usual, sizes = zip(*learnt, strict=True)
    return {
        _EDGES: np.stack(edges),
        _SHARES: np.stack(shares),
        _USUAL: np.array(usual, np.float32),
        _SIZES: np.array(sizes, np.int64),
    }


def _reference(values: Float32) -> tuple[Float32, Float32, float, int]:
    """(edges [E], shares [E + 1], the largest PSI of a quarter, how many values) of one signal."""
    if len(values) < _PARTS:
        return np.zeros(11, np.float32), np.full(12, 1 / 12, np.float32), np.inf, len(values)
    edges = np.quantile(values, np.linspace(0.0, 1.0, 11)).astype(np.float32)
    edges[0] = np.nextafter(values.min(), np.float32(-np.inf))
    edges[-1] = values.max()
    whole = _counts(values[:, np.newaxis], edges[np.newaxis])
    quarters = [_counts(part[:, np.newaxis], edges[np.newaxis]) for part in np.array_split(values, _PARTS)]
    usual = max(float(stability_index(part, whole)[0]) for part in quarters)
    return edges, (whole[0] / len(values)).astype(np.float32), usual, len(values)


def _counts(rows: Float32, edges: Float32) -> NDArray[np.float64]:
    """[S, E + 1] how many of the rows [R, S] lie in each class by the edges [S, E], NaN in none."""
    place = (rows[:, :, np.newaxis] > edges).sum(axis=2)  # R S
    n_classes = edges.shape[1] + 1
    cells = (place + np.arange(len(edges)) * n_classes)[np.isfinite(rows)]
    return np.bincount(cells, minlength=len(edges) * n_classes).reshape(len(edges), -1).astype(np.float64)


def stability_index(now: NDArray[np.floating[Any]], then: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Population stability index of two histograms [..., K], counts or shares: [...]."""
    p, q = (
        np.maximum(part / np.maximum(part.sum(axis=-1, keepdims=True), 1e-12), _LEAST_SHARE)
        for part in (now.astype(np.float64), then.astype(np.float64))
    )
    return np.asarray(((p - q) * np.log(p / q)).sum(axis=-1))


_Waiting = tuple[NDArray[np.int64], Float32, Float32, NDArray[np.bool_], tuple[int, ...]]
"""Of a block: times [B], newest rows [B, C, H], scores [B], which are normal [B], hidden channels."""


class DriftStatistics:
    """Counts one machine's normal rows and scores by the classes of commissioning; the older, the less they count."""

    def __init__(self, memory: Memory, *, hop_rows: int, period_ns: int) -> None:
        """Begin where the memory says that counting had come to, if it says so.

        Args:
            memory: the machine's; without a reference (learnt by an older version) there is no drift to tell.
            hop_rows: rows from one scored window to the next.
            period_ns: time from one row to the next.
        """
        self._memory = memory if _EDGES in memory else None
        self._hop_rows, self._hop_ns = max(hop_rows, 1), max(hop_rows * period_ns, 1)
        self._elapsed_ns, self._scored_ns = 0.0, 0.0
        self._last_ns: int | None = None
        self._waiting: list[_Waiting] = []
        self._waiting_windows = 0
        self._told = Drift()
        if self._memory is None:
            return
        self._edges = np.asarray(memory[_EDGES], np.float32)
        kept = np.asarray(memory.get(_COUNTS, ()), np.float64)
        shape = len(self._edges), self._edges.shape[1] + 1
        self._counted = kept.copy() if kept.shape == shape else np.zeros(shape)
        a_day = np.full(shape[0], _DAY_NS / max(period_ns, 1))
        a_day[-1] = _DAY_NS / self._hop_ns
        sizes = np.asarray(memory[_SIZES], np.float64)
        self._half_life = np.maximum(a_day, sizes / _PARTS)  # [S] in rows, of the score in windows
        self._needed = np.minimum(sizes / _PARTS, self._half_life)
        self._tell()

    def observe_scores(self, windows: WindowBlock, scores: Float32, *, normal: NDArray[np.bool_]) -> None:
        """Take in scored windows, their scores [B] by the learnt threshold, and which of them are normal [B]."""
        newest = windows.values[:, :, -self._hop_rows :].copy()  # B C H: no window is kept for its last rows
        self._waiting.append((windows.times_ns, newest, scores, normal, windows.hidden))
        self._waiting_windows += len(scores)
        if self._waiting_windows >= _WAITING_WINDOWS:
            waiting, self._waiting, self._waiting_windows = self._waiting, [], 0
            self._note_times(np.concatenate([times_ns for times_ns, *_ in waiting]))
            if self._memory is not None:
                self._count(waiting)

    def _note_times(self, times_ns: NDArray[np.int64]) -> None:
        first = int(times_ns[0]) if self._last_ns is None else self._last_ns
        steps = np.maximum(np.diff(times_ns, prepend=first), 0)
        passed, self._last_ns = float(steps.sum()), int(times_ns[-1])
        fade = 0.5 ** (passed / _DAY_NS)
        self._elapsed_ns = self._elapsed_ns * fade + passed
        self._scored_ns = self._scored_ns * fade + float(np.minimum(steps, _PATIENCE * self._hop_ns).sum())

    def _count(self, waiting: list[_Waiting]) -> None:
        for _, newest, _, normal, hidden in waiting:
            newest[~normal] = np.nan
            newest[:, list(hidden)] = np.nan
        rows = np.concatenate(
            [np.moveaxis(newest, 1, 2).reshape(-1, newest.shape[1]) for _, newest, *_ in waiting]
        )
        scores = np.concatenate([scores[normal] for _, _, scores, normal, _ in waiting])
        new = np.concatenate(
            [_counts(rows, self._edges[:-1]), _counts(scores[:, np.newaxis], self._edges[-1:])]
        )
        self._counted *= 0.5 ** (new.sum(axis=1) / self._half_life)[:, np.newaxis]
        self._counted += new
        self._tell()

    def _tell(self) -> None:
        assert self._memory is not None  # noqa: S101 - only asked where there is a reference
        beyond = stability_index(self._counted, self._memory[_SHARES]) - self._memory[_USUAL]
        known = (self._counted.sum(axis=1) >= self._needed) & np.isfinite(beyond)
        beyond = np.where(known, np.maximum(beyond, 0.0), -1.0)
        channel = int(beyond[:-1].argmax())
        heard = bool(known[:-1].any())
        self._told = Drift(
            inputs=float(beyond[channel]) if heard else None,
            channel=channel if heard else None,
            scores=float(beyond[-1]) if known[-1] else None,
        )

    def drift(self) -> Drift:
        """What is to be told now; cheap."""
        share = self._scored_ns / self._elapsed_ns if self._elapsed_ns else None
        told = self._told
        return Drift(told.inputs, told.channel, told.scores, share)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What should survive a restart, as part of the machine's memory: the counts."""
        return {} if self._memory is None else {_COUNTS: self._counted.astype(np.float32)}
