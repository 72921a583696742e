"""Machines at random: the seed decides everything on any machine, labels and events agree, faults are seen."""

import hashlib
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import simulator
from simulator import KINDS, Habits, Injection, Run, UsageError, machine, some_faults

MONDAY_TS = simulator.START_TS + 4 * 86_400

# Of readings rounded to what any processor agrees on; a change here is a change of what models are trained on.
DIGESTS = {
    "pump": "2f5b481838c4",
    "motor": "2c4083880d28",
    "furnace": "3326b5645032",
    "compressor": "ba0be45ca30b",
    "conveyor": "68281f3d019b",
    "exchanger": "e3b7e6436359",
    "press": "ab1157ec803c",
    "mixer": "b6aa6c7d1c60",
    "cnc": "cd20394c7ada",
    "fan": "8b5060c508f4",
    "chiller": "51a4678604d3",
    "cascade": "6710194a5725",
    "robot": "c7e112877432",
    "coldroom": "14ff82503775",
    "boiler": "e5c6417184cd",
    "extruder": "3db63a561664",
}


def day(kind: str, seed: int, **more: object) -> Run:
    """Some hours of a drawn machine around the beginning of a shift."""
    drawn = machine(kind, seed=seed)
    return drawn.run(rows=1500, seed=seed, rate_hz=0.1, start_ts=MONDAY_TS + 5 * 3600, **more)  # type: ignore[arg-type]


def digest(run: Run) -> str:
    rounded = np.round(np.nan_to_num(run.values.astype(np.float64), nan=-1e6), 1) + 0.0
    return hashlib.sha256(np.ascontiguousarray(rounded).tobytes()).hexdigest()[:12]


@pytest.mark.parametrize("kind", KINDS)
def test_the_seeds_decide_every_row_on_any_computer(kind: str) -> None:
    first, again, other = day(kind, 7), day(kind, 7), day(kind, 8)
    np.testing.assert_array_equal(first.values, again.values)
    assert first.events == again.events
    assert first.values.shape != other.values.shape or (first.held() != other.held()).any()
    assert digest(first) == DIGESTS[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_drawn_machines_are_sound(kind: str, seed: int) -> None:
    run = day(kind, seed)
    assert run.values.dtype == np.float32
    assert run.values.shape == (1500, len(run.channels))
    assert len(run.channels) == len(set(run.channels)) == len(run.units) == len(run.sorts)
    assert run.channels == tuple(channel.name for channel in machine(kind, seed=seed).channels)
    assert np.isfinite(run.values[~np.isnan(run.values)]).all()
    assert not run.label.any()
    assert not run.guilty().any()
    for event in run.events:
        assert 0 <= event.start_row < event.end_row <= 1500
        assert set(event.channels) <= set(run.channels)
        assert event.cause != "fault"
    assert [event.start_row for event in run.events] == sorted(event.start_row for event in run.events)


def test_machines_of_a_kind_differ_in_habits_and_constants() -> None:
    habits = [machine("compressor", seed=seed).habits for seed in range(60)]
    assert len(set(map(repr, habits))) == 60
    for part in ("hours", "stops", "upkeep", "troubles", "reporting", "stay_s"):
        having = sum(getattr(each, part) is not None for each in habits)
        assert 8 < having < 55, part
    kinds_of_channels = {each.channel.name for habit in habits for each in habit.appliances}
    assert len(kinds_of_channels) >= 14


def test_labels_events_and_guilty_channels_agree() -> None:
    injections = some_faults("fan", seed=3, first_row=300, rows=3000, count=4, length_rows=(60, 300))
    run = machine("fan", seed=2, habits="steady").run(rows=3000, seed=4, rate_hz=0.1, injections=injections)
    faults = [event for event in run.events if event.cause == "fault"]
    assert len(faults) == len(injections) == 4
    guilty, names = run.guilty(), [fault.name for fault in KINDS["fan"].faults]
    expected = np.zeros(3000, dtype=int)
    for injection, event in zip(injections, faults, strict=True):
        assert (event.name, event.start_row, event.end_row) == (
            injection.fault,
            injection.start_row,
            injection.end_row,
        )
        expected[event.start_row : event.end_row] = names.index(event.name) + 1
        shown = {run.channels[at] for at in np.flatnonzero(guilty[event.start_row])}
        assert shown == set(KINDS["fan"].faults[names.index(event.name)].channels)
    np.testing.assert_array_equal(run.label, expected)
    np.testing.assert_array_equal(guilty.any(axis=1), run.label > 0)
    assert (run.severity[run.label > 0] > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_seen_in_a_factory_with_habits(kind: str) -> None:
    """Beside the same days without it, its guilty channels leave what they usually do; nothing else is told."""
    drawn = machine(kind, seed=21)
    drawn = replace(drawn, habits=replace(drawn.habits, troubles=None, reporting=None))
    rows, start = 8640, 4000
    fault = KINDS[kind].faults[0]
    normal = drawn.run(rows=rows, seed=1, rate_hz=0.1, start_ts=MONDAY_TS)
    faulty = drawn.run(
        rows=rows, seed=1, rate_hz=0.1, start_ts=MONDAY_TS, injections=[Injection(fault.name, start, 360)]
    )
    np.testing.assert_array_equal(normal.values[:start], faulty.values[:start])
    np.testing.assert_array_equal(normal.running, faulty.running)
    seen = np.flatnonzero(faulty.running & (np.arange(rows) > start + 720))
    moved = np.abs(faulty.values[seen] - normal.values[seen]).mean(axis=0)
    usual = np.maximum(normal.values[normal.running].std(axis=0), 1e-3)
    guilty = faulty.guilty()[start]
    ours = len(KINDS[kind].channels)
    assert (moved / usual)[guilty].max() > 0.15
    assert (moved / usual)[:ours][guilty[:ours]].max() > np.median((moved / usual)[:ours][~guilty[:ours]])


def test_growth_is_even_late_or_now_and_then() -> None:
    def severity(growth: str) -> np.ndarray:
        injection = Injection("cavitation", 100, 200, 0.8, 500, growth)  # type: ignore[arg-type]
        return simulator.simulate("pump", rows=600, seed=1, injections=[injection]).severity

    linear, late = severity("linear"), severity("exponential")
    assert linear[199] == pytest.approx(0.4, abs=0.01)
    assert late[199] < 0.12
    assert late[299] == linear[299] == linear[499] == pytest.approx(0.8)
    assert linear[500] == late[500] == 0.0
    blinking = simulator.simulate(
        "pump", rows=600, seed=1, injections=[Injection("cavitation", 100, 10, 0.8, 500, "intermittent")]
    )
    assert {round(float(level), 3) for level in blinking.severity[100:500]} == {0.08, 0.8}
    assert 0.5 < (blinking.severity[100:500] > 0.5).mean() < 0.7
    assert (blinking.label[100:500] > 0).all()


def test_faults_at_random_are_apart_and_within_their_bounds() -> None:
    for seed in range(30):
        drawn = some_faults("press", seed=seed, first_row=500, rows=20_000, count=6, length_rows=(30, 2000))
        assert len(drawn) == 6
        for before, after in pairwise(drawn):
            assert before.end_row is not None
            assert before.end_row <= after.start_row
        assert all(each.start_row >= 500 and (each.end_row or 0) <= 20_000 for each in drawn)
        assert all(0.3 <= each.severity <= 1.0 for each in drawn)
    assert drawn == some_faults("press", seed=29, first_row=500, rows=20_000, count=6, length_rows=(30, 2000))
    with pytest.raises(UsageError, match="no room"):
        some_faults("press", seed=0, first_row=500, rows=520, count=1, length_rows=(30, 60))
    with pytest.raises(UsageError, match="turbine"):
        some_faults("turbine", seed=0, first_row=0, rows=500, count=1, length_rows=(30, 60))


def test_the_machine_is_the_same_on_another_day() -> None:
    pump = machine("pump", seed=4, habits=Habits(modes=(1,)))
    days = [pump.run(rows=3000, seed=seed) for seed in (1, 2)]
    stranger = machine("pump", seed=5, habits=Habits(modes=(1,))).run(rows=3000, seed=1)
    level = [run.values.mean(axis=0) for run in (*days, stranger)]
    apart = np.abs([level[0] - level[1], level[0] - level[2]]) / np.maximum(level[0], 0.1)
    assert np.median(apart[0]) < 0.3 * np.median(apart[1])
