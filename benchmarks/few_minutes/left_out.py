"""Models that never saw a kind of plant: `python -m benchmarks.few_minutes.left_out --corpus DIR --data DIR --out DIR`.

The kinds are parted into three; for each part the judge is trained on the same corpus without these kinds, its
threshold is set, and it is put into a copy of the shipped bundle. A network takes about half a minute and a part three
of them; what is there is not made again. `benchmarks.few_minutes.run --left-out DIR` reads what is written.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks import ROOT
from simulator import KINDS

PARTS = {
    "a": ("pump", "furnace", "press", "chiller", "robot"),
    "b": ("motor", "compressor", "cnc", "fan", "boiler"),
    "c": ("conveyor", "exchanger", "mixer", "cascade", "coldroom", "extruder"),
}
"""Kinds that one model has not seen, so that each part has kinds of several sorts."""
_BUNDLE = "bundle"
_SHIPPED = ROOT / "edge_agent/models/pretrained"
_CONFIG = ROOT / "trainer/configs/judge.toml"


def models(folder: Path) -> dict[str, Path]:
    """Kind -> the bundle that never saw it, of those that are there."""
    return {
        kind: folder / part / _BUNDLE
        for part, kinds in PARTS.items()
        for kind in kinds
        if (folder / part / _BUNDLE / "manifest.json").is_file()
    }


def main() -> int:
    """Make what is missing."""
    options = _options()
    for part in options.parts:
        sys.stderr.write(f"{part}, without {', '.join(PARTS[part])}\n")
        sys.stdout.write(f"{make(part, options)}\n")
    return 0


def make(part: str, options: argparse.Namespace) -> Path:
    """The bundle without one part's kinds.

    Raises:
        TrainingError: there is no corpus, or no threshold keeps the budget.
    """
    from edge_trainer import config  # noqa: PLC0415 - who only reads needs no torch
    from edge_trainer.in_context import stages  # noqa: PLC0415

    folder: Path = options.out / part
    bundle = folder / _BUNDLE
    given = config.load(
        _CONFIG, [*_overrides(options).items(), ("run.out", folder), ("judge.without", list(PARTS[part]))]
    )
    for stage in (stages.train, stages.set_threshold):
        stage(given, _report)
    fresh = folder / "new"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(_SHIPPED, fresh)
    stages.export(given, _report, to=fresh)
    shutil.rmtree(bundle, ignore_errors=True)
    return fresh.rename(bundle)


def _overrides(options: argparse.Namespace) -> Mapping[str, object]:
    found: dict[str, object] = {"judge.corpus": options.corpus, "judge.jobs": options.jobs}
    if options.data is not None:
        found["run.data"] = options.data
    if options.fresh_machines is not None:
        found["judge.fresh_machines"] = options.fresh_machines
    if options.seeds is not None:
        found["judge.seeds"] = options.seeds
    return found


def _report(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True, help="as `edge-trainer judge corpus` made it")
    parser.add_argument("--data", type=Path, help="the recordings, as the corpus had them")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--seeds", type=int, help="networks of each; else as the configuration says")
    parser.add_argument("--fresh-machines", type=int, help="that the threshold is set on")
    parser.add_argument("--jobs", type=int, default=2)
    return parser.parse_args()


assert sorted(kind for kinds in PARTS.values() for kind in kinds) == sorted(KINDS)  # noqa: S101 - each kind once


if __name__ == "__main__":
    sys.exit(main())
