"""The measured report as Markdown and as a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

_COLUMNS = (
    ("VUS-PR aligned", "vus_pr_aligned", "{:.3f}"),
    ("VUS-PR causal", "vus_pr_causal", "{:.3f}"),
    ("F1", "f1", "{:.3f}"),
    ("FAR %", "far_percent", "{:.1f}"),
    ("MAR %", "mar_percent", "{:.1f}"),
    ("events found", "event_recall", "{:.2f}"),
    ("median delay s", "median_delay_s", "{:.0f}"),
    ("affiliation P", "affiliation_precision", "{:.2f}"),
    ("affiliation R", "affiliation_recall", "{:.2f}"),
    ("CPU s", "cpu_s", "{:.0f}"),
)
_PUBLISHED_SHOWN = 6
_FOOT = (
    "Baselines ran in the same harness on the same rows: learnt from the calm part in the same scales, causal, "
    "aligned in the same way; their threshold is the 99 % point of what the last quarter of the calm part scored when "
    "learnt from the rest. The agent's comes from its budget of one false alarm a week; rows of an alarm that is "
    "unsettled (quiet, and not over before its off-delay) do not count as in alarm. Published figures look ahead "
    "by a window. VUS-PR is a mean over files; F1, FAR, MAR and events are of all files together. In `turned`, the "
    "judged part of each run is turned by a random number of rows, so that the place of an anomaly says nothing."
)


def table(report: Mapping[str, Any]) -> str:
    """The report as Markdown, a table a set."""
    made = f"{report['date']}, commit {report['commit']}, {report['machine']}, model {report['model'][:12]}."
    lines = ["# Detection", "", f"{made} Command: `{report['command']}`.", "", _FOOT]
    for name, rows in report["sets"].items():
        shown = [
            column for column in _COLUMNS if any(row.get(column[1]) is not None for row in rows.values())
        ]
        files = next((row["files"] for row in rows.values()), 0)  # of the draws of one method there are more
        lines += ["", f"## {name} ({files} files)", ""]
        if (measured := report.get("measured", {}).get(name)) and measured["commit"] != report["commit"]:
            lines += [f"Measured {measured['date']} at {measured['commit']}: `{measured['command']}`.", ""]
        lines.append("| method | " + " | ".join(title for title, _, _ in shown) + " |")
        lines.append("|---" * (len(shown) + 1) + "|")
        published = [method for method in rows if method.endswith("as published")]
        for method, row in rows.items():
            if method in published[_PUBLISHED_SHOWN:]:
                continue
            cells = [_cell(row.get(key), form) for _, key, form in shown]
            lines.append(f"| {_bold(method)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _bold(method: str) -> str:
    return f"**{method}**" if method == "edge-agent" else method


def picture(report: Mapping[str, Any], path: Path) -> None:
    """VUS-PR of the fifteen best methods of each set, one panel a set."""
    figure, panels = plt.subplots(
        1, len(report["sets"]), figsize=(6.5 * len(report["sets"]), 5), squeeze=False, constrained_layout=True
    )
    for panel, (name, rows) in zip(panels[0], report["sets"].items(), strict=True):
        ranked = sorted(
            ((row["vus_pr_aligned"], method) for method, row in rows.items() if "vus_pr_aligned" in row),
            reverse=True,
        )[:15][::-1]
        ours = ["#c33" if method.startswith("edge-agent") else "#789" for _, method in ranked]
        panel.barh([method for _, method in ranked], [value for value, _ in ranked], color=ours)
        causal = [rows[method].get("vus_pr_causal", float("nan")) for _, method in ranked]
        panel.plot(causal, range(len(ranked)), "k|", markersize=10, label="causal")
        panel.set_xlim(0, 1)
        panel.set_xlabel("mean VUS-PR, aligned")
        panel.set_title(name)
        panel.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=100)
    plt.close(figure)
