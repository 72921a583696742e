"""False alarms a week and shifts found, through the agent's own pipeline, beside other rules on the same scores.

Simulated machines (`alarm_machines`): 28 days at 10 s, the first day learnt from, with and without drift; each also
with level shifts of 30 minutes and 3 to 6 calm standard deviations on one channel. Windows are scored once with the shipped
model, once in 60 s (`window.hop_s = 60`), and the recorded scores then go through the pipeline once for each rule.

`--data DIR` adds a folder of recordings with an `index.csv` (`series_id, file, train_end`): each is commissioned on its
prefix, and alarms inside and outside of its labelled rows are counted.
"""

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import matplotlib as mpl
import numpy as np
from alarm_machines import DAY_ROWS, PERIOD_S, SIZES, Shift, machine, shifted
from alarm_rules import RULES
from numpy.typing import NDArray

from edge_agent import commission
from edge_agent.contract import bundle
from edge_agent.contract import recording as recordings
from edge_agent.contract.recording import Recording
from edge_agent.contract.records import Alarm, Delivery, Frame, Profile, Reject, ScoreBlock, WindowBlock
from edge_agent.errors import EdgeAgentError
from edge_agent.pipeline import Pipeline, Settings
from edge_agent.recalibrate import FollowSettings
from edge_agent.replay import commission_recording, row_times_ns
from edge_agent.score import Scorer
from trainer.measures import segments

mpl.use("Agg")
from matplotlib import pyplot as plt

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results"
SETTINGS = Settings(hop_s=60.0)
STILL = replace(SETTINGS, follow=FollowSettings(enabled=False))
DAYS = 28
Known = dict[int, NDArray[np.float32]]
Learnt = tuple[NDArray[np.float64], float]
WEEK_S = 7 * 24 * 3600
BLOCK_ROWS = 1024
SHIPPED, UNMOVED = "edge-agent", "edge-agent, threshold never moved"
NAB = (
    "realKnownCause__machine_temperature_system_failure",
    "realKnownCause__ambient_temperature_system_failure",
)


class Recorded:
    """Stands in for the scorer: gives scores that were computed before, held against another rule's thresholds."""

    def __init__(self, scorer: Scorer, known: Known, limits: Sequence[float]) -> None:
        """Take [3] scores of windows by their last row, and what divides them: the rule's threshold over the learnt."""
        self.bundle, self.window_rows = scorer.bundle, scorer.window_rows
        self._known, self._limits = known, np.array(limits, np.float32)

    def score(self, blocks: Sequence[WindowBlock], profiles: Sequence[Profile]) -> list[ScoreBlock]:
        """The recorded scores of the blocks' windows."""
        return [self._block(block, profile) for block, profile in zip(blocks, profiles, strict=True)]

    def _block(self, block: WindowBlock, profile: Profile) -> ScoreBlock:
        scores = np.stack([self._known[row] for row in block.end_rows.tolist()]) / self._limits
        n_windows, n_channels = len(scores), len(profile.channels)
        return ScoreBlock(
            windows=block,
            channels=profile.channels,
            value=scores[:, :-1].max(axis=1),
            recent=scores[:, -1],
            rank=scores[:, 0],
            contributions=np.full((n_windows, n_channels), 1.0 / n_channels, np.float32),
            expected=block.values[:, :, -1],
            classes=np.empty((n_windows, 0), np.float32),
            parts=scores[:, :-1],
        )


def main() -> int:
    """Run the benchmark and write JSON, Markdown and a picture below benchmarks/results."""
    options = _options()
    scorer = Scorer.load(bundle.read(ROOT / "edge_agent/models/pretrained"), provider="cpu")
    started = time.process_time()
    told: list[dict[str, Any]] = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        for drift in (False, True):
            told += simulate(seed, drift=drift, scorer=scorer)
            sys.stdout.write(f"seed {seed} drift {drift}: {json.dumps(_brief(told[-len(RULES) - 2 :]))}\n")
            sys.stdout.flush()
    report: dict[str, Any] = _about(scorer, options) | {
        "cpu_s": round(time.process_time() - started, 1),
        "simulated": summarise(told),
        "runs": told,
        "nab": [],
        "folder": [],
    }
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
    parser.add_argument("--data", type=Path, help="a folder of recordings with an index.csv")
    parser.add_argument(
        "--out", type=Path, default=RESULTS / "alarms", help="path of the results without an ending"
    )
    return parser.parse_args()


# -- simulated machines -------------------------------------------------------------------------------------


def simulate(seed: int, *, drift: bool, scorer: Scorer) -> list[dict[str, Any]]:
    """One machine: what each rule made of its calm weeks and of its shifts."""
    calm = machine(seed, days=DAYS, drift=drift)
    faulty, shifts = shifted(calm, seed)
    profile, learnt = learn(calm, scorer=scorer)
    known = scores_of(calm, profile=profile, scorer=scorer, rows=np.ones(len(calm.values), bool))
    touched = np.zeros(len(calm.values), bool)
    for shift in shifts:
        touched[shift.start : shift.end + scorer.window_rows] = True
    anew = known | scores_of(faulty, profile=profile, scorer=scorer, rows=touched)
    limits = {
        name: [rule(scores, WEEK_S / SETTINGS.hop_s) / own for scores, own in learnt]
        for name, rule in RULES.items()
    }
    as_learnt = [1.0] * len(learnt)
    runs = {SHIPPED: (as_learnt, SETTINGS), UNMOVED: (as_learnt, STILL)}
    runs |= {name: (limit, STILL) for name, limit in limits.items()}
    weeks = (DAYS - 1) / 7
    told = []
    for name, (limit, settings) in runs.items():
        false, ratio = played(calm, profile, Recorded(scorer, known, limit), settings)
        raised, _ = played(faulty, profile, Recorded(scorer, anew, limit), settings)
        told.append(
            {
                "seed": seed,
                "drift": drift,
                "rule": name,
                "false_alarms_a_week": len(opened_rows(false)) / weeks,
                "ratio_at_end": ratio,
                "shifts": [found(shift, opened_rows(raised)) for shift in shifts],
            }
        )
    return told


def learn(calm: Recording, *, scorer: Scorer) -> tuple[Profile, list[Learnt]]:
    """The machine's profile; of each part and of the newest rows the calm scores and the threshold learnt from them."""
    seen: list[NDArray[np.float64]] = []
    own = commission.threshold

    def listen(scores: NDArray[np.float32], **how: float) -> float:
        seen.append(np.asarray(scores, np.float64))
        return own(scores, **how)

    with mock.patch.object(commission, "threshold", listen):
        profile = commission_recording(calm, rows=DAY_ROWS, scorer=scorer, settings=SETTINGS)
    limits = [*np.ravel(profile.memory["threshold"]).tolist(), float(profile.memory["recent_threshold"])]
    return profile, list(zip(seen, limits, strict=True))


def scores_of(recording: Recording, *, profile: Profile, scorer: Scorer, rows: NDArray[np.bool_]) -> Known:
    """Scores [3] of the windows that end in the chosen rows, by their last row, as the agent cuts and scores them."""
    pipeline = Pipeline(decode=_no_bytes, scorer=_Chosen(scorer, rows), settings=STILL, profiles=[profile])
    known: Known = {}
    for frame in frames(recording):
        for block in pipeline.feed([frame]).scores:
            told = np.column_stack([block.value if block.parts is None else block.parts, block.recent])
            known |= dict(zip(block.windows.end_rows.tolist(), told, strict=True))
    return known


class _Chosen:
    """Stands before the scorer and lets only windows through that end in chosen rows."""

    def __init__(self, scorer: Scorer, rows: NDArray[np.bool_]) -> None:
        self.bundle, self.window_rows = scorer.bundle, scorer.window_rows
        self._scorer, self._rows = scorer, rows

    def score(self, blocks: Sequence[WindowBlock], profiles: Sequence[Profile]) -> list[ScoreBlock]:
        chosen = []
        for block in blocks:
            keep = self._rows[block.end_rows]
            keep[-1] = True  # a block is never empty
            values, rows, times = block.values[keep], block.end_rows[keep], block.times_ns[keep]
            chosen.append(replace(block, values=values, end_rows=rows, times_ns=times))
        return self._scorer.score(chosen, profiles)


def played(
    recording: Recording, profile: Profile, scorer: Recorded, settings: Settings
) -> tuple[list[Alarm], list[float]]:
    """Every revision of every alarm after the first day, and how far the threshold has moved at the end."""
    pipeline = Pipeline(decode=_no_bytes, scorer=scorer, settings=settings, profiles=[profile])
    alarms = [alarm for frame in frames(recording) for alarm in pipeline.feed([frame]).alarms]
    moved = pipeline.machines()[recording.name].threshold_ratio
    return [alarm for alarm in alarms if alarm.onset_ns >= DAY_ROWS * PERIOD_S * 1e9], moved


def frames(recording: Recording) -> Iterator[Frame]:
    """The recording as it would come over the wire, in blocks."""
    times = row_times_ns(recording)
    for start in range(0, len(times), BLOCK_ROWS):
        part = slice(start, start + BLOCK_ROWS)
        yield Frame(recording.name, recording.channels, times[part].tolist(), recording.values[part])


def _no_bytes(_: Delivery) -> Reject:
    return Reject("no_source")


def opened_rows(alarms: list[Alarm]) -> list[int]:
    """Rows at which alarms opened."""
    return [int(alarm.onset_ns // (PERIOD_S * 1_000_000_000)) for alarm in alarms if alarm.revision == 1]


def found(shift: Shift, opened: list[int]) -> dict[str, Any]:
    """Whether an alarm opened while the shift lasted, and after how many minutes; one that was open already is none."""
    first = min((row for row in opened if shift.start <= row < shift.end), default=None)
    delay = None if first is None else round((first - shift.start) * PERIOD_S / 60.0, 1)
    return {"size": shift.size, "day": round(shift.start / DAY_ROWS, 2), "delay_min": delay}


def summarise(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each rule, without and with drift: false alarms a week over the seeds, and shifts found by size."""
    rows = []
    for drift in (False, True):
        for rule in dict.fromkeys(run["rule"] for run in told):
            runs = [run for run in told if run["rule"] == rule and run["drift"] == drift]
            weekly = np.array([run["false_alarms_a_week"] for run in runs])
            shifts = [shift for run in runs for shift in run["shifts"]]
            delays = {size: [s["delay_min"] for s in shifts if s["size"] == size] for size in SIZES}
            heard = [delay for delay in delays[5.0] if delay is not None]
            rows.append(
                {
                    "rule": rule,
                    "drift": drift,
                    "machines": len(runs),
                    "false_alarms_a_week_mean": round(float(weekly.mean()), 3),
                    "false_alarms_a_week_p90": round(float(np.quantile(weekly, 0.9)), 3),
                    "share_within_budget": round(float(np.mean(weekly <= 1.0)), 3),
                    "found": {
                        f"{size:g}": round(float(np.mean([d is not None for d in delay])), 3)
                        for size, delay in delays.items()
                    },
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
    pipeline = Pipeline(decode=_no_bytes, scorer=scorer, settings=SETTINGS, profiles=[profile])
    times = row_times_ns(recording)
    alarms = [alarm for frame in frames(recording) for alarm in pipeline.feed([frame]).alarms]
    opened = np.searchsorted(times, [alarm.onset_ns for alarm in alarms if alarm.revision == 1])
    label = np.zeros(len(times), bool) if recording.label is None else np.asarray(recording.label) > 0
    stretches = [(start, end) for start, end in segments(label) if end > learn_rows]
    late = opened[opened >= learn_rows]
    step_s = float(np.median(np.diff(times))) / 1e9
    calm_weeks = float(np.sum(~label[learn_rows:])) * step_s / WEEK_S
    false = int(np.sum(~label[late]))
    return {
        "channels": len(recording.channels),
        "learnt_from_rows": learn_rows,
        "stretches": len(stretches),
        "found": sum(bool(np.any((late >= start) & (late < end))) for start, end in stretches),
        "alarms": len(late),
        "false_alarms": false,
        "calm_weeks": round(calm_weeks, 2),
        "false_alarms_a_week": round(false / calm_weeks, 3) if calm_weeks else None,
    }


# -- results ------------------------------------------------------------------------------------------------


def write(report: dict[str, Any], out: Path) -> None:
    """The report as JSON, as a table and as a picture."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    table = as_table(report)
    out.with_suffix(".md").write_text(table)
    sys.stdout.write(table)
    picture(report, out.with_suffix(".png"))


def as_table(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [
        f"False alarms and shifts found, {report['made'][:10]}, model {report['model'][:12]}.",
        f"{report['seeds']} simulated machines for {DAYS} days at {PERIOD_S} s, scored every {SETTINGS.hop_s:g} s,",
        "learnt from one day; budget: one false alarm a week.",
        "",
        "| rule | drift | false alarms a week, mean | p90 | machines with at most 1 | 3 sd found | 4 sd | **5 sd** "
        + "| 6 sd | median delay of 5 sd |",
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


def _about(scorer: Scorer, options: argparse.Namespace) -> dict[str, Any]:
    head = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "command": f"python benchmarks/alarms.py --seeds {options.seeds}",
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "commit": head.stdout.strip() or "unknown",
        "model": scorer.bundle.digest,
        "seeds": options.seeds,
        "first_seed": options.first_seed,
        "hop_s": SETTINGS.hop_s,
    }


def _brief(told: list[dict[str, Any]]) -> dict[str, float]:
    return {run["rule"]: round(run["false_alarms_a_week"], 2) for run in told}


if __name__ == "__main__":
    sys.exit(main())
