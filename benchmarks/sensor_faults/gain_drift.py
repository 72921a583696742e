"""A sensor whose gain drifts slowly, which is no change of unit: what tells of it, and after how long. Tunes nothing.

`python -m benchmarks.sensor_faults.gain_drift` lets one sensor of simulated plants read more and more, by a constant
share of its value an hour, and feeds the rows to the agent's pipeline beside the same rows as they were: an alarm
that opens there, too, is not counted. Writes `benchmarks/results/gain_drift.{json,md}`.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks import RESULTS, ROOT
from benchmarks.harness.provenance import circumstances
from benchmarks.sensor_faults.run import (
    CONSTANT_SHARE,
    PLANT_LEARN_ROWS,
    SECOND,
    commissioned,
    frames,
    undecoded,
)
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Float32, Profile
from simulator import simulate

PLANTS = {"pump": (101, 102), "motor": (111, 112), "furnace": (121, 122)}
PACES = ((0.05, 4), (0.5, 1))
"""(share of the value that it gains in an hour, hours)."""
CHANNELS_EACH = 4
SAME_ROWS = 64
"""An alarm whose onset is so near to one of the unbroken rows is the same alarm."""
INPUT_DRIFT = 2.0
"""From here on the rule EdgeAgentInputDrift counts its six hours."""


@dataclass(frozen=True)
class Heard:
    """What the pipeline said: (onset row, first channel) of machine alarms, findings, the row of the input drift."""

    alarms: tuple[tuple[int, str], ...]
    findings: tuple[str, ...]
    drift_row: int | None


@dataclass(frozen=True)
class Trial:
    """One sensor that drifts; minutes from the start of the drift, None where nothing was said."""

    machine: str
    channel: str
    share_per_hour: float
    alarm_minutes: float | None
    change_at_alarm: float | None
    change_in_scales: float | None
    blamed: str
    findings: tuple[str, ...]
    drift_minutes: float | None


def hear(profile: Profile, channels: tuple[str, ...], values: Float32, *, scorer: Scorer) -> Heard:
    """Let the pipeline hear the rows, one a second."""
    pipeline = Pipeline(decode=undecoded, scorer=scorer, settings=PipelineSettings(), profiles=[profile])
    alarms: list[tuple[int, str]] = []
    findings: list[str] = []
    drift_row = None
    for at, frame in enumerate(frames(profile.machine, channels, values)):
        step = pipeline.feed([frame])
        alarms += [(one.onset_ns // SECOND, one.channels[0].name) for one in step.alarms if one.revision == 1]
        findings += [one.fault for one in step.findings if one.revision == 1]
        moved = pipeline.statuses()[profile.machine].drift.inputs
        if drift_row is None and moved is not None and moved > INPUT_DRIFT:
            drift_row = 256 * (at + 1)
    return Heard(tuple(alarms), tuple(findings), drift_row)


def trials(kind: str, seed: int, *, scorer: Scorer, paces: Sequence[tuple[float, int]]) -> Iterator[Trial]:
    """Some sensors of one plant, at each pace."""
    rng, name = np.random.default_rng(seed), f"{kind}-{seed}"
    run = simulate(kind, rows=PLANT_LEARN_ROWS + 3600 * max(hours for _, hours in paces), seed=seed)
    profile = commissioned(name, run.channels, run.values[:PLANT_LEARN_ROWS], scorer=scorer)
    measures = [
        channel
        for at, channel in enumerate(profile.channels)
        if profile.memory["quality/run"][at] <= CONSTANT_SHARE * profile.rows
    ]
    chosen = rng.choice(measures, size=min(CHANNELS_EACH, len(measures)), replace=False).tolist()
    for share, hours in paces:
        normal = run.values[PLANT_LEARN_ROWS : PLANT_LEARN_ROWS + 3600 * hours]
        base = hear(profile, run.channels, normal, scorer=scorer)
        for channel in chosen:
            at = run.channels.index(channel)
            drifted = normal.copy()
            drifted[:, at] *= (1 + share * np.arange(len(normal)) / 3600).astype(np.float32)
            heard = hear(profile, run.channels, drifted, scorer=scorer)
            scale = float(profile.memory["scale"][profile.channels.index(channel)])
            level = float(np.median(np.abs(normal[:, at]))) / scale
            yield judged(heard, base, name=name, channel=channel, share=share, level_scales=level)


def judged(heard: Heard, base: Heard, *, name: str, channel: str, share: float, level_scales: float) -> Trial:
    """What was said because of the drift."""
    own = [alarm for alarm in heard.alarms if all(abs(alarm[0] - row) > SAME_ROWS for row, _ in base.alarms)]
    row, blamed = own[0] if own else (None, "")
    change = None if row is None else share * row / 3600
    told_anyway = base.drift_row is not None
    return Trial(
        machine=name,
        channel=channel,
        share_per_hour=share,
        alarm_minutes=None if row is None else row / 60,
        change_at_alarm=change,
        change_in_scales=None if change is None else change * level_scales,
        blamed=blamed,
        findings=tuple(one for one in heard.findings if one not in base.findings),
        drift_minutes=None if heard.drift_row is None or told_anyway else heard.drift_row / 60,
    )


def summary(found: Sequence[Trial], share: float, hours: int) -> dict[str, float | int | None]:
    """One pace in figures."""
    part = [one for one in found if one.share_per_hour == share]
    alarmed = [one for one in part if one.alarm_minutes is not None]
    drifts = [one.drift_minutes for one in part if one.drift_minutes is not None]

    def median(name: str) -> float | None:
        return float(np.median([getattr(one, name) for one in alarmed])) if alarmed else None

    return {
        "percent_an_hour": 100 * share,
        "hours": hours,
        "sensors": len(part),
        "alarmed": len(alarmed),
        "right_channel_first": sum(one.blamed == one.channel for one in alarmed),
        "median_minutes_to_alarm": median("alarm_minutes"),
        "median_change_at_alarm": median("change_at_alarm"),
        "median_change_in_calm_scales": median("change_in_scales"),
        "sensor_findings": sum(bool(one.findings) for one in part),
        "input_drift_above_2": len(drifts),
        "median_minutes_to_input_drift": float(np.median(drifts)) if drifts else None,
    }


def main() -> None:
    """Measure and write."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    scorer = Scorer.load(bundle.read(ROOT / "edge_agent/models/pretrained"), provider="cpu")
    scorer.expecting = False
    found = [
        one
        for kind, seeds in PLANTS.items()
        for seed in seeds
        for one in trials(kind, seed, scorer=scorer, paces=PACES)
    ]
    rows = [summary(found, share, hours) for share, hours in PACES]
    how = circumstances("benchmarks.sensor_faults.gain_drift")
    report = {"circumstances": how, "paces": rows, "trials": [asdict(one) for one in found]}
    (RESULTS / "gain_drift.json").write_text(json.dumps(report, indent=1) + "\n")
    lines = ["# A gain that drifts", "", f"`{how['command']}`, {how['date']}, {how['commit']}.", ""]
    lines += ["| figure | " + " | ".join(f"{row['percent_an_hour']:g} % an hour" for row in rows) + " |"]
    lines += ["|---|" + "---|" * len(rows)]
    for figure in [name for name in rows[0] if name != "percent_an_hour"]:
        cells = ["none" if row[figure] is None else f"{row[figure]:.3g}" for row in rows]
        lines.append(f"| {figure.replace('_', ' ')} | {' | '.join(cells)} |")
    (RESULTS / "gain_drift.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
