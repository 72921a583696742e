"""The metrics of how far each machine is from what was learnt, and the form of a row in the table of metrics.

Names and figures only; `telemetry` makes a page of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edge_agent.metrics.snapshot import MachineSeries

Kind = Literal["counter", "gauge", "info", "histogram"]


@dataclass(frozen=True, slots=True)
class Series:
    """One row of the table of metrics."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


_FIGURES = {
    "edge_agent_input_drift": (
        "input_drift",
        "How far calm rows are from those of commissioning, beyond the usual: PSI of the channel that moved most.",
    ),
    "edge_agent_score_drift": (
        "score_drift",
        "How far calm scores are from those of commissioning, beyond the usual: PSI.",
    ),
    "edge_agent_scored_share": (
        "scored_share",
        "Share of the last day's time, by the data's clock, that ended in a scored window.",
    ),
    "edge_agent_learnt_timestamp_seconds": (
        "learnt_s",
        "When the machine was learnt, by the data's clock; the age of its calibration.",
    ),
}
DRIFT_TABLE = tuple(Series(name, "gauge", told, ("machine",)) for name, (_, told) in _FIGURES.items())


def drift_samples(machines: Mapping[str, MachineSeries]) -> dict[str, list[tuple[tuple[str, ...], float]]]:
    """The series of each machine, absent where nothing can be said yet."""
    return {
        name: [
            ((machine,), getattr(seen, field))
            for machine, seen in machines.items()
            if getattr(seen, field) is not None
        ]
        for name, (field, _) in _FIGURES.items()
    }
