"""What an alert says of a cycle: in seconds and steps, as somebody at the machine would."""

from datetime import UTC

import pytest

from edge_agent.alarms.sentences import summary
from edge_agent.pipeline.programs.cycle_notices import NEW_POINT, NEW_RECIPE
from edge_agent.records import Alarm, ChannelEvidence


def alarm(channel: str, *, machine: str = "robot-1/cycle", **more: str) -> Alarm:
    seen = ChannelEvidence(channel, 1.0, 4.1, 2.0, 2.4, 9.0, "high")
    fields = {"kind": "machine", "fault": "unknown", "state": "open"} | more
    return Alarm(
        id="a",
        revision=1,
        machine=machine,
        severity="warning",
        onset_ns=0,
        time_ns=10**9,
        score=2.0,
        peak_score=2.0,
        threshold=1.0,
        fault_probability=0.0,
        channels=(seen,),
        model="",
        **fields,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("channel", "told"),
    [
        ("step_3.duration_s", "step 3 takes 4.1 s, usually 2 to 2.4"),
        ("duration_s", "a cycle takes 4.1 s, usually 2 to 2.4"),
        ("current.phase_4", "current in phase 4 of the cycle is 4.1, usually 2 to 2.4"),
        ("current.phase_4_spread", "current in phase 4 of the cycle swings by 4.1, usually 2 to 2.4"),
        ("current.peak", "the peak of current over the cycle is 4.1, usually 2 to 2.4"),
        ("current.shape", "the course of current is 4.1 spreads from its recipe's, usually 2 to 2.4"),
    ],
)
def test_channels_of_a_cycle_have_words(channel: str, told: str) -> None:
    assert f": {told}." in summary(alarm(channel), zone=UTC)


def test_channels_of_other_machines_are_called_by_their_names() -> None:
    said = summary(alarm("duration_s", machine="pump-1"), zone=UTC)
    assert "duration_s is high, now 4.1 (usually 2 to 2.4)" in said


def test_a_new_recipe_and_a_new_point_are_notices() -> None:
    new = alarm("recipe", kind="state", fault=NEW_RECIPE)
    assert summary(new, zone=UTC).startswith("robot-1 has run recipe 4.1 since Thu 00:00 UTC: never run")
    point = alarm("payload.mean", kind="state", fault=NEW_POINT)
    assert "robot-1 has had payload at 4.1 since" in summary(point, zone=UTC)
    assert "never there while it was learnt (2 to 2.4)" in summary(point, zone=UTC)
