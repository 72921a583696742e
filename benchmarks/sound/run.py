"""Sound and vibration by one class: `python -m benchmarks.sound.run --data DATA` -> benchmarks/results/sound.*.

Each method learns from good blocks alone and ranks others: AUROC of faulty ones, mean over conditions (the least), with
95 % over blocks drawn again. No setting was chosen on these sets; times are of the CPU, one thread.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import RESULTS
from benchmarks.harness.provenance import circumstances
from benchmarks.pictures.looks import SHIPPED, UNTRAINED, looks
from benchmarks.pictures.measures import auroc, interval
from benchmarks.sound.datasets import SoundSet, datasets
from benchmarks.sound.methods import Scores, by_features, by_pictures, by_spectrum


def main() -> int:
    """Measure, and write JSON and Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    named = looks(0)
    methods: dict[str, Callable[[SoundSet], Scores]] = {
        "waveform channels": by_features,
        "mean log spectrum": by_spectrum,
        "spectrograms, shipped network": lambda one: by_pictures(one, named[SHIPPED]),
        "spectrograms, random weights": lambda one: by_pictures(one, named[UNTRAINED]),
    }
    report: dict[str, Any] = circumstances("benchmarks.sound.run") | {"sets": {}}
    for one in datasets(options.data):
        report["sets"][one.name] = {name: _measured(one, method) for name, method in methods.items()}
        sys.stderr.write(f"{one.name}: done\n")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "sound.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.out / "sound.md").write_text(table(report))
    sys.stdout.write(table(report))
    return 0


def _measured(one: SoundSet, method: Callable[[SoundSet], Scores]) -> dict[str, Any]:
    scores = method(one)
    good = scores(one.good).tolist()
    began = time.process_time()
    faulty = {name: scores(blocks).tolist() for name, blocks in one.faulty.items()}
    spent = time.process_time() - began
    areas = {name: auroc(found, good) for name, found in faulty.items()}
    everything = [score for found in faulty.values() for score in found]
    return {
        "auroc": float(np.mean(list(areas.values()))),
        "least": min(areas.values()),
        "interval": interval(everything, good),
        "conditions": areas,
        "ms a block": 1e3 * spent / len(everything),
    }


def table(report: dict[str, Any]) -> str:
    """The figures as Markdown."""
    sets = report["sets"]
    names = list(next(iter(sets.values())))
    lines = [
        "Sound and vibration, one class: AUROC, mean over conditions (the least), 95 % of all together",
        "",
    ]
    lines += [f"| set | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    for name, found in sets.items():
        cells = (
            f"{one['auroc']:.3f} ({one['least']:.3f}), {one['interval'][0]:.3f} to {one['interval'][1]:.3f}"
            for one in found.values()
        )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    spent = (f"{np.mean([found[name]['ms a block'] for found in sets.values()]):.1f}" for name in names)
    lines.append(f"| ms of CPU a block | {' | '.join(spent)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
