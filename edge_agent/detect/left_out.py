"""Normal windows that are left out in turn: how far each is from the remembered others, and what follows from that.

Nothing that was seen while a machine was learnt is forgotten, and nothing that was seen once may rule what is usual. So
a remembered window *tolerates* as much as its neighbours in time were strange themselves: how far a new window is from
it is divided by that. A stretch that was unlike all others is *rare*: it is remembered, and sets no scale and no
threshold. Tolerance only widens: where nothing is rare it is 1.

No detector; pure.

Axes: W normal windows, M remembered windows, P views of a window.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_agent.signals.features import Float32

Ints = NDArray[np.int64]

_RARE = 3.0
"""A window is rare from this many times the distance on that three quarters of its kind stay within."""
_USUAL_QUANTILE = 0.75
_PLAIN_SHARE = 0.9
"""At least this share of the windows, of each kind and of all, is no rare one."""
_EDGE_QUANTILE = 0.99
_LEAST = 1e-6
_FEWEST_PLAIN = 50


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What leaving normal windows out in turn says of one machine.

    Attributes:
        distance: of each window to the remembered ones that it may meet, [P, W].
        nearest: place of the nearest of those among the remembered ones, [P, W].
    """

    distance: Float32
    nearest: Ints


def rare_windows(
    distance: Float32, *, ends: Ints, window_rows: int, sets: NDArray[np.integer] | None = None
) -> NDArray[np.bool_]:
    """Which windows [W] were unlike the others in some view, with what lies half a window around; at most a tenth.

    Args:
        distance: to the remembered windows that each may meet, [P, W].
        ends: row after each window's newest one, [W].
        window_rows: rows of a window.
        sets: with which others a window of each view is compared, [P, W]; None: with all.
    """
    beyond = np.zeros(distance.shape[1], np.float32)
    for view, far in enumerate(distance):
        for kind in _kinds(sets, view, len(far)):
            fence = max(
                _RARE * float(np.quantile(far[kind], _USUAL_QUANTILE)),
                float(np.quantile(far[kind], _PLAIN_SHARE)),
                _LEAST,
            )
            beyond[kind] = np.maximum(beyond[kind], far[kind] / fence)
    around = largest_nearby(beyond, ends=ends, chosen=np.arange(len(ends)), reach_rows=window_rows // 2)
    fence = max(1.0, float(np.quantile(around, _PLAIN_SHARE, method="higher")))
    return np.asarray(around > fence)


def tolerance(
    far: Float32,
    *,
    ends: Ints,
    chosen: Ints,
    reach_rows: int,
    kept: NDArray[np.bool_],
    sets: NDArray[np.integer] | None = None,
) -> Float32:
    """What remembered windows tolerate, [M] or [M, C]: 1, or how strange those around them were beyond plain ones.

    Args:
        far: how strange each normal window is, [W], or each of its channels, [W, C]; at least 0.
        ends: row after each window's newest one, [W].
        chosen: which windows are remembered, [M].
        reach_rows: windows that end less than this apart share rows.
        kept: which windows are no rare ones, [W].
        sets: of each window [W], where only those of one set are alike.
    """
    largest = largest_nearby(far, ends=ends, chosen=chosen, reach_rows=reach_rows, sets=sets)
    whole = far if far.ndim == 1 else far.max(axis=1)
    found = np.ones_like(largest)
    for kind in _kinds(None if sets is None else sets[None], 0, len(ends)):
        edge = max(float(np.quantile(whole[plain_windows(kind, kept)], _EDGE_QUANTILE)), _LEAST)
        mine = kind[chosen]
        found[mine] = np.maximum(largest[mine] / np.float32(edge), np.float32(1.0))
    return found


def plain_windows(members: NDArray[np.bool_], kept: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of a set's windows [W] say what is usual in it: the kept ones, or all where most of it was seen once."""
    plain = members & kept
    return plain if plain.sum() >= max(_FEWEST_PLAIN, members.sum() / 2) else members


def largest_nearby(
    values: Float32,
    *,
    ends: Ints,
    chosen: Ints,
    reach_rows: int,
    sets: NDArray[np.integer] | None = None,
) -> Float32:
    """The largest of the values [W, ...] within less than `reach_rows` of each of the chosen windows: [M, ...]."""
    first = np.searchsorted(ends, ends[chosen] - reach_rows, side="right")
    after = np.searchsorted(ends, ends[chosen] + reach_rows, side="left")
    found = np.empty((len(chosen), *values.shape[1:]), np.float32)
    for place, (window, start, end) in enumerate(
        zip(chosen.tolist(), first.tolist(), after.tolist(), strict=True)
    ):
        start, end = min(start, window), max(end, window + 1)  # noqa: PLW2901 - a window is near itself
        near = values[start:end]
        found[place] = (near if sets is None else near[sets[start:end] == sets[window]]).max(axis=0)
    return found


def _kinds(sets: NDArray[np.integer] | None, view: int, n_windows: int) -> Sequence[NDArray[np.bool_]]:
    """Which windows are of each set, [W] each; all of them where there are no sets."""
    if sets is None:
        return [np.ones(n_windows, dtype=bool)]
    return [sets[view] == number for number in np.unique(sets[view])]
