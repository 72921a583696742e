"""Which kind each channel of a machine is, found in its normal rows. Pure.

The first rule that fits decides, and each asks for more than chance brings: what is no constant, no counter and no
state is analog, and is scored as it always was. A person who knows better says so (`[[channel]] kind`).

Axes: R rows, C channels, N changes from one row to the next, V values.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32
from edge_agent.signals.channel_kinds import (
    ANALOG,
    CONSTANT,
    COUNTER,
    KINDS,
    MOST_VALUES,
    STATE,
    ChannelKind,
    ChannelKinds,
    no_spikes,
)

_COUNTER_VALUES = 20
"""A counter takes more values than that: a set-point that was only ever raised does not."""
_FALLS_SHARE = 0.005
_FEW_FALLS = 2
"""Falls that a counter may have among its changes; so few always, if they start it again."""
_RESET_RISES = 10.0
"""A counter that starts again falls by more than so many usual rises, which noise does not."""
_RESET_SHARE = 0.01
"""It starts again near 0: within so many rises, or below this share of where it was."""
_PARTS = 8
_RISING_PARTS, _FEW_RISING_PARTS = 7, 3
"""Equal parts of the learnt rows, and in how many of them a counter rises: few suffice where nothing else looks so."""
_LEAST_LEVEL, _MOST_LEVEL = 0.02, 10.0
"""Where the first value, in units of the rise, lies between: a temperature that warms up is there, too."""
_SETTLING, _ONE_WAY = 2.0, 0.8
"""There, rises of the parts that differ by the former factor and correlate so with time are no counter's."""
_EXCHANGED = 64.0
"""A rise in a row by so many times the largest that was learnt: another meter."""
_TWO_VALUES_ROWS = 4
_VALUES_ROWS = 16
"""So many rows a state of two values, or of more, holds in the mean."""
_HIGHEST_CODE = 15
_SMALL_CODES = 4
"""Whole numbers up to the former may be codes; so many of them from 0 or 1 on are, even where they only ever step."""
_NEIGHBOURS_SHARE = 0.95
"""Of a quantised measurement's changes, those that go to the next value: it cannot jump."""
_COARSE = 1.0
"""Measurements are seldom rounded to more than that."""
_FEW_FRACTIONS = 3
"""More values than these that are no whole numbers are measured in few bits, and so are whole numbers without a gap."""
_MANY_CHANGES = 12
"""By chance alone, so many changes of a state of three values do not all go to the next value."""
_CHANGES_ROWS = 128
_TAIL = 0.005
_SPIKE_PERIOD_S = 60.0
"""On slower rows a single row is an event."""


def find_kinds(
    rows: Float32, *, period_s: float = np.inf, overrides: Sequence[ChannelKind | None] = ()
) -> dict[str, NDArray[Any]]:
    """What `signals.channel_kinds` reads: arrays of `ChannelKinds`.

    Args:
        rows: normal rows [R, C] in physical units, NaN where hidden.
        period_s: from one row to the next; infinite where that is not known: then no spike is held.
        overrides: what people say of each channel, None of those that they say nothing of; empty: of all.
    """
    n_channels = rows.shape[1]
    low, high = no_spikes(n_channels)
    found = ChannelKinds(
        code=np.zeros(n_channels, np.uint8),
        low=low,
        high=high,
        least_step=np.zeros(n_channels, np.float32),
        most_rise=np.zeros(n_channels, np.float32),
        values=np.zeros((n_channels, MOST_VALUES), np.float32),
        value_count=np.zeros(n_channels, np.int64),
        most_changes=np.zeros(n_channels, np.int64),
        rows_per_hour=np.array(3600.0 / period_s if np.isfinite(period_s) else 1.0, np.float32),
    )
    observed = [column[np.isfinite(column)] for column in rows.T]
    found.code[:] = [_code(seen) for seen in observed]
    if (found.code == CONSTANT).all():  # it stood still: what it does once it moves cannot all be left out
        found.code[:] = ANALOG
    for channel, override in enumerate(overrides):
        if override is not None:
            found.code[channel] = KINDS.index(override)
    for channel, (seen, code) in enumerate(zip(observed, found.code.tolist(), strict=True)):
        if code == ANALOG and period_s <= _SPIKE_PERIOD_S:
            found.low[channel], found.high[channel] = _fence(seen, low[channel], high[channel])
        elif code == COUNTER:
            found.least_step[channel], found.most_rise[channel] = _rises(seen)
        elif code in (STATE, CONSTANT):
            values = np.unique(seen)
            if len(values) <= MOST_VALUES:
                found.values[channel, : len(values)], found.value_count[channel] = values, len(values)
            found.most_changes[channel] = _most_changes(seen)
    return found.arrays()


def _code(seen: Float32) -> int:
    """The kind of a channel by its observed values [R], in the order of time."""
    steps = np.diff(seen.astype(np.float64))
    changes = steps[steps != 0]
    if not changes.size:
        return CONSTANT
    values = np.unique(seen).astype(np.float64)
    if _is_counter(seen, steps, changes, n_values=len(values)):
        return COUNTER
    return STATE if _is_state(values, changes, n_rows=len(seen)) else ANALOG


def _is_counter(
    seen: Float32, steps: NDArray[np.float64], changes: NDArray[np.float64], *, n_values: int
) -> bool:
    if seen.min() < 0 or n_values <= _COUNTER_VALUES:
        return False
    falling = np.flatnonzero(steps < 0)
    if len(falling) > max(_FEW_FALLS, _FALLS_SHARE * len(changes)):
        return False
    usual = float(np.median(changes[changes > 0]))
    near_zero = np.maximum(_RESET_RISES * usual, _RESET_SHARE * seen[falling])
    starts_again = (-steps[falling] > _RESET_RISES * usual) & (seen[falling + 1] <= near_zero)
    if not starts_again.all():
        return False
    parts = np.array([part.sum() for part in np.array_split(np.maximum(steps, 0.0), _PARTS)])
    level = seen[0] / parts.sum()
    if not _LEAST_LEVEL < level < _MOST_LEVEL:
        return bool((parts > 0).sum() >= _FEW_RISING_PARTS)
    return bool((parts > 0).sum() >= _RISING_PARTS) and not _is_course(parts)


def _is_course(parts: NDArray[np.float64]) -> bool:
    """Whether rises of equal parts of the time are of a course towards an end: they swell, then fade, or one alone."""
    if parts.max() < _SETTLING * parts.min():
        return False
    peak, turns = int(parts.argmax()), np.diff(parts)
    one_hump = bool((turns[:peak] >= 0).all() and (turns[peak:] <= 0).all())
    return one_hump or abs(float(np.corrcoef(np.arange(_PARTS), parts)[0, 1])) >= _ONE_WAY


def _is_state(values: NDArray[np.float64], changes: NDArray[np.float64], *, n_rows: int) -> bool:
    """Whether few values, ascending, are states of something and no coarse measurement."""
    held_rows = n_rows / (len(changes) + 1)
    if len(values) > MOST_VALUES or held_rows < (_TWO_VALUES_ROWS if len(values) == 2 else _VALUES_ROWS):
        return False
    whole = bool((values == np.round(values)).all())
    codes = whole and values[0] >= 0 and values[-1] <= _HIGHEST_CODE
    quantum = float(np.diff(values).min())
    returns = len(changes) >= len(values)
    if len(values) == 2:  # off and on; else a measurement on the edge between two values looks like it
        return (
            (whole and values[0] == 0)
            or (codes and values[0] < _SMALL_CODES)
            or (quantum > _COARSE and returns)
        )
    if not codes and _is_rounded(values, whole=whole):
        return False
    steps = np.abs(changes) <= 1.5 * quantum
    if steps.mean() >= _NEIGHBOURS_SHARE and (quantum <= _COARSE or len(changes) >= _MANY_CHANGES):
        return codes and values[0] <= 1 and len(values) <= _SMALL_CODES
    return codes or returns


def _is_rounded(values: NDArray[np.float64], *, whole: bool) -> bool:
    """Whether values, ascending, at least three, are a measurement's in few bits."""
    gaps = np.diff(values)
    if whole:
        return bool(gaps.max() <= _COARSE)
    return len(values) > _FEW_FRACTIONS or bool(gaps.min() <= _COARSE and values[0] != 0)


def _fence(seen: Float32, low: np.float32, high: np.float32) -> tuple[float, float]:
    """Beyond which a value is a spike; what is given where a channel hardly moves."""
    if not seen.size:
        return float(low), float(high)
    least, most = np.quantile(seen.astype(np.float64), [_TAIL, 1.0 - _TAIL])
    if most <= least:
        return float(low), float(high)
    return float(least - (most - least)), float(most + (most - least))


def _rises(seen: Float32) -> tuple[float, float]:
    """(the least rise of a counter, the rise in a row above which it was exchanged)."""
    steps = np.diff(seen.astype(np.float64))
    rises = steps[steps > 0]
    if not rises.size:
        return 0.0, 0.0
    return float(rises.min()), float(_EXCHANGED * rises.max())


def _most_changes(seen: Float32) -> int:
    """Most changes within `_CHANGES_ROWS` rows."""
    count = np.cumsum(np.diff(seen) != 0)
    if not count.size:
        return 0
    within = count[_CHANGES_ROWS:] - count[:-_CHANGES_ROWS]
    return int(within.max(initial=count[:_CHANGES_ROWS][-1]))
