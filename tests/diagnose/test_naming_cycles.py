"""Faults of cycles are named as those of machines are: from one named alarm on, whichever recipe they are met in."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from edge_agent.detect.scorer import Scorer
from edge_agent.diagnose.fault_library import FaultLibrary
from edge_agent.pipeline.results import Labelled
from tests.support.robot import DRAGGING, SLOW_STEP, USUAL, Doing
from tests.support.robot_story import Story

OTHER = Doing(recipe=9.0, steps_s=(1.2, 2.8, 1.0, 2.5))
CYCLES = "robot-1/cycle"


def met(
    scorer: Scorer, doing: Doing, *, library: FaultLibrary | None = None, before: Sequence[Doing] = ()
) -> Story:
    """A robot that was learnt with two recipes, and now has an alarm of that fault."""
    story = Story(scorer).go([*[USUAL, OTHER] * 35, *before])
    if library is not None:
        story.pipeline.machines[CYCLES].naming.install(library)
    story.go([doing] * 8)
    assert story.alarms
    assert not story.failures
    return story


def called(story: Story) -> str:
    return story.alarms[-1].fault


@pytest.fixture(scope="module")
def library(scorer: Scorer) -> FaultLibrary:
    """Each of two faults named once."""
    cases = []
    for name, doing in (("stiff valve", SLOW_STEP), ("dry bearing", DRAGGING)):
        story = met(scorer, doing)
        assert called(story) == "unknown"
        label = story.pipeline.machines.label(CYCLES, alarm=story.alarms[-1].id, fault=name)
        assert isinstance(label, Labelled), label
        assert label.alarm is not None
        assert label.alarm.fault == name
        cases += [replace(case, alarm=name) for case in label.library.cases]
    return FaultLibrary(CYCLES, tuple(cases))


@pytest.mark.parametrize(("doing", "name"), [(SLOW_STEP, "stiff valve"), (DRAGGING, "dry bearing")])
def test_a_fault_that_comes_back_is_called_by_its_name(
    scorer: Scorer, library: FaultLibrary, doing: Doing, name: str
) -> None:
    assert called(met(scorer, doing, library=library)) == name


def test_it_is_called_so_in_another_recipe_too(scorer: Scorer, library: FaultLibrary) -> None:
    assert called(met(scorer, replace(OTHER, drag=DRAGGING.drag), library=library)) == "dry bearing"


def test_what_was_named_outlives_learning_more_cycles(scorer: Scorer, library: FaultLibrary) -> None:
    new = [Doing(recipe=11.0, steps_s=(0.9, 2.0, 1.6, 2.2))] * 24
    assert called(met(scorer, DRAGGING, library=library, before=new)) == "dry bearing"


def test_what_looks_like_neither_keeps_no_name(scorer: Scorer, library: FaultLibrary) -> None:
    hasty = replace(USUAL, steps_s=(1.5, 2.2, 0.4, 2.0))
    assert called(met(scorer, hasty, library=library)) == "unknown"
