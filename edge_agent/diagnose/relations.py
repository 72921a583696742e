"""Which relation between channels broke, or which rhythm changed, in words that a person can check on a chart. Pure.

An alarm may come of how a channel moves rather than of where it is. What is looked for is what a technician would look
for: a value that another channel lets expect otherwise, channels that always moved together and no longer do, and a
swing that is quicker, slower, new or gone. It is
learnt of the machine's own normal rows in stretches of a window's length, and asked only when an alarm says something.

Axes: W stretches, C channels, T rows, P partners of a channel, K lines of the spectrum.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.records import Float32

Memory = Mapping[str, NDArray[Any]]

ROWS = 128
"""Of a stretch."""
_PARTNERS = 3
_MOST_STRETCHES = 200
_FEWEST_STRETCHES = 6
_MOST_CHANNELS = 200
"""Beyond, who moves with whom is not learnt: it grows with the square."""
_MOST_CELLS = 4_000_000
"""Correlations that are held at a time while it is learnt."""
_STRONG, _LEAST = 0.6, 0.3
"""A relation is one where the median correlation is so strong, and nearly no stretch was below the other."""
_BROKEN = 0.25
"""So far below all that was usual a relation is broken."""
_MOVES, _STILL = 0.3, 0.1
"""Shares of the usual swing: from the one on a channel moves enough to be compared, below the other it stands."""
_RHYTHM, _NEW_RHYTHM = 0.45, 0.6
"""Share of a swing's power in one line from which on it is a rhythm, and from which on a new one is."""
_LINE_ROWS, _FEWEST_ROWS = 2000, 300
"""Rows by which it is learnt which value goes with which."""
_ON_LINE = 0.7
"""Correlation of the values of all rows from which on one lets the other be expected."""
_PERCENT = (1.0, 99.0)
_OFF_LINE = 0.5
"""So far beyond what was usual, as a share of how wide that is, a value is unexpected."""
_NEWEST_ROWS = 8
_TINY = 1e-12


def reference(normal: Float32) -> dict[str, NDArray[Any]]:
    """Which values go together, who moves with whom, and in which rhythm; of normal rows [R, C], empty if they are few.

    Returns:
        evidence/line_partner [C, P] channels, -1: none; evidence/line [4, C, P] slope and offset by which each lets a
        value be expected, and what lay below and above that.
        evidence/swing [C] median deviation in a stretch; evidence/rhythm [3, C] usual line, the share that it had in
        most stretches, the largest share that any line had in nearly all; evidence/partner [C, P] channels, -1: none;
        evidence/together [2, C, P] their median correlation, and the least that it had, with the median's sign.
    """
    count = len(normal) // ROWS
    if count < _FEWEST_STRETCHES:
        return {}
    taken = np.unique(np.linspace(0, count - 1, min(count, _MOST_STRETCHES)).astype(np.int64))
    stretches = normal[: count * ROWS].reshape(count, ROWS, -1)[taken].transpose(0, 2, 1)  # W C T
    centred = _centred(stretches)
    swing = np.median(_deviation(centred), axis=0)
    found = {"evidence/swing": swing.astype(np.float32), "evidence/rhythm": _usual_rhythm(centred)}
    if 1 < stretches.shape[1] <= _MOST_CHANNELS:
        found |= _usual_partners(centred, swing) | _usual_lines(normal)
    return found


def _centred(rows: Float32) -> Float32:
    """Rows [..., T] without their mean; 0 where hidden."""
    hidden = np.isnan(rows)
    seen = np.maximum(np.sum(~hidden, axis=-1, keepdims=True), 1)
    filled = np.where(hidden, np.float32(0), rows)
    centred: Float32 = np.where(hidden, np.float32(0), filled - filled.sum(axis=-1, keepdims=True) / seen)
    return centred


def _deviation(centred: Float32) -> Float32:
    size: Float32 = np.sqrt(np.mean(np.square(centred), axis=-1))
    return size


# -- values --------------------------------------------------------------------------------------------------


def _usual_lines(normal: Float32) -> dict[str, NDArray[Any]]:
    """Which others let each channel's value be expected, and how well, by normal rows [R, C]."""
    whole = normal[np.isfinite(normal).all(axis=1)].astype(np.float64)
    if len(whole) < _FEWEST_ROWS:
        return {}
    rows = whole[:: -(-len(whole) // _LINE_ROWS)]
    spread = rows.std(axis=0)
    scaled = (rows - rows.mean(axis=0)) / np.maximum(spread, _TINY)
    alike = np.abs(scaled.T @ scaled) / len(rows)
    np.fill_diagonal(alike, 0.0)
    partner = np.argsort(-alike, axis=1, kind="stable")[:, :_PARTNERS]
    partner = np.where(np.take_along_axis(alike, partner, axis=1) >= _ON_LINE, partner, -1)
    lines = np.zeros((4, *partner.shape), np.float32)
    for at, place in np.argwhere(partner >= 0).tolist():
        other = rows[:, partner[at, place]]
        slope, offset = np.polyfit(other, rows[:, at], 1)
        rest = np.percentile(rows[:, at] - slope * other - offset, _PERCENT)
        lines[:, at, place] = slope, offset, *rest
    return {"evidence/line_partner": partner.astype(np.int16), "evidence/line": lines}


def _unexpected(memory: Memory, window: Float32, *, at: int, channels: Sequence[str]) -> str:
    """Which other channel lets another value of channel `at` be expected; "" where none does."""
    if "evidence/line" not in memory:
        return ""
    newest = window[:, -_NEWEST_ROWS:].mean(axis=1).astype(np.float64)
    worst, said = _OFF_LINE, ""
    for place, partner in enumerate(np.asarray(memory["evidence/line_partner"])[at].tolist()):
        if partner < 0 or not _within(memory, partner, newest[partner]):
            continue
        slope, offset, low, high = np.asarray(memory["evidence/line"])[:, at, place].tolist()
        expected = slope * newest[partner] + offset
        rest, wide = newest[at] - expected, max(high - low, _TINY)
        if (beyond := max(rest - high, low - rest) / wide) > worst:
            worst = beyond
            said = (
                f"is {newest[at]:.4g} with {channels[partner]} at {newest[partner]:.4g}, "
                f"where {expected + low:.4g} to {expected + high:.4g} is usual"
            )
    return said


def _within(memory: Memory, channel: int, value: float) -> bool:
    """Whether it was learnt what goes with such a value."""
    low, high = (float(np.asarray(memory[f"evidence/{end}"])[channel]) for end in ("low", "high"))
    return low <= value <= high


# -- relations -----------------------------------------------------------------------------------------------


def _usual_partners(centred: Float32, swing: Float32) -> dict[str, NDArray[Any]]:
    """With which others each channel moves, by stretches [W, C, T]."""
    n_channels = centred.shape[1]
    fewer = centred[:: max(1, -(-len(centred) * n_channels**2 // _MOST_CELLS))]
    size = _deviation(fewer)
    scaled = (fewer / np.maximum(size, _TINY)[..., np.newaxis]).astype(np.float32, copy=False)
    together: Float32 = (scaled @ scaled.transpose(0, 2, 1)) / np.float32(ROWS)  # W C C
    moves = size > np.maximum(_MOVES * swing, _TINY)
    together[~(moves[:, :, np.newaxis] & moves[:, np.newaxis])] = np.nan
    counted = np.sum(~np.isnan(together), axis=0)
    middle = _at_share(together, counted, 0.5)
    least = _at_share(together * np.sign(middle), counted, 0.05)
    strength = np.where(
        (counted >= _FEWEST_STRETCHES) & (np.abs(middle) >= _STRONG) & (least >= _LEAST), least, 0.0
    )
    np.fill_diagonal(strength, 0.0)
    partner = np.argsort(-strength, axis=1, kind="stable")[:, :_PARTNERS]
    known = np.take_along_axis(strength, partner, axis=1) > 0
    figures = [np.take_along_axis(one, partner, axis=1) for one in (middle, least)]
    return {
        "evidence/partner": np.where(known, partner, -1).astype(np.int16),
        "evidence/together": np.where(known, np.stack(figures), 0.0).astype(np.float32),
    }


def _at_share(values: Float32, counted: NDArray[np.int64], share: float) -> Float32:
    """The value [...] of values [W, ...] below which that share of those that are known lies."""
    place = np.floor(share * np.maximum(counted - 1, 0)).astype(np.int64)
    ordered = np.sort(values, axis=0)  # what is not known comes last
    found: Float32 = np.take_along_axis(ordered, place[np.newaxis], axis=0)[0]
    return np.nan_to_num(found)


def _broken_relation(memory: Memory, centred: Float32, *, at: int, channels: Sequence[str]) -> str:
    """What channel `at` does of which it is a part no longer; centred: the window [C, T]. "" where it goes on."""
    if "evidence/partner" not in memory:
        return ""
    swing = np.asarray(memory["evidence/swing"])
    worst, said = _BROKEN, ""
    for place, partner in enumerate(np.asarray(memory["evidence/partner"])[at].tolist()):
        if partner < 0 or _deviation(centred[partner]) < _MOVES * swing[partner]:
            continue
        usual, least = np.asarray(memory["evidence/together"])[:, at, place].tolist()
        way = "with" if usual > 0 else "against"
        if _deviation(centred[at]) < _STILL * swing[at]:
            return f"no longer moves {way} {channels[partner]}, but hardly at all"
        now = min(
            (_correlation(centred[[at, partner], -rows:]) for rows in (ROWS, ROWS // 2)),
            key=lambda r: r * usual,
        )
        if (below := least - now * np.sign(usual)) > worst:
            worst = below
            said = (
                f"no longer moves {way} {channels[partner]} (correlation usually {usual:.2f}, now {now:.2f})"
            )
    return said


def _correlation(pair: Float32) -> float:
    """Of two stretches of rows, [2, T]."""
    one, other = pair - pair.mean(axis=1, keepdims=True)
    return float(one @ other / max(float(np.sqrt((one @ one) * (other @ other))), _TINY))


# -- rhythms -------------------------------------------------------------------------------------------------


def _lines(centred: Float32) -> Float32:
    """Shares of the power of stretches [..., T] by lines, neighbours taken together, [..., K]; the first two are 0."""
    turned = np.linspace(-1, 1, ROWS, dtype=np.float32)
    slope = (centred @ turned)[..., np.newaxis] / (turned @ turned)
    power = np.abs(np.fft.rfft((centred - slope * turned) * np.hanning(ROWS), axis=-1)) ** 2
    total = np.maximum(power[..., 1:].sum(axis=-1, keepdims=True), _TINY)
    share = np.zeros(power.shape, np.float32)
    share[..., 2:-1] = (power[..., 1:-2] + power[..., 2:-1] + power[..., 3:]) / total
    return share


def _usual_rhythm(centred: Float32) -> Float32:
    share = _lines(centred)  # W C K
    line = share.mean(axis=0).argmax(axis=-1)  # C
    own = np.take_along_axis(share, line[np.newaxis, :, np.newaxis], axis=-1)[..., 0]
    top = share.max(axis=-1)
    found: Float32 = np.stack([line, np.quantile(own, 0.2, axis=0), np.quantile(top, 0.95, axis=0)])
    return found.astype(np.float32)


def _changed_rhythm(memory: Memory, centred: Float32, *, at: int, period_s: float) -> str:
    """How channel `at` swings otherwise than it did; centred: the window [C, T]. "" where it does not."""
    if "evidence/rhythm" not in memory or _deviation(centred[at]) < _TINY:
        return ""
    usual_line, usual_share, highest = np.asarray(memory["evidence/rhythm"])[:, at].tolist()
    usual, share = round(usual_line), _lines(centred[at])
    now = int(share.argmax())
    has, had = share[now] >= _RHYTHM, usual_share >= _RHYTHM
    if had and has and abs(now - usual) > 1:
        return f"swings about every {_span(now, period_s)}, usually about every {_span(usual, period_s)}"
    if had and share[usual] < usual_share / 2:
        return f"has lost its rhythm: it usually swings about every {_span(usual, period_s)}"
    if not had and share[now] >= max(_NEW_RHYTHM, (1 + highest) / 2):
        return f"swings about every {_span(now, period_s)}, which it did not while it was learnt"
    return ""


def _span(line: int, period_s: float) -> str:
    """The length of a swing of that line, to what a stretch can tell."""
    rows = ROWS / max(line, 1)
    if period_s <= 0:
        return f"{rows:.2g} rows"
    seconds = rows * period_s
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min")):
        if seconds < limit:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds / 3600:.3g} h"


def changed(
    memory: Memory, window: Float32, *, at: int, channels: Sequence[str], period_s: float = 0.0
) -> str:
    """What is other than usual of channel `at` beside others or in time, to be read after its name; "": nothing plain.

    Args:
        memory: a profile's; of an older agent it knows no relations.
        window: [C, T] in physical units.
        at: the channel.
        channels: C names.
        period_s: step between rows; 0: swings are told in rows.
    """
    if window.shape[1] >= ROWS and np.isfinite(window[at, -ROWS:]).all():
        centred = _centred(window[:, -ROWS:])
        return (
            _unexpected(memory, window, at=at, channels=channels)
            or _broken_relation(memory, centred, at=at, channels=channels)
            or _changed_rhythm(memory, centred, at=at, period_s=period_s)
        )
    return ""
