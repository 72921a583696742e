"""The measured report as Markdown and as a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

from benchmarks.detection.networks import AGENT

mpl.use("Agg")
from matplotlib import pyplot as plt

_COLUMNS = (
    ("faults found", "found", "{:.2f}"),
    ("false alarms in 12 calm h", "false_alarms_12h", "{:.2f}"),
    ("calm time in alarm, %", "calm_in_alarm_percent", "{:.1f}"),
    ("plants without a false alarm", "without_false_alarm", "{:.2f}"),
    ("guilty channel first, alarms", "hit_rate_1", "{:.2f}"),
    ("guilty channel first, windows of faults", "hit_rate_1_windows", "{:.2f}"),
    ("average precision", "average_precision", "{:.3f}"),
)
_FOOT = (
    "Each plant is learnt from its first rows (a row a second), runs calmly for three hours, then has each fault of "
    "its kind once: ten minutes long, severity .3 to 1, at once or growing for 2 or 5 minutes, 25 minutes apart. A "
    "fault is found by an alarm that is raised while it lasts and was not open before; the quarter of an hour after a "
    "fault counts for nobody. All scores go through the agent's own trigger at each method's own threshold; that of "
    "the baselines is the 99 % point of what the last quarter of the learnt rows scored when learnt from the rest. "
    "In brackets: 90 % by bootstrap over plants. The last columns move every threshold, with these plants in view, to "
    "where most is found within so many false alarms in 12 calm hours: what a score could do, not what it does."
)


def table(report: Mapping[str, Any]) -> str:
    """The report as Markdown, a table for each length of learning and group of kinds."""
    made = f"{report['date']}, commit {report['commit']}, {report['machine']}, model {report['model'][:12]}."
    lines = ["# Learnt from few minutes", "", f"{made} Command: `{report['command']}`.", "", _FOOT]
    if before := report.get("left_out_measured"):
        lines[-1] += (
            f" The rows of kinds left out are of {before['date']}, commit {before['commit']}: `{before['command']}`."
        )
    for minutes, groups in report["learnt"].items():
        for group, told in groups.items():
            first = next(iter(told["methods"].values()))
            lines += ["", f"## {minutes} minutes, {group}", ""]
            lines.append(f"{first['plants']} plants, {first['faults']} faults; {', '.join(told['kinds'])}.")
            lines += ["", *_rows(told["methods"]), *_gains(told["gains"])]
    return "\n".join(lines) + "\n"


def _rows(methods: Mapping[str, Mapping[str, Any]]) -> list[str]:
    bounds = list(next(iter(methods.values()))["found_at"])
    titles = [title for title, _, _ in _COLUMNS]
    titles += ["median delay, s", *(f"found at ≤ {bound}" for bound in bounds)]
    lines = ["| method | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for name, row in methods.items():
        cells = [_cell(row[key], form) for _, key, form in _COLUMNS]
        cells.append("-" if row["median_delay_s"] is None else f"{row['median_delay_s']:.0f}")
        cells += ["-" if at is None else f"{at['found']:.2f}" for at in row["found_at"].values()]
        drawn = f", mean of {row['draws']}" if row["draws"] > 1 else ""
        shown = f"**{name}**" if name == AGENT else name
        lines.append(f"| {shown}{drawn} | " + " | ".join(cells) + " |")
    return lines


def _gains(gains: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines: list[str] = []
    for ours, others in gains.items():
        lines += ["", f"{ours} minus each of the others, on the same plants:", ""]
        lines += ["| minus | faults found | average precision |", "|---|---|---|"]
        for name, gain in others.items():
            precision = _cell(gain["average_precision"], "{:+.3f}")
            lines.append(f"| {name} | {_cell(gain['found'], '{:+.2f}')} | {precision} |")
    return lines


def _cell(figure: Mapping[str, float] | None, form: str) -> str:
    if figure is None:
        return "-"
    low, high = form.format(figure["low"]), form.format(figure["high"])
    return f"{form.format(figure['mean'])} [{low}, {high}]"


def picture(report: Mapping[str, Any], path: Path) -> None:
    """Faults found against false alarms, a panel for each length of learning and group, with intervals."""
    panels = [
        (f"{minutes} minutes, {group}", told["methods"])
        for minutes, groups in report["learnt"].items()
        for group, told in groups.items()
    ]
    figure, axes = plt.subplots(
        1, len(panels), figsize=(5 * len(panels), 4.5), squeeze=False, constrained_layout=True
    )
    names = list(dict.fromkeys(name for _, methods in panels for name in methods))
    for axis, (title, methods) in zip(axes[0], panels, strict=True):
        for name, row in methods.items():
            false, found = row["false_alarms_12h"], row["found"]
            bars = [[[each["mean"] - each["low"]], [each["high"] - each["mean"]]] for each in (false, found)]
            colour = "#c33" if name == AGENT else f"C{names.index(name)}"
            axis.errorbar(
                false["mean"], found["mean"], xerr=bars[0], yerr=bars[1], fmt="o", color=colour, label=name
            )
        axis.axvline(1.0, color="black", lw=0.8)
        axis.set_xscale("symlog", linthresh=0.5)
        axis.set_xlim(left=-0.05)
        axis.set_ylim(0, 1)
        axis.set_title(title)
        axis.set_xlabel("false alarms in 12 calm hours")
        axis.set_ylabel("faults found")
    axes[0, 0].legend(fontsize=8)
    figure.savefig(path, dpi=100)
    plt.close(figure)
