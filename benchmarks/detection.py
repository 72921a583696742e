"""Detection on the TSB-AD-M evaluation files that the shared recordings can rebuild, through the agent's own pipeline.

Each file is one machine, commissioned on its training prefix alone (no labels, no fit to the rest, one setting for
all); then the whole file is replayed with the shipped model. Figures: VUS-PR of `score_aligned` (looks ahead by 64
rows, as the published figures look ahead by a window) and of the causal `score`, beside the published VUS-PR of the
same files.
"""

import argparse
import csv
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.contract import bundle
from edge_agent.contract import recording as recordings
from edge_agent.contract.recording import Recording
from edge_agent.replay import commission_recording, replay
from edge_agent.score import Scorer
from edge_agent.step import Settings
from trainer.measures import period, rank_measures

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results"
SETTINGS = Settings(hop_s=0.0)
PUBLISHED_SHOWN = ("StreamVAE", "KMeansAD", "TSPulse (FT)", "xLSTMAD", "CNN")


def main() -> int:
    """Run the benchmark and write JSON and Markdown below benchmarks/results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT / "../shared/data")
    parser.add_argument("--files", type=int, default=None, help="only the first so many files")
    options = parser.parse_args()
    with (options.data / "tsb_ad_m/mapping.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "Eva"][: options.files]
    with (options.data / "tsb_ad_m/published_vus_pr_per_file.csv").open() as file:
        published = {row["file"]: row for row in csv.DictReader(file)}
    scorer = Scorer.load(bundle.read(ROOT / "edge_agent/models/pretrained"), provider="cpu")
    results = []
    for row in rows:
        results.append(judge(row, data=options.data, scorer=scorer))
        sys.stdout.write(json.dumps(results[-1]) + "\n")
        sys.stdout.flush()
    report = summarise(results, published=published, model=scorer.bundle.digest)
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "detection.json").write_text(json.dumps(report, indent=1) + "\n")
    (RESULTS / "detection.md").write_text(as_table(report))
    sys.stdout.write(as_table(report))
    return 0


def judge(row: dict[str, str], *, data: Path, scorer: Scorer) -> dict[str, Any]:
    """One file: rebuilt, commissioned, replayed, measured."""
    recording, train_rows = rebuild(row, data=data)
    started = time.process_time()
    profile = commission_recording(recording, rows=train_rows, scorer=scorer, settings=SETTINGS)
    commissioned = time.process_time()
    played = replay(recording, scorer=scorer, settings=SETTINGS, profile=profile)
    label = recording.label
    window = period(recording.values[:, 0])
    return {
        "file": row["tsb_file"],
        "rows": len(label),
        "channels": len(recording.channels),
        "aligned": round(rank_measures(played.score_aligned, label, window_rows=window).vus_pr, 4),
        "causal": round(rank_measures(played.score, label, window_rows=window).vus_pr, 4),
        "commission_cpu_s": round(commissioned - started, 2),
        "replay_cpu_s": round(time.process_time() - commissioned, 2),
    }


def rebuild(row: dict[str, str], *, data: Path) -> tuple[Recording, int]:
    """(the file's rows with its labels, length of the training prefix) by the mapping's rules."""
    whole = recordings.read(data / row["dataset"] / f"{row['series_id']}.parquet")
    part = slice(int(row["row_start"]), int(row["row_end"]))
    values, label = whole.values[part], (whole.label[part] > 0).astype(np.int16)
    if row["label_rule"].startswith("test rows"):
        first, last = (int(bound) for bound in row["label_rule"].split()[-1].split(".."))
        label[:] = 0
        label[first:last] = 1
    if row["dataset"].startswith("gecco"):  # the benchmark drops rows with missing values
        kept = ~np.isnan(values).any(axis=1)
        values, label = values[kept], label[kept]
    recording = Recording(
        name=row["series_id"], channels=whole.channels, times_ns=None, values=values, label=label
    )
    return recording, int(row["tsb_train_len"])


def summarise(
    results: list[dict[str, Any]], *, published: dict[str, dict[str, str]], model: str
) -> dict[str, Any]:
    """Means over the files, ours and the published ones of the same files."""
    names = [name for name in next(iter(published.values())) if name != "file"]
    files = [published[result["file"]] for result in results]
    means = {name: float(np.mean([float(file[name]) for file in files])) for name in names}
    return {
        "command": "python benchmarks/detection.py",
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": model,
        "files": len(results),
        "mean_vus_pr_aligned": round(float(np.mean([result["aligned"] for result in results])), 4),
        "mean_vus_pr_causal": round(float(np.mean([result["causal"] for result in results])), 4),
        "published_mean_vus_pr": {
            name: round(mean, 4) for name, mean in sorted(means.items(), key=lambda item: -item[1])
        },
        "per_file": results,
    }


def as_table(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [
        f"TSB-AD-M, {report['files']} files, mean VUS-PR ({report['made'][:10]}, model {report['model'][:12]})",
        "",
        "| method | mean VUS-PR |",
        "|---|---|",
        f"| **edge-agent, aligned** (looks ahead by 64 rows) | **{report['mean_vus_pr_aligned']:.3f}** |",
        f"| **edge-agent, causal** | **{report['mean_vus_pr_causal']:.3f}** |",
    ]
    shown = {name: report["published_mean_vus_pr"][name] for name in PUBLISHED_SHOWN}
    lines += [f"| {name}, as published | {mean:.3f} |" for name, mean in shown.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
