"""The one number that a judge's alarms begin at, set on fresh machines so that calm ones keep a budget of false alarms.

A threshold drifts by about 0.3 from corpus to corpus, so it is never set by hand. What counts is rows, not hours: a
machine with a row a minute gives a detector sixty times fewer chances to be wrong in an hour than one with a row a
second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge_agent.commissioning.budget import moved_logits
from edge_agent.commissioning.threshold import largest_of_blocks
from edge_agent.detect.fusion import joined
from edge_agent.detect.judge import LEAST_VALUE, MANY_ROWS, alarm_logit, objection, state_logit
from edge_agent.errors import TrainingError
from edge_trainer.in_context.fresh import Watched, joined_spans, merged
from edge_trainer.in_context.look import HOP_ROWS, WINDOW_ROWS

STATISTICS = "statistics"
"""The network that says nothing: what the product's statistics alone come to."""
UNIT_ROWS = 43_200
"""Twelve hours of a row a second: what a budget of false alarms is told for."""
_ON_S, _ON_WINDOWS = 60.0, (2, 6)
_OFF_WINDOWS = 15
_REOPEN_S = 3600.0
_AFTER_ROWS = 2 * WINDOW_ROWS
"""An alarm that begins so soon after a fault is of it: neither found nor false."""
_USUAL_SHARE = 0.95
"""Of the machines, whose calm time in alarm is told: one that became another for good would drown them."""
BUDGETS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""False alarms a week of which the effect is told; the threshold stands for 1."""
LEAST = 1.0
_GRID = np.round(np.arange(-4.0, 12.01, 0.1), 1)


class Limits(NamedTuple):
    """Thresholds of the score on machines that were learnt from few rows and from many."""

    few: float
    many: float

    def of(self, rows: int) -> float:
        """That of a machine that was learnt from so many."""
        return self.many if rows >= MANY_ROWS else self.few


@dataclass(frozen=True, slots=True)
class Quality:
    """Alarms at one threshold over machines that were watched.

    Attributes:
        threshold: of the score; where machines have two, that of many rows.
        false_alarms: per `UNIT_ROWS` calm rows, of all machines together.
        quiet: share of machines without a false alarm.
        calm_share: of calm windows that are in alarm, mean over all machines but the worst twentieth.
        found: share of faults.
    """

    threshold: float
    false_alarms: float
    quiet: float
    calm_share: float
    found: float


def score_of(watched: Watched, network: str) -> npt.NDArray[np.floating]:
    """What alarms [W], as on a gateway: the logit, less what the statistics object.

    Of `STATISTICS` it is the logarithm of what the statistics come to, which alarms above 0.
    """
    if network == STATISTICS:
        told: npt.NDArray[np.floating] = np.log(np.maximum(joined(watched.parts), LEAST_VALUE))
        return told
    told = np.array(objection(watched.context_rows), np.float32)
    return alarm_logit(watched.logits[network], watched.parts[:, 0], objection=told)


def quality(machines: Sequence[Watched], network: str, threshold: float | Limits) -> Quality:
    """Alarms of all machines at a threshold, or each at the one for its rows."""
    limits = threshold if isinstance(threshold, Limits) else Limits(threshold, threshold)
    told = [_counted(each, network, _limit_of(each, network, limits)) for each in machines]
    return _joined(told, limits.many)


def _limit_of(each: Watched, network: str, limits: Limits) -> float:
    """The threshold in use on a machine: its own normal windows may raise it."""
    return max(limits.of(each.context_rows), each.own.get(network, -np.inf))


def _joined(told: "Sequence[_Counted]", threshold: float) -> Quality:
    calm_rows = sum(each.calm_rows for each in told)
    shares = np.sort([each.calm_share for each in told])
    return Quality(
        threshold=float(threshold),
        false_alarms=sum(each.false_alarms for each in told) * UNIT_ROWS / max(calm_rows, 1),
        quiet=float(np.mean([each.false_alarms == 0 for each in told])),
        calm_share=float(shares[: max(1, round(_USUAL_SHARE * len(shares)))].mean()),
        found=sum(each.found for each in told) / max(sum(each.faults for each in told), 1),
    )


def by_budget(machines: Sequence[Watched], network: str, limits: Limits) -> dict[str, Quality]:
    """What other budgets than the threshold's give: each machine's own is moved as a gateway moves it.

    The first half of the calm logits that were watched stands for those that a gateway keeps of learning.
    """
    calm = [score_of(each, network)[_calm(each)] for each in machines]
    logits = [largest_of_blocks(each[: len(each) // 2]) if len(each) > 1 else np.empty(0) for each in calm]
    found = {}
    for per_week in BUDGETS:
        told = [
            _counted(each, network, _limit_of(each, network, limits) + moved_logits(kept, per_week))
            for each, kept in zip(machines, logits, strict=True)
        ]
        found[f"{per_week:g}"] = _joined(told, limits.many)
    return found


@dataclass(frozen=True, slots=True)
class _Counted:
    """What one machine costs and brings at a threshold."""

    false_alarms: int
    calm_rows: int
    calm_share: float
    found: int
    faults: int


def _counted(each: Watched, network: str, threshold: float) -> _Counted:
    score = score_of(each, network)
    spans = _alarms(each, score > threshold)
    inside = np.zeros(len(score), np.bool_)
    for start, stop in spans:
        inside[start:stop] = True
    calm = _calm(each)
    found = faults = 0
    for fault in each.faults:
        there = (each.rows >= fault.start) & (each.rows < fault.stop) & each.judged
        if there.sum() >= _ON_WINDOWS[0]:
            faults += 1
            late = (each.rows >= fault.start) & (each.rows < fault.stop + WINDOW_ROWS)
            found += bool(inside[late].any())
    return _Counted(
        false_alarms=sum(bool(calm[start]) for start, _ in spans),
        calm_rows=HOP_ROWS * int(calm.sum()),
        calm_share=float(inside[calm].mean()) if calm.any() else 0.0,
        found=found,
        faults=faults,
    )


def _alarms(each: Watched, above: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    hop_s = each.period_s * HOP_ROWS
    on_delay = int(np.clip(np.ceil(_ON_S / hop_s), *_ON_WINDOWS))
    return joined_spans(merged(above, on_delay=on_delay, off_delay=_OFF_WINDOWS), gap=int(_REOPEN_S / hop_s))


def _near(each: Watched) -> npt.NDArray[np.bool_]:
    """Windows in a fault or soon after one, [W]."""
    near = np.zeros(len(each.rows), np.bool_)
    for fault in each.faults:
        near |= (each.rows >= fault.start) & (each.rows < fault.stop + _AFTER_ROWS)
    return near


def _calm(each: Watched) -> npt.NDArray[np.bool_]:
    """Windows in which an alarm is false for sure, [W]."""
    return ~_near(each) & each.judged


def smallest(machines: Sequence[Watched], network: str, *, quiet: float, calm_share: float) -> Quality:
    """What is reached at the smallest threshold that leaves enough machines in peace, as all larger ones do.

    None is below `LEAST`, whatever machines bear: what alarms should be about three times as likely of a fault as not.

    Machines are counted, not alarms: so no single one that became another for good sets the threshold of all. Who
    alarms without end has but one alarm: hence the bound of time in alarm, and thresholds are tried from above.

    Args:
        machines: that were watched.
        network: whose logits.
        quiet: share of machines that must be without any false alarm.
        calm_share: of calm time in alarm, but for the worst machines.

    Raises:
        TrainingError: no threshold keeps it, or no machine was watched.
    """
    if not machines:
        raise TrainingError("no fresh machine was watched: the threshold cannot be set")
    kept: Quality | None = None
    for threshold in _GRID[_GRID >= LEAST][::-1]:
        reached = quality(machines, network, float(threshold))
        if reached.quiet < quiet or reached.calm_share > calm_share:
            break
        kept = reached
    if kept is None:
        raise TrainingError(f"{network}: no threshold up to {_GRID[-1]} leaves enough machines in peace")
    return kept


def by_rows(
    machines: Sequence[Watched], network: str, *, few_rows_quiet: float, quiet: float, calm_share: float
) -> Limits:
    """The smallest threshold of the machines that were learnt from few rows, and that of the others.

    Where there are none of one sort, theirs is that of all. `few_rows_quiet` and `quiet` are as in `smallest`, of
    machines learnt from few rows and from many.

    Raises:
        TrainingError: see `smallest`.
    """
    few = [each for each in machines if each.context_rows < MANY_ROWS]
    many = [each for each in machines if each.context_rows >= MANY_ROWS]
    found = [
        smallest(part or machines, network, quiet=share, calm_share=calm_share).threshold
        for part, share in ((few, few_rows_quiet), (many, quiet))
    ]
    return Limits(*found)


def of_state(machines: Sequence[Watched], network: str) -> float:
    """The threshold of the newest rows alone that parts windows in faults best from windows just after them.

    Best is the largest difference of the share that is above it in faults and of that just after (Youden, "Index for
    rating diagnostic tests", Cancer 3, 1950): only there does it matter whether a state has ended.
    """
    faulty, after = [], []
    for each in machines:
        logit, label = state_logit(each.logits[network], each.shape), each.label
        faulty.append(logit[label & each.judged])
        after.append(logit[_near(each) & ~label & each.judged])
    ill, well = (np.sort(np.concatenate([np.empty(0, np.float32), *parts])) for parts in (faulty, after))
    if len(ill) == 0 or len(well) == 0:
        raise TrainingError("no fresh machine was faulty: the threshold of the state cannot be set")
    gained = [
        (len(ill) - np.searchsorted(ill, limit)) / len(ill)
        - (len(well) - np.searchsorted(well, limit)) / len(well)
        for limit in _GRID
    ]
    return float(_GRID[int(np.argmax(gained))])
