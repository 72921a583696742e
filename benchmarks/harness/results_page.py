"""The benchmarks' figures beside the goals: writes `docs/results.md` from `results.md`; measures nothing itself.

`python -m benchmarks.harness.results_page` reads what `detection.run` (also for the int8 encoder), `unscored`,
`few_minutes.run`, `diagnosis.run`, `named_alarms`, `false_alarms.run`, `everyday.run`, `incidents.run`, `cost`
`history` and `skab_live` left in `benchmarks/results`. Here is what the template's holes need beyond a look-up.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import RESULTS, ROOT
from benchmarks.detection.networks import AGENT, LEFT_OUT, NO_NETWORK, RANDOM
from benchmarks.harness.pages import GAP, NotMeasured, render

SCRATCH = "edge-agent, no unlabelled windows"
FORESTS = ("random forest, statistics", "MiniRocket + ridge")
_REPORTS = (
    "detection",
    "detection_int8",
    "unscored",
    "few_minutes",
    "diagnosis",
    "named_alarms",
    "alarms",
    "everyday",
    "incidents",
    "incidents_live",
    "cost",
    "history",
    "skab_live",
)
_TEMPLATE = Path(__file__).with_name("results.md")
Rows = Mapping[str, Mapping[str, Any]]


def main() -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/results.md")
    options = parser.parse_args()
    options.out.write_text(page(options.results))
    return 0


def page(results: Path) -> str:
    """The whole page from the JSON files of a folder."""
    used = (
        published,
        baselines,
        others,
        best,
        alarm_figures,
        failures_found,
        ordinary,
        shots,
        above,
        measured_at,
        origin,
        few_figures,
        with_interval,
    )
    words = {"AGENT": AGENT, "SCRATCH": SCRATCH, "FORESTS": FORESTS, "GAP": GAP, "unmeasured": NotMeasured()}
    words |= {"LEFT_OUT": LEFT_OUT, "NO_NETWORK": NO_NETWORK, "RANDOM": RANDOM}
    return render(
        _TEMPLATE, results, reports=_REPORTS, helpers=words | {helper.__name__: helper for helper in used}
    )


def published(rows: Rows) -> Rows:
    """What others published."""
    return {name: row for name, row in (rows or {}).items() if name.endswith("as published")}


def baselines(rows: Rows) -> Rows:
    """What others' methods reach in this harness."""
    return {
        name: row
        for name, row in (rows or {}).items()
        if not name.endswith("as published") and not name.startswith((AGENT, "only "))
    }


def others(rows: Rows) -> Rows:
    """All but the agent."""
    return {name: row for name, row in (rows or {}).items() if name != AGENT}


def best(rows: Rows, key: str) -> str:
    """The best of the rows by a figure, in words; empty where none has it."""
    having = {name: row for name, row in rows.items() if row.get(key) is not None}
    if not having:
        return ""
    name = max(having, key=lambda name: float(having[name][key]))
    return f"{name} {alarm_figures(having[name]) if key == 'f1' else f'{having[name][key]:.3f}'}"


def alarm_figures(row: Mapping[str, Any]) -> str:
    """What was alarmed, missed and alarmed in vain."""
    if not row or not row.get("f1"):
        return GAP
    return f"F1 {row['f1']:.3f}, FAR {row['far_percent']:.1f}, MAR {row['mar_percent']:.1f}"


def few_figures(row: Mapping[str, Any]) -> str:
    """What was found on plants learnt from few minutes, and how quiet it was."""
    if not row:
        return GAP
    false, calm = row["false_alarms_12h"]["mean"], row["calm_in_alarm_percent"]["mean"]
    return f"{with_interval(row['found'])} found, {false:.2f} false alarms in 12 h, {calm:.1f} % in alarm"


def with_interval(figure: Mapping[str, float], form: str = "{:.2f}") -> str:
    """A figure and where it lies in nine of ten resamples."""
    if not figure:
        return GAP
    low, high = form.format(figure["low"]), form.format(figure["high"])
    return f"{form.format(figure['mean'])} [{low}, {high}]"


def failures_found(series: Sequence[Mapping[str, Any]]) -> bool | None:
    """Whether every failure of NAB's series was found with at most one false alarm a week."""
    if not series:
        return None
    return all(row["found"] == row["stretches"] and (row["false_alarms_a_week"] or 0) <= 1 for row in series)


def ordinary(row: Mapping[str, Any]) -> str:
    """How ordinary machines are left in peace, and how many of their faults are found."""
    if not row:
        return GAP
    return (
        f"{row['false_a_week']:g} false incidents a week, {row['found']} of {row['faults']} faults, "
        f"{row['in_alarm']:.2%} of calm time; {row['kept']} of {row['machines']} machines as they should be"
    )


def shots(row: Mapping[str, Any]) -> str:
    """macro-F1 by labels a class."""
    return " / ".join(f"{row[k]['macro_f1']['mean']:.3f}" for k in ("1", "5", "10") if k in row)


def above(ours: Mapping[str, Any], methods: Rows) -> bool:
    """Whether few labels serve us better than the forests."""
    return all(
        ours[k]["macro_f1"]["mean"] > methods[rival][k]["macro_f1"]["mean"]
        for rival in FORESTS
        if rival in methods
        for k in ("1", "5")
    )


def measured_at(report: Mapping[str, Any]) -> str:
    """The commit at which TSB-AD-M was measured."""
    return str(report.get("measured", {}).get("TSB-AD-M", report).get("commit", ""))


def origin(name: str, report: Mapping[str, Any]) -> str:
    """A line about where a report comes from."""
    if not report:
        return f"| `{name}.json` | {GAP} | | | |"
    told = next(
        (part for part in [report, *report.get("sets", {}).values()] if "date" in part or "made" in part), {}
    )
    machine = told.get("machine", "")
    shown = ", ".join(str(part) for part in machine.values()) if isinstance(machine, dict) else machine
    date = str(told.get("date", told.get("made", "")))[:10]
    parts = [*report.get("sets", {}).values(), *report.get("measured", {}).values()]
    commits = {str(part["commit"]) for part in parts if "commit" in part}
    commit = ", ".join(sorted(commits)) or told.get("commit", "")
    return f"| `{name}.json` | {date} | {commit} | {shown} | {str(report.get('model', ''))[:12]} |"


if __name__ == "__main__":
    sys.exit(main())
