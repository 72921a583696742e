"""Planned changes: furnaces and arms for a day, learnt from one hour with part of their recipes.

`python -m benchmarks.cycles.planned_changes [--machines 12] [--jobs 2]`: twelve calm days should cost at most one
alarm, beside one notice for each new operating point. The fault that follows each, at half severity, should be found:
one incident a fault. Beside it: the arms without their cycles, and what counting cycles costs a row.

Each machine goes through the agent's own pipeline, in process; an incident is an alarm of kind `machine` on the machine
or on its cycles. Seeds from 60,000 on were never looked at before; those from 40,000 on were, while this was made.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import simulator
from benchmarks import RESULTS, ROOT
from benchmarks.everyday.trial import Episode, episodes
from benchmarks.harness.provenance import circumstances
from edge_agent.cycles.rules import CycleRule, CycleStart
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.pipeline import Pipeline
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Alarm, Frame, Reject
from edge_agent.signals.settings import WindowSettings

MACHINES = 12
CALM_HOURS, FAULT_HOURS = 24, 6
LEARNT_ROWS = 3600
SEED = 60_000
_GROWTH_ROWS = 2400
_SEVERITY = 0.5
_BLOCK_ROWS = 600
_HOP_S = 30.0
RULE = CycleRule(
    start=CycleStart("step", "becomes", 1.0),
    step="step",
    recipe="program",
    given=("payload", "speed_override"),
    longest_s=120.0,
)


GROUPS = {
    "arms, cycles counted": ("arm", True),
    "furnaces": ("furnace", False),
    "arms as they are": ("arm", False),
}
"""Name -> (kind of machine, whether its cycles are counted)."""
GOAL_FALSE, GOAL_FOUND = 1, 0.9


@dataclass(frozen=True, slots=True)
class Day:
    """What was said of one machine.

    Attributes:
        fault: injected after the calm hours, and there to stay.
        false: incidents of the calm hours. found: those whose first word came after the fault began.
        notices: of new recipes, operating points and states.
        delay_s: from the fault's beginning to the first incident; None where there is none.
        failures: exceptions that the pipeline contained.
    """

    machine: str
    fault: str
    false: tuple[Episode, ...]
    found: tuple[Episode, ...]
    notices: int
    delay_s: float | None
    failures: tuple[str, ...]


def day(kind: str, number: int, *, cycles: bool) -> Day:
    """One machine's calm hours from its first row on, then those with a fault; the faults of the kind take turns."""
    faults = simulator.EVERY_KIND[kind].faults
    fault = faults[number % len(faults)].name
    calm_rows = CALM_HOURS * 3600
    rows = calm_rows + FAULT_HOURS * 3600
    injection = simulator.Injection(fault, calm_rows, _GROWTH_ROWS, _SEVERITY)
    run = simulator.simulate(kind, rows=rows, seed=SEED + number, injections=[injection])
    said, failures = _heard(run, name=f"{kind}-{number}", cycles=cycles)
    begin_ns = round((run.start_ts + calm_rows) * 1e9)
    told = episodes(said, end_ns=round((run.start_ts + rows) * 1e9))
    incidents = [one for one in told if one.is_incident and one.spells]
    late = [one for one in incidents if one.spells[0][0] >= begin_ns]
    return Day(
        machine=f"{kind}-{number}",
        fault=fault,
        false=tuple(one for one in incidents if one not in late),
        found=tuple(late),
        notices=sum(one.words.startswith("state/") for one in told),
        delay_s=(min(one.spells[0][0] for one in late) - begin_ns) / 1e9 if late else None,
        failures=tuple(failures),
    )


def _heard(run: simulator.Run, *, name: str, cycles: bool) -> tuple[list[Alarm], Sequence[str]]:
    """Every alarm and finding of a run, and what failed."""
    scorer = _scorer()
    settings = PipelineSettings(
        commission_rows=LEARNT_ROWS,
        window=WindowSettings(hop_s=_HOP_S),
        cycle_rules=(RULE,) if cycles else (),
    )
    pipeline = Pipeline(decode=lambda _: Reject("no_source"), scorer=scorer, settings=settings)
    said: list[Alarm] = []
    failures: list[str] = []
    times = np.round(run.times_s * 1e9).astype(np.int64)
    for at in range(0, len(run.values), _BLOCK_ROWS):
        part = slice(at, at + _BLOCK_ROWS)
        step = pipeline.feed([Frame(name, run.channels, times[part], run.values[part])])
        for request in step.commissions:
            pipeline.install(learn(request, scorer=scorer, settings=settings))
        said += [*step.alarms, *step.findings]
        failures += [failure.error for failure in step.failures]
    return said, failures


@cache
def _scorer() -> Scorer:
    return Scorer.load(bundle.read(ROOT / "edge_agent/models/pretrained"), provider="cpu")


def cost(*, rows: int = 2400, repeats: int = 2) -> Mapping[str, float]:
    """Microseconds of processor time a row of a learnt arm at the product's own pace, without and with cycles counted.

    The two take turns; of each the least of `repeats`.
    """
    run = simulator.simulate("arm", rows=LEARNT_ROWS + rows, seed=SEED)
    times = np.round(run.times_s * 1e9).astype(np.int64)
    least = {"without": float("inf"), "with": float("inf")}
    for _ in range(repeats):
        for name, rules in (("without", ()), ("with", (RULE,))):
            settings = PipelineSettings(commission_rows=LEARNT_ROWS, cycle_rules=rules)
            pipeline = Pipeline(decode=lambda _: Reject("no_source"), scorer=_scorer(), settings=settings)
            began = 0.0
            for at in range(LEARNT_ROWS + rows):
                if at == LEARNT_ROWS:
                    began = time.process_time()
                step = pipeline.feed(
                    [Frame("arm-1", run.channels, times[at : at + 1], run.values[at : at + 1])]
                )
                for request in step.commissions:
                    pipeline.install(learn(request, scorer=_scorer(), settings=settings))
            least[name] = min(least[name], (time.process_time() - began) / rows * 1e6)
    return least | {"more": least["with"] / least["without"] - 1.0}


def _told(one: Day) -> dict[str, Any]:
    return {
        "machine": one.machine,
        "fault": one.fault,
        "false": [f"{each.id}: {each.channel}" for each in one.false],
        "found": [f"{each.id}: {each.channel}" for each in one.found],
        "notices": one.notices,
        "delay_s": one.delay_s,
        "failures": list(one.failures),
    }


def main() -> int:
    """Play all groups; writes JSON and Markdown after each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--machines", type=int, default=MACHINES)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    report: dict[str, Any] = circumstances("benchmarks.cycles.planned_changes") | {
        "machines": options.machines,
        "cost_us_a_row": cost(),
        "groups": {},
    }
    options.out.mkdir(parents=True, exist_ok=True)
    for name, (kind, cycles) in GROUPS.items():
        with ProcessPoolExecutor(options.jobs) as pool:
            waiting = [pool.submit(day, kind, number, cycles=cycles) for number in range(options.machines)]
            report["groups"][name] = []
            for each in waiting:
                report["groups"][name].append(_told(each.result()))
                sys.stderr.write(f"{name}: {report['groups'][name][-1]}\n")
        (options.out / "planned_changes.json").write_text(json.dumps(report, indent=1) + "\n")
        (options.out / "planned_changes.md").write_text(table(report))
    sys.stdout.write(table(report))
    return 0


def table(report: Mapping[str, Any]) -> str:
    """The figures as Markdown, goals beside."""
    priced = report["cost_us_a_row"]
    lines = [
        f"# Planned changes\n\n`{report['command']}`, {report['date']}, commit {report['commit']}.",
        f"{report['machines']} machines a group, {CALM_HOURS} calm hours each, then a fault at half severity for",
        f"{FAULT_HOURS} hours; learnt from the first {LEARNT_ROWS} rows. Goals: at most {GOAL_FALSE} false alarm",
        f"a group, {GOAL_FOUND:.0%} of faults found, one incident each.\n",
        "| machines | false alarms | faults found | incidents a found fault | minutes to the first, median | notices |",
        "|---|---|---|---|---|---|",
    ]
    for name, days in report["groups"].items():
        found = [one for one in days if one["found"]]
        each = f"{sum(len(one['found']) for one in found) / len(found):.1f}" if found else ""
        late = f"{float(np.median([one['delay_s'] for one in found])) / 60:.0f}" if found else ""
        false = sum(len(one["false"]) for one in days)
        notices = sum(one["notices"] for one in days)
        lines.append(f"| {name} | {false} | {len(found)} of {len(days)} | {each} | {late} | {notices} |")
    lines += [
        "",
        f"A row of an arm costs {priced['without']:.0f} µs of processor time without cycles and",
        f"{priced['with']:.0f} with them: {priced['more']:+.1%} (goal: at most 5 %).",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
