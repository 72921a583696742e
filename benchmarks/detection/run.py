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
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import RESULTS, ROOT
from benchmarks.detection import datasets as sets
from benchmarks.detection.baselines import BASELINES
from benchmarks.detection.datasets import Series
from benchmarks.detection.measures import measure, pooled
from benchmarks.detection.methods import Method, methods
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
    scorer = Scorer.load(bundle.read(options.bundle), provider="cpu")
    known = methods(scorer, ablate=options.ablate)
    if options.methods:
        known = {name: method for name, method in known.items() if name in options.methods}
    target = options.out / options.name
    report: dict[str, Any] = circumstances("benchmarks.detection.run") | {"model": scorer.bundle.digest}
    report |= _measured_before(target, options)
    for name, series in _sets(options):
        chosen = list(series)[: options.files]
        found = _measure_set(name, chosen, known, model=scorer.bundle.digest)
        report["per_file"][name] = found
        report["sets"][name] = {method: pooled(list(files.values())) for method, files in found.items()}
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
    parser.add_argument("--ablate", action="store_true", help="untrained encoder, none, each detector alone")
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


def _measure_set(
    name: str, chosen: list[Series], known: dict[str, Method], *, model: str
) -> dict[str, dict[str, Any]]:
    """Method -> file -> figures."""
    found: dict[str, dict[str, Any]] = {}
    for method_name, method in known.items():
        for series in chosen:
            for label, figures in _measure(name, series, method_name, method, model=model).items():
                found.setdefault(label, {})[series.recording.name] = figures
        sys.stderr.write(f"{name}: {method_name} done\n")
    return found


def _measure(
    name: str, series: Series, method_name: str, method: Method, *, model: str
) -> dict[str, dict[str, Any]]:
    """Figures of what the method calls itself, kept until code or model change."""
    ours = method_name not in BASELINES

    def figures() -> dict[str, dict[str, Any]]:
        started = time.process_time()
        outcomes = method(series)
        spent = round(time.process_time() - started, 2)
        return {label: measure(series, outcome) | {"cpu_s": spent} for label, outcome in outcomes.items()}

    parts = [name, series.recording.name, method_name, model if ours else "", _code(agent=ours)]
    found: dict[str, dict[str, Any]] = kept(parts, figures)
    return found


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
