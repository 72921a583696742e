"""Detection beside published figures: `python -m benchmarks.detection.run [--only tsb|skab] [--data DIR]`.

Every machine is learnt from its normal rows alone (no labels, one setting for all) and then replayed through the
agent's own pipeline. `--data` takes the shared recordings or any folder with an `index.csv` (series_id, file,
train_end). What was measured of a file is kept in `benchmarks/.cache` until the code or the model changes.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import RESULTS, ROOT
from benchmarks.detection import datasets as sets
from benchmarks.detection.baselines import BASELINES
from benchmarks.detection.datasets import Series
from benchmarks.detection.measures import measure, pooled
from benchmarks.detection.methods import DRAWS_OF, methods
from benchmarks.detection.networks import AGENT
from benchmarks.detection.report import picture, table
from benchmarks.harness.figure_cache import digest, kept
from benchmarks.harness.provenance import circumstances
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle

SHIPPED = ROOT / "edge_agent/models/pretrained"
TURN_SEED = 0
_FREE = ("__init__.py", "encoder_ablation.py", "report.py", "run.py", "skab_live.py")
"""Files that only arrange and show what the others measured, or answer another question."""


def main() -> int:
    """Measure, and write JSON, Markdown and a picture."""
    options = _options()
    scorer = _loaded(options.bundle)
    names = [
        name
        for name in methods(scorer, ablate=options.ablate)
        if not options.methods or DRAWS_OF.get(name, name) in options.methods
    ]
    target = options.out / options.name
    report: dict[str, Any] = circumstances("benchmarks.detection.run") | {"model": scorer.bundle.digest}
    report |= _measured_before(target, options)
    for name, series in _sets(options):
        chosen = list(series)[: options.files]
        found = _measure_set(name, chosen, names, options=options)
        report["per_file"][name] = found
        report["sets"][name] = _together(found)
        report["sets"][name] |= _published(chosen)
        report["measured"][name] = {key: report[key] for key in ("command", "date", "commit", "model")}
    options.out.mkdir(parents=True, exist_ok=True)
    target.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    target.with_suffix(".md").write_text(table(report))
    picture(report, target.with_suffix(".png"))
    sys.stdout.write(table(report))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("EDGE_AGENT_DATA", "../shared/data"))
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--name", default="detection", help="of the written files")
    parser.add_argument("--only", choices=["tsb", "skab"], help="one of the two benchmarks")
    parser.add_argument("--files", type=int, help="only the first so many files of each set")
    parser.add_argument(
        "--methods", nargs="+", help=f"only these, as the table names them; ours is {AGENT!r}"
    )
    parser.add_argument("--ablate", action="store_true", help="each detector alone, too")
    parser.add_argument("--jobs", type=int, default=1, help="files at a time")
    parser.add_argument("--bundle", type=Path, default=SHIPPED, help="another model, for instance int8")
    return parser.parse_args()


def _measured_before(target: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What the file has of the benchmark that is left out this time, with the commit that it was measured at."""
    kept: dict[str, Any] = {"sets": {}, "per_file": {}, "measured": {}}
    if options.only is None or not target.with_suffix(".json").exists():
        return kept
    before: dict[str, Any] = json.loads(target.with_suffix(".json").read_text())
    first = {key: before.get(key, "unknown") for key in ("command", "date", "commit", "model")}
    for name in before["sets"]:
        if (name == "TSB-AD-M") != (options.only == "tsb"):
            kept["sets"][name], kept["per_file"][name] = before["sets"][name], before["per_file"][name]
            kept["measured"][name] = before.get("measured", {}).get(name, first)
    return kept


def _sets(options: argparse.Namespace) -> Iterable[tuple[str, Iterable[Series]]]:
    if not (options.data / "tsb_ad_m/mapping.csv").exists():
        yield options.data.name, sets.folder(options.data)
        return
    if options.only != "skab":
        yield "TSB-AD-M", sets.tsb_ad_m(options.data)
    if options.only != "tsb":
        yield "SKAB", sets.skab(options.data)
        yield "SKAB, turned", sets.skab(options.data, seed=TURN_SEED)


@dataclass(frozen=True, slots=True)
class Task:
    """One file by one method."""

    set_name: str
    series: Series
    method: str
    bundle: Path
    ablate: bool


def _measure_set(
    name: str, chosen: list[Series], names: list[str], *, options: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """Method -> file -> figures."""
    tasks = [Task(name, series, each, options.bundle, options.ablate) for each in names for series in chosen]
    found: dict[str, dict[str, Any]] = {}
    for task, told in zip(tasks, _measured(tasks, jobs=options.jobs), strict=True):
        for label, figures in told.items():
            found.setdefault(label, {})[task.series.recording.name] = figures
        if task.series is chosen[-1]:
            sys.stderr.write(f"{name}: {task.method} done\n")
    return found


def _measured(tasks: list[Task], *, jobs: int) -> Iterator[dict[str, dict[str, Any]]]:
    """Figures of each task in their order."""
    if jobs <= 1:
        yield from map(_measure, tasks)
        return
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # for the processes that start now
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_measure, tasks)


def _measure(task: Task) -> dict[str, dict[str, Any]]:
    """Figures of what the method calls itself, kept until code or model change."""
    ours = task.method not in BASELINES
    scorer, series = _loaded(task.bundle), task.series

    def figures() -> dict[str, dict[str, Any]]:
        method = methods(scorer, ablate=task.ablate)[task.method]
        started = time.process_time()
        outcomes = method(series)
        spent = round(time.process_time() - started, 2)
        return {label: measure(series, outcome) | {"cpu_s": spent} for label, outcome in outcomes.items()}

    model = scorer.bundle.digest if ours else ""
    parts = [task.set_name, series.recording.name, task.method, model, _code(agent=ours)]
    found: dict[str, dict[str, Any]] = kept(parts, figures)
    return found


def _together(found: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Figures of each method over its files, those of a method's draws together."""
    files: dict[str, list[Any]] = {}
    for name, told in found.items():
        files.setdefault(DRAWS_OF.get(name, name), []).extend(told.values())
    return {name: pooled(told) for name, told in files.items()}


@cache
def _loaded(path: Path) -> Scorer:
    """As a service asks it: for alarms."""
    return Scorer(Scorer.load(bundle.read(path), provider="cpu").session, expecting=False)


@cache
def _code(*, agent: bool) -> str:
    """Digest of all that decides a figure: the benchmark's files, and the agent's where it is measured."""
    files = [file for file in sorted(Path(__file__).parent.glob("*.py")) if file.name not in _FREE]
    if agent:
        files += sorted((ROOT / "edge_agent").rglob("*.py"))
    return digest(files)


def _published(chosen: list[Series]) -> dict[str, dict[str, Any]]:
    """Means of the published figures over the same files."""
    names = list(chosen[0].published) if chosen else []
    means = {name: float(np.mean([series.published[name] for series in chosen])) for name in names}
    return {
        f"{name}, as published": {"vus_pr_aligned": round(mean, 4), "files": len(chosen)}
        for name, mean in sorted(means.items(), key=lambda item: -item[1])
    }


if __name__ == "__main__":
    sys.exit(main())
