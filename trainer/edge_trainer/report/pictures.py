"""Pictures of what a stage did, each as a PNG file and as an SVG element for the report of the training."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from edge_agent.records import Float32
from edge_trainer.evaluation.label_efficiency import Point
from edge_trainer.report import svg
from edge_trainer.training.loop import History

mpl.use("Agg")

DPI = 110
_SMOOTHING_STEPS = 25
_EXAMPLES = 8
# No date in the file: the same run gives the same bytes.
METADATA = {"Software": None}


def curves(path: Path, history: History, *, title: str) -> None:
    """Each part of the loss over the steps (smoothed), with the held-out measure."""
    names = list(history.losses[0]) if history.losses else []
    figure = Figure(figsize=(3.6 * max(1, len(names)), 3.2), layout="constrained")
    for number, name in enumerate(names, start=1):
        axes = figure.add_subplot(1, len(names), number)
        values = np.array([losses[name] for losses in history.losses])
        axes.plot(values, color="0.8", linewidth=0.5)
        axes.plot(_smooth(values), color="C0", linewidth=1.2, label="training")
        if name == "total" and history.validations:
            steps, measures = zip(*history.validations, strict=True)
            axes.plot(steps, measures, "o-", color="C1", markersize=3, linewidth=1, label="held out")
            axes.legend(fontsize=7)
        axes.set(title=f"{title}: {name}", xlabel="step", yscale="log" if values.min() > 0 else "linear")
    _save(figure, path)


def reconstructions(path: Path, *, window: Float32, observed: Float32, reconstruction: Float32) -> None:
    """The first windows [N, T] with what the model restored; hidden rows are shaded."""
    count = min(_EXAMPLES, len(window))
    figure = Figure(figsize=(10, 1.5 * count), layout="constrained")
    for number in range(count):
        axes = figure.add_subplot((count + 1) // 2, 2, number + 1)
        restored_over_signal(
            axes, window=window[number], observed=observed[number], reconstruction=reconstruction[number]
        )
    _save(figure, path)


def restored_over_signal(axes: Axes, *, window: Float32, observed: Float32, reconstruction: Float32) -> None:
    """One window [T]: signal, reconstruction, and hidden rows shaded."""
    rows = np.arange(len(window))
    axes.plot(rows, window, color="0.3", linewidth=0.9, label="signal")
    axes.plot(rows, reconstruction, color="C3", linewidth=1.1, label="reconstruction")
    hidden = observed == 0
    axes.fill_between(
        rows,
        0,
        1,
        where=hidden.tolist(),
        transform=axes.get_xaxis_transform(),
        color="C0",
        alpha=0.15,
        linewidth=0,
    )
    axes.tick_params(labelsize=6)


def projection(path: Path, *, points: Float32, kind: Sequence[str] | NDArray[np.str_]) -> None:
    """Points [N, D] on their two leading principal components, coloured by kind."""
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.add_subplot()
    flat, share = principal(points)
    labels = np.asarray(kind)
    for number, name in enumerate(np.unique(labels)):
        chosen = labels == name
        axes.scatter(
            flat[chosen, 0], flat[chosen, 1], s=7, alpha=0.7, color=f"C{number % 10}", label=str(name),
            marker="o^s"[number // 10 % 3],
        )  # fmt: skip
    axes.set(
        title="embeddings of held-out windows",
        xlabel=f"component 1 ({share[0]:.0%})",
        ylabel=f"component 2 ({share[1]:.0%})",
    )
    axes.legend(fontsize=6, ncols=2)
    _save(figure, path)


def principal(points: Float32) -> tuple[Float32, Float32]:
    """(points [N, D] on their two leading principal components [N, 2], the shares of variance they explain [2])."""
    centred = points - points.mean(axis=0)
    _, strengths, directions = np.linalg.svd(centred, full_matrices=False)
    power = strengths**2
    shares = power[:2] / max(float(power.sum()), 1e-12)
    return (centred @ directions[:2].T).astype(np.float32), shares.astype(np.float32)


def score_over_rows(
    axes: Axes, *, score: Float32, threshold: float, label: NDArray[np.int16] | None, alarm: NDArray[np.bool_]
) -> None:
    """A run's score [R] against its threshold; faulty rows are shaded, a bar below marks open alarms."""
    rows = np.arange(len(score))
    axes.plot(rows, score, color="0.25", linewidth=0.8)
    axes.axhline(threshold, color="C3", linewidth=1, linestyle="--")
    across = axes.get_xaxis_transform()
    if label is not None:
        axes.fill_between(
            rows, 0, 1, where=(label > 0).tolist(), transform=across, color="C1", alpha=0.2, linewidth=0
        )
    axes.fill_between(rows, 0, 0.04, where=alarm.tolist(), transform=across, color="C3", linewidth=0)
    axes.tick_params(labelsize=6)


def distributions(axes: Axes, *, normal: Float32, faulty: Float32, thresholds: Sequence[float]) -> None:
    """Scores of normal and of faulty rows with the thresholds (several where each run has its own)."""
    everything = np.concatenate([normal, faulty])
    edges = np.linspace(0.0, float(np.quantile(everything, 0.995)) if len(everything) else 1.0, 60)
    for values, name, colour in ((normal, "calm rows", "C0"), (faulty, "faulty rows", "C1")):
        if len(values):
            axes.hist(
                np.minimum(values, edges[-1]),
                edges.tolist(),
                density=True,
                alpha=0.55,
                label=name,
                color=colour,
            )
    for threshold in thresholds:
        axes.axvline(threshold, color="C3", linewidth=0.8, linestyle="--")
    axes.set(xlabel="score (the last bar holds all above)", ylabel="density")
    axes.legend(fontsize=8)


def confusion_matrix(axes: Axes, *, matrix: NDArray[np.int64], labels: Sequence[str]) -> None:
    """Share of each true class (rows) by what the model said (columns)."""
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(share >= 0.05), strict=True):
        value = share[row, column]
        axes.text(
            column,
            row,
            f"{value:.0%}",
            ha="center",
            va="center",
            fontsize=6,
            color="w" if value > 0.5 else "0.2",
        )
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=7)
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.set(xlabel="said", ylabel="true")


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Running mean, shorter at the start."""
    width = min(_SMOOTHING_STEPS, len(values))
    total = np.cumsum(np.concatenate([np.zeros(1), values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - width)
    smoothed: NDArray[np.float64] = (total[ends] - total[starts]) / (ends - starts)
    return smoothed


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI, metadata=METADATA)
    keep_vector(figure, path)


def keep_vector(figure: Figure, path: Path) -> None:
    """Leave the figure for the report of the training, beside `path`; its backgrounds become transparent."""
    prefix = f"{path.parent.name}-{path.stem}"
    path.with_suffix(".svg").write_text(svg.inline(figure, prefix=prefix), encoding="utf-8")


def label_efficiency(path: Path, points: Sequence[Point], *, head: float) -> None:
    """Macro-F1 by labelled windows of each class, beside that of the head that had them all."""
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.add_subplot()
    counts = [point.labels_per_class for point in points]
    axes.fill_between(
        counts,
        [point.lowest for point in points],
        [point.highest for point in points],
        color="C0",
        alpha=0.25,
        linewidth=0,
    )
    axes.plot(counts, [point.macro_f1 for point in points], "o-", color="C0", label="nearest labelled window")
    axes.axhline(head, color="C1", linestyle="--", linewidth=1, label="head, all labels")
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.set(xlabel="labelled windows of each class", ylabel="macro-F1", ylim=(0, 1.02))
    axes.legend(fontsize=8, loc="lower right")
    _save(figure, path)
