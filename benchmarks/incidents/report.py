"""The measured incidents as Markdown and as a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt


def table(report: Mapping[str, Any]) -> str:
    """The goals, and what each machine did."""
    sums = report["figures"]
    names = ("onset_s", "told_s", "onset_beyond_s", "late_onset_beyond_s")
    onset, told, beyond, late = (sums[name] or {} for name in names)
    goals = (
        ("constant faults found", "", f"{sums['found']} of {sums['faults']}"),
        (
            "incidents a fault, mean and most",
            "≤ 1.05, ≤ 2",
            f"{sums['incidents_a_fault']}, {sums['most_incidents']}",
        ),
        ("came back while unsettled, a fault", "counted", sums["came_back_a_fault"]),
        (
            "shown as normal while the fault stands, minutes of all machines",
            "0",
            f"{sums['normal_minutes']}, on {sums['machines_shown_normal']} machines",
        ),
        (
            "first word after the injection, median and 90 %",
            "",
            _seconds(told),
        ),
        (
            "onset told after the injection, median and 90 %",
            "",
            _seconds(onset),
        ),
        (
            "onset told beyond the detector's own delay (the first window above the threshold), median and 90 %",
            "≤ 60 s, ≤ 180 s",
            _seconds(beyond),
        ),
        (
            f"the same of {sums['late']} machines that waited 25 min to be learnt",
            "≤ 60 s, ≤ 180 s",
            _seconds(late),
        ),
        (
            "two faults ten minutes apart told apart, where each is seen alone",
            "≥ 90 %",
            f"{sums['pairs_apart']} of {sums['pairs_seen']}" if sums["pairs_seen"] else "not asked",
        ),
        ("incidents before any fault", "", sums["false"]),
    )
    made = f"{report['date']}, commit {report['commit']}, `{report['command']}`, {report['form']}."
    lines = ["# One fault, one incident", "", made, "", "| what | goal | measured |", "|---|---|---|"]
    lines += [f"| {what} | {goal} | {figure} |" for what, goal, figure in goals]
    lines += [
        "",
        "| machine | incidents | came back | shown as normal, min | onset, s | beyond, s | told, s |",
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    for row in report["machines"]:
        if row["question"] == "constant":
            cells = ("incidents", "came_back", "normal_minutes", "onset_s", "onset_beyond_s", "told_s")
            lines.append(
                " | ".join(["| " + row["machine"], *(_cell(row.get(cell)) for cell in cells)]) + " |"
            )
    return "\n".join(lines) + "\n"


def _seconds(figure: Mapping[str, Any]) -> str:
    """Median and nine tenths; a form that does not ask has none."""
    if figure.get("median") is None:
        return "not asked"
    return f"{figure['median']} s, {figure['p90']} s"


def _cell(figure: object) -> str:
    return "-" if figure is None else str(figure)


def picture(report: Mapping[str, Any], path: Path) -> None:
    """When the first word came, and how often each incident came back."""
    heard = [row for row in report["machines"] if row["question"] == "constant" and row["found"]]
    if not heard:
        return
    figure, axes = plt.subplots(figsize=(9, 0.25 * len(heard) + 1.5))
    heard = sorted(heard, key=lambda row: row["told_s"])
    places = range(len(heard))
    colours = ["tab:red" if row["normal_minutes"] or row["incidents"] > 1 else "tab:blue" for row in heard]
    axes.barh(places, [row["told_s"] / 60 for row in heard], color=colours)
    for place, row in zip(places, heard, strict=True):
        axes.text(row["told_s"] / 60 + 0.3, place, f"back {row['came_back']} times", va="center", fontsize=7)
    axes.set_yticks(list(places), [row["machine"] for row in heard], fontsize=7)
    axes.set_xlabel(
        "minutes from the fault to its incident; red: more than one, or shown as normal meanwhile"
    )
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
