"""The table of families: how often each is drawn, and by whom. None has more than a tenth; real rigs have a quarter."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from edge_trainer.in_context.machines import bursts, ordinary, plants, recordings, signals, slow
from edge_trainer.in_context.machines.machine import MachineRows, Split

Group = Literal["plant", "ordinary", "signal", "slow", "recording", "site"]
_PLANTS, _RECORDINGS = 0.32, 0.28
"""Shares of all simulated kinds and of all real machines."""
_SINGLES = {"home_energy": 1.0, "gas_compressor_indsl": 0.5, "water_main_flow": 0.3, "robot_ur3e_rad": 0.5}
"""Relative shares of sets that are short, or of which every machine is alike; the others have 1.5."""


@dataclass(frozen=True, slots=True)
class Family:
    """Machines that are alike.

    Attributes:
        name: as it is told of an episode.
        group: what kind of origin it has.
        share: of all machines drawn; those of a table need not sum to 1.
        draw: (chance) -> one machine.
    """

    name: str
    group: Group
    share: float
    draw: Callable[[np.random.Generator], MachineRows]


def families(*, data: Path | None, split: Split) -> tuple[Family, ...]:
    """All families of a split; those of recordings where these lie in `data`."""
    real = [] if data is None else _real(data, split)
    return tuple(real) if split == "foreign" else (*_simulated(), *real)


def _real(data: Path, split: Split) -> list[Family]:
    there = {name: _SINGLES.get(name, 1.5) for name in recordings.names(data, split)}
    total = sum(there.values())
    return [
        Family(
            name,
            "recording",
            _RECORDINGS * weight / total,
            partial(recordings.draw, name=name, data=data, split=split),
        )
        for name, weight in there.items()
    ]


def _simulated() -> tuple[Family, ...]:
    return (
        *(
            Family(kind, "plant", _PLANTS / len(plants.KINDS), partial(plants.draw, kind=kind))
            for kind in plants.KINDS
        ),
        Family("ordinary", "ordinary", 0.09, ordinary.draw),
        Family("mixture", "signal", 0.06, signals.draw_mixture),
        Family("cycles", "signal", 0.05, signals.draw_cycles),
        Family("heavy_tailed", "signal", 0.06, signals.draw_heavy_tailed),
        Family("bursts", "signal", 0.05, bursts.draw),
        Family("switches", "signal", 0.03, signals.draw_switches),
        Family("slow", "slow", 0.06, slow.draw),
    )


def draw_family(rng: np.random.Generator, there: Sequence[Family]) -> Family:
    """One of them, by their shares."""
    shares = np.array([family.share for family in there])
    return there[int(rng.choice(len(there), p=shares / shares.sum()))]
