"""Errors on hidden cells as figures: by family, by sort of gap, what the network gains, a table. Hides nothing.

Axes: N episodes, each of which is one channel of a machine and one gap.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from edge_trainer.hidden_cells.examples import Examples
from edge_trainer.hidden_cells.gaps import GAPS

from edge_agent.signals.features import Float32

Method = Callable[[Examples], Float32]
"""What is expected of each hidden cell, as `Examples.truth` is."""
NETWORK, ENCODER = "masked autoencoder", "shipped encoder"
LINE, GAUSS, MOVED = "linear interpolation", "conditional Gaussian", "moved conditional Gaussian"
CHOSEN = "best on calm rows"
_SORTS = ("single cell", "stretch", "newest rows")
_FARTHEST = 8.0
_DRAWS = 2000
_FOOT = (
    "Root mean square error in normal scales (an error counts 8 at most) on hidden cells of one channel: a single "
    "one, a stretch of 8 to 32 rows, the newest 8 to 32 rows; all other cells are visible. Linear interpolation "
    "holds the last value where nothing is visible after the gap. The conditional Gaussian is of the machine's "
    "calm rows, rows x channels (the channel and the five most related), shrunk as the agent's own; the moved one "
    "is of rows relative to the level beside the gap. Best on calm rows: of the eight expectations that the "
    "network is told, the one that erred least on calm rows that it was not learnt from. Means over families; "
    "intervals hold 90 % of bootstrap samples of families and their episodes. Random weights: the network's, "
    "untrained."
)


def errors(seen: Examples, said: Method) -> Float32:
    """Root mean square error of each episode in normal scales."""
    off = np.clip((said(seen) - seen.truth) * seen.scale, -_FARTHEST, _FARTHEST)
    count = np.bincount(seen.episode, minlength=len(seen.family))
    total = np.bincount(seen.episode, weights=off.astype(np.float64) ** 2, minlength=len(seen.family))
    return np.sqrt(total / count).astype(np.float32)


def summarised(seen: Examples, found: Mapping[str, Float32]) -> dict[str, Any]:
    """Of each method: the mean over families, each family's, and by sort of gap; and what the network gains."""
    sorts = np.array([GAPS[number].sort for number in seen.gap])
    told: dict[str, Any] = {"episodes": len(seen.family), "methods": {}, "gains": {}}
    for method, error in found.items():
        own = {name: round(float(error[seen.family == name].mean()), 4) for name in np.unique(seen.family)}
        by_sort = {
            sort: round(mean_of_families(error[sorts == sort], seen.family[sorts == sort]), 4)
            for sort in np.unique(sorts)
        }
        told["methods"][method] = (
            {"mean": round(float(np.mean(list(own.values()))), 4)} | by_sort | {"families": own}
        )
    for method in (LINE, GAUSS, MOVED, CHOSEN):
        told["gains"][method] = gain(found[NETWORK], found[method], seen.family)
    return told


def mean_of_families(error: Float32, family: npt.NDArray[np.str_]) -> float:
    """Each family counts once."""
    return float(np.mean([error[family == name].mean() for name in np.unique(family)]))


def gain(network: Float32, other: Float32, family: npt.NDArray[np.str_]) -> dict[str, Any]:
    """By which share the network's error is smaller, with an interval of 90 % over families and their episodes."""
    rng, names = np.random.default_rng(0), np.unique(family)
    members = [np.flatnonzero(family == name) for name in names]
    drawn = []
    for _ in range(_DRAWS):
        means = np.zeros(2)
        for number in rng.integers(len(names), size=len(names)):
            again = rng.choice(members[number], len(members[number]))
            means += network[again].mean(), other[again].mean()
        drawn.append(1.0 - means[0] / means[1])
    whole = 1.0 - mean_of_families(network, family) / mean_of_families(other, family)
    better = sum(network[own].mean() < other[own].mean() for own in members)
    low, high = np.quantile(drawn, [0.05, 0.95])
    return {
        "share": round(whole, 4),
        "interval": [round(float(low), 4), round(float(high), 4)],
        "families better": f"{better} of {len(names)}",
    }


def table(report: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    told = (
        f"{report['date']}, commit {report['commit']}, {report['machine']}. Command: `{report['command']}`."
    )
    lines = ["# Hidden cells", "", told, "", _FOOT]
    for name, found in report["sets"].items():
        lines += ["", f"## {name} ({found['episodes']} channels and gaps)", ""]
        lines += [f"| method | mean of families | {' | '.join(_SORTS)} |", "|---" * (len(_SORTS) + 2) + "|"]
        for method, row in found["methods"].items():
            lines.append(
                f"| {method} | {row['mean']:.3f} | {' | '.join(_cell(row, sort) for sort in _SORTS)} |"
            )
        lines.append("")
        for method, row in found["gains"].items():
            low, high = row["interval"]
            lines.append(
                f"{NETWORK} below {method}: {row['share']:.1%} [{low:.1%}, {high:.1%}], {row['families better']}."
            )
        shown = (LINE, GAUSS, MOVED, CHOSEN, ENCODER, NETWORK)
        lines += ["", f"| family | {' | '.join(shown)} |", "|---" * (len(shown) + 1) + "|"]
        for family in found["methods"][NETWORK]["families"]:
            cells = [f"{found['methods'][method]['families'][family]:.3f}" for method in shown]
            lines.append(f"| {family} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(row: Mapping[str, float], sort: str) -> str:
    return f"{row[sort]:.3f}" if sort in row else "-"
