"""A state that says what it never said while it was learnt is told once, and is known from then on."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import msgspec
import numpy as np
import pytest

from edge_agent.alarms import payload as alert
from edge_agent.pipeline import acceptance
from edge_agent.pipeline.notices import CalmSettings, MachineNotices, NoticeState
from edge_agent.records import Alarm, Profile
from edge_agent.sensors.standstill import StateSettings
from edge_agent.signals.channel_kinds import ANALOG, CONSTANT, STATE, ChannelKinds
from tests.support.profiles import small_profile

CHANNELS = ("level", "state", "set")
SECOND = 10**9
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/alert.schema.json").read_text())


def profile(**memory: np.ndarray) -> Profile:
    """Of an analog channel, a state of 2, 3 or 5 that changed twice in 128 rows, and a set-point of 40."""
    n = len(CHANNELS)
    kinds = ChannelKinds(
        code=np.array([ANALOG, STATE, CONSTANT], np.uint8),
        low=np.full(n, -1e9, np.float32),
        high=np.full(n, 1e9, np.float32),
        least_step=np.zeros(n, np.float32),
        most_rise=np.zeros(n, np.float32),
        values=np.array([[0, 0, 0], [2, 3, 5], [40, 0, 0]], np.float32),
        value_count=np.array([0, 3, 1]),
        most_changes=np.array([0, 2, 0]),
        rows_per_hour=np.array(3600.0, np.float32),
    )
    return small_profile("press-4", memory={**kinds.arrays(), **memory}, channels=CHANNELS)


def looking(known: Profile) -> MachineNotices:
    return MachineNotices(known, StateSettings(), calm=CalmSettings(release=0.9, windows=15), model="m")


class Line:
    """Feeds rows, a portion at a time."""

    def __init__(self, notices: MachineNotices, *, block: int) -> None:
        self.notices, self.block, self.row = notices, block, 0

    def feed(self, rows: np.ndarray) -> list[Alarm]:
        told: list[Alarm] = []
        for at in range(0, len(rows), self.block):
            part = rows[at : at + self.block]
            times = (self.row + np.arange(len(part))) * SECOND
            self.row += len(part)
            told += self.notices.check(part, times, row_count=self.row).findings
        return told


def rows(count: int, *, state: float = 3.0, setting: float = 40.0) -> np.ndarray:
    level = np.random.default_rng(0).normal(size=count)
    return np.column_stack([level, np.full(count, state), np.full(count, setting)]).astype(np.float32)


def said(told: list[Alarm]) -> list[tuple[str, str, str]]:
    return [(one.fault, one.channels[0].name, one.state) for one in told]


@pytest.mark.parametrize("block", [1, 50])
def test_a_value_never_learnt_is_told_once_and_over_after_a_window(block: int) -> None:
    line = Line(looking(profile()), block=block)
    assert line.feed(rows(100)) == []
    values = rows(300)
    values[10:12, 1] = 7.0  # in passing
    values[50:60, 1] = 7.0
    values[80:90, 1] = 7.0
    told = line.feed(values)
    assert said(told) == [("value never learnt", "state", "open"), ("value never learnt", "state", "closed")]
    assert told[0].onset_ns == 152 * SECOND
    assert (told[0].severity, told[0].kind, told[0].channels[0].observed) == ("notice", "state", 7.0)
    assert line.feed(rows(50, state=7.0)) == []
    assert (
        "state was 7 on Thu 00:02 UTC: never seen while it was learnt (2 to 5)"
        in alert.to_payload(told[0], agent="a")["summary"]
    )
    for notice in told:
        jsonschema.validate(alert.to_payload(notice, agent="a"), SCHEMA)


def test_a_set_point_that_moves_is_told_and_known_values_are_not() -> None:
    line = Line(looking(profile()), block=8)
    values = rows(64)
    values[::16, 1] = 5.0
    values[40:, 2] = 45.0
    assert said(line.feed(values)) == [("value never learnt", "set", "open")]


@pytest.mark.parametrize(("changes", "told"), [(8, []), (9, [("changes never learnt", "state", "open")])])
def test_a_state_that_changes_far_more_often_is_told(changes: int, told: list[tuple[str, str, str]]) -> None:
    line = Line(looking(profile()), block=8)
    values = rows(128)
    for at in range(changes):
        values[20 + 10 * at :, 1] = (2.0, 3.0)[at % 2]
    assert said(line.feed(values)) == told


def test_a_state_that_is_reported_only_when_it_changes_has_not_changed_in_between() -> None:
    line = Line(looking(profile()), block=1)
    values = rows(40)
    values[1:, 1] = np.nan
    values[20, 1] = 9.0
    told = line.feed(values)
    assert [one.onset_ns // SECOND for one in told] == [22]


def test_what_was_told_is_known_after_a_restart_and_what_was_accepted_with_the_profile() -> None:
    first = Line(looking(profile()), block=8)
    (notice,) = first.feed(rows(16, state=7.0))
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(first.notices.save()), type=NoticeState)
    second = looking(profile())
    second.restore(kept)
    second.reread(rows(16, state=7.0))
    again = Line(second, block=8)
    again.row = 16
    assert again.feed(rows(16, state=7.0)) == []
    assert second.open_notices == (notice,)
    entry = second.acceptance(notice.id, by="Anna", time_ns=1)
    assert entry is not None
    assert (entry.channel, entry.value, entry.by) == ("state", 7.0, "Anna")
    second.know([entry])
    assert second.open_notices == ()
    known = replace(profile(), memory={**profile().memory, **acceptance.arrays([entry])})
    third = Line(looking(known), block=8)
    assert third.feed(rows(16, state=7.0)) == []
    third.notices.know([])
    assert third.feed(rows(8)) == []
    assert said(third.feed(rows(8, state=7.0))) == [("value never learnt", "state", "open")]


def test_a_profile_without_kinds_says_nothing() -> None:
    line = Line(looking(small_profile("press-4", memory={}, channels=CHANNELS)), block=8)
    assert line.feed(rows(64, state=7.0)) == []
