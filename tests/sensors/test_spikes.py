"""Single broken readings are counted: far more in a day than were learnt are a finding about the sensor."""

import numpy as np
import pytest

from edge_agent.sensors.spikes import SpikeMonitor, reference
from edge_agent.signals.channel_kinds import ChannelKinds

PERIOD_NS = 10 * 10**9
DAY_ROWS = 8640


def memory(learnt: np.ndarray) -> dict[str, np.ndarray]:
    n = learnt.shape[1]
    kinds = ChannelKinds(
        code=np.zeros(n, np.uint8),
        low=np.full(n, -10, np.float32),
        high=np.full(n, 10, np.float32),
        least_step=np.zeros(n, np.float32),
        most_rise=np.zeros(n, np.float32),
        values=np.zeros((n, 1), np.float32),
        value_count=np.zeros(n, np.int64),
        most_changes=np.zeros(n, np.int64),
        rows_per_hour=np.array(360.0, np.float32),
    ).arrays()
    usual = {"evidence/low": np.full(n, -1, np.float32), "evidence/high": np.full(n, 1, np.float32)}
    return {**kinds, **usual, **reference(learnt, kinds)}


def monitor(spikes: int) -> SpikeMonitor:
    """Learnt from a day with so many spikes of the second channel."""
    learnt = np.zeros((DAY_ROWS, 2), np.float32)
    learnt[100 : 100 + 20 * spikes : 20, 1] = -127
    found = SpikeMonitor.read(memory(learnt), learnt_ns=DAY_ROWS * PERIOD_NS)
    assert found is not None
    return found


def said(
    watching: SpikeMonitor, rows: np.ndarray, *, block: int, start: int = 0
) -> list[tuple[int, int, bool]]:
    found = []
    for at in range(0, len(rows), block):
        times = (start + at + np.arange(len(rows[at : at + block]))) * PERIOD_NS
        changes = watching.check(rows[at : at + block], times)
        found += [(start + at + one.row, one.channel, one.failing) for one in changes]
    return found


@pytest.mark.parametrize("block", [1, 64])
@pytest.mark.parametrize(("learnt", "most"), [(0, 3), (2, 9)])
def test_more_in_a_day_than_three_times_the_learnt_and_three_are_a_finding(
    learnt: int, most: int, block: int
) -> None:
    rows = np.zeros((1000, 2), np.float32)
    rows[10 : 10 + 50 * (most + 1) : 50, 1] = 85
    assert said(monitor(learnt), rows, block=block) == [(11 + 50 * most, 1, True)]
    rows[10 + 50 * most, 1] = 0
    assert said(monitor(learnt), rows, block=block) == []


def test_it_ends_when_a_day_has_passed() -> None:
    watching, rows = monitor(0), np.zeros((DAY_ROWS + 100, 2), np.float32)
    rows[10:50:10, 0] = -50
    assert said(watching, rows, block=1) == [(41, 0, True), (DAY_ROWS + 11, 0, False)]


def test_what_stays_far_out_is_no_row_of_spikes() -> None:
    rows = np.zeros((1000, 2), np.float32)
    rows[10:900, 0] = 60
    rows[20:900:7, 0] = np.nan  # nor where some of it is lost
    assert said(monitor(0), rows, block=8) == []


def test_a_machine_whose_values_are_unusual_in_between_has_no_broken_sensor() -> None:
    rows = np.full((1000, 2), 5, np.float32)
    rows[10:900:20, 0] = 12
    assert said(monitor(0), rows, block=8) == []


def test_it_goes_on_over_a_restart() -> None:
    rows = np.zeros((100, 2), np.float32)
    rows[10:50:10, 0] = -50
    first, second = monitor(0), monitor(0)
    assert said(first, rows[:35], block=5) == []
    second.restore(first.save())
    assert said(second, rows[35:], block=5, start=35) == [(41, 0, True)]


def test_a_machine_that_an_older_agent_learnt_is_not_counted() -> None:
    assert SpikeMonitor.read({}, learnt_ns=1) is None
    assert reference(np.zeros((10, 1), np.float32), {}) == {}
