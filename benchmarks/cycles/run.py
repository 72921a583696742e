"""Faulty cycles among usual ones: `python -m benchmarks.cycles.run [--data DIR] [--seeds 2]`.

Each recording goes through `replay` with its `[[cycle]]`; the area under the ROC curve is over whole cycles, those that
were learnt from left out. Beside it, on the same cycles in the same run: the machine as it is, without cycles (its
score at the end of each cycle), the duration alone, and the Mahalanobis distance (scikit-learn's Ledoit-Wolf
covariance) of mean, spread and largest value of a cycle, and of mean and spread in ten phases.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score

from benchmarks import RESULTS, ROOT
from benchmarks.cycles.trials import Trial, hydraulic, picks
from benchmarks.harness.provenance import circumstances
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.recordings.cycle_replay import CycleReplay
from edge_agent.recordings.replay import commission_recording, replay, row_times_ns
from edge_agent.signals.settings import WindowSettings

AGENT, AS_IS = "edge-agent, cycles", "edge-agent as it is"
DURATION, WHOLE, PHASES = "duration alone", "whole cycle, Mahalanobis", "ten phases, Mahalanobis"
METHODS = (AGENT, AS_IS, DURATION, WHOLE, PHASES)
GOALS = {
    "hydraulic cooler": 1.0,
    "hydraulic valve": 0.70,
    "hydraulic pump_leak": 0.99,
    "hydraulic accumulator": 0.93,
    "robot picks": 0.90,
}
"""Of the better of a trial without and with what is given."""
_HOP_ROWS = 10
Figures = dict[str, float | None]


def main() -> int:
    """Replay, measure, write JSON and Markdown."""
    options = _options()
    scorer = Scorer.load(bundle.read(ROOT / "edge_agent/models/pretrained"), provider="cpu")
    found: dict[str, list[Figures]] = {}
    for seed in range(options.seeds):
        trials = [*hydraulic(options.data, seed=seed), *([picks(options.data)] if seed == 0 else [])]
        for trial in trials:
            figures = measured(trial, scorer)
            found.setdefault(trial.name, []).append(figures)
            sys.stderr.write(f"{trial.name}, seed {seed}: {_said(figures)}\n")
    report = circumstances("benchmarks.cycles.run") | {
        "trials": {name: _mean(figures) for name, figures in found.items()},
        "goals": GOALS,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "cycles.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.out / "cycles.md").write_text(table(report))
    sys.stdout.write(table(report))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    data = os.environ.get("EDGE_AGENT_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(data))
    parser.add_argument("--seeds", type=int, default=2, help="draws of the rig's cycles")
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def measured(trial: Trial, scorer: Scorer) -> Figures:
    """AUROC of each method, and how many judged cycles were in alarm."""
    window = WindowSettings(hop_s=0.0)
    settings = PipelineSettings(window=window, cycle_rules=(replace(trial.rule, machine="*"),))
    profile = commission_recording(trial.recording, rows=trial.own_rows, scorer=scorer, settings=settings)
    played = replay(
        trial.recording, scorer=scorer, settings=settings, profile=replace(profile, hop_rows=_HOP_ROWS)
    )
    cycles = played.cycles
    if cycles is None:
        raise SystemExit(f"{trial.name}: no cycle was over")
    faulty = _labels(trial, cycles)
    judged = np.isfinite(cycles.score)
    ends = np.searchsorted(row_times_ns(trial.recording), cycles.end_ns) - 1
    scores = {AGENT: cycles.score, AS_IS: played.score[np.maximum(ends, 0)], **_baselines(trial, cycles)}
    figures: Figures = {name: _auroc(values, faulty, judged) for name, values in scores.items()}
    loud = cycles.score > 1.0
    return figures | {
        "false": float(loud[judged & ~faulty].mean()),
        "found": float(loud[judged & faulty].mean()),
        "judged": float(judged.sum()),
    }


def _labels(trial: Trial, cycles: CycleReplay) -> NDArray[np.bool_]:
    """Whether each cycle that the agent saw was a faulty one."""
    place = np.searchsorted(trial.end_ns, cycles.end_ns)
    return trial.faulty[np.minimum(place, len(trial.faulty) - 1)]


def _baselines(trial: Trial, cycles: CycleReplay) -> Mapping[str, NDArray[np.floating[Any]]]:
    """Scores of the same cycles by statistics alone, learnt from as many cycles."""
    times, values = row_times_ns(trial.recording), trial.recording.values
    starts = np.concatenate([[times[0]], cycles.end_ns[:-1]])
    columns = [at for at, name in enumerate(trial.recording.channels) if not _told(trial, name)]
    parts = [
        values[np.searchsorted(times, start) : np.searchsorted(times, end)][:, columns]
        for start, end in zip(starts.tolist(), cycles.end_ns.tolist(), strict=True)
    ]
    whole = np.array([_statistics(part) for part in parts])
    phases = np.array([np.concatenate([_moments(one) for one in np.array_split(part, 10)]) for part in parts])
    found = {
        WHOLE: _mahalanobis(whole, learnt=trial.learnt),
        PHASES: _mahalanobis(phases, learnt=trial.learnt),
    }
    if trial.rule.start is not None:
        seconds = cycles.values[:, cycles.channels.index("duration_s")]
        found[DURATION] = np.abs(seconds - np.median(seconds[: trial.learnt]))
    return found


def _told(trial: Trial, name: str) -> bool:
    return name in trial.rule.own or trial.rule.gives(name)


def _statistics(part: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.concatenate([_moments(part), np.nan_to_num(np.nanmax(part, axis=0, initial=-1e9))])


def _moments(part: NDArray[np.float32]) -> NDArray[np.float64]:
    if not len(part):
        return np.zeros(2 * part.shape[1])
    filled = np.nan_to_num(part.astype(np.float64))
    return np.concatenate([filled.mean(axis=0), filled.std(axis=0)])


def _mahalanobis(features: NDArray[np.float64], *, learnt: int) -> NDArray[np.float64]:
    middle, spread = features[:learnt].mean(axis=0), features[:learnt].std(axis=0) + 1e-9
    z = np.clip((features - middle) / spread, -1e3, 1e3)
    return np.asarray(LedoitWolf().fit(z[:learnt]).mahalanobis(z))


def _auroc(
    score: NDArray[np.floating[Any]], faulty: NDArray[np.bool_], judged: NDArray[np.bool_]
) -> float | None:
    return float(roc_auc_score(faulty[judged], np.nan_to_num(score[judged].astype(np.float64))))


def _mean(figures: list[Figures]) -> Figures:
    return {
        name: float(np.mean([one[name] for one in figures if one.get(name) is not None]))
        for name in figures[0]
    } | {"draws": float(len(figures))}


def _said(figures: Figures) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in figures.items() if value is not None)


def table(report: Mapping[str, Any]) -> str:
    """The figures as Markdown, goals beside."""
    lines = [
        f"# Cycles\n\n`{report['command']}`, {report['date']}, commit {report['commit']}.",
        "Area under the ROC curve over whole cycles; `loud`: share of usual and of faulty cycles whose own score was",
        "above the threshold (an alarm takes two in a row).\n",
        "| recording | " + " | ".join(METHODS) + " | goal | loud: usual | loud: faulty |",
        "|---" * (len(METHODS) + 4) + "|",
    ]
    for name, figures in report["trials"].items():
        cells = [f"{figures[one]:.3f}" if figures.get(one) is not None else "" for one in METHODS]
        goal = report["goals"].get(name.partition(",")[0])
        told = "" if goal is None else f"≥ {goal:.2f}"
        lines.append(
            f"| {name} | {' | '.join(cells)} | {told} | {figures['false']:.1%} | {figures['found']:.1%} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
