"""How a gateway learns what is normal for one machine from its rows; pure, and no training of a network.

What it writes is flat: arrays by name, which `detect` reads. What detectors remember is theirs; which windows they
learn from, the common scale of their raw scores and the threshold are decided here.

Axes: R rows, C channels, W normal windows, T rows of a window, V raw scores.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.commissioning import (
    drift,
    judge_threshold,
    mode_tree,
    normal_scores,
    normal_windows,
    seen_once,
)
from edge_agent.commissioning.kind_finding import find_kinds
from edge_agent.commissioning.normal_windows import Observed
from edge_agent.detect import fusion
from edge_agent.detect.detector import Encode, NormalWindows
from edge_agent.detect.detectors import ENSEMBLE
from edge_agent.detect.ensemble import Ensemble
from edge_agent.detect.judge import Judge
from edge_agent.detect.left_out import plain_windows
from edge_agent.detect.operating_modes import OperatingModes
from edge_agent.detect.reference_bank import usual_and_reach
from edge_agent.detect.view_scales import LENGTHS_ROWS, share_of_doubt, stride_of
from edge_agent.errors import CommissionError
from edge_agent.signals.channel_kinds import ChannelKind, rows_with_rates, transform_rows, without_unscored
from edge_agent.signals.features import Float32, scales, standardise

# A change of mode has begun so many rows before it is told.
_CHANGE_TOLD_ROWS = 6
# Fewer normal windows than this cannot tell how large a normal score may be.
_FEWEST_WINDOWS = 100
MOST_WINDOWS = 4000
"""Normal windows that are looked at; more would only cost time, neighbours being almost equal."""
# How much the threshold is raised for each window's length that the normal rows hold too few.
_SHORTNESS = 0.5
# How much further a transition may be from the usual than those that were seen, where only one was seen.
_UNSEEN_CHANGES = 2.0


def commission(  # noqa: PLR0913 - each is one number that the operator or the machine gives
    rows: Float32,
    *,
    window_rows: int,
    encode: Encode | None,
    budget_per_week: float,
    windows_per_week: float,
    seed: int,
    hop_rows: int = 1,
    period_s: float = np.inf,
    kinds: Sequence[ChannelKind | None] = (),
    seams: Sequence[int] = (),
    accepted_rows: int = 0,
    ensemble: Ensemble = ENSEMBLE,
    judge: Judge | None = None,
    most_windows: int = MOST_WINDOWS,
) -> Mapping[str, NDArray[Any]]:
    """Learn what is normal for a machine.

    Args:
        rows: normal rows [R, C] in physical units, NaN where hidden.
        window_rows: rows of a window, T.
        encode: the pre-trained encoder, or None.
        budget_per_week: false alarms a week that the operator accepts.
        windows_per_week: windows the machine is scored on in a week.
        seed: for the choice of remembered windows.
        hop_rows: rows from one scored window to the next, so that normal rows are rightly counted as time.
        period_s: from one row to the next, infinite where that is not known; see `find_kinds`.
        kinds: of the channels, where people say them; see `find_kinds`.
        seams: rows before which time leaps: no window bridges them.
        accepted_rows: the last so many rows are of accepted states: remembered, and tell nothing of what is usual.
        ensemble: the detectors to fit.
        judge: the pre-trained network that will decide, or None.
        most_windows: normal windows that are looked at, spread over all rows; see `memory_bound`.

    Returns:
        name -> array; "location" and "scale" are [C], "threshold" is [2] (see `fusion`), "recent_threshold" 0-d.

    Raises:
        CommissionError: too few usable rows.
    """
    rows, plain = _checked(rows, window_rows, accepted_rows)
    arrays = _looked_at(plain, find_kinds(plain, period_s=period_s, overrides=kinds), window_rows=window_rows)
    stride = -(-(len(rows) - window_rows + 1) // most_windows)
    observed = normal_windows.observe(
        arrays,
        rows,
        window_rows=window_rows,
        stride=stride,
        encode=encode,
        seams=seams,
        modes=_modes(plain, arrays),
        plain_rows=len(plain) if accepted_rows else None,
    )
    found, *told = _fitted(arrays, observed, ensemble=ensemble, seed=seed, judge=judge)
    times = stride / hop_rows, len(plain) / window_rows, windows_per_week, budget_per_week
    judged = judge, dict(zip(ensemble.names, told[-1].T, strict=True))
    limits, over = _limits(found, *told[:2], judged=judged, look=_look(len(told[0]), *times))
    seen = without_unscored(plain.T, arrays, counters=False).T
    found |= limits | drift.reference(seen, fusion.joined(over))
    return {name: np.asarray(array) for name, array in found.items()}


def _look(
    windows: int, stride: float, independent: float, windows_per_week: float, budget_per_week: float
) -> normal_scores.Look:
    """How normal windows are looked at, of which so many share no rows."""
    # Windows share rows: of few rows few windows are independent, and what they saw is not all that is normal.
    caution = 1.0 + _SHORTNESS / independent
    return normal_scores.Look(windows, stride, windows_per_week, independent, caution, budget_per_week)


def _looked_at(
    rows: Float32, kinds: Mapping[str, NDArray[Any]], *, window_rows: int
) -> dict[str, NDArray[Any]]:
    """The kinds of the channels, their scales, and the lengths of a window that are looked at."""
    lengths = np.array([length for length in LENGTHS_ROWS if length <= window_rows])
    return {**kinds, **scales(rows_with_rates(rows, kinds)), "lengths": lengths}


def _limits(
    arrays: Mapping[str, NDArray[Any]],
    scores: Float32,
    recent: Float32,
    *,
    judged: tuple[Judge | None, Mapping[str, Float32]],
    look: normal_scores.Look,
) -> tuple[dict[str, NDArray[Any]], Float32]:
    """(all thresholds, the scores by them [W, 2]) of normal windows, by the judge and the raw scores that it reads."""
    kept = normal_scores.NormalScores.of(scores, recent, look)
    limits = kept.thresholds(look.budget_per_week)
    found: dict[str, NDArray[Any]] = {"threshold": limits[:2], "recent_threshold": np.array(limits[2])}
    over, (judge, raw), logits = scores / found["threshold"], judged, np.empty(0, np.float32)
    if judge is not None:
        raised, over, logits = judge_threshold.raised(judge, {**arrays, **found}, raw, over=over)
        found |= raised
    return {**found, **kept.with_logits(logits).arrays()}, over


def _modes(rows: Float32, arrays: Mapping[str, NDArray[Any]]) -> OperatingModes | None:
    """The operating modes that normal rows [R, C] speak for."""
    known = {name: arrays[name] for name in ("location", "scale", "limit")}
    z = standardise(transform_rows(rows, arrays).T[None], **known)[0]
    return mode_tree.find(z, n_lengths=len(arrays["lengths"]))


def _fitted(
    arrays: Mapping[str, NDArray[Any]],
    observed: Observed,
    *,
    ensemble: Ensemble,
    seed: int,
    judge: Judge | None,
) -> tuple[dict[str, NDArray[Any]], Float32, Float32, Float32]:
    """What is learnt of the kept windows.

    Returns:
        (the arrays with all that is learnt but thresholds, fused scores [kept W, 2], of the newest rows [kept W], raw
        scores [kept W, V]).

    What was seen once is remembered as all else, and tells nothing of what is usual: neither the scale of a raw score
    nor the threshold comes from it.
    """
    learnt = dict(arrays) | observed.fit_scales(arrays["lengths"].tolist())
    observed, of_modes = observed.by_mode(learnt)
    learnt |= of_modes
    normal = observed.normal(learnt, rng=np.random.default_rng(seed), judge=judge)
    learnt |= seen_once.reference(normal, location=arrays["location"], scale=arrays["scale"])
    fitted, raw = ensemble.fit(normal)
    learnt |= fitted
    calibrations, calibrated = _calibrated(raw, normal, views=ensemble.views_by_mode(normal.scales.lengths))
    learnt |= calibrations
    scores, recent = fusion.fuse(learnt["weights"], calibrated)
    counted = _settled(normal)
    return learnt, scores[counted], recent[counted], raw[counted]


def _settled(normal: NormalWindows) -> NDArray[np.bool_]:
    """Windows that set the threshold, [W]: none that was seen once, and none whose newest rows changed the mode.

    Nor one that a change follows within a few rows: the mode is told by a mean of rows, which is late by some.
    """
    if normal.sets is None or normal.scales.modes is None:
        return normal.kept
    moving = normal.sets[0] == normal.scales.modes.count
    before = np.concatenate([[0], np.cumsum(moving)])
    soon = np.searchsorted(normal.ends, normal.ends + _CHANGE_TOLD_ROWS, side="right")
    settled = normal.kept & (before[soon] == before[:-1])
    return settled if settled.sum() >= _FEWEST_WINDOWS else normal.kept


def fewest_rows(window_rows: int) -> int:
    """Normal rows that a machine cannot be learnt without, for windows of so many rows."""
    return window_rows + _FEWEST_WINDOWS - 1


def _checked(rows: Float32, window_rows: int, accepted_rows: int) -> tuple[Float32, Float32]:
    """(the rows, those of them that are no accepted ones)."""
    rows = np.asarray(rows, np.float32)
    if rows.ndim != 2 or rows.shape[1] == 0:
        raise CommissionError(f"rows of shape {rows.shape}: expected [rows, channels]")
    needed = fewest_rows(window_rows)
    usable = int(np.isfinite(rows).any(axis=1).sum())
    if usable < needed:
        raise CommissionError(f"{usable} usable calm rows, {needed} are needed for windows of {window_rows}")
    return rows, rows[: len(rows) - accepted_rows]


def _calibrated(
    raw: Float32, normal: NormalWindows, *, views: NDArray[np.int64]
) -> tuple[dict[str, Float32], Float32]:
    """(the calibration, and that of each set of windows if there are some, the raw scores by it [W, V])."""
    kept, sets = normal.kept, normal.sets
    whole = _calibration(raw[kept])
    if sets is None or normal.scales.modes is None:
        return {"calibration": whole}, fusion.calibrate(whole, raw)
    stride, n_modes = stride_of(normal.ends), normal.scales.modes.count
    by_set = np.repeat(whole[None], n_modes + 1, axis=0)
    for score, view in enumerate(views.tolist()):
        for number in range(len(by_set) if view >= 0 else 0):
            inside = plain_windows(sets[view] == number, kept)
            if inside.any():
                by_set[number, :, score] = _calibration(raw[inside, score : score + 1])[:, 0]
                # What was visited once tells little of how far it may be on another visit.
                doubt = share_of_doubt(sets[view] == number, stride=stride)
                if number == n_modes:  # there are more ways from mode to mode than were seen
                    by_set[number, 1, score] *= 1.0 + _UNSEEN_CHANGES * doubt
                by_set[number, 1, score] = max(by_set[number, 1, score], doubt * whole[1, score])
    by_window = fusion.calibration_of_sets(whole, by_set, sets=sets, views=views)
    return {"calibration": whole, "mode_calibration": by_set}, fusion.calibrate(by_window, raw)


def _calibration(raw: Float32) -> Float32:
    """[2, V]: normal median of each raw score and its reach, never quite 0."""
    middle, reach = usual_and_reach(raw.T, 0.0)
    calibration: Float32 = np.stack([middle, np.maximum(reach, 1e-3 * np.abs(middle) + 1e-6)])
    return calibration
