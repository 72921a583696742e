"""One machine's cycles as rows, and what outlives a restart."""

import numpy as np
import pytest

from edge_agent.cycles.maker import RECIPES_LIMIT, CycleMaker
from edge_agent.cycles.rules import CycleRule, CycleStart
from tests.support.robot import CHANNELS, USUAL, Doing, run

RULE = CycleRule(
    start=CycleStart("step", "becomes", 1.0),
    step="step",
    recipe="program",
    given=("payload",),
    longest_s=60.0,
)


def maker(*, channels_limit: int = 256, machine: str = "robot-1") -> CycleMaker:
    return CycleMaker(machine, RULE, lambda _: True, channels_limit)


def told(counts: CycleMaker, doings: list[Doing], *, seed: int = 0) -> list[dict[str, float]]:
    times, rows = run(doings, seed=seed)
    frames = counts.take(CHANNELS, np.array(times), rows)
    return [dict(zip(frame.channels, frame.rows[0], strict=True)) for frame in frames]


def test_the_course_is_compared_once_twenty_cycles_of_the_recipe_are_known() -> None:
    rows = told(maker(), [USUAL] * 30)
    assert all(np.isnan(row["current.shape"]) for row in rows[:20])
    assert all(row["current.shape"] < 3 for row in rows[20:])
    counts = maker()
    told(counts, [USUAL] * 30)
    (dragging,) = told(counts, [USUAL, Doing(drag=1.5)], seed=1)[-1:]
    assert dragging["current.shape"] > 5
    assert counts.last is not None
    assert counts.last.low is not None


def test_a_step_that_takes_longer_is_no_other_course() -> None:
    counts = maker()
    told(counts, [USUAL] * 40)
    (slow,) = told(counts, [USUAL, Doing(steps_s=(1.5, 4.4, 1.0, 2.0))], seed=1)[-1:]
    assert slow["step_2.duration_s"] == pytest.approx(4.4, abs=0.4)
    assert slow["current.shape"] < 3


def test_a_wide_machine_has_fewer_phases_and_no_more_channels_than_are_allowed() -> None:
    (row,) = told(maker(channels_limit=60), [USUAL, USUAL, USUAL])[-1:]
    assert len(row) <= 60
    assert "current.phase_1" in row
    assert "current.phase_10" not in row
    (row,) = told(maker(channels_limit=10), [USUAL, USUAL, USUAL])[-1:]
    assert "current.phase_1" not in row


def test_a_sixty_fifth_recipe_has_no_band_of_its_own() -> None:
    counts = maker()
    rows = told(
        counts, [Doing(recipe=float(number)) for number in range(RECIPES_LIMIT + 6) for _ in (0, 1, 2)]
    )
    assert len(rows) > 3 * RECIPES_LIMIT
    assert len(counts.save()) < RECIPES_LIMIT * 2000


def test_what_is_known_of_recipes_outlives_a_restart() -> None:
    before = maker()
    told(before, [USUAL] * 30)
    after = maker()
    after.restore(before.save())
    rows = told(after, [USUAL] * 5, seed=2)
    assert all(np.isfinite(row["current.shape"]) for row in rows)


@pytest.mark.parametrize(
    "raw", [b"", b"\x93\x02\x01\x90", b"\x93\x01\x05\x91\x96\xa0\x91\xa1a\x20\x05\xc4\x00\xc4\x00"]
)
def test_damaged_state_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - msgpack's own errors are of this kind, too
        maker().restore(raw)


def test_values_that_are_missing_or_not_finite_leave_the_others_alone() -> None:
    counts = maker()
    times, rows = run([USUAL] * 4)
    rows[:, CHANNELS.index("position")] = np.nan
    rows[5::7, CHANNELS.index("current")] = np.nan
    frames = counts.take(CHANNELS, np.array(times), rows)
    found = dict(zip(frames[-1].channels, frames[-1].rows[0], strict=True))
    assert np.isnan(found["position.mean"])
    assert np.isfinite(found["current.mean"])
