"""The metrics of a group of agents that share machines. Names and figures only; `telemetry` makes a page of them."""

from edge_agent.metrics.drift_series import Series
from edge_agent.metrics.snapshot import ShareSeries

_FIGURES = {
    "edge_agent_foreign_messages_total": (
        "foreign",
        "counter",
        "Messages of machines that another agent of the group has, or nobody yet; not among those received.",
    ),
    "edge_agent_share_active": ("active", "gauge", "1 while this agent may own machines of its group."),
    "edge_agent_share_members": (
        "members",
        "gauge",
        "Members of the group that count, as this agent sees it.",
    ),
    "edge_agent_profiles_handed_total": (
        "handed",
        "counter",
        "Profiles of machines that were taken over from the broker.",
    ),
    "edge_agent_profiles_refused_total": (
        "refused",
        "counter",
        "Profiles at the broker that were not used: damaged, too long, or of another model.",
    ),
}
SHARE_TABLE = tuple(
    Series(name, "counter" if kind == "counter" else "gauge", told)
    for name, (_, kind, told) in _FIGURES.items()
)


def share_samples(share: ShareSeries | None) -> dict[str, list[tuple[tuple[str, ...], float]]]:
    """The series, absent where nothing is shared."""
    if share is None:
        return {}
    return {name: [((), float(getattr(share, field)))] for name, (field, _, _) in _FIGURES.items()}
