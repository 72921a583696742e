"""What a network is told of a hidden cell: numbers without a unit, relative to how well the cell can be known at all.

Axes: B spans, K channels (the hidden one first), S rows of a span, L hidden rows, E expectations, F features.
"""

import numpy as np

from edge_agent.records import Float32
from edge_agent.signals.features import signed_log
from edge_trainer.hidden_cells.expectations import INTERPOLATION, NAMES, Expectations, base
from edge_trainer.hidden_cells.gaps import Gap, earlier_spans

N_EXPECTATIONS = len(NAMES)
LEAST_SCALE = 0.02
"""Normal scales below which nobody needs to know a cell better."""
_SHOWN = 3
"""Related channels whose course in the gap is told."""
_SHOWN_ROWS = 8
"""Visible rows of the hidden channel on either side that are told."""
N_FEATURES = 3 * N_EXPECTATIONS + 8 + 2 * _SHOWN_ROWS + 2 * _SHOWN


def scale_of(learnt: Expectations) -> float:
    """How far the best expectation is off on calm rows, in normal scales."""
    return max(float(np.sqrt(np.mean(learnt.calm_error**2, axis=1)).min()), LEAST_SCALE)


def earlier_errors(learnt: Expectations, windows: Float32) -> Float32:
    """How far each expectation is off when the same cells are hidden a little earlier in windows [B, K, T]: [E, B]."""
    gap = learnt.fitted.gap
    spans = earlier_spans(windows, gap)  # N B K S
    n, B = spans.shape[:2]
    flat = spans.reshape(n * B, *spans.shape[2:])
    error = learnt.fitted.expect(flat) - flat[:, 0, gap.hidden]
    found: Float32 = np.sqrt(np.mean(error.reshape(len(error), n, B, -1) ** 2, axis=(1, 3)))
    return found


def features(learnt: Expectations, windows: Float32, expected: Float32) -> Float32:
    """Features [B, L, F] of the cells hidden at the end of windows [B, K, T], by what is expected of them [E, B, L].

    In this order: how far expectations are from interpolation, logarithms of their calm errors and of their errors
    a little earlier, where in the gap a cell lies, what was learnt from, visible rows, and what related channels do.
    """
    gap, scale = learnt.fitted.gap, scale_of(learnt)
    spans = windows[..., -gap.span_rows :]
    B, L = len(windows), gap.rows
    told = np.empty((B, L, N_FEATURES), np.float32)
    told[..., :N_EXPECTATIONS] = signed_log(np.moveaxis((expected - expected[INTERPOLATION]) / scale, 0, 2))
    told[..., N_EXPECTATIONS : 2 * N_EXPECTATIONS] = _log(learnt.calm_error.T / scale)
    earlier = _log(earlier_errors(learnt, windows).T / scale)
    told[..., 2 * N_EXPECTATIONS : 3 * N_EXPECTATIONS] = earlier[:, None]
    at = 3 * N_EXPECTATIONS
    told[..., at : at + 4] = _place(gap)
    told[..., at + 4 : at + 8] = _learnt(learnt, scale)
    told[..., at + 8 : at + 8 + 2 * _SHOWN_ROWS] = _beside(spans[:, 0], gap, scale)[:, None]
    told[..., at + 8 + 2 * _SHOWN_ROWS :] = _course(spans, learnt)
    return told


def _log(ratio: Float32) -> Float32:
    found: Float32 = np.log(ratio + np.float32(0.05))
    return found


def _place(gap: Gap) -> Float32:
    """[L, 4]."""
    row = np.arange(gap.rows)
    edge = row + 1 if gap.newest else np.minimum(row + 1, gap.rows - row)
    columns = [
        np.full(gap.rows, np.log2(gap.rows)),
        np.full(gap.rows, float(gap.newest)),
        (row + 1) / (gap.rows + 1),
        np.log2(edge),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _learnt(learnt: Expectations, scale: float) -> Float32:
    """[4]."""
    others = np.abs(learnt.correlation[1:])
    found = [np.log(learnt.n_rows / 1000.0), len(others), others.max(initial=0.0), np.log(scale)]
    return np.array(found, np.float32)


def _beside(rows: Float32, gap: Gap, scale: float) -> Float32:
    """Visible rows of the hidden channel [B, S] from the level beside the gap, [B, 2 * _SHOWN_ROWS]; 0: none."""
    told = np.zeros((len(rows), 2 * _SHOWN_ROWS), np.float32)
    first, stop = gap.hidden.start, gap.hidden.stop
    told[:, :_SHOWN_ROWS] = rows[:, first - _SHOWN_ROWS : first] - rows[:, first - 1 : first]
    if not gap.newest:
        told[:, _SHOWN_ROWS - 1] = rows[:, stop] - rows[:, first - 1]
        told[:, _SHOWN_ROWS:] = rows[:, stop : stop + _SHOWN_ROWS] - rows[:, stop : stop + 1]
    return signed_log(told / np.float32(scale))


def _course(spans: Float32, learnt: Expectations) -> Float32:
    """How far related channels run from their mean in the gap, and how related they are, [B, L, 2 * _SHOWN]."""
    gap = learnt.fitted.gap
    told = np.zeros((len(spans), gap.rows, 2 * _SHOWN), np.float32)
    for number in range(min(_SHOWN, spans.shape[1] - 1)):
        other = spans[:, number + 1 : number + 2]
        told[..., number] = signed_log((other - base(other, gap)[:, :1])[:, 0, gap.hidden])
        told[..., _SHOWN + number] = learnt.correlation[number + 1]
    return told
