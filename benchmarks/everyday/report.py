"""The measured machines as sums, as Markdown and as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks.detection.networks import AGENT
from benchmarks.everyday.machines import MACHINES
from benchmarks.everyday.verdict import MOST_FALSE_A_WEEK, MOST_IN_ALARM

mpl.use("Agg")
from matplotlib import pyplot as plt

Rows = Sequence[Mapping[str, Any]]
ALL = "all"
_DRAWS = 2000
_FOOT = (
    f"A row each 10 s, learnt from the first day, one real fault near the end of the week or fortnight after it. False "
    f"incidents a week of calm time; faults found of those there were, by an alarm that opens in the fault's time and "
    f"was not open before; share of the calm time in alarm; lowest of the faults' peaks (1 is the threshold). Notices "
    f"and findings about sensors are counted apart. Goal of each machine: at most {MOST_FALSE_A_WEEK:g} a week, every "
    f"fault found, at most {MOST_IN_ALARM:.1%} of the calm time in alarm. Baselines: 99 % point of what the last "
    f"quarter of the learnt day scored when learnt from the rest, behind the agent's trigger."
)


def summarise(rows: Rows) -> dict[str, dict[str, Any]]:
    """By method and machine, and of `all` machines: figures over the seeds."""
    found: dict[str, dict[str, Any]] = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method and "error" not in row]
        names = dict.fromkeys(row["machine"] for row in own)
        table = {name: _over_seeds([row for row in own if row["machine"] == name]) for name in names}
        failed = [row for row in rows if row["method"] == method and "error" in row]
        if own:
            found[method] = table | {ALL: _overall(table, own, errors=len(failed))}
    return found


def _over_seeds(rows: Rows) -> dict[str, Any]:
    with_fault = [row for row in rows if row["found"] is not None]
    notices = sum(sum(row["notices"].values()) for row in rows)
    figures: dict[str, Any] = {
        "false_a_week": [row["false_a_week"] for row in rows],
        "found": sum(row["found"] for row in with_fault),
        "faults": len(with_fault),
        "in_alarm": round(float(np.mean([row["in_alarm"] for row in rows])), 5),
        "in_alarm_most": max(row["in_alarm"] for row in rows),
        "peak_least": min((row["peak"] for row in with_fault if row["peak"] is not None), default=None),
        "notices_a_week": round(notices / max(sum(row["weeks"] for row in rows), 1e-9), 2),
    }
    in_peace = max(figures["false_a_week"]) <= MOST_FALSE_A_WEEK and figures["in_alarm_most"] <= MOST_IN_ALARM
    return figures | {"kept": in_peace and figures["found"] == figures["faults"], "in_peace": in_peace}


def _overall(table: Mapping[str, Mapping[str, Any]], rows: Rows, *, errors: int) -> dict[str, Any]:
    weekly = [float(np.mean(figures["false_a_week"])) for figures in table.values()]
    low, high = _interval(weekly)
    return {
        "false_a_week": round(float(np.mean(weekly)), 2),
        "false_a_week_interval": [round(low, 2), round(high, 2)],
        "in_alarm": round(float(np.mean([row["in_alarm"] for row in rows])), 4),
        "found": sum(figures["found"] for figures in table.values()),
        "faults": sum(figures["faults"] for figures in table.values()),
        "machines": len(table),
        "in_peace": sum(figures["in_peace"] for figures in table.values()),
        "kept": sum(figures["kept"] for figures in table.values()),
        "errors": errors,
    }


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % of the means of machines drawn again, by the percentile bootstrap (Efron, 1979)."""
    rng = np.random.default_rng(0)
    drawn = rng.choice(np.asarray(values), (_DRAWS, len(values))).mean(axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def table(report: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    methods = report["machines"]
    before = report.get("before") or {}
    earlier = before.get("machines", {})
    made = f"{report['date']}, commit {report['commit']}, {report['machine']}, model {report['model'][:12]}."
    lines = ["# Ordinary machines", "", f"{made} Command: `{report['command']}`.", "", _FOOT, ""]
    heads = ["machine", *methods, *([f"at {before['commit']}"] if earlier else []), "notices a week", "goal"]
    lines += ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    names = dict.fromkeys(name for rows in methods.values() for name in rows if name != ALL)
    ours = methods.get(AGENT, {})
    for name in names:
        cells = [_cell(rows.get(name)) for rows in methods.values()]
        cells += [_cell(earlier.get(name))] if earlier else []
        own = ours.get(name)
        last = ["-", ""] if own is None else [f"{own['notices_a_week']:g}", _verdict(own)]
        title = MACHINES[name].title if name in MACHINES else name
        lines.append("| " + " | ".join([f"{title} (`{name}`)", *cells, *last]) + " |")
    totals = [_total(rows.get(ALL)) for rows in methods.values()]
    totals += [_total(earlier.get(ALL))] if earlier else []
    lines.append("| " + " | ".join(["**all**", *totals, "", ""]) + " |")
    if earlier:
        lines += ["", f"At {before['commit']}: `{before['command']}`, {before['date']}, {before['note']}."]
    return "\n".join(lines) + "\n"


def _verdict(figures: Mapping[str, Any]) -> str:
    if figures["kept"]:
        return "**met**"
    return "missed: " + ("the fault" if figures["in_peace"] else "alarms")


def _cell(figures: Mapping[str, Any] | None) -> str:
    if figures is None:
        return "-"
    weekly = " / ".join(f"{value:g}" for value in np.round(figures["false_a_week"], 1).tolist())
    peak = "" if figures["peak_least"] is None else f" (peak {figures['peak_least']:.2g})"
    faults = f"{figures['found']} of {figures['faults']}" if figures["faults"] else "no fault"
    return f"{weekly}; {faults}{peak}; {figures['in_alarm']:.2%}"


def _total(figures: Mapping[str, Any] | None) -> str:
    if figures is None:
        return "-"
    low, high = figures["false_a_week_interval"]
    failed = f"; {figures['errors']} errors" if figures["errors"] else ""
    return (
        f"{figures['false_a_week']:g} a week (95 %: {low:g} to {high:g}); {figures['found']} of {figures['faults']}; "
        f"{figures['in_alarm']:.2%}; goal met on {figures['kept']} of {figures['machines']}{failed}"
    )


def picture(report: Mapping[str, Any], path: Path) -> None:
    """False incidents a week and time in alarm of each machine by method; a cross where a fault was not found."""
    methods = dict(report["machines"])
    earlier = (report.get("before") or {}).get("machines")
    if earlier:
        methods[f"{AGENT} at {report['before']['commit']}"] = earlier
    names = list(dict.fromkeys(name for rows in methods.values() for name in rows if name != ALL))[::-1]
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(12, 1.5 + 0.28 * len(names)), sharey=True, constrained_layout=True
    )
    colours = {AGENT: "#c33", f"{AGENT} at {(report.get('before') or {}).get('commit')}": "#e9a"}
    rest = iter(("#468", "#8a8", "#b84", "#666"))
    for shift, (method, rows) in enumerate(methods.items()):
        colour = colours.get(method) or next(rest)
        own = [(place, rows[name]) for place, name in enumerate(names) if name in rows]
        heights = [place + 0.18 * (len(methods) / 2 - shift - 0.5) for place, _ in own]
        for panel, values in (
            (left, [float(np.mean(figures["false_a_week"])) for _, figures in own]),
            (right, [100.0 * figures["in_alarm"] for _, figures in own]),
        ):
            panel.plot(values, heights, "o", color=colour, markersize=5, label=method)
            missed = [at for at, (_, figures) in enumerate(own) if figures["found"] < figures["faults"]]
            panel.plot(
                [values[at] for at in missed], [heights[at] for at in missed], "kx", markersize=7, zorder=3
            )
    left.set_yticks(range(len(names)), [MACHINES[n].title if n in MACHINES else n for n in names])
    for panel, goal, title in (
        (left, MOST_FALSE_A_WEEK, "false incidents a week"),
        (right, 100.0 * MOST_IN_ALARM, "% of the calm time in alarm"),
    ):
        panel.set_xscale("symlog", linthresh=goal)
        panel.set_xlim(left=-0.15 * goal)
        panel.axvline(goal, color="k", linewidth=0.8, linestyle=":")
        panel.set_xlabel(title)
        panel.grid(axis="y", alpha=0.25)
    left.set_ylim(-0.8, len(names) - 0.2)
    figure.suptitle("dotted: goal; cross: a fault was not found", fontsize=9)
    left.legend(loc="lower right", fontsize=8)
    figure.savefig(path, dpi=100)
    plt.close(figure)
