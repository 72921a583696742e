"""Whose cells are hidden: machines to learn from, and those that nothing is learnt from. Measures nothing."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
from edge_trainer.in_context.machines.families import Family, draw_family, families
from edge_trainer.in_context.machines.machine import MOST_CHANNELS, MachineRows, Split, drawn_lengths

from edge_agent.recordings import tables

Draw = Callable[[np.random.Generator], tuple[str, MachineRows]]
"""(chance) -> (name of the family, a machine)."""
REAL = (
    *("gas_turbine_uci", "hydraulic_uci", "ims_bearing_trend", "mobile_robot_sonar", "ocean_buoy"),
    *("steel_plant_energy", "tep_braatz", "asd", "car_obd", "gearbox_vibration", "datacentre_clusters"),
    *("gecco2018_water", "skab"),
)
"""Sets that nothing is learnt from: their rows are measured on alone."""
LEFT_OUT = ("pump", "furnace", "press", "chiller", "robot")
"""Kinds of simulated plants that nothing is learnt from."""
_CONDITIONS = ("hydraulic_uci",)
"""Their labels are what the rig was set to."""
_FEWEST_ROWS, _LONGEST_ROWS = 480, 8000
_TRIES = 20
"""Files of a set that are looked at for one with calm rows."""


def others(data: Path, split: Split) -> Draw:
    """Machines of all families but the kinds that are left out."""
    return drawn_of([each for each in families(data=data, split=split) if each.name not in LEFT_OUT])


def left_out() -> Draw:
    """Machines of the kinds that are left out."""
    return drawn_of([each for each in families(data=None, split="training") if each.name in LEFT_OUT])


def drawn_of(there: list[Family]) -> Draw:
    """Machines of these families, by their shares."""

    def draw(rng: np.random.Generator) -> tuple[str, MachineRows]:
        family = draw_family(rng, there)
        return family.name, family.draw(rng)

    return draw


def real(data: Path, rng: np.random.Generator) -> tuple[str, MachineRows]:
    """A part of a recording whose first rows nobody labelled as faulty, by all or some of its channels."""
    there = [name for name in REAL if (data / name / "index.csv").exists()]
    if not there:
        raise SystemExit(f"{data} holds none of {', '.join(REAL)}")
    while True:
        name = there[int(rng.integers(len(there)))]
        files = _listed(data / name)
        for _ in range(_TRIES):
            found = tables.read(data / name / files[int(rng.integers(len(files)))])
            machine = _part(rng, found, labelled=name not in _CONDITIONS)
            if machine is not None:
                return name, machine


def _listed(folder: Path) -> list[str]:
    with (folder / "index.csv").open(encoding="utf-8") as file:
        return [row["file"] for row in csv.DictReader(file) if float(row["length"]) >= _FEWEST_ROWS]


def _part(rng: np.random.Generator, found: tables.Recording, *, labelled: bool) -> MachineRows | None:
    """Some rows by at most `MOST_CHANNELS` channels; None where rows to be learnt from are labelled as faulty."""
    wrong = np.zeros(len(found.values), np.bool_)
    if labelled and found.label is not None:
        wrong = found.label > 0
    context_rows, rows = drawn_lengths(rng, longest=min(len(found.values), _LONGEST_ROWS))
    start = int(rng.integers(0, len(found.values) - rows + 1))
    part = slice(start, start + rows)
    if wrong[part][:context_rows].any():
        return None
    n_channels = found.values.shape[1]
    channels = np.sort(rng.choice(n_channels, min(n_channels, MOST_CHANNELS), replace=False))
    return MachineRows(found.values[part][:, channels], context_rows, 1.0, (), ~wrong[part])
