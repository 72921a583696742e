"""Ranking on recordings that no figure of this project is scored on: `python -m benchmarks.detection.unscored`.

Servers, spacecraft telemetry and streams (`encoder_ablation.yardstick`), the agent beside the same agent without its
network, PCA and k-means. Rules and thresholds are chosen here, among others, so these are figures of development: they
tell whether a network makes a domain worse than statistics alone, not how good the agent is on machines to come.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import RESULTS, ROOT
from benchmarks.detection.datasets import Series
from benchmarks.detection.encoder_ablation import yardstick
from benchmarks.detection.measures import measure, pooled
from benchmarks.detection.methods import methods
from benchmarks.detection.networks import AGENT, NO_NETWORK
from benchmarks.detection.report import table
from benchmarks.harness.provenance import circumstances
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from edge_agent.recordings.tables import Recording

METHODS = (AGENT, NO_NETWORK, "PCA T2 + SPE", "k-means on z-scored windows")
NAMES = {"asd": "servers", "smap": "telemetry", "nab": "streams"}
_PERIOD_S = {"asd": 300, "smap": 60, "nab": 300}
_FIGURES = ("vus_pr_aligned", "vus_pr_causal")


def main() -> int:
    """Measure, and write JSON and Markdown."""
    options = _options()
    loaded = Scorer.load(bundle.read(options.bundle), provider="cpu")
    scorer = Scorer(loaded.session, expecting=False)  # as a service asks it: for alarms
    known = methods(scorer, ablate=False)
    report: dict[str, Any] = circumstances("benchmarks.detection.unscored") | {"model": scorer.bundle.digest}
    told: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for group, series in unscored(options.data, files=options.files):
        for method in METHODS:
            (outcome,) = known[method](series).values()
            told.setdefault(group, {}).setdefault(method, []).append(
                measure(series, outcome) | {"cpu_s": 0.0}
            )
        sys.stderr.write(f"{group} {series.recording.name}: done\n")
    report["sets"] = {
        group: {name: pooled(files) for name, files in rows.items()} for group, rows in told.items()
    }
    report["against the best"] = beside(report["sets"])
    target = options.out / "unscored"
    target.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    target.with_suffix(".md").write_text(table(report).replace("# Detection", "# Unscored recordings", 1))
    sys.stdout.write(json.dumps(report["against the best"], indent=1) + "\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("EDGE_AGENT_DATA", "../shared/data"))
    )
    parser.add_argument("--files", type=int, help="only the first so many of each set")
    parser.add_argument("--bundle", type=Path, default=ROOT / "edge_agent/models/pretrained")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def unscored(data: Path, *, files: int | None = None) -> Iterator[tuple[str, Series]]:
    """(name of the set, one of its recordings), the first so many of each set."""
    seen: dict[str, int] = {}
    for one in yardstick(data):
        seen[one.group] = seen.get(one.group, 0) + 1
        if files is not None and seen[one.group] > files:
            continue
        step_ns = _PERIOD_S[one.group] * 1_000_000_000
        recording = Recording(
            name=one.name,
            channels=tuple(f"channel_{at}" for at in range(one.rows.shape[1])),
            times_ns=np.arange(len(one.rows), dtype=np.int64) * step_ns,
            values=one.rows,
            label=one.label.astype(np.int16),
        )
        yield NAMES[one.group], Series(recording, normal_rows=one.normal_rows, judged_from=one.normal_rows)


def beside(sets: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Of each set and their mean, by each figure: the agent, the best of the others, its name, and what is between."""
    found: dict[str, dict[str, Any]] = {}
    for figure in _FIGURES:
        rows: dict[str, Any] = {}
        for group, told in sets.items():
            rivals = {name: row[figure] for name, row in told.items() if name != AGENT}
            best = max(rivals, key=lambda name: rivals[name])
            rows[group] = {
                "agent": told[AGENT][figure],
                "best": rivals[best],
                "name": best,
                "gain": round(told[AGENT][figure] - rivals[best], 4),
            }
        rows["mean"] = {"gain": round(float(np.mean([row["gain"] for row in rows.values()])), 4)}
        found[figure] = rows
    return found


if __name__ == "__main__":
    sys.exit(main())
