"""What pictures are worth: `python -m benchmarks.pictures.run --data DATA [--learnt 100] [--seeds 1] [--faulty 392]`.

Three ways from pixels to patches (`looks`) go through the same product code: learning, maps, scores, alarms. Magnetic
tiles are parts, the stations of a ball screw scenes. Times are of the CPU, one thread.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import RESULTS
from benchmarks.harness.provenance import circumstances
from benchmarks.pictures import ballscrew, parts, tiles
from benchmarks.pictures.looks import looks

_WHAT = ("parts", "tiles", "ballscrew")


def main() -> int:
    """Measure, and write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=False)
    parser.add_argument("--learnt", type=int, nargs="+", default=[100], help="good tiles to learn from")
    parser.add_argument("--frames", type=int, nargs="+", default=[20, 10], help="pictures of a station")
    parser.add_argument("--seeds", type=int, default=1, help="draws of tiles")
    parser.add_argument("--faulty", type=int, help="so many tiles with a fault; all without")
    parser.add_argument(
        "--only", nargs="+", choices=_WHAT, default=_WHAT, help="parts are generated: no data"
    )
    parser.add_argument("--stations", type=int, help="so many stations; all without")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    report: dict[str, Any] = circumstances("benchmarks.pictures.run")
    report |= {"seeds": options.seeds, "faulty": options.faulty, "parts": {}, "tiles": {}, "ballscrew": {}}
    if options.data is None and set(options.only) != {"parts"}:
        parser.error("--data is needed for tiles and ball screw")
    if "parts" in options.only:
        report["parts"] = {name: parts.measure(look) for name, look in looks(0).items()}
        sys.stderr.write("generated parts: done\n")
    for learnt in options.learnt if "tiles" in options.only else ():
        for name in looks(0):
            draws = [
                tiles.measure(
                    options.data, looks(seed)[name], learnt=learnt, seed=seed, faulty=options.faulty
                )
                for seed in range(options.seeds)
            ]
            report["tiles"].setdefault(str(learnt), {})[name] = draws
            sys.stderr.write(f"tiles, {learnt} learnt, {name}: done\n")
    for frames in options.frames if "ballscrew" in options.only else ():
        for name, look in looks(0).items():
            told = ballscrew.measure(options.data, look, learnt=frames, stations=options.stations)
            report["ballscrew"].setdefault(str(frames), {})[name] = told
            sys.stderr.write(f"ball screw, {frames} learnt, {name}: done\n")
    options.out.mkdir(parents=True, exist_ok=True)
    base = "pictures" if len(options.only) == len(_WHAT) else "_".join(("pictures", *options.only))
    (options.out / f"{base}.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.out / f"{base}.md").write_text(table(report))
    sys.stdout.write(table(report))
    return 0


def table(report: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [
        *(_parts_table(report["parts"]) if report["parts"] else []),
        "",
        "Magnetic tiles (parts): mean over draws",
        "",
    ]
    lines += [
        (
            "| learnt | patches | image AUROC (95 %) | AUPRO | by kind | good / faulty above the threshold "
            "| F1 of names, k named a kind |"
        )
    ]
    lines += ["|---|---|---|---|---|---|---|"]
    for learnt, named in report["tiles"].items():
        for name, draws in named.items():
            low, high = (np.mean([draw["interval"][end] for draw in draws]) for end in (0, 1))
            kinds = ", ".join(f"{kind} {_mean(draws, 'kinds', kind)}" for kind in draws[0]["kinds"])
            above = " / ".join(_mean(draws, f"{which} above the threshold") for which in ("good", "faulty"))
            called = ", ".join(f"{k}: {_mean(draws, 'named', k)}" for k in draws[0]["named"])
            lines.append(
                f"| {learnt} | {name} | {_mean(draws, 'auroc')} ({low:.3f} to {high:.3f}) | {_mean(draws, 'aupro')} "
                f"| {kinds} | {above} | {called} |"
            )
    lines += ["", "Ball screw (scenes, in the order of time)", ""]
    lines += [
        (
            "| learnt | patches | AUROC, mean (least) | first alarm after the first label | frames late, median "
            "| alarms before it | not judged | CPU ms a picture, median (p99) | learning, CPU s |"
        ),
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for learnt, named in report["ballscrew"].items():
        for name, one in named.items():
            lines.append(
                f"| {learnt} | {name} | {one['auroc']:.3f} ({one['least auroc']:.3f}) "
                f"| {one['first alarm after the first label']} of {one['stations']}, {one['missed']} missed "
                f"| {one['frames late, median']} | {one['alarms before the first label']} "
                f"| {one['pictures not judged']} "
                f"| {one['cpu_ms']:.0f} ({one['cpu_ms_p99']:.0f}) | {one['learn_cpu_s']:.1f} |"
            )
    return "\n".join(lines) + "\n"


def _parts_table(told: dict[str, Any]) -> list[str]:
    lines = ["Generated parts: means over five surfaces (mixed: castings of many lots)", ""]
    names = list(next(iter(told.values()))["all"])
    lines += [f"| patches | surface | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for name, surfaces in told.items():
        for surface in ("all", "mixed"):
            values = (f"{surfaces[surface][one]:.3f}" for one in names)
            lines.append(f"| {name} | {surface} | {' | '.join(values)} |")
    return lines


def _mean(draws: list[dict[str, Any]], *names: str) -> str:
    found = []
    for draw in draws:
        value: Any = draw
        for name in names:
            value = value[name]
        found.append(value)
    return f"{np.mean(found):.3f}"


if __name__ == "__main__":
    sys.exit(main())
