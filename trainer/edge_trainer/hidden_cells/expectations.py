"""What a machine's own calm rows let expect of hidden cells of one channel, in several ways; trains no network.

Axes: N calm spans, B spans, K channels (the hidden one first), S rows of a span, L hidden rows, V visible cells,
E expectations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from edge_agent.detect.gaussians import gaussian
from edge_agent.records import Float32
from edge_trainer.hidden_cells.gaps import Gap

NAMES = (
    "interpolation",
    "gaussian",
    "own_gaussian",
    "moved_gaussian",
    "own_moved_gaussian",
    "neighbours",
    "moved_neighbours",
    "mean",
)
"""Expectations in their order, [E]. "own": of the hidden channel's rows alone; "moved": relative to its level beside
the gap, so that a machine that has drifted is not drawn back to where it was learnt."""
INTERPOLATION, GAUSSIAN, MEAN = (NAMES.index(name) for name in ("interpolation", "gaussian", "mean"))
RELATED = 5
"""Other channels that are looked at, at most."""
_MOST_SPANS = 1000
_FEWEST_SPANS = 24
_KNOWN_SHARE = 2 / 3
"""Of the calm spans, by which expectations are learnt that are measured on the rest."""
_NEIGHBOURS = 5
_SMALL = 1e-3


class Regression(NamedTuple):
    """A Gaussian's expectation of the hidden cells: `mean` [L] and what visible cells [V] that are off add to it."""

    mean: Float32
    visible_mean: Float32
    weight: Float32

    def expect(self, visible: Float32) -> Float32:
        """Of visible cells [B, V], the hidden ones [B, L]."""
        return np.asarray(self.mean + (visible - self.visible_mean) @ self.weight, np.float32)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What calm spans taught.

    Attributes:
        gap: the hidden cells.
        regressions: "gaussian" to "own_moved_gaussian", in the order of `NAMES`.
        banks: (visible [N, V], hidden [N, L]) of raw and of moved spans.
    """

    gap: Gap
    regressions: tuple[Regression, ...]
    banks: tuple[tuple[Float32, Float32], ...]

    def expect(self, spans: Float32) -> Float32:
        """All expectations of the hidden cells of spans [B, K, S]: [E, B, L]; what is hidden is not looked at."""
        level = base(spans, self.gap)
        hidden_level = level[:, 0, self.gap.hidden]
        raw, moved = (_visible(part, self.gap) for part in (spans, spans - level))
        own = self.gap.span_rows - self.gap.rows
        whole, alone, whole_moved, alone_moved = self.regressions
        return np.stack(
            [
                hidden_level,
                whole.expect(raw),
                alone.expect(raw[:, :own]),
                whole_moved.expect(moved) + hidden_level,
                alone_moved.expect(moved[:, :own]) + hidden_level,
                _nearest(raw, *self.banks[0]),
                _nearest(moved, *self.banks[1]) + hidden_level,
                np.broadcast_to(self.banks[0][1].mean(axis=0), hidden_level.shape),
            ]
        ).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Expectations:
    """What was learnt of one channel for one gap.

    Attributes:
        channels: the hidden one and those most related to it, [K].
        correlation: of each with the hidden one, [K].
        fitted: by all calm rows.
        calm_error: root mean square error of each expectation of each hidden row, by calm rows that it was not
            learnt from, [E, L].
        n_rows: calm rows.
    """

    channels: npt.NDArray[np.int64]
    correlation: Float32
    fitted: Fitted
    calm_error: Float32
    n_rows: int


def learn(z: Float32, *, channel: int, gap: Gap) -> Expectations | None:
    """Learn from calm rows [R, C] in normal scales; None where there are too few."""
    channels, correlation = related(z, channel)
    every = max(1, (len(z) - gap.span_rows) // _MOST_SPANS)
    if len(z) < gap.span_rows + _FEWEST_SPANS:
        return None
    spans = np.ascontiguousarray(sliding_window_view(z[:, channels], gap.span_rows, axis=0)[::every])  # N K S
    known = int(_KNOWN_SHARE * len(spans))
    first_after = known + -(-gap.span_rows // every)
    if known < _FEWEST_SPANS // 2 or first_after >= len(spans):
        return None
    rest = spans[first_after:]
    error = _fit(spans[:known], gap).expect(rest) - rest[:, 0, gap.hidden]
    calm_error = np.sqrt(np.mean(error**2, axis=1))
    return Expectations(channels, correlation, _fit(spans, gap), calm_error.astype(np.float32), len(z))


def related(z: Float32, channel: int) -> tuple[npt.NDArray[np.int64], Float32]:
    """(the channel and those most like it in level or in its steps [K], how much [K]) by calm rows [R, C]."""
    both = [_correlation(part, channel) for part in (z, np.diff(z, axis=0))]
    likeness = np.maximum(*(np.abs(part) for part in both))
    likeness[channel] = np.inf
    chosen = np.argsort(-likeness, kind="stable")[: RELATED + 1]
    return chosen, both[0][chosen].astype(np.float32)


def base(spans: Float32, gap: Gap) -> Float32:
    """The level that spans [B, K, S] are moved by: the hidden channel's interpolation, the mean of every other one."""
    level = np.repeat(spans.mean(axis=2, keepdims=True), spans.shape[2], axis=2)
    level[:, 0] = interpolation(spans[:, 0], gap)
    return level


def interpolation(rows: Float32, gap: Gap) -> Float32:
    """A line across the gap of rows [B, S] between the visible cells beside it, and these levels elsewhere.

    After the newest hidden row nothing is visible: there the last value holds.
    """
    first, stop = gap.hidden.start, gap.hidden.stop
    left = rows[:, first - 1 : first]
    right = left if gap.newest else rows[:, stop : stop + 1]
    share = np.clip((np.arange(rows.shape[1]) - first + 1) / (gap.rows + 1), 0.0, 1.0).astype(np.float32)
    found: Float32 = left + share * (right - left)
    return found


def _fit(spans: Float32, gap: Gap) -> Fitted:
    moved = spans - base(spans, gap)
    regressions, banks = [], []
    for part in (spans, moved):
        regressions += [_regression(part, gap), _regression(part[:, :1], gap)]
        banks.append((_visible(part, gap), np.ascontiguousarray(part[:, 0, gap.hidden])))
    return Fitted(gap, tuple(regressions), tuple(banks))


def _regression(spans: Float32, gap: Gap) -> Regression:
    """The conditional mean of a Gaussian of spans [N, K, S], shrunk as the agent shrinks its own.

    With the precision P of all cells, hidden ones h are expected at mean_h - P_hh^-1 P_hv (v - mean_v).
    """
    mean, precision = gaussian(spans.reshape(len(spans), -1).astype(np.float64))
    hidden = np.zeros(mean.size, np.bool_)
    hidden[gap.hidden] = True
    exact = precision.astype(np.float64)
    weight = -np.linalg.solve(exact[np.ix_(hidden, hidden)], exact[np.ix_(hidden, ~hidden)])
    return Regression(mean[hidden], mean[~hidden], weight.T.astype(np.float32))


def _nearest(visible: Float32, bank: Float32, hidden: Float32) -> Float32:
    """Hidden cells [B, L] of the calm spans whose visible cells are nearest to `visible` [B, V], near ones first."""
    square = np.sum(visible**2, axis=1)[:, None] - 2.0 * visible @ bank.T + np.sum(bank**2, axis=1)
    count = min(_NEIGHBOURS, len(bank))
    near = np.argpartition(square, count - 1, axis=1)[:, :count]
    distance = np.sqrt(np.maximum(np.take_along_axis(square, near, axis=1), 0.0))
    weight = 1.0 / (distance + _SMALL * visible.shape[1])
    weight /= weight.sum(axis=1, keepdims=True)
    found: Float32 = np.einsum("bn,bnl->bl", weight, hidden[near]).astype(np.float32)
    return found


def _visible(spans: Float32, gap: Gap) -> Float32:
    """Visible cells [B, V] of spans [B, K, S], those of the hidden channel first."""
    own = np.delete(spans[:, 0], gap.hidden, axis=1)
    return np.concatenate([own, spans[:, 1:].reshape(len(spans), -1)], axis=1)


def _correlation(rows: Float32, channel: int) -> npt.NDArray[np.float64]:
    apart = rows - rows.mean(axis=0, dtype=np.float64)
    spread = np.sqrt(np.mean(apart**2, axis=0)) + _SMALL
    found: npt.NDArray[np.float64] = (apart.T @ apart[:, channel]) / len(rows) / spread / spread[channel]
    return found


def best_by_calm_rows(errors: Float32, among: Sequence[int] = range(len(NAMES))) -> int:
    """Which expectation errs least by calm errors [E, L]."""
    return min(among, key=lambda number: float(np.mean(errors[number] ** 2)))
