"""What another budget of false alarms does to alarms on the simulated weeks: from a tenth of the default up.

Machines of `machines`, learnt from one day and watched for four weeks, with and without drift. Windows are scored once
and go through the agent's own pipeline at each budget; the profile is the same, learnt at the default. Told beside it
is what the agent promises at the end of the weeks.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import RESULTS
from benchmarks.false_alarms.machines import DAY_ROWS, PERIOD_S, machine
from benchmarks.false_alarms.run import shipped
from benchmarks.false_alarms.trial import DAYS, SETTINGS, Recorded, frames, learn, no_bytes, scores_of
from benchmarks.harness.provenance import circumstances
from edge_agent.pipeline.pipeline import Pipeline

BUDGETS = (0.1, 1.0, 10.0, 100.0)
_BASE = 1.0
_DRIFT = (False, True)


def main() -> int:
    """Run the benchmark and write JSON and Markdown below benchmarks/results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=24, help="machines, with and without drift each")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="machines at a time")
    parser.add_argument("--out", type=Path, default=RESULTS / "budgets", help="path without an ending")
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    runs: list[dict[str, Any]] = []
    for found in _measured([(seed, drift) for seed in seeds for drift in _DRIFT], jobs=options.jobs):
        runs.append(found)
        sys.stdout.write(f"{json.dumps(found)}\n")
        sys.stdout.flush()
    report = circumstances("benchmarks.false_alarms.budgets") | {
        "model": shipped().bundle.digest,
        "runs": runs,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.with_suffix(".json").write_text(json.dumps(report) + "\n")
    table = as_table(report)
    options.out.with_suffix(".md").write_text(table)
    sys.stdout.write(table)
    return 0


def _measured(tasks: Sequence[tuple[int, bool]], *, jobs: int) -> Iterator[dict[str, Any]]:
    if jobs <= 1:
        yield from map(measure, tasks)
        return
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # for the processes that start now
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(measure, tasks)


def measure(task: tuple[int, bool]) -> dict[str, Any]:
    """One machine: alarms after its first day at each budget, and what was promised in the end."""
    (seed, drift), scorer = task, shipped()
    normal = machine(seed, days=DAYS, drift=drift)
    profile, _ = learn(normal, scorer=scorer)
    known = scores_of(normal, profile=profile, scorer=scorer, rows=np.ones(len(normal.values), bool))
    alarms, promised = {}, {}
    for budget in BUDGETS:
        settings = replace(SETTINGS, budget=replace(SETTINGS.budget, false_alarms_per_week=budget))
        pipeline = Pipeline(
            decode=no_bytes, scorer=Recorded(scorer, known), settings=settings, profiles=[profile]
        )
        raised = [alarm for frame in frames(normal) for alarm in pipeline.feed([frame]).alarms]
        onsets = [alarm.onset_ns // (PERIOD_S * 10**9) for alarm in raised if alarm.revision == 1]
        alarms[f"{budget:g}"] = sum(onset >= DAY_ROWS for onset in onsets)
        promise = pipeline.statuses()[normal.name].promise
        promised[f"{budget:g}"] = None if promise is None else promise.expected_per_week
    return {"seed": seed, "drift": drift, "alarms": alarms, "promised": promised}


def as_table(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    runs, weeks = report["runs"], (DAYS - 1) / 7
    n_machines = len({run["seed"] for run in runs})
    lines = [
        f"Alarms by budget, {report['date']}, model {report['model'][:12]}. {n_machines} simulated machines for",
        f"{DAYS} days, learnt from one day at the default of one false alarm a week; the budget changed afterwards.",
        "",
        "| budget a week | drift | false alarms a week | times those at 1 | machines within it | promised at most |",
        "|---|---|---|---|---|---|",
    ]
    for drift in _DRIFT:
        mine = [run for run in runs if run["drift"] == drift]
        base = sum(run["alarms"][f"{_BASE:g}"] for run in mine)
        for budget in BUDGETS:
            count = np.array([run["alarms"][f"{budget:g}"] for run in mine])
            promised = [run["promised"][f"{budget:g}"] for run in mine]
            told = float(np.mean([one for one in promised if one is not None] or [np.nan]))
            times = f"{count.sum() / base:.2f}" if base else "-"
            lines.append(
                f"| {budget:g} | {'yes' if drift else 'no'} | {count.mean() / weeks:.2f} | {times} "
                f"| {np.mean(count / weeks <= budget):.0%} | {told:.2f} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
