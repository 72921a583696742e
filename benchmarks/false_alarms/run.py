"""False alarms a week and shifts found, through the agent's own pipeline, beside other rules on the same scores.

Simulated machines: 28 days at 10 s, the first day learnt from, with and without drift; each also
with level shifts of 30 minutes and 3 to 6 normal standard deviations on one channel. Windows are scored once with the
shipped model, once in 60 s (`window.hop_s = 60`), and the recorded scores then go through the agent's pipeline, and for
other rules through the same delays and hysteresis. On the first machines PCA and k-means stand beside it, and, where a
pre-trained network decides, the agent without one and with random weights.

`--data DIR` adds a folder of recordings with an `index.csv` (`series_id, file, train_end`): each is commissioned on its
prefix, and alarms inside and outside of its labelled rows are counted.
"""

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from edge_trainer.evaluation.measures import segments

from benchmarks import RESULTS, ROOT
from benchmarks.detection.networks import REPLACED, decides
from benchmarks.false_alarms.machines import PERIOD_S, SIZES
from benchmarks.false_alarms.trial import DAYS, SETTINGS, SHIPPED, UNMOVED, WEEK_S, frames, no_bytes, simulate
from benchmarks.harness.provenance import circumstances
from edge_agent.detect.scorer import Scorer
from edge_agent.errors import EdgeAgentError
from edge_agent.model import bundle
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.recordings import tables as recordings
from edge_agent.recordings.replay import commission_recording, row_times_ns
from edge_agent.recordings.tables import Recording

mpl.use("Agg")
from matplotlib import pyplot as plt

NAB = (
    "realKnownCause__machine_temperature_system_failure",
    "realKnownCause__ambient_temperature_system_failure",
)


def main() -> int:
    """Run the benchmark and write JSON, Markdown and a picture below benchmarks/results."""
    options = _options()
    if options.data is not None and not (options.data / "index.csv").is_file():
        sys.stderr.write(f"{options.data}: no index.csv in it\n")
        return 2
    scorer = shipped()
    told = earlier(options.out.with_suffix(".json"), model=scorer.bundle.digest) if options.add else []
    done = {run["seed"] for run in told}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    report = about(scorer)
    seeds = [
        each for each in range(options.first_seed, options.first_seed + options.seeds) if each not in done
    ]
    tasks = [
        (seed, drift, seed < options.first_seed + options.compared)
        for seed in seeds
        for drift in (False, True)
    ]
    for found in measured(tasks, jobs=options.jobs):
        told += found
        weekly = {run["rule"]: run["false_alarms_a_week"] for run in found}
        sys.stdout.write(f"machine {found[0]['seed']}, drift {found[0]['drift']}: {json.dumps(weekly)}\n")
        sys.stdout.flush()
        report |= {"machines": len({run["seed"] for run in told}), "runs": told}
        options.out.with_suffix(".json").write_text(json.dumps(report) + "\n")
    report |= {"machines": len({run["seed"] for run in told}), "runs": told}
    report |= {"simulated": summarise(told), "nab": [], "folder": []}
    shared = Path(os.environ.get("EDGE_AGENT_DATA", ROOT / "../shared/data")) / "nab"
    if shared.is_dir():
        report["nab"] = list(folder(shared, scorer=scorer, only=NAB))
    if options.data is not None:
        report["folder"] = list(folder(options.data, scorer=scorer))
    write(report, options.out)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seeds", type=int, default=24, help="simulated machines, with and without drift each"
    )
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--compared", type=int, default=8, help="machines that baselines and other networks watch, too"
    )
    parser.add_argument("--jobs", type=int, default=2, help="machines at a time")
    parser.add_argument(
        "--add", action="store_true", help="keep the machines of earlier results, simulate the rest"
    )
    parser.add_argument("--data", type=Path, help="a folder of recordings with an index.csv")
    parser.add_argument(
        "--out", type=Path, default=RESULTS / "alarms", help="path of the results without an ending"
    )
    return parser.parse_args()


@cache
def shipped() -> Scorer:
    """The model that ships, asked as a service asks it."""
    scorer = Scorer.load(bundle.read(ROOT / "edge_agent/models/pretrained"), provider="cpu")
    return Scorer(scorer.session, expecting=False)


def measured(tasks: Sequence[tuple[int, bool, bool]], *, jobs: int) -> Iterator[list[dict[str, Any]]]:
    """What was found of each (seed, whether it drifts, whether others stand beside), in this order."""
    if jobs <= 1:
        yield from map(measure, tasks)
        return
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # for the processes that start now
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(measure, tasks)


def measure(task: tuple[int, bool, bool]) -> list[dict[str, Any]]:
    """One machine; a draw of random weights each, in turn."""
    (seed, drift, compared), scorer = task, shipped()
    others = None
    if compared:
        networks = REPLACED if decides(scorer) else {}
        others = {name: draws[seed % len(draws)](scorer) for name, draws in networks.items()}
    return simulate(seed, drift=drift, scorer=scorer, others=others)


def earlier(path: Path, *, model: str) -> list[dict[str, Any]]:
    """The runs of an earlier report, if it is of the same model."""
    report = json.loads(path.read_text()) if path.is_file() else {}
    return list(report["runs"]) if report.get("model") == model else []


def summarise(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each rule, without and with drift: false alarms a week over the seeds, and shifts found by size.

    The delay is the median machine's median.
    """
    rows = []
    for drift in (False, True):
        for rule in dict.fromkeys(run["rule"] for run in told):
            runs = [run for run in told if run["rule"] == rule and run["drift"] == drift]
            weekly = np.array([run["false_alarms_a_week"] for run in runs])
            sizes = [f"{size:g}" for size in SIZES]
            there = {size: sum(run["shifts"][size]["shifts"] for run in runs) for size in sizes}
            found = {size: sum(run["shifts"][size]["found"] for run in runs) for size in sizes}
            delays = [run["shifts"]["5"]["median_delay_min"] for run in runs]
            heard = [delay for delay in delays if delay is not None]
            rows.append(
                {
                    "rule": rule,
                    "drift": drift,
                    "machines": len(runs),
                    "false_alarms_a_week_mean": round(float(weekly.mean()), 3),
                    "false_alarms_a_week_p90": round(float(np.quantile(weekly, 0.9)), 3),
                    "share_within_budget": round(float(np.mean(weekly <= 1.0)), 3),
                    "found": {size: round(found[size] / max(there[size], 1), 3) for size in sizes},
                    "median_delay_min_of_5": float(np.median(heard)) if heard else None,
                }
            )
    return rows


# -- recordings ---------------------------------------------------------------------------------------------


def folder(path: Path, *, scorer: Scorer, only: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Alarms inside and outside of the labels of each recording that the folder's index names."""
    with (path / "index.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if not only or row["series_id"] in only]
    for row in rows:
        try:
            recording = recordings.read(path / row["file"])
            told = judge(recording, learn_rows=int(row["train_end"]), scorer=scorer)
        except EdgeAgentError as error:
            told = {"error": str(error)}
        yield {"series": row["series_id"], **told}


def judge(recording: Recording, *, learn_rows: int, scorer: Scorer) -> dict[str, Any]:
    """One recording, commissioned on its first rows: labelled stretches found, and false alarms a week."""
    profile = commission_recording(recording, rows=learn_rows, scorer=scorer, settings=SETTINGS)
    pipeline = Pipeline(decode=no_bytes, scorer=scorer, settings=SETTINGS, profiles=[profile])
    times = row_times_ns(recording)
    alarms = [alarm for frame in frames(recording) for alarm in pipeline.feed([frame]).alarms]
    at = np.searchsorted(times, [alarm.onset_ns for alarm in alarms if alarm.revision == 1])
    label = np.zeros(len(times), bool) if recording.label is None else np.asarray(recording.label) > 0
    stretches = [(start, end) for start, end in segments(label) if end > learn_rows]
    late = at[at >= learn_rows]
    step_s = float(np.median(np.diff(times))) / 1e9
    normal_weeks = float(np.sum(~label[learn_rows:])) * step_s / WEEK_S
    false = int(np.sum(~label[late]))
    return {
        "channels": len(recording.channels),
        "learnt_from_rows": learn_rows,
        "stretches": len(stretches),
        "found": sum(bool(np.any((late >= start) & (late < end))) for start, end in stretches),
        "alarms": len(late),
        "false_alarms": false,
        "calm_weeks": round(normal_weeks, 2),
        "false_alarms_a_week": round(false / normal_weeks, 3) if normal_weeks else None,
    }


# -- results ------------------------------------------------------------------------------------------------


def write(report: dict[str, Any], out: Path) -> None:
    """The report as JSON, as a table and as a picture."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(report) + "\n")
    table = as_table(report)
    out.with_suffix(".md").write_text(table)
    sys.stdout.write(table)
    picture(report, out.with_suffix(".png"))


def as_table(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    hop_s = SETTINGS.window.hop_s
    lines = [
        f"False alarms and shifts found, {report['date']}, model {report['model'][:12]}.",
        f"{report['machines']} simulated machines for {DAYS} days at {PERIOD_S} s, scored every {hop_s:g} s,",
        "learnt from one day; budget: one false alarm a week.",
        "",
        "| rule | drift | false alarms a week | p90 | at most 1 | 3 sd found | 4 sd | **5 sd** | 6 sd | delay of 5 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in report["simulated"]:
        shares = " | ".join(f"{share:.2f}" for share in row["found"].values())
        delay = "" if row["median_delay_min_of_5"] is None else f"{row['median_delay_min_of_5']:.0f} min"
        lines.append(
            f"| {row['rule']} | {'yes' if row['drift'] else 'no'} | {row['false_alarms_a_week_mean']:.2f} "
            f"| {row['false_alarms_a_week_p90']:.2f} | {row['share_within_budget']:.0%} | {shares} | {delay} |"
        )
    for title, rows in (("NAB", report["nab"]), ("The folder of recordings", report["folder"])):
        if not rows:
            continue
        lines += [
            "",
            f"{title}: each recording commissioned on its prefix alone.",
            "",
            "| series | labelled stretches found | alarms | false alarms a week | calm weeks |",
            "|---|---|---|---|---|",
        ]
        for row in rows:
            told = f"| {row['series']} | {row.get('error', '')} | | | |"
            if "error" not in row:
                told = f"| {row['series']} | {row['found']} of {row['stretches']} | {row['alarms']} "
                told += f"| {row['false_alarms_a_week']} | {row['calm_weeks']} |"
            lines.append(told)
    return "\n".join(lines) + "\n"


def picture(report: dict[str, Any], path: Path) -> None:
    """False alarms a week of every machine by rule, and the shares of shifts found."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.5), constrained_layout=True)
    rules = list(dict.fromkeys(row["rule"] for row in report["simulated"]))
    for drift, colour in ((False, "tab:blue"), (True, "tab:orange")):
        for at, rule in enumerate(rules):
            runs = [run for run in report["runs"] if run["rule"] == rule and run["drift"] == drift]
            weekly = [run["false_alarms_a_week"] for run in runs]
            height = at + (0.15 if drift else -0.15)
            left.scatter(weekly, [height] * len(weekly), s=12, alpha=0.5, color=colour)
        for row in report["simulated"]:
            if row["drift"] == drift and row["rule"] in (SHIPPED, UNMOVED, "peaks over threshold (Pareto)"):
                style = {
                    "color": colour,
                    "ls": "-" if row["rule"] == SHIPPED else ":" if row["rule"] == UNMOVED else "--",
                }
                name = f"{row['rule']}{', drift' if drift else ''}"
                right.plot(SIZES, list(row["found"].values()), marker="o", label=name, **style)
    left.axvline(1.0, color="black", lw=0.8)
    left.set_xscale("symlog", linthresh=1.0)
    left.set_yticks(range(len(rules)), rules)
    left.invert_yaxis()
    left.set_xlabel("false alarms a week; each point a machine, orange with drift")
    right.set_xlabel("size of the shift, calm standard deviations")
    right.set_ylabel("share found")
    right.set_ylim(0, 1.02)
    right.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def about(scorer: Scorer) -> dict[str, Any]:
    """What the figures are about."""
    return circumstances("benchmarks.false_alarms.run") | {
        "model": scorer.bundle.digest,
        "hop_s": SETTINGS.window.hop_s,
    }


if __name__ == "__main__":
    sys.exit(main())
