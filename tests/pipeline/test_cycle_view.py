"""What people see of a machine's latest cycle."""

import pytest

from edge_agent.detect.scorer import Scorer
from edge_agent.pipeline.programs.cycle_view import CycleView, latest
from tests.support.robot import DRAGGING, SLOW_STEP, USUAL, Doing
from tests.support.robot_story import Story


def seen(story: Story, name: str = "robot-1") -> CycleView | None:
    pipeline = story.pipeline
    return latest(
        name, cycles=pipeline.cycles, profiles=pipeline.machines.profile_of, statuses=pipeline.statuses()
    )


def test_while_it_is_learnt_it_says_how_far_and_shows_the_course_without_a_band(scorer: Scorer) -> None:
    view = seen(Story(scorer).go([USUAL] * 17))
    assert view is not None
    assert view.learning == (15, 60)
    assert (view.recipe, [one.step for one in view.steps]) == ("7", ["1", "2", "3", "4"])
    assert {one.channel for one in view.courses} == {"current", "position"}
    assert all(one.low is None for one in view.courses)
    assert all(one.low is None for one in view.steps)


@pytest.fixture(scope="module")
def learnt(scorer: Scorer) -> Story:
    return Story(scorer).go([USUAL] * 70)


def test_a_longer_step_stands_out_of_what_is_usual_and_the_others_do_not(learnt: Story) -> None:
    view = seen(learnt.go([SLOW_STEP] * 2))
    assert view is not None
    assert view.learning is None
    out = [one.step for one in view.steps if one.low is None or not one.low <= one.seconds <= (one.high or 0)]
    assert out == ["2"]
    assert view.duration is not None
    assert view.duration.high is not None
    assert view.duration.seconds > view.duration.high


def test_the_channel_furthest_from_its_band_comes_first_on_both_pages(learnt: Story) -> None:
    view = seen(learnt.go([DRAGGING] * 2), "robot-1/cycle")
    assert view is not None
    assert view.courses[0].channel == "current"
    assert view.courses[0].low is not None
    assert view.courses[0].high is not None
    assert (view.courses[0].values > view.courses[0].high).any()


def test_of_a_recipe_that_nobody_knows_nothing_is_usual(learnt: Story) -> None:
    view = seen(learnt.go([Doing(recipe=9.0)] * 3))
    assert view is not None
    assert view.recipe == "9"
    assert all(one.low is None for one in view.steps)
    assert all(one.low is None for one in view.courses)


def test_of_a_machine_without_cycles_there_is_none(scorer: Scorer) -> None:
    story = Story(scorer, machine="pump-1").go([USUAL] * 3)
    assert seen(story, "pump-1") is None
