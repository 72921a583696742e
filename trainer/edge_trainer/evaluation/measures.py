"""Measures of detection and classification; not a judge of any model: it never sees one.

The range-aware measures (VUS-ROC, VUS-PR) and the period they need follow the reference implementation
of TSB-AD to the letter (Liu and Paparrizos, "The Elephant in the Room: Towards A Reliable Time-Series
Anomaly Detection Benchmark", NeurIPS 2024; version "opt", 250 thresholds). Other packages differ in the
second digit, so figures made with them cannot be compared with the published table.

Point-adjusted F1 is left out on purpose: random scores reach 0.9 and more with it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Rows = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Constants of the reference implementation, not choices of ours.
_THRESHOLDS = 250
_PERIOD_ROWS = 20_000
_PERIOD_LAGS = 400
_PERIOD_BASE = 3
_PERIOD_LARGEST = 300
_PERIOD_FALLBACK = 125


@dataclass(frozen=True, slots=True)
class RankMeasures:
    """Threshold-free agreement of a score with labels, each in 0..1."""

    auc_roc: float
    auc_pr: float
    vus_roc: float
    vus_pr: float


@dataclass(frozen=True, slots=True)
class PointMeasures:
    """Row-wise agreement of alarms with labels; `far` and `mar` as shares, NaN where undefined."""

    f1: float
    precision: float
    recall: float
    far: float
    mar: float


@dataclass(frozen=True, slots=True)
class EventMeasures:
    """Event-wise agreement of alarms with labels.

    `delay_rows` holds one entry an event: rows from its onset to its first alarm, NaN where it was missed.
    """

    n_events: int
    n_found: int
    n_alarms: int
    n_false_alarms: int
    recall: float
    precision: float
    delay_rows: Rows
    false_alarms_per_week: float


def segments(flags: ArrayLike) -> NDArray[np.int64]:
    """Half-open runs of true rows, shape [S, 2]."""
    padded = np.concatenate([[False], np.asarray(flags).astype(bool), [False]]).astype(np.int8)
    steps = np.diff(padded)
    return np.stack([np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)], axis=1).astype(np.int64)


def period(signal: ArrayLike) -> int:
    """Rows of the strongest autocorrelation peak of a channel [R], 125 where there is none (TSB-AD, rank 1)."""
    rows = np.asarray(signal, dtype=np.float64).ravel()[:_PERIOD_ROWS]
    centred = rows - rows.mean()
    size = 2 ** int(np.ceil(np.log2(2 * rows.size + 1)))
    spectrum = np.fft.fft(centred, n=size)
    covariance = np.fft.ifft(spectrum * np.conjugate(spectrum)).real[: min(rows.size, _PERIOD_LAGS + 1)]
    if covariance[0] <= 0.0:
        return _PERIOD_FALLBACK
    correlation = (covariance / covariance[0])[_PERIOD_BASE:]
    inner = correlation[1:-1]
    peaks = np.flatnonzero((inner > correlation[:-2]) & (inner > correlation[2:])) + 1
    if peaks.size == 0:
        return _PERIOD_FALLBACK
    best = int(peaks[np.argsort(correlation[peaks])[-1]])
    return best + _PERIOD_BASE if _PERIOD_BASE <= best <= _PERIOD_LARGEST else _PERIOD_FALLBACK


def auc_roc(score: ArrayLike, label: ArrayLike) -> float:
    """Area under the ROC curve; ties count half. NaN where only one class is present."""
    values, positive = np.asarray(score, dtype=np.float64), np.asarray(label) > 0
    n_positive = int(positive.sum())
    n_negative = positive.size - n_positive
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2.0
    rank_sum = float(mean_rank[inverse][positive].sum())
    return (rank_sum - n_positive * (n_positive + 1) / 2.0) / (n_positive * n_negative)


def auc_pr(score: ArrayLike, label: ArrayLike) -> float:
    """Average precision (the step-wise area under the precision-recall curve). NaN without positives."""
    values, positive = np.asarray(score, dtype=np.float64), np.asarray(label) > 0
    if not positive.any():
        return float("nan")
    order = np.argsort(-values, kind="stable")
    found = np.cumsum(positive[order])
    last_of_tie = np.append(np.diff(values[order]) != 0, True)
    found, asked = found[last_of_tie], np.flatnonzero(last_of_tie) + 1
    gained = np.diff(found, prepend=0)
    return float(np.sum(gained * found / asked) / found[-1])


def rank_measures(score: ArrayLike, label: ArrayLike, *, window_rows: int) -> RankMeasures:
    """AUC-ROC, AUC-PR, VUS-ROC and VUS-PR of a score [R] with labels [R] (> 0: anomalous).

    `window_rows` is the largest tolerance at an event's edges; TSB-AD takes `period(channel 0)`.
    """
    roc, pr = vus(score, label, window_rows=window_rows)
    return RankMeasures(auc_roc=auc_roc(score, label), auc_pr=auc_pr(score, label), vus_roc=roc, vus_pr=pr)


def vus(score: ArrayLike, label: ArrayLike, *, window_rows: int) -> tuple[float, float]:
    """(VUS-ROC, VUS-PR): mean over tolerances 0..window_rows of the range-aware areas (Paparrizos, VLDB 2022).

    Where the reference walks through every row for every threshold and tolerance, this sorts the rows
    into the 250 thresholds once and sums weights there: the same figures, in time linear in the rows
    near events.
    """
    values = np.asarray(score, dtype=np.float64)
    positive = np.asarray(label) > 0
    events = segments(positive)
    if len(events) == 0:
        return float("nan"), float("nan")
    descending = -np.sort(-values)
    thresholds = descending[np.linspace(0, values.size - 1, _THRESHOLDS).astype(np.int64)]
    # Threshold k is the first at which a row counts as predicted.
    first = np.searchsorted(-thresholds, -values, side="left")
    predicted = np.searchsorted(-descending, -thresholds, side="right").astype(np.float64)
    inside = _cumulated(first[positive], np.ones(int(positive.sum())))
    areas = np.empty((window_rows + 1, 2))
    for tolerance in range(window_rows + 1):
        rows, weights = _edge_weights(events, length=values.size, tolerance=tolerance)
        edge = _cumulated(first[rows], weights)
        existence = _existence(values, events, thresholds, tolerance=tolerance)
        areas[tolerance] = _areas(
            inside=inside, edge=edge, existence=existence, predicted=predicted, length=values.size
        )
    return float(areas[:, 0].mean()), float(areas[:, 1].mean())


def point_measures(alarm: ArrayLike, label: ArrayLike) -> PointMeasures:
    """Row-wise F1, precision, recall, false-alarm rate and missed-alarm rate."""
    raised, positive = np.asarray(alarm).astype(bool), np.asarray(label) > 0
    hits = float(np.sum(raised & positive))
    false, missed = float(np.sum(raised & ~positive)), float(np.sum(~raised & positive))
    normal = float(np.sum(~positive))
    return PointMeasures(
        f1=_ratio(2 * hits, 2 * hits + false + missed),
        precision=_ratio(hits, hits + false),
        recall=_ratio(hits, hits + missed),
        far=_ratio(false, normal),
        mar=_ratio(missed, hits + missed),
    )


def event_measures(
    alarm: ArrayLike, label: ArrayLike, *, rows_per_week: float, merge_rows: int = 0, grace_rows: int = 0
) -> EventMeasures:
    """Events found, delays and false alarms of a row-wise alarm [R] against labels [R].

    Args:
        alarm: true where an alarm is raised.
        label: > 0 where the machine is faulty.
        rows_per_week: rows in a week, for the false-alarm rate (counted over normal rows only).
        merge_rows: alarms with a pause of at most this many rows are one alarm.
        grace_rows: rows after an event's end in which an alarm still belongs to it (a causal window keeps
            seeing the fault for its own length).
    """
    raised, positive = np.asarray(alarm).astype(bool), np.asarray(label) > 0
    events = segments(positive)
    alarms = _merged(segments(raised), merge_rows)
    delay = np.full(len(events), np.nan)
    true_alarm = np.zeros(len(alarms), dtype=bool)
    for index, (start, end) in enumerate(events):
        reach = end + grace_rows
        true_alarm |= (alarms[:, 0] < reach) & (alarms[:, 1] > start)
        hits = np.flatnonzero(raised[start:reach])
        if hits.size:
            delay[index] = hits[0]
    n_found, n_false = int(np.isfinite(delay).sum()), int((~true_alarm).sum())
    normal_weeks = float(np.sum(~positive)) / rows_per_week
    return EventMeasures(
        n_events=len(events),
        n_found=n_found,
        n_alarms=len(alarms),
        n_false_alarms=n_false,
        recall=_ratio(n_found, len(events)),
        precision=_ratio(len(alarms) - n_false, len(alarms)),
        delay_rows=delay,
        false_alarms_per_week=_ratio(n_false, normal_weeks),
    )


def affiliation(alarm: ArrayLike, label: ArrayLike) -> tuple[float, float]:
    """(precision, recall) by distance in time, against chance (Huet, Navarro and Rossi, KDD 2022); from telemeval.

    NaN where there is no event, and a precision of NaN where nothing was alarmed.

    Raises:
        ImportError: the package of the `bench` extra is missing.
    """
    import pandas as pd  # noqa: PLC0415  both only where this measure is asked for
    import telemeval  # noqa: PLC0415

    raised, events = np.asarray(alarm).astype(bool), segments(np.asarray(label) > 0)
    if len(events) == 0:
        return float("nan"), float("nan")
    if not raised.any():
        return float("nan"), 0.0
    times = pd.date_range("2000-01-01", periods=raised.size, freq="s")
    labels = pd.DataFrame(
        {
            "ID": [f"event {at}" for at in range(len(events))],
            "Channel": "machine",
            "StartTime": times[events[:, 0]],
            "EndTime": times[events[:, 1] - 1],
        }
    )
    said = pd.DataFrame({"Timestamp": times, "Score": raised.astype(np.int8)})
    found = telemeval.score_affiliation(telemeval.build_metric_inputs(labels, {"machine": said}), beta=1.0)
    precision, recall = found["affiliation_precision"], found["affiliation_recall"]
    return (float("nan") if precision is None else precision), float(recall)


def confusion(predicted: ArrayLike, true: ArrayLike, *, n_classes: int) -> NDArray[np.int64]:
    """Confusion matrix [n_classes, n_classes]: rows are the truth, columns the prediction."""
    truth, guess = np.asarray(true, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    return np.bincount(truth * n_classes + guess, minlength=n_classes**2).reshape(n_classes, n_classes)


def macro_f1(matrix: NDArray[np.int64]) -> float:
    """Mean F1 over the classes that occur in the truth or in the prediction of a confusion matrix."""
    hits = np.diag(matrix).astype(np.float64)
    mentioned = (matrix.sum(axis=0) + matrix.sum(axis=1)).astype(np.float64)
    present = mentioned > 0
    return float(np.mean(2.0 * hits[present] / mentioned[present])) if present.any() else float("nan")


def calibration_error(probability: ArrayLike, true: ArrayLike, *, n_bins: int = 15) -> float:
    """Expected calibration error of the top class (Guo et al., ICML 2017): probability [N, K], true [N]."""
    table = np.asarray(probability, dtype=np.float64)
    confidence, correct = table.max(axis=1), table.argmax(axis=1) == np.asarray(true)
    slot = np.clip(np.ceil(confidence * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    gap = np.bincount(slot, weights=confidence - correct, minlength=n_bins)
    return float(np.abs(gap).sum() / len(table))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")


def _merged(runs: NDArray[np.int64], merge_rows: int) -> NDArray[np.int64]:
    """Runs [S, 2] with pauses of at most `merge_rows` closed."""
    if len(runs) == 0:
        return runs
    opens = np.append(True, runs[1:, 0] - runs[:-1, 1] > merge_rows)
    closes = np.append(opens[1:], True)
    return np.stack([runs[opens, 0], runs[closes, 1]], axis=1)


def _cumulated(first: NDArray[np.int64], weights: Rows) -> Rows:
    """Weight of the predicted rows at each threshold, given the threshold at which each row enters."""
    return np.cumsum(np.bincount(first, weights=weights, minlength=_THRESHOLDS)[:_THRESHOLDS])


def _edge_weights(
    events: NDArray[np.int64], *, length: int, tolerance: int
) -> tuple[NDArray[np.int64], Rows]:
    """Rows beside the events and the label, in 0..1, that the tolerance gives them."""
    half = tolerance // 2
    if half == 0:
        return np.empty(0, np.int64), np.empty(0)
    away = np.arange(1, half + 1)
    weight = np.broadcast_to(np.sqrt(1.0 - away / tolerance), (len(events), half))
    after, before = events[:, 1, None] - 1 + away, events[:, 0, None] - away
    rows = np.concatenate([after.ravel(), before.ravel()])
    weights = np.concatenate([weight.ravel(), weight.ravel()])
    kept = (rows >= 0) & (rows < length)
    unique, inverse = np.unique(rows[kept], return_inverse=True)
    summed = np.minimum(np.bincount(inverse, weights=weights[kept], minlength=unique.size), 1.0)
    # Rows of a neighbouring event are counted as that event's own.
    event = np.searchsorted(events[:, 0], unique, side="right") - 1
    beside = (event < 0) | (unique >= events[np.maximum(event, 0), 1])
    return unique[beside].astype(np.int64), summed[beside]


def _existence(values: Rows, events: NDArray[np.int64], thresholds: Rows, *, tolerance: int) -> Rows:
    """Share of the (widened, merged) events in which at least one row is predicted, for each threshold."""
    half = tolerance // 2
    apart = events[:-1, 1] - 1 + half < events[1:, 0] - half
    starts = np.maximum(events[np.append(True, apart), 0] - half, 0)
    ends = np.minimum(events[np.append(apart, True), 1] + half, values.size)
    bounds = np.stack([starts, ends], axis=1).ravel()
    peaks = np.maximum.reduceat(np.append(values, -np.inf), bounds)[::2]
    return np.searchsorted(np.sort(-peaks), -thresholds, side="right") / len(peaks)


def _areas(*, inside: Rows, edge: Rows, existence: Rows, predicted: Rows, length: int) -> tuple[float, float]:
    """(range-AUC-ROC, range-AUC-PR) at one tolerance; arguments are per threshold."""
    n_positive = inside[-1]
    hits = inside + edge
    wanted = n_positive + edge / 2.0
    recall = np.minimum(hits / wanted, 1.0) * existence
    fall_out = (predicted - hits) / (length - wanted)
    precision = hits / predicted
    tpr = np.concatenate([[0.0], recall, [1.0]])
    fpr = np.concatenate([[0.0], fall_out, [1.0]])
    roc = float(np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2.0))
    return roc, float(np.sum(np.diff(tpr[:-1]) * precision))
