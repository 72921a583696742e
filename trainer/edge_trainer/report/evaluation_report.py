"""The evaluation's report: one HTML file with its pictures inside, to be read by the people who run the machine.

It shows figures that were measured elsewhere and measures nothing itself.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from edge_agent.detect.scorer import Scorer
from edge_agent.records import THRESHOLD, Float32
from edge_trainer.evaluation.summary import Judged
from edge_trainer.report import page, pictures

_RUN_COLUMNS = (
    "name",
    "rows",
    "events",
    "events_found",
    "false_alarms",
    "calm_rows_in_alarm",
    "auc_pr",
    "vus_pr",
)
_RUNS_PER_PICTURE = 40
_WINDOW_STEP_SHARE = 4
"""Worst windows are looked for among windows a quarter of a window apart."""


def write(
    path: Path, judged: Sequence[Judged], figures: Mapping[str, Any], *, scorer: Scorer, worst_windows: int
) -> None:
    """Write the report."""
    manifest, named = scorer.bundle.manifest, figures["classification"]
    faults, confusion = ((), None) if named is None else _classes(named)
    pictures_of_run = {
        "runs": _runs_picture(judged),
        "distribution": _distribution_picture(judged),
        "confusion": confusion,
        "worst": _worst_picture(judged, scorer, count=worst_windows),
    }
    shown = {
        f"{name}_picture": _image(figure, path.with_name(f"{name}.svg"))
        for name, figure in pictures_of_run.items()
        if figure is not None
    }
    text = page.render(
        "evaluation.html",
        title=f"{manifest.name} {manifest.version}: evaluation",
        manifest=manifest,
        digest=scorer.bundle.digest,
        recordings=len(judged),
        measured=figures,
        run_columns=_RUN_COLUMNS,
        faults=faults,
        curves=_training_curves(path.parent.parent),
        **shown,
    )
    path.write_text(text, encoding="utf-8")


def _image(figure: Figure, vector: Path) -> str:
    """The figure as an address for this page; it is left as a vector graphic, too, for the report of the training."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=pictures.DPI, metadata=pictures.METADATA)
    pictures.keep_vector(figure, vector)
    return _embedded(buffer.getvalue())


def _embedded(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _runs_picture(judged: Sequence[Judged]) -> Figure:
    shown = judged[:_RUNS_PER_PICTURE]
    lines = -(-len(shown) // 2)
    figure = Figure(figsize=(12, 1.5 * lines + 0.3), layout="constrained")
    for number, item in enumerate(shown, start=1):
        axes = figure.add_subplot(lines, 2, number)
        pictures.score_over_rows(
            axes,
            score=item.replay.score,
            threshold=THRESHOLD,
            label=item.recording.label,
            alarm=item.replay.alarm,
        )
        axes.set_title(item.recording.name, fontsize=8, pad=2)
    return figure


def _distribution_picture(judged: Sequence[Judged]) -> Figure:
    normal, faulty = [np.empty(0, np.float32)], [np.empty(0, np.float32)]
    for item in judged:
        bad = (
            np.zeros(len(item.replay.score), np.bool_)
            if item.recording.label is None
            else item.recording.label > 0
        )
        normal.append(item.replay.score[~bad])
        faulty.append(item.replay.score[bad])
    figure = Figure(figsize=(8, 3), layout="constrained")
    pictures.distributions(
        figure.add_subplot(),
        normal=np.concatenate(normal),
        faulty=np.concatenate(faulty),
        thresholds=[THRESHOLD],
    )
    return figure


def _classes(figures: Mapping[str, Any]) -> tuple[Sequence[Mapping[str, Any]], Figure]:
    """How well each fault was named, and the picture of which was taken for which."""
    size = 2.5 + 0.33 * len(figures["labels"])
    figure = Figure(figsize=(size, size), layout="constrained")
    matrix = np.array(figures["confusion"], np.int64)
    pictures.confusion_matrix(figure.add_subplot(), matrix=matrix, labels=figures["labels"])
    rows = []
    for number, name in enumerate(figures["labels"]):
        right, true, said = matrix[number, number], matrix[number].sum(), matrix[:, number].sum()
        found, trusted = (f"{right / total:.0%}" if total else "-" for total in (true, said))
        rows.append({"name": name, "windows": true, "found": found, "trusted": trusted})
    return rows, figure


def _worst_picture(judged: Sequence[Judged], scorer: Scorer, *, count: int) -> Figure:
    """The normal windows of single channels with the largest error in the channel's own scale."""
    found = [place for item in judged for place in _worst_of(item, scorer, count=count)]
    found.sort(key=lambda place: -place[0])
    figure = Figure(figsize=(12, 1.6 * -(-count // 2)), layout="constrained")
    for number, (error, title, window, restored) in enumerate(found[:count], start=1):
        axes = figure.add_subplot(-(-count // 2), 2, number)
        observed = np.isfinite(window).astype(np.float32)
        pictures.restored_over_signal(axes, window=window, observed=observed, reconstruction=restored)
        axes.set_title(f"{title}: mean error {error:.2f} calm spreads", fontsize=8, pad=2)
    return figure


def _worst_of(item: Judged, scorer: Scorer, *, count: int) -> list[tuple[float, str, Float32, Float32]]:
    """(error, title, window [T], reconstruction [T]) of a run's worst windows, one a channel at most."""
    learnt, T = item.replay.profile, scorer.window_rows
    starts = _normal_starts(item, window_rows=T)
    if len(starts) == 0:
        return []
    order = [item.recording.channels.index(name) for name in learnt.channels]
    windows = sliding_window_view(item.recording.values[:, order], T, axis=0)[starts]  # W C T
    location = learnt.memory["location"].astype(np.float32)
    scale = learnt.memory["scale"].astype(np.float32)
    encoded = scorer.encode(np.ascontiguousarray(windows), location, scale)
    seen = np.isfinite(windows)
    away = np.where(seen, np.abs(windows - encoded.reconstruction), 0.0) / scale[:, None]
    error = away.sum(axis=2) / np.maximum(seen.sum(axis=2), 1)  # W C
    places = []
    for channel in np.argsort(-error.max(axis=0))[:count]:
        at = int(error[:, channel].argmax())
        title = f"{item.recording.name}, {learnt.channels[channel]}, row {starts[at]}"
        places.append(
            (float(error[at, channel]), title, windows[at, channel], encoded.reconstruction[at, channel])
        )
    return places


def _normal_starts(item: Judged, *, window_rows: int) -> NDArray[np.int64]:
    starts = np.arange(0, len(item.recording.values) - window_rows + 1, window_rows // _WINDOW_STEP_SHARE)
    if item.recording.label is None:
        return starts
    faulty = np.concatenate([[0], np.cumsum(item.recording.label > 0)])
    normal: NDArray[np.int64] = starts[faulty[starts + window_rows] == faulty[starts]]
    return normal


def _training_curves(run: Path) -> list[tuple[str, str]]:
    """(stage, picture) of the curves that the training stages left in the run's directory."""
    found = [path for stage in ("pretrain", "finetune") if (path := run / stage / "curves.png").exists()]
    return [(path.parent.name, _embedded(path.read_bytes())) for path in found]
