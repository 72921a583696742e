"""An alarm with a guessed fault and two channels, and its end."""

from dataclasses import replace

from edge_agent.records import Alarm, ChannelEvidence

CHANNEL = ChannelEvidence("flow", 0.75, 12.3456789, 16.0, 20.0, -7.5, "low")
OPENED = Alarm(
    id="pump-1-20231114T221320Z-1",
    revision=1,
    machine="pump-1",
    state="open",
    severity="major",
    onset_ns=1_700_000_000_123_000_000,
    time_ns=1_700_000_060_000_000_000,
    score=3.14159265,
    peak_score=4.0,
    threshold=1.5,
    fault="cavitation",
    fault_probability=0.87,
    channels=(CHANNEL, replace(CHANNEL, name="pressure", observed=None, symptom="missing")),
    model="ab" * 32,
)
CLOSED = replace(OPENED, revision=4, state="closed", closed_ns=1_700_000_600_000_000_000)
