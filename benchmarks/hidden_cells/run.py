"""Who knows a hidden cell best: `python -m benchmarks.hidden_cells.run [--machines 1000] [--data DIR]`.

Cells of one channel are hidden (a single one, a stretch of 8 to 32 rows, the newest 8 to 32 rows), all others are
visible. A masked autoencoder that learnt from other machines (`edge_trainer.hidden_cells`) is set beside linear
interpolation, the conditional Gaussian of the machine's calm rows, the shipped encoder and random weights: on real
machines of sets that nothing is learnt from, on kinds of simulated plants that are left out, and on unseen machines of
the families that were learnt from. Hidden cells are kept in `benchmarks/.cache` until the code that hides them
changes, so that a long run can be done in pieces.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from edge_trainer.hidden_cells import examples as hidden
from edge_trainer.hidden_cells import training
from edge_trainer.hidden_cells.examples import Examples
from edge_trainer.hidden_cells.expectations import GAUSSIAN, INTERPOLATION, MEAN, NAMES
from edge_trainer.hidden_cells.network import HiddenCellNetwork

from benchmarks import RESULTS, ROOT
from benchmarks.harness.figure_cache import CACHE, digest
from benchmarks.harness.provenance import circumstances
from benchmarks.hidden_cells import figures, machines
from benchmarks.hidden_cells.figures import Method
from benchmarks.hidden_cells.machines import Draw
from edge_agent.detect.scorer import Scorer
from edge_agent.model import bundle
from edge_agent.signals.features import Float32

SHIPPED = ROOT / "edge_agent/models/pretrained"
_EPISODES = 6
"""Channels of a machine that are hidden, each with a gap of its own."""
_PART_MACHINES = 50
_SAMPLING = ("gaps", "expectations", "evidence", "examples")
"""Files that decide what is hidden and what is told of it."""
_SEEDS = {"training": 1, "families learnt from": 2, "kinds left out": 3, "real machines": 4}
_FIRST_RANDOM_SEED = 100


def main() -> int:
    """Hide, learn, measure; write JSON and Markdown."""
    options = _options()
    torch.set_num_threads(1)
    known = _gathered(options, "training", options.machines, machines.others(options.data, "training"))
    told = narrowed(known, without=options.without)
    networks = [
        training.train(told, seed=seed, epochs=options.epochs, report=_say) for seed in range(options.seeds)
    ]
    untrained = [training.untrained(told, seed=_FIRST_RANDOM_SEED + seed) for seed in range(options.seeds)]
    sets: dict[str, Draw] = {
        "real machines": partial(machines.real, options.data),
        "kinds left out": machines.left_out(),
        "families learnt from": machines.others(options.data, "held out"),
    }
    report: dict[str, Any] = circumstances("benchmarks.hidden_cells.run") | {"sets": {}}
    report |= {"learnt_from": {"episodes": len(known.family), "cells": len(known.truth)}}
    for name, draw in sets.items():
        seen = _gathered(options, name, options.test_machines, draw)
        methods = _methods() | _networks(networks, untrained, without=options.without)
        found = {method: figures.errors(seen, said) for method, said in methods.items()}
        report["sets"][name] = figures.summarised(seen, found)
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / options.name
    target.with_suffix(".json").write_text(json.dumps(report, indent=1) + "\n")
    target.with_suffix(".md").write_text(figures.table(report))
    sys.stdout.write(figures.table(report))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("EDGE_AGENT_DATA", "../shared/data"))
    )
    parser.add_argument("--machines", type=int, default=1000, help="to learn from")
    parser.add_argument("--test-machines", type=int, default=200, help="of each set that is measured on")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=training.EPOCHS)
    parser.add_argument(
        "--without", nargs="+", default=[], choices=NAMES, help="expectations that the network is not told"
    )
    parser.add_argument("--bundle", type=Path, default=SHIPPED, help="whose encoder is set beside it")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--name", default="hidden_cells", help="of the written files")
    return parser.parse_args()


def narrowed(known: Examples, *, without: Sequence[str]) -> Examples:
    """The cells without some expectations and what is told of these."""
    kept = np.array([name not in without for name in NAMES])
    told = np.ones(known.features.shape[1], np.bool_)
    told[: 3 * len(kept)] = np.tile(kept, 3)
    return replace(known, features=known.features[:, told], expected=known.expected[:, kept])


def _methods() -> dict[str, Method]:
    """What is there without the network."""
    return {
        "mean": lambda seen: seen.expected[:, MEAN],
        figures.LINE: lambda seen: seen.expected[:, INTERPOLATION],
        figures.GAUSS: lambda seen: seen.expected[:, GAUSSIAN],
        figures.MOVED: lambda seen: seen.expected[:, NAMES.index("moved_gaussian")],
        figures.CHOSEN: lambda seen: seen.expected[np.arange(len(seen.truth)), seen.best[seen.episode]],
        figures.ENCODER: lambda seen: seen.others[:, 0],
    }


def _networks(
    networks: Sequence[HiddenCellNetwork], untrained: Sequence[HiddenCellNetwork], *, without: Sequence[str]
) -> dict[str, Method]:
    """The mean of the networks, each of them, and random weights."""

    def said(asked: Sequence[HiddenCellNetwork]) -> Method:
        return lambda seen: training.values(asked, narrowed(seen, without=without))

    seeds = {f"{figures.NETWORK}, seed {at}": said([one]) for at, one in enumerate(networks)}
    drawn = {f"random weights, seed {at}": said([one]) for at, one in enumerate(untrained)}
    return {figures.NETWORK: said(networks), **seeds, **drawn}


def _gathered(options: argparse.Namespace, name: str, count: int, draw: Draw) -> Examples:
    """Hidden cells of so many machines, in parts."""
    scorer = Scorer.load(bundle.read(options.bundle), provider="cpu")
    code = [Path(hidden.__file__).with_name(f"{file}.py") for file in _SAMPLING]
    folder = (
        CACHE / f"hidden-cells-{digest([*code, Path(machines.__file__)])[:12]}-{scorer.bundle.digest[:8]}"
    )
    parts = []
    for first in range(0, count, _PART_MACHINES):
        last = min(first + _PART_MACHINES, count)
        path = folder / f"{name.replace(' ', '-')}-{first}-{last}.npz"
        if not path.exists():
            rngs = (np.random.default_rng([_SEEDS[name], number]) for number in range(first, last))
            made = hidden.drawn(
                (draw(rng) for rng in rngs),
                seed=[_SEEDS[name], first],
                episodes=_EPISODES,
                others=[partial(_encoded, scorer)],
            )
            hidden.save(made, path)
            _say(f"{name}: {last} of {count} machines")
        parts.append(hidden.load(path))
    return hidden.joined(parts)


def _encoded(scorer: Scorer, rows: Float32) -> Float32:
    """What the shipped encoder makes of windows [B, T] of one channel in normal scales, NaN where hidden."""
    here, scale = np.zeros(1, np.float32), np.ones(1, np.float32)
    return scorer.encode(rows[:, None], here, scale).reconstruction[:, 0]


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
