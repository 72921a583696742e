"""A finding about a sensor or a source as an alarm of kind `sensor`: how it opens and how it closes. Pure."""

from dataclasses import replace
from datetime import UTC, datetime

from edge_agent.records import THRESHOLD, Alarm, ChannelEvidence


def opened(
    machine: str,
    finding: str,
    *,
    number: str,
    onset_ns: int,
    time_ns: int,
    model: str,
    channels: tuple[ChannelEvidence, ...] = (),
) -> Alarm:
    """The first revision. `number` tells it from other findings of the machine that began in the same second."""
    onset = datetime.fromtimestamp(onset_ns // 1_000_000_000, UTC)
    return Alarm(
        id=f"{machine}-{onset:%Y%m%dT%H%M%S}Z-{number}",
        revision=1,
        machine=machine,
        state="open",
        severity="warning",
        onset_ns=onset_ns,
        time_ns=time_ns,
        score=THRESHOLD,
        peak_score=THRESHOLD,
        threshold=THRESHOLD,
        fault=finding,
        fault_probability=1.0,
        channels=channels,
        model=model,
        kind="sensor",
    )


def closed(alarm: Alarm, *, time_ns: int) -> Alarm:
    """The revision that ends it."""
    return replace(alarm, revision=alarm.revision + 1, state="closed", time_ns=time_ns, closed_ns=time_ns)
