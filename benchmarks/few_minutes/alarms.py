"""What a method says of a plant, the product's trigger that makes alarms of it, and what these alarms were worth.

Axes: W judged windows, C channels, A alarms, L levels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from benchmarks.few_minutes.plants import AFTER_ROWS, HOP_ROWS, Plant
from edge_agent.detect.trigger import Trigger, on_delay_windows
from edge_agent.pipeline.settings import PipelineSettings

LEVELS = tuple(np.geomspace(0.5, 1000.0, 34).round(4).tolist())
"""Thresholds in units of a method's own, to tell a score that is poor from a threshold that is."""
UNSCORED: Mapping[str, Any] = MappingProxyType(
    {"average_precision": None, "swept": None, "windows_right": 0, "windows_named": 0}
)
"""What a method that tells alarms and no scores has of all that scores are needed for."""
_SETTINGS = PipelineSettings()
_TRIGGER = replace(
    _SETTINGS.trigger,
    on_delay_windows=on_delay_windows(_SETTINGS.on_delay, hop_ns=HOP_ROWS * 1_000_000_000),
)


@dataclass(frozen=True, slots=True)
class Scored:
    """What a method makes of the windows; above 1 it would alarm.

    Attributes:
        value: [W]. recent: of the newest rows only, [W].
        shares: of each channel in the value, [W, C]; None where the method names no channel.
    """

    value: NDArray[np.floating]
    recent: NDArray[np.floating]
    shares: NDArray[np.floating] | None


@dataclass(frozen=True, slots=True)
class Alarms:
    """When alarms were open.

    Attributes:
        active: after each window, [W].
        raised: windows at which one was, [A].
        guilty: the column that each named first, [A]; None where no channels are named.
    """

    active: NDArray[np.bool_]
    raised: NDArray[np.int64]
    guilty: NDArray[np.int64] | None


def triggered(said: Scored, *, window_rows: int, level: float = 1.0) -> Alarms:
    """What the product's trigger makes of scores, each divided by `level`."""
    trigger, span = Trigger(_TRIGGER), -(-window_rows // HOP_ROWS)
    active, raised = np.zeros(len(said.value), bool), []
    pairs = zip((said.value / level).tolist(), (said.recent / level).tolist(), strict=True)
    for at, (value, recent) in enumerate(pairs):
        if trigger.step(value, recent=recent, span_windows=span) == "raised":
            raised.append(at)
        active[at] = trigger.active
    places = np.array(raised, np.int64)
    guilty = None if said.shares is None else said.shares[places].argmax(axis=1)
    return Alarms(active, places, guilty)


def tally(plant: Plant, alarms: Alarms) -> dict[str, Any]:
    """What the alarms of one plant were worth, in counts that can be summed over plants.

    A fault is found by an alarm that is raised while it lasts; where one was open before, it is not.
    """
    ends = plant.ends
    found, delays, named, right = 0, [], 0, 0
    for fault, guilty in zip(plant.faults, plant.guilty, strict=True):
        first, last = _windows(ends, fault.start_row, fault.end_row)
        hits = np.flatnonzero((alarms.raised >= first) & (alarms.raised < last))
        if not len(hits) or (first > 0 and alarms.active[first - 1]):
            continue
        found += 1
        delays.append(float(ends[alarms.raised[hits[0]]] - fault.start_row))
        if alarms.guilty is not None:
            named += 1
            right += int(alarms.guilty[hits[0]] in guilty)
    calm = calm_windows(plant)
    return {
        "faults": len(plant.faults),
        "found": found,
        "false_alarms": int(calm[alarms.raised].sum()),
        "calm_windows": int(calm.sum()),
        "calm_in_alarm": int((alarms.active & calm).sum()),
        "delays_s": delays,
        "named": named,
        "right": right,
    }


def ranked(plant: Plant, value: NDArray[np.floating]) -> float:
    """Average precision of the faulty windows among these and the calm ones."""
    faulty, calm = _faulty_windows(plant), calm_windows(plant)
    judged = faulty | calm
    return float(average_precision_score(faulty[judged], value[judged]))


def pointed(plant: Plant, said: Scored) -> dict[str, int]:
    """In how many windows of faults the largest share is a guilty channel's, alarm or not; of how many."""
    right, asked = 0, 0
    for fault, guilty in zip(plant.faults, plant.guilty, strict=True):
        first, last = _windows(plant.ends, fault.start_row, fault.end_row)
        if said.shares is not None:
            shares = said.shares[first:last]
            right += int((np.isin(shares.argmax(axis=1), guilty) & (shares.max(axis=1) > 0.0)).sum())
            asked += last - first
    return {"windows_right": right, "windows_named": asked}


def swept(plant: Plant, said: Scored, *, window_rows: int) -> list[tuple[int, int, int]]:
    """(faults found, false alarms, calm windows in alarm) at each of `LEVELS`."""
    tallies = [tally(plant, triggered(said, window_rows=window_rows, level=level)) for level in LEVELS]
    return [(each["found"], each["false_alarms"], each["calm_in_alarm"]) for each in tallies]


def calm_windows(plant: Plant) -> NDArray[np.bool_]:
    """Windows that end in calm rows [W]: neither in a fault nor shortly after one."""
    return ~_within(plant, AFTER_ROWS)


def _faulty_windows(plant: Plant) -> NDArray[np.bool_]:
    return _within(plant, 0)


def _within(plant: Plant, after_rows: int) -> NDArray[np.bool_]:
    """Windows that end in a fault or in so many rows after it."""
    ends = plant.ends
    within = np.zeros(len(ends), bool)
    for fault in plant.faults:
        first, last = _windows(ends, fault.start_row, (fault.end_row or len(plant.rows)) + after_rows)
        within[first:last] = True
    return within


def _windows(ends: NDArray[np.int64], start_row: int, end_row: int | None) -> tuple[int, int]:
    """Half-open interval of the windows whose newest row lies in the rows."""
    first = int(np.searchsorted(ends, start_row, side="right"))
    last = len(ends) if end_row is None else int(np.searchsorted(ends, end_row, side="right"))
    return first, last
