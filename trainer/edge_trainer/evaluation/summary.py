"""What replayed recordings say in figures: detection, naming of faults, one entry a run. Pure; replays nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_agent.recordings.replay import Replay
from edge_agent.recordings.tables import Recording
from edge_agent.records import Float32
from edge_trainer.evaluation import measures

_RANKS = ("auc_roc", "auc_pr", "auc_pr_of_chance", "vus_pr", "vus_pr_aligned")
_NS_PER_WEEK = 7 * 24 * 3600 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Judged:
    """One replayed recording.

    Attributes:
        true: [W] class of each window's last row. probability: [W, K]. Both are empty where the model names no
            faults or the recording has no labels.
    """

    recording: Recording
    replay: Replay
    true: NDArray[np.int64]
    probability: Float32


def measure(judged: Sequence[Judged], *, labels: Sequence[str], window_rows: int) -> dict[str, Any]:
    """All figures: {"detection": …, "classification": … or None, "runs": one entry each}.

    An alarm that follows a fault's end within a window still belongs to the fault: the window holds faulty rows.
    """
    runs = [_measure_run(item, window_rows=window_rows) for item in judged]
    return {
        "detection": _pool(runs),
        "classification": _measure_classes(judged, labels)
        if any(len(item.true) for item in judged)
        else None,
        "runs": runs,
    }


def _measure_run(item: Judged, *, window_rows: int) -> dict[str, Any]:
    label = item.recording.label
    found: dict[str, Any] = {"name": item.recording.name, "rows": len(item.recording.values)}
    if label is None:
        label = np.zeros(len(item.recording.values), np.int16)
    events = measures.event_measures(
        item.replay.alarm,
        label,
        rows_per_week=_NS_PER_WEEK / item.replay.profile.period_ns,
        grace_rows=window_rows,
    )
    points = measures.point_measures(item.replay.alarm, label)
    found |= {
        "events": events.n_events,
        "events_found": events.n_found,
        "delay_rows": [None if np.isnan(delay) else float(delay) for delay in events.delay_rows],
        "false_alarms": events.n_false_alarms,
        "calm_weeks": float((label == 0).sum()) * item.replay.profile.period_ns / _NS_PER_WEEK,
        "calm_rows_in_alarm": _plain(points.far),
        "faulty_rows_missed": _plain(points.mar),
    }
    # Before the first whole window there is no score; those rows are normal by habit and would flatter any score.
    scored = slice(window_rows - 1, None)
    if 0 < np.count_nonzero(label[scored]) < len(label[scored]):
        period = measures.period(np.nan_to_num(item.recording.values[:, 0]))
        ranks = measures.rank_measures(item.replay.score[scored], label[scored], window_rows=period)
        aligned = measures.rank_measures(item.replay.score_aligned[scored], label[scored], window_rows=period)
        found |= {
            "auc_roc": ranks.auc_roc,
            "auc_pr": ranks.auc_pr,
            "auc_pr_of_chance": float(np.mean(label[scored] > 0)),
            "vus_pr": ranks.vus_pr,
            "vus_pr_aligned": aligned.vus_pr,
        }
    return found


def _pool(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts added up over the runs, ranks averaged over the runs that have faulty and normal rows."""
    events, found = sum(run["events"] for run in runs), sum(run["events_found"] for run in runs)
    false, weeks = sum(run["false_alarms"] for run in runs), sum(run["calm_weeks"] for run in runs)
    delays = [delay for run in runs for delay in run["delay_rows"] if delay is not None]
    ranked = [run for run in runs if "auc_pr" in run]
    pooled = {
        "events": events,
        "events_found": found,
        "event_recall": found / events if events else None,
        "false_alarms": false,
        "calm_weeks": weeks,
        "false_alarms_per_week": false / weeks if weeks else None,
        "delay_rows_median": float(np.median(delays)) if delays else None,
    }
    means = {key: float(np.mean([run[key] for run in ranked])) for key in _RANKS if ranked}
    return pooled | means


def _measure_classes(judged: Sequence[Judged], labels: Sequence[str]) -> dict[str, Any]:
    """Of single windows, alarm or not, from the first faulty row on."""
    true = np.concatenate([item.true for item in judged])
    probability = np.concatenate([item.probability for item in judged])
    matrix = measures.confusion(probability.argmax(axis=1), true, n_classes=len(labels))
    return {
        "windows": len(true),
        "accuracy": float(np.trace(matrix) / matrix.sum()),
        "macro_f1": measures.macro_f1(matrix),
        "calibration_error": measures.calibration_error(probability, true),
        "labels": list(labels),
        "confusion": matrix.tolist(),
    }


def _plain(share: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(share) else share
