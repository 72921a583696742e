"""Tallies of many plants to figures with intervals: the bootstrap draws whole plants, for their alarms go together.

Source: Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 7, 1979; percentile intervals.

Axes: M plants, D draws of a method, N resamples, L levels.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.few_minutes.alarms import LEVELS
from benchmarks.few_minutes.plants import HOP_ROWS

Tally = Mapping[str, Any]
Drawn = Sequence[Sequence[Tally]]
"""[M][D]: of each plant, what each draw of a method came to there."""
Counts = Mapping[str, NDArray[np.float64]]
"""Name -> [M], summed over a plant's draws."""

BOUNDS = (1.0, 0.5)
"""False alarms in twelve calm hours up to which a threshold may be moved, for the share that is found then."""
_SPAN_H = 12.0
_RESAMPLES = 1000
_INTERVAL = (0.05, 0.95)
_COUNTED = (
    "faults",
    "found",
    "false_alarms",
    "calm_windows",
    "calm_in_alarm",
    "named",
    "right",
    "windows_right",
    "windows_named",
)

_FIGURES: Mapping[str, Callable[[Counts], float]] = {
    "found": lambda of: _share(of["found"], of["faults"]),
    "false_alarms_12h": lambda of: _share(of["false_alarms"], of["calm_h"]) * _SPAN_H,
    "calm_in_alarm_percent": lambda of: 100.0 * _share(of["calm_in_alarm"], of["calm_windows"]),
    "without_false_alarm": lambda of: float(of["quiet"].mean()),
    "hit_rate_1": lambda of: _share(of["right"], of["named"]),
    "hit_rate_1_windows": lambda of: _share(of["windows_right"], of["windows_named"]),
    "average_precision": lambda of: float(of["average_precision"].mean()),
}


def summarised(drawn: Drawn) -> dict[str, Any]:
    """Each figure of a method as {"mean", "low", "high"} (90 %), None where there is none; faults, delay, sweep."""
    counts = _counts(drawn)
    chosen = _resamples(len(drawn))
    found: dict[str, Any] = {
        "plants": len(drawn),
        "draws": len(drawn[0]),
        "faults": int(counts["faults"].sum()),
    }
    for name, figure in _FIGURES.items():
        found[name] = _with_interval(figure(counts), [figure(_of(counts, rows)) for rows in chosen])
    delays = [delay for draws in drawn for each in draws for delay in each["delays_s"]]
    found["median_delay_s"] = float(np.median(delays)) if delays else None
    return found | {"found_at": best_found(drawn)}


def gained(ours: Drawn, theirs: Drawn) -> dict[str, Any]:
    """How far a method is above another on the same plants: found, and average precision."""
    pair, chosen = (_counts(ours), _counts(theirs)), _resamples(len(ours))
    found = {}
    for name in ("found", "average_precision"):
        figure = _FIGURES[name]

        def gain(rows: Sequence[int] | slice, figure: Callable[[Counts], float] = figure) -> float:
            return figure(_of(pair[0], rows)) - figure(_of(pair[1], rows))

        found[name] = _with_interval(gain(slice(None)), [gain(rows) for rows in chosen])
    return found


def best_found(drawn: Drawn) -> dict[str, Any]:
    """Most of the faults that any level finds within each of `BOUNDS`; None where the method gives no scores."""
    if any(each["swept"] is None for draws in drawn for each in draws):
        return {f"{bound:g}": None for bound in BOUNDS}
    swept = np.sum([each["swept"] for draws in drawn for each in draws], axis=0)  # L 3
    counts = _counts(drawn)
    faults, hours, windows = (float(counts[name].sum()) for name in ("faults", "calm_h", "calm_windows"))
    found = {}
    for bound in BOUNDS:
        kept = [at for at in range(len(LEVELS)) if swept[at, 1] / hours * _SPAN_H <= bound]
        at = max(kept, key=lambda at: (swept[at, 0], LEVELS[at]), default=None)
        found[f"{bound:g}"] = (
            None
            if at is None
            else {
                "found": round(float(swept[at, 0]) / faults, 4),
                "calm_in_alarm_percent": round(100.0 * float(swept[at, 2]) / windows, 3),
                "level": LEVELS[at],
            }
        )
    return found


def _counts(drawn: Drawn) -> dict[str, NDArray[np.float64]]:
    found = {
        name: np.array([sum(each[name] for each in draws) for draws in drawn], np.float64)
        for name in _COUNTED
    }
    found["calm_h"] = found["calm_windows"] * HOP_ROWS / 3600.0
    found["quiet"] = np.array([np.mean([each["false_alarms"] == 0 for each in draws]) for draws in drawn])
    precision = [[each["average_precision"] for each in draws] for draws in drawn]
    found["average_precision"] = np.array(
        [np.mean([np.nan if one is None else one for one in draws]) for draws in precision]
    )
    return found


def _of(counts: Counts, rows: Sequence[int] | slice) -> Counts:
    return {name: count[rows] for name, count in counts.items()}


def _resamples(n_plants: int) -> NDArray[np.int64]:
    """[N, M]: the same for each method, so that methods can be compared."""
    return np.random.default_rng(0).integers(n_plants, size=(_RESAMPLES, n_plants))


def _with_interval(mean: float, resampled: Sequence[float]) -> dict[str, float] | None:
    if np.isnan(mean):
        return None
    low, high = np.nanquantile(resampled, _INTERVAL)
    return {"mean": round(mean, 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> float:
    total = float(whole.sum())
    return float(part.sum()) / total if total else float("nan")
