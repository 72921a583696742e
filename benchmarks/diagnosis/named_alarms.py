"""Alarms of simulated machines, named once or a few times, and what the agent calls the next ones; whole alarms count.

`python -m benchmarks.diagnosis.named_alarms` sends runs of each fault, at random strength and growth, through the
agent's pipeline with the shipped model, names k alarms of each fault but of a third of the faults, and asks how the
other alarms are called at their fifth window and at their end. It writes benchmarks/results/named_alarms.{json,md}.
The machines' seeds are not those that the evidence for a name was chosen on (31 and 32).
"""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import RESULTS

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")


import numpy as np  # noqa: E402  the number of threads must be known before numpy is
from numpy.typing import NDArray  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402

from benchmarks.harness.provenance import circumstances  # noqa: E402
from edge_agent.config.sections import SHIPPED_BUNDLE  # noqa: E402
from edge_agent.detect.scorer import Scorer  # noqa: E402
from edge_agent.diagnose.fault_naming import UNKNOWN, Belief, FaultNaming, NamingSettings  # noqa: E402
from edge_agent.model import bundle as bundles  # noqa: E402
from edge_agent.pipeline.learning import learn  # noqa: E402
from edge_agent.pipeline.pipeline import Pipeline  # noqa: E402
from edge_agent.pipeline.results import CommissionRequest  # noqa: E402
from edge_agent.pipeline.settings import PipelineSettings  # noqa: E402
from edge_agent.records import Frame, Profile, Reject  # noqa: E402
from edge_agent.signals.settings import WindowSettings  # noqa: E402
from simulator import KINDS, MEASURED_KINDS, Injection, simulate  # noqa: E402

_NORMAL_ROWS, _RUN_ROWS, _FAULT_ROW = 3600, 620, 200
_SECOND_NS = 1_000_000_000
_FEED_ROWS = 10
_NAMED = (1, 2, 3)
_EARLY_WINDOW = 4
_SETTINGS = PipelineSettings(commission_rows=_NORMAL_ROWS, window=WindowSettings(hop_s=0.0))


@dataclass(frozen=True, slots=True)
class Event:
    """The first alarm of a run: its fault, and windows [W, C, T] of it with the rows they end at."""

    fault: str
    run: int
    windows: NDArray[np.float32]
    ends: tuple[int, ...]


def events_of(kind: str, machine_seed: int, *, scorer: Scorer, runs: int) -> tuple[Profile, list[Event], int]:
    """(profile of a machine, its alarms, how many runs there were: not every fault is alarmed)."""
    normal = simulate(kind, rows=_NORMAL_ROWS, seed=500 + machine_seed, machine_seed=machine_seed)
    request = CommissionRequest("m", normal.channels, normal.values, _SECOND_NS, 1, 0)
    profile = learn(request, scorer=scorer, settings=_SETTINGS)
    events = []
    for number, fault in enumerate(KINDS[kind].faults):
        for run in range(runs):
            rng = np.random.default_rng([machine_seed, number, run])
            injected = Injection(
                fault=fault.name,
                start_row=_FAULT_ROW,
                growth_rows=int(rng.integers(20, 300)),
                severity=float(rng.uniform(0.4, 1.0)),
            )
            rows = simulate(
                kind,
                rows=_RUN_ROWS,
                seed=int(rng.integers(1_000_000)),
                machine_seed=machine_seed,
                injections=[injected],
            ).values
            event = _first_alarm(fault.name, run, rows, profile=profile, scorer=scorer)
            events += [event] if event else []
    return profile, events, runs * len(KINDS[kind].faults)


def _first_alarm(
    fault: str, run: int, rows: NDArray[np.float32], *, profile: Profile, scorer: Scorer
) -> Event | None:
    street = Pipeline(
        decode=lambda _: Reject("no_source"), scorer=scorer, settings=_SETTINGS, profiles=[profile]
    )
    first, windows, ends = "", [], []
    for start in range(0, len(rows), _FEED_ROWS):
        part = rows[start : start + _FEED_ROWS]
        times = [(start + at) * _SECOND_NS for at in range(len(part))]
        step = street.feed([Frame("m", profile.channels, times, part)])
        first = first or next((alarm.id for alarm in step.alarms), "")
        if step.scores and any(alarm.id == first for alarm in street.machines.open_alarms()):
            windows.append(step.scores[-1].windows.values[-1].copy())
            ends.append(int(step.scores[-1].windows.end_rows[-1]))
    return Event(fault, run, np.stack(windows), tuple(ends)) if len(windows) > _EARLY_WINDOW else None


def judge(
    profile: Profile, events: Sequence[Event], *, k: int, seed: int
) -> list[tuple[bool, str, str, str, float]]:
    """Of each alarm that was not named: (learnt fault?, fault, name early, name at the end, mean of known)."""
    rng = np.random.default_rng(seed)
    faults = [
        fault
        for fault in sorted({event.fault for event in events})
        if sum(one.fault == fault for one in events) > k
    ]
    if len(faults) < 3:
        return []
    gone = set(rng.permutation(faults)[: max(1, len(faults) // 3)].tolist())
    machine = FaultNaming("m", NamingSettings())
    machine.arrange(profile)
    used = set()
    for fault in sorted(set(faults) - gone):
        own = [event for event in events if event.fault == fault]
        for at in rng.permutation(len(own))[:k]:
            used.add(id(own[at]))
            name = f"{fault}-{own[at].run}"
            for window, end in zip(own[at].windows, own[at].ends, strict=True):
                machine.keep(name, window, end_row=end)
            machine.name(name, fault)
    return [
        (event.fault in faults and event.fault not in gone, event.fault, *_called(machine, event))
        for event in events
        if id(event) not in used
    ]


def _called(machine: FaultNaming, event: Event) -> tuple[str, str, float]:
    opinions = machine.judge(event.windows) or []
    belief = Belief(opinions[0].names)
    said = [belief.add(opinion)[0] for opinion in opinions]
    return said[_EARLY_WINDOW], said[-1], float(np.mean([opinion.known for opinion in opinions]))


def shares(rows: Sequence[tuple[bool, str, str, str, float]]) -> dict[str, Any]:
    """What became of alarms of learnt and of never learnt faults."""
    learnt = [row for row in rows if row[0]]
    strange = [row for row in rows if not row[0]]
    found: dict[str, Any] = {"alarms": len(learnt), "alarms_of_unknown_faults": len(strange)}
    for stage, at in (("early", 2), ("end", 3)):
        found[stage] = {
            "right": round(float(np.mean([row[at] == row[1] for row in learnt])), 3),
            "wrong": round(float(np.mean([row[at] not in (row[1], UNKNOWN) for row in learnt])), 3),
            "unknown_named": round(float(np.mean([row[at] != UNKNOWN for row in strange])), 3),
        }
    auroc = roc_auc_score([row[0] for row in rows], [row[4] for row in rows])
    return found | {"unknown_auroc": round(float(auroc), 3)}


def table(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    told = (
        f"{report['date']}, commit {report['commit']}, {report['machine']}, `{report['command']}`: "
        f"{report['events']} alarms in {report['runs']} runs of {report['simulated_machines']} machines; "
        f"each share over {report['draws']} draws."
    )
    lines = [
        "# Naming whole alarms on simulated machines",
        "",
        told,
        "",
        "| named before, a fault | at | right | wrong | said unknown | unknown fault given a name | unknown AUROC |",
        "|---|---|---|---|---|---|---|",
    ]
    for k, found in report["named"].items():
        for stage, when in (("early", "the fifth window seen"), ("end", "the end")):
            each = found[stage]
            unsaid = 1.0 - each["right"] - each["wrong"]
            auroc = f"{found['unknown_auroc']:.3f}" if stage == "end" else ""
            lines.append(
                f"| {k} | {when} | {each['right']:.3f} | {each['wrong']:.3f} | {unsaid:.3f} | "
                f"{each['unknown_named']:.3f} | {auroc} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--machine-seeds", nargs="+", type=int, default=[51, 52])
    parser.add_argument("--runs", type=int, default=5, help="of each fault")
    parser.add_argument("--draws", type=int, default=4)
    options = parser.parse_args()
    scorer = Scorer.load(bundles.read(SHIPPED_BUNDLE))
    machines = [
        events_of(kind, seed, scorer=scorer, runs=options.runs)
        for kind in MEASURED_KINDS
        for seed in options.machine_seeds
    ]
    named = {
        k: [
            row
            for profile, events, _ in machines
            for seed in range(options.draws)
            for row in judge(profile, events, k=k, seed=seed)
        ]
        for k in _NAMED
    }
    report = {
        **circumstances("benchmarks.diagnosis.named_alarms"),
        "model": scorer.bundle.digest,
        "simulated_machines": len(machines),
        "runs": sum(runs for _, _, runs in machines),
        "events": sum(len(events) for _, events, _ in machines),
        "draws": options.draws,
        "named": {str(k): shares(rows) for k, rows in named.items() if rows},
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "named_alarms.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.out / "named_alarms.md").write_text(table(report))
    print(table(report))


if __name__ == "__main__":
    main()
