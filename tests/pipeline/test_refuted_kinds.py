"""A counter that falls as none does is told for as long as the score leaves it out, each time, until accepted."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from edge_agent.alarms import payload as alert
from edge_agent.pipeline.notices import CalmSettings, MachineNotices
from edge_agent.records import Alarm, Profile
from edge_agent.sensors.standstill import StateSettings
from edge_agent.signals.channel_kinds import ANALOG, COUNTER, HIDDEN_ROWS, ChannelKinds, transform
from tests.support.profiles import small_profile

CHANNELS = ("level", "energy")
SECOND = 10**9
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/alert.schema.json").read_text())


@pytest.fixture
def profile() -> Profile:
    n = len(CHANNELS)
    kinds = ChannelKinds(
        code=np.array([ANALOG, COUNTER], np.uint8),
        low=np.full(n, -1e9, np.float32),
        high=np.full(n, 1e9, np.float32),
        least_step=np.zeros(n, np.float32),
        most_rise=np.array([0, 64], np.float32),
        values=np.zeros((n, 16), np.float32),
        value_count=np.zeros(n, np.int64),
        most_changes=np.zeros(n, np.int64),
        rows_per_hour=np.array(3600.0, np.float32),
    )
    return small_profile("press-4", memory=kinds.arrays(), channels=CHANNELS)


def looking(profile: Profile) -> MachineNotices:
    return MachineNotices(profile, StateSettings(), calm=CalmSettings(release=0.9, windows=15), model="m")


def counted(count: int, *, falls: dict[int, float]) -> np.ndarray:
    """Rows of a counter that rises by 1 a row and is set to a value at some."""
    energy = 1000.0 + np.arange(count)
    for at, value in falls.items():
        energy[at:] = value + np.arange(count - at)
    return np.column_stack([np.zeros(count), energy]).astype(np.float32)


def told(notices: MachineNotices, rows: np.ndarray, *, block: int, start: int = 0) -> list[Alarm]:
    found: list[Alarm] = []
    for at in range(0, len(rows), block):
        part = rows[at : at + block]
        row = start + at + len(part)
        times = np.arange(row - len(part), row) * SECOND
        found += notices.check(part, times, row_count=row).findings
    return found


@pytest.mark.parametrize("block", [1, 25])
def test_it_is_told_while_the_score_leaves_it_out(profile: Profile, block: int) -> None:
    rows = counted(600, falls={100: 700.0, 150: 500.0, 400: 600.0})
    found = told(looking(profile), rows, block=block)
    assert [one.state for one in found] == ["open", "closed", "open", "closed"]
    assert {(one.fault, one.channels[0].name) for one in found} == {("falls never learnt", "energy")}
    assert found[0].onset_ns == 100 * SECOND
    assert 0 <= found[1].time_ns // SECOND - (150 + HIDDEN_ROWS) <= 2 * block
    said = alert.to_payload(found[0], agent="a")["summary"]
    assert "energy was learnt as a counter and fell from 1099 to 700 on Thu 00:01 UTC" in said
    for notice in found:
        jsonschema.validate(alert.to_payload(notice, agent="a"), SCHEMA)


@pytest.mark.parametrize(("value", "falls"), [(700.0, True), (5.0, False)])
def test_it_is_told_where_the_score_hides_it_and_nowhere_else(
    profile: Profile, value: float, *, falls: bool
) -> None:
    rows = counted(128, falls={100: value})
    hidden = np.isnan(transform(rows.T[np.newaxis], profile.memory)[0, 1, 100:])
    assert hidden.all() == falls
    assert bool(told(looking(profile), rows, block=16)) == falls


def test_what_was_not_heard_is_no_fall(profile: Profile) -> None:
    rows = counted(100, falls={})
    rows[10:50, 1] = np.nan
    rows[50:, 1] -= 200.0
    (found,) = told(looking(profile), rows, block=10)
    assert found.onset_ns == 50 * SECOND


def test_accepted_it_is_told_no_more_until_that_is_undone(profile: Profile) -> None:
    notices = looking(profile)
    (notice,) = told(notices, counted(110, falls={100: 700.0}), block=10)
    entry = notices.acceptance(notice.id, by="Anna", time_ns=7)
    assert entry is not None
    notices.know([entry])
    assert notices.open_notices == ()
    assert told(notices, counted(300, falls={0: 500.0, 200: 400.0}), block=10, start=110) == []
    notices.know([])
    assert len(told(notices, counted(20, falls={0: 300.0}), block=10, start=410)) == 1


def test_kept_rows_are_not_told_again(profile: Profile) -> None:
    notices = looking(profile)
    notices.reread(counted(110, falls={100: 700.0}))
    assert told(notices, counted(10, falls={0: 710.0}), block=10, start=110) == []
    assert len(told(notices, counted(10, falls={0: 600.0}), block=10, start=120)) == 1
