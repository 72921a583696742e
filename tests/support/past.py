"""Incidents as they are kept, for tests of the past."""

from dataclasses import replace

from edge_agent.records import ChannelEvidence
from edge_agent.store.history.incident import Incident, IncidentAction, IncidentWindow
from tests.support.hall import ALARM, NOW_NS, SECOND

AT_NS = NOW_NS - 86_400 * SECOND


def channels(**told: tuple[str, float]) -> tuple[ChannelEvidence, ...]:
    """Evidence by name: the symptom and its share."""
    return tuple(
        ChannelEvidence(name, share, 9.0, 1.0, 2.0, 7.0, symptom) for name, (symptom, share) in told.items()
    )


def incident(
    name: str,
    *,
    machine: str = "pump-1",
    family: str = "pumps",
    at_ns: int = AT_NS,
    peak: float = 1.5,
    fault: str = "",
    actions: tuple[IncidentAction, ...] = (),
    channels: tuple[ChannelEvidence, ...] = (),
    window: bytes = b"",
    lasted_s: int = 600,
) -> Incident:
    """One that began at `at_ns`."""
    worst = replace(
        ALARM,
        id=name,
        machine=machine,
        onset_ns=at_ns,
        time_ns=at_ns + 60 * SECOND,
        score=peak,
        peak_score=peak,
        channels=channels,
    )
    ended_ns = at_ns + lasted_s * SECOND
    return Incident(
        alarm=replace(worst, state="closed", time_ns=ended_ns, closed_ns=ended_ns, score=0.3),
        worst=worst,
        summary=f"{machine} behaves unusually.",
        actions=actions,
        ended="closed",
        fault=fault,
        family=family,
        window=IncidentWindow(at_ns, peak, ("flow",), window) if window else None,
    )
