"""Figures of one file, and of all files of a set together; the measures are `edge_trainer.evaluation.measures`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from edge_trainer.evaluation.measures import affiliation, event_measures, period, rank_measures
from numpy.typing import NDArray

from benchmarks.detection.datasets import Series
from benchmarks.detection.methods import Outcome
from edge_agent.recordings.replay import row_times_ns

_WEEK_S = 7 * 24 * 3600.0
# The longest part of a window: an alarm in the rows after a fault, which the window still sees, is not a false one.
_GRACE_ROWS = 128


def measure(series: Series, outcome: Outcome) -> dict[str, Any]:
    """Ranking over the judged rows, alarms over the rows that were not learnt from."""
    given = series.recording
    found: dict[str, Any] = {"rows": len(given.values), "channels": len(given.channels)}
    label = given.label
    judged = slice(series.judged_from, None)
    if label is not None and label[judged].any():
        window = period(np.nan_to_num(given.values[:, 0]))
        for name, score in (("aligned", outcome.aligned), ("causal", outcome.score)):
            figures = rank_measures(score[judged], label[judged], window_rows=window)
            found[f"vus_pr_{name}"] = round(figures.vus_pr, 4)
            found[f"auc_pr_{name}"] = round(figures.auc_pr, 4)
            found[f"auc_roc_{name}"] = round(figures.auc_roc, 4)
    if outcome.alarm is not None:
        later = slice(series.normal_rows, None)
        truth = np.zeros(len(given.values), np.int16) if label is None else label
        found |= _alarms(outcome.alarm[later], truth[later], row_s=_row_s(series))
    return found


def pooled(files: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means of rankings over the files; alarms of all files as if they were one."""
    found: dict[str, Any] = {"files": len(files), "cpu_s": round(sum(file["cpu_s"] for file in files), 1)}
    for name in (
        f"{kind}_{way}" for kind in ("vus_pr", "auc_pr", "auc_roc") for way in ("aligned", "causal")
    ):
        values = [file[name] for file in files if name in file]
        if values:
            found[name] = round(float(np.mean(values)), 4)
    alarms = [file for file in files if "false_alarms" in file]
    if alarms:
        found |= _pooled_alarms(alarms)
    return found


def _alarms(alarm: NDArray[np.bool_], label: NDArray[np.int16], *, row_s: float) -> dict[str, Any]:
    faulty = label > 0
    events = event_measures(alarm, label, rows_per_week=_WEEK_S / row_s, grace_rows=_GRACE_ROWS)
    precision, recall = affiliation(alarm, label)
    return {
        "hits": int(np.sum(alarm & faulty)),
        "false_rows": int(np.sum(alarm & ~faulty)),
        "missed_rows": int(np.sum(~alarm & faulty)),
        "calm_rows": int(np.sum(~faulty)),
        "calm_weeks": float(np.sum(~faulty)) * row_s / _WEEK_S,
        "events": events.n_events,
        "events_found": events.n_found,
        "alarms": events.n_alarms,
        "false_alarms": events.n_false_alarms,
        "delays_s": [round(delay * row_s, 1) for delay in events.delay_rows.tolist() if math.isfinite(delay)],
        "affiliation_precision": None if math.isnan(precision) else round(precision, 4),
        "affiliation_recall": None if math.isnan(recall) else round(recall, 4),
    }


def _pooled_alarms(files: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    total = {
        name: sum(file[name] for file in files)
        for name in (
            "hits",
            "false_rows",
            "missed_rows",
            "calm_rows",
            "calm_weeks",
            "events",
            "events_found",
            "alarms",
            "false_alarms",
        )
    }
    delays = [delay for file in files for delay in file["delays_s"]]
    faulty = total["hits"] + total["missed_rows"]
    found = {
        "false_alarms_per_week": round(_share(total["false_alarms"], total["calm_weeks"]), 2),
        "far_percent": round(100 * _share(total["false_rows"], total["calm_rows"]), 2),
    }
    if faulty:
        found |= {
            "f1": round(
                _share(2 * total["hits"], 2 * total["hits"] + total["false_rows"] + total["missed_rows"]), 4
            ),
            "mar_percent": round(100 * _share(total["missed_rows"], faulty), 2),
            "event_recall": round(_share(total["events_found"], total["events"]), 4),
            "event_precision": round(
                _share(total["alarms"] - total["false_alarms"], max(total["alarms"], 1)), 4
            ),
            "median_delay_s": round(float(np.median(delays)), 1) if delays else None,
        }
        for name in ("affiliation_precision", "affiliation_recall"):
            values = [file[name] for file in files if file[name] is not None]
            found[name] = round(float(np.mean(values)), 4) if values else None
    return found


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def _row_s(series: Series) -> float:
    """Median seconds from row to row; 1 where the recording has no times."""
    steps = np.diff(row_times_ns(series.recording))
    return max(float(np.median(steps)) / 1e9, 1e-9) if len(steps) else 1.0
