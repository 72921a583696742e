"""What metrics say of a machine's alarm is read from how it stands, whoever keeps people from being called."""

from dataclasses import replace

import pytest
from msgspec import structs

from edge_agent.alarms.state import Acknowledgement, AlarmState, Shelving, Suppression
from edge_agent.metrics.snapshot import AlarmSeries
from edge_agent.records import ChannelEvidence
from edge_agent.service.health import machine_series
from tests.support.hall import ALARM
from tests.support.ramp_machine import ramp_pipeline, ramp_profile

CHANNELS = tuple(
    ChannelEvidence(name, share, 1.0, 0.0, 1.0, 3.0, "high") for name, share in (("a", 0.2), ("b", 0.8))
)
RECORD = AlarmState(replace(ALARM, machine="press", fault="worn", severity="major", channels=CHANNELS))


def told(record: AlarmState, *, subject: str = "press") -> AlarmSeries | None:
    statuses = ramp_pipeline(ramp_profile()).statuses()
    return machine_series(statuses, (), alarms={subject: record})["press"].alarm


def test_an_alarm_is_told_with_what_carries_it_most_first() -> None:
    assert told(RECORD) == AlarmSeries(
        "worn", "major", acknowledged=False, shelved=False, channels=(("b", 0.8), ("a", 0.2))
    )


def test_an_alarm_of_another_subject_is_not_the_machines() -> None:
    assert told(RECORD, subject="press-sensor-1") is None


def test_who_has_seen_it_is_told() -> None:
    seen = told(structs.replace(RECORD, acknowledgement=Acknowledgement("anna", 1)))
    assert seen is not None
    assert (seen.acknowledged, seen.shelved) == (True, False)


@pytest.mark.parametrize(
    "masked",
    [
        structs.replace(RECORD, shelving=Shelving("anna", 1, None)),
        structs.replace(RECORD, suppression=Suppression("anna", 1, None)),
    ],
    ids=["shelved", "suppressed"],
)
def test_that_nobody_is_called_is_told(masked: AlarmState) -> None:
    quiet = told(masked)
    assert quiet is not None
    assert (quiet.acknowledged, quiet.shelved) == (False, True)
