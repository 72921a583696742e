"""What a machine was told while it was learnt: recipes by value, set-points by reach."""

import numpy as np

from edge_agent.cycles.rules import CycleRule
from edge_agent.cycles.told_rows import ToldRows

NAN = float("nan")
RULE = CycleRule(recipe="program", given=("speed*",))
CHANNELS = ("current", "program", "speed")


def told(programs: list[float], speeds: list[float]) -> ToldRows:
    rows = np.column_stack([np.zeros(len(programs)), programs, speeds]).astype(np.float32)
    return ToldRows.of(rows, CHANNELS, RULE)


def window(program: float, speed: float) -> np.ndarray:
    return np.array([[0.0, 0.0], [1.0, program], [1.0, speed]], np.float32)


def test_a_recipe_is_known_by_its_value_and_a_wide_set_point_by_its_reach() -> None:
    known = told([1.0, 3.0] * 20, np.linspace(0, 100, 40).tolist())
    assert known.known(window(3.0, 40.0))
    assert not known.known(window(2.0, 40.0)), "between two recipes there is none"
    assert known.known(window(1.0, 109.0))
    assert not known.known(window(1.0, 111.0))


def test_a_set_point_of_few_values_is_known_by_them() -> None:
    known = told([1.0] * 4, [1.0, 100.0, 1.0, 100.0])
    assert known.known(window(1.0, 100.0))
    assert not known.known(window(1.0, 50.0))


def test_what_is_missing_is_nothing_new() -> None:
    assert told([1.0, 1.0], [1.0, 1.0]).known(window(NAN, NAN))
    assert told([1.0, 1.0], [NAN, NAN]).known(window(1.0, 5.0))
    assert ToldRows.of(np.zeros((4, 1), np.float32), ("current",), RULE).known(np.zeros((1, 2), np.float32))


def test_it_is_read_as_it_was_kept_and_is_none_where_it_was_not() -> None:
    one = told([1.0, 3.0], [1.0, 2.0])
    again = ToldRows.read({**one.arrays(), "other": np.zeros(1)})
    assert again is not None
    assert not again.known(window(2.0, 1.0))
    assert ToldRows.read({"other": np.zeros(1)}) is None


def test_more_recipes_than_there_is_room_for_are_known_by_their_reach() -> None:
    known = told([float(number) for number in range(65)], [1.0] * 65)
    assert known.known(window(64.0, 1.0))
    assert not known.known(window(90.0, 1.0))
