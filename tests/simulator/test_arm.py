"""The arm runs programs: its steps follow one another, its torque obeys physics, its six faults show where they say."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from simulator import EVERY_KIND, Injection, Run, main, simulate
from simulator.habits import EVERY_DAY, Habits, Hours

ARM = EVERY_KIND["arm"]
ROWS, START = 4000, 1000
TIMED = {"collision": 7, "motor_3_weak": 1}
"""Faults that make a step longer, and which."""


@cache
def arm(fault: str = "", severity: float = 1.0) -> Run:
    injections = [Injection(fault, START, 100, severity)] if fault else []
    return simulate("arm", rows=ROWS, seed=3, injections=injections)


def column(run: Run, name: str) -> npt.NDArray[np.float64]:
    return run.values[:, run.channels.index(name)].astype(np.float64)


def step_rows(run: Run, step: int) -> float:
    """How many rows a step lasts on average, after the fault has grown."""
    at = column(run, "step")[START + 200 :] == step
    return float(at.sum() / max((np.diff(at.astype(int)) == 1).sum(), 1))


def test_steps_follow_one_another_and_begin_again_with_one() -> None:
    step = column(arm(), "step")
    changes = step[np.flatnonzero(np.diff(step) != 0) + 1]
    assert set(step) == set(range(1, 9))
    np.testing.assert_array_equal(np.diff(changes) % 8, 1)


def test_a_program_is_kept_for_a_while_and_has_its_weight_and_its_beat() -> None:
    run = simulate("arm", rows=20_000, seed=5)
    program, payload, step = (column(run, name) for name in ("program", "payload", "step"))
    begins = np.flatnonzero((step[1:] == 1) & (step[:-1] != 1)) + 1
    beats = {one: np.median(np.diff(begins)[program[begins[:-1]] == one]) for one in set(program)}
    weights = {one: set(payload[program == one]) for one in set(program)}
    assert len(beats) >= 3
    assert all(len(weight) == 1 for weight in weights.values())
    assert beats[1.0] < beats[2.0], "the heavy part is carried slowly"


def test_a_slower_override_makes_moves_longer_and_following_errors_smaller() -> None:
    run = simulate("arm", rows=40_000, seed=1)
    slow = column(run, "speed_override") == 90
    program = column(run, "program")
    (one, *_) = [p for p in set(program) if slow[program == p].any() and not slow[program == p].all()]
    moving = [float(np.mean(column(run, "step")[(program == one) & rows] != 8)) for rows in (slow, ~slow)]
    error = [
        float(np.sqrt(np.square(column(run, "following_error_1")[(program == one) & rows]).mean()))
        for rows in (slow, ~slow)
    ]
    assert moving[0] > moving[1]
    assert error[0] < error[1]


def test_a_held_part_weighs_on_the_shoulder() -> None:
    run = arm()
    held = (column(run, "step") == 3)[1:] & (column(run, "step") == 3)[:-1]
    lighter = simulate("arm", rows=ROWS, seed=3, injections=[Injection("payload_wrong", 0, 0, 1.0)])
    assert (column(lighter, "current_2")[1:][held] > column(run, "current_2")[1:][held]).all()


def test_a_cold_gear_rubs_more() -> None:
    morning = simulate(
        "arm", rows=12 * 3600, seed=2, habits=Habits(hours=Hours(days=EVERY_DAY, jitter_h=0.0))
    )
    speed, current, warm = (
        column(morning, name) for name in ("following_error_1", "current_1", "gear_temperature_2")
    )
    (first, *_) = np.flatnonzero(np.abs(speed) > 8.0)
    hours = [slice(first, first + 1200), slice(-1200, None)]
    # Acceleration cancels out over a move, so what is left of current by speed is friction.
    rubs = [(current[hour] * np.sign(speed[hour])).sum() / np.abs(speed[hour]).sum() for hour in hours]
    assert warm[hours[1]].mean() > warm[hours[0]].mean() + 2.0
    assert rubs[0] > 1.05 * rubs[1]


@pytest.mark.parametrize("fault", [fault.name for fault in ARM.faults])
def test_a_fault_shows_in_its_channels_and_nothing_changes_before(fault: str) -> None:
    usual, faulty = arm(), arm(fault)
    np.testing.assert_array_equal(usual.values[:START], faulty.values[:START])
    np.testing.assert_array_equal(usual.mode, faulty.mode)
    moved = np.sqrt(np.square((faulty.values - usual.values)[START + 200 :].astype(np.float64)).mean(axis=0))
    moved /= np.maximum(usual.values.std(axis=0), 0.01)
    guilty = next(each.channels for each in ARM.faults if each.name == fault)
    others = [value for name, value in zip(usual.channels, moved, strict=True) if name not in guilty]
    if fault in TIMED:
        assert step_rows(faulty, TIMED[fault]) > step_rows(usual, TIMED[fault]) + 0.5
        assert max(moved) in moved[[usual.channels.index(name) for name in guilty]], moved
    else:
        assert min(moved[usual.channels.index(name)] for name in guilty) > max(others)
    light = np.abs(arm(fault, 0.2).values - usual.values)[START + 200 :].mean()
    assert 0.0 < light < np.abs(faulty.values - usual.values)[START + 200 :].mean()


def test_the_seed_decides_everything() -> None:
    first, again, other = (simulate("arm", rows=300, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.values, again.values)
    assert (first.values != other.values).any()


@pytest.mark.parametrize("rate_hz", [10.0, 1 / 300])
def test_it_runs_at_every_rate(rate_hz: float) -> None:
    run = simulate(
        "arm", rows=200, seed=1, rate_hz=rate_hz, injections=[Injection("collision", 20, 5, 1.0, 100)]
    )
    assert np.isfinite(run.values).all()
    assert run.label[20:100].all()


def test_an_arm_that_is_not_wanted_stands_at_home() -> None:
    run = simulate(
        "arm",
        rows=8640,
        seed=2,
        rate_hz=0.1,
        habits=Habits(hours=Hours(days=EVERY_DAY, jitter_h=0.0)),
    )
    night = column(run, "step")[360:1440]
    assert set(night) == {8.0}
    assert np.abs(column(run, "current_2")[360:1440]).max() < 0.5


def test_it_streams_beside_other_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--machine", "arm-1=arm", "--rows", "3", "--fault", "arm-1:collision:1:1"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"step", "program", "current_1"} <= lines[0]["payload"]["values"].keys()


def test_the_page_names_it_with_its_faults() -> None:
    page = (Path(__file__).parents[2] / "docs/simulator.md").read_text()
    line = next(line for line in page.splitlines() if line.startswith(f"| `arm` | {len(ARM.channels)} |"))
    assert [fault.name for fault in ARM.faults if f"`{fault.name}`" not in line] == []
    assert all(mode.replace("_", " ") in line for mode in ARM.modes)
