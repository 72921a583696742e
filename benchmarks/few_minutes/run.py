"""What is learnt from few minutes: `python -m benchmarks.few_minutes.run [--minutes 10,60] [--seeds 24] [--jobs 2]`.

Simulated plants at a row a second are learnt from ten minutes or an hour without any label, run calmly for three hours
and then fail in each way of their kind once. All methods go through the product's own trigger, each at a threshold of
its own that nobody set by these plants. What was measured of a plant is kept in `benchmarks/.cache` until the code or
the model changes, so that a long run can be done in pieces.

`--without KIND=BUNDLE` names a model that was trained without a kind: what it says of that kind is a row of its own;
`--left-out DIR` names a folder of them, which `benchmarks.few_minutes.left_out` makes.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks import RESULTS, ROOT
from benchmarks.detection.networks import AGENT, LEFT_OUT
from benchmarks.few_minutes import left_out
from benchmarks.few_minutes.alarms import UNSCORED, Alarms, Scored, pointed, ranked, swept, tally, triggered
from benchmarks.few_minutes.figures import gained, summarised
from benchmarks.few_minutes.methods import Method, methods, on_gateway
from benchmarks.few_minutes.plants import GROUPS, HOP_ROWS, Plant, Spec, simulated, specs
from benchmarks.few_minutes.report import picture, table
from benchmarks.harness.figure_cache import digest, kept
from benchmarks.harness.provenance import circumstances
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from simulator import KINDS

SHIPPED = ROOT / "edge_agent/models/pretrained"
_NETWORKS_FREE = ("figures.py", "report.py", "run.py")
"""Files that only arrange and show what the others measured."""
_MINUTE_ROWS = 60


@dataclass(frozen=True, slots=True)
class Task:
    """A plant, the model, and the one that has not seen its kind."""

    spec: Spec
    bundle: Path
    without: Path | None
    only: tuple[str, ...]


def main() -> int:
    """Measure, and write JSON, Markdown and a picture."""
    options = _options()
    model = bundle.read(options.bundle).digest
    target = options.out / options.name
    report: dict[str, Any] = circumstances("benchmarks.few_minutes.run")
    report |= {"model": model, "hop_s": HOP_ROWS, "learnt": {}, "plants": []}
    for minutes in options.minutes:
        for group, kinds in _groups(options.kinds).items():
            seeds = range(options.first_seed, options.first_seed + options.seeds)
            chosen = specs(kinds, seeds=seeds, learnt_rows=minutes * _MINUTE_ROWS)
            tasks = [
                Task(spec, options.bundle, options.without.get(spec.kind), tuple(options.methods or ()))
                for spec in chosen
            ]
            told = dict(zip(chosen, _measured(tasks, jobs=options.jobs), strict=True))
            report["learnt"].setdefault(str(minutes), {})[group] = _figures(list(told.values())) | {
                "kinds": list(kinds)
            }
            report["plants"] += [_brief(minutes, spec, found) for spec, found in told.items()]
            options.out.mkdir(parents=True, exist_ok=True)
            target.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    target.with_suffix(".md").write_text(table(report))
    picture(report, target.with_suffix(".png"))
    sys.stdout.write(table(report))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=_numbers, default=[10, 60], help="to learn from, as 10,60")
    parser.add_argument("--seeds", type=int, default=24, help="plants of each group, its kinds in turn")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument(
        "--kinds",
        nargs="+",
        default=list(GROUPS),
        help=f"groups ({', '.join(map(repr, GROUPS))}), or kinds by name as one group more",
    )
    parser.add_argument("--methods", nargs="+", help="only these, as the table names them")
    parser.add_argument("--bundle", type=Path, default=SHIPPED, help="another model")
    parser.add_argument(
        "--without",
        nargs="+",
        default=[],
        metavar="KIND=BUNDLE",
        help="models that were trained without a kind",
    )
    parser.add_argument("--left-out", type=Path, metavar="DIR", help="these models, as `left_out` made them")
    parser.add_argument("--jobs", type=int, default=1, help="plants at a time")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--name", default="few_minutes", help="of the written files")
    options = parser.parse_args()
    strange = [kind for kind in options.kinds if kind not in GROUPS and kind not in KINDS]
    if strange:
        parser.error(f"unknown: {', '.join(strange)}; kinds: {', '.join(KINDS)}")
    pairs = [pair.partition("=") for pair in options.without]
    options.without = {kind: Path(path) for kind, _, path in pairs}
    if options.left_out is not None:
        options.without = left_out.models(options.left_out) | options.without
    return options


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _groups(asked: list[str]) -> Mapping[str, tuple[str, ...]]:
    """Group -> its kinds; those that were asked for by name are a group together."""
    named = tuple(kind for kind in asked if kind not in GROUPS)
    found = {group: kinds for group, kinds in GROUPS.items() if group in asked}
    return found | ({", ".join(named): named} if named else {})


def _measured(tasks: list[Task], *, jobs: int) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Of each plant: method -> what each of its draws came to."""
    if jobs == 1:
        yield from map(measure, tasks)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(measure, tasks)


def measure(task: Task) -> dict[str, list[dict[str, Any]]]:
    """What every method came to on one plant."""
    scorer = _loaded(task.bundle)
    known = methods(scorer, left_out=None if task.without is None else _loaded(task.without))
    plant: list[Plant] = []  # simulated once, where anything has to be measured at all
    found: dict[str, list[dict[str, Any]]] = {}
    for name, draws in known.items():
        if task.only and name not in task.only:
            continue
        ours = name.startswith(AGENT)
        model = (
            _loaded(task.without).bundle.digest if name == LEFT_OUT and task.without else scorer.bundle.digest
        )
        for number, method in enumerate(draws):

            def judged(method: Method = method) -> dict[str, Any]:
                if not plant:
                    plant.append(simulated(task.spec))
                return _worth(plant[0], method(plant[0]), window_rows=scorer.window_rows)

            parts = [
                "few_minutes",
                repr(task.spec),
                name,
                str(number),
                model if ours else "",
                _code(agent=ours),
            ]
            found.setdefault(name, []).append(kept(parts, judged))
    sys.stderr.write(f"{task.spec.kind} {task.spec.seed}, {task.spec.learnt_rows} rows: done\n")
    return found


@cache
def _loaded(path: Path) -> Scorer:
    return on_gateway(Scorer.load(bundle.read(path), provider="cpu"))


def _worth(plant: Plant, said: Scored | Alarms, *, window_rows: int) -> dict[str, Any]:
    if isinstance(said, Alarms):
        return tally(plant, said) | UNSCORED
    alarms = triggered(said, window_rows=window_rows)
    return tally(plant, alarms) | {
        **pointed(plant, said),
        "average_precision": ranked(plant, said.value),
        "swept": swept(plant, said, window_rows=window_rows),
    }


@cache
def _code(*, agent: bool) -> str:
    """Digest of all that decides a figure: the plants, the methods, and the agent where it is measured."""
    here = Path(__file__).parent
    files = [file for file in sorted(here.glob("*.py")) if file.name not in _NETWORKS_FREE]
    files += [here.parent / "detection" / name for name in ("baselines.py", "networks.py")]
    files += [*sorted((ROOT / "simulator").rglob("*.py")), ROOT / "edge_agent/detect/trigger.py"]
    if agent:
        files += sorted((ROOT / "edge_agent").rglob("*.py"))
        files += sorted((ROOT / "trainer/edge_trainer/in_context").rglob("*.py"))
    return digest(files)


def _figures(told: list[dict[str, list[dict[str, Any]]]]) -> dict[str, Any]:
    """Figures of each method over the plants that it judged, and what the network adds to what stands in for it."""
    drawn = {
        name: [plant[name] for plant in told if name in plant]
        for name in dict.fromkeys(name for plant in told for name in plant)
    }
    found: dict[str, Any] = {"methods": {name: summarised(each) for name, each in drawn.items()}, "gains": {}}
    for ours in (AGENT, LEFT_OUT):
        both = [plant for plant in told if ours in plant]
        for name in drawn:
            if both and name not in (ours, AGENT, LEFT_OUT) and all(name in plant for plant in both):
                gain = gained([plant[ours] for plant in both], [plant[name] for plant in both])
                found["gains"].setdefault(ours, {})[name] = gain
    return found


def _brief(minutes: int, spec: Spec, found: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """A plant's counts without its sweeps."""
    shown = ("found", "faults", "false_alarms", "calm_windows", "calm_in_alarm", "delays_s", "named", "right")
    return {
        "minutes": minutes,
        "kind": spec.kind,
        "seed": spec.seed,
        "methods": {
            name: [{key: each[key] for key in shown} for each in draws] for name, draws in found.items()
        },
    }


if __name__ == "__main__":
    sys.exit(main())
