"""A machine that runs a program: its cycles are rows of a machine of their own, and what is wrong with them is told."""

from dataclasses import replace

import numpy as np
import pytest

from edge_agent.detect.scorer import Scorer
from edge_agent.pipeline.learning import learn
from edge_agent.pipeline.programs.cycle_notices import NEW_POINT, NEW_RECIPE
from edge_agent.pipeline.settings import PipelineSettings
from edge_agent.records import Frame
from tests.support.robot import CHANNELS, DRAGGING, SLOW_STEP, STEPS_S, USUAL, Doing, run
from tests.support.robot_story import RULE, SETTINGS, Story


@pytest.fixture
def learnt(scorer: Scorer) -> Story:
    story = Story(scorer).go([USUAL] * 70)
    assert story.pipeline.machines["robot-1/cycle"].state == "ready"
    return story


def test_a_finished_cycle_is_a_row(scorer: Scorer) -> None:
    story = Story(scorer).go([USUAL] * 6)
    machine = story.pipeline.machines["robot-1/cycle"]
    assert story.cycles == 4, "the first start is waited for, and the last cycle has no end yet"
    names, row = machine.rows.store.channels, machine.rows.latest(1)[0]
    told = dict(zip(names, row.tolist(), strict=True))
    assert told["duration_s"] == pytest.approx(sum(STEPS_S), abs=0.5)
    assert told["step_2.duration_s"] == pytest.approx(2.2, abs=0.3)
    assert told["current.peak"] == pytest.approx(9.0, abs=0.3)
    assert told["payload.mean"] == 1.0
    assert told["recipe"] == 7.0
    assert np.isnan(told["current.shape"]), "only once twenty cycles are known"
    assert "step.mean" not in told


def test_a_longer_step_is_told_in_seconds(learnt: Story) -> None:
    learnt.go([USUAL] * 20)
    assert not learnt.alarms
    learnt.go([SLOW_STEP] * 6)
    (first, *_) = learnt.alarms
    guilty = next(one for one in first.channels if one.name == "step_2.duration_s")
    assert first.machine == "robot-1/cycle"
    assert first.mode == "recipe 7"
    assert guilty.observed == pytest.approx(4.1, abs=0.4)
    assert 2.0 < guilty.normal_low < guilty.normal_high < 2.6
    assert not learnt.failures


def test_a_fault_in_a_phase_is_found_where_durations_are_usual(learnt: Story) -> None:
    learnt.go([DRAGGING] * 6)
    assert learnt.alarms
    assert any(one.name.startswith("current.") for one in learnt.alarms[0].channels)


def test_one_strange_cycle_is_no_alarm(learnt: Story) -> None:
    learnt.go([USUAL] * 5 + [SLOW_STEP] + [USUAL] * 10)
    assert max(learnt.scores) > 1
    assert not learnt.alarms


def test_a_new_recipe_costs_one_notice_and_is_learnt(learnt: Story) -> None:
    other = Doing(recipe=9.0, steps_s=(0.8, 3.0, 1.0, 2.5))
    learnt.go([other] * 30)
    assert not learnt.alarms
    (begun, over) = learnt.findings
    assert (begun.fault, begun.kind, begun.severity, begun.state) == (NEW_RECIPE, "state", "notice", "open")
    assert begun.channels[0].observed == 9.0
    assert (over.id, over.state) == (begun.id, "closed")
    assert not learnt.failures
    learnt.go([Doing(recipe=9.0, steps_s=(0.8, 3.0, 1.0, 5.0))] * 6)
    assert learnt.alarms, "what was learnt of it is watched"
    assert learnt.alarms[0].mode == "recipe 9"
    assert len(learnt.findings) == 2


def test_a_new_operating_point_costs_one_notice_and_is_learnt(learnt: Story) -> None:
    learnt.go([Doing(payload=3.0)] * 40)
    assert not learnt.alarms
    assert [(one.fault, one.state) for one in learnt.findings] == [(NEW_POINT, "open"), (NEW_POINT, "closed")]
    assert not learnt.failures


def test_a_machine_without_a_rule_is_the_same_bit_for_bit(scorer: Scorer) -> None:
    both = [
        Story(scorer, PipelineSettings(commission_rows=600, cycle_rules=rules), machine="pump-1")
        for rules in ((RULE,), ())
    ]
    for story in both:
        story.go([USUAL] * 40)
        assert [*story.pipeline.machines] == ["pump-1"]
    assert both[0].scores
    assert both[0].scores == both[1].scores


def test_the_machine_itself_scores_the_same_with_its_cycles_counted(scorer: Scorer) -> None:
    found = []
    for rules in ((RULE,), ()):
        story = Story(scorer, PipelineSettings(commission_rows=600, cycle_rules=rules))
        scores = []
        times, rows = run([USUAL] * 30)
        for at in range(0, len(times), 50):
            step = story.pipeline.feed([Frame("robot-1", CHANNELS, times[at : at + 50], rows[at : at + 50])])
            for request in step.commissions:
                story.pipeline.install(learn(request, scorer=scorer, settings=story.settings))
            scores += [block.value.tolist() for block in step.scores if block.windows.machine == "robot-1"]
        found.append(scores)
    assert found[0]
    assert found[0] == found[1]


def test_after_a_restart_no_cycle_is_told_twice_and_none_is_lost(scorer: Scorer) -> None:
    story = Story(scorer)
    times, rows = run([USUAL] * 12)
    half = 400
    story.feed(times[:half], rows[:half])
    again = Story(scorer)
    for name in ("robot-1", "robot-1/cycle"):
        assert again.pipeline.restore(story.pipeline.memento(name), story.pipeline.buffer_state(name))
    again.pipeline.recall([])
    again.feed(times[half:], rows[half:])
    whole = Story(scorer)
    whole.feed(times, rows)
    assert again.cycles == whole.cycles


def test_a_set_point_that_moves_within_a_cycle_is_no_notice(learnt: Story) -> None:
    learnt.go([USUAL] * 3 + [replace(USUAL, payload=1.5)] + [USUAL] * 5)
    assert not learnt.findings
    learnt.go([replace(USUAL, payload=1.5)] * 3)
    assert [one.fault for one in learnt.findings] == [NEW_POINT]


@pytest.mark.parametrize("knows", [True, False])
def test_rows_of_a_program_that_was_never_learnt_raise_no_alarm_of_the_machine(
    scorer: Scorer, *, knows: bool
) -> None:
    """Its rows are judged in the programs that they were learnt in; profiles of older agents know of no such thing."""
    story = Story(scorer, replace(SETTINGS, commission_rows=2000)).go([USUAL] * 35)
    profile = story.pipeline.machines["robot-1"].profile
    assert profile is not None
    if not knows:
        older = {name: one for name, one in profile.memory.items() if not name.startswith("told_")}
        story.pipeline.install(replace(profile, memory=older))
    story.go_shifted([Doing(recipe=9.0, payload=8.0)] * 30)
    assert not story.failures
    assert ("robot-1" in {one.machine for one in story.alarms}) is not knows
    assert "robot-1" not in {one.machine for one in story.findings if knows}


def test_a_recipe_that_is_not_told_is_a_new_one_and_never_an_alarm(learnt: Story) -> None:
    learnt.go([replace(USUAL, recipe=float("nan"))] * 6)
    assert not learnt.failures
    assert not learnt.alarms


def test_the_cycles_of_a_machine_are_learnt_afresh_when_they_are_forgotten(learnt: Story) -> None:
    """As `machines forget` does it: the machine goes on, and its cycles are gathered and learnt again."""
    learnt.pipeline.forget("robot-1/cycle")
    learnt.go([USUAL] * 30)
    assert learnt.pipeline.machines["robot-1/cycle"].state == "commissioning"
    learnt.go([USUAL] * 40)
    assert learnt.pipeline.machines["robot-1/cycle"].state == "ready"
    learnt.go([SLOW_STEP] * 6)
    assert learnt.alarms
    assert not learnt.failures
