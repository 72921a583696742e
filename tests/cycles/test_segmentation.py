"""Rows to cycles, and what is none: broken input ends in a counted outcome, and the next cycle is whole."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from edge_agent.cycles.rules import CycleRule, CycleStart, rule_of
from edge_agent.cycles.segmentation import Cycle, Segmenter

SECOND = 1_000_000_000
RULE = CycleRule(start=CycleStart("step", "becomes", 1.0), step="step", recipe="program", longest_s=60.0)
CHANNELS = ("step", "program", "value")


def cut(
    steps: Sequence[float],
    *,
    rule: CycleRule = RULE,
    recipe: Sequence[float] | None = None,
    times_s: Sequence[float] = (),
) -> tuple[Counter[str], list[Cycle]]:
    """(outcomes, cycles) of rows with these steps, one a second."""
    rows = np.column_stack([steps, recipe or [7.0] * len(steps), np.arange(len(steps))]).astype(np.float32)
    times = np.array([round(SECOND * at) for at in times_s or range(len(steps))], np.int64)
    segmenter = Segmenter(rule)
    segmenter.arrange(CHANNELS)
    told = [*segmenter.take(times, rows)]
    return Counter(outcome for outcome, _ in told), [cycle for _, cycle in told if cycle is not None]


WHOLE = [1, 1, 2, 2, 3]


def test_a_cycle_begins_where_the_channel_takes_the_value_and_ends_with_the_next() -> None:
    outcomes, cycles = cut([2, 3, *WHOLE, *WHOLE, 1])
    assert outcomes == {"finished": 2}
    assert [cycle.duration_s for cycle in cycles] == [5.0, 5.0]
    assert cycles[0].values[:, 2].tolist() == [2, 3, 4, 5, 6]
    assert cycles[0].recipe == 7.0


@pytest.mark.parametrize(
    ("start", "signal"),
    [
        (CycleStart("step", "crosses", 0.5), [0, 1, 1, 0, 1, 1, 0, 1]),
        (CycleStart("step", "changes"), [4, 5, 5, 5, 6, 6, 6, 7]),
    ],
)
def test_other_ways_to_begin(start: CycleStart, signal: list[float]) -> None:
    outcomes, cycles = cut(signal, rule=CycleRule(start=start))
    assert outcomes == {"finished": 2}
    assert [cycle.duration_s for cycle in cycles] == [3.0, 3.0]


def test_a_step_that_jumps_repeats_or_runs_backward_is_in_the_cycle() -> None:
    outcomes, cycles = cut([3, 1, 4, 3, 4, 2, 1, 2, 3, 1])
    assert outcomes == {"finished": 2}
    assert cycles[0].steps is not None
    assert cycles[0].steps.tolist() == [1, 4, 3, 4, 2]


def test_a_counter_that_freezes_ends_the_cycle_as_too_long_once() -> None:
    outcomes, cycles = cut([3, *WHOLE, *[1] * 200, 2, 3, *WHOLE, 1])
    assert outcomes == {"finished": 2, "too_long": 1}
    assert cycles[1].duration_s == 5.0


def test_a_start_that_never_comes_is_no_cycle() -> None:
    assert cut([2, 3] * 50) == (Counter(), [])


def test_starts_that_follow_at_once_are_too_short() -> None:
    outcomes, cycles = cut([2, 1, 2, 1, 2, *WHOLE, 1])
    assert outcomes == {"too_short": 2, "finished": 1}
    assert cycles[0].duration_s == 5.0


def test_a_gap_within_a_cycle_cuts_it_and_one_between_rows_of_a_slow_cycle_does_not() -> None:
    steps = [3, *WHOLE, 1, 1, 2, 3, *WHOLE, 1]
    outcomes, _ = cut(steps, times_s=[*range(9), *(at + 100.0 for at in range(9, len(steps)))])
    assert outcomes == {"finished": 2, "gap": 1}
    outcomes, _ = cut(steps, times_s=[at * 2.0 + (6.0 if at >= 9 else 0.0) for at in range(len(steps))])
    assert outcomes == {"finished": 3}


def test_a_clock_that_is_set_back_cuts_the_cycle() -> None:
    outcomes, _ = cut([3, *WHOLE, 1, 1, 2, *WHOLE, 1], times_s=[*range(9), *range(2, 8)])
    assert outcomes == {"finished": 2, "gap": 1}


def test_a_recipe_that_changes_within_a_cycle_makes_it_none() -> None:
    outcomes, cycles = cut([3, *WHOLE, *WHOLE, 1], recipe=[7, 7, 7, 7, 8, 8, *[8.0] * 6])
    assert outcomes == {"mixed_recipe": 1, "finished": 1}
    assert cycles[0].recipe == 8.0


def test_a_channel_that_is_only_told_when_it_changes_is_held() -> None:
    nan = math.nan
    outcomes, cycles = cut([3, 1, nan, 2, nan, 1, nan, 3, 1], recipe=[7, *[nan] * 8])
    assert outcomes == {"finished": 2}
    assert cycles[1].recipe == 7.0
    assert cycles[0].steps is not None
    assert cycles[0].steps.tolist() == [1, 1, 2, 2]


def test_cycles_of_a_period_are_those_of_1970_utc_whatever_the_clock_on_the_wall_shows() -> None:
    # 29 March 2026, 01:00 UTC: clocks in Europe went forward.
    start_s = 1_774_746_000 - 3 * 3600
    times = [start_s + 300.0 + 600.0 * at for at in range(36)]
    outcomes, cycles = cut([0.0] * 36, rule=CycleRule(period_s=3600.0, longest_s=7200.0), times_s=times)
    assert outcomes == {"finished": 4}
    assert {len(cycle.values) for cycle in cycles} == {6}


def test_a_channel_that_is_not_there_begins_nothing() -> None:
    assert cut([1, 2, 3] * 5, rule=CycleRule(start=CycleStart("absent", "changes"))) == (Counter(), [])


def test_of_several_rules_the_first_counts_for_the_machine_and_for_its_cycles() -> None:
    first, second = CycleRule(machine="robot-*"), CycleRule(machine="*", learn_cycles=99)
    assert rule_of((first, second), "robot-1/cycle") is first
    assert rule_of((first, second), "press-1") is second


def test_a_start_that_falls_into_a_gap_is_no_start_and_the_cycle_before_it_is_none() -> None:
    outcomes, cycles = cut(
        [3, *WHOLE, 2, 2, 3, *WHOLE, 1], times_s=[*range(6), *(at + 200.0 for at in range(6, 15))]
    )
    assert outcomes["gap"] == 1
    assert all(cycle.duration_s < 100.0 for cycle in cycles)


def test_two_machines_in_one_topic_finish_no_cycle_that_is_longer_than_it_may_be() -> None:
    """Their steps alternate row by row, so that each row begins one: too short, and never an error."""
    outcomes, cycles = cut(
        [at for pair in zip([1, 1, 2, 3] * 8, [3, 1, 1, 2] * 8, strict=True) for at in pair]
    )
    assert outcomes["too_short"] > 0
    assert all(cycle.duration_s <= RULE.longest_s for cycle in cycles)
