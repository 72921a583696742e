"""What `run` measured, as a table for people and a picture. Measures nothing."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt


def table(report: dict[str, Any]) -> str:
    """The report for people."""
    summary, load, alone = report["summary"], report["load"], report["stages_alone"]
    columns = list(summary)
    said = (
        f"{load['machines']} machines of {load['channels']} channels, {load['messages_per_s']} messages a second, "
        f"QoS 1, JSON, a score a second and machine, journal on. {report['machine']['processor']}, "
        f"{report['machine']['cores']} cores, load average {report['machine']['load_average_at_end']} at the end; "
        f"`{report['command']}`, {report['date'][:10]}. Median (range) of the repeats.\n"
    )
    lines = [
        "# Throughput\n",
        said,
        "| | " + " | ".join(columns) + " | goal |",
        "|---" * (len(columns) + 2) + "|",
    ]
    keys = [key for key in summary["agent"] if key != "name"]
    for key in keys:
        cells = [_cell(summary[name].get(key)) for name in columns]
        lines.append(f"| {key} | " + " | ".join(cells) + f" | {report['goals'].get(key, '')} |")
    share = summary["agent"]["backlog_per_s"]["median"] / summary["empty"]["backlog_per_s"]["median"]
    lines.append(f"\nThe agent works a backlog off at {share:.0%} of the empty subscriber's rate.\n")
    lines += ["| stage alone | µs of processor a message |", "|---|---|"]
    lines += [f"| {name} | {cost} |" for name, cost in alone["cpu_us_per_message"].items()]
    lines.append(
        f"\nONNX Runtime alone: {alone['onnxruntime_us_per_channel_window']} µs a window of one channel.\n"
    )
    return "\n".join(lines)


def _cell(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return ""
    low, high = figure["range"]
    return f"{figure['median']:g}" + (f" ({low:g}..{high:g})" if low != high else "")


def picture(report: dict[str, Any], path: Path) -> None:
    """Processor time a message: whole processes, and stages alone."""
    whole = {name: found["cpu_us_per_message"]["median"] for name, found in report["summary"].items()}
    alone = {f"{name}, alone": cost for name, cost in report["stages_alone"]["cpu_us_per_message"].items()}
    bars = {**whole, **alone}
    figure, axis = plt.subplots(figsize=(8, 3.2), constrained_layout=True)
    colours = ["#345"] * len(whole) + ["#9ab"] * len(alone)
    axis.barh(list(bars), list(bars.values()), color=colours)
    axis.invert_yaxis()
    axis.set_xlabel("µs of processor a message")
    for at, cost in enumerate(bars.values()):
        axis.text(cost, at, f" {cost:.1f}", va="center", fontsize=8)
    figure.savefig(path, dpi=90)
    plt.close(figure)
