"""Which findings there are about sensors and sources, and one as an alarm with a life of its own. Pure."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal, get_args

from edge_agent.records import THRESHOLD, Alarm, ChannelEvidence, Kind, Severity

Finding = Literal[
    "missing",
    "out of range",
    "stuck at limit",
    "unit changed",
    "frozen",
    "noise gone",
    "stale",
    "rate changed",
    "spikes",
]
"""What `monitor` can say of a sensor; `stale` and `rate changed` are said of a machine's source, not of one channel."""
CHANNEL_FINDINGS: tuple[Finding, ...] = get_args(Finding)[:6]
"""The gravest first: a channel has one finding at a time."""
SourceFinding = Literal["silent", "clock skew"]
"""What `source_monitor` can say of a source."""
NOT_WATCHED = "not watched"
"""What `watch_monitor` can say of a machine."""


def opened(  # noqa: PLR0913 - what an alarm says
    machine: str,
    finding: str,
    *,
    number: str,
    onset_ns: int,
    time_ns: int,
    model: str,
    channels: tuple[ChannelEvidence, ...] = (),
    kind: Kind = "sensor",
    severity: Severity = "warning",
) -> Alarm:
    """The first revision. `number` tells it from other findings of the machine that began in the same second."""
    onset = datetime.fromtimestamp(onset_ns // 1_000_000_000, UTC)
    return Alarm(
        id=f"{machine.replace('/', '-')}-{onset:%Y%m%dT%H%M%S}Z-{number}",
        revision=1,
        machine=machine,
        state="open",
        severity=severity,
        onset_ns=onset_ns,
        time_ns=time_ns,
        score=THRESHOLD,
        peak_score=THRESHOLD,
        threshold=THRESHOLD,
        fault=finding,
        fault_probability=1.0,
        channels=channels,
        model=model,
        kind=kind,
    )


def closed(alarm: Alarm, *, time_ns: int) -> Alarm:
    """The revision that ends it."""
    return replace(alarm, revision=alarm.revision + 1, state="closed", time_ns=time_ns, closed_ns=time_ns)
