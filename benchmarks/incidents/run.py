"""One fault, one incident: `python -m benchmarks.incidents.run [--live] [--hop-s 2] [--machines 10]`.

The short form drives the agent's pipeline in this process, machine by machine: constant faults of every kind in the
three plants at two severities, pairs of different faults ten minutes apart, and faults that begin while the machine
waits to be learnt. `--live` sends the constant faults of 40 machines over mosquitto to a running agent. What was
measured of a machine is kept in `benchmarks/.cache` until the agent, the model or the plans change.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from benchmarks import RESULTS, ROOT
from benchmarks.harness.figure_cache import digest, kept
from benchmarks.harness.provenance import circumstances
from benchmarks.incidents.in_process import heard
from benchmarks.incidents.over_broker import heard_live
from benchmarks.incidents.plans import Plan, Question, plans
from benchmarks.incidents.report import picture, table
from benchmarks.incidents.verdict import Heard, Word, summarised, verdict
from edge_agent.config.sections import SHIPPED_BUNDLE
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle

_OWN_CODE = sorted(Path(__file__).parent.glob("*.py"))


def main() -> int:
    """Measure, and write JSON, Markdown and a picture."""
    options = _options()
    model = bundle.read(SHIPPED_BUNDLE)
    report = circumstances("benchmarks.incidents.run") | {"model": model.digest, "hop_s": options.hop_s}
    report["form"] = "over mosquitto" if options.live else "in process"
    chosen = [plan for question in options.questions for plan in _some(question, options.machines)]
    rows = list(_live(chosen, options.hop_s) if options.live else _short(chosen, options.hop_s, model))
    report |= {"figures": summarised(rows), "machines": rows}
    target = options.out / ("incidents_live" if options.live else "incidents")
    target.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    target.with_suffix(".md").write_text(table(report))
    picture(report, target.with_suffix(".png"))
    sys.stdout.write(table(report))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--live", action="store_true", help="constant faults, over a broker")
    parser.add_argument("--hop-s", type=float, default=2.0, help="seconds from one judged window to the next")
    parser.add_argument("--machines", type=int, help="so many of each question, spread over all")
    parser.add_argument("--questions", nargs="+", choices=get_args(Question), default=get_args(Question))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.live:
        options.questions = ("constant",)
    return options


def _some(question: Question, count: int | None) -> Sequence[Plan]:
    every = list(plans(question))
    if count is None or count >= len(every):
        return every
    return [every[at * len(every) // count] for at in range(count)]


def _short(chosen: Sequence[Plan], hop_s: float, model: bundle.Bundle) -> Iterator[dict[str, Any]]:
    scorer = Scorer.load(model)
    code = digest([*sorted((ROOT / "edge_agent").rglob("*.py")), *_OWN_CODE])

    def told(plan: Plan, *, late: bool = False) -> Heard:
        found = kept(
            [code, model.digest, str(hop_s), repr(plan), str(late)],
            lambda: asdict(heard(plan, scorer=scorer, hop_s=hop_s, late=late)),
        )
        return Heard([Word(**word) for word in found["words"]], found["loud_rows"])

    for plan in chosen:
        late = plan.question == "late"
        alone = [told(one) for one in plan.alone()] if plan.question == "pair" else ()
        row = verdict(plan, told(plan, late=late), twin=told(plan) if late else None, alone=alone)
        sys.stderr.write(json.dumps(row) + "\n")
        yield row


def _live(chosen: Sequence[Plan], hop_s: float) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        told = heard_live(chosen, Path(folder), hop_s=hop_s)
    for plan in chosen:
        yield verdict(plan, told[plan.name])


if __name__ == "__main__":
    sys.exit(main())
