"""Rows in the order of their times: turned round, sorted, an hour that comes twice, rows of one stamp. Reads no file.

Times stay as they are: a weekend's gap and a night's second hour are kept. Whatever is moved is said.
"""

import numpy as np
from numpy.typing import NDArray

from edge_agent.recordings.reading.time_text import NO_TIME
from edge_agent.records import Float32

_SECOND_NS = 1_000_000_000
_HOUR_NS = 3_600 * _SECOND_NS
_SLACK_NS = 120 * _SECOND_NS
_AUTUMN = frozenset({3, 4, 9, 10, 11})
"""Months in which clocks are set back, in both halves of the earth."""


def missing(times_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """[R] which rows have no time."""
    found: NDArray[np.bool_] = times_ns == NO_TIME
    return found


def order_of(times_ns: NDArray[np.int64]) -> tuple[NDArray[np.intp] | None, list[str]]:
    """(the order in which times do not fall, None where they are in it; what was done).

    Rows of one stamp keep the order of the file, or the opposite one in a file that is newest first.
    """
    steps = np.diff(times_ns)
    falls, rises = int((steps < 0).sum()), int((steps > 0).sum())
    if not falls:
        return None, []
    if falls > 1 and falls >= 10 * rises:
        order = np.arange(len(times_ns))[::-1]
        if not rises:
            return order, ["newest first: turned round"]
        order = order[np.argsort(times_ns[order], kind="stable")]
        return order, [f"newest first: turned round; {rises} rows out of order brought into theirs"]
    return np.argsort(times_ns, kind="stable"), [f"{falls} rows out of order brought into theirs"]


def second_hour(times_ns: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[str]]:
    """Times [R] without a zone, with the night's second hour behind its first; (times, what was done).

    A clock that is set back makes otherwise rising times (or, newest first, falling ones) go the other way once, by an
    hour. Sorting would mix the rows of two hours.
    """
    steps = np.diff(times_ns)
    newest_first = int((steps < 0).sum()) > int((steps > 0).sum())
    wrong = np.flatnonzero(steps > 0) if newest_first else np.flatnonzero(steps < 0)
    if len(wrong) != 1:
        return times_ns, []
    at = int(wrong[0])
    back = abs(int(steps[at]))
    usual = int(np.median(np.abs(steps)))
    slack = min(max(_SLACK_NS, 2 * usual), _HOUR_NS // 2)
    month = int(times_ns[at].astype("datetime64[ns]").astype("datetime64[M]").astype(int)) % 12 + 1
    if abs(back + usual - _HOUR_NS) > slack or month not in _AUTUMN or len(times_ns) < 4:
        return times_ns, []
    counted = times_ns.copy()
    later = slice(None, at + 1) if newest_first else slice(at + 1, None)
    counted[later] += _HOUR_NS
    when = str(np.datetime64(int(times_ns[at + 1 if newest_first else at]), "ns").astype("datetime64[m]"))
    return counted, [
        f"the clock was set back an hour after {when}: later rows are counted on by an hour (--timezone tells more)"
    ]


def without_doubles(
    times_ns: NDArray[np.int64], values: Float32
) -> tuple[NDArray[np.bool_] | None, list[str]]:
    """(which rows stay, None for all; what was done): a row that stands twice, time and values, counts once.

    Args:
        times_ns: [R], not falling.
        values: [R, C], NaN where missing.
    """
    same = np.flatnonzero(np.diff(times_ns) == 0)
    if not len(same):
        return None, []
    first, second = values[same], values[same + 1]
    alike = ((first == second) | (np.isnan(first) & np.isnan(second))).all(axis=1)
    if not alike.any():
        return None, []
    stay = np.ones(len(times_ns), np.bool_)
    stay[same[alike] + 1] = False
    return stay, [f"{int(alike.sum())} rows that stand twice count once"]


def rising(times_ns: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[str]]:
    """([R] times in order, of which each is later than the one before, what was done).

    Rows of one stamp are spread evenly over the time to the next stamp, at most over an ordinary step.
    """
    steps = np.diff(times_ns)
    if not len(steps) or bool(np.all(steps > 0)):
        return times_ns, []
    ordered = np.maximum.accumulate(times_ns)
    stamps, first, counts = np.unique(ordered, return_index=True, return_counts=True)
    later = np.diff(stamps)
    step = int(np.sort(later)[(len(later) - 1) // 2]) if len(later) else _SECOND_NS
    room = np.minimum(np.append(later, step), step)
    place = np.arange(len(ordered)) - np.repeat(first, counts)
    spread = ordered + place * np.repeat(room, counts) // np.repeat(counts, counts)
    spread = np.maximum(spread, ordered + place)  # where there are more rows than nanoseconds
    repeated = int((counts - 1).sum())
    return spread, [f"{repeated} rows with the time of the row before spread up to the next time"]
