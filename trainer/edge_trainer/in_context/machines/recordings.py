"""Normal parts of real machines, from public recordings whose licence lets a model that learnt from them be shipped.

Each set's own README states its licence and the attribution that goes with the model: `ATTRIBUTION` holds it. Nobody
vouches that these rows are free of faults: what is injected is labelled, what was there before is not. Sets that are
scored by any benchmark of this project are not here.
"""

import csv
import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from edge_agent.errors import RecordingError
from edge_agent.recordings import tables
from edge_agent.records import Float32
from edge_trainer.in_context.machines.machine import (
    LEAST_ROWS,
    MachineRows,
    Split,
    drawn_lengths,
    some_channels,
    troubled,
)

ATTRIBUTION: Mapping[str, str] = MappingProxyType(
    {
        "wind_turbine_lhb": "ENGIE, wind farm La Haute Borne, Open Licence 2.0",
        "met_mast": "brightwind demonstration data, MIT",
        "solar_inverters": "Sandia pecos (BSD-3), solar-data-tools (BSD-2), pvanalytics (MIT)",
        "process_plant_bibmon": "BibMon, Petrobras, Apache-2.0",
        "batch_dryer": "process-improve, K. Dunn, MIT",
        "batch_nylon": "process-improve, K. Dunn, MIT",
        "home_energy": "CityLearn, MIT",
        "gas_compressor_indsl": "Cognite indsl, Apache-2.0",
        "water_main_flow": "river, BSD-3-Clause",
        "robot_ur3e_rad": "Robotic Arm Dataset (RAD), University of British Columbia, MIT",
        "boat_nmea": "Signal K server, Apache-2.0",
        "car_can_comma": "comma2k19, comma.ai, MIT",
        "grid_waveform": "MHKiT-Python, BSD-3-Clause",
        "current_profiler": "MHKiT-Python, BSD-3-Clause",
        "cnc_tool_wear": "University of Michigan SMART lab, CC0",
        "ur3_cobotops": "UR3 CobotOps, CC BY 4.0",
    }
)
"""Sets to learn from, and whom to name."""
FOREIGN = (
    "gas_turbine_uci",
    "hydraulic_uci",
    "ims_bearing_trend",
    "mobile_robot_sonar",
    "ocean_buoy",
    "steel_plant_energy",
    "tep_braatz",
)
"""Sets to measure with alone: their licence does not allow more, or was not read at its source."""
_HELD_OUT_SHARE = 0.25
"""The last part of a long recording is for held-out machines."""
_LEAST_OBSERVED = 0.8
_MOSTLY = 0.5
"""Recordings of which more is faulty are no normal machines."""
_CONDITIONS = frozenset({"hydraulic_uci"})
"""Their labels are what the rig was set to, from stable to nearly broken, and stays for long."""
_DEFAULT_PERIOD_S = 1.0


def names(data: Path, split: Split) -> tuple[str, ...]:
    """The sets that are there and have rows enough for a split."""
    wanted = FOREIGN if split == "foreign" else tuple(ATTRIBUTION)
    least = LEAST_ROWS / _HELD_OUT_SHARE if split == "held out" else LEAST_ROWS
    return tuple(name for name in wanted if max(_lengths(data / name), default=0.0) >= least)


def draw(rng: np.random.Generator, name: str, *, data: Path, split: Split) -> MachineRows:
    """A part of one of the set's recordings by some of its channels, troubled.

    Raises:
        RecordingError: the set holds no recording that is long enough.
    """
    recordings = _calm(data / name, split)
    if not recordings:
        raise RecordingError(data / name, "no recording is long enough")
    values, period_s = recordings[int(rng.integers(len(recordings)))]
    return part_of(rng, values, period_s=period_s)


def part_of(rng: np.random.Generator, values: Float32, *, period_s: float) -> MachineRows:
    """A part of a calm recording [R, C] by some of its channels, troubled; the recording stays what it is."""
    context_rows, rows = drawn_lengths(rng, longest=len(values))
    start = int(rng.integers(0, len(values) - rows + 1))
    part = values[start : start + rows]
    chosen = some_channels(rng, part.shape[1])
    taken = np.ascontiguousarray(part[:, chosen]).copy()
    return troubled(rng, taken, context_rows=context_rows, period_s=period_s)


@functools.lru_cache(maxsize=64)
def _calm(folder: Path, split: Split) -> tuple[tuple[Float32, float], ...]:
    """(rows [R, C] of channels that are mostly observed, period in s) of each recording of a set."""
    found = []
    for entry in _listed(folder):
        recording = tables.read(folder / entry["file"])
        label = None if folder.name in _CONDITIONS else recording.label
        wrong = label is not None and bool(np.mean(label > 0) > _MOSTLY)
        rate = float(entry.get("rate_hz") or 0.0)
        if wrong:
            continue
        values = mostly_observed(recording.values)
        part = _part(values, split)
        if len(part) >= LEAST_ROWS and part.shape[1] > 0:
            found.append((part, 1.0 / rate if rate > 0 else _DEFAULT_PERIOD_S))
    return tuple(found)


def mostly_observed(values: Float32) -> Float32:
    """The channels of a recording [R, C] that say something in most of its rows."""
    return values[:, np.isfinite(values).mean(axis=0) > _LEAST_OBSERVED]


def _listed(folder: Path) -> list[dict[str, str]]:
    """The recordings that a set's index names."""
    index = folder / "index.csv"
    if not index.exists():
        return []
    with index.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _lengths(folder: Path) -> list[float]:
    return [float(entry.get("length") or 0.0) for entry in _listed(folder)]


def _part(values: Float32, split: Split) -> Float32:
    """Rows of one split; recordings too short to be parted are for training alone."""
    if split == "foreign":
        return values
    held_out = int(_HELD_OUT_SHARE * len(values))
    if held_out < LEAST_ROWS:
        return values if split == "training" else values[:0]
    return values[:-held_out] if split == "training" else values[-held_out:]
